/**
 * What of a user's feed a client looks at: the same options come as a query over HTTP and as JSON over the socket, and
 * mean the same. Lists, counts and pushes all go by them.
 */
import type { InboxItem } from "../../engine/model.ts";
import type { InboxFilter, InboxPile } from "../../engine/ports.ts";
import type { Millis } from "../../lib/clock.ts";
import { COMPARED_CHARS, hasPairs, isObject, type Json, type JsonObject, type Pairs } from "../../lib/json.ts";
import { invalid } from "./errors.ts";
import type { Query } from "./query.ts";
import { checkText, parseIso } from "./wire.ts";

export const FEED_STATUSES = ["all", "unread", "read", "unseen", "seen"] as const;
export const ARCHIVED = ["exclude", "include", "only"] as const;

export interface FeedScope {
  /** Of entries and the total only: how many are unread and unseen does not depend on it. */
  readonly status: (typeof FEED_STATUSES)[number];
  readonly archived: (typeof ARCHIVED)[number];
  /** Items of this tenant, and those without one unless `hasTenant`. */
  readonly tenant: string | null;
  readonly hasTenant: boolean | null;
  /** Key of a workflow. */
  readonly source: string | null;
  /** Any of them; null for no matter. */
  readonly categories: readonly string[] | null;
  readonly data: Pairs | null;
  /** Inclusive. */
  readonly from: Millis | null;
  /** Exclusive. */
  readonly until: Millis | null;
}

/** Whose feed it is, and which part of it may be seen. */
export interface FeedOwner {
  readonly userId: string;
  /** Channels whose items belong to the feed, null for what no workflow sent; null instead of a list for every item. */
  readonly channelIds: readonly (string | null)[] | null;
  /** Only these tenants' items and those without one, because the caller's token says so; null for no such limit. */
  readonly tenants: readonly string[] | null;
}

const MAX_CATEGORIES = 100;
const MAX_PAIRS = 25;
const MAX_TEXT_LENGTH = 512;

// ——— reading —————————————————————————————————————————————————————————————————————————————————————————————————————

/** @throws KnockError 422 naming the parameter. */
export function scopeOfQuery(query: Query): FeedScope {
  const data = query.map("trigger_data");
  const { gt, gte, lt, lte } = query.range("inserted_at");
  const categories = query.texts("workflow_categories");
  return {
    status: query.oneOf("status", FEED_STATUSES) ?? "all",
    archived: query.oneOf("archived", ARCHIVED) ?? "exclude",
    tenant: query.text("tenant") ?? null,
    hasTenant: query.flag("has_tenant") ?? null,
    source: query.text("source") ?? null,
    categories: categories.length === 0 ? null : atMost("workflow_categories", categories, MAX_CATEGORIES),
    data: data === undefined ? null : pairsOf("trigger_data", data),
    ...boundsOf(gt, gte, lt, lte),
  };
}

/** The same options as a client gives them when it joins the socket. @throws KnockError 422 naming the option. */
export function scopeOfOptions(options: JsonObject): FeedScope {
  const value = (name: string): Json | undefined => {
    const found = Object.hasOwn(options, name) ? options[name] : undefined;
    return found === null || found === "" ? undefined : found;
  };
  const text = (name: string): string | null => {
    const found = value(name);
    if (found === undefined) return null;
    if (typeof found !== "string" || found.length > MAX_TEXT_LENGTH) throw invalid(name, "Expected text");
    return checkText(name, found);
  };
  const oneOf = <const T extends string>(name: string, words: readonly T[], absent: T): T => {
    const found = value(name);
    if (found === undefined) return absent;
    const word = words.find((one) => one === found);
    if (word === undefined) throw invalid(name, `Expected ${words.join(", ")}`);
    return word;
  };
  const at = (name: string): Millis | undefined => {
    const found = text(name);
    if (found === null) return undefined;
    const moment = parseIso(found);
    if (moment === null) throw invalid(name, "Expected an ISO 8601 date");
    return moment;
  };
  const flag = value("has_tenant");
  if (flag !== undefined && typeof flag !== "boolean") throw invalid("has_tenant", "Expected true or false");
  const categories = value("workflow_categories") ?? [];
  if (!Array.isArray(categories) || !categories.every((one) => typeof one === "string")) {
    throw invalid("workflow_categories", "Expected a list of text");
  }
  const data = value("trigger_data");
  return {
    status: oneOf("status", FEED_STATUSES, "all"),
    archived: oneOf("archived", ARCHIVED, "exclude"),
    tenant: text("tenant"),
    hasTenant: flag ?? null,
    source: text("source"),
    categories:
      categories.length === 0
        ? null
        : atMost("workflow_categories", categories, MAX_CATEGORIES).map((one) => checkText("workflow_categories", one)),
    data: data === undefined ? null : pairsOf("trigger_data", typeof data === "string" ? parsed(data) : data),
    ...boundsOf(at("inserted_at.gt"), at("inserted_at.gte"), at("inserted_at.lt"), at("inserted_at.lte")),
  };
}

function parsed(text: string): Json {
  try {
    return JSON.parse(text) as Json;
  } catch {
    return null;
  }
}

