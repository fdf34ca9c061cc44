/**
 * Taking back what a request sent: what waits is canceled, what lies in inboxes is deleted there, and its users can be
 * told of it until it would have expired. The recall is committed first; the rest follows in pages that may be repeated.
 *
 *   begun (the request is not expanded any further) ──page──▶ … ──page──▶ finished
 *     └── nobody at it for as long as a lease: housekeeping goes on with it, in whichever process
 */
import type { Logger } from "pino";
import type { Clock, Millis } from "../lib/clock.ts";
import type { InboxActions } from "./engine.ts";
import type { EnvironmentId, MessageId, MessageState, RequestId } from "./model.ts";
import type { Recall, Store } from "./ports.ts";

const LEASE_MS: Millis = 30_000;
const MESSAGES_AT_ONCE = 200;
/** Pages that are seen to before the caller is answered: more than one call can name recipients. */
const PAGES_BEFORE_ANSWER = 6;
const RECALLS_AT_ONCE = 4;
/** For items that never expire; also what their facade calls never. */
const NEVER: Millis = Date.UTC(2100, 0, 1);
const WAITING: ReadonlySet<MessageState> = new Set(["enqueued", "delayed", "routed"]);

export class Recalls {
  readonly #store: Store;
  readonly #inbox: InboxActions;
  readonly #clock: Clock;
  readonly #log: Logger;
  #stopping = false;
  #running = new Set<Promise<void>>();

  constructor(store: Store, inbox: InboxActions, clock: Clock, log: Logger) {
    this.#store = store;
    this.#inbox = inbox;
    this.#clock = clock;
    this.#log = log;
  }

  /** See `Engine.recall`. */
  async recall(environmentId: EnvironmentId, id: RequestId, via: string): Promise<boolean> {
    const now = this.#clock.now();
    const begun = await this.#store.recalls.begin(environmentId, id, now, now + LEASE_MS);
    if (begun === null) return false;
    if (begun === "finished") return true;
    let recall: Recall | null = begun;
    for (let i = 0; i < PAGES_BEFORE_ANSWER && recall !== null; i++) recall = await this.#page(recall, via);
    if (recall === null) return true;
    this.#watched(this.#finish(recall, via)).catch((error) => {
      this.#log.warn({ err: error, requestId: id }, "recall.interrupted");
    });
    return true;
  }

  /** Goes on with recalls that nobody is at any more. @returns how many. */
  async resume(): Promise<number> {
    const now = this.#clock.now();
    const left = await this.#store.recalls.claim(now, RECALLS_AT_ONCE, now + LEASE_MS);
    for (const recall of left) await this.#watched(this.#finish(recall, "recall"));
    return left.length;
  }

  /** What is under way ends with its page; another process, or the next start, goes on from there. */
  async stop(): Promise<void> {
    this.#stopping = true;
    await Promise.allSettled(this.#running);
  }

  #watched(work: Promise<void>): Promise<void> {
    const done = (): unknown => this.#running.delete(work);
    this.#running.add(work);
    work.then(done, done);
    return work;
  }

  async #finish(from: Recall, via: string): Promise<void> {
    let recall: Recall | null = from;
    while (recall !== null && !this.#stopping) recall = await this.#page(recall, via);
  }

  /** @returns the recall behind the page; null when that was the last. */
  async #page(recall: Recall, via: string): Promise<Recall | null> {
    const { environmentId } = recall;
    const messages = await this.#store.recalls.messages(recall, MESSAGES_AT_ONCE);
    const waiting = messages.filter((message) => WAITING.has(message.state));
    const at = this.#clock.now();
    await Promise.all(waiting.map((message) => this.#store.pipeline.cancel(environmentId, message.id, at)));
    // Only now: one that was just being planned has either been canceled or has its item.
    const ids = messages.map((message) => message.id);
    const items = (await this.#store.inbox.itemsOf(environmentId, ids)).filter(
      (item) => item.state === "delivered" && (item.expiresAt === null || item.expiresAt > at),
    );
    const marks = items.map(({ id }) => ({ deliveryId: id, field: "deleted", value: true, again: "keep" }) as const);
    await this.#inbox.change(environmentId, null, marks, { via, origin: null });
    const cursor = messages.length < MESSAGES_AT_ONCE ? null : (messages.at(-1)?.id as MessageId);
    await this.#store.recalls.advance(
      recall,
      items.map(({ userId, expiresAt }) => ({ userId, until: expiresAt ?? NEVER })),
      cursor,
      at + LEASE_MS,
    );
    return cursor === null ? null : { ...recall, cursor };
  }
}
