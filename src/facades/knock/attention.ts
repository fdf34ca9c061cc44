/**
 * Who is told that a feed has changed, and when. A topic that was quiet is told at once, with all that happens in that turn
 * of the event loop; what happens in the quarter of a second after a push becomes one more push, at its end:
 *
 *   quiet ──event──▶ (this turn) ──push──▶ waiting 250 ms ──nothing came──▶ quiet
 *                                    ▲          └──something came──┐
 *                                    └──────────────push───────────┘
 *
 * A client that is told while it fetches takes no notice, so a push for every message of a burst would leave some of them
 * unfetched until the next.
 *
 * A push carries no message, only how many there are now; each feed that is named fetches what is newer than what it has.
 */
import type { EnvironmentId, InboxItem, MessageId } from "../../engine/model.ts";
import type { InboxEvent } from "../../engine/ports.ts";
import type { WorkflowVersionId } from "../../engine/workflow/model.ts";
import type { Clock, Millis } from "../../lib/clock.ts";
import type { Subscription } from "../../realtime/connection.ts";
import { concerns, type FeedCounts, type FeedOwner, type FeedScope, takesNew } from "./feed-scope.ts";
import type { Listener } from "./joins.ts";
import { pushFrame } from "./phoenix-frames.ts";

/** A channel that a client has joined; the filter of its subscription. */
export interface JoinedFeed {
  readonly topic: string;
  readonly joinRef: string | null;
  readonly owner: FeedOwner;
  readonly listeners: readonly Listener[];
}

/** What only a lookup tells. */
export interface AttentionSources {
  counts(environmentId: EnvironmentId, scope: FeedScope, owner: FeedOwner): Promise<FeedCounts>;
  /** The key by which a feed names where the item comes from. */
  source(environmentId: EnvironmentId, item: ItemSource): Promise<string>;
}

export interface ItemSource {
  readonly messageId: MessageId;
  readonly versionId: WorkflowVersionId | null;
}

const APART_MS: Millis = 250;
/** Items whose source has to be looked up for one push; with more than that, whoever asks for a source is told. */
const MAX_LOOKUPS = 50;

type FeedSubscription = Subscription<unknown, JoinedFeed>;

/** Feeds of one connection that have something to fetch. */
interface Wanted {
  readonly sure: Set<Listener>;
  /** Those that narrow themselves to a source, with the items that may come from it. */
  readonly unsure: Map<Listener, ItemSource[]>;
}

/** Whether the event changes what the feeds of this channel show or count. */
export function isHeard(event: InboxEvent, { owner }: JoinedFeed): boolean {
  if (event.kind === "changed-all") return event.via !== "knock";
  if (event.kind === "changed") {
    // Knock's clients know what they did themselves. Interactions are not counted.
    if (event.via === "knock" || event.field === "interacted" || event.field === "clicked") return false;
  }
  const { channelIds } = owner;
  return channelIds === null || channelIds.includes(event.item.origin?.channelId ?? null);
}

/** Whether this feed is to fetch, as far as the event itself tells. */
export function concernsListener(event: InboxEvent, listener: Listener, owner: FeedOwner): boolean {
  if (event.kind === "changed-all") return true;
  if (event.kind === "added" && !takesNew(listener.scope)) return false;
  return concerns(listener.scope, owner, event.item);
}

export class Attention {
  readonly #clock: Clock;
  readonly #sources: AttentionSources;
  readonly #report: (error: unknown) => void;
  /** What is to be told next, by environment and topic; topics that are quiet are not in it. */
  readonly #waiting = new Map<string, Map<FeedSubscription, Wanted>>();

  /** @param options.report gets why a push could not be made; clients then hear with the next one. */
  constructor(options: {
    readonly clock: Clock;
    readonly sources: AttentionSources;
    readonly report: (error: unknown) => void;
  }) {
    this.#clock = options.clock;
    this.#sources = options.sources;
    this.#report = options.report;
  }

