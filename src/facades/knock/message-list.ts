/** Lists of messages: of the environment, of a user, of an object; and what they are filtered by. */
import type { FastifyRequest } from "fastify";
import type { DeliveryFilter } from "../../engine/ports.ts";
import type { PartyRef } from "../../engine/workflow/model.ts";
import type { StepChannel } from "../../engine/workflow/workflows.ts";
import type { JsonObject } from "../../lib/json.ts";
import { environmentOf, SECRET } from "./auth.ts";
import { findChannel } from "./channel-data.ts";
import { invalid } from "./errors.ts";
import { deliveryPage } from "./feed.ts";
import { boundsOf, pairsOf } from "./feed-scope.ts";
import { fromMessageId, fromUuid } from "./ids.ts";
import type { Routes } from "./knock.ts";
import { DELIVERY_STATUSES, STAGE_OF } from "./message-status.ts";
import { messageViews } from "./message-views.ts";
import { itemsOf } from "./paging.ts";
import { objectOf, userOf } from "./path.ts";
import { type Query, queryOf } from "./query.ts";

export const ENGAGEMENT_STATUSES = [
  "seen",
  "unseen",
  "read",
  "unread",
  "archived",
  "unarchived",
  "link_clicked",
  "interacted",
] as const;
export type EngagementStatus = (typeof ENGAGEMENT_STATUSES)[number];

/** Mark of the cursors of these lists. */
const CURSOR = "m";
const MAX_IDS = 50;

export const messageListRoutes: Routes = (app, knock) => {
  const list = async (request: FastifyRequest, recipient?: PartyRef): Promise<JsonObject> => {
    const query = queryOf(request);
    const page = deliveryPage(query, CURSOR);
    const { id } = environmentOf(request);
    const channels = await knock.engine.workflows.channels(id);
    const filter = { ...filterOf(query, channels), ...(recipient === undefined ? {} : { recipient }) };
    const found = await knock.engine.messages.deliveriesPage(id, filter, page);
    return itemsOf(page, found, await messageViews(knock, id, found.items), (delivery) => delivery.id);
  };

  app.get("/messages", SECRET, (request) => list(request));
  app.get("/users/:user_id/messages", SECRET, (request) => list(request, userOf(request)));
  app.get("/objects/:collection/:object_id/messages", SECRET, (request) => list(request, objectOf(request)));
};

/** @throws KnockError 422 naming the parameter. */
function filterOf(query: Query, channels: readonly StepChannel[]): DeliveryFilter {
  const tenantId = query.text("tenant");
  const channelId = query.text("channel_id");
  const event = query.text("source");
  const tags = query.texts("workflow_categories");
  const ids = query.texts("message_ids");
  const statuses = query.wordsOf("status", DELIVERY_STATUSES);
  const data = query.map("trigger_data");
  const { gt, gte, lt, lte } = query.range("inserted_at");
  const { from, until } = boundsOf(gt, gte, lt, lte);
  if (ids.length > MAX_IDS) throw invalid("message_ids", `Expected at most ${MAX_IDS} ids`);
  const requestId = uuidIn(query, "workflow_run_id", "req");
  const messageId = uuidIn(query, "workflow_recipient_run_id", "msg");
  return {
    ...(tenantId === undefined ? {} : { tenantId }),
    ...(channelId === undefined ? {} : { channelId: findChannel(channels, channelId)?.id ?? channelId }),
    ...(event === undefined ? {} : { events: [event] }),
    ...(tags.length === 0 ? {} : { tags }),
    // An id that is nobody's is one that nothing has.
    ...(ids.length === 0 ? {} : { ids: ids.flatMap((id) => fromMessageId(id) ?? []) }),
    ...(statuses.length === 0 ? {} : { stages: statuses.map((status) => STAGE_OF[status]) }),
    ...engagementFilter(query.wordsOf("engagement_status", ENGAGEMENT_STATUSES)),
    ...(data === undefined ? {} : { data: pairsOf("trigger_data", data) }),
    ...(from === null ? {} : { from }),
    ...(until === null ? {} : { until }),
    ...(requestId === undefined ? {} : { requestId }),
    ...(messageId === undefined ? {} : { messageId }),
  };
}

function uuidIn<P extends string>(query: Query, name: string, prefix: P) {
  const text = query.text(name);
  if (text === undefined) return undefined;
  const id = fromUuid(prefix, text);
  if (id === null) throw invalid(name, "Expected a UUID");
  return id;
}

/** All of them have to hold. */
export function engagementFilter(statuses: readonly EngagementStatus[]): Pick<DeliveryFilter, "marks" | "linkClicked"> {
  const marks = statuses.flatMap((status) => (status === "link_clicked" ? [] : [MARK_OF[status]]));
  return {
    ...(marks.length === 0 ? {} : { marks }),
    ...(statuses.includes("link_clicked") ? { linkClicked: true as const } : {}),
  };
}

const MARK_OF: {
  readonly [status in Exclude<EngagementStatus, "link_clicked">]: NonNullable<DeliveryFilter["marks"]>[number];
} = {
  seen: { field: "seen", value: true },
  unseen: { field: "seen", value: false },
  read: { field: "read", value: true },
  unread: { field: "read", value: false },
  archived: { field: "archived", value: true },
  unarchived: { field: "archived", value: false },
  interacted: { field: "interacted", value: true },
};
