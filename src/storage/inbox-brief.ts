/** Items of an inbox with only what long lists show of them; and the items of messages, whatever became of them. */
import type { InboxItem } from "../engine/model.ts";
import type { GotItem, InboxBrief, InboxBriefStore } from "../engine/ports.ts";
import type { Database, Row } from "./database.ts";
import { idsOf } from "./inbox-query.ts";
import { contentOf, deliveryOf, SELECT_DELIVERY } from "./rows.ts";
import type { RowOf } from "./schema.ts";
import { among, decodeObject, pageOf, text, textList } from "./text.ts";

const BRIEF = "id, message_id, request_id, created_at, read_at, interacted_at, expires_at, content, data, via";

export function inboxBriefStore(db: Database): InboxBriefStore {
  const { dialect } = db;
  return {
    brief: (environmentId, filter, now, page) =>
      db.read(function* () {
        const { after = null, before = null, limit } = page;
        const upwards = before !== null && after === null;
        const found = yield* idsOf(dialect, environmentId, filter, now, { after, before }, limit + 1);
        if (found.length === 0) return { items: [], next: null };
        const ids = upwards ? found.slice(0, limit) : found;
        const { rows } = yield text(
          dialect,
          `select ${BRIEF} from deliveries where ${among(dialect, "id")} order by id desc`,
          [textList(dialect, ids)],
        );
        const items = rows.map(briefOf);
        if (upwards) return { items, next: found.length > limit ? (ids.at(-1) as string) : null };
        return pageOf(items, limit, (item) => item.id);
      }),

    stamp: (environmentId, userId) =>
      db.read(function* () {
        const { rows } = yield text(
          dialect,
          "select stamp from inbox_counts where env_id = ? and user_id = ? order by tenant_id, bucket",
          [environmentId, userId],
        );
        let stamp = "";
        for (const row of rows) stamp += ` ${row.stamp}`;
        return stamp;
      }),

    itemsOf: (environmentId, messageIds) =>
      db.read(function* () {
        if (messageIds.length === 0) return [];
        const { rows } = yield text(
          dialect,
          `select ${SELECT_DELIVERY} from deliveries as d
           where ${among(dialect, "message_id")} and env_id = ? and channel = 'inbox' and user_id is not null order by id`,
          [textList(dialect, messageIds), environmentId],
        );
        return rows.map(deliveryOf) as InboxItem[];
      }),

    everGot: (environmentId, userId, now, { after = null, limit }) =>
      db.read(function* () {
        const { rows } = yield text(
          dialect,
          `select m.id as message_id, d.id, d.request_id, d.expires_at, d.via,
             case when d.deleted_at is null and d.archived_at is null then 0 else 1 end as put_away
           from (select id from messages
             where env_id = ? and recipient = ?${after === null ? "" : " and id < ?"} order by id desc limit ?) as m
           left join deliveries as d on d.message_id = m.id and d.channel = 'inbox' and d.user_id = ?
             and (d.expires_at is null or d.expires_at > ?)
           order by m.id desc, d.id desc`,
          [environmentId, userId, ...(after === null ? [] : [after]), limit, userId, now],
        );
        const messages = new Set(rows.map((row) => row.message_id as string));
        const items = rows.filter((row) => row.id !== null).map(gotOf);
        return { items, next: messages.size < limit ? null : ([...messages].at(-1) as string) };
      }),
  };
}

function gotOf(found: Row): GotItem {
  const row = found as RowOf<"deliveries"> & { readonly put_away: number };
  return {
    id: row.id as GotItem["id"],
    messageId: row.message_id as GotItem["messageId"],
    requestId: row.request_id as GotItem["requestId"],
    expiresAt: row.expires_at,
    putAway: row.put_away === 1,
    ...(row.via === "" ? {} : { via: row.via }),
  };
}

function briefOf(found: Row): InboxBrief {
  const row = found as RowOf<"deliveries">;
  return {
    id: row.id as InboxBrief["id"],
    messageId: row.message_id as InboxBrief["messageId"],
    requestId: row.request_id as InboxBrief["requestId"],
    createdAt: row.created_at,
    readAt: row.read_at,
    interactedAt: row.interacted_at,
    expiresAt: row.expires_at,
    content: contentOf(row.content),
    data: decodeObject(row.data),
    ...(row.via === "" ? {} : { via: row.via }),
  };
}
