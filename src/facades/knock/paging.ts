/**
 * Knock's lists: `{entries | items, page_info}`. Cursors are base64url of a mark of the list and the key at which the
 * store goes on, so that one of another list, or made up, is refused.
 */
import type { Page } from "../../engine/ports.ts";
import type { Walk } from "../../engine/workflow/ports.ts";
import type { Json, JsonObject } from "../../lib/json.ts";
import { invalid } from "./errors.ts";
import type { Query } from "./query.ts";

const DEFAULT_SIZE = 50;
const MAX_SIZE = 50;

/** What of a list is asked for. `kind` is the list's mark: one or two letters. */
export interface AskedPage extends Walk {
  readonly kind: string;
  readonly after: string | null;
  readonly before: string | null;
}

/**
 * The page that the query asks for by `after`, `before` and `page_size`, which is brought into 1…50.
 * @throws KnockError 422 for a cursor that is not of this list, or a size that is no number.
 */
export function pageOf(query: Query, kind: string): AskedPage {
  const size = query.integer("page_size") ?? DEFAULT_SIZE;
  const cursor = (name: "after" | "before"): string | null => {
    const text = query.text(name);
    return text === undefined ? null : readCursor(kind, name, text);
  };
  const after = cursor("after");
  // Of both, `after` wins: that is the way lists are walked.
  return { kind, after, before: after === null ? cursor("before") : null, limit: clamp(size) };
}

function clamp(size: number): number {
  return Math.min(Math.max(1, size), MAX_SIZE);
}

export function toCursor(kind: string, key: string): string {
  return Buffer.from(`${kind}:${key}`).toString("base64url");
}

/** @throws KnockError 422 naming the parameter. */
export function readCursor(kind: string, name: string, text: string): string {
  const read = Buffer.from(text, "base64url");
  const spelled = read.toString();
  // Decoding skips what is no base64url; what was not made here does not come out the same again.
  const ours = spelled.startsWith(`${kind}:`) && read.toString("base64url") === text && !spelled.includes("\0");
  if (!ours || !Buffer.from(spelled).equals(read)) throw invalid(name, "Expected a cursor of this list");
  return spelled.slice(kind.length + 1);
}

export interface PageInfo {
  readonly __typename: "PageInfo";
  readonly after: string | null;
  readonly before: string | null;
  readonly page_size: number;
}

/**
 * @param page as the store gave it: its `next` is where the walk goes on in its direction.
 * @param keyOf of an item, the key to go on from it. Absent where keys cannot be told: there is then no way back.
 */
export function pageInfo<T>(asked: AskedPage, page: Page<T>, keyOf?: (item: T) => string): PageInfo {
  const cursor = (key: string | null | undefined): string | null =>
    key === null || key === undefined ? null : toCursor(asked.kind, key);
  const at = (index: number): string | null => {
    const item = page.items.at(index);
    return item === undefined || keyOf === undefined ? null : cursor(keyOf(item));
  };
  const backwards = asked.before !== null;
  return {
    __typename: "PageInfo",
    after: backwards ? at(-1) : cursor(page.next),
    before: backwards ? cursor(page.next) : asked.after === null ? null : at(0),
    page_size: asked.limit,
  };
}

/** @param show may look things up for the whole page at once. */
export function entriesOf<T>(
  asked: AskedPage,
  page: Page<T>,
  shown: readonly Json[],
  keyOf?: (item: T) => string,
): JsonObject {
  return { entries: shown, page_info: pageInfo(asked, page, keyOf) as unknown as JsonObject };
}

export function itemsOf<T>(
  asked: AskedPage,
  page: Page<T>,
  shown: readonly Json[],
  keyOf?: (item: T) => string,
): JsonObject {
  return { items: shown, page_info: pageInfo(asked, page, keyOf) as unknown as JsonObject };
}
