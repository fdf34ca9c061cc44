/** What an endpoint is: its fields, its secret, its headers, and its end. */
import { useState } from "react";
import type { EndpointOut } from "svix";
import { useEndpointFunctions, useSvix } from "svix-react";
import { changesOf, EndpointForm, fieldsOf } from "./endpoint-form.tsx";
import { EndpointHeaders } from "./endpoint-headers.tsx";
import { EndpointSecret } from "./endpoint-secret.tsx";
import { Confirm, Copy, Time } from "./parts.tsx";
import { usePortal } from "./portal-context.ts";
import { ActionProblem, Retryable } from "./problem.tsx";
import { linkTo } from "./route.ts";
import { channelWords } from "./settings.ts";
import { useAction } from "./use-action.ts";

interface EndpointSettingsProps {
  readonly endpoint: EndpointOut;
  readonly changed: () => void;
}

export function EndpointSettings({ endpoint, changed }: EndpointSettingsProps) {
  const { may } = usePortal();
  return (
    <div className="halves">
      <section className="card pad" aria-label="Details">
        <h2>Details</h2>
        {may("ManageEndpoint") ? <EditForm endpoint={endpoint} changed={changed} /> : <Facts endpoint={endpoint} />}
        <dl className="facts">
          <dt>Id</dt>
          <dd>
            <code>{endpoint.id}</code>
            <Copy text={endpoint.id} what="endpoint id" />
          </dd>
          <dt>Created</dt>
          <dd>
            <Time at={endpoint.createdAt} />
          </dd>
        </dl>
      </section>
      <div className="stack">
        {(may("ViewEndpointSecret") || may("ManageEndpointSecret")) && <EndpointSecret endpointId={endpoint.id} />}
        <Retryable>
          <EndpointHeaders endpointId={endpoint.id} />
        </Retryable>
        {may("ManageEndpoint") && <DeleteEndpoint endpoint={endpoint} />}
      </div>
    </div>
  );
}

function EditForm({ endpoint, changed }: EndpointSettingsProps) {
  const { svix, appId } = useSvix();
  const saved = fieldsOf(endpoint);
  const [value, setValue] = useState(saved);
  const save = useAction(async () => {
    // The hook would replace the whole endpoint, with what this page knew of it when it was opened.
    setValue(fieldsOf(await svix.endpoint.patch(appId, endpoint.id, changesOf(saved, value))));
    changed();
  });
  const dirty = Object.keys(changesOf(saved, value)).length > 0;
  return (
    <EndpointForm
      value={value}
      onChange={(part) => {
        setValue((before) => ({ ...before, ...part }));
        save.reset();
      }}
      onSubmit={save.run}
    >
      <ActionProblem error={save.error} />
      <div className="actions">
        <button type="submit" className="button primary" disabled={save.busy || !dirty}>
          Save changes
        </button>
        <span role="status" className="quiet">
          {save.done && !dirty ? "Saved." : ""}
        </span>
      </div>
    </EndpointForm>
  );
}

function Facts({ endpoint }: Pick<EndpointSettingsProps, "endpoint">) {
  const words = channelWords(usePortal().settings);
  return (
    <dl className="facts">
      <dt>Address</dt>
      <dd>
        <code className="wrap">{endpoint.url}</code>
      </dd>
      <dt>Event types</dt>
      <dd>{endpoint.filterTypes?.join(", ") ?? "All"}</dd>
      {endpoint.channels != null && (
        <>
          <dt>{words.many}</dt>
          <dd>{endpoint.channels.join(", ")}</dd>
        </>
      )}
      {endpoint.throttleRate != null && (
        <>
          <dt>Rate limit</dt>
          <dd>{endpoint.throttleRate} messages per second</dd>
        </>
      )}
    </dl>
  );
}

function DeleteEndpoint({ endpoint }: Pick<EndpointSettingsProps, "endpoint">) {
  const { appId } = usePortal();
  const { deleteEndpoint } = useEndpointFunctions(endpoint.id);
  const remove = useAction(async () => {
    await deleteEndpoint();
    window.location.hash = linkTo(appId, "endpoints");
  });
  return (
    <section className="card pad" aria-label="Delete">
      <h2>Delete</h2>
      <p className="hint">Nothing more is sent to it, tries that are still to come included. This cannot be undone.</p>
      <Confirm
        label="Delete endpoint…"
        question="Delete this endpoint for good?"
        confirm="Delete endpoint"
        busy={remove.busy}
        act={remove.run}
      />
      <ActionProblem error={remove.error} />
    </section>
  );
}
