/** Tells an endpoint what happened to what workflows send, as Knock does: the stored text, signed anew for every try. */
import { createHmac } from "node:crypto";
import type { Provider } from "../../engine/model.ts";
import type { ProviderKind, RetrySchedule, Sender } from "../../engine/ports.ts";
import { KNOCK_WEBHOOK } from "../../engine/workflow/model.ts";
import type { Clock, Millis } from "../../lib/clock.ts";
import { isObject } from "../../lib/json.ts";
import type { Outbound } from "../late.ts";
import { outboundOutcome } from "./outbound.ts";

/** Knock documents eight tries and no times; these are those of what workflows send, the last after 21 minutes. */
export const EVENT_SCHEDULE: RetrySchedule = {
  waitsMs: [10_000, 20_000, 40_000, 80_000, 160_000, 320_000, 640_000],
  jitter: 0.25,
  maxAttempts: 8,
};
const TIMEOUT_MS: Millis = 10_000;

/** A kind of provider that nobody can configure or be routed to: its providers are the endpoints. */
export function knockWebhookKind(deps: { readonly http: Outbound; readonly clock: Clock }): ProviderKind {
  return {
    provider: KNOCK_WEBHOOK,
    channel: "webhook",
    name: "Event webhook",
    description: "Tells an operator's own address what happens to messages, runs and what authors write.",
    settings: {
      url: { type: "string", required: true, description: "Where to post." },
      secret: { type: "string", required: false, secret: true, description: "Signs what is sent." },
    },
    address: () => null,
    open: (provider) => openEndpoint(provider, deps),
    retry: EVENT_SCHEDULE,
  };
}

/** Posts `content.raw.body` of a delivery, byte for byte, with `content.raw.headers`. */
function openEndpoint(
  { settings: { url, secret } }: Provider,
  { http, clock }: { readonly http: Outbound; readonly clock: Clock },
): Sender {
  return {
    async send({ delivery, signal }) {
      const { body, headers: given } = delivery.content.raw ?? {};
      if (typeof url !== "string" || typeof body !== "string") {
        return { kind: "rejected", reason: "there is nothing to send, or nowhere to send it to" };
      }
      const headers: Record<string, string> = {
        "content-type": "application/json",
        // The same on every try, so that a receiver can tell a repetition from news.
        "idempotency-key": delivery.id,
      };
      for (const [name, value] of Object.entries(isObject(given) ? given : {})) {
        if (typeof value === "string") headers[name] = value;
      }
      if (typeof secret === "string") headers["x-knock-signature"] = eventSignature(secret, clock.now(), body);
      const result = await http.request({ method: "POST", url, headers, body, signal, timeoutMs: TIMEOUT_MS });
      return outboundOutcome(result, clock.now());
    },
  };
}

/** `t=<ms>,s=<base64>`: HMAC-SHA256 over the time, a dot and the body as sent. */
export function eventSignature(secret: string, at: Millis, body: string): string {
  return `t=${at},s=${createHmac("sha256", secret).update(`${at}.${body}`).digest("base64")}`;
}
