/**
 * The channels of an environment, which workflows name by their keys. Every environment begins with one for each way to
 * notify. A document beside them says that it was given these, and under which id the one of its feed is; it is written
 * with every change of the channels, so that two changes at once cannot give two channels one key.
 */
import { randomUUID } from "node:crypto";
import type { Document, Environment } from "../engine/model.ts";
import type { DocumentStore, DocumentWrite, EnvironmentStore } from "../engine/ports.ts";
import { untilWritten } from "../engine/webhooks/app-documents.ts";
import { type ChannelBody, type ChannelType, STEP_CHANNEL } from "../engine/workflow/model.ts";
import type { Clock } from "../lib/clock.ts";
import type { JsonObject } from "../lib/json.ts";

/** Kind of the document, and its id. Body: `{ feedId }`. */
const CHANNELS = "step-channels";
const CHANNELS_ID = "channels";
/** In the first environment: says that all environments have channels, those of a version without them included. */
const EVERYWHERE_ID = "everywhere";
const MAX_CHANNELS = 1_000;

/** What a new environment is given, with the document that says so. */
export function firstChannels({ feedId }: Environment): readonly DocumentWrite[] {
  const channel = (id: string, body: JsonObject): DocumentWrite => ({ kind: STEP_CHANNEL, id, body, expect: "absent" });
  return [
    { kind: CHANNELS, id: CHANNELS_ID, body: { feedId }, expect: "absent" },
    channel(feedId, feedChannel()),
    channel(randomUUID(), channelBody("email", "Email", "email")),
    channel(randomUUID(), channelBody("sms", "SMS", "sms")),
    channel(randomUUID(), channelBody("push", "Push", "push")),
    channel(randomUUID(), channelBody("chat", "Chat", "chat")),
  ];
}

/**
 * Gives channels to environments of an earlier version, once, and to the first environment's feed its channel when the
 * operator gave the feed another id.
 */
export async function ensureAllChannels(
  documents: DocumentStore,
  environments: EnvironmentStore,
  first: Environment,
  clock: Clock,
): Promise<void> {
  await ensureChannels(documents, first, clock);
  if ((await documents.read(first.id, CHANNELS, EVERYWHERE_ID)) !== null) return;
  for (const environment of await environments.environments()) await ensureChannels(documents, environment, clock);
  await documents.write(first.id, [{ kind: CHANNELS, id: EVERYWHERE_ID, body: {}, expect: "any" }], clock.now());
}

async function ensureChannels(documents: DocumentStore, environment: Environment, clock: Clock): Promise<void> {
  const { id: environmentId, feedId } = environment;
  const marker = await documents.read(environmentId, CHANNELS, CHANNELS_ID);
  // Of each write here, null means that another process did the same meanwhile.
  if (marker === null) {
    await documents.write(environmentId, firstChannels(environment), clock.now());
    return;
  }
  const earlier = marker.body.feedId as string;
  if (earlier === feedId) return;
  const feed = await documents.read(environmentId, STEP_CHANNEL, earlier);
  const moved: DocumentWrite[] = [
    { kind: CHANNELS, id: CHANNELS_ID, body: { feedId }, expect: marker.version },
    { kind: STEP_CHANNEL, id: feedId, body: feed?.body ?? feedChannel(), expect: "any" },
  ];
  if (feed !== null) moved.push({ kind: STEP_CHANNEL, id: earlier, body: null, expect: feed.version });
  await documents.write(environmentId, moved, clock.now());
}

/** All channels of the environment, as they are. */
export async function readChannels(documents: DocumentStore, environment: Environment): Promise<readonly Document[]> {
  return (await documents.list(environment.id, STEP_CHANNEL, { limit: MAX_CHANNELS })).items;
}

/**
 * Changes the channels of an environment as one: nobody else changes any of them meanwhile.
 * @param change is given what is there and may run again. It throws what it refuses.
 * @returns the channel as it is afterwards; null when it was deleted.
 */
export function changeChannel(
  documents: DocumentStore,
  environment: Environment,
  clock: Clock,
  change: (channels: readonly Document[]) => { readonly id: string; readonly body: ChannelBody | null },
): Promise<Document | null> {
  return untilWritten("channels", async () => {
    const marker = await documents.read(environment.id, CHANNELS, CHANNELS_ID);
    const channels = await readChannels(documents, environment);
    const { id, body } = change(channels);
    const now = clock.now();
    const versions = await documents.write(
      environment.id,
      [
        { kind: CHANNELS, id: CHANNELS_ID, body: { feedId: environment.feedId }, expect: marker?.version ?? "absent" },
        { kind: STEP_CHANNEL, id, body: body as JsonObject | null, expect: "any" },
      ],
      now,
    );
    if (versions === null) return "again";
    if (body === null) return null;
    const createdAt = channels.find((channel) => channel.id === id)?.createdAt ?? now;
    return { kind: STEP_CHANNEL, id, body: { ...body }, version: versions[1] as number, createdAt, updatedAt: now };
  });
}

function feedChannel(): JsonObject {
  return channelBody("in-app", "In-app", "in_app_feed");
}

function channelBody(key: string, name: string, type: ChannelType): JsonObject {
  return { key, name, type, provider: null, settings: {} } satisfies ChannelBody;
}
