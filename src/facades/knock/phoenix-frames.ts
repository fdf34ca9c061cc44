/**
 * Frames of the Phoenix protocol, version 2: text, a JSON list of five.
 *
 *   [join_ref, ref, topic, event, payload]
 *
 * The client makes up both refs. What answers a frame carries its `ref`, and all that belongs to a joined channel carries
 * the `join_ref` under which it was joined: a client takes no notice of what has an older one, which is how a late word
 * about a channel it has left does not end the one it has joined since. What is pushed without being asked has neither.
 */
import { isObject, type JsonObject } from "../../lib/json.ts";

export interface PhoenixFrame {
  readonly joinRef: string | null;
  readonly ref: string | null;
  readonly topic: string;
  readonly event: string;
  readonly payload: JsonObject;
}

/** The topic of heartbeats, which no client joins. */
export const PHOENIX = "phoenix";

/** User ids have at most 256 characters; the rest of a topic is short. */
const MAX_TOPIC_LENGTH = 1_024;
/** Refs are counters. They are repeated in answers, so that they are not taken at any length. */
const MAX_REF_LENGTH = 64;

/** @returns null for what is no frame of this protocol; no client of ours sends such, and none is answered. */
export function parsePhoenix(text: string): PhoenixFrame | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  if (!Array.isArray(value) || value.length !== 5) return null;
  const [joinRef, ref, topic, event, payload] = value as readonly unknown[];
  if (!isRef(joinRef) || !isRef(ref)) return null;
  if (typeof topic !== "string" || topic.length > MAX_TOPIC_LENGTH || typeof event !== "string") return null;
  return { joinRef, ref, topic, event, payload: isObject(payload) ? payload : {} };
}

function isRef(value: unknown): value is string | null {
  return value === null || (typeof value === "string" && value.length <= MAX_REF_LENGTH);
}

/** The answer to a frame. */
export function replyFrame(asked: PhoenixFrame, status: "ok" | "error", response: JsonObject = {}): string {
  return JSON.stringify([asked.joinRef, asked.ref, asked.topic, "phx_reply", { status, response }]);
}

/** Tells that the channel joined under this ref is no more. */
export function closeFrame(topic: string, joinRef: string | null): string {
  return JSON.stringify([joinRef, joinRef, topic, "phx_close", {}]);
}

export function pushFrame(topic: string, event: string, payload: JsonObject): string {
  return JSON.stringify([null, null, topic, event, payload]);
}
