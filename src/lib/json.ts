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
