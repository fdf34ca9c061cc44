/**
 * What somebody wants to be notified of. A set is maps of what may be turned on and off: workflows, their categories,
 * types of channels and channels; an entry is yes, no, or conditions. What counts for a run is merged from rows:
 *
 *     without a tenant       the recipient's `default`                          over the environment's
 *     with one               the recipient's for that tenant, over the tenant's, over the environment's
 *     with one of which      as without a tenant
 *     neither has a set
 *
 * The upper row wins, leaf by leaf. A map or an entry of a lower row that holds `__strategy__: "replace"` wins over the
 * rows above it instead; it keeps that mark in what is merged. All of this is pure.
 */
import { isObject, type Json, type JsonObject } from "../../lib/json.ts";
import type { Evaluation, FailedCondition } from "./conditions.ts";
import type { Condition, Conditions } from "./model.ts";
import type { PreferenceSet, PreferenceSetting, PreferenceVerdict } from "./workflows.ts";

export const STRATEGY = "__strategy__";
export const PREFERENCE_MAPS = ["workflows", "categories", "channel_types", "channels"] as const;
export type PreferenceMap = (typeof PREFERENCE_MAPS)[number];

export interface PreferenceRows {
  /** The environment's default set. */
  readonly environment: PreferenceSet | null;
  /** The recipient's set `default`. */
  readonly own: PreferenceSet | null;
  /** Null without a tenant. */
  readonly tenant: {
    /** The tenant's default set. */
    readonly defaults: PreferenceSet | null;
    /** The recipient's set for that tenant. */
    readonly own: PreferenceSet | null;
  } | null;
}

/** The set that counts. Whether somebody wants commercial messages is only ever told by its own set `default`. */
export function resolvePreferences({ environment, own, tenant }: PreferenceRows): PreferenceSet {
  const ofTenant = tenant !== null && (tenant.defaults !== null || tenant.own !== null) ? tenant : null;
  const rows = ofTenant === null ? [environment, own] : [environment, ofTenant.defaults, ofTenant.own];
  const merged = rows.reduce<JsonObject>((below, row) => (row === null ? below : over(mapsOf(row), below)), {});
  const commercial = own?.commercial_subscribed;
  // Rows are checked when they are written, and merging keeps their shape.
  return (commercial == null ? merged : { ...merged, commercial_subscribed: commercial }) as PreferenceSet;
}

function mapsOf(set: PreferenceSet): JsonObject {
  const maps: { [name in PreferenceMap]?: JsonObject } = {};
  for (const name of PREFERENCE_MAPS) if (isObject(set[name])) maps[name] = set[name] as JsonObject;
  return maps;
}

function over(upper: JsonObject, lower: JsonObject): JsonObject {
  const merged: { [key: string]: Json | undefined } = { ...lower };
  for (const [key, value] of Object.entries(upper)) {
    if (value === undefined || key === "__proto__") continue;
    const below = Object.hasOwn(lower, key) ? lower[key] : undefined;
    if (isObject(below) && below[STRATEGY] === "replace") continue;
    merged[key] = isObject(value) && isObject(below) ? over(value, below) : value;
  }
  return merged;
}

// ——— whether a message is wanted —————————————————————————————————————————————————————————————————————————————————

export interface PreferenceQuestion {
  readonly workflow: string;
  readonly categories: readonly string[];
  readonly channelId: string;
  /** A `ChannelType`. */
  readonly channelType: string;
  /** Whether the workflow is commercial. */
  readonly commercial: boolean;
  /** Whether the workflow asks nobody. */
  readonly override: boolean;
}

export type Wanted =
  | { readonly wanted: true }
  /** `by`: where in the set that stands, for example `categories.news.channel_types.email`. */
  | { readonly wanted: false; readonly by: string; readonly failed: readonly FailedCondition[] };

const WANTED: Wanted = { wanted: true };

/**
 * Everything that the set says of the workflow, its categories and the channel has to be yes; what it does not mention is.
 * @param evaluate is called at most once, with all the conditions there are.
 * @returns a value at once unless `evaluate` has to ask somebody.
 */
