/** The messages of the application, newest first. */
import { useId, useMemo, useState } from "react";
import type { EventTypeOut } from "svix";
import { useMessages } from "svix-react";
import { EventTypeSelect } from "./event-types.tsx";
import { Empty, Loading, Pager, Time } from "./parts.tsx";
import { usePortal } from "./portal-context.ts";
import { LoadProblem, Retryable } from "./problem.tsx";
import { linkTo } from "./route.ts";

const PAGE = 25;

interface Filter {
  readonly eventType: string;
  readonly tag: string;
  /** As the field has it, in the visitor's time; empty: now. */
  readonly before: string;
}

export function MessageList() {
  const { settings } = usePortal();
  const [filter, setFilter] = useState<Filter>({ eventType: "", tag: "", before: "" });
  const [asked, setAsked] = useState(0);
  const ids = { eventType: useId(), tag: useId(), before: useId() };
  const change = (part: Partial<Filter>): void => setFilter((before) => ({ ...before, ...part }));
  return (
    <>
      <div className="title-row">
        <h1 tabIndex={-1}>Messages</h1>
        <div className="filters">
          <label className="unseen" htmlFor={ids.eventType}>
            Event type
          </label>
          <EventTypeSelect
            id={ids.eventType}
            value={filter.eventType}
            onChange={(eventType) => change({ eventType })}
            anyLabel="All event types"
          />
          {settings.enableMessageTags && (
            <input
              id={ids.tag}
              aria-label="Tag"
              placeholder="Tag"
              maxLength={128}
              value={filter.tag}
              onChange={(event) => change({ tag: event.target.value })}
            />
          )}
          <span className="labelled">
            <label htmlFor={ids.before}>Before</label>
            <input
              id={ids.before}
              type="datetime-local"
              value={filter.before}
              onChange={(event) => change({ before: event.target.value })}
            />
          </span>
          <button type="button" className="button" onClick={() => setAsked(asked + 1)}>
            Refresh
          </button>
        </div>
      </div>
      {/* The hook keeps its place in the list, which means nothing once other messages are listed. */}
      <Retryable key={`${JSON.stringify(filter)} ${asked}`}>
        <List filter={filter} />
      </Retryable>
    </>
  );
}

function List({ filter: { eventType, tag, before } }: { readonly filter: Filter }) {
  const { appId } = usePortal();
  const options = useMemo(
    () => ({
      limit: PAGE,
      // A page of payloads may be large; each is shown with its message.
      withContent: false,
      ...(eventType === "" ? {} : { eventTypes: [{ name: eventType } as EventTypeOut] }),
      ...(tag.trim() === "" ? {} : { tag: tag.trim() }),
      ...(before === "" ? {} : { before: new Date(before) }),
    }),
    [eventType, tag, before],
  );
  const list = useMessages(options);
  if (list.data === undefined) return list.error === undefined ? <Loading /> : <LoadProblem error={list.error} />;
  if (list.data.length === 0) {
    const narrowed = eventType !== "" || tag !== "" || before !== "";
    return <Empty title={narrowed ? "No such messages" : "No messages in the last 90 days"} />;
  }
  return (
    <>
      <ul className="rows" aria-busy={list.loading}>
        {list.data.map(({ id, eventType: type, eventId, timestamp, channels, tags }) => (
          <li key={id}>
            <a className="row message-row" href={linkTo(appId, "messages", id)}>
              <span className="labels">
                <code className="cut">{type}</code>
                {[...(channels ?? []), ...(tags ?? [])].map((label) => (
                  <code key={label} className="tag cut">
                    {label}
                  </code>
                ))}
              </span>
              <code className="quiet cut">{eventId ?? id}</code>
              <span className="quiet">
                <Time at={timestamp} />
              </span>
            </a>
          </li>
        ))}
      </ul>
      <Pager list={list} of="messages" />
    </>
  );
}