  tell(event: InboxEvent, subscription: FeedSubscription): void {
    const { listeners, owner, topic } = subscription.filter;
    const concerned = listeners.filter((listener) => concernsListener(event, listener, owner));
    if (concerned.length === 0) return;
    const { environmentId } = subscription.connection;
    const key = `${environmentId} ${topic}`;
    let batch = this.#waiting.get(key);
    if (batch === undefined) {
      batch = new Map();
      this.#waiting.set(key, batch);
      setImmediate(() => this.#flush(environmentId, key));
    }
    let wanted = batch.get(subscription);
    if (wanted === undefined) {
      wanted = { sure: new Set(), unsure: new Map() };
      batch.set(subscription, wanted);
    }
    for (const listener of concerned) note(wanted, listener, event.kind === "changed-all" ? null : event.item);
  }

  #flush(environmentId: EnvironmentId, key: string): void {
    const batch = this.#waiting.get(key);
    if (batch === undefined || batch.size === 0) {
      this.#waiting.delete(key);
      return;
    }
    this.#waiting.set(key, new Map());
    this.#clock.wakeAt(this.#clock.now() + APART_MS, () => this.#flush(environmentId, key));
    this.#push(environmentId, batch).catch(this.#report);
  }

  async #push(environmentId: EnvironmentId, batch: ReadonlyMap<FeedSubscription, Wanted>): Promise<void> {
    const counted = new Map<string, Promise<FeedCounts>>();
    const named = new Map<string, Promise<string>>();
    const counts = (scope: FeedScope, owner: FeedOwner): Promise<FeedCounts> =>
      remember(counted, JSON.stringify([scope, owner]), () => this.#sources.counts(environmentId, scope, owner));
    const source = (item: ItemSource): Promise<string> =>
      remember(named, item.versionId ?? item.messageId, () => this.#sources.source(environmentId, item));
    const pushes = [...batch].map(async ([subscription, wanted]) => {
      const { connection } = subscription;
      const { owner, topic, listeners } = subscription.filter;
      if (!connection.subscriptions.includes(subscription)) return;
      for (const [listener, items] of wanted.unsure) {
        const keys = await Promise.all(items.map(source));
        if (keys.some((key) => key === listener.scope.source)) wanted.sure.add(listener);
      }
      // In the order in which the client named them.
      const told = listeners.filter((listener) => wanted.sure.has(listener));
      if (told.length === 0) return;
      const found = await Promise.all(told.map(({ scope }) => counts(scope, owner)));
      // It may have left, or joined anew, while this was looked up: then this is not for it any more.
      if (!connection.subscriptions.includes(subscription)) return;
      const data = Object.fromEntries(
        told.flatMap(({ id }, i) => (id === null ? [] : [[id, { metadata: { ...found[i] } }] as const])),
      );
      const attn = told.flatMap(({ id }) => (id === null ? [] : [id]));
      connection.send(pushFrame(topic, "new-message", { event: "new-message", metadata: { ...found[0] }, data, attn }));
    });
    for (const result of await Promise.allSettled(pushes))
      if (result.status === "rejected") this.#report(result.reason);
  }
}

function note(wanted: Wanted, listener: Listener, item: InboxItem | null): void {
  if (wanted.sure.has(listener)) return;
  const items = wanted.unsure.get(listener) ?? [];
  if (listener.scope.source === null || item === null || items.length === MAX_LOOKUPS) {
    wanted.unsure.delete(listener);
    wanted.sure.add(listener);
    return;
  }
  items.push({ messageId: item.messageId, versionId: item.origin?.versionId ?? null });
  wanted.unsure.set(listener, items);
}

function remember<T>(known: Map<string, Promise<T>>, key: string, look: () => Promise<T>): Promise<T> {
  let found = known.get(key);
  if (found === undefined) {
    found = look();
    known.set(key, found);
  }
  return found;
}
