/** A trigger as a request of the engine: what the recipients of a workflow are told by. */
import type { Millis } from "../../lib/clock.ts";
import { newId } from "../../lib/ids.ts";
import type { EnvironmentId, Recipient, Request, SendSpec } from "../model.ts";
import type { PartyRef } from "./model.ts";
import { partyKey, USERS } from "./model.ts";
import type { FoundWorkflow, Trigger } from "./workflows.ts";

/** @param depth see `TriggerSpec.depth`. */
export function specOf({ versionId, workflow }: FoundWorkflow, trigger: Trigger, depth: number): SendSpec {
  return {
    recipients: distinct(trigger.recipients),
    content: {
      kind: "workflow",
      trigger: {
        key: trigger.key,
        versionId,
        actor: trigger.actor,
        cancellationKey: trigger.cancellationKey,
        source: trigger.source,
        sandbox: trigger.sandbox,
        skipDelay: trigger.skipDelay,
        depth,
      },
    },
    data: trigger.data,
    mode: "published",
    via: trigger.via,
    event: trigger.key,
    ...(workflow.categories === undefined || workflow.categories.length === 0 ? {} : { tags: workflow.categories }),
    ...(trigger.tenantId === null ? {} : { tenantId: trigger.tenantId }),
  };
}

/** A request that nobody waits for the answer of; it is expanded when its turn comes. */
export function requestOf(environmentId: EnvironmentId, spec: SendSpec, now: Millis): Request {
  return {
    id: newId("req", now),
    environmentId,
    state: "expanding",
    spec,
    cursor: null,
    archivedAt: null,
    createdAt: now,
  };
}

export function recipientOf({ collection, id }: PartyRef): Recipient {
  return collection === USERS ? { kind: "user", userId: id, profile: {} } : { kind: "object", collection, id };
}

/** Null for kinds of recipients that workflows do not know. */
export function partyOfRecipient(recipient: Recipient): PartyRef | null {
  if (recipient.kind === "object") return { collection: recipient.collection, id: recipient.id };
  return recipient.kind === "user" && recipient.userId !== null ? { collection: USERS, id: recipient.userId } : null;
}

/** Of a recipient that is named twice the first counts: there is one run for each. */
function distinct(recipients: readonly Recipient[]): readonly Recipient[] {
  if (recipients.length < 2) return recipients;
  const named = new Map<string, Recipient>();
  for (const recipient of recipients) {
    const party = partyOfRecipient(recipient);
    if (party !== null && !named.has(partyKey(party))) named.set(partyKey(party), recipient);
  }
  return [...named.values()];
}
