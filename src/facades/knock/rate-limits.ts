/**
 * The vendor's rate limits, for those who want to meet them here first; off unless `CARILLON_KNOCK_RATE_LIMITS` says
 * otherwise. Each endpoint of the public API is of one of five tiers, and has so many calls a second in one environment;
 * with a user token, and for feeds always, so many for each user. What is not used is saved up for one second. Counted in
 * each process for itself.
 */
import type { FastifyInstance } from "fastify";
import { Refusal } from "../../engine/refusal.ts";
import type { Millis } from "../../lib/clock.ts";
import { Lru } from "../../lib/lru.ts";
import { type Access, callerOf } from "./auth.ts";
import type { Knock } from "./knock.ts";

export type Tier = 1 | 2 | 3 | 4 | 5;

const CALLS_PER_SECOND: { readonly [tier in Tier]: number } = { 1: 1, 2: 5, 3: 60, 4: 200, 5: 1_000 };

/** The first that fits counts. What none fits is of tier 4 when it reads, and of tier 3 when it writes. */
const TIERS: readonly (readonly [RegExp, Tier])[] = [
  [/^POST \/workflows\/:key\/(?:trigger|cancel)$/, 5],
  [/^POST \/channels\//, 2],
  [/\/bulk\//, 1],
  [/^DELETE \/(?:users\/:user_id|tenants\/:tenant_id)$/, 2],
  [/^POST \/users\/:user_id\/merge$/, 2],
  [/^GET \/users\/:user_id\/feeds\/:channel_id$/, 2],
  [/ \/users\/:user_id\/guides\//, 2],
  [/^GET \/messages\/:message_id\/(?:events|delivery_logs)$/, 3],
  [/^(?:PUT|DELETE) \/messages\/:message_id\//, 2],
  [/^GET \/workflow_recipient_runs/, 2],
  [/ \/providers\//, 2],
];

/** @param path of a route of the public API, without `/v1`. Pure. */
export function tierOf(method: string, path: string): Tier {
  const route = `${method} ${path}`;
  return TIERS.find(([pattern]) => pattern.test(route))?.[1] ?? (method === "GET" ? 4 : 3);
}

/** What is left of a second's calls; `at` is when that was true. */
interface Bucket {
  left: number;
  at: Millis;
}

const MAX_BUCKETS = 100_000;

export class RateLimits {
  readonly #buckets = new Lru<string, Bucket>(MAX_BUCKETS);

  /** Takes one of `perSecond` calls. @returns null, or in how many milliseconds there is one again. */
  take(key: string, perSecond: number, now: Millis): Millis | null {
    let bucket = this.#buckets.get(key);
    if (bucket === undefined) {
      bucket = { left: perSecond, at: now };
      this.#buckets.set(key, bucket);
    }
    bucket.left = Math.min(perSecond, bucket.left + ((now - bucket.at) / 1000) * perSecond);
    bucket.at = now;
    if (bucket.left < 1) return Math.ceil(((1 - bucket.left) / perSecond) * 1000);
    bucket.left--;
    return null;
  }
}

/** Must be called after the callers of the scope are known, and before its routes are registered. */
export function addRateLimits(scope: FastifyInstance, { settings, clock }: Knock): void {
  if (!settings.rateLimits) return;
  const limits = new RateLimits();
  scope.addHook("onRequest", (request, _reply, done) => {
    const access = request.is404 ? "anyone" : (request.routeOptions.config.knock as Access);
    // The management API has no limits that are known.
    if (access === "anyone" || access === "management") return done();
    const { method, url = "" } = request.routeOptions;
    const path = url.replace(/^\/v1/, "");
    const { environment, user } = callerOf(request);
    const { user_id: ofPath } = request.params as { readonly user_id?: string };
    const whose = user?.id ?? (path === FEED ? ofPath : undefined);
    const key = JSON.stringify([environment.id, method, path, whose]);
    const retryAfterMs = limits.take(key, CALLS_PER_SECOND[tierOf(method as string, path)], clock.now());
    if (retryAfterMs === null) return done();
    done(new Refusal("too_many", "This was called too often within a second", { retryAfterMs }));
  });
}

const FEED = "/users/:user_id/feeds/:channel_id";
