/** How an inbox item looks to this vendor's clients: exactly these eleven keys, always, in exactly these types. */
import type { InboxBrief } from "../../engine/ports.ts";
import type { Millis } from "../../lib/clock.ts";
import { isObject, type Json, type JsonObject } from "../../lib/json.ts";
import { hashOf, inboxIdOf, type MessageName, orderOfItem } from "./ids.ts";
import { safeImage, withoutTags } from "./plain-text.ts";

/** Wire status of an item that is not deleted: delivered, read, opened. */
export type ItemStatus = 1 | 2 | 3;

/** 2100-01-01, in seconds: never. Clients compare these as texts, so they have ten digits. */
export const NEVER = "4102444800";
const LATEST_SECONDS = 9_999_999_999;

/** Names this facade in what is sent and changed through it. */
export const FACADE = "pushwoosh";

/**
 * What messages sent through this facade carry in `content.raw`, under its name: what cannot be read off the item,
 * because the item is one recipient's.
 */
export interface Mark {
  readonly order: number;
  /** When it was sent, as clients are told. */
  readonly at: Millis;
  /** When it leaves the inbox; absent: it is a push only. */
  readonly until?: Millis;
  /** Rich media, as JSON text; and the address of a remote page. */
  readonly rm?: string;
  readonly r?: string;
  /** The sender's data when it is not an object. */
  readonly u?: string;
}

/** Wire form of one message. */
export interface MessageView {
  readonly inbox_id: string;
  readonly order: string;
  readonly rt: string;
  readonly send_date: string;
  readonly title: string;
  readonly text: string;
  readonly image: string;
  readonly action_type: 1 | 2;
  readonly action_params: string;
  readonly status: ItemStatus;
  readonly hash: string;
}

type Item = Pick<
  InboxBrief,
  "id" | "requestId" | "createdAt" | "readAt" | "interactedAt" | "expiresAt" | "content" | "data" | "via"
>;

/** @returns null when the item was not sent through this facade. */
export function markOf({ via, content }: Pick<Item, "content" | "via">): Mark | null {
  if (via !== FACADE) return null;
  const mark = content.raw?.[FACADE];
  return isObject(mark) ? (mark as unknown as Mark) : null;
}

export function messageNameOf(item: Pick<Item, "id" | "requestId" | "content" | "via">): MessageName {
  return markOf(item) === null ? { kind: "item", id: item.id } : { kind: "request", id: item.requestId };
}

export function orderOf(item: Pick<Item, "id" | "content" | "via">): number {
  return markOf(item)?.order ?? orderOfItem(item.id);
}

export function statusOf({ readAt, interactedAt }: Pick<Item, "readAt" | "interactedAt">): ItemStatus {
  return interactedAt !== null ? 3 : readAt !== null ? 2 : 1;
}

export function messageView(item: Item): MessageView {
  const mark = markOf(item);
  const name: MessageName = mark === null ? { kind: "item", id: item.id } : { kind: "request", id: item.requestId };
  const { content } = item;
  return {
    inbox_id: inboxIdOf(name),
    order: String(mark?.order ?? orderOfItem(item.id)),
    rt: item.expiresAt === null ? NEVER : seconds(item.expiresAt),
    send_date: seconds(mark?.at ?? item.createdAt),
    title: withoutTags(content.title),
    text: withoutTags(content.body),
    image: safeImage(content.imageUrl ?? ""),
    action_type: mark?.rm === undefined && mark?.r === undefined ? 1 : 2,
    action_params: JSON.stringify(actionParams(item, mark)),
    status: statusOf(item),
    hash: hashOf(name),
  };
}

/** Keys without a value are left out: clients take a null for an address. */
function actionParams({ content, data }: Item, mark: Mark | null): JsonObject {
  const params: Record<string, Json> = {};
  const link = content.clickUrl ?? content.actions.find((action) => action.href !== "")?.href;
  // A page that is shown in place of the message is `r` here, and no link unless it is given as one.
  if (link !== undefined && link !== mark?.r) params.l = link;
  if (typeof mark?.rm === "string") params.rm = mark.rm;
  if (typeof mark?.r === "string") params.r = mark.r;
  const own = Object.keys(data).length > 0 ? JSON.stringify(data) : mark?.u;
  if (typeof own === "string") params.u = own;
  return params;
}

function seconds(at: Millis): string {
  return String(Math.min(Math.max(0, Math.floor(at / 1000)), LATEST_SECONDS)).padStart(10, "0");
}
