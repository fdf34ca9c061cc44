/** The elements of a template as a tree in which each has an id: giving ids, addressing, checksums. Pure. */
import { createHash } from "node:crypto";
import { Refusal } from "../../engine/refusal.ts";
import { isObject, type Json, type JsonObject } from "../../lib/json.ts";

/** Pieces of a line of text; nobody addresses them, so they get no ids. */
const PIECES: ReadonlySet<Json | undefined> = new Set(["string", "link", "img"]);
/** What a translator would change, in the order in which it goes into a checksum. */
const TRANSLATABLE = ["title", "content", "href", "src", "alt_text", "altText", "raw"] as const;

/**
 * Keeps the ids that are given and makes those that are missing.
 * @throws Refusal naming the element whose id is no text, or occurs twice.
 */
export function identified(elements: readonly Json[], newElementId: () => string, field: string): readonly Json[] {
  const seen = new Set<string>();
  const visit = (list: readonly Json[], path: string): readonly Json[] =>
    list.map((element, i) => {
      if (!isObject(element)) return element;
      const at = `${path}.${i}`;
      const given = element.id;
      if (given != null && typeof given !== "string") {
        throw new Refusal("invalid", `${at}.id: Expected a text, got ${typeof given}`, { field: `${at}.id` });
      }
      const id = given || (PIECES.has(element.type) ? undefined : newElementId());
      if (id !== undefined && seen.has(id)) {
        throw new Refusal("invalid", `${at}.id: ${JSON.stringify(id.slice(0, 60))} is the id of another element`, {
          field: `${at}.id`,
        });
      }
      if (id !== undefined) seen.add(id);
      const children = element.elements;
      return {
        ...element,
        ...(id === undefined ? {} : { id }),
        ...(Array.isArray(children) ? { elements: visit(children, `${at}.elements`) } : {}),
      };
    });
  return visit(elements, field);
}

/**
 * Changes the one element with that id, wherever it is.
 * @returns the tree with the change; null when no element has the id.
 */
export function changed(
  elements: readonly Json[],
  id: string,
  change: (element: JsonObject) => JsonObject,
): readonly Json[] | null {
  for (const [i, element] of elements.entries()) {
    if (!isObject(element)) continue;
    if (element.id === id) return elements.with(i, change(element));
    const children = element.elements;
    const inside = Array.isArray(children) ? changed(children, id, change) : null;
    if (inside !== null) return elements.with(i, { ...element, elements: inside });
  }
  return null;
}

/** MD5, in hex, of what a translator would change in an element; not of the elements in it that have ids of their own. */
export function checksumOf(fields: JsonObject): string {
  return createHash("md5")
    .update(JSON.stringify(translatable(fields)))
    .digest("hex");
}

function translatable(fields: JsonObject): Json {
  const own: Json[] = TRANSLATABLE.filter((name) => fields[name] != null).map((name) => [name, fields[name] as Json]);
  const children = fields.elements;
  if (!Array.isArray(children)) return own;
  const pieces = children.filter((child): child is JsonObject => isObject(child) && PIECES.has(child.type));
  return pieces.length === 0 ? own : [...own, ["elements", pieces.map(translatable)]];
}

/** The tree with a checksum at each element and at each of its locales. */
export function withChecksums(elements: readonly Json[]): readonly Json[] {
  return elements.map((element) => {
    if (!isObject(element)) return element;
    const { elements: children, locales } = element;
    return {
      ...element,
      checksum: checksumOf(element),
      ...(Array.isArray(children) ? { elements: withChecksums(children) } : {}),
      ...(isObject(locales) ? { locales: localesWithChecksums(locales) } : {}),
    };
  });
}

function localesWithChecksums(locales: JsonObject): JsonObject {
  return Object.fromEntries(
    Object.entries(locales).map(([locale, fields]) => [
      locale,
      isObject(fields) ? { ...fields, checksum: checksumOf(fields) } : fields,
    ]),
  );
}

/** Every element that has an id, with its checksum, in the order of the document. */
export function checksums(elements: readonly Json[]): readonly { readonly id: string; readonly checksum: string }[] {
  return elements.flatMap((element) => {
    if (!isObject(element)) return [];
    const { id, elements: children } = element;
    const own = typeof id === "string" ? [{ id, checksum: checksumOf(element) }] : [];
    return Array.isArray(children) ? [...own, ...checksums(children)] : own;
  });
}
