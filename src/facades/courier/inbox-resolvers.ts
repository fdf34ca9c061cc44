/** What the queries of the GraphQL schema do. Each checks the scope it needs; who the user is has been settled before. */
import type { Actor } from "../../engine/engine.ts";
import type { Environment, InboxItem } from "../../engine/model.ts";
import type { InboxFilter, Page } from "../../engine/ports.ts";
import { Refusal } from "../../engine/refusal.ts";
import type { Principal } from "../../http/principal.ts";
import { isId } from "../../lib/ids.ts";
import { TimeSlice } from "../../lib/time-slice.ts";
import { hasScope } from "./auth.ts";
import type { Courier } from "./courier.ts";
import type { Resolvers } from "./graphql-schema.ts";
import { type InboxMessageView, inboxMessage } from "./inbox-views.ts";
import type { MutationSteps } from "./mutation-steps.ts";
import { fromCursor, toCursor } from "./paging.ts";
import { checkText } from "./wire.ts";

export interface InboxContext {
  readonly courier: Courier;
  readonly principal: Principal;
  readonly environment: Environment;
  readonly userId: string;
  readonly actor: Actor;
  /** Which items this facade shows; see http/inbox-visibility.ts. */
  readonly shown: Pick<InboxFilter, "via">;
  readonly steps: MutationSteps;
  /** Counts under way in this request, by filter: clients ask for the same one as `count` and as `totalCount`. */
  readonly counts: Map<string, Promise<number>>;
  /** Of this request, those that may have to look at a whole inbox. */
  readonly reads: PacedReads;
}

/** How long the reads of one request may keep everybody else waiting. */
const READING_MS = 20;

/**
 * Does one read after the other and lets others have their turn in between. A document may ask for two hundred counts,
 * and a count by tag looks at every item: measured on an inbox of 60,000, those two hundred took five seconds, in which
 * nobody else was served.
 */
export class PacedReads {
  readonly #slice = new TimeSlice(READING_MS);
  #last: Promise<unknown> = Promise.resolve();

  run<T>(read: () => Promise<T>): Promise<T> {
    const next = this.#last.then(async () => {
      if (this.#slice.over) await this.#slice.rest();
      return read();
    });
    // A read that fails tells its own caller; the next ones do not mind.
    this.#last = next.catch(() => {});
    return next;
  }
}

const DEFAULT_LIMIT = 24;
const MAX_LIMIT = 100;
const MAX_TAGS = 100;

export const QUERIES: Resolvers<InboxContext> = {
  count(_source, { params }: FilterArgs, context) {
    requireReading(context);
    return count(context, filterOf(context, params));
  },

  messages(_source, { params, limit, after }: FilterArgs & { limit?: number | null; after?: string | null }, context) {
    requireReading(context);
    const filter = filterOf(context, params);
    const page = { after: after ? positionOf(after) : null, limit: clamp(limit ?? DEFAULT_LIMIT) };
    return new InboxConnection(context, filter, page);
  },

  async message(_source, { messageId }: { messageId: string }, context) {
    requireReading(context);
    const item = await context.steps.findItem(messageId);
    return item === null ? null : inboxMessage(context.environment, item);
  },

  // Nothing is published yet, which clients understand: they show their empty state and their own colours.
  brand(_source, { brandId }: { brandId?: string | null }, context) {
    requireScope(context, "read:brands", brandId ?? undefined);
    return null;
  },
  inAppBrand(_source, _args, context) {
    requireScope(context, "read:brands");
    return null;
  },
  recipientPreferences(_source, _args, context) {
    requireScope(context, "read:preferences");
    return { nodes: [] };
  },
  recipientPreference(_source, _args, context) {
    requireScope(context, "read:preferences");
    return null;
  },
  preferencePage(_source, _args, context) {
    requireScope(context, "read:preferences");
    return null;
  },
  draftPreferencePage(_source, _args, context) {
    requireScope(context, "read:preferences");
    return null;
  },
  digestSchedulesForTopic(_source, _args, context) {
    requireScope(context, "read:preferences");
    return [];
  },
  banners(_source, _args, context) {
    requireReading(context);
    return { totalCount: 0, pageInfo: { startCursor: null, hasNextPage: false }, nodes: [] };
  },
};

/** A page of messages. Count and page are asked for only if the document does, and then at once. */
class InboxConnection {
  readonly #context: InboxContext;
  readonly #filter: FoundFilter;
  readonly #query: { readonly after: string | null; readonly limit: number };
  #page: Promise<Page<InboxItem>> | null = null;

