/**
 * The `Idempotency-Key` of Courier's POSTs. The first answer is kept and given again, errors and 500s included; what
 * was turned away before anything ran (400, 401, 403, 413, 429, 503, and a call that lost a race) leaves the key free.
 *
 *   (free) ──begin──▶ begun ──finish──▶ answered ──(its time is over)──▶ (free)
 *     ▲                 ├──abandon──▶ (free)
 *     └─────────────────┘  a begun key nobody finished is free again after `ABANDONED_AFTER_MS`
 *
 * `/send` keeps its key in the commit of the request itself: its route says `idempotency: "own"` and asks
 * `idempotencyOf`.
 */
import { createHash } from "node:crypto";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { EnvironmentId } from "../../engine/model.ts";
import { Refusal } from "../../engine/refusal.ts";
import type { Millis } from "../../lib/clock.ts";
import type { Courier } from "./courier.ts";
import { parseMoment } from "./wire.ts";

declare module "fastify" {
  interface FastifyContextConfig {
    /** The route stores the answer itself. */
    idempotency?: "own";
  }
  interface FastifyRequest {
    /** Set while this request holds a key it began. */
    heldKey: HeldKey | null;
  }
}

interface HeldKey {
  readonly environmentId: EnvironmentId;
  readonly scope: string;
  readonly key: string;
}

export interface IdempotencyKey {
  /** The key counts for this endpoint only. */
  readonly scope: string;
  readonly key: string;
  readonly expiresAt: Millis;
}

const HOUR_MS = 3_600_000;
const KEPT_MS = 25 * HOUR_MS;
const LEAST_KEPT_MS = 24 * HOUR_MS;
const MOST_KEPT_MS = 366 * 24 * HOUR_MS;
const MAX_KEY_LENGTH = 255;
/** A longer scope, of a path with a long id in it, is replaced by its hash: it is part of an index. */
const MAX_SCOPE_LENGTH = 200;
/** Longer than any answer takes; a process that died in between must not block the key for a day. */
const ABANDONED_AFTER_MS = 60_000;

/**
 * The key a POST carries, or null when it carries none.
 * @throws Refusal for a key that is too long, and for an expiry that is unreadable or more than a year away.
 */
export function idempotencyOf(request: FastifyRequest, now: Millis): IdempotencyKey | null {
  const key = request.headers["idempotency-key"];
  if (request.method !== "POST" || typeof key !== "string" || key === "") return null;
  if (key.length > MAX_KEY_LENGTH) {
    throw new Refusal("invalid", `Idempotency-Key: Expected at most ${MAX_KEY_LENGTH} characters`);
  }
  return { scope: scopeOf(request), key, expiresAt: expiryOf(request.headers["x-idempotency-expiration"], now) };
}

/** Must be called after `addAuthentication`. */
export function addIdempotency(app: FastifyInstance, courier: Courier): void {
  const { idempotency, clock } = courier.engine;
  app.decorateRequest("heldKey", null);

  const begin = async (
    request: FastifyRequest,
    reply: FastifyReply,
    environmentId: EnvironmentId,
    asked: IdempotencyKey,
    now: Millis,
  ): Promise<boolean> => {
    const taken = await idempotency.begin(
      environmentId,
      asked.scope,
      asked.key,
      now,
      asked.expiresAt,
      ABANDONED_AFTER_MS,
    );
    if (taken.kind === "busy") throw new Refusal("busy", "A call with this idempotency key is still under way");
    if (taken.kind === "begun") {
      request.heldKey = { environmentId, scope: asked.scope, key: asked.key };
      return true;
    }
    const { status, body } = taken.answer;
    reply.code(status);
    if (status === 409) reply.header("x-should-retry", "false");
    if (body !== "") reply.type("application/json; charset=utf-8");
    if (body === "") reply.send();
    else reply.send(body);
    return false;
  };

  // Most calls carry no key; for them neither hook may cost a turn through the queue of promises.
  app.addHook("preHandler", (request, reply, done) => {
    if (request.principal === null || request.routeOptions.config.idempotency === "own") return done();
    const now = clock.now();
    const asked = idempotencyOf(request, now);
    if (asked === null) return done();
    begin(request, reply, request.principal.environment.id, asked, now).then((goOn) => {
      if (goOn) done();
    }, done);
  });

  const finish = async (
    held: HeldKey,
    request: FastifyRequest,
    reply: FastifyReply,
    payload: unknown,
  ): Promise<void> => {
    const kept = staysTheSame(reply.statusCode, reply.getHeader("x-should-retry") === "false");
    const body = typeof payload === "string" ? payload : "";
    try {
      await (kept
        ? idempotency.finish(held.environmentId, held.scope, held.key, { status: reply.statusCode, body })
        : idempotency.abandon(held.environmentId, held.scope, held.key));
    } catch (error) {
      // What the call did is done, so its answer goes out; a repetition within the next minute is told to wait.
      courier.log.error({ err: error, requestId: request.id }, "idempotency.failed");
    }
  };

  app.addHook("onSend", (request, reply, payload, done) => {
    const held = request.heldKey;
    if (held === null) return done(null, payload);
    request.heldKey = null;
    finish(held, request, reply, payload).then(() => done(null, payload), done);
  });
}

/** Whether the call was carried out, so that a repetition must get this very answer. */
function staysTheSame(status: number, final: boolean): boolean {
  if (status === 409) return final;
  return ![400, 401, 403, 413, 429, 501, 503].includes(status);
}

/** Method and path; and for callers other than the secret key their kind, so that none gets another's answer. */
function scopeOf(request: FastifyRequest): string {
  const path = (request.url.split("?", 1)[0] as string).replace(/(.)\/+$/, "$1");
  const principal = request.principal;
  const caller =
    principal === null || principal.kind === "secret"
      ? ""
      : `${principal.kind} ${principal.kind === "user" ? principal.userIds.join(" ") : ""} `;
  const scope = `courier ${caller}${request.method} ${path}`;
  return scope.length <= MAX_SCOPE_LENGTH ? scope : createHash("sha256").update(scope).digest("hex");
}

function expiryOf(header: string | string[] | undefined, now: Millis): Millis {
  if (typeof header !== "string" || header === "") return now + KEPT_MS;
  const at = parseMoment(header.trim());
  if (at === null || at > now + MOST_KEPT_MS) {
    throw new Refusal("invalid", "x-idempotency-expiration: Expected a date, or epoch seconds, at most a year ahead");
  }
  return Math.max(at, now + LEAST_KEPT_MS);
}
