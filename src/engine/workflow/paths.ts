/**
 * Paths into plain JSON, as workflows write them: `data.items[0].name`, `data.items.0.name`, `data["a key"].b`. Lists are
 * reached by index, objects only by keys of their own: no path leads to a prototype.
 */
import type { Json } from "../../lib/json.ts";

/** Nobody nests further by hand; the bound keeps a path that somebody generated from costing anything. */
const MAX_SEGMENTS = 32;
const MAX_PATH_CHARS = 1000;

const SEGMENT = /([^.[\]\s"'][^.[\]]*)|\[(?:(\d{1,9})|"([^"]*)"|'([^']*)')\]/y;
const INDEX = /^(?:0|[1-9]\d{0,8})$/;

/** @returns the keys in turn; null for a text that is no path, or too long a one. */
export function parsePath(text: string): readonly string[] | null {
  if (text === "" || text.length > MAX_PATH_CHARS) return null;
  const segments: string[] = [];
  SEGMENT.lastIndex = 0;
  for (;;) {
    const at = SEGMENT.lastIndex;
    const match = SEGMENT.exec(text);
    if (match === null || segments.length === MAX_SEGMENTS) return null;
    // A bracket follows its list directly, a name only after a dot.
    if (at > 0 && (match[1] === undefined) !== (text[at - 1] !== ".")) return null;
    segments.push(match[1] ?? match[2] ?? match[3] ?? match[4] ?? "");
    if (SEGMENT.lastIndex === text.length) return segments;
    if (text[SEGMENT.lastIndex] === ".") SEGMENT.lastIndex++;
  }
}

/** @returns what lies at the end of the keys; undefined where they lead nowhere. */
export function valueAt(root: Json | undefined, segments: readonly string[]): Json | undefined {
  let value: unknown = root;
  for (const key of segments) {
    if (typeof value !== "object" || value === null) return undefined;
    if (Array.isArray(value) ? !INDEX.test(key) : !Object.hasOwn(value, key)) return undefined;
    value = (value as { readonly [key: string]: unknown })[key];
  }
  // What is reached from JSON without leaving its own keys is JSON.
  return value as Json | undefined;
}

/** What a path of one of these names leads to, such as `data.until`; undefined where it leads nowhere or is no path. */
export function resolvePath(scope: { readonly [name: string]: Json | undefined }, path: string): Json | undefined {
  const segments = parsePath(path);
  return segments === null ? undefined : valueAt(scope, segments);
}
