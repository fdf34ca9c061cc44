/** One attempt: the request with its headers and payload, the response, and sending the message once more. */
import { useCallback } from "react";
import type { MessageAttemptOut } from "svix";
import { useAttemptFunctions, useSvix } from "svix-react";
import { Answer, useAnswer } from "./answer.tsx";
import { Content } from "./content.tsx";
import { MessagePayload } from "./message-payload.tsx";
import { answerOf, Copy, Loading, Time } from "./parts.tsx";
import { usePortal } from "./portal-context.ts";
import { ActionProblem, LoadProblem, Retryable } from "./problem.tsx";
import { linkTo } from "./route.ts";
import { useAction } from "./use-action.ts";
import { useLoaded } from "./use-loaded.ts";

interface AttemptDetailProps {
  readonly attempt: MessageAttemptOut;
  readonly resent: () => void;
}

export function AttemptDetail({ attempt, resent }: AttemptDetailProps) {
  const { appId, may } = usePortal();
  return (
    <div className="detail">
      <dl className="facts">
        <dt>Message</dt>
        <dd>
          <a href={linkTo(appId, "messages", attempt.msgId)}>
            <code>{attempt.msgId}</code>
          </a>
          <Copy text={attempt.msgId} what="message id" />
        </dd>
        <dt>Attempt</dt>
        <dd>
          <code>{attempt.id}</code>
        </dd>
        <dt>Sent to</dt>
        <dd>
          <code className="wrap">{attempt.url}</code>
        </dd>
        <dt>Tried</dt>
        <dd>
          <span>
            <Time at={attempt.timestamp} />, {attempt.triggerType === 1 ? "manually" : "automatically"}
          </span>
        </dd>
      </dl>
      {may("CreateAttempts") && <Resend attempt={attempt} resent={resent} />}
      <Retryable>
        <Exchange attempt={attempt} />
      </Retryable>
    </div>
  );
}

function Resend({ attempt, resent }: AttemptDetailProps) {
  const { resendAttempt } = useAttemptFunctions(attempt);
  const answer = useAnswer(attempt.msgId, attempt.endpointId, resent);
  const resend = useAction(async () => {
    await answer.await(async () => {
      await resendAttempt();
      return null;
    });
  });
  return (
    <div className="actions">
      <button
        type="button"
        className="button"
        disabled={resend.busy || answer.state === "waiting"}
        onClick={resend.run}
      >
        Send again
      </button>
      <Answer answer={answer} />
      <ActionProblem error={resend.error} />
    </div>
  );
}

interface SentHeaders {
  readonly sentHeaders: { readonly [name: string]: string };
  readonly responseHeaders: readonly (readonly [string, string])[] | null;
  readonly sensitive: readonly string[];
}

function Exchange({ attempt: { msgId, id, responseStatusCode } }: Pick<AttemptDetailProps, "attempt">) {
  const { appId, call } = usePortal();
  const { svix } = useSvix();
  const headers = useLoaded(
    useCallback(
      () => call<SentHeaders>("GET", `/app/${appId}/msg/${msgId}/attempt/${id}/headers`),
      [call, appId, msgId, id],
    ),
  );
  const attempt = useLoaded(useCallback(() => svix.messageAttempt.get(appId, msgId, id), [svix, appId, msgId, id]));
  if (headers.error !== undefined) return <LoadProblem error={headers.error} />;
  if (attempt.error !== undefined) return <LoadProblem error={attempt.error} />;
  if (headers.data === undefined || attempt.data === undefined) return <Loading rows={2} />;
  const { sentHeaders, sensitive, responseHeaders } = headers.data;
  return (
    <div className="exchange">
      <section aria-label="Request">
        <h3>Request</h3>
        <HeaderTable
          headers={[...Object.entries(sentHeaders), ...sensitive.map((name): [string, string] => [name, "••••••"])]}
        />
        <MessagePayload messageId={msgId} />
      </section>
      <section aria-label="Response">
        <h3>
          Response <span className="quiet">{answerOf(responseStatusCode)}</span>
        </h3>
        <HeaderTable headers={responseHeaders ?? []} />
        {attempt.data.response === "" ? (
          <p className="quiet">The response had no body.</p>
        ) : (
          <Content label={responseStatusCode === 0 ? "Reason" : "Response body"} text={attempt.data.response} />
        )}
      </section>
    </div>
  );
}

function HeaderTable({ headers }: { readonly headers: readonly (readonly [string, string])[] }) {
  if (headers.length === 0) return null;
  return (
    <details className="headers">
      <summary>
        {headers.length} {headers.length === 1 ? "header" : "headers"}
      </summary>
      <dl>
        {headers.map(([name, value], i) => (
          // A header may be there twice, so its name tells it from no other.
          <div key={i}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
    </details>
  );
}
