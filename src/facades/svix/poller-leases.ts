/**
 * What a consumer has been given and not yet acknowledged:
 *
 *   (not given) ──poll──▶ leased ──commit──▶ (gone)
 *                           │  ▲
 *             lease is over ▼  │ poll
 *                         lapsed
 *
 * A message keeps its offset through all of that, and offsets rise in the order in which messages are given first.
 */
import type { MessageId } from "../../engine/model.ts";
import type { AppMessage } from "../../engine/webhooks/model.ts";
import type { AppMessageFilter } from "../../engine/webhooks/ports.ts";
import type { Webhooks } from "../../engine/webhooks/webhooks.ts";
import type { Millis } from "../../lib/clock.ts";
import type { JsonObject } from "../../lib/json.ts";
import { type Of, type Place, placeAfter, placeBody, placeOf, readFrom } from "./poller-place.ts";

interface Given {
  readonly offset: number;
  readonly id: MessageId;
  readonly until: Millis;
}

export interface LeasedCursor {
  readonly place: Place;
  /** The next offset. */
  readonly next: number;
  /** By offset. */
  readonly given: readonly Given[];
}

/** So many messages may wait to be acknowledged; then there are no new ones until some are. */
const MOST_GIVEN = 1_000;
/** As a page of any list: it ends with the message that reaches this. */
const MAX_CHARACTERS = 8_000_000;

export function newLeasedCursor(place: Place): LeasedCursor {
  return { place, next: 0, given: [] };
}

/** Only we write these documents. */
export function leasedCursor(body: JsonObject): LeasedCursor {
  const { next, given } = body as unknown as Pick<LeasedCursor, "next" | "given">;
  return { place: placeOf(body.place), next, given };
}

function cursorBody({ place, next, given }: LeasedCursor): JsonObject {
  return { place: placeBody(place), next, given: given.map(({ offset, id, until }) => ({ offset, id, until })) };
}

/** @returns null when there is nothing to acknowledge up to there: it was done before. */
export function committed(cursor: LeasedCursor, offset: number): JsonObject | null {
  const given = cursor.given.filter((one) => one.offset > offset);
  return given.length === cursor.given.length ? null : cursorBody({ ...cursor, given });
}

export interface Polled {
  readonly items: readonly { readonly offset: number; readonly message: AppMessage }[];
  readonly cursor: JsonObject;
  /** Whether the cursor is another than before. */
  readonly changed: boolean;
  /** Whether there are no more to be had by now. */
  readonly done: boolean;
}

/** @param asked.filter null: no message is wanted. @param asked.until how long what is given now is leased. */
export async function pollLeased(
  messages: Pick<Webhooks["messages"], "list" | "read">,
  of: Of & { readonly endpoint: { readonly disabled: boolean } },
  cursor: LeasedCursor,
  asked: {
    readonly filter: Pick<AppMessageFilter, "eventTypes" | "channels"> | null;
    readonly limit: number;
    readonly until: Millis;
    readonly now: Millis;
  },
): Promise<Polled> {
  const { filter, limit, until, now } = asked;
  if (filter === null || of.endpoint.disabled) {
    return { items: [], cursor: cursorBody(cursor), changed: false, done: true };
  }
  const items: { offset: number; message: AppMessage }[] = [];
  const given = new Map(cursor.given.map((one) => [one.offset, one]));
  const lapsed = cursor.given.filter((one) => one.until <= now);
  let characters = 0;
  let looked = 0;
  for (const { offset, id } of lapsed) {
    if (items.length === limit || characters >= MAX_CHARACTERS) break;
    looked++;
    const message = await messages.read(of.environmentId, of.appId, id);
    if (message === null) given.delete(offset);
    else {
      given.set(offset, { offset, id, until });
      items.push({ offset, message });
      characters += message.payload?.length ?? 0;
    }
  }
  const room = characters >= MAX_CHARACTERS ? 0 : Math.min(limit - items.length, MOST_GIVEN - given.size);
  let { place, next } = cursor;
  // With no room for new ones, who waits for them has to acknowledge first.
  let done = looked === lapsed.length && (room > 0 || items.length === 0);
  if (room > 0) {
    const fresh = await readFrom(messages, of, place, filter, room);
    for (const message of fresh.messages) {
      items.push({ offset: next, message });
      given.set(next, { offset: next, id: message.id, until });
      next++;
    }
    const read = fresh.messages.map(({ id }) => id);
    if (read.length > 0) place = placeAfter(place, read, now);
    done = done && fresh.done;
  }
  const changed = looked > 0 || next !== cursor.next;
  const after = { place, next, given: [...given.values()].sort((a, b) => a.offset - b.offset) };
  return { items, cursor: cursorBody(after), changed, done };
}
