/** How applications' messages, attempts at their endpoints and tasks lie in their rows, and back. */
import type { EnvironmentId, MessageId } from "../engine/model.ts";
import { Refusal } from "../engine/refusal.ts";
import type {
  AppId,
  AppMessage,
  AppMessageHead,
  EndpointAttempt,
  EndpointMessage,
  Metadata,
  Task,
} from "../engine/webhooks/model.ts";
import type { JsonObject } from "../lib/json.ts";
import type { Row, Value } from "./database.ts";
import { columnsOf, type RowOf } from "./schema.ts";
import { decodeJson, decodeObject, encodeJson, requireId, storable } from "./text.ts";

export const APP_MESSAGE_COLUMNS = columnsOf("app_messages");
export const ENDPOINT_ATTEMPT_COLUMNS = columnsOf("endpoint_attempts");
export const TASK_COLUMNS = columnsOf("tasks");

const CONTENT: ReadonlySet<string> = new Set(["parameters", "payload", "raw"]);

/** What to select of a table called `m`. */
export const SELECT_APP_MESSAGE = listed(APP_MESSAGE_COLUMNS, "m");
export const SELECT_APP_MESSAGE_HEAD = listed(
  APP_MESSAGE_COLUMNS.filter((column) => !CONTENT.has(column)),
  "m",
);
/** Of a table called `a`. */
export const SELECT_ENDPOINT_ATTEMPT = listed(ENDPOINT_ATTEMPT_COLUMNS, "a");
export const SELECT_TASK = listed(TASK_COLUMNS, "t");
/** The same for `returning`. */
export const RETURN_TASK = listed(TASK_COLUMNS, "tasks");

function listed(columns: readonly string[], alias: string): string {
  return columns.map((column) => `${alias}.${column}`).join(", ");
}

// The values of a row stand in the order of its columns in schema.ts.

/** @throws Refusal("invalid") for what cannot be stored as it is. */
export function appMessageValues(m: AppMessage): Value[] {
  if (m.eventId !== null) requireId("eventId", m.eventId);
  const hasContent = m.payload !== null || m.raw !== null || m.parameters !== null;
  return [
    m.environmentId,
    m.appId,
    m.id,
    m.eventId,
    m.eventType,
    wordsText("channels", m.channels),
    wordsText("tags", m.tags),
    m.deliverAt,
    hasContent ? m.payloadUntil : null,
    m.createdAt,
    encodeJson(m.parameters),
    m.payload,
    rawText(m.raw),
  ];
}

export function appMessageOf(found: Row): AppMessage {
  const row = found as RowOf<"app_messages">;
  return { ...headOf(found), payload: row.payload, raw: rawOf(row.raw), parameters: decodeJson(row.parameters) };
}

/** From a row that was read without its content: payload, raw and parameters are null. */
export function bareMessageOf(found: Row): AppMessage {
  return { ...headOf(found), payload: null, raw: null, parameters: null };
}

/** `payloadUntil` of a message whose content has been thrown away is when the message was made: long over. */
export function headOf(found: Row): AppMessageHead {
  const row = found as RowOf<"app_messages">;
  return {
    environmentId: row.env_id as EnvironmentId,
    appId: row.app_id as AppId,
    id: row.id as MessageId,
    eventId: row.event_id,
    eventType: row.event_type,
    channels: wordsOf(row.channels),
    tags: wordsOf(row.tags),
    deliverAt: row.deliver_at,
    payloadUntil: row.payload_until ?? row.created_at,
    createdAt: row.created_at,
  };
}

/** Words between commas, so that one of them is found by the text `,word,`. */
function wordsText(field: string, words: readonly string[] | null): string | null {
  if (words === null) return null;
  for (const word of words) {
    if (word === "" || word.includes(",")) {
      throw new Refusal("invalid", `${field}: words without commas were expected, "${word}" came`, { field });
    }
  }
  return `,${words.map((word) => `${word},`).join("")}`;
}

