/** Items of a feed as Knock shows them. */
import type { EnvironmentId, InboxItem } from "../../engine/model.ts";
import type { DeliverySignal } from "../../engine/ports.ts";
import type { Activity, PartyRef } from "../../engine/workflow/model.ts";
import type { JsonObject } from "../../lib/json.ts";
import { activityView, activitiesOf as allActivitiesOf } from "./activity-views.ts";
import { feedBlocks } from "./blocks.ts";
import { toMessageId, toUuid } from "./ids.ts";
import type { Knock } from "./knock.ts";
import { sourceKeys } from "./message-source.ts";
import { changedAt, linkClickedAt } from "./message-status.ts";
import { toCursor } from "./paging.ts";
import { partyViews } from "./party-views.ts";
import { toIso, userRef } from "./wire.ts";

/** Mark of the cursors of feeds. */
export const FEED_CURSOR = "f";

/** Activities and actors of one item. */
const SHOWN_AT_MOST = 10;

/** `compact`: no activities, at most one actor, of the data only plain values. */
export type FeedMode = "compact" | "rich";

/** Looks up what the items of a page need, each kind once for all of them. */
export async function feedItems(
  knock: Knock,
  environmentId: EnvironmentId,
  items: readonly InboxItem[],
  mode: FeedMode,
): Promise<readonly JsonObject[]> {
  const { engine } = knock;
  const froms = items.map(fromOf);
  const clicked = items.filter((item) => item.origin !== undefined).map(({ messageId }) => messageId);
  const [party, sourceOf, signals] = await Promise.all([
    partyViews(
      knock,
      environmentId,
      items.flatMap((item) => partiesOf(item, mode)),
    ),
    sourceKeys(engine, environmentId, froms),
    clicked.length === 0 ? [] : engine.messages.signals(environmentId, clicked),
  ]);
  const signalsOf = byDelivery(signals);
  return items.map((item) => {
    const source = sourceOf(fromOf(item));
    return feedItem(item, mode, { source, party, signals: signalsOf.get(item.id) ?? [] });
  });
}

function fromOf({ messageId, origin, via }: InboxItem) {
  return { messageId, versionId: origin?.versionId ?? null, via: origin === undefined ? via : undefined };
}

function byDelivery(signals: readonly DeliverySignal[]): ReadonlyMap<string, readonly DeliverySignal[]> {
  return Map.groupBy(signals, ({ deliveryId }) => deliveryId);
}

function actorsOf({ origin }: InboxItem, mode: FeedMode): readonly PartyRef[] {
  return (origin?.actors ?? []).slice(0, mode === "compact" ? 1 : SHOWN_AT_MOST);
}

function activitiesOf(item: InboxItem): readonly Activity[] {
  return allActivitiesOf(item).slice(0, SHOWN_AT_MOST);
}

function partiesOf(item: InboxItem, mode: FeedMode): readonly PartyRef[] {
  const actors = actorsOf(item, mode);
  if (mode === "compact") return actors;
  return [...actors, ...activitiesOf(item).flatMap(({ actor }) => actor ?? []), userRef(item.userId)];
}

interface Found {
  readonly source: string;
  readonly party: (ref: PartyRef) => JsonObject;
  readonly signals: readonly DeliverySignal[];
}

function feedItem(item: InboxItem, mode: FeedMode, { source, party, signals }: Found): JsonObject {
  const { origin } = item;
  const followedAt = linkClickedAt(signals);
  return {
    __typename: "FeedItem",
    __cursor: toCursor(FEED_CURSOR, item.id),
    id: toMessageId(item.id),
    blocks: feedBlocks(item),
    actors: actorsOf(item, mode).map(party),
    total_actors: origin?.totalActors ?? 0,
    ...(mode === "compact"
      ? { data: plainValues(item.data) }
      : {
          activities: activitiesOf(item).map((one) => activityView(one, userRef(item.userId), party)),
          total_activities: origin?.totalActivities ?? 1,
          data: item.data,
        }),
    tenant: item.tenantId,
    source: {
      __typename: "Workflow",
      key: source,
      version_id: toUuid(origin?.versionId ?? item.requestId),
      categories: origin?.categories ?? item.tags,
    },
    seen_at: toIso(item.seenAt),
    read_at: toIso(item.readAt),
    interacted_at: toIso(item.interactedAt),
    clicked_at: toIso(followedAt),
    link_clicked_at: toIso(followedAt),
    archived_at: toIso(item.archivedAt),
    inserted_at: toIso(item.createdAt),
    updated_at: toIso(changedAt(item, signals)),
  };
}

function plainValues(data: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(data).filter(([, value]) => typeof value !== "object" || value === null));
}
