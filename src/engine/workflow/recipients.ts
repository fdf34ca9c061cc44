/**
 * Who is told when an object is: the object itself, those subscribed to it, and those subscribed to objects among them.
 * Read in pages, in the order of their keys, so that whoever goes on after a crash goes on behind the last one.
 *
 * Everybody is told once in a request. Who is named in it is told as what was named, and the actor not at all unless it
 * is named; of the rest, those in an earlier page are asked of the database: they have their message.
 */
import type { Recipient, Request } from "../model.ts";
import type { MessageStore } from "../ports.ts";
import type { Target } from "../target.ts";
import { isUser, type ObjectSubscription, type PartyRef, partyKey, partyOf } from "./model.ts";
import { keptSubscription, triggerOf } from "./plan-run.ts";
import type { PartyStore } from "./ports.ts";
import { partyOfRecipient } from "./requests.ts";

/** Reads for one page: an object with many small ones below it must not keep a page from being committed in time. */
const MAX_READS = 50;
/** Subscribers read at once where the last one was an object: the next may be one, too, and ends what was read. */
const AMONG_OBJECTS = 20;

/** Where reading stands: behind one subscriber of the object, perhaps in the middle of that one's own subscribers. */
interface Standing {
  /** Key of the subscriber that was last; null before the first. */
  readonly after: string | null;
  /** It is an object, and its own subscribers come next, behind this one; null: they do not. */
  readonly inside: { readonly after: string | null } | null;
}

export interface SubscriberPage {
  readonly targets: readonly Target[];
  /** Null: that was the last. */
  readonly next: string | null;
}

export interface SubscriberSource {
  readonly parties: Pick<PartyStore, "subscribersOf">;
  readonly messages: Pick<MessageStore, "reached">;
}

/**
 * One page of those who are told when the object at `entry` is.
 * @param after `Target.after` of the last one that has its message, or `next` of the page before; null at the beginning.
 */
export async function subscriberPage(
  { parties, messages }: SubscriberSource,
  request: Request,
  entry: number,
  after: string | null,
  limit: number,
): Promise<SubscriberPage> {
  const recipient = request.spec.recipients[entry] as Extract<Recipient, { kind: "object" }>;
  const object: PartyRef = { collection: recipient.collection, id: recipient.id };
  const target = (party: PartyRef, standing: Standing, subscription: ObjectSubscription | null): Target =>
    targetOf(request, entry, recipient, party, standing, subscription);
  const beginning: Standing = { after: null, inside: null };
  const found: Target[] = after === null ? [target(object, beginning, null)] : [];
  // A schedule is for whom it was made.
  if (triggerOf(request).source.type === "schedule") return { targets: found, next: null };

  const skipped = namedIn(request);
  let ahead = limit;
  let standing: Standing | null = after === null ? beginning : (JSON.parse(after) as Standing);
  for (let reads = 0; standing !== null && found.length < limit && reads < MAX_READS; reads++) {
    const at: Standing = standing;
    const of = at.inside === null ? object : partyOf(at.after as string);
    const page = await parties.subscribersOf(request.environmentId, of, {
      after: at.inside === null ? at.after : at.inside.after,
      limit: Math.min(limit - found.length, at.inside === null ? ahead : limit),
    });
    standing = behindPage(at, page.next);
    for (const subscription of page.items) {
      const key = partyKey(subscription.recipient);
      const opens = at.inside === null && !isUser(subscription.recipient);
      const here: Standing =
        at.inside === null
          ? { after: key, inside: opens ? { after: null } : null }
          : { after: at.after, inside: { after: key } };
      if (skipped.has(key)) continue;
      skipped.add(key);
      found.push(target(subscription.recipient, here, subscription));
      if (!opens) continue;
      standing = here;
      ahead = AMONG_OBJECTS;
      break;
    }
  }
  const targets = await withoutMessage(found, request, messages, after !== null);
  return { targets, next: standing === null ? null : JSON.stringify(standing) };
}

/** Null when that was all. */
function behindPage({ after, inside }: Standing, next: string | null): Standing | null {
  if (next !== null) return inside === null ? { after: next, inside } : { after, inside: { after: next } };
  return inside === null ? null : { after, inside: null };
}

/** Keys of those who are not told as subscribers: they are named themselves, or acted. */
function namedIn(request: Request): Set<string> {
  const keys = request.spec.recipients.flatMap((recipient) => {
    const party = partyOfRecipient(recipient);
    return party === null ? [] : [partyKey(party)];
  });
  const { actor } = triggerOf(request);
  return new Set(actor === null ? keys : [...keys, partyKey(actor)]);
}

async function withoutMessage(
  targets: readonly Target[],
  request: Request,
  messages: Pick<MessageStore, "reached">,
  isLater: boolean,
): Promise<readonly Target[]> {
  // The first page of the first entry has nobody before it.
  const [first] = targets;
  if (first === undefined || (!isLater && first.entry === 0)) return targets;
  const reached = await messages.reached(request.environmentId, request.id, targets.map(recipientName));
  return targets.filter((target) => !reached.has(recipientName(target)));
}

function recipientName({ userId, party }: Target): string {
  return userId ?? partyKey(party as PartyRef);
}

function targetOf(
  request: Request,
  entry: number,
  { data }: Extract<Recipient, { kind: "object" }>,
  party: PartyRef,
  standing: Standing,
  subscription: ObjectSubscription | null,
): Target {
  return {
    entry,
    userId: isUser(party) ? party.id : null,
    party,
    after: JSON.stringify(standing),
    profile: {},
    data,
    tenantId: request.spec.tenantId ?? null,
    viaTenant: false,
    listId: null,
    preferences: null,
    subscriptionPreferences: subscription === null ? null : keptSubscription(subscription),
  };
}
