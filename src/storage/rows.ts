/** How requests, messages, deliveries, attempts and events lie in their rows, and back. */
import type {
  Attempt,
  Delivery,
  EnvironmentId,
  Message,
  MessageEvent,
  MessageState,
  Plan,
  Rendered,
  Request,
  SendSpec,
} from "../engine/model.ts";
import type { AppId } from "../engine/webhooks/model.ts";
import type { RunRecord } from "../engine/workflow/model.ts";
import type { Millis } from "../lib/clock.ts";
import type { JsonObject } from "../lib/json.ts";
import type { Row, Value } from "./database.ts";
import { bucketOf } from "./inbox-counts.ts";
import { originFrom, originText, runFrom, runText } from "./run-records.ts";
import { columnsOf, type RowOf, tenantColumn, tenantOf } from "./schema.ts";
import { decodeJson, decodeObject, encodeJson, storable } from "./text.ts";

export const REQUEST_COLUMNS = columnsOf("requests");
export const MESSAGE_COLUMNS = columnsOf("messages");
export const DELIVERY_COLUMNS = columnsOf("deliveries");
export const ATTEMPT_COLUMNS = columnsOf("attempts");
export const EVENT_COLUMNS = columnsOf("message_events");

/** What to select of a table called `r`, `m`, `d`; `*` would also do, but a column added later must not change what old statements return. */
export const SELECT_REQUEST = listed(REQUEST_COLUMNS, "r");
export const SELECT_MESSAGE = listed(MESSAGE_COLUMNS, "m");
export const SELECT_DELIVERY = listed(DELIVERY_COLUMNS, "d");

/** The same for `returning`, where SQLite knows a table by its full name only. */
export const RETURN_REQUEST = listed(REQUEST_COLUMNS, "requests");
export const RETURN_MESSAGE = listed(MESSAGE_COLUMNS, "messages");
export const RETURN_DELIVERY = listed(DELIVERY_COLUMNS, "deliveries");

function listed(columns: readonly string[], alias: string): string {
  return columns.map((column) => `${alias}."${column}"`).join(", ");
}

/** Spec, plan and content are JSON by construction; their types only say more than `JsonObject` can. */
function json(value: object): string {
  return encodeJson(value as JsonObject);
}

function jsonOrNull(value: object | null): string | null {
  return value === null ? null : json(value);
}

/** Nearly all messages have none, and most data is empty: saves a third of the parsing of a page. */
function parsedTags(text: string): readonly string[] {
  return text === "[]" ? [] : (JSON.parse(text) as string[]);
}

/** Unpaired surrogates are made good: Postgres could not look into the JSON otherwise. */
function tagsText(tags: readonly string[]): string {
  return tags.length === 0 ? "[]" : JSON.stringify(tags.map((tag) => tag.toWellFormed()));
}

/**
 * Of rendered content only what there is something of, and the text only where it differs from the body: 135 bytes
 * less of the 1,600 that a short message to an inbox comes to.
 */
function contentText(content: Rendered): string {
  const { subject, title, html, text, body, imageUrl, clickUrl, actions, blocks, links, raw } = content;
  return json({
    subject: subject === "" ? undefined : subject,
    title: title === "" ? undefined : title,
    html: html === "" ? undefined : html,
    text: text === body ? undefined : text,
    body: body === "" ? undefined : body,
    imageUrl: imageUrl ?? undefined,
    clickUrl: clickUrl ?? undefined,
    actions: actions.length === 0 ? undefined : actions,
    blocks: blocks.length === 0 ? undefined : blocks,
    links: links.length === 0 ? undefined : links,
    raw: raw ?? undefined,
  });
}

/** Reads what `contentText` wrote. */
export function contentOf(written: string): Rendered {
  const content = JSON.parse(written) as Partial<Rendered>;
  const body = content.body ?? "";
  return {
    subject: content.subject ?? "",
    title: content.title ?? "",
    html: content.html ?? "",
    text: content.text ?? body,
    body,
    imageUrl: content.imageUrl ?? null,
    clickUrl: content.clickUrl ?? null,
    actions: content.actions ?? [],
    blocks: content.blocks ?? [],
    links: content.links ?? [],
    raw: content.raw ?? null,
  };
}

// The values of a row stand in the order of its columns in schema.ts.