/** Text beyond what is compared of stored data is cut off as that is. @throws KnockError 422 for nested values. */
export function pairsOf(field: string, value: Json): Pairs {
  if (!isObject(value)) throw invalid(field, "Expected a JSON object");
  const entries = Object.entries(value).filter(([, one]) => one !== undefined);
  if (entries.length > MAX_PAIRS) throw invalid(field, `Expected at most ${MAX_PAIRS} pairs`);
  return Object.fromEntries(
    entries.map(([key, one]): [string, Pairs[string]] => {
      if (typeof one === "object" && one !== null) {
        throw invalid(field, `Expected plain values, ${JSON.stringify(key)} has a nested one`);
      }
      checkText(field, key);
      if (typeof one !== "string") return [key, one as Pairs[string]];
      return [key, Array.from(checkText(field, one)).slice(0, COMPARED_CHARS).join("")];
    }),
  );
}

function atMost<T>(field: string, list: readonly T[], most: number): readonly T[] {
  if (list.length > most) throw invalid(field, `Expected at most ${most} entries`);
  return list;
}

/** Times have no parts smaller than a millisecond, so what is open at one end is closed one later. */
export function boundsOf(
  gt: Millis | undefined,
  gte: Millis | undefined,
  lt: Millis | undefined,
  lte: Millis | undefined,
): { readonly from: Millis | null; readonly until: Millis | null } {
  const from = Math.max(gt === undefined ? Number.NEGATIVE_INFINITY : gt + 1, gte ?? Number.NEGATIVE_INFINITY);
  const until = Math.min(lt ?? Number.POSITIVE_INFINITY, lte === undefined ? Number.POSITIVE_INFINITY : lte + 1);
  return { from: Number.isFinite(from) ? from : null, until: Number.isFinite(until) ? until : null };
}

// ——— asking ——————————————————————————————————————————————————————————————————————————————————————————————————————

/** The items that the badges count: all that the scope has, whatever their status. */
export function countedBy(scope: FeedScope, owner: FeedOwner): InboxFilter {
  return {
    userId: owner.userId,
    ...(owner.channelIds === null ? {} : { channelIds: owner.channelIds }),
    ...tenantsOf(scope, owner.tenants),
    ...(scope.archived === "include" ? {} : { archived: scope.archived === "only" }),
    ...(scope.source === null ? {} : { events: [scope.source] }),
    ...(scope.categories === null ? {} : { tags: scope.categories }),
    ...(scope.data === null || Object.keys(scope.data).length === 0 ? {} : { data: scope.data }),
    ...(scope.from === null ? {} : { from: scope.from }),
    ...(scope.until === null ? {} : { until: scope.until }),
  };
}

/** The items that are listed. */
export function listedBy(scope: FeedScope, owner: FeedOwner): InboxFilter {
  const counted = countedBy(scope, owner);
  switch (scope.status) {
    case "all":
      return counted;
    case "read":
    case "unread":
      return { ...counted, read: scope.status === "read" };
    case "seen":
    case "unseen":
      return { ...counted, seen: scope.status === "seen" };
  }
}

/** Which tenants' items a feed shows: those without a tenant belong to every tenant's feed unless it says otherwise. */
export function tenantsOf(
  { tenant, hasTenant }: Pick<FeedScope, "tenant" | "hasTenant">,
  allowed: readonly string[] | null,
): Pick<InboxFilter, "tenantId" | "tenantIds" | "hasTenant"> {
  if (tenant !== null) return hasTenant === true ? { tenantId: tenant } : { tenantIds: [tenant, null] };
  if (hasTenant === false) return { tenantId: null };
  if (allowed !== null) return { tenantIds: hasTenant === true ? allowed : [...allowed, null] };
  return hasTenant === true ? { hasTenant: true } : {};
}

export interface FeedCounts {
  readonly total_count: number;
  readonly unread_count: number;
  readonly unseen_count: number;
}

/** @param piles of all that `countedBy` lets through. */
export function countsOf(piles: readonly InboxPile[], status: FeedScope["status"]): FeedCounts {
  let total = 0;
  let unread = 0;
  let unseen = 0;
  for (const { seen, read, count } of piles) {
    if (hasStatus(status, read, seen)) total += count;
    if (!read) unread += count;
    if (!seen) unseen += count;
  }
  return { total_count: total, unread_count: unread, unseen_count: unseen };
}

function hasStatus(status: FeedScope["status"], read: boolean, seen: boolean): boolean {
  switch (status) {
    case "all":
      return true;
    case "read":
      return read;
    case "unread":
      return !read;
    case "seen":
      return seen;
    case "unseen":
      return !seen;
  }
}

/**
 * Whether the item is one of those that the scope speaks of, leaving aside what has been done with it and which workflow
 * sent it: the item alone does not tell that.
 */
export function concerns(scope: FeedScope, owner: FeedOwner, item: InboxItem): boolean {
  const { tenantId, createdAt } = item;
  if (owner.channelIds !== null && !owner.channelIds.includes(item.origin?.channelId ?? null)) return false;
  if (owner.tenants !== null && tenantId !== null && !owner.tenants.includes(tenantId)) return false;
  if (scope.tenant !== null) {
    if (tenantId === null ? scope.hasTenant === true : tenantId !== scope.tenant) return false;
  } else if (scope.hasTenant !== null && scope.hasTenant !== (tenantId !== null)) return false;
  if (scope.from !== null && createdAt < scope.from) return false;
  if (scope.until !== null && createdAt >= scope.until) return false;
  if (scope.categories !== null && !scope.categories.some((one) => item.tags.includes(one))) return false;
  return scope.data === null || hasPairs(item.data, scope.data);
}

/** Whether an item that has just come may be shown: nothing has been done with it yet. */
export function takesNew({ status, archived }: FeedScope): boolean {
  return archived !== "only" && status !== "read" && status !== "seen";
}
