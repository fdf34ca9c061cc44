/**
 * Pushes to browsers, through whichever push service each of them subscribed at. One delivery goes to all browsers of
 * its user, and remembers of each what came of it: another try is made only where it may still help, when that browser's
 * push service wants it. It is sent when one of them was reached and none is worth another try.
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
const NO_SUBSCRIPTION = "no subscription of a browser";

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
          return { kind: "rejected", reason: NO_SUBSCRIPTION, gone: endpoint };
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
      const before = triedBefore(delivery);
      const subscriptions = subscriptionsOf(delivery);
      const again = worthATry(subscriptions.length, before, now);
      const tries = subscriptions.map((one, i) => (again.has(i) ? push(one) : (before[i] as Tried)));
      return together(await Promise.all(tries));
    },
  };
}

interface Subscription {
  readonly endpoint: string;
  readonly keys: SubscriptionKeys;
}

/** What became of one browser: this time, or as it was kept, and then without a reason. */
interface Tried {
  readonly kind: Outcome["kind"];
  readonly reason?: string;
  readonly statusCode?: number;
  readonly notBefore?: Millis;
  /** The address, when this try showed that nothing will ever arrive there again. */
  readonly gone?: string;
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

/** In the order of the address; empty before the first try. */
function triedBefore({ reference }: Delivery): readonly Tried[] {
  const browsers = reference?.browsers;
  // Written by `kept`, and by nobody else.
  return Array.isArray(browsers) ? (browsers as unknown as readonly Tried[]) : [];
}

/** Places of those that are still to be reached and whose time has come; of all of them when nobody's has. */
function worthATry(subscriptions: number, before: readonly Tried[], now: Millis): ReadonlySet<number> {
  const open: number[] = [];
  for (let i = 0; i < subscriptions; i++) if ((before[i]?.kind ?? "failed") === "failed") open.push(i);
  const due = open.filter((i) => (before[i]?.notBefore ?? now) <= now);
  return new Set(due.length > 0 ? due : open);
}

/** An answer means what it means of a webhook, but for a subscription that has ended. */
function triedOf(endpoint: string, result: OutboundResult, now: Millis): Tried {
  const gone = result.kind === "answered" && GONE.has(result.status);
  return { ...webhookOutcome(result, now), ...(gone ? { gone: endpoint } : {}) };
}

/** Pure: what the tries at all browsers come to. */
function together(tried: readonly Tried[]): Outcome {
  const gone = tried.flatMap((one) => one.gone ?? []);
  const dead = gone.length === 0 ? {} : { deadTokens: gone };
  const sent = tried.filter(({ kind }) => kind === "sent");
  const failed = tried.filter(({ kind }) => kind === "failed");
  const reference = { reached: sent.length, of: tried.length, browsers: tried.map(kept) };
  const shown = failed.find(({ reason }) => reason !== undefined) ?? failed[0] ?? sent[0] ?? tried[0];
  const status = shown?.statusCode === undefined ? {} : { statusCode: shown.statusCode };
  if (failed.length > 0) {
    // One whose push service named no time is tried as soon as may be.
    const notBefore = Math.min(...failed.map((one) => one.notBefore ?? Number.NEGATIVE_INFINITY));
    return {
      kind: "failed",
      reason: shown?.reason ?? "a push service wanted more time",
      ...status,
      ...(Number.isFinite(notBefore) ? { notBefore } : {}),
      ...dead,
      reference,
      ...(sent.length > 0 ? { partly: true } : {}),
    };
  }
  if (sent.length > 0) return { kind: "sent", ...status, ...dead, reference };
  return { kind: "rejected", reason: shown?.reason ?? NO_SUBSCRIPTION, ...status, ...dead };
}

/** What is kept with the delivery; addresses and reasons stand elsewhere. */
function kept({ kind, statusCode, notBefore }: Tried): JsonObject {
  return {
    kind,
    ...(statusCode === undefined ? {} : { statusCode }),
    ...(kind !== "failed" || notBefore === undefined ? {} : { notBefore }),
  };
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
