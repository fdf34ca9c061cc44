/** Filters of lists. */
import type { Budget } from "../budget.ts";
import { isEqual, jsonOf, listOf, numberOf, pathOf, plain, textOf, weighed } from "../values.ts";
import type { Call, Filter, Filters } from "./filter.ts";

function onList(body: (list: readonly unknown[], args: readonly unknown[], call: Call) => unknown): Filter {
  return (value, args, call) => {
    const list = listOf(value);
    call.budget.use(list.length);
    return body(list, args, call);
  };
}

/** The property a filter asks for, or the item itself when it asks for none. */
function of(item: unknown, property: unknown, budget: Budget): unknown {
  if (property === undefined || property === null) return plain(item);
  budget.step();
  return plain(pathOf(item, textOf(property, budget)));
}

/** Items that have the property, or have it with the value given. */
function matches([property, wanted]: readonly unknown[], { budget }: Call) {
  return (item: unknown): boolean => {
    const value = of(item, property, budget);
    budget.step();
    return wanted === undefined ? value !== null && value !== false : isEqual(value, wanted, budget);
  };
}

/** Numbers by value, texts as `fold` makes them, everything else behind in the order it came. */
function sorted(
  list: readonly unknown[],
  property: unknown,
  budget: Budget,
  fold: (text: string) => string,
): unknown[] {
  const keyed = list.map((item) => {
    const key = of(item, property, budget);
    if (typeof key === "string") budget.use(key.length);
    return { item, key: typeof key === "string" ? fold(key) : typeof key === "boolean" ? Number(key) : key };
  });
  return keyed
    .sort((a, b) => {
      budget.step();
      const [x, y] = [a.key, b.key];
      if (typeof x === "number" && typeof y === "number") return x - y;
      if (typeof x === "string" && typeof y === "string") return x < y ? -1 : x > y ? 1 : 0;
      return rank(x) - rank(y);
    })
    .map(({ item }) => item);
}

function rank(key: unknown): number {
  return typeof key === "number" ? 0 : typeof key === "string" ? 1 : 2;
}

/** What tells items apart: scalars by type and value, everything else by what it is made of. */
function identity(item: unknown, budget: Budget): string {
  const bare = plain(item);
  return typeof bare === "string" ? `s${bare}` : jsonOf(bare, budget);
}

function distinct(list: readonly unknown[], property: unknown, budget: Budget): unknown[] {
  const seen = new Set<string>();
  return list.filter((item) => {
    const key = identity(of(item, property, budget), budget);
    return !seen.has(key) && seen.add(key);
  });
}

export const LIST_FILTERS: Filters = {
  join: (value, [separator], { budget }) => {
    const texts = listOf(value).map((item) => textOf(item, budget));
    const between = separator === undefined ? " " : textOf(separator, budget);
    budget.text(texts.reduce((sum, text) => sum + text.length + between.length, 0));
    return texts.join(between);
  },
  first: (value) => (typeof value === "string" ? (Array.from(value.slice(0, 2))[0] ?? "") : listOf(value)[0]),
  last: (value) => (typeof value === "string" ? (Array.from(value.slice(-2)).at(-1) ?? "") : listOf(value).at(-1)),
  reverse: onList((list) => [...list].reverse()),
  sort: onList((list, [property], { budget }) => sorted(list, property, budget, (text) => text)),
  sort_natural: onList((list, [property], { budget }) => sorted(list, property, budget, (text) => text.toLowerCase())),
  map: onList((list, [property], { budget }) => list.map((item) => of(item, property ?? "", budget))),
  sum: onList((list, [property], { budget }) =>
    list.reduce<number>((sum, item) => sum + numberOf(of(item, property, budget)), 0),
  ),
  compact: onList((list, [property], { budget }) => list.filter((item) => of(item, property, budget) !== null)),
  uniq: onList((list, [property], { budget }) => distinct(list, property, budget)),
  concat: onList((list, [more], { budget }) => weighed([...list, ...listOf(more)], budget)),
  push: onList((list, [item], { budget }) => weighed([...list, item], budget)),
  unshift: onList((list, [item], { budget }) => weighed([item, ...list], budget)),
  pop: onList((list) => list.slice(0, -1)),
  shift: onList((list) => list.slice(1)),
  where: onList((list, args, call) => list.filter(matches(args, call))),
  reject: onList((list, args, call) => {
    const matching = matches(args, call);
    return list.filter((item) => !matching(item));
  }),
  find: onList((list, args, call) => list.find(matches(args, call))),
  find_index: onList((list, args, call) => {
    const place = list.findIndex(matches(args, call));
    return place < 0 ? null : place;
  }),
  has: onList((list, args, call) => list.some(matches(args, call))),
  group_by: onList((list, [property], { budget }) => {
    const groups = new Map<string, { name: unknown; items: unknown[] }>();
    for (const item of list) {
      const name = of(item, property, budget);
      const key = identity(name, budget);
      const group = groups.get(key);
      if (group === undefined) groups.set(key, { name, items: [item] });
      else group.items.push(item);
    }
    return weighed([...groups.values()], budget);
  }),
  /** What is in both, each once, in the order of the first. */
  intersect: onList((list, [other], { budget }) => {
    const others = new Set(listOf(other).map((item) => identity(item, budget)));
    return distinct(list, null, budget).filter((item) => others.has(identity(item, budget)));
  }),
};
