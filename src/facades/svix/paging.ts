/** Svix's lists: `{data, iterator, prevIterator, done}`, walked by the id (or name) of the last or first row. */
import type { Walk, Walked } from "../../engine/webhooks/ports.ts";
import type { Millis } from "../../lib/clock.ts";
import { firstIdAt, timeOf } from "../../lib/ids.ts";
import { fromKsuid, type SvixPrefix } from "./ids.ts";
import { Fields, queryFields } from "./wire.ts";

const DEFAULT_LIMIT = 50;
const MAX_LIMIT = 250;
const DAY_MS = 86_400_000;
/** How far back lists look that are not told from when. */
const WINDOW_MS = 90 * DAY_MS;
/** Messages may be dated a little ahead when clocks differ. */
const AHEAD_MS = 3_600_000;
/** Before an iterator: backwards from that row on. */
const BACK = "-";
/** Before the iterator of a name that itself begins with the sign for backwards. */
const PLAIN = "=";
const NAME = /^[a-zA-Z0-9\-_.]{1,256}$/;

/** A walk, and what its keys begin with; null for names. */
export interface AskedWalk extends Walk {
  readonly ownPrefix: string | null;
}

export interface WalkRule {
  /** Null for lists whose keys are names. */
  readonly prefix: SvixPrefix | null;
  readonly ownPrefix: string | null;
  /** What the list has when nothing is asked for. */
  readonly order: "ascending" | "descending";
  /** Whether the query may ask for the other order. */
  readonly orderable: boolean;
}

/**
 * The page that the query asks for by `limit`, `iterator` and `order`.
 * @param query `request.query`; or fields, which then take the issues: call `done()` on them afterwards.
 * @throws Invalid when given a plain query.
 */
export function walkOf(query: unknown, rule: WalkRule): AskedWalk {
  const f = query instanceof Fields ? query : queryFields(query);
  const limit = f.integer("limit", { min: 1, max: MAX_LIMIT, default: DEFAULT_LIMIT });
  const order = rule.orderable ? f.oneOf("order", ["ascending", "descending"], { default: rule.order }) : rule.order;
  const iterator = f.text("iterator", { nullable: true, max: 1_024 });
  let from: Walk["from"] = null;
  if (iterator !== null && iterator !== "") {
    const back = iterator.startsWith(BACK);
    const key = keyIn(back ? iterator.slice(1) : iterator, rule);
    if (key === null) f.issue(["iterator"], "Expected an iterator of this list");
    else from = { key, back };
  }
  if (f !== query) f.done();
  return { limit, from, order, ownPrefix: rule.ownPrefix };
}

function keyIn(text: string, { prefix, ownPrefix }: WalkRule): string | null {
  if (prefix !== null && ownPrefix !== null) return fromKsuid(prefix, ownPrefix, text);
  const name = text.startsWith(PLAIN) ? text.slice(1) : text;
  return NAME.test(name) ? name : null;
}

export interface ListResponse<V> {
  readonly data: readonly V[];
  readonly iterator: string | null;
  readonly prevIterator: string | null;
  readonly done: boolean;
}

/** @param key the id of an item as Svix spells it, or its name. */
export function listResponse<T, V>(
  walked: Walked<T>,
  walk: Walk,
  key: (item: T) => string,
  out: (item: T) => V,
): ListResponse<V> {
  const { items, more } = walked;
  return { data: items.map(out), ...iteratorsOf(items, walk, key), done: !more };
}

/** For lists whose `data` is put together as text. */
export function iteratorsOf<T>(
  items: readonly T[],
  _walk: Walk,
  key: (item: T) => string,
): { readonly iterator: string | null; readonly prevIterator: string | null } {
  const first = items[0];
  const last = items.at(-1);
  if (first === undefined || last === undefined) return { iterator: null, prevIterator: null };
  const lastKey = key(last);
  return {
    iterator: lastKey.startsWith(BACK) ? PLAIN + lastKey : lastKey,
    prevIterator: BACK + key(first),
  };
}

export interface TimeWindow {
  /** Inclusive. */
  readonly from?: Millis;
  /** Exclusive. */
  readonly to?: Millis;
  readonly walk: AskedWalk;
}

/**
 * The stretch of time that the query asks for by `before` and `after`, both exclusive; 90 days when it names only one
 * end or none. `after` alone gives the oldest page of its stretch, so the walk then goes backwards from its beginning.
 * @param query as for `walkOf`.
 */
export function timeWindow(query: unknown, now: Millis, walk: AskedWalk): TimeWindow {
  const f = query instanceof Fields ? query : queryFields(query);
  const before = f.time("before", { nullable: true });
  const after = f.time("after", { nullable: true });
  if (f !== query) f.done();
  return windowOf(before, after, now, walk);
}

/** The same for bodies that carry the two times. */
export function windowOf(before: Millis | null, after: Millis | null, now: Millis, walk: AskedWalk): TimeWindow {
  if (after === null) {
    if (before !== null) return { from: before - WINDOW_MS, to: before, walk };
    const at = walk.from === null || walk.ownPrefix === null ? now : timeOf(walk.from.key);
    return { from: at - WINDOW_MS, to: now + AHEAD_MS, walk };
  }
  const from = after + 1;
  if (before !== null) return { from, to: before, walk };
  const to = after + WINDOW_MS;
  if (walk.from !== null || walk.ownPrefix === null) return { from, to, walk };
  return { from, to, walk: { ...walk, from: { key: firstIdAt(walk.ownPrefix, from), back: true } } };
}
