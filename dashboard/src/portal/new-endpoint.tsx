import { useState } from "react";
import { useNewEndpoint, useSvix } from "svix-react";
import { channelList, type EndpointFields, EndpointForm } from "./endpoint-form.tsx";
import { Field } from "./parts.tsx";
import { usePortal } from "./portal-context.ts";
import { ActionProblem } from "./problem.tsx";
import { linkTo } from "./route.ts";
import { useAction } from "./use-action.ts";

export function NewEndpoint() {
  const { appId } = usePortal();
  const { svix } = useSvix();
  const form = useNewEndpoint();
  const [channels, setChannels] = useState("");
  const [secret, setSecret] = useState("");

  const create = useAction(async () => {
    const made = await createEndpoint();
    window.location.hash = linkTo(appId, "endpoints", made.id);
  });

  async function createEndpoint(): Promise<{ readonly id: string }> {
    // The hook knows neither channels nor a secret of one's own.
    if (channelList(channels) !== null || secret.trim() !== "") {
      return svix.endpoint.create(appId, {
        url: form.url.value.trim(),
        description: form.description.value,
        filterTypes: form.eventTypes.value.length === 0 ? null : form.eventTypes.value,
        channels: channelList(channels),
        throttleRate: form.rateLimitPerSecond.value ?? null,
        secret: secret.trim() === "" ? null : secret.trim(),
      });
    }
    const { endpoint, error } = await form.createEndpoint();
    if (endpoint === undefined) throw error ?? new Error("The endpoint was not created");
    return endpoint;
  }

  const value: EndpointFields = {
    url: form.url.value,
    description: form.description.value,
    eventTypes: form.eventTypes.value,
    channels,
    rate: form.rateLimitPerSecond.value,
  };
  const change = (part: Partial<EndpointFields>): void => {
    if (part.url !== undefined) form.url.setValue(part.url);
    if (part.description !== undefined) form.description.setValue(part.description);
    if (part.eventTypes !== undefined) form.eventTypes.setValue([...part.eventTypes]);
    if (part.channels !== undefined) setChannels(part.channels);
    if ("rate" in part) form.rateLimitPerSecond.setValue(part.rate);
  };
  const ownSecret = (
    <Field label="Signing secret" optional hint="Leave empty and one is made. Your own begins with whsec_.">
      {(ids) => (
        <input
          {...ids}
          type="password"
          autoComplete="off"
          spellCheck={false}
          value={secret}
          onChange={(event) => setSecret(event.target.value)}
        />
      )}
    </Field>
  );
  return (
    <>
      <p className="crumbs">
        <a href={linkTo(appId, "endpoints")}>Endpoints</a>
      </p>
      <h1 tabIndex={-1}>Add an endpoint</h1>
      <section className="card pad">
        <EndpointForm value={value} onChange={change} onSubmit={create.run} advanced={ownSecret}>
          <ActionProblem error={create.error} />
          <div className="actions">
            <button type="submit" className="button primary" disabled={create.busy}>
              {create.busy ? "Creating…" : "Create endpoint"}
            </button>
            <a className="button" href={linkTo(appId, "endpoints")}>
              Cancel
            </a>
          </div>
        </EndpointForm>
      </section>
    </>
  );
}
