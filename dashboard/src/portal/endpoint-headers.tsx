/** Headers of one's own that go with every message to an endpoint. */
import { type FormEvent, useState } from "react";
import type { EndpointHeadersOut, EndpointHeadersPatchIn } from "svix";
import { useEndpointHeaders } from "svix-react";
import { Loading } from "./parts.tsx";
import { usePortal } from "./portal-context.ts";
import { ActionProblem, LoadProblem } from "./problem.tsx";
import { useAction } from "./use-action.ts";

interface Row {
  readonly key: number;
  readonly name: string;
  /** Null: there is one, and the server does not show it. */
  readonly value: string | null;
}

export function EndpointHeaders({ endpointId }: { readonly endpointId: string }) {
  const { data, error, patchEndpointHeaders } = useEndpointHeaders(endpointId);
  const { may } = usePortal();
  const [editing, setEditing] = useState(false);
  return (
    <section className="card pad" aria-label="Headers">
      <h2>Headers</h2>
      <p className="hint">Sent with every message, for receivers that ask for a token of their own.</p>
      {data === undefined && (error === undefined ? <Loading rows={1} /> : <LoadProblem error={error} />)}
      {data !== undefined &&
        (editing ? (
          <EditHeaders
            saved={data}
            close={() => setEditing(false)}
            save={async (patch) => {
              await patchEndpointHeaders(patch);
              setEditing(false);
            }}
          />
        ) : (
          <>
            <HeaderList headers={data} />
            {may("ManageEndpoint") && (
              <div className="actions">
                <button type="button" className="button" onClick={() => setEditing(true)}>
                  Edit headers
                </button>
              </div>
            )}
          </>
        ))}
    </section>
  );
}

function HeaderList({ headers }: { readonly headers: EndpointHeadersOut }) {
  const rows = rowsOf(headers);
  if (rows.length === 0) return <p className="quiet">None.</p>;
  return (
    <dl className="facts mono">
      {rows.map(({ key, name, value }) => (
        <div key={key}>
          <dt>{name}</dt>
          <dd>{value ?? <span title="The server shows it to nobody">••••••</span>}</dd>
        </div>
      ))}
    </dl>
  );
}

interface EditHeadersProps {
  readonly saved: EndpointHeadersOut;
  readonly save: (patch: EndpointHeadersPatchIn) => Promise<void>;
  readonly close: () => void;
}

function EditHeaders({ saved, save, close }: EditHeadersProps) {
  const [rows, setRows] = useState<readonly Row[]>(() => withBlank(rowsOf(saved)));
  const saving = useAction(() => save(patchOf(saved, rows)));
  const change = (key: number, part: Partial<Row>): void =>
    setRows((all) => withBlank(all.map((row) => (row.key === key ? { ...row, ...part } : row))));
  return (
    <form
      className="form inset"
      aria-label="Edit headers"
      onSubmit={(event: FormEvent) => {
        event.preventDefault();
        void saving.run();
      }}
    >
      {rows.map((row, i) => (
        <div key={row.key} className="header-row">
          <input
            aria-label={`Name of header ${i + 1}`}
            placeholder="Name"
            spellCheck={false}
            autoComplete="off"
            readOnly={row.value === null}
            value={row.name}
            onChange={(event) => change(row.key, { name: event.target.value })}
          />
          <input
            aria-label={`Value of header ${i + 1}`}
            placeholder={row.value === null ? "unchanged" : "Value"}
            spellCheck={false}
            autoComplete="off"
            value={row.value ?? ""}
            onChange={(event) => change(row.key, { value: event.target.value })}
          />
          <button
            type="button"
            className="button small"
            aria-label={`Remove header ${i + 1}`}
            onClick={() => setRows((all) => withBlank(all.filter(({ key }) => key !== row.key)))}
          >
            Remove
          </button>
        </div>
      ))}
      <ActionProblem error={saving.error} />
      <div className="actions">
        <button type="submit" className="button primary" disabled={saving.busy}>
          Save headers
        </button>
        <button type="button" className="button" onClick={close}>
          Cancel
        </button>
      </div>
    </form>
  );
}

function rowsOf({ headers, sensitive }: EndpointHeadersOut): readonly Row[] {
  return [
    ...Object.entries(headers).map(([name, value]) => ({ name, value })),
    ...sensitive.map((name) => ({ name, value: null })),
  ].map((row, key) => ({ key, ...row }));
}

/** There is always an empty row at the end to write into. */
function withBlank(rows: readonly Row[]): readonly Row[] {
  const last = rows.at(-1);
  if (last !== undefined && last.name === "" && last.value === "") return rows;
  return [...rows, { key: Math.max(-1, ...rows.map(({ key }) => key)) + 1, name: "", value: "" }];
}

/** Only what differs, so that values nobody sees stay as they are. */
function patchOf(saved: EndpointHeadersOut, rows: readonly Row[]): EndpointHeadersPatchIn {
  const named = rows.filter(({ name }) => name.trim() !== "");
  const kept = new Set(named.map(({ name }) => name.trim().toLowerCase()));
  const headers: Record<string, string> = {};
  for (const { name, value } of named) {
    if (value !== null && saved.headers[name.trim()] !== value) headers[name.trim()] = value;
  }
  const before = [...Object.keys(saved.headers), ...saved.sensitive];
  return { headers, deleteHeaders: before.filter((name) => !kept.has(name.toLowerCase())) };
}