function wordsOf(text: string | null): readonly string[] | null {
  return text === null ? null : text.split(",").slice(1, -1);
}

/** What such a column contains when it has this word; null when no column can have it. */
export function wordPattern(word: string): string | null {
  return word === "" || word.includes(",") ? null : `,${word},`;
}

/** Begins the JSON of a raw text that Postgres would not take as it is. */
const ESCAPED = "\u0001";

/** A raw body may hold NUL characters, which Postgres has no way to store. */
function rawText(raw: string | null): string | null {
  if (raw === null) return null;
  if (!raw.isWellFormed()) {
    throw new Refusal("invalid", "raw: text without unpaired surrogates was expected", { field: "raw" });
  }
  return raw.includes("\0") || raw.startsWith(ESCAPED) ? ESCAPED + JSON.stringify(raw) : raw;
}

function rawOf(text: string | null): string | null {
  return text?.startsWith(ESCAPED) ? (JSON.parse(text.slice(1)) as string) : text;
}

export function endpointAttemptValues(a: EndpointAttempt): Value[] {
  return [
    a.environmentId,
    a.appId,
    a.endpointId,
    a.messageId,
    a.deliveryId,
    a.id,
    a.eventType,
    a.outcome,
    a.trigger === "manual" ? 1 : 0,
    storable(a.url),
    a.statusCode,
    a.startedAt,
    a.endedAt,
    a.nextAt,
    JSON.stringify(a.sentHeaders),
    a.responseHeaders === null ? null : JSON.stringify(a.responseHeaders),
    storable(a.response),
  ];
}

export function endpointAttemptOf(found: Row): EndpointAttempt {
  const row = found as RowOf<"endpoint_attempts">;
  return {
    environmentId: row.env_id as EnvironmentId,
    appId: row.app_id as AppId,
    endpointId: row.endpoint_id as EndpointAttempt["endpointId"],
    messageId: row.message_id as MessageId,
    deliveryId: row.delivery_id as EndpointAttempt["deliveryId"],
    id: row.id as EndpointAttempt["id"],
    eventType: row.event_type,
    outcome: row.outcome as EndpointAttempt["outcome"],
    trigger: row.manual === 1 ? "manual" : "scheduled",
    url: row.url,
    statusCode: row.status_code,
    response: row.response,
    startedAt: row.started_at,
    endedAt: row.ended_at,
    nextAt: row.next_at,
    sentHeaders: JSON.parse(row.sent_headers) as Metadata,
    responseHeaders:
      row.response_headers === null
        ? null
        : (JSON.parse(row.response_headers) as NonNullable<EndpointAttempt["responseHeaders"]>),
  };
}

/** How a pair of message and endpoint fares, from `message_id`, `provider_id`, `state` and `due_at` of its delivery. */
export function pairOf(found: Row): EndpointMessage {
  const row = found as Pick<RowOf<"deliveries">, "message_id" | "provider_id" | "state" | "due_at">;
  const isTrying = row.state === "pending";
  return {
    messageId: row.message_id as MessageId,
    endpointId: row.provider_id as EndpointMessage["endpointId"],
    status: isTrying ? "trying" : (row.state as EndpointMessage["status"]),
    nextAt: isTrying ? row.due_at : null,
  };
}

export function taskValues(t: Task): Value[] {
  return [
    t.environmentId,
    t.id,
    t.kind,
    t.state,
    encodeJson(t.spec),
    t.cursor,
    encodeJson(t.data),
    null,
    t.state === "running" ? t.createdAt : null,
    t.createdAt,
    t.updatedAt,
  ];
}

export function taskOf(found: Row): Task {
  const row = found as RowOf<"tasks">;
  return {
    environmentId: row.env_id as EnvironmentId,
    id: row.id as Task["id"],
    kind: row.kind as Task["kind"],
    state: row.state as Task["state"],
    spec: decodeObject(row.spec),
    cursor: row.cursor,
    data: decodeObject(row.data) as JsonObject,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  };
}
