/** By which ways a channel of a workflow reaches a recipient: through which provider, and to which addresses. Pure. */
import { isObject, type Json, type JsonObject } from "../../lib/json.ts";
import type { Channel, DeviceToken, Provider } from "../model.ts";
import type { ProviderKind } from "../ports.ts";
import { providersOf } from "../route.ts";
import { CHANNEL_OF, isUser } from "./model.ts";
import type { PartyFacts } from "./ports.ts";
import type { StepChannel } from "./workflows.ts";

/** One address, through one provider. */
export interface Way {
  readonly provider: Provider;
  readonly address: JsonObject;
  /** Of a device that has a language or a zone of its own. */
  readonly device: { readonly locale: string | null; readonly timezone: string | null } | null;
}

export type Ways =
  | { readonly kind: "ways"; readonly ways: readonly Way[] }
  | { readonly kind: "none"; readonly reason: "channel_unconfigured" | "missing_data" };

/** Devices, or connections, of one recipient on one channel that are sent to. */
const MAX_WAYS = 100;

/** @param address given by the step instead of the recipient's own (email and sms). */
export function waysTo(
  recipient: PartyFacts,
  channel: StepChannel,
  address: string | null,
  providers: readonly Provider[],
  kinds: ReadonlyMap<string, ProviderKind>,
): Ways {
  const candidates = candidatesOf(channel, providers);
  if (candidates.length === 0) return { kind: "none", reason: "channel_unconfigured" };
  const userId = isUser(recipient.party) ? recipient.party.id : null;
  const ways = personsOf(recipient, channel, address).flatMap(({ profile, tokens, device }): readonly Way[] => {
    for (const provider of candidates) {
      const found = kinds.get(provider.provider)?.address(profile, { userId, tokens, settings: provider.settings });
      if (found !== undefined && found !== null) return [{ provider, address: found, device }];
    }
    return [];
  });
  return ways.length === 0 ? { kind: "none", reason: "missing_data" } : { kind: "ways", ways };
}

/** The provider that the channel names, or whatever there is for it, where a stand-in steps aside for anything real. */
function candidatesOf({ type, provider: wanted }: StepChannel, providers: readonly Provider[]): readonly Provider[] {
  const channel: Channel = CHANNEL_OF[type];
  if (wanted === null) return providersOf(channel, undefined, providers);
  return providers.filter(({ channel: of, id, provider }) => of === channel && (id === wanted || provider === wanted));
}

/** The recipient as providers are to see it, once for each of its addresses on the channel. */
interface Person {
  readonly profile: JsonObject;
  readonly tokens: readonly DeviceToken[];
  readonly device: Way["device"];
}

function personsOf(
  { party, properties, documents }: PartyFacts,
  channel: StepChannel,
  address: string | null,
): Person[] {
  const profile = properties ?? {};
  switch (channel.type) {
    case "email":
      return [plain(address === null ? profile : { ...profile, email: address })];
    case "sms":
      return [plain(address === null ? profile : { ...profile, phone_number: address })];
    case "in_app_feed":
      return [plain(profile)];
    case "http":
      // The template says where to; the provider's own destination would be somebody else's.
      return [plain({ webhook: { url: "https://template.invalid" } })];
    case "push":
    case "chat": {
      const document = documents.find(({ kind, name }) => kind === "channel" && name === channel.id);
      if (document === undefined) return [];
      const data = isObject(document.body.data) ? document.body.data : document.body;
      return (channel.type === "push" ? devicesOf(data, party.id) : connectionsOf(data, channel)).slice(0, MAX_WAYS);
    }
  }
}

function plain(profile: JsonObject): Person {
  return { profile, tokens: [], device: null };
}

function devicesOf(data: JsonObject, userId: string): Person[] {
  const persons = new Map<string, Person>();
  for (const device of [...listOf(data.devices), ...listOf(data.tokens), ...listOf(data.target_arns)]) {
    const token = isObject(device) ? (device.token ?? device.target_arn) : device;
    if (typeof token !== "string" || token === "" || persons.has(token)) continue;
    const own = isObject(device) ? { locale: textOf(device.locale), timezone: textOf(device.timezone) } : null;
    const isArn = token.startsWith("arn:");
    persons.set(token, {
      profile: isArn ? { aws_sns: { target_arn: token } } : {},
      tokens: isArn ? [] : [deviceToken(token, userId)],
      device: own,
    });
  }
  for (const id of listOf(data.player_ids)) {
    if (typeof id === "string" && id !== "") persons.set(id, plain({ oneSignalPlayerID: id }));
  }
  return [...persons.values()];
}

function deviceToken(token: string, userId: string): DeviceToken {
  return {
    token,
    userId,
    provider: "",
    state: "active",
    stateReason: null,
    expiresAt: null,
    device: null,
    properties: null,
    tracking: null,
    createdAt: 0,
    updatedAt: 0,
  };
}

function connectionsOf(data: JsonObject, channel: StepChannel): Person[] {
  const shared = isObject(data.token) ? data.token.access_token : undefined;
  return listOf(data.connections)
    .filter(isObject)
    .map((connection) => {
      const { incoming_webhook } = connection;
      const webhook = isObject(incoming_webhook) ? { incoming_webhook } : {};
      switch (platformOf(connection, data, channel)) {
        case "ms_teams": {
          const { ms_teams_team_id: team_id, ms_teams_channel_id: channel_id, ms_teams_user_id: user_id } = connection;
          const tenant_id = connection.ms_teams_tenant_id ?? data.ms_teams_tenant_id;
          return plain({ ms_teams: { tenant_id, team_id, channel_id, user_id, ...webhook } });
        }
        case "discord":
          return plain({ discord: { channel_id: connection.channel_id, ...webhook } });
        default: {
          const { access_token = shared, channel_id, user_id } = connection;
          return plain({ slack: { access_token, channel: channel_id, user_id, ...webhook } });
        }
      }
    });
}

function platformOf(
  connection: JsonObject,
  data: JsonObject,
  { key, provider, settings }: StepChannel,
): "slack" | "ms_teams" | "discord" {
  const names = [...Object.keys(connection), ...Object.keys(data)];
  if (names.some((name) => name.startsWith("ms_teams"))) return "ms_teams";
  const said = `${provider ?? ""} ${textOf(settings.platform) ?? ""} ${key}`;
  if (/teams/i.test(said)) return "ms_teams";
  return /discord/i.test(said) ? "discord" : "slack";
}

function listOf(value: Json | undefined): readonly Json[] {
  return Array.isArray(value) ? (value as readonly Json[]) : [];
}

function textOf(value: Json | undefined): string | null {
  return typeof value === "string" && value !== "" ? value : null;
}
