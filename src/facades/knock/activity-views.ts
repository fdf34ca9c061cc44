/** What a message speaks of: the triggers that a batch collected, or the one there was. */
import type { Delivery } from "../../engine/model.ts";
import type { Activity, PartyRef } from "../../engine/workflow/model.ts";
import type { JsonObject } from "../../lib/json.ts";
import { toKsuid } from "../../lib/ksuid.ts";
import { toIso } from "./wire.ts";

/** Oldest first. Exactly one where nothing was batched, which is the run's own. */
export function activitiesOf({ origin, messageId, data, createdAt }: Delivery): readonly Activity[] {
  if (origin?.activities != null) return origin.activities;
  return [{ id: messageId, actor: origin?.actors[0] ?? null, data, at: createdAt }];
}

export function activityView(
  { id, actor, data, at }: Activity,
  recipient: PartyRef,
  party: (ref: PartyRef) => JsonObject,
): JsonObject {
  return {
    __typename: "Activity",
    id: toKsuid(id),
    actor: actor === null ? null : party(actor),
    recipient: party(recipient),
    data,
    inserted_at: toIso(at),
    updated_at: toIso(at),
  };
}
