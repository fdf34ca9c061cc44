/**
 * The text of an opaque token:
 *
 *   <prefix> base64url( 16 bytes of each id: environment, application, …, token | 18 bytes of HMAC-SHA256 over all that )
 *
 * Its ids say where to look it up, and the environment's signing secret proves them, so a guess costs no look-up, and
 * nothing from which a token could be had is kept. There is no dot in it: SDKs would take what follows for a region.
 */
import { createHmac, timingSafeEqual } from "node:crypto";
import type { Environment } from "../../engine/model.ts";
import { fromHex, type Id, toHex } from "../../lib/ids.ts";

/** Of the portal, its one-time codes, of integrations, of pollers. */
export const TOKEN_PREFIX = { portal: "appsk_", code: "code_", integration: "integsk_", poller: "sk_poll_" } as const;
export type TokenKind = keyof typeof TOKEN_PREFIX;

/** Prefixes of the ids in a token, in order, the environment's left out. */
const ID_PREFIXES = {
  portal: ["app", "tok"],
  code: ["app", "tok"],
  integration: ["app", "itg", "tok"],
  poller: ["app", "ep", "tok"],
} as const satisfies { readonly [kind in TokenKind]: readonly string[] };

const ID_BYTES = 16;
const MAC_BYTES = 18;

/** @param ids with the prefixes that the kind asks for. */
export function tokenText(kind: TokenKind, environment: Environment, ids: readonly Id<string>[]): string {
  const body = Buffer.from([environment.id, ...ids].map(toHex).join(""), "hex");
  return TOKEN_PREFIX[kind] + Buffer.concat([body, macOf(kind, environment, body)]).toString("base64url");
}

/** @returns the kind that a text claims to be; null when it is no token of ours. */
export function kindOfToken(text: string): TokenKind | null {
  for (const kind of ["portal", "integration", "poller", "code"] as const) {
    if (text.startsWith(TOKEN_PREFIX[kind])) return kind;
  }
  return null;
}

/** @returns the id of the environment that the text claims to be of, nothing proven; null when it has another form. */
export function environmentIn(kind: TokenKind, text: string): Id<"env"> | null {
  const bytes = bytesOf(kind, text);
  return bytes === null ? null : fromHex("env", bytes.toString("hex", 0, ID_BYTES));
}

/** @returns the ids after the environment's; null when the environment did not make this text. */
export function idsIn(kind: TokenKind, environment: Environment, text: string): readonly Id<string>[] | null {
  const bytes = bytesOf(kind, text);
  if (bytes === null) return null;
  const end = bytes.length - MAC_BYTES;
  if (!timingSafeEqual(macOf(kind, environment, bytes.subarray(0, end)), bytes.subarray(end))) return null;
  return ID_PREFIXES[kind].map((prefix, i) => {
    return fromHex(prefix, bytes.toString("hex", (i + 1) * ID_BYTES, (i + 2) * ID_BYTES));
  });
}

function bytesOf(kind: TokenKind, text: string): Buffer | null {
  const length = (ID_PREFIXES[kind].length + 1) * ID_BYTES + MAC_BYTES;
  const encoded = text.slice(TOKEN_PREFIX[kind].length);
  if (!text.startsWith(TOKEN_PREFIX[kind]) || encoded.length !== Math.ceil((length * 4) / 3)) return null;
  const bytes = Buffer.from(encoded, "base64url");
  // Other characters are passed over, and the last one has room for bits that mean nothing.
  return bytes.length === length && bytes.toString("base64url") === encoded ? bytes : null;
}

function macOf(kind: TokenKind, environment: Environment, body: Buffer): Buffer {
  const hmac = createHmac("sha256", Buffer.from(environment.signingSecret, "base64url"));
  return hmac.update(`svix ${kind}\0`).update(body).digest().subarray(0, MAC_BYTES);
}
