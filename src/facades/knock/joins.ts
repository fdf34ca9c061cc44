/**
 * What a client says when it joins a feed's topic.
 *
 *   topic      feeds:{id of an in-app channel}:{user id}; a user id may hold colons
 *   payload    { "client_aB3": {options}, "client_Zk9": {options} }   each feed of the page under its own name
 *              {options}                                              former clients and phones: one feed without a name
 */
import { isObject, type JsonObject } from "../../lib/json.ts";
import { KnockError } from "./errors.ts";
import { type FeedScope, scopeOfOptions } from "./feed-scope.ts";

export interface FeedTopic {
  readonly feedId: string;
  readonly userId: string;
}

/** @returns null for any other topic. */
export function feedTopic(topic: string): FeedTopic | null {
  const [, feedId, userId] = /^feeds:([^:]+):(.+)$/su.exec(topic) ?? [];
  return feedId === undefined || userId === undefined ? null : { feedId, userId };
}

/** One feed that wants to know of new messages. */
export interface Listener {
  /** Null: the only one of its channel, told without being named. */
  readonly id: string | null;
  readonly scope: FeedScope;
}

/** Named by the nested form as well, so that these words cannot be the name of a feed. */
const OPTIONS: ReadonlySet<string> = new Set([
  "status",
  "archived",
  "tenant",
  "has_tenant",
  "source",
  "workflow_categories",
  "trigger_data",
  "inserted_at.gt",
  "inserted_at.gte",
  "inserted_at.lt",
  "inserted_at.lte",
  "inserted_at_date_range",
  "page_size",
  "before",
  "after",
  "mode",
  "locale",
  "exclude",
  "auto_manage_socket_connection",
  "auto_manage_socket_connection_delay",
  "__experimentalCrossBrowserUpdates",
]);
/** Feeds of one page on one topic; those beyond are not told. */
const MAX_LISTENERS = 100;
const MAX_NAME_LENGTH = 128;

/**
 * A feed whose options make no sense hears of nothing (its list is refused as well), and does not keep the others of its
 * page from hearing.
 */
export function listenersOf(payload: JsonObject): readonly Listener[] {
  const keys = Object.keys(payload);
  if (keys.length === 0 || keys.some((key) => OPTIONS.has(key))) {
    const scope = scopeOrNone(payload);
    return scope === null ? [] : [{ id: null, scope }];
  }
  return keys
    .filter((id) => id.length <= MAX_NAME_LENGTH)
    .slice(0, MAX_LISTENERS)
    .flatMap((id) => {
      const options = payload[id];
      const scope = isObject(options) ? scopeOrNone(options) : null;
      return scope === null ? [] : [{ id, scope }];
    });
}

function scopeOrNone(options: JsonObject): FeedScope | null {
  try {
    return scopeOfOptions(options);
  } catch (error) {
    if (error instanceof KnockError) return null;
    throw error;
  }
}
