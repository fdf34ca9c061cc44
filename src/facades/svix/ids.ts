/**
 * How Svix spells ids: a prefix and 27 base62 characters of a KSUID (see lib/ksuid.ts). A KSUID that is not ours is
 * nobody's id.
 */
import type { Key } from "../../engine/webhooks/webhooks.ts";
import type { Id } from "../../lib/ids.ts";
import { isKsuid as isKsuidText, fromKsuid as readKsuid, toKsuid } from "../../lib/ksuid.ts";
import { notFound } from "./errors.ts";

export type SvixPrefix = "app" | "ep" | "msg" | "atmpt" | "qtask" | "integ" | "trtmpl" | "org" | "key";

/** The Svix spelling of an id of ours, whatever its own prefix. */
export function ksuid(prefix: SvixPrefix, id: string): string {
  return `${prefix}_${toKsuid(id)}`;
}

/** @returns null when the text is not the Svix spelling of an id of ours. */
export function fromKsuid<P extends string>(vendorPrefix: SvixPrefix, ownPrefix: P, text: string): Id<P> | null {
  return text.startsWith(`${vendorPrefix}_`) ? readKsuid(ownPrefix, text.slice(vendorPrefix.length + 1)) : null;
}

/** Whether the text has the form of a KSUID with this prefix, ours or another server's. */
export function isKsuid(prefix: string, text: string): boolean {
  return text.startsWith(`${prefix}_`) && isKsuidText(text.slice(prefix.length + 1));
}

/** What callers may call their applications, endpoints, connectors and messages. */
export const UID = /^[a-zA-Z0-9\-_.]+$/;
export const MAX_UID_LENGTH = 256;

/**
 * What a path or a query names: an id, or its owner's name for it. (No uid may begin with the prefix of the ids.)
 * @throws SvixError 404 when it can be neither.
 */
export function keyOf<P extends string>(vendorPrefix: SvixPrefix, ownPrefix: P, text: string): Key<Id<P>> {
  const id = fromKsuid(vendorPrefix, ownPrefix, text);
  if (id !== null) return { id };
  if (text.length > MAX_UID_LENGTH || !UID.test(text)) throw notFound();
  return { uid: text };
}
