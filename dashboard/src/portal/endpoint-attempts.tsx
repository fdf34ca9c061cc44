/** The attempts at one endpoint, newest first, narrowed as wanted. */
import { useId, useMemo, useState } from "react";
import { type EventTypeOut, MessageStatus } from "svix";
import { useEndpointMessageAttempts } from "svix-react";
import { AttemptRows } from "./attempt-rows.tsx";
import { useNews } from "./endpoint-activity.tsx";
import { EventTypeSelect } from "./event-types.tsx";
import { Empty, Loading, Pager } from "./parts.tsx";
import { LoadProblem, Retryable } from "./problem.tsx";

const PAGE = 25;

const STATUSES: readonly (readonly [value: string, words: string])[] = [
  ["", "All results"],
  [String(MessageStatus.Success), "Succeeded"],
  [String(MessageStatus.Fail), "Failed"],
];

interface EndpointAttemptsProps {
  readonly endpointId: string;
  /** Another value: there are new ones. */
  readonly news: string;
  /** They were asked for anew. */
  readonly looked: () => void;
}

export function EndpointAttempts({ endpointId, news, looked }: EndpointAttemptsProps) {
  const [status, setStatus] = useState("");
  const [eventType, setEventType] = useState("");
  const [asked, setAsked] = useState(0);
  const ids = { status: useId(), eventType: useId() };
  return (
    <section aria-label="Attempts">
      <div className="title-row">
        <h2>Attempts</h2>
        <div className="filters">
          <label className="unseen" htmlFor={ids.status}>
            Result
          </label>
          <select id={ids.status} value={status} onChange={(event) => setStatus(event.target.value)}>
            {STATUSES.map(([value, words]) => (
              <option key={value} value={value}>
                {words}
              </option>
            ))}
          </select>
          <label className="unseen" htmlFor={ids.eventType}>
            Event type
          </label>
          <EventTypeSelect id={ids.eventType} value={eventType} onChange={setEventType} anyLabel="All event types" />
          <button
            type="button"
            className="button"
            onClick={() => {
              setAsked(asked + 1);
              looked();
            }}
          >
            Refresh
          </button>
        </div>
      </div>
      {/* The hook keeps its place in the list, which means nothing once other attempts are listed. */}
      <Retryable key={`${status} ${eventType}`}>
        <List endpointId={endpointId} status={status} eventType={eventType} news={`${news} ${asked}`} looked={looked} />
      </Retryable>
    </section>
  );
}

function List(props: EndpointAttemptsProps & { readonly status: string; readonly eventType: string }) {
  const { status, eventType } = props;
  const options = useMemo(
    () => ({
      limit: PAGE,
      // Payloads and responses are asked for one by one: a page of them may be large.
      withContent: false,
      withMsg: true,
      ...(status === "" ? {} : { status: Number(status) as MessageStatus }),
      // Of an event type the hook sends the name only.
      ...(eventType === "" ? {} : { eventTypes: [{ name: eventType } as EventTypeOut] }),
    }),
    [status, eventType],
  );
  const list = useEndpointMessageAttempts(props.endpointId, options);
  useNews(props.news, list.reload);
  const narrowed = status !== "" || eventType !== "";
  if (list.data === undefined) return list.error === undefined ? <Loading /> : <LoadProblem error={list.error} />;
  return (
    <>
      {list.data.length === 0 ? (
        <Empty title={narrowed ? "No such attempts" : "Nothing was sent yet"}>
          <p>{narrowed ? "Choose less narrowly." : "Every try to reach this endpoint is listed here."}</p>
        </Empty>
      ) : (
        <AttemptRows
          attempts={list.data}
          busy={list.loading}
          resent={() => {
            list.reload();
            props.looked();
          }}
        />
      )}
      <Pager list={list} of="attempts" />
    </>
  );
}
