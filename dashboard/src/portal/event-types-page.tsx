/** The event types there are, with their schemas and examples. */
import { useMemo, useState } from "react";
import type { EventTypeOut } from "svix";
import { useEventTypes } from "svix-react";
import { Content } from "./content.tsx";
import { examplesOf, firstSchema } from "./examples.ts";
import { Badge, Empty, Loading, Pager } from "./parts.tsx";
import { LoadProblem } from "./problem.tsx";

const PAGE = 50;

export function EventTypesPage() {
  const list = useEventTypes({ limit: PAGE });
  return (
    <>
      <h1 tabIndex={-1}>Event types</h1>
      {list.data === undefined && (list.error === undefined ? <Loading /> : <LoadProblem error={list.error} />)}
      {list.data?.length === 0 && <Empty title="There are no event types yet" />}
      {list.data !== undefined && list.data.length > 0 && (
        <ul className="rows" aria-busy={list.loading}>
          {list.data.map((eventType) => (
            <li key={eventType.name}>
              <EventTypeRow eventType={eventType} />
            </li>
          ))}
        </ul>
      )}
      <Pager list={list} of="event types" />
    </>
  );
}

function EventTypeRow({ eventType }: { readonly eventType: EventTypeOut }) {
  const [open, setOpen] = useState(false);
  return (
    <details className="event-type" onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary className="row event-type-row">
        <code className="cut">{eventType.name}</code>
        <span className="quiet cut">{eventType.description}</span>
        {eventType.deprecated && <Badge tone="waiting">Deprecated</Badge>}
      </summary>
      {open && <EventTypeDetail eventType={eventType} />}
    </details>
  );
}

function EventTypeDetail({ eventType }: { readonly eventType: EventTypeOut }) {
  const { schema, examples } = useMemo(
    () => ({ schema: firstSchema(eventType), examples: examplesOf(eventType) }),
    [eventType],
  );
  return (
    <div className="row-detail">
      {eventType.description !== "" && <p className="description">{eventType.description}</p>}
      {schema === null && <p className="quiet">It has no schema.</p>}
      {examples[0] !== undefined && <Content label="Example" text={examples[0]} />}
      {schema !== null && <Content label="Schema" text={JSON.stringify(schema)} />}
    </div>
  );
}
