/** The secret that signs what an endpoint is sent: asked of the server only when somebody wants to see it. */
import { type FormEvent, useState } from "react";
import { useEndpointSecret, useSvix } from "svix-react";
import { Copy, Field, Loading } from "./parts.tsx";
import { usePortal } from "./portal-context.ts";
import { ActionProblem, LoadProblem, Retryable } from "./problem.tsx";
import { useAction } from "./use-action.ts";

/** How long the old secret goes on signing beside the new one. */
const GRACE: readonly (readonly [seconds: number, words: string])[] = [
  [86_400, "24 hours"],
  [3_600, "1 hour"],
  [604_800, "7 days"],
  [0, "not at all"],
];

export function EndpointSecret({ endpointId }: { readonly endpointId: string }) {
  const { may } = usePortal();
  const [shown, setShown] = useState(false);
  const [rotating, setRotating] = useState(false);
  const [rotations, setRotations] = useState(0);
  return (
    <section className="card pad" aria-label="Signing secret">
      <h2>Signing secret</h2>
      <p className="hint">Verify with it that a request comes from here. Whoever knows it can forge one.</p>
      <div className="secret">
        {shown ? (
          <Retryable key={rotations}>
            <Secret endpointId={endpointId} />
          </Retryable>
        ) : (
          <>
            <code aria-hidden="true">••••••••••••••••••••••••</code>
            <span className="unseen">The secret is hidden.</span>
          </>
        )}
      </div>
      <div className="actions">
        {may("ViewEndpointSecret") && (
          <button type="button" className="button" aria-pressed={shown} onClick={() => setShown(!shown)}>
            {shown ? "Hide secret" : "Show secret"}
          </button>
        )}
        {may("ManageEndpointSecret") && !rotating && (
          <button type="button" className="button" onClick={() => setRotating(true)}>
            Rotate…
          </button>
        )}
        <span role="status" className="quiet">
          {rotations > 0 && !rotating ? "There is a new secret." : ""}
        </span>
      </div>
      {rotating && (
        <Rotate
          endpointId={endpointId}
          close={() => setRotating(false)}
          rotated={() => {
            setRotating(false);
            setRotations(rotations + 1);
          }}
        />
      )}
    </section>
  );
}

function Secret({ endpointId }: { readonly endpointId: string }) {
  const { data, error } = useEndpointSecret(endpointId);
  if (data === undefined) return error === undefined ? <Loading rows={1} /> : <LoadProblem error={error} />;
  return (
    <>
      <code className="wrap">{data.key}</code>
      <Copy text={data.key} what="signing secret" />
    </>
  );
}

function Rotate(props: { readonly endpointId: string; readonly close: () => void; readonly rotated: () => void }) {
  const { svix, appId } = useSvix();
  const [grace, setGrace] = useState(String(GRACE[0]?.[0]));
  const [key, setKey] = useState("");
  const rotate = useAction(async () => {
    // The hook would ask for the secret as well, which may be more than the token allows, or than anyone wants to see.
    await svix.endpoint.rotateSecret(appId, props.endpointId, {
      key: key.trim() === "" ? null : key.trim(),
      gracePeriodSeconds: Number(grace),
    });
    props.rotated();
  });
  return (
    <form
      className="form inset"
      aria-label="Rotate the signing secret"
      onSubmit={(event: FormEvent) => {
        event.preventDefault();
        void rotate.run();
      }}
    >
      <Field label="The old secret still signs for" hint="Time to bring the new one to your receiver.">
        {(ids) => (
          <select {...ids} value={grace} onChange={(event) => setGrace(event.target.value)}>
            {GRACE.map(([seconds, words]) => (
              <option key={seconds} value={seconds}>
                {words}
              </option>
            ))}
          </select>
        )}
      </Field>
      <Field label="Secret of your own" optional hint="Leave empty and one is made.">
        {(ids) => (
          <input
            {...ids}
            type="password"
            autoComplete="off"
            spellCheck={false}
            value={key}
            onChange={(event) => setKey(event.target.value)}
          />
        )}
      </Field>
      <ActionProblem error={rotate.error} />
      <div className="actions">
        <button type="submit" className="button primary" disabled={rotate.busy}>
          Rotate secret
        </button>
        <button type="button" className="button" onClick={props.close}>
          Cancel
        </button>
      </div>
    </form>
  );
}
