/**
 * Lists by creation, newest first, that can be walked both ways. Things of one moment are told apart by names, so that
 * each comes once; a key (`keyInTime`) holds both and stays good whatever is added or removed.
 */
import type { Page } from "../engine/ports.ts";
import { Refusal } from "../engine/refusal.ts";
import type { Walk } from "../engine/workflow/ports.ts";
import type { Value } from "./database.ts";
import { pageOf } from "./text.ts";

/** What a statement needs to read one row more than `walk.limit` in the direction that is walked. */
export interface WalkingInTime {
  /** Empty, or to be put behind other conditions: it begins with `and`. */
  readonly where: string;
  readonly params: readonly Value[];
  readonly orderBy: string;
  readonly limit: number;
}

/**
 * @param names columns of the names in a key, in their order; null for one that is the same throughout the list and so
 *   left to the statement's other conditions.
 * @throws Refusal("invalid") when a key is none.
 */
export function walkingInTime(walk: Walk, time: string, names: readonly (string | null)[]): WalkingInTime {
  const { after = null, before = null, limit } = walk;
  const columns = [time, ...names.filter((name) => name !== null)];
  const params: Value[] = [];
  let where = "";
  for (const [field, key, sign] of [
    ["after", after, "<"],
    ["before", before, ">"],
  ] as const) {
    if (key === null) continue;
    const [at, ...named] = partsOf(field, key, names.length);
    where += ` and (${columns.join(", ")}) ${sign} (${columns.map(() => "?").join(", ")})`;
    params.push(at, ...named.filter((_, i) => names[i] !== null));
  }
  const order = isUpwards(walk) ? "asc" : "desc";
  return { where, params, orderBy: columns.map((column) => `${column} ${order}`).join(", "), limit: limit + 1 };
}

/** Makes a page of what such a statement found. */
export function pageInTime<T>(found: readonly T[], walk: Walk, key: (item: T) => string): Page<T> {
  const page = pageOf(found, walk.limit, key);
  return isUpwards(walk) ? { ...page, items: [...page.items].reverse() } : page;
}

function isUpwards({ after = null, before = null }: Walk): boolean {
  return before !== null && after === null;
}

function partsOf(field: string, key: string, names: number): readonly [number, ...string[]] {
  const parts = parsed(key);
  const [at, ...named] = Array.isArray(parts) ? (parts as readonly unknown[]) : [];
  const isKey = Number.isSafeInteger(at) && named.length === names && named.every((name) => typeof name === "string");
  if (!isKey) throw new Refusal("invalid", `${field}: the key of a page was expected`, { field });
  return [at as number, ...(named as string[])];
}

function parsed(key: string): unknown {
  try {
    return JSON.parse(key);
  } catch {
    return null;
  }
}
