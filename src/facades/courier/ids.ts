/**
 * How Courier spells ids. Requests and messages are `1-<8 hex digits: Unix seconds>-<24 hex digits>`, which is exactly
 * our 128 bits in hex with two dashes; so nothing is stored and either spelling can be had from the other.
 */
import type { ItemName } from "../../engine/engine.ts";
import type { MessageId, RequestId } from "../../engine/model.ts";
import { fromHex, type Id, toHex } from "../../lib/ids.ts";

const COURIER_ID = /^1-([0-9a-f]{8})-([0-9a-f]{24})$/;
/** `1-`, 8 digits, `-`, 24 digits. */
const COURIER_ID_LENGTH = 35;

/** The Courier spelling of any of our ids. */
export function toCourierId(id: string): string {
  const hex = toHex(id);
  return `1-${hex.slice(0, 8)}-${hex.slice(8)}`;
}

/** @returns null when the text is not in Courier's spelling. */
export function fromCourierId<P extends string>(prefix: P, text: string): Id<P> | null {
  const match = COURIER_ID.exec(text);
  return match === null ? null : fromHex(prefix, `${match[1]}${match[2]}`);
}

/**
 * What a message is called outside: by its own id, or by request and user when it went to a member of a tenant.
 * The user's id is escaped where need be, see `escapeUserId`.
 */
export function publicMessageId(message: {
  readonly viaTenant: boolean;
  readonly requestId: RequestId;
  readonly userId: string | null;
  readonly messageId: MessageId;
}): string {
  return message.viaTenant && message.userId !== null
    ? `${toCourierId(message.requestId)}:${escapeUserId(message.userId)}`
    : toCourierId(message.messageId);
}

/**
 * What an item of an inbox is called outside: as its message, which has but this one item. A workflow may put several
 * into an inbox in one run; each of them goes by its own id.
 */
export function publicItemId(item: ItemName): string {
  return item.origin === undefined ? publicMessageId(item) : toCourierId(item.id);
}

export type MessageReference =
  | { readonly kind: "message"; readonly messageId: MessageId }
  /** Resolve it with `messages.findByUser`. */
  | { readonly kind: "member"; readonly requestId: RequestId; readonly userId: string };

/**
 * Reads what `publicMessageId` spelled, and the same with the user's id as it is, which is how people write it by hand.
 * @returns null for anything else: there is no such message.
 */
export function parsePublicMessageId(text: string): MessageReference | null {
  if (text[COURIER_ID_LENGTH] !== ":") {
    const messageId = fromCourierId("msg", text);
    return messageId === null ? null : { kind: "message", messageId };
  }
  const requestId = fromCourierId("req", text.slice(0, COURIER_ID_LENGTH));
  const userId = text.slice(COURIER_ID_LENGTH + 1);
  return requestId === null || userId === "" ? null : { kind: "member", requestId, userId: unescapeUserId(userId) };
}

/** Characters that mean nothing in GraphQL strings, URLs, HTML or shells; no mark of ours at the beginning. */
const PLAIN_USER_ID = /^(?!~~)[\w.:~@=+-]+$/;
const MARK = "~~";
const ESCAPED = /[^\w.:~@+-]/gu;

/**
 * Courier's SDKs put a message's id into the text of their GraphQL queries as it is, so one with a quotation mark in it
 * would be a different query. A user id that is nothing but plain characters stays what it is; any other gets a mark
 * in front, and `=` and two hex digits for each byte of what is not plain: `ann "o"` becomes `~~ann=20=22o=22`.
 */
function escapeUserId(userId: string): string {
  if (PLAIN_USER_ID.test(userId)) return userId;
  return MARK + userId.replace(ESCAPED, (char) => Buffer.from(char).toString("hex").replace(/../g, "=$&"));
}

/** Only what `escapeUserId` would have written is escaped; anything else is a user id as it is. */
function unescapeUserId(text: string): string {
  if (!text.startsWith(MARK)) return text;
  const escaped = text.slice(MARK.length).replace(/(?:=[0-9a-f]{2})+/g, (run) => {
    return Buffer.from(run.replaceAll("=", ""), "hex").toString();
  });
  return escapeUserId(escaped) === text ? escaped : text;
}
