/** Where a user or an object is reached on a channel that has no address of its own in a profile: devices and connections. */
import type { FastifyInstance, FastifyRequest } from "fastify";
import type { PartyRef } from "../../engine/workflow/model.ts";
import type { StepChannel } from "../../engine/workflow/workflows.ts";
import { isObject, type Json, type JsonObject } from "../../lib/json.ts";
import { callerOf, client, environmentOf, requireObject, SECRET } from "./auth.ts";
import { invalid, KnockError, missing } from "./errors.ts";
import type { Capability } from "./grants.ts";
import type { Knock } from "./knock.ts";
import { channelInvalid, identify, PartyRequests } from "./party-requests.ts";
import { objectOf, paramOf, userOf } from "./path.ts";
import { checkText, Fields } from "./wire.ts";

const MAX_DEVICES = 100;
const MAX_TOKEN_LENGTH = 4_096;
const MAX_DATA_BYTES = 256 * 1024;

export function channelDataRoutes(scope: FastifyInstance, knock: Knock): void {
  const { workflows } = knock.engine;
  const { parties } = workflows;
  for (const { path, partyOf, deleting } of [
    {
      path: "/users/:user_id/channel_data/:channel_id",
      partyOf: userOf,
      deleting: client("channel_data/write"),
    },
    { path: "/objects/:collection/:object_id/channel_data/:channel_id", partyOf: objectOf, deleting: SECRET },
  ]) {
    scope.get(path, client("channel_data/read"), async (request) => {
      const party = allowed(request, partyOf(request), "channel_data/read");
      const channel = await channelOf(request);
      const document = await parties.document(environmentOf(request).id, party, "channel", channel.id);
      if (document === null) throw missing("Channel data of the channel", channel.id);
      return showChannelData(channel, document.body);
    });

    scope.put(path, client("channel_data/write"), async (request) => {
      const party = allowed(request, partyOf(request), "channel_data/write");
      const environmentId = environmentOf(request).id;
      const name = paramOf(request, "channel_id");
      const channel = findChannel(await workflows.channels(environmentId), name);
      if (channel === undefined) throw channelInvalid("channel_id", name);
      const body = new Fields(request.body);
      const data = body.required("data");
      body.done();
      const requests = new PartyRequests();
      // Whoever is not there yet is made by this.
      requests.add(party, {});
      requests.addChannelData(party, "data", channel.id, data as Json);
      await identify(knock, environmentId, requests);
      return showChannelData(channel, checkChannelData(channel, "data", data as Json));
    });

    scope.delete(path, deleting, async (request, reply) => {
      const party = allowed(request, partyOf(request), "channel_data/write");
      const { id } = await channelOf(request);
      await parties.modifyDocument(environmentOf(request).id, party, "channel", id, knock.clock.now(), () => null);
      return reply.code(204).send();
    });
  }

  async function channelOf(request: FastifyRequest): Promise<StepChannel> {
    const name = paramOf(request, "channel_id");
    const channel = findChannel(await workflows.channels(environmentOf(request).id), name);
    if (channel === undefined) throw missing("Channel", name);
    return channel;
  }

  /** Users were held against the token by their path; objects need a grant of their own. */
  function allowed(request: FastifyRequest, party: PartyRef, capability: Capability): PartyRef {
    if ("collection" in (request.params as object)) requireObject(callerOf(request), party, capability);
    return party;
  }
}

/** Ids of channels are UUIDs, which may be written in either case; their keys do as well. */
export function findChannel(channels: readonly StepChannel[], name: string): StepChannel | undefined {
  const id = name.toLowerCase();
  return channels.find((channel) => channel.id.toLowerCase() === id) ?? channels.find(({ key }) => key === name);
}

/**
 * Checks channel data, and brings it into the one form in which it is kept.
 * @returns `devices` for push, `connections` with what belongs to them for chat, anything else as it came.
 * @throws KnockError 422.
 */
export function checkChannelData(channel: StepChannel, field: string, value: Json): JsonObject {
  if (channel.type === "in_app_feed" || channel.type === "email" || channel.type === "sms") {
    throw new KnockError("channel_invalid", 422, `A channel of type ${channel.type} takes no channel data`, [
      { field, type: "invalid", message: `A channel of type ${channel.type} takes no channel data` },
    ]);
  }
  const data = new Fields(value, field);
  const checked =
    channel.type === "push"
      ? pushData(data)
      : channel.type === "chat"
        ? chatData(data)
        : ({ ...data.value } as JsonObject);
  if (Buffer.byteLength(JSON.stringify(checked)) > MAX_DATA_BYTES)
    data.error("", "Expected at most 256 kB", "too_long");
  data.done();
  return checked;
}

