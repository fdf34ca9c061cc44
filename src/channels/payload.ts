/**
 * What a provider is asked to send: the rendered content with the overrides laid over it. Pure; shared by the real
 * providers of a channel and by the stand-ins that keep it instead. Every function throws Refusal("invalid") naming
 * the override at fault.
 */
import type { Delivery } from "../engine/model.ts";
import { Refusal } from "../engine/refusal.ts";
import { deepMerge, isObject, type Json, type JsonObject } from "../lib/json.ts";

/** Later layers win: the author's raw body over what was rendered, the sender's override over both. */
type Layers = readonly JsonObject[];

const MAIL_LISTS = ["cc", "bcc", "reply_to"] as const;

/** @param settings of the provider; its `from` and `reply_to` hold where nothing else says otherwise. */
export function emailPayload(delivery: Delivery, settings: JsonObject): JsonObject {
  const { content } = delivery;
  const layers = layersOf(delivery);
  const payload: Record<string, Json | undefined> = {
    to: text([delivery.address], "email") ?? "",
    subject: text(layers, "subject") ?? content.subject,
    html: text(layers, "html") ?? content.html,
    text: text(layers, "text") ?? content.text,
  };
  const from = text(layers, "from") ?? text([settings], "from");
  if (from !== undefined) payload.from = from;
  for (const field of MAIL_LISTS) {
    const value = found(layers, field) ?? found([settings], field);
    if (value !== undefined) payload[field] = value;
  }
  const attachments = found(layers, "attachments");
  if (attachments !== undefined) payload.attachments = attachments;
  return withBody(payload, delivery);
}

export function smsPayload(delivery: Delivery, settings: JsonObject): JsonObject {
  const raw = delivery.content.raw ?? {};
  const override = delivery.override ?? {};
  const payload: Record<string, Json | undefined> = {
    to: text([delivery.address], "phone") ?? "",
    // An object under `body` is a piece of the provider's request and is merged below.
    body:
      (isObject(override.body) ? undefined : text([override], "body")) ??
      text([raw], "body", "text") ??
      delivery.content.body,
  };
  const from = text([override], "from") ?? text([settings], "from");
  if (from !== undefined) payload.from = from;
  return withBody(payload, delivery);
}

/** One payload for all of the user's tokens. */
export function pushPayload(delivery: Delivery): JsonObject {
  const { content } = delivery;
  const raw = content.raw ?? {};
  const override = delivery.override ?? {};
  const layers = [raw, override];
  const overData = found([override], "data");
  if (overData !== undefined && !isObject(overData)) throw wrong("data", "an object");
  const rawData = isObject(raw.data) ? raw.data : {};
  return withBody(
    {
      tokens: delivery.address.tokens ?? [],
      title: text(layers, "title") ?? content.title,
      body:
        (isObject(override.body) ? undefined : text([override], "body")) ?? text([raw], "body", "text") ?? content.body,
      data: deepMerge(deepMerge(delivery.data, rawData), overData ?? {}),
      icon: text(layers, "icon") ?? null,
      clickAction: text(layers, "clickAction") ?? content.clickUrl,
      imageUrl: text(layers, "imageUrl") ?? content.imageUrl,
    },
    delivery,
  );
}

export function chatPayload(delivery: Delivery): JsonObject {
  const { content } = delivery;
  const layers = layersOf(delivery);
  return withBody(
    {
      target: delivery.address,
      blocks: found(layers, "blocks") ?? content.blocks.map((block) => ({ type: block.type, text: block.text })),
      text: text(layers, "text") ?? content.text,
    },
    delivery,
  );
}

function layersOf(delivery: Delivery): Layers {
  return [delivery.content.raw ?? {}, delivery.override ?? {}];
}

/** `body` of a provider's override is merged into the finished request at every depth. */
function withBody(payload: JsonObject, delivery: Delivery): JsonObject {
  const body = delivery.override?.body;
  return isObject(body) ? deepMerge(payload, body) : payload;
}

/** The value of the last layer that has one; null counts as none. */
function found(layers: Layers, ...fields: readonly string[]): Json | undefined {
  for (const layer of layers.toReversed()) {
    for (const field of fields) {
      const value = Object.hasOwn(layer, field) ? layer[field] : undefined;
      if (value !== undefined && value !== null) return value;
    }
  }
  return undefined;
}

function text(layers: Layers, ...fields: readonly string[]): string | undefined {
  const value = found(layers, ...fields);
  if (value === undefined || typeof value === "string") return value;
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  throw wrong(fields[0] as string, "a string");
}

function wrong(field: string, expected: string): Refusal {
  return new Refusal("invalid", `the override's ${field} must be ${expected}`, { field: `override.${field}` });
}
