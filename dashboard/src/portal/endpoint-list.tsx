import type { EndpointOut } from "svix";
import { useEndpoints } from "svix-react";
import { Badge, Empty, ExternalText, Loading, Pager } from "./parts.tsx";
import { usePortal } from "./portal-context.ts";
import { LoadProblem } from "./problem.tsx";
import { linkTo } from "./route.ts";

const PAGE = 25;
/** Event types named in a row; the others are counted. */
const NAMED = 2;

export function EndpointList() {
  const { appId, may } = usePortal();
  const list = useEndpoints({ limit: PAGE });
  const add = may("ManageEndpoint") && (
    <a className="button primary" href={linkTo(appId, "endpoints", "new")}>
      Add endpoint
    </a>
  );
  return (
    <>
      <div className="title-row">
        <h1 tabIndex={-1}>Endpoints</h1>
        {list.data !== undefined && list.data.length > 0 && add}
      </div>
      {list.error !== undefined && <LoadProblem error={list.error} />}
      {list.data === undefined && list.error === undefined && <Loading />}
      {list.data?.length === 0 && (
        <Empty title="No endpoints yet">
          <p>An endpoint is an address of yours that is called for every event you want to hear of.</p>
          {add}
        </Empty>
      )}
      {list.data !== undefined && list.data.length > 0 && (
        <ul className="rows" aria-busy={list.loading}>
          {list.data.map((endpoint) => (
            <EndpointRow key={endpoint.id} endpoint={endpoint} to={linkTo(appId, "endpoints", endpoint.id)} />
          ))}
        </ul>
      )}
      <Pager list={list} of="endpoints" />
    </>
  );
}

function EndpointRow({ endpoint, to }: { readonly endpoint: EndpointOut; readonly to: string }) {
  return (
    <li>
      <a className="row endpoint-row" href={to}>
        <span className="endpoint-name">
          <ExternalText>{endpoint.url}</ExternalText>
          {endpoint.description !== "" && <span className="quiet cut">{endpoint.description}</span>}
        </span>
        <span className="endpoint-types">{eventTypesInShort(endpoint)}</span>
        <EndpointState endpoint={endpoint} />
      </a>
    </li>
  );
}

export function EndpointState({ endpoint }: { readonly endpoint: Pick<EndpointOut, "disabled"> }) {
  return endpoint.disabled ? <Badge tone="neutral">Disabled</Badge> : <Badge tone="good">Enabled</Badge>;
}

function eventTypesInShort({ filterTypes }: EndpointOut) {
  if (filterTypes === null || filterTypes === undefined) return <span className="quiet">All events</span>;
  const more = filterTypes.length - NAMED;
  return (
    <>
      {filterTypes.slice(0, NAMED).map((name) => (
        <code key={name} className="tag cut">
          {name}
        </code>
      ))}
      {more > 0 && <span className="quiet">+{more}</span>}
    </>
  );
}
