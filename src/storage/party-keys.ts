/**
 * How parties are named in columns: a user by its id and an object by collection and id in tables of their own, any
 * party by its key (`<collection>/<id>`) where it may be either.
 */
import { Refusal } from "../engine/refusal.ts";
import { isUser, type PartyRef, partyKey } from "../engine/workflow/model.ts";
import type { Value } from "./database.ts";
import { MAX_ID_BYTES, requireId } from "./text.ts";

/** Two keys stand in one index row, beside the environment; the longest id of a user has to fit. */
const MAX_KEY_BYTES = MAX_ID_BYTES + "$users/".length;

/** @throws Refusal("invalid") when the party cannot be stored as it is named. */
export function requireParty(field: string, party: PartyRef): void {
  const { collection, id } = party;
  if (typeof collection !== "string" || collection === "" || collection.includes("/")) {
    throw new Refusal("invalid", `${field}: the name of a collection, without a slash, was expected`, { field });
  }
  requireId(field, id);
  requireId(field, partyKey(party), MAX_KEY_BYTES);
}

/** Nothing is stored under any other text, so nothing needs to be looked for. */
export function isStorable(key: string): boolean {
  return !key.includes("\0") && key.isWellFormed();
}

/** To find the party by, whichever table it is in: of a user the first, of anything else the others are set. */
export const PARTY_COLUMNS = { user_id: "text", collection: "text", id: "text" } as const;

export function partyValues(party: PartyRef): Value[] {
  return isUser(party) ? [party.id, null, null] : [null, party.collection, party.id];
}
