/** From an email payload to what nodemailer sends. Pure; everything a sender could smuggle into a header ends here. */
import type { SendMailOptions } from "nodemailer";
import parseAddresses from "nodemailer/lib/addressparser";
import type { Delivery } from "../../engine/model.ts";
import { Refusal } from "../../engine/refusal.ts";
import { isObject, type Json, type JsonObject } from "../../lib/json.ts";

interface Mailbox {
  readonly name: string;
  readonly address: string;
}

/** Relays commonly take a hundred recipients of one mail; whoever wants more wants a list. */
const MAX_RECIPIENTS = 100;
const MAX_ATTACHMENTS = 100;

/** No quoting, comments or literals: what is left cannot end an address early or begin another. */
const ADDRESS = /^[^\s\p{C}<>()[\]\\,;:"@]+@[^\s\p{C}<>()[\]\\,;:"@]+$/u;
const MEDIA_TYPE = /^[a-z0-9!#$&^_.+-]+\/[a-z0-9!#$&^_.+-]+$/i;
const BASE64 = /^[A-Za-z0-9+/_-]*={0,2}$/;

/**
 * @param payload of `emailPayload`.
 * @throws Refusal("invalid") for anything that cannot be part of a mail.
 */
export function mailOf(payload: JsonObject, delivery: Delivery): SendMailOptions & { readonly to: Mailbox } {
  const from = mailboxes(payload.from, "from")[0];
  if (from === undefined) throw new Refusal("invalid", "the mail has no sender: set `from`", { field: "from" });
  const cc = mailboxes(payload.cc, "cc");
  const bcc = mailboxes(payload.bcc, "bcc");
  if (1 + cc.length + bcc.length > MAX_RECIPIENTS) {
    throw new Refusal("invalid", `a mail goes to at most ${MAX_RECIPIENTS} recipients`, { field: "cc" });
  }
  return {
    from,
    to: { name: "", address: checked(text(payload.to, "to"), "to") },
    cc,
    bcc,
    replyTo: mailboxes(payload.reply_to, "reply_to"),
    subject: oneLine(text(payload.subject, "subject")),
    html: text(payload.html, "html").toWellFormed(),
    text: text(payload.text, "text").toWellFormed(),
    attachments: attachments(payload.attachments),
    // The same on every try: whoever got the mail although we never heard so can tell that it is the same one.
    messageId: `<${delivery.id}@${from.address.slice(from.address.indexOf("@") + 1)}>`,
    date: new Date(delivery.createdAt),
    // Content is data: nothing in it may make us read a file or fetch a URL.
    disableFileAccess: true,
    disableUrlAccess: true,
  };
}

/** A header of several addresses: a text as in a mail (`Ann <a@x.io>, b@x.io`) or a list of such. */
function mailboxes(value: Json | undefined, field: string): Mailbox[] {
  if (value === undefined || value === null || value === "") return [];
  const texts = Array.isArray(value) ? (value as readonly Json[]) : [value];
  return texts.flatMap((item) =>
    parseAddresses(oneLine(text(item, field)), { flatten: true }).map(({ name, address }) => ({
      name: oneLine(name),
      address: checked(address, field),
    })),
  );
}

function checked(address: string, field: string): string {
  if (ADDRESS.test(address)) return address;
  throw new Refusal("invalid", `${field} is not an email address`, { field });
}

function attachments(value: Json | undefined): NonNullable<SendMailOptions["attachments"]> {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) throw wrong("attachments", "a list");
  if (value.length > MAX_ATTACHMENTS) throw wrong("attachments", `a list of at most ${MAX_ATTACHMENTS}`);
  return (value as readonly Json[]).map((item, i) => {
    const field = `attachments[${i}]`;
    if (!isObject(item)) throw wrong(field, "an object");
    const data = text(item.data, `${field}.data`).replace(/\s+/g, "");
    if (!BASE64.test(data)) throw wrong(`${field}.data`, "base64");
    const type = text(item.contentType ?? "application/octet-stream", `${field}.contentType`);
    return {
      filename: oneLine(text(item.filename ?? `attachment-${i + 1}`, `${field}.filename`)),
      contentType: MEDIA_TYPE.test(type) ? type : "application/octet-stream",
      content: Buffer.from(data, "base64"),
    };
  });
}

function text(value: Json | undefined, field: string): string {
  if (typeof value === "string") return value;
  throw wrong(field, "a string");
}

function wrong(field: string, expected: string): Refusal {
  return new Refusal("invalid", `the mail's ${field} must be ${expected}`, { field });
}

/** Line breaks would begin another header, and control characters have no place in one. */
function oneLine(value: string): string {
  return value
    .toWellFormed()
    .replace(/[\p{Cc}\u2028\u2029]+/gu, " ")
    .trim();
}