export function requestValues(request: Request, hasMessages: boolean): Value[] {
  return [
    request.environmentId,
    request.id,
    request.state,
    json(request.spec),
    request.cursor,
    null,
    request.state === "expanding" ? request.createdAt : null,
    request.archivedAt,
    request.createdAt,
    hasMessages ? 1 : 0,
  ];
}

export function requestOf(found: Row): Request {
  const row = found as RowOf<"requests">;
  return {
    id: row.id as Request["id"],
    environmentId: row.env_id as EnvironmentId,
    state: row.state as Request["state"],
    spec: JSON.parse(row.spec) as SendSpec,
    cursor: row.cursor,
    archivedAt: row.archived_at,
    createdAt: row.created_at,
  };
}

/** When a message may be claimed to be planned; null when it does not wait for that. */
export function messageReadyAt(m: Message): Millis | null {
  const waits = m.dueAt !== null && m.plannedAt === null && (m.state === "enqueued" || m.state === "delayed");
  return waits ? m.dueAt : null;
}

export function messageValues(m: Message, deliveries: readonly Delivery[]): Value[] {
  return [
    m.environmentId,
    m.id,
    m.requestId,
    m.state,
    m.reason,
    storable(m.error),
    m.userId,
    m.recipient,
    tenantColumn(m.tenantId),
    m.entry,
    m.viaTenant ? 1 : 0,
    m.listId,
    m.event,
    m.templateId,
    tagsText(m.tags),
    m.traceId,
    encodeJson(m.preferences),
    encodeJson(m.storedProfile),
    jsonOrNull(m.plan),
    m.dueAt,
    null,
    messageReadyAt(m),
    m.createdAt,
    m.plannedAt,
    m.sentAt,
    m.deliveredAt,
    m.openedAt,
    m.clickedAt,
    m.canceledAt,
    m.deadlineAt,
    deliveries.some((d) => bucketOf(d) !== null) ? 1 : 0,
    m.toEndpoints === true ? 1 : 0,
    ...(m.run === undefined ? NO_RUN : runRecordValues(m.run)),
  ];
}

const NO_RUN: readonly Value[] = [null, null, 0];

/** The columns `run`, `run_status` and `run_errors` of a message. */
export function runRecordValues(record: RunRecord): [string, string, number] {
  let errors = 0;
  for (const { ok } of record.log) if (!ok) errors++;
  return [runText(record), record.status, errors];
}

export function messageOf(found: Row): Message {
  const row = found as RowOf<"messages">;
  const message: Message = {
    id: row.id as Message["id"],
    environmentId: row.env_id as EnvironmentId,
    requestId: row.request_id as Message["requestId"],
    state: row.state as MessageState,
    reason: row.reason as Message["reason"],
    error: row.error,
    userId: row.user_id,
    recipient: row.recipient,
    tenantId: tenantOf(row.tenant_id),
    entry: row.entry,
    viaTenant: row.via_tenant === 1,
    listId: row.list_id,
    event: row.event,
    templateId: row.template_id,
    tags: parsedTags(row.tags),
    traceId: row.trace_id,
    preferences: decodeJson(row.preferences),
    storedProfile: decodeJson(row.stored_profile),
    plan: row.plan === null ? null : (JSON.parse(row.plan) as Plan),
    dueAt: row.due_at,
    leaseUntil: row.lease_until,
    createdAt: row.created_at,
    plannedAt: row.planned_at,
    sentAt: row.sent_at,
    deliveredAt: row.delivered_at,
    openedAt: row.opened_at,
    clickedAt: row.clicked_at,
    canceledAt: row.canceled_at,
    deadlineAt: row.deadline_at,
  };
  if (row.to_endpoints === 1) return { ...message, toEndpoints: true };
  return row.run === null ? message : { ...message, run: runFrom(row.run) };
}

/** An inbox item is delivered by being stored; nobody will ever claim it. */
function deliveredByStoring(d: Delivery): boolean {
  return d.channel === "inbox" && d.state === "pending";
}

