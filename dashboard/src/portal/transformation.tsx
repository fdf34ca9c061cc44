/** Code that changes what an endpoint is sent: writing it, trying it out, turning it on. */
import { useCallback, useState } from "react";
import type { EndpointOut, EndpointTransformationOut } from "svix";
import { useSvix } from "svix-react";
import { Content } from "./content.tsx";
import { EventTypeSelect } from "./event-types.tsx";
import { examplesOf } from "./examples.ts";
import { layOutJson } from "./json-layout.ts";
import { Badge, Field, Loading } from "./parts.tsx";
import { usePortal } from "./portal-context.ts";
import { ActionProblem, LoadProblem } from "./problem.tsx";
import { useAction } from "./use-action.ts";
import { useLoaded } from "./use-loaded.ts";

const BEGINNING = `/**
 * webhook has method, url, headers, payload, eventType
 * and channels; what is returned is sent.
 * webhook.cancel = true sends nothing.
 */
function handler(webhook) {
  return webhook;
}
`;

const SAMPLE = '{\n  "hello": "world"\n}';

export function TransformationPart({ endpoint }: { readonly endpoint: EndpointOut }) {
  const { svix, appId } = useSvix();
  const { data, error, reload } = useLoaded(
    useCallback(() => svix.endpoint.transformationGet(appId, endpoint.id), [svix, appId, endpoint.id]),
  );
  if (error !== undefined) return <LoadProblem error={error} />;
  if (data === undefined) return <Loading />;
  return <Editor endpoint={endpoint} saved={data} changed={reload} />;
}

interface EditorProps {
  readonly endpoint: EndpointOut;
  readonly saved: EndpointTransformationOut;
  readonly changed: () => void;
}

function Editor({ endpoint, saved, changed }: EditorProps) {
  const { svix, appId } = useSvix();
  const { may } = usePortal();
  const editable = may("ManageTransformations");
  const [code, setCode] = useState(saved.code ?? BEGINNING);
  const dirty = code !== (saved.code ?? BEGINNING) || saved.code == null;

  const save = useAction(async () => {
    await svix.endpoint.patchTransformation(appId, endpoint.id, { code });
    changed();
  });
  const turn = useAction(async () => {
    await svix.endpoint.patchTransformation(appId, endpoint.id, { enabled: !saved.enabled });
    changed();
  });
  return (
    <div className="halves">
      <section className="card pad" aria-label="Code">
        <div className="title-row">
          <h2>Code</h2>
          <div className="actions">
            {saved.enabled ? <Badge tone="good">On</Badge> : <Badge tone="neutral">Off</Badge>}
            {editable && (
              <button
                type="button"
                className="button small"
                disabled={turn.busy || (saved.code == null && !saved.enabled)}
                onClick={turn.run}
              >
                {saved.enabled ? "Turn off" : "Turn on"}
              </button>
            )}
          </div>
        </div>
        <ActionProblem error={turn.error} />
        <Field
          label="JavaScript"
          hint={
            saved.code == null ? "Save it first, then turn it on." : "Runs before the signing, once for every message."
          }
        >
          {(ids) => (
            <textarea
              {...ids}
              className="code"
              rows={18}
              maxLength={51_200}
              spellCheck={false}
              autoCapitalize="off"
              readOnly={!editable}
              value={code}
              onChange={(event) => {
                setCode(event.target.value);
                save.reset();
              }}
            />
          )}
        </Field>
        <ActionProblem error={save.error} />
        {editable && (
          <div className="actions">
            <button type="button" className="button primary" disabled={save.busy || !dirty} onClick={save.run}>
              Save code
            </button>
            <span role="status" className="quiet">
              {save.done && !dirty ? "Saved." : ""}
            </span>
          </div>
        )}
      </section>
      {editable && <TryOut endpoint={endpoint} code={code} />}
    </div>
  );
}

interface Simulated {
  readonly url: string;
  readonly payload: string;
  readonly method: string | null;
  readonly cancel: boolean;
}

function TryOut({ endpoint, code }: { readonly endpoint: EndpointOut; readonly code: string }) {
  const { call, appId } = usePortal();
  const { svix } = useSvix();
  const [eventType, setEventType] = useState("");
  const [payload, setPayload] = useState(SAMPLE);
  const [result, setResult] = useState<Simulated | null>(null);

  const choose = useAction(async (name: string) => {
    setEventType(name);
    const [example] = name === "" ? [] : examplesOf(await svix.eventType.get(name));
    if (example !== undefined) setPayload(layOutJson(example, 100_000));
  });
  const run = useAction(async () => {
    setResult(null);
    setResult(
      await call<Simulated>("POST", `/app/${appId}/endpoint/${endpoint.id}/transformation/simulate`, {
        code,
        eventType: eventType === "" ? "example" : eventType,
        payload: readPayload(payload),
      }),
    );
  });
  return (
    <section className="card pad" aria-label="Try it out">
      <h2>Try it out</h2>
      <p className="hint">Runs the code as it stands on the left. Nothing is sent.</p>
      <Field label="Event type">
        {({ id }) => <EventTypeSelect id={id} value={eventType} onChange={choose.run} anyLabel="Any" />}
      </Field>
      <Field label="Payload">
        {(ids) => (
          <textarea
            {...ids}
            className="code"
            rows={7}
            spellCheck={false}
            value={payload}
            onChange={(event) => setPayload(event.target.value)}
          />
        )}
      </Field>
      <div className="actions">
        <button type="button" className="button" disabled={run.busy} onClick={run.run}>
          {run.busy ? "Running…" : "Run"}
        </button>
      </div>
      <ActionProblem error={run.error} />
      <div aria-live="polite">{result !== null && <Result result={result} />}</div>
    </section>
  );
}

function Result({ result: { cancel, method, url, payload } }: { readonly result: Simulated }) {
  if (cancel) return <p className="notice">The code cancels this message: nothing would be sent.</p>;
  return (
    <>
      <p className="facts-line">
        <Badge tone="neutral">{method ?? "POST"}</Badge> <code className="wrap">{url}</code>
      </p>
      <Content label="Body that would be sent" text={payload} />
    </>
  );
}

function readPayload(text: string): object {
  let payload: unknown;
  try {
    payload = JSON.parse(text);
  } catch {
    throw new Error("The payload is no JSON.");
  }
  if (typeof payload !== "object" || payload === null || Array.isArray(payload)) {
    throw new Error("The payload has to be a JSON object.");
  }
  return payload;
}
