/** Attempts, and how messages fare at endpoints, as callers see them. */
import type { AppEndpoint, AppMessage, EndpointAttempt, EndpointMessage } from "../../engine/webhooks/model.ts";
import { isSensitive } from "../../engine/webhooks/sensitive-headers.ts";
import type { Millis } from "../../lib/clock.ts";
import { timeOf } from "../../lib/ids.ts";
import { showEndpoint } from "./endpoint-fields.ts";
import { showHeaders } from "./header-rules.ts";
import { ksuid } from "./ids.ts";
import { type JsonText, messageMembers } from "./message-views.ts";
import { timestamp, timestampOrNull } from "./wire.ts";

/** Svix's numbers for how a message or an attempt fares. */
export const SUCCESS = 0;
export const PENDING = 1;
export const FAIL = 2;
export const SENDING = 3;
export const CANCELED = 4;
export const STATUSES = [SUCCESS, PENDING, FAIL, SENDING, CANCELED] as const;
export type Status = (typeof STATUSES)[number];

const STATUS_TEXT = ["success", "pending", "fail", "sending", "canceled"] as const;

/** What stands in the place of a response that was thrown away. */
const EXPUNGED = "EXPUNGED";
const NOT_ASKED_FOR = "{}";

export interface AttemptView {
  readonly withContent: boolean;
  /** Whether what a transformation canceled is called so; otherwise it counts as a success. */
  readonly expanded: boolean;
}

/** @param message text of the attempt's message, to be shown inside of it. */
export function attemptText(
  attempt: EndpointAttempt,
  { withContent, expanded }: AttemptView,
  message: JsonText | null = null,
): JsonText {
  const status = outcomeStatus(attempt.outcome, expanded);
  const text = JSON.stringify({
    url: attempt.url,
    response: withContent ? (attempt.response ?? EXPUNGED) : NOT_ASKED_FOR,
    responseStatusCode: attempt.statusCode,
    responseDurationMs: Math.max(0, attempt.endedAt - attempt.startedAt),
    status,
    statusText: STATUS_TEXT[status],
    triggerType: attempt.trigger === "manual" ? 1 : 0,
    msgId: ksuid("msg", attempt.messageId),
    endpointId: ksuid("ep", attempt.endpointId),
    id: ksuid("atmpt", attempt.id),
    // By which lists are walked and cut, so that whoever walks by these times leaves none out.
    timestamp: timestamp(timeOf(attempt.id)),
  });
  return message === null ? text : `${text.slice(0, -1)},"msg":${message}}`;
}

function outcomeStatus(outcome: EndpointAttempt["outcome"], expanded: boolean): Status {
  if (outcome === "canceled") return expanded ? CANCELED : SUCCESS;
  return outcome === "sent" ? SUCCESS : FAIL;
}

/** The outcomes that are shown with a status; none when none is. */
export function outcomesOf(status: Status, expanded: boolean): readonly EndpointAttempt["outcome"][] {
  switch (status) {
    case SUCCESS:
      return expanded ? ["sent"] : ["sent", "canceled"];
    case FAIL:
      return ["failed"];
    case CANCELED:
      return expanded ? ["canceled"] : [];
    default:
      return [];
  }
}

const PAIR_STATUS: { readonly [status in EndpointMessage["status"]]: Status } = {
  sent: SUCCESS,
  failed: FAIL,
  trying: SENDING,
  canceled: CANCELED,
};

/** As `outcomesOf`, of messages at an endpoint. */
export function pairStatusesOf(status: Status, expanded: boolean): readonly EndpointMessage["status"][] {
  if (status === SENDING) return ["trying"];
  return outcomesOf(status, expanded);
}

/** A message with how it fares at one endpoint. */
export function endpointMessageText(
  { pair, message }: { readonly pair: EndpointMessage; readonly message: AppMessage },
  { withContent, expanded }: AttemptView,
  now: Millis,
): JsonText {
  const status = pair.status === "canceled" && !expanded ? SUCCESS : PAIR_STATUS[pair.status];
  const fares = statusMembers(status, pair.nextAt);
  return `{${messageMembers(message, withContent, now)},${JSON.stringify(fares).slice(1)}`;
}

/** An endpoint with how one message fares there: what the latest try came to, also while there are more to come. */
export function showMessageEndpoint(endpoint: AppEndpoint, pair: EndpointMessage, expanded: boolean) {
  const status = pair.status === "trying" ? FAIL : pair.status === "canceled" && !expanded ? SUCCESS : null;
  return { ...showEndpoint(endpoint), ...statusMembers(status ?? PAIR_STATUS[pair.status], pair.nextAt) };
}

function statusMembers(status: Status, nextAt: Millis | null) {
  return { status, statusText: STATUS_TEXT[status], nextAttempt: timestampOrNull(nextAt) };
}

/** What was sent and what came back beside the bodies; values that are nobody's business are left out. */
export function showAttemptHeaders({ sentHeaders, responseHeaders }: EndpointAttempt) {
  const { headers, sensitive } = showHeaders(sentHeaders);
  return {
    sentHeaders: headers,
    // Attempts of earlier versions have them.
    responseHeaders: responseHeaders?.filter(([name]) => !isSensitive(name)) ?? null,
    sensitive,
  };
}
