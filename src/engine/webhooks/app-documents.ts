/**
 * Applications as documents. One is three of them, written together:
 *
 *   app            by id         what it is
 *   app-uid        by uid        whose the uid is; not there without a uid
 *   app-endpoints  by id         how many endpoints it has; its version rises with every change of the application or
 *                                any of its endpoints, and it goes with the application
 *
 * The hidden application (operational-app.ts) has the last one only, from its first endpoint on.
 */
import type { JsonObject } from "../../lib/json.ts";
import type { Document, EnvironmentId } from "../model.ts";
import type { DocumentStore, DocumentWrite, Page } from "../ports.ts";
import { Refusal } from "../refusal.ts";
import type { AppId, Application } from "./model.ts";
import { ENDPOINTS_GENERATION, type Walk, type Walked } from "./ports.ts";
import type { ApplicationFields } from "./webhooks.ts";

export const APP = "app";
export const APP_UID = "app-uid";

/**
 * Of optimistic writes; each lost round means that another process wrote to the same things. Of three processes that
 * changed one thing fifty times each, one lost more than 30 rounds in a row.
 */
const MAX_ROUNDS = 100;

export function applicationIn(environmentId: EnvironmentId, document: Document): Application {
  const { uid, name, throttleRate, metadata } = document.body as unknown as ApplicationFields;
  const { createdAt, updatedAt } = document;
  return { environmentId, id: document.id as AppId, uid, name, throttleRate, metadata, createdAt, updatedAt };
}

export function applicationBody({ uid, name, throttleRate, metadata }: ApplicationFields): JsonObject {
  return { uid, name, throttleRate, metadata };
}

/** How many endpoints the application has, pollers included and deleted ones not. */
export function endpointCount(generation: Document | null): number {
  return generation === null ? 0 : (generation.body.endpoints as number);
}

/** Raises the version of the document that says of which state the application's endpoints are. */
export function nextGeneration(appId: AppId, before: Document | null, endpoints: number): DocumentWrite {
  return { kind: ENDPOINTS_GENERATION, id: appId, body: { endpoints }, expect: before?.version ?? "absent" };
}

/** The id that a document says a uid stands for. */
export function idIn<I extends string>(document: Document | null): I | null {
  return document === null ? null : (document.body.id as I);
}

/** Lays those fields over that are there. */
export function laidOver<T extends object>(base: T, over: Partial<T>): T {
  const merged = { ...base };
  for (const [name, value] of Object.entries(over) as [keyof T, T[keyof T] | undefined][]) {
    if (value !== undefined) merged[name] = value;
  }
  return merged;
}

/** Repeats an optimistic write until it goes through: `round` answers `"again"` when it was overtaken. */
export async function untilWritten<T>(what: string, round: () => Promise<T | "again">): Promise<T> {
  for (let n = 0; n < MAX_ROUNDS; n++) {
    const result = await round();
    if (result !== "again") return result;
  }
  throw new Refusal("busy", `Others are changing the same ${what}; try again`, { retryAfterMs: 1000 });
}

/** Walks documents of a kind by their ids. @param show null leaves one out; there must be few of those. */
export async function walkDocuments<T>(
  documents: DocumentStore,
  environmentId: EnvironmentId,
  kind: string,
  { limit, from, order }: Walk,
  show: (document: Document) => T | null,
): Promise<Walked<T>> {
  const back = from?.back ?? false;
  const newestFirst = (order === "descending") !== back;
  const items: T[] = [];
  let after = from?.key ?? null;
  // One more than asked for tells whether there is more.
  while (items.length <= limit) {
    const asked = limit + 1 - items.length;
    const page: Page<Document> = await documents.list(environmentId, kind, { after, limit: asked, newestFirst });
    for (const document of page.items) {
      const item = show(document);
      if (item !== null) items.push(item);
    }
    if (page.next === null) break;
    after = page.next;
  }
  const more = items.length > limit;
  if (more) items.length = limit;
  if (back) items.reverse();
  return { items, more };
}
