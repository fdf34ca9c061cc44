/**
 * Pushes to browsers, through whichever push service each of them subscribed at. One delivery goes to all browsers of
 * its user. It is sent when one of them was reached: to repeat it for the others would show it twice there.
 */
import type { Delivery, DeviceToken, Outcome, Provider } from "../../engine/model.ts";
import type { Sender } from "../../engine/ports.ts";
import { Refusal } from "../../engine/refusal.ts";
import type { Clock, Millis } from "../../lib/clock.ts";
import { isObject, type Json, type JsonObject } from "../../lib/json.ts";
import type { OutboundResult } from "../http-exchange.ts";
import type { Outbound } from "../late.ts";
import { pushPayload } from "../payload.ts";
import { webhookOutcome } from "../webhook/webhook.ts";
import { encryptPush, MAX_PLAIN_BYTES, type SubscriptionKeys, subscriptionKeys } from "./web-push-encryption.ts";
import { Vapid } from "./web-push-vapid.ts";

/** What a person is to see of a push: the rendered content with the overrides laid over it. */
export interface PushShown {
  readonly title: string;
  readonly body: string;
  readonly icon: string | null;
  readonly imageUrl: string | null;
  readonly clickUrl: string | null;
  readonly data: JsonObject;
}

/** What the page's service worker is sent. */
export interface PushMessage {
  /** At most as many bytes as were allowed. */
  readonly text: string;
  /** When it is of no use any more; null when it always is. */
  readonly until: Millis | null;
}

/** Spells a push for service workers: whose they are, the channel does not know. */
export type DescribePush = (delivery: Delivery, shown: PushShown, maxBytes: number) => PushMessage;

export interface WebPushDeps {
  readonly http: Outbound;
  readonly clock: Clock;
  readonly describePush: DescribePush;
}

/** As long as push services keep anything. */
const LONGEST_MS: Millis = 28 * 24 * 3_600_000;
const GONE = new Set([404, 410]);

/** The user's browsers; null when there are none. Phones' tokens and subscriptions without keys are left to others. */
export function webPushAddress(devices: readonly DeviceToken[], now: Millis): JsonObject | null {
  const subscriptions = devices.flatMap((device): JsonObject[] => {
    const usable = device.state === "active" && (device.expiresAt === null || device.expiresAt > now);
    if (!usable || device.provider !== "web-push") return [];
    const { public_key: p256dh, auth_token: auth } = device.properties ?? {};
    if (subscriptionKeys(p256dh, auth) === null) return [];
    return [{ endpoint: device.token, p256dh: p256dh as string, auth: auth as string }];
  });
  return subscriptions.length === 0 ? null : { subscriptions };
}

/** @throws Refusal("invalid") when the settings' keys are no pair. */
export function openWebPush(provider: Provider, { http, clock, describePush }: WebPushDeps): Sender {
  const { vapid_public_key: publicKey, vapid_private_key: privateKey, subject } = provider.settings;
  const vapid = new Vapid(
    { publicKey: String(publicKey), privateKey: String(privateKey), subject: String(subject) },
    clock,
  );
  return {
    async send({ delivery, signal }) {
      let message: PushMessage;
      try {
        message = describePush(delivery, shownOf(delivery), MAX_PLAIN_BYTES);
      } catch (error) {
        if (!(error instanceof Refusal)) throw error;
        return { kind: "rejected", reason: error.message };
      }
      const now = clock.now();
      if (message.until !== null && message.until <= now) return { kind: "rejected", reason: "it has expired" };
      const text = Buffer.from(message.text);
      const ttl = String(Math.ceil(Math.min((message.until ?? Number.POSITIVE_INFINITY) - now, LONGEST_MS) / 1000));
      const push = async ({ endpoint, keys }: Subscription): Promise<Tried> => {
        const origin = URL.parse(endpoint)?.origin;
        const body = origin === undefined ? null : encryptPush(text, keys);
        if (origin === undefined || body === null) {
          return { endpoint, gone: true, outcome: { kind: "rejected", reason: "no subscription of a browser" } };
        }
        const headers = {
          authorization: vapid.authorization(origin),
          "content-encoding": "aes128gcm",
          "content-type": "application/octet-stream",
          ttl,
        };
        const result = await http.request({ method: "POST", url: endpoint, headers, body, signal });
        return triedOf(endpoint, result, clock.now());
      };
      return together(await Promise.all(subscriptionsOf(delivery).map(push)));
    },
  };
}

interface Subscription {
  readonly endpoint: string;
  readonly keys: SubscriptionKeys;
}

/** What one try at one browser came to. */
interface Tried {
  readonly endpoint: string;
  /** Nothing will ever arrive there again. */
  readonly gone: boolean;
  readonly outcome: Outcome;
}

function subscriptionsOf({ address }: Delivery): readonly Subscription[] {
  const { subscriptions } = address;
  if (!Array.isArray(subscriptions)) return [];
  return (subscriptions as readonly Json[]).flatMap((one) => {
    const keys = isObject(one) ? subscriptionKeys(one.p256dh, one.auth) : null;
    return keys === null || !isObject(one) || typeof one.endpoint !== "string"
      ? []
      : [{ endpoint: one.endpoint, keys }];
  });
}

/** An answer means what it means of a webhook, but for a subscription that has ended. */
function triedOf(endpoint: string, result: OutboundResult, now: Millis): Tried {
  const gone = result.kind === "answered" && GONE.has(result.status);
  return { endpoint, gone, outcome: webhookOutcome(result, now) };
}

/** Pure: what the tries at all browsers come to. */
function together(tried: readonly Tried[]): Outcome {
  const gone = tried.filter((one) => one.gone).map((one) => one.endpoint);
  const dead = gone.length === 0 ? {} : { deadTokens: gone };
  const outcomes = tried.map((one) => one.outcome);
  const sent = outcomes.find((outcome) => outcome.kind === "sent");
  if (sent !== undefined) {
    const reached = outcomes.filter((outcome) => outcome.kind === "sent").length;
    return { ...sent, ...dead, reference: { reached, of: tried.length } };
  }
  const worthAnother = outcomes.find((outcome) => outcome.kind === "failed");
  if (worthAnother !== undefined) return worthAnother;
  const rejected = outcomes.find((outcome) => outcome.kind === "rejected");
  return { ...(rejected ?? { kind: "rejected", reason: "no subscription of a browser" }), ...dead };
}

function shownOf(delivery: Delivery): PushShown {
  const { title, body, icon, imageUrl, clickAction, data } = pushPayload(delivery);
  return {
    title: textIn(title) ?? "",
    body: textIn(body) ?? "",
    icon: textIn(icon),
    imageUrl: textIn(imageUrl),
    clickUrl: textIn(clickAction),
    data: isObject(data) ? data : {},
  };
}

function textIn(value: Json | undefined): string | null {
  return typeof value === "string" ? value : null;
}