export function deliveryValues(d: Delivery): Value[] {
  const stored = deliveredByStoring(d);
  const state = stored ? "delivered" : d.state;
  return [
    d.id,
    d.environmentId,
    d.messageId,
    d.userId,
    tenantColumn(d.tenantId),
    d.channel,
    d.provider,
    d.providerId,
    d.leaf,
    state,
    d.dueAt,
    d.leaseUntil,
    state === "pending" ? Math.max(d.dueAt, d.leaseUntil ?? 0, d.parkedUntil ?? 0) : null,
    d.attempts,
    d.startedAt,
    d.timeoutMs,
    json(d.address),
    contentText(d.content),
    encodeJson(d.override),
    d.error,
    encodeJson(d.reference),
    d.createdAt,
    stored ? (d.sentAt ?? d.createdAt) : d.sentAt,
    stored ? (d.deliveredAt ?? d.createdAt) : d.deliveredAt,
    d.seenAt,
    d.readAt,
    d.interactedAt,
    d.archivedAt,
    d.deletedAt,
    d.expiresAt,
    bucketOf(d),
    tagsText(d.tags),
    json(d.data),
    d.viaTenant ? 1 : 0,
    d.requestId,
    d.app?.id ?? null,
    d.app?.manual === true ? 1 : 0,
    d.origin === undefined ? null : originText(d.origin),
    d.via ?? "",
  ];
}

export function deliveryOf(found: Row): Delivery {
  const row = found as RowOf<"deliveries">;
  const delivery: Delivery = {
    id: row.id as Delivery["id"],
    environmentId: row.env_id as EnvironmentId,
    messageId: row.message_id as Delivery["messageId"],
    userId: row.user_id,
    tenantId: tenantOf(row.tenant_id),
    channel: row.channel as Delivery["channel"],
    provider: row.provider,
    providerId: row.provider_id as Delivery["providerId"],
    leaf: row.leaf,
    state: row.state as Delivery["state"],
    dueAt: row.due_at,
    leaseUntil: row.lease_until,
    attempts: row.attempts,
    startedAt: row.started_at,
    timeoutMs: row.timeout_ms,
    address: decodeObject(row.address),
    content: contentOf(row.content),
    override: decodeJson(row.override),
    error: row.error,
    reference: decodeJson(row.reference),
    createdAt: row.created_at,
    sentAt: row.sent_at,
    deliveredAt: row.delivered_at,
    seenAt: row.seen_at,
    readAt: row.read_at,
    interactedAt: row.interacted_at,
    archivedAt: row.archived_at,
    deletedAt: row.deleted_at,
    expiresAt: row.expires_at,
    tags: parsedTags(row.tags),
    data: decodeObject(row.data),
    viaTenant: row.via_tenant === 1,
    requestId: row.request_id as Delivery["requestId"],
  };
  const via = row.channel === "inbox" && row.via !== "" ? { via: row.via } : undefined;
  if (row.origin !== null) return { ...delivery, ...via, origin: originFrom(row.origin) };
  if (row.app_id === null) return via === undefined ? delivery : { ...delivery, ...via };
  return { ...delivery, app: { id: row.app_id as AppId, manual: row.manual === 1 } };
}

export function attemptValues(a: Attempt): Value[] {
  return [
    a.messageId,
    a.id,
    a.environmentId,
    a.deliveryId,
    a.number,
    a.startedAt,
    a.endedAt,
    a.outcome,
    storable(a.reason),
    a.statusCode,
  ];
}

export function attemptOf(found: Row): Attempt {
  const row = found as RowOf<"attempts">;
  return {
    id: row.id as Attempt["id"],
    environmentId: row.env_id as EnvironmentId,
    messageId: row.message_id as Attempt["messageId"],
    deliveryId: row.delivery_id as Attempt["deliveryId"],
    number: row.number,
    startedAt: row.started_at,
    endedAt: row.ended_at,
    outcome: row.outcome as Attempt["outcome"],
    reason: row.reason,
    statusCode: row.status_code,
  };
}

export function eventValues(e: MessageEvent): Value[] {
  return [e.messageId, e.id, e.environmentId, e.deliveryId, e.kind, e.at, encodeJson(e.data)];
}

export function eventOf(found: Row): MessageEvent {
  const row = found as RowOf<"message_events">;
  return {
    id: row.id as MessageEvent["id"],
    environmentId: row.env_id as EnvironmentId,
    messageId: row.message_id as MessageEvent["messageId"],
    deliveryId: row.delivery_id as MessageEvent["deliveryId"],
    kind: row.kind as MessageEvent["kind"],
    at: row.happened_at,
    data: decodeJson(row.data),
  };
}
