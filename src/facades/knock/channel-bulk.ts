/**
 * Marking all of a channel's messages that match: `POST /channels/:channel_id/messages/bulk/:action`. It is done before the
 * call is answered, because clients fetch their feed again at once and start over when they still find something to mark.
 * What comes in meanwhile is left alone.
 */
import type { FastifyRequest } from "fastify";
import type { DeliveryMark } from "../../engine/engine.ts";
import type { EnvironmentId } from "../../engine/model.ts";
import type { DeliveryFilter, InboxFilter } from "../../engine/ports.ts";
import { type PartyRef, USERS } from "../../engine/workflow/model.ts";
import type { Millis } from "../../lib/clock.ts";
import type { JsonObject } from "../../lib/json.ts";
import { type Caller, callerOf, client, requireUser, tenantsOpenTo } from "./auth.ts";
import { recordBulk } from "./bulk-operations.ts";
import { findChannel } from "./channel-data.ts";
import { invalid } from "./errors.ts";
import { channelsOfFeed } from "./feed-channels.ts";
import { ARCHIVED, boundsOf, pairsOf, tenantsOf } from "./feed-scope.ts";
import type { Knock, Routes } from "./knock.ts";
import { ENGAGEMENT_STATUSES, type EngagementStatus, engagementFilter } from "./message-list.ts";
import { ACTOR, changesOf, type Mark } from "./message-marks.ts";
import { DELIVERY_STATUSES, type DeliveryStatus, STAGE_OF } from "./message-status.ts";
import { channelInvalid } from "./party-requests.ts";
import { paramOf } from "./path.ts";
import { checkId, Fields, parseIso } from "./wire.ts";

type Change = Omit<DeliveryMark, "deliveryId">;

const MARK_OF_ACTION: { readonly [action: string]: Mark } = {
  seen: "seen",
  unseen: "unseen",
  read: "read",
  unread: "unread",
  archived: "archived",
  archive: "archived",
  unarchived: "unarchived",
  unarchive: "unarchived",
  interacted: "interacted",
};
const ACTIONS = [...Object.keys(MARK_OF_ACTION), "delete"];

const MAX_RECIPIENTS = 1_000;
const MAX_NAMES = 100;
/** Deliveries looked up and changed together where no inbox says which they are. */
const CHANGED_AT_ONCE = 200;

/** What is to be marked, as far as the body says. */
interface Asked {
  readonly userIds: readonly string[] | null;
  readonly engagement: EngagementStatus | null;
  readonly status: DeliveryStatus | null;
  readonly filter: Pick<DeliveryFilter, "tenantId" | "tenantIds" | "hasTenant" | "data" | "events" | "from" | "until">;
  readonly archived: (typeof ARCHIVED)[number];
}

export const channelBulkRoutes: Routes = (app, knock) => {
  const { engine, clock } = knock;
  for (const action of ACTIONS) {
    app.post(`/channels/:channel_id/messages/bulk/${action}`, client("user/feed_write"), async (request) => {
      const caller = callerOf(request);
      const { environment } = caller;
      const startedAt = clock.now();
      const channels = await engine.workflows.channels(environment.id);
      const name = paramOf(request, "channel_id");
      const { knock: shown } = await knock.visibility.of(environment.id);
      const feed = channelsOfFeed(channels, environment.feedId, name, shown);
      const channel = findChannel(channels, name);
      if (feed === undefined && channel === undefined) throw channelInvalid("channel_id", name);
      const asked = askedIn(request, caller, startedAt);
      const changes = changesFor(action, asked);
      let count = 0;
      // Each change is of all before the next begins, so that a call that is cut off can be made again.
      for (const change of changes) {
        if (feed !== undefined && asked.userIds !== null && asked.engagement !== "link_clicked") {
          if (asked.status !== null && asked.status !== "delivered") continue;
          for (const userId of asked.userIds) {
            const { filter, archived, engagement } = asked;
            const items: InboxFilter = {
              userId,
              ...filter,
              ...(feed === null ? {} : { channelIds: feed }),
              ...(archived === "include" ? {} : { archived: archived === "only" }),
              ...fieldsOf(engagement),
            };
            const unmarked = notYet(items, change);
            if (unmarked === null) continue;
            count += (await engine.inbox.changeWhere(environment.id, unmarked, change, ACTOR)).count;
          }
        } else count += await changeListed(knock, environment.id, channel?.id ?? environment.feedId, asked, change);
      }
      return recordBulk(knock, environment.id, `messages.${action}`, count, startedAt);
    });
  }
};

/** Read comes first where the filter asks for what is not interacted with: that would not find it any more afterwards. */
function changesFor(action: string, { engagement }: Asked): readonly Change[] {
  if (action === "delete") return [{ field: "deleted", value: true, again: "keep" }];
  const changes = changesOf(MARK_OF_ACTION[action] as Mark, null).map((change) => ({
    ...change,
    again: "keep" as const,
  }));
  return engagement === "interacted" ? changes.toReversed() : changes;
}

/**
 * Items that are marked so already are left out: a page that marks everything as seen whenever it is opened would look at
 * all there ever was. @returns null when none is left.
 */
function notYet(filter: InboxFilter, { field, value }: Change): InboxFilter | null {
  if (field === "deleted") return filter;
  if (filter[field] === value) return null;
  return { ...filter, [field]: !value };
}

function fieldsOf(status: EngagementStatus | null): Pick<InboxFilter, "seen" | "read" | "archived" | "interacted"> {
  const { marks = [] } = status === null ? {} : engagementFilter([status]);
  return Object.fromEntries(marks.map(({ field, value }) => [field, value]));
}

