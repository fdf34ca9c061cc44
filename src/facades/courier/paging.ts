/** Courier's pages. Cursors are our keys, wrapped so that nobody takes them for anything but opaque. */
import type { FastifyRequest } from "fastify";
import type { Page, PageQuery } from "../../engine/ports.ts";
import { Refusal } from "../../engine/refusal.ts";
import { queryText } from "./wire.ts";

const DEFAULT_LIMIT = 20;
/** Distinguishes a cursor of ours from any other base64. */
const MARK = "c:";
const MAX_CURSOR_LENGTH = 4_096;

export function toCursor(key: string): string {
  return Buffer.from(MARK + key).toString("base64url");
}

/** @throws Refusal when it is not a cursor that `toCursor` made. */
export function fromCursor(cursor: string): string {
  const text = cursor.length > MAX_CURSOR_LENGTH ? "" : Buffer.from(cursor, "base64url").toString();
  const key = text.slice(MARK.length);
  if (!text.startsWith(MARK) || key.includes("\0") || toCursor(key) !== cursor) {
    throw new Refusal("invalid", "Invalid cursor format", { field: "cursor" });
  }
  return key;
}

/**
 * The page a request asks for by `cursor` and, where the route knows it, `limit`.
 * @param limits without `max`, the query's `limit` is not looked at. A limit above `max` is lowered to it.
 * @throws Refusal for a bad cursor, and for a limit that is not a whole number of at least 1.
 */
export function pageQuery(query: unknown, limits: { readonly preset?: number; readonly max?: number } = {}): PageQuery {
  const cursor = queryText(query, "cursor");
  const after = cursor === undefined ? null : fromCursor(cursor);
  const text = limits.max === undefined ? undefined : queryText(query, "limit");
  if (text === undefined) return { after, limit: limits.preset ?? DEFAULT_LIMIT };
  if (!/^\d{1,9}$/.test(text) || Number(text) < 1) {
    throw new Refusal("invalid", "limit: Expected a whole number of at least 1", { field: "limit" });
  }
  return { after, limit: Math.min(Number(text), limits.max as number) };
}

/** Most of Courier's lists: `{paging: {more, cursor}, <name>: […]}`. */
export function pagingEnvelope<T, N extends string>(
  name: N,
  page: Page<T>,
  show: (item: T) => unknown,
): { paging: { more: boolean; cursor: string | null } } & { [key in N]: unknown[] } {
  return {
    paging: { more: page.next !== null, cursor: page.next === null ? null : toCursor(page.next) },
    [name]: page.items.map(show),
  } as { paging: { more: boolean; cursor: string | null } } & { [key in N]: unknown[] };
}

/** The lists around tenants: `{type: "list", url, has_more, items, cursor, next_url}`. */
export function listEnvelope<T>(request: FastifyRequest, page: Page<T>, show: (item: T) => unknown) {
  const cursor = page.next === null ? null : toCursor(page.next);
  return {
    type: "list",
    url: request.url,
    has_more: cursor !== null,
    items: page.items.map(show),
    cursor,
    next_url: cursor === null ? null : withCursor(request.url, cursor),
  };
}

function withCursor(url: string, cursor: string): string {
  const at = url.indexOf("?");
  const query = new URLSearchParams(at === -1 ? "" : url.slice(at + 1));
  query.set("cursor", cursor);
  return `${at === -1 ? url : url.slice(0, at)}?${query}`;
}
