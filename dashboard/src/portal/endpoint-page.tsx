/** One endpoint: what it is, and its parts. */
import { useEffect, useRef } from "react";
import type { EndpointOut } from "svix";
import { useEndpoint, useSvix } from "svix-react";
import { EndpointActivity } from "./endpoint-activity.tsx";
import { EndpointState } from "./endpoint-list.tsx";
import { EndpointSettings } from "./endpoint-settings.tsx";
import { Copy, Loading } from "./parts.tsx";
import { usePortal } from "./portal-context.ts";
import { ActionProblem, LoadProblem, Retryable } from "./problem.tsx";
import { type EndpointTab, linkTo } from "./route.ts";
import { SendTest } from "./send-test.tsx";
import { TransformationPart } from "./transformation.tsx";
import { useAction } from "./use-action.ts";

export function EndpointPage({ id, tab }: { readonly id: string; readonly tab: EndpointTab }) {
  const { appId } = usePortal();
  const { data: endpoint, error, reload } = useEndpoint(id);
  return (
    <>
      <p className="crumbs">
        <a href={linkTo(appId, "endpoints")}>Endpoints</a>
      </p>
      <div className="title-row">
        <h1 tabIndex={-1} className="address">
          {endpoint === undefined ? "Endpoint" : <code>{endpoint.url}</code>}
        </h1>
        {endpoint !== undefined && <HeadActions endpoint={endpoint} changed={reload} />}
      </div>
      {endpoint === undefined && (error === undefined ? <Loading /> : <LoadProblem error={error} />)}
      {endpoint !== undefined && (
        <>
          {endpoint.description !== "" && <p className="lead">{endpoint.description}</p>}
          {endpoint.disabled && (
            <p className="notice">
              Nothing is sent to this endpoint while it is disabled. Messages of that time can be sent afterwards.
            </p>
          )}
          <Tabs id={id} tab={tab} />
          <Retryable>
            <Part endpoint={endpoint} tab={tab} changed={reload} />
          </Retryable>
        </>
      )}
    </>
  );
}

interface PartProps {
  readonly endpoint: EndpointOut;
  /** The endpoint was changed. */
  readonly changed: () => void;
}

function Part({ endpoint, tab, changed }: PartProps & { readonly tab: EndpointTab }) {
  switch (tab) {
    case "activity":
      return <EndpointActivity endpoint={endpoint} />;
    case "test":
      return <SendTest endpoint={endpoint} />;
    case "transformation":
      return <TransformationPart endpoint={endpoint} />;
    case "settings":
      return <EndpointSettings endpoint={endpoint} changed={changed} />;
  }
}

function HeadActions({ endpoint, changed }: PartProps) {
  const { may, appId } = usePortal();
  const { svix } = useSvix();
  const turn = useAction(async () => {
    // Only this: whatever else somebody changes at the same time stays.
    await svix.endpoint.patch(appId, endpoint.id, { disabled: !endpoint.disabled });
    changed();
  });
  return (
    <div className="actions">
      <ActionProblem error={turn.error} />
      <EndpointState endpoint={endpoint} />
      <Copy text={endpoint.url} what="address" />
      {may("ManageEndpoint") && (
        <button type="button" className="button small" disabled={turn.busy} onClick={() => turn.run()}>
          {endpoint.disabled ? "Enable" : "Disable"}
        </button>
      )}
    </div>
  );
}

function Tabs({ id, tab }: { readonly id: string; readonly tab: EndpointTab }) {
  const { appId, may, settings } = usePortal();
  const tabs: readonly (readonly [EndpointTab, string, boolean])[] = [
    ["activity", "Activity", true],
    ["test", "Send example", may("CreateAttempts")],
    ["transformation", "Transformation", settings.enableTransformations],
    ["settings", "Settings", true],
  ];
  const nav = useRef<HTMLElement>(null);
  // A narrow page has no room for all of them. `scrollIntoView` would move the page around, too.
  useEffect(() => {
    const [tabs, open] = [nav.current, nav.current?.querySelector<HTMLElement>(`[data-part="${tab}"]`)];
    if (tabs && open) tabs.scrollLeft = open.offsetLeft - tabs.offsetLeft - (tabs.clientWidth - open.offsetWidth) / 2;
  }, [tab]);
  return (
    <nav className="tabs" aria-label="Parts of the endpoint" ref={nav}>
      {tabs
        .filter(([, , shown]) => shown)
        .map(([name, words]) => (
          <a
            key={name}
            className="part"
            data-part={name}
            href={linkTo(appId, "endpoints", id, name)}
            aria-current={name === tab ? "page" : undefined}
          >
            {words}
          </a>
        ))}
    </nav>
  );
}