/** Of channels without an inbox, and of all recipients there are: found in the list of deliveries. */
async function changeListed(
  { engine }: Knock,
  environmentId: EnvironmentId,
  channelId: string,
  asked: Asked,
  change: Change,
): Promise<number> {
  const { userIds, filter, archived, engagement, status } = asked;
  const { marks = [], ...rest } = engagement === null ? {} : engagementFilter([engagement]);
  const all = [
    ...marks,
    ...(archived === "include" ? [] : [{ field: "archived" as const, value: archived === "only" }]),
    ...(change.field === "deleted" ? [] : [{ field: change.field, value: !change.value }]),
  ];
  const found: DeliveryFilter = {
    ...filter,
    ...rest,
    channelId,
    marks: all,
    ...(status === null ? {} : { stages: [STAGE_OF[status]] }),
  };
  const recipients = userIds === null ? [null] : userIds.map((id): PartyRef => ({ collection: USERS, id }));
  let count = 0;
  for (const recipient of recipients) {
    for (let after: string | null = null; ; ) {
      const ofRecipient = recipient === null ? found : { ...found, recipient };
      const page = await engine.messages.deliveriesPage(environmentId, ofRecipient, { after, limit: CHANGED_AT_ONCE });
      const changed = await engine.inbox.change(
        environmentId,
        null,
        page.items.map(({ id }) => ({ deliveryId: id, ...change })),
        ACTOR,
      );
      count += changed.length;
      if (page.next === null) break;
      after = page.next;
    }
  }
  return count;
}

function askedIn(request: FastifyRequest, caller: Caller, now: Millis): Asked {
  const raw = new Fields(request.body);
  // Phones send empty texts for what they have nothing to say about.
  const body = new Fields(Object.fromEntries(Object.entries(raw.value).filter(([, value]) => value !== "")));
  const oneOf = <const T extends string>(name: string, words: readonly T[]): T | null => {
    const value = body.text(name);
    const word = words.find((one) => one === value);
    if (value !== undefined && word === undefined) body.error(name, `Expected ${words.join(", ")}`);
    return word ?? null;
  };
  const moment = (name: string): Millis | undefined => {
    const value = body.text(name);
    const at = value === undefined ? null : parseIso(value);
    if (value !== undefined && at === null) body.error(name, "Expected an ISO 8601 date");
    return at ?? undefined;
  };
  const ids = (name: string, max: number): readonly string[] | undefined =>
    body.list(name, { max }, (id, at) => checkId(at, id));
  const named = [...(ids("recipient_ids", MAX_RECIPIENTS) ?? []), ...(ids("user_ids", MAX_RECIPIENTS) ?? [])];
  const tenants = ids("tenants", MAX_NAMES) ?? [];
  const hasTenant = body.flag("has_tenant") ?? null;
  const events = ids("workflows", MAX_NAMES) ?? [];
  const data = body.raw("trigger_data");
  const pairs = data === undefined ? undefined : body.try("trigger_data", () => pairsOf("trigger_data", parsed(data)));
  const engagement = oneOf("engagement_status", [...ENGAGEMENT_STATUSES, "all"]);
  const status = oneOf("delivery_status", DELIVERY_STATUSES);
  const archived = oneOf("archived", ARCHIVED) ?? "include";
  const { from, until } = boundsOf(moment("newer_than"), undefined, moment("older_than"), undefined);
  raw.done();
  body.done();
  return {
    userIds: recipientsOf(caller, [...new Set(named)], tenants),
    engagement: engagement === "all" ? null : engagement,
    status,
    archived,
    filter: {
      ...tenantsAsked(tenants, hasTenant, tenantsOpenTo(caller, "user/feed_write")),
      ...(events.length === 0 ? {} : { events }),
      ...(pairs === undefined || Object.keys(pairs).length === 0 ? {} : { data: pairs }),
      ...(from === null ? {} : { from }),
      until: Math.min(until ?? Number.POSITIVE_INFINITY, now + 1),
    },
  };
}

function parsed(data: unknown) {
  if (typeof data !== "string") return data as JsonObject;
  try {
    return JSON.parse(data) as JsonObject;
  } catch {
    throw invalid("trigger_data", "Expected a JSON object");
  }
}

/**
 * Whose messages: with a user token that user's, if it is among those named. @returns null for everybody's, which takes
 * the secret key.
 */
function recipientsOf(caller: Caller, named: readonly string[], tenants: readonly string[]): readonly string[] | null {
  const { user } = caller;
  if (user !== null) {
    for (const tenant of tenants.length === 0 ? [undefined] : tenants) {
      requireUser(caller, user.id, "user/feed_write", tenant);
    }
    return named.length === 0 || named.includes(user.id) ? [user.id] : [];
  }
  if (named.length > 0) return named;
  if (caller.kind === "public") throw invalid("recipient_ids", "is required with a public key", "required");
  return null;
}

/** As a feed of these tenants shows them: with the items that have none, unless it is told otherwise. */
function tenantsAsked(
  tenants: readonly string[],
  hasTenant: boolean | null,
  allowed: readonly string[] | null,
): Pick<InboxFilter, "tenantId" | "tenantIds" | "hasTenant"> {
  if (tenants.length === 0) return tenantsOf({ tenant: null, hasTenant }, allowed);
  return { tenantIds: hasTenant === true ? tenants : [...tenants, null] };
}
