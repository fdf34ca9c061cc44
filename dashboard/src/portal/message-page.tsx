/** One message: its payload, the endpoints it was tried at, and every attempt. */
import { useMemo } from "react";
import { type MessageEndpointOut, type MessageOut, MessageStatus } from "svix";
import { useMessage, useMessageAttempts, useMessageEndpoints, useSvix } from "svix-react";
import { Answer, useAnswer } from "./answer.tsx";
import { AttemptRows } from "./attempt-rows.tsx";
import { MessagePayload } from "./message-payload.tsx";
import { Copy, Empty, ExternalText, Loading, Pager, StatusBadge, Time } from "./parts.tsx";
import { usePortal } from "./portal-context.ts";
import { ActionProblem, LoadProblem, Retryable } from "./problem.tsx";
import { linkTo } from "./route.ts";
import { useAction } from "./use-action.ts";

const PAGE = 25;

export function MessagePage({ id }: { readonly id: string }) {
  const { appId } = usePortal();
  const { data, error } = useMessage(id);
  return (
    <>
      <p className="crumbs">
        <a href={linkTo(appId, "messages")}>Messages</a>
      </p>
      <h1 tabIndex={-1} className="address">
        {data === undefined ? "Message" : <code>{data.eventType}</code>}
      </h1>
      {data === undefined && (error === undefined ? <Loading /> : <LoadProblem error={error} />)}
      {data !== undefined && (
        <>
          <Facts message={data} />
          <section className="card pad" aria-label="Payload">
            <Retryable>
              <MessagePayload messageId={data.id} />
            </Retryable>
          </section>
          <Retryable>
            <Sendings messageId={data.id} />
          </Retryable>
        </>
      )}
    </>
  );
}

function Facts({ message }: { readonly message: MessageOut }) {
  const labels = [...(message.channels ?? []), ...(message.tags ?? [])];
  return (
    <dl className="facts card pad">
      <dt>Id</dt>
      <dd>
        <code>{message.id}</code>
        <Copy text={message.id} what="message id" />
      </dd>
      {message.eventId != null && (
        <>
          <dt>Event id</dt>
          <dd>
            <code className="wrap">{message.eventId}</code>
          </dd>
        </>
      )}
      <dt>Created</dt>
      <dd>
        <Time at={message.timestamp} />
      </dd>
      {message.deliverAt != null && (
        <>
          <dt>Sent from</dt>
          <dd>
            <Time at={message.deliverAt} />
          </dd>
        </>
      )}
      {labels.length > 0 && (
        <>
          <dt>Labels</dt>
          <dd>{labels.join(", ")}</dd>
        </>
      )}
    </dl>
  );
}

/** Where the message was sent to: by endpoint, and try by try. */
function Sendings({ messageId }: { readonly messageId: string }) {
  const endpoints = useMessageEndpoints(
    messageId,
    useMemo(() => ({ limit: PAGE }), []),
  );
  const attempts = useMessageAttempts(
    messageId,
    useMemo(() => ({ limit: PAGE, withContent: false }), []),
  );
  const names = useMemo(() => new Map(endpoints.data?.map(({ id, url }) => [id, url])), [endpoints.data]);
  const again = (): void => {
    endpoints.reload();
    attempts.reload();
  };
  return (
    <>
      <section aria-label="Endpoints">
        <h2>Endpoints</h2>
        {endpoints.data === undefined &&
          (endpoints.error === undefined ? <Loading rows={1} /> : <LoadProblem error={endpoints.error} />)}
        {endpoints.data?.length === 0 && <Empty title="Sent to no endpoint" />}
        {endpoints.data !== undefined && endpoints.data.length > 0 && (
          <ul className="rows">
            {endpoints.data.map((endpoint) => (
              <EndpointRow key={endpoint.id} messageId={messageId} endpoint={endpoint} resent={again} />
            ))}
          </ul>
        )}
        <Pager list={endpoints} of="endpoints" />
      </section>
      <section aria-label="Attempts">
        <h2>Attempts</h2>
        {attempts.data === undefined &&
          (attempts.error === undefined ? <Loading rows={1} /> : <LoadProblem error={attempts.error} />)}
        {attempts.data?.length === 0 && <Empty title="No attempts yet" />}
        {attempts.data !== undefined && attempts.data.length > 0 && (
          <AttemptRows attempts={attempts.data} busy={attempts.loading} resent={again} endpoints={names} />
        )}
        <Pager list={attempts} of="attempts" />
      </section>
    </>
  );
}

function EndpointRow(props: {
  readonly messageId: string;
  readonly endpoint: MessageEndpointOut;
  readonly resent: () => void;
}) {
  const { messageId, endpoint, resent } = props;
  const { appId, may } = usePortal();
  const { svix } = useSvix();
  const answer = useAnswer(messageId, endpoint.id, resent);
  const resend = useAction(() =>
    answer.await(async () => {
      await svix.messageAttempt.resend(appId, messageId, endpoint.id);
      return null;
    }),
  );
  const next = endpoint.nextAttempt ?? null;
  return (
    <li className="row destination-row">
      <StatusBadge status={next === null ? endpoint.status : MessageStatus.Sending} />
      <a className="cut" href={linkTo(appId, "endpoints", endpoint.id)}>
        <ExternalText>{endpoint.url}</ExternalText>
      </a>
      <span className="quiet">
        {next !== null && (
          <>
            next try <Time at={next} />
          </>
        )}
      </span>
      {may("CreateAttempts") && (
        <span className="actions">
          <button
            type="button"
            className="button small"
            disabled={resend.busy || answer.state === "waiting"}
            onClick={resend.run}
          >
            Send again
          </button>
          <Answer answer={answer} />
          <ActionProblem error={resend.error} />
        </span>
      )}
    </li>
  );
}
