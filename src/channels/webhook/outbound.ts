/** Tells an endpoint of an event: the stored text, signed anew for every try. */
import { createHmac } from "node:crypto";
import type { Outcome, Provider } from "../../engine/model.ts";
import type { ProviderKind, RetrySchedule, Sender } from "../../engine/ports.ts";
import type { Clock, Millis } from "../../lib/clock.ts";
import type { OutboundResult } from "../http-exchange.ts";
import type { Outbound } from "../late.ts";
import { webhookOutcome } from "./webhook.ts";

/**
 * Courier's documented schedule: it ends with the 296th try, within three days. No jitter: these are the
 * waits that receivers are told to expect.
 */
export const OUTBOUND_SCHEDULE: RetrySchedule = {
  waitsMs: [5, 10, 20, 40, 60, 120, 240, 480, 720, 900].map((seconds) => seconds * 1000) as [Millis, ...Millis[]],
  jitter: 0,
  maxAttempts: 296,
};

/** Receivers are to answer quickly; one that hangs must not keep a place from other deliveries for long. */
const TIMEOUT_MS: Millis = 10_000;

/** A kind of provider that nobody can configure or be routed to: its providers are the endpoints. */
export function outboundWebhookKind(deps: { readonly http: Outbound; readonly clock: Clock }): ProviderKind {
  return {
    provider: "outbound-webhook",
    channel: "webhook",
    name: "Outbound webhook",
    description: "Tells an operator's own address what happens in the environment.",
    settings: {
      url: { type: "string", required: true, description: "Where to post." },
      secret: { type: "string", required: false, secret: true, description: "Signs what is sent." },
    },
    address: () => null,
    open: (provider) => openOutbound(provider, deps),
    retry: OUTBOUND_SCHEDULE,
  };
}

/** Posts `content.raw.body` of a delivery, byte for byte. */
function openOutbound(
  { settings }: Provider,
  { http, clock }: { readonly http: Outbound; readonly clock: Clock },
): Sender {
  const { url, secret } = settings;
  return {
    async send({ delivery, signal }) {
      const body = delivery.content.raw?.body;
      if (typeof url !== "string" || typeof body !== "string") {
        return { kind: "rejected", reason: "there is nothing to send, or nowhere to send it to" };
      }
      const headers: Record<string, string> = {
        "content-type": "application/json",
        // The same on every try, so that a receiver can tell a repetition from news.
        "idempotency-key": delivery.id,
      };
      if (typeof secret === "string") headers["courier-signature"] = signature(secret, clock.now(), body);
      const result = await http.request({ method: "POST", url, headers, body, signal, timeoutMs: TIMEOUT_MS });
      return outboundOutcome(result, clock.now());
    },
  };
}

/** `t=<ms>,signature=<hex>`: HMAC-SHA256 over the time, a dot and the body as sent. */
export function signature(secret: string, at: Millis, body: string): string {
  return `t=${at},signature=${createHmac("sha256", secret).update(`${at}.${body}`).digest("hex")}`;
}

/**
 * Any answer but 2xx is worth another try: unlike a person's webhook, which refuses one message, an operator's receiver
 * that answers 404 or 401 is one that is being set up anew. Only an address we must not reach ends it.
 */
export function outboundOutcome(result: OutboundResult, now: Millis): Outcome {
  const outcome = webhookOutcome(result, now);
  if (outcome.kind !== "rejected" || result.kind !== "answered") return outcome;
  return { kind: "failed", reason: outcome.reason, statusCode: result.status };
}
