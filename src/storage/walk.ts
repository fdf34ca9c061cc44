/** Lists that can be walked both ways by key, as `Walk` asks for them. */
import type { Walk, Walked } from "../engine/webhooks/ports.ts";
import type { Value } from "./database.ts";

/** What a statement needs to read one more row than `walk.limit` in the direction that is walked. */
export interface Walking {
  /** Conditions to be joined by `and`; none at the beginning of the list. */
  readonly where: readonly string[];
  readonly params: readonly Value[];
  readonly orderBy: string;
  readonly limit: number;
}

export function walking(walk: Walk, column: string): Walking {
  const ascending = (walk.order === "ascending") !== (walk.from?.back ?? false);
  return {
    where: walk.from === null ? [] : [`${column} ${ascending ? ">" : "<"} ?`],
    params: walk.from === null ? [] : [walk.from.key],
    orderBy: `${column} ${ascending ? "asc" : "desc"}`,
    limit: walk.limit + 1,
  };
}

/** Makes a page of what such a statement found. */
export function walkedOf<T>(found: readonly T[], walk: Walk): Walked<T> {
  const items = found.slice(0, walk.limit);
  if (walk.from?.back === true) items.reverse();
  return { items, more: found.length > walk.limit };
}