  constructor(
    context: InboxContext,
    filter: FoundFilter,
    query: { readonly after: string | null; readonly limit: number },
  ) {
    this.#context = context;
    this.#filter = filter;
    this.#query = query;
  }

  totalCount(): Promise<number> | number {
    return count(this.#context, this.#filter);
  }

  /** `startCursor` is where the following page begins: what Relay calls the end cursor. */
  async pageInfo(): Promise<{ startCursor: string | null; hasNextPage: boolean }> {
    const { next } = await this.#load();
    return { startCursor: next === null ? null : toCursor(next), hasNextPage: next !== null };
  }

  async nodes(): Promise<readonly InboxMessageView[]> {
    const { environment } = this.#context;
    return (await this.#load()).items.map((item) => inboxMessage(environment, item));
  }

  #load(): Promise<Page<InboxItem>> {
    const { courier, environment, reads } = this.#context;
    const filter = this.#filter;
    this.#page ??=
      filter === null
        ? Promise.resolve({ items: [], next: null })
        : reads.run(() => courier.engine.inbox.list(environment.id, filter, courier.engine.clock.now(), this.#query));
    return this.#page;
  }
}

interface FilterArgs {
  readonly params?: {
    readonly accountId?: string | null;
    readonly archived?: boolean | null;
    readonly from?: number | null;
    readonly pinned?: boolean | null;
    readonly status?: string | null;
    readonly tags?: readonly string[] | null;
  } | null;
}

/** Null matches nothing. */
type FoundFilter = InboxFilter | null;

/** A tenant's view holds that tenant's messages, and the view without a tenant those without one. */
function filterOf(context: InboxContext, params: FilterArgs["params"]): FoundFilter {
  const { accountId, archived, from, pinned, status, tags } = params ?? {};
  if (status != null && status !== "read" && status !== "unread") {
    throw new Refusal("invalid", "Expected read or unread", { field: "params.status" });
  }
  if (tags != null && tags.length > MAX_TAGS) {
    throw new Refusal("invalid", `Expected at most ${MAX_TAGS} tags`, { field: "params.tags" });
  }
  // Pins are not kept, so no message is pinned.
  if (pinned === true) return null;
  return {
    ...context.shown,
    userId: context.userId,
    tenantId: accountId ? checkText("params.accountId", accountId) : null,
    archived: archived === true,
    ...(status == null ? {} : { read: status === "read" }),
    ...(tags == null ? {} : { tags: tags.map((tag) => checkText("params.tags", tag)) }),
    ...(from == null ? {} : { from }),
  };
}

function count(context: InboxContext, filter: FoundFilter): Promise<number> | number {
  if (filter === null) return 0;
  const { courier, environment, counts, reads } = context;
  const key = JSON.stringify(filter);
  let counting = counts.get(key);
  if (counting === undefined) {
    const read = (): Promise<number> => courier.engine.inbox.count(environment.id, filter, courier.engine.clock.now());
    const looksAtItems = filter.tags !== undefined || filter.from !== undefined || filter.via !== undefined;
    counting = looksAtItems ? reads.run(read) : read();
    counts.set(key, counting);
  }
  return counting;
}

/** Clients keep the number of rows they hold as the limit, so a limit is never refused. */
function clamp(limit: number): number {
  return Math.min(Math.max(1, limit), MAX_LIMIT);
}

function positionOf(cursor: string): string {
  const key = fromCursor(cursor);
  if (!isId("dlv", key)) throw new Refusal("invalid", "Invalid cursor format", { field: "after" });
  return key;
}

// ——— scopes ——————————————————————————————————————————————————————————————————————————————————————————————————————

/** Whether a credential may see inbox messages. `read:messages` is what older tokens say. */
export function mayRead(principal: Principal): boolean {
  return hasScope(principal, "inbox:read:messages") || hasScope(principal, "read:messages");
}

function requireReading(context: InboxContext): void {
  if (!mayRead(context.principal)) throw lacking("inbox:read:messages");
}

export function requireWriting(context: InboxContext): void {
  requireScope(context, "inbox:write:events");
}

export function requireScope(context: InboxContext, scope: string, suffix?: string): void {
  if (!hasScope(context.principal, scope, suffix)) throw lacking(scope);
}

function lacking(scope: string): Refusal {
  return new Refusal("forbidden", `The token lacks the scope ${scope}`);
}
