/**
 * The `Idempotency-Key` of POSTs; the SDKs send one with each. The first 2xx is kept and given again, to the same token
 * and address, whatever the body; anything else leaves the key free:
 *
 *   (free) ──begin──▶ begun ──2xx──▶ answered ──(12 hours and more)──▶ (free)
 *     ▲                 └──anything else, or 5 s without an answer──┐
 *     └──────────────────────────────────────────────────────────────┘
 *
 * A repetition that comes while the first call is under way waits for its answer. A route that keeps the key in the
 * commit of its own work says `idempotency: "own"` and asks `idempotencyOf`.
 */
import { hash } from "node:crypto";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { EnvironmentId } from "../../engine/model.ts";
import type { StoredAnswer } from "../../engine/ports.ts";
import type { Clock, Millis } from "../../lib/clock.ts";
import type { Svix } from "./svix.ts";

export interface IdempotencyKey {
  /** Of the token and the address. */
  readonly scope: string;
  readonly key: string;
  readonly expiresAt: Millis;
}

declare module "fastify" {
  interface FastifyRequest {
    /** Set while this request holds a key that it began. */
    svixKey: HeldKey | null;
  }
}

export interface HeldKey {
  readonly environmentId: EnvironmentId;
  readonly scope: string;
  readonly key: string;
  /** Tells those in this process that wait for it. */
  readonly release: () => void;
}

const KEPT_MS = 25 * 3_600_000;
/** The first call has so long; then a repetition takes its place. */
const ABANDONED_AFTER_MS = 5_000;
/** How often to look for an answer that another process owes. */
const POLL_MS = 50;
/** A longer key is replaced by its hash: it is part of an index. */
const MAX_KEY_LENGTH = 200;
/** A larger answer is not kept: only lists get that large, and they change nothing. */
const MAX_ANSWER_LENGTH = 1_000_000;

/** The key that a POST carries, or null when it carries none. */
export function idempotencyOf(request: FastifyRequest, now: Millis): IdempotencyKey | null {
  const key = request.headers["idempotency-key"];
  const { authorization } = request.headers;
  if (request.method !== "POST" || typeof key !== "string" || key === "" || authorization === undefined) return null;
  return {
    scope: `svix ${hash("sha256", `${authorization}\n${request.url}`, "base64url")}`,
    key: key.length <= MAX_KEY_LENGTH ? key : hash("sha256", key, "hex"),
    expiresAt: now + KEPT_MS,
  };
}

/** Must be called after `addAuthentication`. */
export function addIdempotency(scope: FastifyInstance, svix: Svix): void {
  const { clock, log } = svix;
  const { idempotency } = svix.engine;
  /** Calls of this process that hold a key. */
  const underWay = new Map<string, Promise<void>>();
  scope.decorateRequest("svixKey", null);

  async function begin(environmentId: EnvironmentId, asked: IdempotencyKey): Promise<HeldKey | StoredAnswer> {
    const { scope: of, key, expiresAt } = asked;
    const name = `${environmentId} ${of} ${key}`;
    // Of several calls of this process one asks the store; the others hear of it without a look at the clock.
    for (let first = underWay.get(name); first !== undefined; first = underWay.get(name)) {
      if (!(await isOver(clock, first))) break;
    }
    const release = announce(underWay, name);
    try {
      for (;;) {
        const now = clock.now();
        const taken = await idempotency.begin(environmentId, of, key, now, expiresAt, ABANDONED_AFTER_MS);
        if (taken.kind === "begun") return { environmentId, scope: of, key, release };
        if (taken.kind === "replayed") {
          release();
          return taken.answer;
        }
        await new Promise<void>((resolve) => clock.wakeAt(now + POLL_MS, resolve));
      }
    } catch (error) {
      release();
      throw error;
    }
  }

  // For calls without a key neither hook may cost a turn through the queue of promises.
  scope.addHook("preHandler", (request, reply, done) => {
    const caller = request.svixCaller;
    if (request.method !== "POST" || caller === null || request.routeOptions.config.idempotency === "own")
      return done();
    const asked = idempotencyOf(request, clock.now());
    if (asked === null) return done();
    begin(caller.environment.id, asked).then((taken) => {
      if ("release" in taken) {
        request.svixKey = taken;
        done();
      } else answer(reply, taken);
    }, done);
  });

  const finish = async (held: HeldKey, request: FastifyRequest, status: number, payload: unknown): Promise<void> => {
    const { environmentId, scope: of, key, release } = held;
    const body = typeof payload === "string" ? payload : "";
    const keeps = status >= 200 && status < 300 && body.length <= MAX_ANSWER_LENGTH;
    try {
      if (keeps) await idempotency.finish(environmentId, of, key, { status, body });
      else await idempotency.abandon(environmentId, of, key);
    } catch (error) {
      // What the call did is done, so its answer goes out; a repetition has to wait until the key counts as abandoned.
      log.error({ err: error, requestId: request.id }, "idempotency.failed");
    } finally {
      release();
    }
  };

  scope.addHook("onSend", (request, reply, payload, done) => {
    const held = request.svixKey;
    if (held === null) return done(null, payload);
    request.svixKey = null;
    finish(held, request, reply.statusCode, payload).then(() => done(null, payload), done);
  });
}

/** Gives a kept answer. */
export function answer(reply: FastifyReply, { status, body }: StoredAnswer): void {
  reply.code(status);
  if (body === "") reply.send();
  else reply.type("application/json; charset=utf-8").send(body);
}

/** @returns what is to be called when the call is over. */
function announce(underWay: Map<string, Promise<void>>, name: string): () => void {
  const { promise, resolve } = Promise.withResolvers<void>();
  underWay.set(name, promise);
  return () => {
    // Another call may have taken its place when it took too long.
    if (underWay.get(name) === promise) underWay.delete(name);
    resolve();
  };
}

/** Waits for a call under way, as long as it may take. @returns false when it took longer. */
function isOver(clock: Clock, call: Promise<void>): Promise<boolean> {
  return new Promise((resolve) => {
    const callOff = clock.wakeAt(clock.now() + ABANDONED_AFTER_MS + 1, () => resolve(false));
    call.then(() => {
      callOff();
      resolve(true);
    });
  });
}
