/** Small things that are everywhere: times, states, paging, copying, asking back. */
import { type KeyboardEvent, type ReactNode, useEffect, useId, useRef, useState } from "react";
import { MessageStatus } from "svix";
import type { SvixPaginatedData } from "svix-react";

const TIME = new Intl.DateTimeFormat(undefined, {
  month: "short",
  day: "numeric",
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  hourCycle: "h23",
});

/** In the visitor's time; the exact one in UTC on hovering. */
export function Time({ at }: { readonly at: Date }) {
  const iso = at.toISOString();
  return (
    <time dateTime={iso} title={iso}>
      {TIME.format(at)}
    </time>
  );
}

export type Tone = "good" | "bad" | "waiting" | "neutral";

export function Badge({ tone, children }: { readonly tone: Tone; readonly children: ReactNode }) {
  return (
    <span className="badge" data-tone={tone}>
      {children}
    </span>
  );
}

const STATES: { readonly [status in MessageStatus]: readonly [Tone, string] } = {
  [MessageStatus.Success]: ["good", "Succeeded"],
  [MessageStatus.Pending]: ["waiting", "Pending"],
  [MessageStatus.Fail]: ["bad", "Failed"],
  [MessageStatus.Sending]: ["waiting", "Sending"],
  [MessageStatus.Canceled]: ["neutral", "Canceled"],
};

export function StatusBadge({ status }: { readonly status: MessageStatus }) {
  const [tone, word] = STATES[status] ?? ["neutral", String(status)];
  return <Badge tone={tone}>{word}</Badge>;
}

/** What a receiver answered. Zero stands for no answer at all. */
export function answerOf(statusCode: number): string {
  return statusCode === 0 ? "no answer" : String(statusCode);
}

export function ExternalText({ children }: { readonly children: string }) {
  return (
    <code className="cut" title={children}>
      {children}
    </code>
  );
}

export function Loading({ rows = 3 }: { readonly rows?: number }) {
  return (
    <div className="loading" role="status">
      <span className="unseen">Loading…</span>
      {Array.from({ length: rows }, (_, i) => (
        <div key={i} className="bar" aria-hidden="true" />
      ))}
    </div>
  );
}

export function Empty({ title, children }: { readonly title: string; readonly children?: ReactNode }) {
  return (
    <div className="empty">
      <p className="empty-title">{title}</p>
      {children}
    </div>
  );
}

/** Nothing when there is one page only. */
export function Pager({ list, of }: { readonly list: SvixPaginatedData<unknown>; readonly of: string }) {
  if (!list.hasPrevPage && !list.hasNextPage) return null;
  return (
    <nav className="pager" aria-label={`Pages of ${of}`}>
      <button type="button" className="button" disabled={!list.hasPrevPage || list.loading} onClick={list.prevPage}>
        Previous
      </button>
      <button type="button" className="button" disabled={!list.hasNextPage || list.loading} onClick={list.nextPage}>
        Next
      </button>
    </nav>
  );
}

export function Copy({ text, what }: { readonly text: string; readonly what: string }) {
  const [state, setState] = useState<"ready" | "copied" | "refused">("ready");
  useEffect(() => {
    if (state === "ready") return;
    const timer = setTimeout(() => setState("ready"), 2_000);
    return () => clearTimeout(timer);
  }, [state]);
  const copy = async (): Promise<void> => {
    try {
      await navigator.clipboard.writeText(text);
      setState("copied");
    } catch {
      // Browsers refuse it to some embedded pages, and to plain http.
      setState("refused");
    }
  };
  return (
    <>
      <button type="button" className="button small" aria-label={`Copy ${what}`} onClick={copy}>
        {state === "copied" ? "Copied" : state === "refused" ? "Not allowed" : "Copy"}
      </button>
      <span className="unseen" role="status">
        {state === "copied" ? `${what} copied` : ""}
      </span>
    </>
  );
}

/** A button that asks back, in its place: a dialog in the middle of a tall frame may be where nobody looks. */
export function Confirm(props: {
  readonly label: string;
  readonly question: string;
  readonly confirm: string;
  readonly busy: boolean;
  readonly act: () => void;
}) {
  const [asking, setAsking] = useState(false);
  const button = useRef<HTMLButtonElement>(null);
  const cancel = useRef<HTMLButtonElement>(null);
  const id = useId();
  const stop = (): void => {
    setAsking(false);
    requestAnimationFrame(() => button.current?.focus());
  };
  useEffect(() => {
    if (asking) cancel.current?.focus();
  }, [asking]);
  if (!asking) {
    return (
      <button ref={button} type="button" className="button danger" onClick={() => setAsking(true)}>
        {props.label}
      </button>
    );
  }
  return (
    <div
      className="confirm"
      role="alertdialog"
      aria-labelledby={id}
      onKeyDown={(event: KeyboardEvent) => event.key === "Escape" && stop()}
    >
      <p id={id}>{props.question}</p>
      <div className="actions">
        <button type="button" className="button danger solid" disabled={props.busy} onClick={props.act}>
          {props.confirm}
        </button>
        <button ref={cancel} type="button" className="button" onClick={stop}>
          Cancel
        </button>
      </div>
    </div>
  );
}

/** A label with its field. The field gets the id that the label points to, and the id of the hint when there is one. */
export function Field(props: {
  readonly label: string;
  readonly hint?: ReactNode;
  readonly optional?: boolean;
  readonly children: (ids: { readonly id: string; readonly "aria-describedby": string | undefined }) => ReactNode;
}) {
  const id = useId();
  const hint = props.hint === undefined ? undefined : `${id}-hint`;
  return (
    <div className="field">
      <label htmlFor={id}>
        {props.label}
        {props.optional && <span className="optional"> optional</span>}
      </label>
      {props.children({ id, "aria-describedby": hint })}
      {hint !== undefined && (
        <p id={hint} className="hint">
          {props.hint}
        </p>
      )}
    </div>
  );
}
