/**
 * How far the consumers of a poller are, as documents: kind `poller-cursor:<endpoint>`, one for each consumer of either
 * way to poll. A consumer's document is changed by compare-and-set, so that of two polls at once each gets its own.
 */

import type { EnvironmentId } from "../../engine/model.ts";
import type { DocumentStore } from "../../engine/ports.ts";
import { Refusal } from "../../engine/refusal.ts";
import type { AppEndpointId } from "../../engine/webhooks/model.ts";
import type { Millis } from "../../lib/clock.ts";
import type { JsonObject } from "../../lib/json.ts";
import { badRequest } from "./errors.ts";

/** Consumers of one poller; they are named by whoever polls. */
const MOST_CONSUMERS = 250;
/** A consumer that is polled by many at once is told to come back. */
const MOST_TRIES = 20;

export interface CursorOf {
  readonly environmentId: EnvironmentId;
  readonly endpointId: AppEndpointId;
  /** `remembered`: the server holds the iterator. `leased`: it holds which messages are given out. */
  readonly way: "remembered" | "leased";
  readonly consumer: string;
}

/** What comes of a look at a cursor: an answer, and the cursor as it is to be from now on; null leaves it. */
export interface Looked<T> {
  readonly cursor: JsonObject | null;
  readonly answer: T;
}

/**
 * @param look is given the cursor, or null for a consumer that is new; it may run again after a conflict.
 * @throws SvixError 400 `limit_reached` when it makes one consumer too many.
 */
export async function lookWith<T>(
  documents: DocumentStore,
  { environmentId, endpointId, way, consumer }: CursorOf,
  at: Millis,
  look: (cursor: JsonObject | null) => Promise<Looked<T>>,
): Promise<T> {
  const kind = kindOf(endpointId);
  const id = `${way}:${consumer}`;
  for (let tries = 0; tries < MOST_TRIES; tries++) {
    const document = await documents.read(environmentId, kind, id);
    const { cursor, answer } = await look(document?.body ?? null);
    if (cursor === null) return answer;
    if (document === null) await checkRoom(documents, environmentId, kind);
    const expect = document?.version ?? "absent";
    if ((await documents.write(environmentId, [{ kind, id, body: cursor, expect }], at)) !== null) return answer;
  }
  throw new Refusal("busy", "This consumer is polled by too many at once", { retryAfterMs: 1_000 });
}

async function checkRoom(documents: DocumentStore, environmentId: EnvironmentId, kind: string): Promise<void> {
  const { items } = await documents.list(environmentId, kind, { limit: MOST_CONSUMERS });
  if (items.length >= MOST_CONSUMERS) {
    throw badRequest(`A poller has at most ${MOST_CONSUMERS} consumers`, "limit_reached");
  }
}

/** Forgets all consumers of a poller. */
export async function dropCursors(
  documents: DocumentStore,
  environmentId: EnvironmentId,
  endpointId: AppEndpointId,
  at: Millis,
): Promise<void> {
  const kind = kindOf(endpointId);
  const { items } = await documents.list(environmentId, kind, { limit: MOST_CONSUMERS + 1 });
  if (items.length === 0) return;
  await documents.write(
    environmentId,
    items.map(({ id }) => ({ kind, id, body: null, expect: "any" as const })),
    at,
  );
}

function kindOf(endpointId: AppEndpointId): string {
  return `poller-cursor:${endpointId}`;
}
