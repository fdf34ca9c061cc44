/**
 * What every call of the management API says beside its resource: the environment, and the page of a list. A key belongs
 * to one environment, which answers to `development`, where authors work, and to its own name.
 */
import type { FastifyRequest } from "fastify";
import type { Document, Environment } from "../../../engine/model.ts";
import type { DocumentStore, Page } from "../../../engine/ports.ts";
import { walkDocuments } from "../../../engine/webhooks/app-documents.ts";
import type { JsonObject } from "../../../lib/json.ts";
import { environmentOf } from "../auth.ts";
import { invalid, missing } from "../errors.ts";
import { type AskedPage, pageInfo, readCursor } from "../paging.ts";
import { queryOf } from "../query.ts";

/** What authors' changes are made to. */
export const DEVELOPMENT = "development";

const PRESET_LIMIT = 50;
const MAX_LIMIT = 100;

/** `My Shop (EU)` to `my-shop-eu`. */
export function slugOf(name: string): string {
  return name
    .toLowerCase()
    .replace(/[^\p{L}\p{N}]+/gu, "-")
    .replace(/^-|-$/g, "");
}

/** Whether an environment answers to a slug. */
export function isCalled(environment: Environment, slug: string): boolean {
  return slug === DEVELOPMENT || slug === slugOf(environment.name) || slug === environment.name;
}

/**
 * The environment of the key.
 * @throws KnockError 404 when the query names another, or a branch: what is meant for it must not be done here.
 */
export function environmentIn(request: FastifyRequest, parameter = "environment"): Environment {
  const environment = environmentOf(request);
  const query = queryOf(request);
  const slug = query.text(parameter);
  if (slug !== undefined && !isCalled(environment, slug)) throw missing("Environment", slug);
  const branch = query.text("branch");
  if (branch !== undefined) throw missing("Branch", branch);
  return environment;
}

/** As `environmentIn`, for changes: these are made in development, unless they are forced. @throws KnockError 422. */
export function environmentToChange(request: FastifyRequest): Environment {
  const environment = environmentIn(request);
  const query = queryOf(request);
  if ((query.text("environment") ?? DEVELOPMENT) !== DEVELOPMENT && query.flag("force") !== true) {
    throw invalid("environment", `Changes are made in ${DEVELOPMENT}; force makes them elsewhere`);
  }
  return environment;
}

/** @param kind the list's mark in its cursors. */
export function pageIn(request: FastifyRequest, kind: string): AskedPage {
  const query = queryOf(request);
  const limit = query.integer("limit") ?? query.integer("page_size") ?? PRESET_LIMIT;
  const cursor = (name: "after" | "before"): string | null => {
    const text = query.text(name);
    return text === undefined ? null : readCursor(kind, name, text);
  };
  const after = cursor("after");
  const before = after === null ? cursor("before") : null;
  return { kind, after, before, limit: Math.min(Math.max(1, limit), MAX_LIMIT) };
}

/** A page of documents of a kind, in the order of their ids. @param wanted may leave few of them out. */
export async function documentPage(
  documents: DocumentStore,
  environment: Environment,
  kind: string,
  asked: AskedPage,
  order: "ascending" | "descending",
  wanted: (document: Document) => boolean,
): Promise<Page<Document>> {
  const key = asked.after ?? asked.before;
  const walk = { limit: asked.limit, from: key === null ? null : { key, back: asked.after === null }, order };
  const { items, more } = await walkDocuments(documents, environment.id, kind, walk, (document) =>
    wanted(document) ? document : null,
  );
  const end = asked.before === null ? items.at(-1) : items[0];
  return { items, next: more && end !== undefined ? end.id : null };
}

/** A page of what is all in memory, in the order in which it is given. */
export function pageOfAll<T>(all: readonly T[], asked: AskedPage, keyOf: (item: T) => string): Page<T> {
  const place = (key: string): number => all.findIndex((item) => keyOf(item) === key);
  const { limit } = asked;
  if (asked.before !== null) {
    const end = Math.max(0, place(asked.before));
    const items = all.slice(Math.max(0, end - limit), end);
    return { items, next: end > limit && items[0] !== undefined ? keyOf(items[0]) : null };
  }
  const from = asked.after === null ? 0 : place(asked.after) + 1;
  const items = all.slice(from, from + limit);
  const last = items.at(-1);
  return { items, next: from + limit < all.length && last !== undefined ? keyOf(last) : null };
}

export function shownPage<T>(
  asked: AskedPage,
  page: Page<T>,
  shown: readonly JsonObject[],
  keyOf: (item: T) => string,
): JsonObject {
  return { entries: shown, page_info: pageInfo(asked, page, keyOf) as unknown as JsonObject };
}
