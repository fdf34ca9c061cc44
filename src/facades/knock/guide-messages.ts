/**
 * What a user has done with guides: one document of the user for each guide and tenant. A guide that was removed and made
 * anew is another one, and begins anew with everybody.
 */
import type { DeliveryId, EnvironmentId } from "../../engine/model.ts";
import type { PartyRef } from "../../engine/workflow/model.ts";
import type { PartyStore } from "../../engine/workflow/ports.ts";
import type { Millis } from "../../lib/clock.ts";
import { isObject, type JsonObject } from "../../lib/json.ts";
import type { Guide } from "./guide-shelf.ts";

/** Times of what was done with one step; null until it was. */
export interface StepMessage {
  readonly id: DeliveryId;
  readonly seenAt: Millis | null;
  readonly readAt: Millis | null;
  readonly interactedAt: Millis | null;
  readonly archivedAt: Millis | null;
}

export interface Engagement {
  readonly guideId: string;
  readonly steps: { readonly [ref: string]: StepMessage };
  /** Nothing of the guide is left to be shown, whichever of its steps were archived. */
  readonly isFinal: boolean;
  /** When it was put away last so that the group's interval began; null: not, or that was taken back. */
  readonly intervalFrom: Millis | null;
}

/** What the user did with the guides of a tenant, by their keys. */
export type Engagements = ReadonlyMap<string, Engagement>;

export type GuideMark = "seen" | "interacted" | "archived";

interface Marking {
  readonly guide: Guide;
  readonly ref: string;
  readonly mark: GuideMark;
  readonly at: Millis;
  /** Id of the message, should this be the first that is done with the step. */
  readonly id: DeliveryId;
  readonly isFinal: boolean;
  /** Whether archiving it begins the group's interval. */
  readonly throttled: boolean;
}

type Store = Pick<PartyStore, "documents" | "modifyDocument">;

/** Neither ids of tenants nor keys of guides have a slash. */
function nameOf(tenantId: string | null, key: string): string {
  return `${tenantId ?? ""}/${key}`;
}

export async function readEngagements(
  parties: Store,
  environmentId: EnvironmentId,
  user: PartyRef,
  tenantId: string | null,
): Promise<Engagements> {
  const prefix = nameOf(tenantId, "");
  const documents = await parties.documents(environmentId, user, "guide");
  return new Map(
    documents
      .filter(({ name }) => name.startsWith(prefix))
      .map(({ name, body }) => [name.slice(prefix.length), body as unknown as Engagement]),
  );
}

/** What was done with this very guide; null: nothing. */
export function engagementWith(engagements: Engagements, { key, id }: Guide): Engagement | null {
  const engagement = engagements.get(key);
  return engagement?.guideId === id ? engagement : null;
}

/** When the interval between guides began for the user; null: none has. */
export function intervalFrom(engagements: Engagements): Millis | null {
  const times = [...engagements.values()].map((one) => one.intervalFrom ?? 0);
  const latest = Math.max(0, ...times);
  return latest === 0 ? null : latest;
}

/** Whether the user has put the guide away: every step of it, or one that was said to be the last. */
export function isPutAway({ source: { steps } }: Guide, engagement: Engagement | null): boolean {
  if (engagement === null) return false;
  return engagement.isFinal || steps.every(({ ref }) => (stepOf(engagement, ref)?.archivedAt ?? null) !== null);
}

export function stepOf(engagement: Engagement | null, ref: string): StepMessage | null {
  return engagement !== null && Object.hasOwn(engagement.steps, ref) ? (engagement.steps[ref] ?? null) : null;
}

export async function markGuide(
  parties: Store,
  environmentId: EnvironmentId,
  user: PartyRef,
  tenantId: string | null,
  marking: Marking,
): Promise<void> {
  const { guide, at } = marking;
  await parties.modifyDocument(environmentId, user, "guide", nameOf(tenantId, guide.key), at, (old) =>
    bodyOf(marked(engagementIn(old, guide), marking)),
  );
}

/** As a user that has never met it. */
export async function resetGuide(
  parties: Store,
  environmentId: EnvironmentId,
  user: PartyRef,
  tenantId: string | null,
  key: string,
  at: Millis,
): Promise<void> {
  await parties.modifyDocument(environmentId, user, "guide", nameOf(tenantId, key), at, () => null);
}

/** Takes back that its steps were put away, with the interval that began by it. */
export async function unarchiveGuide(
  parties: Store,
  environmentId: EnvironmentId,
  user: PartyRef,
  tenantId: string | null,
  guide: Guide,
  at: Millis,
): Promise<void> {
  await parties.modifyDocument(environmentId, user, "guide", nameOf(tenantId, guide.key), at, (old) => {
    if (old === null) return null;
    const engagement = engagementIn(old, guide);
    const steps = Object.fromEntries(
      Object.entries(engagement.steps).map(([ref, step]) => [ref, { ...step, archivedAt: null }]),
    );
    return bodyOf({ ...engagement, steps, isFinal: false, intervalFrom: null });
  });
}

/** Marking again moves the time. Whoever interacts has read. Pure. */
function marked(engagement: Engagement, { ref, mark, at, id, isFinal, throttled }: Marking): Engagement {
  const none: StepMessage = { id, seenAt: null, readAt: null, interactedAt: null, archivedAt: null };
  const step = stepOf(engagement, ref) ?? none;
  const put = (more: Partial<StepMessage>): Engagement => ({
    ...engagement,
    steps: { ...engagement.steps, [ref]: { ...step, ...more } },
  });
  switch (mark) {
    case "seen":
      return put({ seenAt: at });
    case "interacted":
      return put({ interactedAt: at, readAt: at });
    case "archived":
      return {
        ...put({ archivedAt: at }),
        isFinal: engagement.isFinal || isFinal,
        intervalFrom: throttled ? at : engagement.intervalFrom,
      };
  }
}

function engagementIn(old: JsonObject | null, { id }: Guide): Engagement {
  if (old !== null && old.guideId === id && isObject(old.steps)) return old as unknown as Engagement;
  return { guideId: id, steps: {}, isFinal: false, intervalFrom: null };
}

function bodyOf(engagement: Engagement): JsonObject {
  return engagement as unknown as JsonObject;
}