function pushData(data: Fields): JsonObject {
  if (data.raw("player_ids") !== undefined) {
    return { player_ids: data.list("player_ids", { max: MAX_DEVICES }, tokenOf) ?? [] };
  }
  // Both ways of writing name devices; whoever gives both means the one with more in it.
  const arns = data.raw("target_arns") !== undefined;
  const name = data.raw("devices") !== undefined ? "devices" : arns ? "target_arns" : "tokens";
  if (data.raw(name) === undefined) {
    data.error("tokens", "Expected tokens, devices, target_arns or player_ids", "required");
    return {};
  }
  const devices = data.list(name, { max: MAX_DEVICES }, (item, at): JsonObject => {
    if (name !== "devices") return { [arns ? "target_arn" : "token"]: tokenOf(item, at) };
    const device = new Fields(item, at);
    const key = device.raw("target_arn") !== undefined ? "target_arn" : "token";
    const token = device.try(key, () => tokenOf(device.required(key), device.path(key)));
    const locale = device.text("locale", { max: 100 });
    const timezone = device.text("timezone", { max: 100 });
    device.done();
    return { [key]: token ?? "", locale: locale ?? null, timezone: timezone ?? null };
  });
  return { devices: distinctDevices(devices ?? []) };
}

/** A device that is registered twice is notified once; what came last is what is true of it. */
function distinctDevices(devices: readonly JsonObject[]): readonly JsonObject[] {
  return [...new Map(devices.map((device) => [device.target_arn ?? device.token, device])).values()];
}

function tokenOf(value: unknown, at: string): string {
  if (typeof value !== "string" || value === "" || value.length > MAX_TOKEN_LENGTH) {
    throw invalid(at, `Expected a token of 1 to ${MAX_TOKEN_LENGTH} characters`);
  }
  return checkText(at, value);
}

function chatData(data: Fields): JsonObject {
  const connections = data.list("connections", { max: MAX_DEVICES }, (item, at) => {
    const connection = new Fields(item, at);
    if (!isObject(item)) connection.done();
    const hook = connection.object("incoming_webhook");
    if (hook !== undefined) new Fields(hook, connection.path("incoming_webhook")).text("url", { required: true });
    connection.done();
    return item;
  });
  data.object("token");
  data.text("ms_teams_tenant_id", { max: 256 });
  // A tenant keeps its token before it has any connection.
  if (connections === undefined && data.raw("token") === undefined && data.raw("ms_teams_tenant_id") === undefined) {
    data.error("connections", "is required", "required");
  }
  return { ...data.value, connections: connections ?? [] };
}

/** Reads of push name the devices in both ways, whichever they were written in. */
export function showChannelData(channel: StepChannel, body: JsonObject): JsonObject {
  const provider = providerName(channel, body);
  return {
    __typename: "ChannelData",
    channel_id: channel.id,
    ...(provider === null ? {} : { provider }),
    data: shownData(body),
  };
}

function shownData(body: JsonObject): JsonObject {
  if (!Array.isArray(body.devices)) return body;
  const devices = (body.devices as readonly JsonObject[]).map((device) => ({
    locale: null,
    timezone: null,
    ...device,
  }));
  const arns = devices.filter((device: JsonObject) => device.target_arn !== undefined);
  if (arns.length > 0) return { devices, target_arns: arns.map((device: JsonObject) => device.target_arn as string) };
  return { devices, tokens: devices.map((device: JsonObject) => device.token as string) };
}

const PUSH: readonly (readonly [pattern: RegExp, name: string])[] = [
  [/fcm|firebase/i, "push_fcm"],
  [/apn/i, "push_apns"],
  [/sns/i, "push_aws_sns"],
  [/expo/i, "push_expo"],
  [/one.?signal/i, "push_one_signal"],
];
const CHAT: readonly (readonly [pattern: RegExp, name: string])[] = [
  [/teams/i, "chat_ms_teams"],
  [/discord/i, "chat_discord"],
  [/slack/i, "chat_slack"],
];

/** The vendor's name for what is behind the channel, as far as its provider, its key or the data tell; null otherwise. */
function providerName({ type, provider, key }: StepChannel, body: JsonObject): string | null {
  if (type === "http") return "http_knock_webhook";
  const names = type === "push" ? PUSH : CHAT;
  for (const text of [provider ?? "", key, fieldsOf(body)]) {
    const found = names.find(([pattern]) => pattern.test(text));
    if (found !== undefined) return found[1];
  }
  return null;
}

function fieldsOf(body: JsonObject): string {
  if (body.player_ids !== undefined) return "one_signal";
  const items = [body.connections, body.devices].flat().filter(isObject);
  const fields = [...Object.keys(body), ...items.flatMap((item) => Object.keys(item))];
  if (fields.includes("target_arn")) return "sns";
  return fields.some((field) => field.startsWith("ms_teams")) ? "teams" : "";
}
