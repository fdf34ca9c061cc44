export type Json = null | boolean | number | string | readonly Json[] | JsonObject;
export interface JsonObject {
  readonly [key: string]: Json | undefined;
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Objects are merged key by key, at every depth; anything else in `over`, null and arrays included, replaces. */
export function deepMerge(base: JsonObject, over: JsonObject): JsonObject {
  const merged: Record<string, Json | undefined> = { ...base };
  for (const [key, value] of Object.entries(over)) {
    // Assigning `__proto__` would set the prototype instead of a key.
    if (value === undefined || key === "__proto__") continue;
    const old = Object.hasOwn(merged, key) ? merged[key] : undefined;
    merged[key] = isObject(value) && isObject(old) ? deepMerge(old, value) : value;
  }
  return merged;
}

/** Names and the plain values they are to have. */
export interface Pairs {
  readonly [key: string]: null | boolean | number | string;
}

/** So many characters of a text are compared; of what is longer only its beginning counts. */
export const COMPARED_CHARS = 256;

/** Whether the object has each of the pairs as its own: the same type and the same value, "1" being no 1. */
export function hasPairs(object: JsonObject, pairs: Pairs): boolean {
  for (const [key, wanted] of Object.entries(pairs)) {
    const value = Object.hasOwn(object, key) ? object[key] : undefined;
    if ((typeof value === "string" ? beginningOf(value) : value) !== wanted) return false;
  }
  return true;
}

/** Counted in code points, as databases count. */
function beginningOf(text: string): string {
  return text.length <= COMPARED_CHARS ? text : Array.from(text).slice(0, COMPARED_CHARS).join("");
}
