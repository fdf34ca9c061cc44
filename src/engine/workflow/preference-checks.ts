/** Preference sets as callers write them, checked before they are kept. */
import { isObject, type Json, type JsonObject } from "../../lib/json.ts";
import { Refusal } from "../refusal.ts";
import { checkConditionList } from "./condition-checks.ts";
import { CHANNEL_TYPES } from "./model.ts";
import { PREFERENCE_MAPS, type PreferenceMap, STRATEGY } from "./preference-sets.ts";
import type { PreferenceSet, PreferenceSetting } from "./workflows.ts";

const PERSISTENCE = "__persistence_strategy__";
/** A set is read whole for each of its recipient's runs. */
const MAX_ENTRIES = 1000;
const MAX_NAME_CHARS = 256;
/** A type of channel that has no messages here but may be preferred. */
const TYPES: readonly string[] = [...CHANNEL_TYPES, "in_app_guide"];

/**
 * Checks a set. Keys that mean nothing, `id` included, are dropped; a map or an entry that is null is kept as null only
 * within a write that merges, where it takes away.
 * @throws Refusal("invalid") with the field at fault, such as `preferences.workflows.news.channel_types.email`.
 */
export function checkPreferenceSet(value: unknown, field: string): PreferenceSet {
  if (!isObject(value)) throw refusal(field, `expected a preference set, got ${named(value)}`);
  const merges = checkPersistence(value, field) === "merge";
  const checked: { [name: string]: unknown } = {};
  for (const name of PREFERENCE_MAPS) {
    const map = value[name];
    if (map === undefined || (map === null && !merges)) continue;
    checked[name] = map === null ? null : checkPreferenceMap(name, map, at(field, name), merges);
  }
  const commercial = value.commercial_subscribed;
  if (commercial === null && merges) checked.commercial_subscribed = null;
  else if (commercial != null) {
    checked.commercial_subscribed = checkVerdict(commercial, at(field, "commercial_subscribed"));
  }
  // Each part was checked, and nulls are gone once the write is applied.
  return checked as PreferenceSet;
}

/** How the set asks to be written. @throws Refusal("invalid") when it asks for something else. */
export function checkPersistence(value: unknown, field: string): "replace" | "merge" {
  const strategy = isObject(value) ? value[PERSISTENCE] : undefined;
  if (strategy === undefined || strategy === null) return "replace";
  if (strategy === "replace" || strategy === "merge") return strategy;
  throw refusal(at(field, PERSISTENCE), `expected "replace" or "merge", got ${named(strategy)}`);
}

/** Checks one map of a set. @throws Refusal("invalid"). */
export function checkPreferenceMap(name: PreferenceMap, value: unknown, field: string, merges = false): JsonObject {
  const ofChannels = name === "channel_types" || name === "channels";
  return checkMap(value, field, merges, (entry, key, path) => {
    if (name === "channel_types") checkType(key, path);
    return ofChannels ? checkVerdict(entry, path) : checkSetting(entry, path, merges);
  });
}

/**
 * Checks one entry that is written by itself: a setting, or `{subscribed: boolean}` for yes or no.
 * @throws Refusal("invalid").
 */
export function checkPreferenceEntry(
  map: PreferenceMap,
  key: string,
  value: unknown,
  field: string,
): PreferenceSetting {
  const short = isObject(value) && typeof value.subscribed === "boolean" ? value.subscribed : value;
  // A map of one entry has just that entry.
  return checkPreferenceMap(map, Object.fromEntries([[key, short]]), field)[key] as PreferenceSetting;
}

function checkSetting(value: Json, field: string, merges: boolean): Json {
  if (typeof value === "boolean") return value;
  if (!isObject(value)) throw refusal(field, `expected a boolean or an object, got ${named(value)}`);
  const checked: { [name: string]: Json } = {};
  for (const name of ["channel_types", "channels"] as const) {
    const map = value[name];
    if (map === undefined || (map === null && !merges)) continue;
    checked[name] = map === null ? null : checkPreferenceMap(name, map, at(field, name), merges);
  }
  return { ...checked, ...conditionsOf(value, field, merges), ...strategyOf(value, field) };
}

function checkVerdict(value: Json, field: string): Json {
  if (typeof value === "boolean") return value;
  if (isObject(value) && value.conditions != null) {
    return { ...conditionsOf(value, field, false), ...strategyOf(value, field) };
  }
  throw refusal(field, `expected a boolean or an object with conditions, got ${named(value)}`);
}

function conditionsOf(value: JsonObject, field: string, merges: boolean): JsonObject {
  if (value.conditions == null) return merges && value.conditions === null ? { conditions: null } : {};
  const conditions = checkConditionList(value.conditions, at(field, "conditions"));
  for (const [index, { variable }] of conditions.entries()) {
    if (!variable.startsWith("refs.")) continue;
    throw refusal(
      `${at(field, "conditions")}[${index}].variable`,
      "expected no status of a step: preferences know none",
    );
  }
  return { conditions: conditions.map((condition) => ({ ...condition })) };
}

function strategyOf(value: JsonObject, field: string): JsonObject {
  const strategy = value[STRATEGY];
  if (strategy === undefined || strategy === null) return {};
  if (strategy === "replace" || strategy === "merge") return { [STRATEGY]: strategy };
  throw refusal(at(field, STRATEGY), `expected "merge" or "replace", got ${named(strategy)}`);
}

function checkMap(
  value: unknown,
  field: string,
  merges: boolean,
  check: (entry: Json, key: string, path: string) => Json,
): JsonObject {
  if (!isObject(value)) throw refusal(field, `expected an object, got ${named(value)}`);
  const entries = Object.entries(value).filter(([key]) => key !== STRATEGY && key !== "__proto__");
  if (entries.length > MAX_ENTRIES)
    throw refusal(field, `expected at most ${MAX_ENTRIES} entries, got ${entries.length}`);
  const checked = entries.flatMap(([key, entry]): [string, Json][] => {
    const path = at(field, key.slice(0, MAX_NAME_CHARS));
    if (key === "" || key.length > MAX_NAME_CHARS)
      throw refusal(path, `expected a key of 1 to ${MAX_NAME_CHARS} characters`);
    if (entry === undefined || (entry === null && !merges)) return [];
    return [[key, entry === null ? null : check(entry, key, path)]];
  });
  return { ...Object.fromEntries(checked), ...strategyOf(value, field) };
}

function checkType(type: string, field: string): void {
  if (!TYPES.includes(type)) throw refusal(field, `expected a type of channel: ${TYPES.join(", ")}`);
}

function at(field: string, name: string): string {
  return field === "" ? name : `${field}.${name}`;
}

function named(value: unknown): string {
  if (value === undefined || value === null) return "nothing";
  if (typeof value === "object") return Array.isArray(value) ? "a list" : "an object";
  return JSON.stringify(String(value).slice(0, 60));
}

function refusal(field: string, message: string): Refusal {
  return new Refusal("invalid", message, field === "" ? {} : { field });
}
