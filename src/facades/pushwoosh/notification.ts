/** One notification of createMessage, checked and read. Pure: nothing is looked up. */
import type { Millis } from "../../lib/clock.ts";
import { isObject, type Json, type JsonObject } from "../../lib/json.ts";
import { Fields } from "./call.ts";
import { isZone, readMoment } from "./moments.ts";
import { runsScript } from "./plain-text.ts";

/** A text, or texts by language. */
export type Text = string | { readonly [language: string]: string };

export interface Notification {
  readonly title: Text;
  readonly body: Text;
  readonly link: string | null;
  readonly imageUrl: string | null;
  /** Rich media, as JSON text. */
  readonly richMedia: string | null;
  readonly remotePage: string | null;
  readonly data: JsonObject;
  /** The sender's data when it is not an object. */
  readonly rawData: string | null;
  readonly users: readonly string[] | null;
  readonly devices: readonly string[] | null;
  /** When it is sent; null: now. */
  readonly due: Millis | null;
  /** When it leaves the inbox again; null: it is a push only. */
  readonly expiresAt: Millis | null;
  readonly silent: boolean;
  readonly transactionId: string | null;
}

const MAX_RECIPIENTS = 1_000;
const MAX_ID_BYTES = 1_024;
const DAY_MS: Millis = 86_400_000;
const MAX_INBOX_DAYS = 30;
/** As long as the engine keeps something that waits. */
const MAX_DELAY_MS: Millis = 90 * DAY_MS;
const MAX_TRANSACTION_CHARS = 256;
const TITLES = ["title", "chrome_title", "firefox_title", "ios_title", "android_header", "safari_title"];
/** They narrow down whom it goes to, so that leaving one out of account would send to too many. */
const AUDIENCES = ["conditions", "filter", "filter_code", "preset", "geozone", "geozones", "devices_filter"];
const ROOT_PARAMS = ["chrome_root_params", "firefox_root_params", "ios_root_params", "android_root_params"];

/**
 * @param path of the notification, for refusals.
 * @param defaultInboxDays how long it is in the inbox when it does not say; null: not at all.
 * @throws Refusal("invalid") naming the field at fault.
 */
export function readNotification(
  value: Json,
  path: string,
  now: Millis,
  defaultInboxDays: number | null,
): Notification {
  const fields = new Fields(isObject(value) ? value : {}, `${path}.`);
  if (!isObject(value)) throw new Fields({}).wrong(path, "Expected an object");
  for (const name of AUDIENCES) {
    const audience = fields.any(name);
    const isEmpty = audience === undefined || audience === "" || (Array.isArray(audience) && audience.length === 0);
    if (!isEmpty) throw fields.wrong(name, "Choosing the audience this way is not implemented");
  }
  const silent = isSilent(value, fields);
  const body = textIn(fields, "content");
  if (body === "" && !silent) throw fields.wrong("content", "Required, unless the message is silent");
  const due = dueOf(fields, now);
  const { data, rawData } = dataOf(fields);
  return {
    title: titleOf(fields),
    body,
    link: linkOf(fields),
    imageUrl: fields.text("inbox_image") ?? fields.text("inbox_icon") ?? null,
    richMedia: richMediaOf(fields),
    remotePage: fields.text("remote_page") ?? null,
    data,
    rawData,
    ...recipientsOf(fields),
    due,
    expiresAt: expiryOf(fields, due ?? now, defaultInboxDays),
    silent,
    transactionId: transactionOf(fields),
  };
}

function titleOf(fields: Fields): Text {
  for (const name of TITLES) {
    const title = textIn(fields, name);
    if (title !== "") return title;
  }
  return "";
}

/** `""` when there is none. */
function textIn(fields: Fields, name: string): Text {
  const value = fields.any(name);
  if (!isObject(value)) return fields.text(name) ?? "";
  const texts = Object.entries(value).flatMap(([language, text]): [string, string][] => {
    if (text === null || text === undefined) return [];
    if (typeof text !== "string") throw fields.wrong(`${name}.${language}`, "Expected a text");
    return [[language, text]];
  });
  return texts.length === 0 ? "" : Object.fromEntries(texts);
}

function isSilent(notification: JsonObject, fields: Fields): boolean {
  if (Object.keys(notification).some((name) => name.endsWith("_silent") && fields.flag(name))) return true;
  return ROOT_PARAMS.some((name) => {
    const params = fields.any(name);
    return isObject(params) && new Fields(params).flag("silent");
  });
}

function linkOf(fields: Fields): string | null {
  const link = fields.text("link") ?? null;
  if (link !== null && runsScript(link)) throw fields.wrong("link", "Expected an address that runs no script");
  return link;
}

