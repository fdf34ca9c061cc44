/** What went wrong, in words for whoever looks at the page. */
import { createContext, Fragment, type ReactNode, useContext, useReducer } from "react";
import { ApiException } from "svix";

interface Issue {
  readonly loc: readonly string[];
  readonly msg: string;
}

/** One line, or one for each field that the server does not take. */
export function explain(error: unknown): readonly string[] {
  if (!(error instanceof ApiException)) {
    if (error instanceof TypeError) return ["The server cannot be reached. Check the connection and try again."];
    return [error instanceof Error ? error.message : String(error)];
  }
  const detail = (error.body as { readonly detail?: unknown } | null)?.detail;
  if (Array.isArray(detail) && detail.length > 0) {
    return (detail as readonly Issue[]).slice(0, 10).map(({ loc, msg }) => {
      const field = loc.filter((part) => part !== "body" && part !== "query" && part !== "__all__").join(" ");
      return field === "" ? msg : `${NAMES[field] ?? field}: ${msg}`;
    });
  }
  if (error.code === 403) return ["This link does not allow that."];
  if (error.code === 404) return ["There is no such thing here; it may have been deleted."];
  if (error.code === 429) return ["That is too much at once. Wait a moment and try again."];
  if (error.code >= 500) return [`The server has a problem (${error.code}). Try again in a moment.`];
  return [typeof detail === "string" ? detail : `The server refused this (${error.code}).`];
}

/** Fields as the page calls them. */
const NAMES: { readonly [field: string]: string } = {
  url: "Address",
  filterTypes: "Event types",
  eventTypes: "Event types",
  channels: "Channels",
  rateLimit: "Rate limit",
  throttleRate: "Rate limit",
  secret: "Signing secret",
  key: "Signing secret",
  description: "Description",
  since: "From",
  code: "Code",
};

const Again = createContext<(() => void) | null>(null);

/**
 * Everything inside begins anew when a problem in it is tried again: svix-react's hooks keep an error for as long as
 * they live.
 */
export function Retryable({ children }: { readonly children: ReactNode }) {
  const [round, again] = useReducer((count: number) => count + 1, 0);
  return (
    <Again value={again}>
      <Fragment key={round}>{children}</Fragment>
    </Again>
  );
}

/** Something could not be loaded. */
export function LoadProblem({ error }: { readonly error: unknown }) {
  const again = useContext(Again);
  return (
    <div className="problem" role="alert">
      <ProblemText error={error} />
      {again !== null && (
        <button type="button" className="button" onClick={again}>
          Try again
        </button>
      )}
    </div>
  );
}

/** Something could not be done; nothing while there is no error. */
export function ActionProblem({ error }: { readonly error: unknown }) {
  if (error === undefined) return null;
  return (
    <div className="problem" role="alert">
      <ProblemText error={error} />
    </div>
  );
}

function ProblemText({ error }: { readonly error: unknown }) {
  const lines = explain(error);
  if (lines.length === 1) return <p>{lines[0]}</p>;
  return (
    <ul>
      {lines.map((line) => (
        <li key={line}>{line}</li>
      ))}
    </ul>
  );
}
