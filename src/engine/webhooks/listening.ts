/**
 * Following an application's messages as they come in, without having an endpoint: for a developer's machine that no
 * webhook can reach. Nothing is kept of who listens: the listener holds its place itself, and may go on with any process.
 */
import type { Clock, Millis } from "../../lib/clock.ts";
import { firstIdAt } from "../../lib/ids.ts";
import type { EnvironmentId, MessageId } from "../model.ts";
import type { Bus } from "../ports.ts";
import type { AppId, AppMessage, AppMessageHead } from "./model.ts";
import type { AppMessageFilter, AppMessageStore } from "./ports.ts";

/**
 * How far somebody has listened: to every message up to `after`, and to those of `seen`.
 *
 * Ids are made before their messages are committed, so that a message may appear behind one that was heard already: a
 * slower commit, or a process whose clock is behind. For as long as that may be, single messages are remembered.
 */
export interface Place {
  readonly after: MessageId;
  readonly seen: readonly MessageId[];
}

/** Longer than a commit may take together with what clocks may differ by. */
const SETTLED_AFTER_MS: Millis = 30_000;
/** With more messages within that time the place moves on early: a listener at 150 messages a second has other worries. */
export const MOST_SEEN = 5_000;
const MOST_MESSAGES = 100;
/** Of texts in one answer, in UTF-16 units; one message is given in any case. */
const MOST_TEXT = 4_000_000;
const PAGE = 250;
/** Another process's messages are not shouted here. */
const POLL_MS: Millis = 500;
/** A busy server shouts with every commit. */
const LEAST_WAIT_MS: Millis = 40;

export type ListenFilter = Pick<AppMessageFilter, "eventTypes" | "channels">;

export interface Heard {
  /** In the order of their ids, as far as they were there. */
  readonly messages: readonly AppMessage[];
  /** To go on from. */
  readonly place: Place;
}

export interface ListeningDeps {
  readonly messages: Pick<AppMessageStore, "list" | "read">;
  readonly bus: Pick<Bus, "onLookNow">;
  readonly clock: Clock;
}

export class Listening {
  readonly #deps: ListeningDeps;
  readonly #wakers = new Set<() => void>();
  readonly #stopShouts: () => void;
  #stopped = false;