function richMediaOf(fields: Fields): string | null {
  const media = fields.any("rich_media");
  if (isObject(media)) return JSON.stringify(media);
  const text = fields.text("rich_media");
  if (text === undefined) return null;
  return text.startsWith("{") ? text : JSON.stringify(/^https?:/i.test(text) ? { url: text } : { code: text });
}

function dataOf(fields: Fields): { readonly data: JsonObject; readonly rawData: string | null } {
  const value = fields.any("data");
  if (value === undefined || value === "") return { data: {}, rawData: null };
  if (isObject(value)) return { data: value, rawData: null };
  // In PHP an object without fields is an empty list.
  if (Array.isArray(value)) return { data: {}, rawData: value.length === 0 ? null : JSON.stringify(value) };
  if (typeof value !== "string") throw fields.wrong("data", "Expected an object or JSON");
  let parsed: unknown = null;
  try {
    parsed = JSON.parse(value);
  } catch {
    // Handed on as it is.
  }
  const isData = isObject(parsed) && !value.includes("__proto__");
  return isData ? { data: parsed as JsonObject, rawData: null } : { data: {}, rawData: value };
}

/** Beside the other list an empty one is none; alone it is refused: taken for none, it would send to everybody. */
function recipientsOf(fields: Fields): Pick<Notification, "users" | "devices"> {
  const [users, devices] = [idsOf(fields, "users"), idsOf(fields, "devices")];
  const nobody = (users ?? []).length === 0 && (devices ?? []).length === 0;
  if (nobody && users !== null) throw fields.wrong("users", "Expected at least one");
  if (nobody && devices !== null) throw fields.wrong("devices", "Expected at least one");
  return { users: users?.length === 0 ? null : users, devices: devices?.length === 0 ? null : devices };
}

function idsOf(fields: Fields, name: "users" | "devices"): readonly string[] | null {
  const list = fields.list(name, MAX_RECIPIENTS);
  if (list === undefined) return null;
  const ids = list.map((entry, i) => {
    const id = typeof entry === "number" ? String(entry) : entry;
    if (typeof id !== "string" || id === "") throw fields.wrong(`${name}[${i}]`, "Expected a text");
    if (id.includes("\0") || !id.isWellFormed()) throw fields.wrong(`${name}[${i}]`, "Expected text that can be kept");
    if (name === "users" && Buffer.byteLength(id) > MAX_ID_BYTES) {
      throw fields.wrong(`${name}[${i}]`, `Expected at most ${MAX_ID_BYTES} bytes`);
    }
    return id;
  });
  return [...new Set(ids)];
}

function dueOf(fields: Fields, now: Millis): Millis | null {
  const text = fields.text("send_date");
  const zone = fields.text("timezone") ?? "UTC";
  if (!isZone(zone)) throw fields.wrong("timezone", "Expected the name of a time zone");
  if (text === undefined || text === "now") return null;
  const due = readMoment(text, zone);
  if (due === null) throw fields.wrong("send_date", 'Expected "now" or a date like "2026-01-31 08:30"');
  if (due - now > MAX_DELAY_MS) throw fields.wrong("send_date", "Expected a date within 90 days");
  return due > now ? due : null;
}

/** In whole seconds, as clients are told both ends. */
function expiryOf(fields: Fields, sentAt: Millis, defaultDays: number | null): Millis | null {
  const date = fields.text("inbox_date");
  const given = fields.integer("inbox_days");
  if (given !== undefined && (given < 1 || given > MAX_INBOX_DAYS)) {
    throw fields.wrong("inbox_days", `Expected 1 to ${MAX_INBOX_DAYS}, got ${given}`);
  }
  if (date === undefined) {
    const days = given ?? defaultDays;
    return days === null ? null : Math.floor(sentAt / 1000) * 1000 + days * DAY_MS;
  }
  const until = readMoment(date, "UTC");
  if (until === null) throw fields.wrong("inbox_date", 'Expected a date like "2026-01-31 08:30"');
  if (until <= sentAt) throw fields.wrong("inbox_date", "Expected a date that is still to come when it is sent");
  return until;
}

function transactionOf(fields: Fields): string | null {
  const id = fields.text("transactionId");
  if (id === undefined) return null;
  if (id.length > MAX_TRANSACTION_CHARS || id.includes("\0") || !id.isWellFormed()) {
    throw fields.wrong("transactionId", `Expected at most ${MAX_TRANSACTION_CHARS} characters that can be kept`);
  }
  return id;
}