export function verdict(
  set: PreferenceSet,
  question: PreferenceQuestion,
  evaluate: (conditions: Conditions) => Evaluation | Promise<Evaluation>,
): Wanted | Promise<Wanted> {
  if (question.override) return WANTED;
  const conditions: Condition[] = [];
  for (const [by, said] of sayings(set, question)) {
    if (said === false) return { wanted: false, by, failed: [] };
    if (typeof said === "object") conditions.push(...said.conditions);
  }
  if (conditions.length === 0) return WANTED;
  const judged = (evaluation: Evaluation): Wanted =>
    evaluation.holds ? WANTED : { wanted: false, by: "conditions", failed: evaluation.failed };
  const evaluation = evaluate({ all: conditions });
  return evaluation instanceof Promise ? evaluation.then(judged) : judged(evaluation);
}

type Saying = readonly [by: string, said: PreferenceVerdict];

function sayings(set: PreferenceSet, question: PreferenceQuestion): readonly Saying[] {
  const said: Saying[] = [];
  if (question.commercial && set.commercial_subscribed != null) {
    said.push(["commercial_subscribed", set.commercial_subscribed]);
  }
  const settings: readonly (readonly [string, PreferenceSetting | undefined])[] = [
    [`workflows.${question.workflow}`, entryOf(set.workflows, question.workflow)],
    ...question.categories.map((category) => [`categories.${category}`, entryOf(set.categories, category)] as const),
    ["", set],
  ];
  for (const [by, setting] of settings) {
    if (setting == null) continue;
    if (typeof setting === "boolean") {
      said.push([by, setting]);
      continue;
    }
    if (setting.conditions != null) said.push([by, { conditions: setting.conditions }]);
    const ofChannel = entryOf(setting.channels, question.channelId);
    const prefix = by === "" ? "" : `${by}.`;
    if (ofChannel != null) said.push([`${prefix}channels.${question.channelId}`, ofChannel]);
    else {
      const ofType = entryOf(setting.channel_types, question.channelType);
      if (ofType != null) said.push([`${prefix}channel_types.${question.channelType}`, ofType]);
    }
  }
  return said.map(([by, verdict]) => [by, verdictOf(verdict)]);
}

/** An object without conditions, which holds only a strategy, says nothing against it. */
function verdictOf(said: PreferenceVerdict): PreferenceVerdict {
  return typeof said === "object" && !Array.isArray(said.conditions) ? true : said;
}

function entryOf<T>(map: { readonly [name: string]: T } | null | undefined, name: string): T | undefined {
  return map != null && Object.hasOwn(map, name) ? map[name] : undefined;
}

// ——— writing —————————————————————————————————————————————————————————————————————————————————————————————————————

/**
 * What is kept after a write of a checked set: the new one instead of the old, or merged into it, where null takes an
 * entry away.
 */
export function applyWrite(
  old: PreferenceSet | null,
  written: PreferenceSet,
  persistence: "replace" | "merge",
): PreferenceSet {
  const base = persistence === "merge" && old !== null ? (old as JsonObject) : {};
  return merged(base, written as JsonObject) as PreferenceSet;
}

/** The set with one of its maps replaced. */
export function setMap(old: PreferenceSet | null, map: PreferenceMap, entries: JsonObject): PreferenceSet {
  return { ...old, [map]: entries };
}

/** The set with one entry of one of its maps replaced. */
export function setEntry(
  old: PreferenceSet | null,
  map: PreferenceMap,
  name: string,
  setting: PreferenceSetting,
): PreferenceSet {
  const entries: [string, unknown][] = Object.entries(old?.[map] ?? {}).filter(([key]) => key !== name);
  return { ...old, [map]: Object.fromEntries([...entries, [name, setting]]) };
}

function merged(base: JsonObject, written: JsonObject): JsonObject {
  const result = new Map(Object.entries(base));
  for (const [key, value] of Object.entries(written)) {
    const old = result.get(key);
    if (value === null || value === undefined) result.delete(key);
    else result.set(key, isObject(value) ? merged(isObject(old) ? old : {}, value) : value);
  }
  return Object.fromEntries(result);
}
