/**
 * How this vendor's clients know messages. What was sent through this facade is one message for all who got it, so its
 * names come from the request; any other item is a message of its own and is named after its delivery.
 *
 *   name of a message   `m` and the 26 characters of the request's id, `i` and those of the delivery's
 *   inbox_id            the name, as `m_…`
 *   hash                the name
 *   message code        80 of the 128 bits of the request's id: `4C1D-0A5B77E2-91F03C6D`
 *   order               15 digits, see below
 */
import type { DeliveryId, RequestId } from "../../engine/model.ts";
import type { Millis } from "../../lib/clock.ts";
import { fromHex, isId, newId, timeOf, toHex, withPrefix } from "../../lib/ids.ts";

export type MessageName =
  | { readonly kind: "request"; readonly id: RequestId }
  | { readonly kind: "item"; readonly id: DeliveryId };

const CODE = /^([0-9A-F]{4})-([0-9A-F]{8})-([0-9A-F]{8})$/i;

export function hashOf(name: MessageName): string {
  return `${name.kind === "request" ? "m" : "i"}${name.id.slice(-26)}`;
}

export function inboxIdOf(name: MessageName): string {
  return `${name.kind === "request" ? "m" : "i"}_${name.id.slice(-26)}`;
}

/** Reads an inbox_id or a hash. @returns null for what is neither. Whether there is such a message is not looked at. */
export function nameOf(text: string): MessageName | null {
  const body = text.slice(text[1] === "_" ? 2 : 1);
  if (text[0] === "m" && isId("req", `req_${body}`)) return { kind: "request", id: withPrefix("req", body) };
  if (text[0] === "i" && isId("dlv", `dlv_${body}`)) return { kind: "item", id: withPrefix("dlv", body) };
  return null;
}

/** The seconds, the milliseconds and count, and 16 of the random bits. */
export function codeOf(id: RequestId): string {
  const hex = toHex(id).toUpperCase();
  return `${hex.slice(16, 20)}-${hex.slice(0, 8)}-${hex.slice(8, 16)}`;
}

/** The ids that a code may stand for, as a range that hardly ever holds another; null for what is no code. */
export function idsOfCode(code: string): { readonly from: RequestId; readonly to: RequestId } | null {
  const parts = CODE.exec(code);
  if (parts === null) return null;
  const [, random, seconds, count] = parts;
  const known = `${seconds}${count}${random}`.toLowerCase();
  return { from: fromHex("req", known.padEnd(32, "0")), to: fromHex("req", known.padEnd(32, "f")) };
}

/** Steps of an order within a millisecond: what web clients invent until they know better sorts behind 100 a millisecond. */
const STEPS = 100;
/** How far of very many in one millisecond those at the end may be ahead of it: a second. */
const MOST_STEPS = 1_000 * STEPS - 1;
/**
 * The order of an item that was not sent through this facade: its time, and its count within the millisecond. Beyond a
 * hundred it reaches into the next ones, so that it is different from the others' of its millisecond.
 */
export function orderOfItem(id: DeliveryId): number {
  const count = Number.parseInt(toHex(id).slice(8, 16), 16) & 0x3fffff;
  return timeOf(id) * STEPS + Math.min(count, MOST_STEPS);
}

/** The millisecond that an order was made of, or a little later: of many at once, some borrow from the next. */
export function timeOfOrder(order: number): Millis {
  return Math.floor(order / STEPS);
}

/** An order that no item of ours has: other than 15 digits. */
export function isOrder(text: string): boolean {
  return /^[1-9]\d{14}$/.test(text);
}

/** Gives out orders that rise strictly within this process, and are none of an item's of the same millisecond. */
export class Orders {
  #last = 0;
  #later: number;

  /** @param start a number below 100,000, another one for each process. */
  constructor(start: number) {
    this.#later = start;
  }

  next(now: Millis): number {
    this.#last = Math.max(this.#last + 1, orderOfItem(newId("dlv", now)));
    return this.#last;
  }

  /** For what is sent later: as if made within a second from then, and different from what else is sent at that moment. */
  nextAt(due: Millis): number {
    this.#later = (this.#later + 1) % (MOST_STEPS + 1);
    return due * STEPS + this.#later;
  }
}
