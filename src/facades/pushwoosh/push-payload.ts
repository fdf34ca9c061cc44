/** What this vendor's service workers are sent of a push: flat JSON, in which what is not there is left out. */
import type { Delivery } from "../../engine/model.ts";
import { Refusal } from "../../engine/refusal.ts";
import type { Millis } from "../../lib/clock.ts";
import { isObject, type JsonObject } from "../../lib/json.ts";
import { hashOf, inboxIdOf, type MessageName } from "./ids.ts";
import { FACADE, NEVER } from "./message-views.ts";
import { runsScript, safeImage, withoutTags } from "./plain-text.ts";

/** What a person is to see, and what the sender's app gets. */
interface Shown {
  readonly title: string;
  readonly body: string;
  readonly icon: string | null;
  readonly imageUrl: string | null;
  readonly clickUrl: string | null;
  readonly data: JsonObject;
}

/** Longest address of a picture: it stands in a push twice. */
const MAX_PICTURE = 1_000;
/** Left out one after the other when there is no room; then the texts are cut. */
const DISPENSABLE = ["u", "image", "i"] as const;

/**
 * Spells one push. Messages of all facades have a `p`, by which clients tell that it arrived and was opened; those that
 * this facade put into an inbox are named there as the inbox names them.
 * @returns `until` of the inbox item.
 * @throws Refusal("invalid") when even without its texts it does not fit.
 */
export function pushMessage(
  delivery: Delivery,
  shown: Shown,
  maxBytes: number,
): { readonly text: string; readonly until: Millis | null } {
  const name: MessageName = { kind: "request", id: delivery.requestId };
  const found = delivery.content.raw?.[FACADE];
  const mark: JsonObject = isObject(found) ? found : {};
  const until = typeof mark.until === "number" ? mark.until : null;
  const link = shown.clickUrl ?? delivery.content.actions.find((action) => action.href !== "")?.href ?? "";
  // The engine adds where other facades' clients say that it was opened; these do so by `p`.
  const { trackingUrl: _, ...data } = shown.data;
  const own = Object.keys(data).length > 0 ? JSON.stringify(data) : mark.u;
  const image = pictureOf(shown.imageUrl);
  const payload: Payload = {
    header: withoutTags(shown.title).slice(0, maxBytes),
    body: withoutTags(shown.body).slice(0, maxBytes),
    i: pictureOf(shown.icon),
    image,
    l: runsScript(link) ? "" : link,
    p: hashOf(name),
    u: typeof own === "string" ? own : "",
    pw_inbox: until === null ? "" : inboxIdOf(name),
    inbox_params: until === null ? "" : JSON.stringify({ rt: secondsOf(until), ...(image === "" ? {} : { image }) }),
  };
  return { text: fitted(payload, maxBytes), until };
}

type Payload = { readonly [field in "header" | "body" | "l" | "p" | "u" | "i" | "image"]: string } & JsonObject;

function fitted(payload: Payload, maxBytes: number): string {
  let fits = payload;
  if (sizeOf({ ...fits, body: "" }) > maxBytes) {
    for (const field of DISPENSABLE) {
      fits = { ...fits, [field]: "" };
      if (sizeOf({ ...fits, body: "" }) <= maxBytes) break;
    }
  }
  fits = { ...fits, header: cut(fits.header, (header) => sizeOf({ ...fits, header, body: "" }) <= maxBytes) };
  fits = { ...fits, body: cut(fits.body, (body) => sizeOf({ ...fits, body }) <= maxBytes) };
  if (sizeOf(fits) > maxBytes) throw new Refusal("invalid", "the link is too long for a push");
  return textOf(fits);
}

/** The longest beginning that fits, `""` when none does. No character is cut in half. */
function cut(text: string, fits: (text: string) => boolean): string {
  if (fits(text)) return text;
  let [kept, tooLong] = [0, text.length];
  while (tooLong - kept > 1) {
    const middle = (kept + tooLong) >> 1;
    if (fits(`${text.slice(0, middle)}…`)) kept = middle;
    else tooLong = middle;
  }
  if (/[\ud800-\udbff]/.test(text[kept - 1] ?? "")) kept--;
  return kept === 0 ? "" : `${text.slice(0, kept)}…`;
}

function sizeOf(payload: JsonObject): number {
  return Buffer.byteLength(textOf(payload));
}

function textOf(payload: JsonObject): string {
  return JSON.stringify(Object.fromEntries(Object.entries(payload).filter(([, value]) => value !== "")));
}

function pictureOf(address: string | null): string {
  return address === null || address.length > MAX_PICTURE ? "" : safeImage(address);
}

function secondsOf(until: Millis): string {
  const seconds = String(Math.floor(until / 1000));
  return seconds.length === 10 ? seconds : NEVER;
}