  constructor(deps: ListeningDeps) {
    this.#deps = deps;
    this.#stopShouts = deps.bus.onLookNow((work) => {
      if (work === "deliveries") for (const wake of this.#wakers) wake();
    });
  }

  /** How many wait at this moment. */
  get waiting(): number {
    return this.#wakers.size;
  }

  /** The place of somebody who wants to hear what comes from now on. */
  async begin(environmentId: EnvironmentId, appId: AppId, filter: ListenFilter): Promise<Place> {
    let after = firstIdAt("msg", this.#deps.clock.now() - SETTLED_AFTER_MS) as MessageId;
    let seen: MessageId[] = [];
    for (let more = true; more; ) {
      const page = await this.#page(environmentId, appId, filter, seen.at(-1) ?? after);
      seen.push(...page.items.map(({ id }) => id));
      more = page.more;
      const surplus = seen.length - MOST_SEEN;
      if (surplus > 0) {
        after = seen[surplus - 1] as MessageId;
        seen = seen.slice(surplus);
      }
    }
    return { after, seen };
  }

  /**
   * Messages that have come since `place`; none when none has come for `waitMs`, `signal` has ended, or the server stops.
   * Nothing is lost by asking again from an earlier place: the same messages come again.
   */
  async next(
    environmentId: EnvironmentId,
    appId: AppId,
    filter: ListenFilter,
    place: Place,
    waitMs: Millis,
    signal: AbortSignal,
  ): Promise<Heard> {
    const { clock } = this.#deps;
    const until = clock.now() + waitMs;
    for (;;) {
      const lookedAt = clock.now();
      const heard = await this.#look(environmentId, appId, filter, place);
      if (heard.messages.length > 0 || clock.now() >= until || this.#stopped || signal.aborted) return heard;
      await this.#wait(lookedAt + LEAST_WAIT_MS, Math.min(until, lookedAt + POLL_MS), signal);
    }
  }

  /** Whoever waits is answered at once. */
  stop(): void {
    this.#stopped = true;
    this.#stopShouts();
    for (const wake of this.#wakers) wake();
  }

  async #look(environmentId: EnvironmentId, appId: AppId, filter: ListenFilter, place: Place): Promise<Heard> {
    const settled = firstIdAt("msg", this.#deps.clock.now() - SETTLED_AFTER_MS) as MessageId;
    const { heads, isAll } = await this.#unseen(environmentId, appId, filter, place);
    const messages: AppMessage[] = [];
    let through = 0;
    for (let text = 0; through < heads.length && (text < MOST_TEXT || messages.length === 0); through++) {
      const message = await this.#deps.messages.read(environmentId, appId, (heads[through] as AppMessageHead).id);
      // Gone meanwhile: nobody can hear it any more.
      if (message === null) continue;
      text += (message.payload?.length ?? 0) + (message.raw?.length ?? 0);
      messages.push(message);
    }
    const given = heads.slice(0, through).map(({ id }) => id);
    // What is settled but was not given yet must stay ahead of the place.
    const last = isAll && through === heads.length ? settled : (given.at(-1) as MessageId);
    return { messages, place: placeAfter(place, given, last < settled ? last : settled) };
  }

  /** @returns at most as many as are given at once; `isAll` when there are no more. */
  async #unseen(
    environmentId: EnvironmentId,
    appId: AppId,
    filter: ListenFilter,
    { after, seen }: Place,
  ): Promise<{ readonly heads: readonly AppMessageHead[]; readonly isAll: boolean }> {
    const known = new Set(seen);
    const heads: AppMessageHead[] = [];
    for (let from = after; ; ) {
      const page = await this.#page(environmentId, appId, filter, from);
      for (const head of page.items) {
        if (known.has(head.id)) continue;
        if (heads.length === MOST_MESSAGES) return { heads, isAll: false };
        heads.push(head);
      }
      const last = page.items.at(-1);
      if (!page.more || last === undefined) return { heads, isAll: true };
      from = last.id;
    }
  }

  #page(environmentId: EnvironmentId, appId: AppId, filter: ListenFilter, after: MessageId) {
    const walk = { limit: PAGE, from: { key: after, back: false }, order: "ascending" } as const;
    return this.#deps.messages.list(environmentId, appId, filter, walk, false);
  }

  /** Until somebody shouts, but not before `earliest`; at the latest until `latest`. */
  #wait(earliest: Millis, latest: Millis, signal: AbortSignal): Promise<void> {
    const { clock } = this.#deps;
    return new Promise((resolve) => {
      let callOff = clock.wakeAt(latest, () => done());
      const done = (): void => {
        callOff();
        this.#wakers.delete(wake);
        signal.removeEventListener("abort", done);
        resolve();
      };
      const wake = (): void => {
        callOff();
        if (this.#stopped || clock.now() >= earliest) done();
        else callOff = clock.wakeAt(Math.min(earliest, latest), done);
      };
      this.#wakers.add(wake);
      signal.addEventListener("abort", done);
      if (this.#stopped || signal.aborted) done();
    });
  }
}

/** @param settled no message at or before it can appear any more, and all that are there have been given. */
function placeAfter({ after, seen }: Place, given: readonly MessageId[], settled: MessageId): Place {
  let next = settled > after ? settled : after;
  let remembered = [...seen, ...given].filter((id) => id > next);
  if (remembered.length > MOST_SEEN) {
    remembered = remembered.sort();
    const surplus = remembered.length - MOST_SEEN;
    next = remembered[surplus - 1] as MessageId;
    remembered = remembered.slice(surplus);
  }
  return { after: next, seen: remembered };
}
