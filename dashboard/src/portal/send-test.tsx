/** Sending an example of an event type to one endpoint, to see how its receiver takes it. */
import { useCallback, useId, useState } from "react";
import type { EndpointOut, EventTypeOut } from "svix";
import { useSvix } from "svix-react";
import { Answer, useAnswer } from "./answer.tsx";
import { Content } from "./content.tsx";
import { EventTypeSelect } from "./event-types.tsx";
import { examplesOf } from "./examples.ts";
import { Field, Loading } from "./parts.tsx";
import { usePortal } from "./portal-context.ts";
import { ActionProblem, LoadProblem } from "./problem.tsx";
import { linkTo } from "./route.ts";
import { useAction } from "./use-action.ts";
import { useLoaded } from "./use-loaded.ts";

/** Needs no event type of the environment's own. */
const PING = "svix.ping";
const PING_EXAMPLE: readonly string[] = [JSON.stringify({ success: true })];

export function SendTest({ endpoint }: { readonly endpoint: EndpointOut }) {
  const [eventType, setEventType] = useState(PING);
  return (
    <section className="card pad" aria-label="Send example">
      <p className="lead">
        A real message, sent to this endpoint only and listed among its attempts. Use it to check that your receiver
        verifies the signature and answers in time.
      </p>
      <Field label="Event type">
        {({ id }) => <EventTypeSelect id={id} value={eventType} onChange={setEventType} extra={[PING]} />}
      </Field>
      <Example key={eventType} endpoint={endpoint} eventType={eventType} />
    </section>
  );
}

function Example({ endpoint, eventType }: { readonly endpoint: EndpointOut; readonly eventType: string }) {
  const { svix, appId } = useSvix();
  const load = useCallback(
    async (): Promise<readonly string[]> =>
      eventType === PING ? PING_EXAMPLE : examplesOf(await svix.eventType.get(eventType)),
    [svix, eventType],
  );
  const { data: examples, error } = useLoaded(load);
  if (error !== undefined) return <LoadProblem error={error} />;
  if (examples === undefined) return <Loading rows={2} />;
  if (examples.length === 0) {
    return <p className="notice">This event type has no example yet. Choose another one, or {PING}.</p>;
  }
  return <ExampleForm endpoint={endpoint} eventType={eventType} examples={examples} appId={appId} />;
}

interface ExampleFormProps {
  readonly endpoint: EndpointOut;
  readonly eventType: EventTypeOut["name"];
  readonly examples: readonly string[];
  readonly appId: string;
}

function ExampleForm({ endpoint, eventType, examples, appId }: ExampleFormProps) {
  const { svix } = useSvix();
  const { may } = usePortal();
  const [index, setIndex] = useState(0);
  const [messageId, setMessageId] = useState<string | null>(null);
  const select = useId();
  const answer = useAnswer(null, endpoint.id, () => {});
  const send = useAction(() =>
    answer.await(async () => {
      const message = await svix.endpoint.sendExample(appId, endpoint.id, { eventType, exampleIndex: index });
      setMessageId(message.id);
      return message.id;
    }),
  );
  const filtered = endpoint.filterTypes != null && !endpoint.filterTypes.includes(eventType);
  return (
    <>
      {examples.length > 1 && (
        <div className="field">
          <label htmlFor={select}>Example</label>
          <select id={select} value={index} onChange={(event) => setIndex(Number(event.target.value))}>
            {examples.map((_, i) => (
              <option key={i} value={i}>
                {i + 1} of {examples.length}
              </option>
            ))}
          </select>
        </div>
      )}
      <Content label="Example payload" text={examples[index] ?? ""} />
      {endpoint.disabled && <p className="notice">The endpoint is disabled: nothing is sent to it.</p>}
      {filtered && (
        <p className="notice">
          The endpoint does not listen to <code>{eventType}</code>: the example may not be sent to it.
        </p>
      )}
      <ActionProblem error={send.error} />
      <div className="actions">
        <button
          type="button"
          className="button primary"
          disabled={send.busy || answer.state === "waiting" || !may("CreateAttempts")}
          onClick={send.run}
        >
          Send example
        </button>
        <Answer answer={answer} />
        {messageId !== null && answer.state === "here" && (
          <a href={linkTo(appId, "messages", messageId)}>Show message</a>
        )}
      </div>
    </>
  );
}
