/** In-app channels, and which items belong to the feed of each. */
import type { Environment } from "../../engine/model.ts";
import type { StepChannel } from "../../engine/workflow/workflows.ts";
import type { FeedOwner } from "./feed-scope.ts";
import type { Knock } from "./knock.ts";
import { channelInvalid } from "./party-requests.ts";

/** @throws KnockError 422 for a channel that is not there, or that is no feed. */
export async function feedChannel(
  knock: Knock,
  environment: Environment,
  channelId: string,
): Promise<FeedOwner["channelIds"]> {
  const channels = await knock.engine.workflows.channels(environment.id);
  const { knock: shown } = await knock.visibility.of(environment.id);
  const channelIds = channelsOfFeed(channels, environment.feedId, channelId, shown);
  if (channelIds === undefined) throw channelInvalid("channel_id", channelId);
  return channelIds;
}

/**
 * The default feed also shows what came another way than through a workflow, so that an environment with one feed has all
 * there is in it, and nothing has to be looked at to tell. Another feed shows only what was sent to it, and so does the
 * default one where only `own` items are shown.
 * @returns null for every item, undefined when there is no such feed.
 */
export function channelsOfFeed(
  channels: readonly Pick<StepChannel, "id" | "type">[],
  defaultId: string,
  asked: string,
  shown: "all" | "own",
): readonly (string | null)[] | null | undefined {
  const same = (id: string): boolean => id.toLowerCase() === asked.toLowerCase();
  const feeds = channels.filter(({ type }) => type === "in_app_feed").map(({ id }) => id);
  if (same(defaultId) && shown === "own") return [defaultId];
  if (same(defaultId)) return feeds.every((id) => id === defaultId) ? null : [defaultId, null];
  const id = feeds.find(same);
  return id === undefined ? undefined : [id];
}
