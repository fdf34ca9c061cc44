/**
 * Messages as callers see them. Answers that carry payloads are put together as text: a payload is shown as it was
 * written, and what `JSON.parse` would make of it is never asked.
 */
import type { FastifyReply } from "fastify";
import type { AppMessage } from "../../engine/webhooks/model.ts";
import type { Walk, Walked } from "../../engine/webhooks/ports.ts";
import type { Millis } from "../../lib/clock.ts";
import { ksuid } from "./ids.ts";
import { iteratorsOf } from "./paging.ts";
import { timestamp, timestampOrNull } from "./wire.ts";

/** JSON that is ready to be sent. */
export type JsonText = string;

const NO_PAYLOAD: JsonText = "{}";
const GONE_PAYLOAD: JsonText = '{"expired":true}';

/** Whether its content is no longer kept: it can be neither shown nor sent again. */
export function contentGone(message: AppMessage, now: Millis): boolean {
  return (message.payload === null && message.raw === null) || message.payloadUntil <= now;
}

function payloadText(message: AppMessage, withContent: boolean, now: Millis): JsonText {
  if (!withContent) return NO_PAYLOAD;
  if (contentGone(message, now)) return GONE_PAYLOAD;
  return message.payload ?? NO_PAYLOAD;
}

/** The members of a message, to stand between braces. */
export function messageMembers(message: AppMessage, withContent: boolean, now: Millis): JsonText {
  const { eventId, eventType, channels, id, createdAt, tags, deliverAt } = message;
  return (
    `"eventId":${JSON.stringify(eventId)},"eventType":${JSON.stringify(eventType)},` +
    `"payload":${payloadText(message, withContent, now)},"channels":${JSON.stringify(channels)},` +
    `"id":"${ksuid("msg", id)}","timestamp":"${timestamp(createdAt)}","tags":${JSON.stringify(tags)},` +
    `"deliverAt":${JSON.stringify(timestampOrNull(deliverAt))}`
  );
}

export function messageText(message: AppMessage, withContent: boolean, now: Millis): JsonText {
  return `{${messageMembers(message, withContent, now)}}`;
}

/** As `listResponse`, of items that are text. @param key as there. */
export function listText<T>(
  walked: Walked<T>,
  walk: Walk,
  key: (item: T) => string,
  text: (item: T) => JsonText,
): JsonText {
  const { iterator, prevIterator } = iteratorsOf(walked.items, walk, key);
  return (
    `{"data":[${walked.items.map(text).join(",")}],"iterator":${JSON.stringify(iterator)},` +
    `"prevIterator":${JSON.stringify(prevIterator)},"done":${!walked.more}}`
  );
}

export function sendText(reply: FastifyReply, text: JsonText, status = 200): FastifyReply {
  return reply.code(status).type("application/json; charset=utf-8").send(text);
}
