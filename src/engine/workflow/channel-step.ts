/**
 * A channel step: conditions, an address, the recipient's preferences, the time of day; then one delivery for each address
 * on each channel that is left, with its content rendered. Nothing is written here.
 */
import { newId, timeOf } from "../../lib/ids.ts";
import { isoOf } from "../../lib/iso.ts";
import { deepMerge, isObject, type Json, type JsonObject } from "../../lib/json.ts";
import { stamp } from "../compose.ts";
import type { Delivery, Rendered } from "../model.ts";
import { changeDeliverySecrets, mayHoldSecrets } from "../secrets.ts";
import type { ChannelGroup, ChannelRule } from "./catalog.ts";
import { isWanted } from "./consent.ts";
import { CHANNEL_OF, type ChannelStep, type Conditions, isUser } from "./model.ts";
import type { PartyFacts } from "./ports.ts";
import { type Way, waysTo } from "./reach.ts";
import { failing, filledIn, type SkipReason, type StepContext, type StepOutcome } from "./step.ts";
import { nextSendTime } from "./windows.ts";
import type { StepChannel } from "./workflows.ts";
import { recipientZone } from "./world.ts";
import { zoneOf } from "./zones.ts";

/** How long a provider may be tried; the waits in between are those of `STEP_SCHEDULE` in retry.ts. */
const DELIVERY_TIMEOUT_MS = 30 * 60_000;

type Skip = { readonly reason: SkipReason; readonly detail?: JsonObject };

export async function channelStep(step: ChannelStep, context: StepContext): Promise<StepOutcome> {
  const candidates = await channelsOf(step, context);
  if (candidates.length === 0) return { kind: "skipped", reason: "channel_unconfigured" };
  const deliveries: Delivery[] = [];
  const skips: (Skip & { readonly channel: StepChannel })[] = [];
  for (const channel of candidates) {
    const sent = await sendOn(channel, step, context);
    if ("reason" in sent) skips.push({ ...sent, channel });
    else deliveries.push(...sent.deliveries);
  }
  const [first] = skips;
  if (deliveries.length === 0 && first !== undefined) {
    return { kind: "skipped", reason: first.reason, detail: { channel: first.channel.key, ...first.detail } };
  }
  const notes = skips.map(({ reason, channel, detail }) => ({ reason, channel: channel.key, ...detail }));
  return { kind: "done", deliveries, notes };
}

/** The step's channel; of a group the first that fits, or all that do. */
async function channelsOf(step: ChannelStep, context: StepContext): Promise<readonly StepChannel[]> {
  const { channelByKey, groupByKey } = context.run.furniture;
  const own = step.channel_key === undefined ? undefined : channelByKey.get(step.channel_key);
  if (own !== undefined) return [own];
  const group = step.channel_group_key === undefined ? undefined : groupByKey.get(step.channel_group_key);
  if (group === undefined) return [];
  return await fitting(group, step, context);
}

async function fitting(group: ChannelGroup, step: ChannelStep, context: StepContext): Promise<readonly StepChannel[]> {
  const found: StepChannel[] = [];
  for (const rule of group.rules) {
    const channel = context.run.furniture.channelByKey.get(rule.channelKey);
    if (channel === undefined || channel.type !== step.channel_type || !(await applies(rule, context))) continue;
    found.push(channel);
    if (group.operator === "any") break;
  }
  return found;
}

async function applies({ type, conditions }: ChannelRule, context: StepContext): Promise<boolean> {
  if (type === "always") return true;
  const holds = (await failing(conditions as unknown as Conditions | undefined, context)).length === 0;
  return holds === (type === "if");
}

async function sendOn(
  channel: StepChannel,
  step: ChannelStep,
  context: StepContext,
): Promise<Skip | { readonly deliveries: readonly Delivery[] }> {
  const { run, world, now } = context;
  const judged = failing(channel.settings.conditions as unknown as Conditions | undefined, context);
  const failed = judged instanceof Promise ? await judged : judged;
  if (failed.length > 0) return { reason: "conditions", detail: { failed } };
  const given = givenAddress(step);
  const to = given === null ? null : (await filledIn(given, context)).trim() || null;
  const found = waysTo(run.cast.recipient, channel, to, run.providers, world.kinds);
  if (found.kind === "none") return { reason: found.reason };
  const answer = isWanted(channel, context);
  const refused = answer instanceof Promise ? await answer : answer;
  if (refused !== null) return { reason: "preferences", detail: refused };
  const deliveries: Delivery[] = [];
  for (const way of found.ways) {
    const zone = zoneOf(way.device?.timezone, recipientZone(run, world.accountTimezone));
    const at = nextSendTime(step.send_windows, now, zone);
    if (at === null) return { reason: "invalid_window" };
    deliveries.push(await deliveryOf(way, at, channel, step, context));
  }
  return { deliveries };
}

/** Where the author sends to instead of the recipient's own address, as it is written; null for the latter. */
function givenAddress(step: ChannelStep): string | null {
  const settings = isObject(step.template.settings) ? step.template.settings : {};
  const given = step.channel_type === "email" ? step.channel_overrides?.to_address : settings.to_number;
  return typeof given === "string" && given !== "" ? given : null;
}

async function deliveryOf(
  way: Way,
  dueAt: number,
  channel: StepChannel,
  step: ChannelStep,
  context: StepContext,
): Promise<Delivery> {
  const { run, state, now } = context;
  const { recipient } = run.cast;
  const id = newId("dlv", now);
  const at = stamp(now, id);
  const content = await contentOf(id, way, channel, step, context);
  const inbox = channel.type === "in_app_feed";
  const sandbox = !inbox && (run.trigger.sandbox || channel.settings.sandbox_mode === true);
  const actors = state.batch?.actors ?? (run.trigger.actor === null ? [] : [run.trigger.actor]);
  const delivery: Delivery = {
    id,
    environmentId: run.environmentId,
    messageId: run.messageId,
    userId: isUser(recipient.party) ? recipient.party.id : null,
    tenantId: run.tenantId,
    channel: CHANNEL_OF[channel.type],
    provider: way.provider.provider,
    providerId: way.provider.id,
    leaf: "",
    state: inbox ? "delivered" : sandbox ? "simulated" : "pending",
    dueAt,
    leaseUntil: null,
    attempts: 0,
    startedAt: null,
    timeoutMs: DELIVERY_TIMEOUT_MS,
    address: addressOf(way, channel, recipient),
    content,
    override: await overrideOf(content, channel, step, context),
    error: null,
    reference: null,
    createdAt: timeOf(id),
    sentAt: inbox || sandbox ? at : null,
    deliveredAt: inbox ? at : null,
    seenAt: null,
    readAt: null,
    interactedAt: null,
    archivedAt: null,
    deletedAt: null,
    expiresAt: null,
    tags: inbox ? run.version.categories : [],
    data: withoutAttachments(state.data, step),
    viaTenant: false,
    requestId: run.requestId,
    ...(inbox ? { via: run.via } : {}),
    origin: {
      ref: step.ref,
      channelId: channel.id,
      versionId: run.version.id,
      categories: run.version.categories,
      actors,
      totalActors: state.batch?.totalActors ?? actors.length,
      activities: state.batch?.activities ?? null,
      totalActivities: state.batch?.totalActivities ?? 1,
      ...(state.batch?.newestData === undefined ? {} : { newestData: state.batch.newestData }),
      ...(dueAt > now ? { scheduled: true as const } : {}),
    },
  };
  return mayHoldSecrets(delivery)
    ? changeDeliverySecrets(delivery, (secret) => context.world.vault.sealOften(secret))
    : delivery;
}

async function contentOf(
  id: Delivery["id"],
  way: Way,
  channel: StepChannel,
  step: ChannelStep,
  context: StepContext,
): Promise<Rendered> {
  const { run, world, outlook, scope } = context;
  const { tracking } = world;
  const locale = way.device?.locale;
  const tracks = (what: "link_tracking" | "open_tracking"): boolean =>
    (step.channel_overrides?.[what] ?? channel.settings[what]) === true;
  return await world.language.render(channel.type, step.template, {
    scope: run.version.usesMessage ? { ...scope, current_message: describeMessage(id, context) } : scope,
    sources: typeof locale === "string" ? { ...outlook.sources, locale } : outlook.sources,
    trackLink:
      tracking !== null && tracks("link_tracking")
        ? (index, href) => tracking.click(run.environmentId, id, index, href)
        : null,
    openPixel:
      tracking !== null && channel.type === "email" && tracks("open_tracking")
        ? tracking.open(run.environmentId, id)
        : null,
  });
}

function describeMessage(id: Delivery["id"], { world }: StepContext): JsonObject {
  const at = isoOf(timeOf(id));
  return { id: world.spelling.message(id), inserted_at: at, updated_at: at };
}

/** The recipient's own mail address keeps the name that it had then. */
function addressOf(way: Way, { type }: StepChannel, { properties }: PartyFacts): JsonObject {
  // Where an http step sends is part of what its author wrote.
  if (type === "http") return { webhook: {} };
  const { name, email } = properties ?? {};
  const isOwn = type === "email" && typeof email === "string" && email.trim() === way.address.email;
  return isOwn && typeof name === "string" && name !== "" ? { ...way.address, name } : way.address;
}

/** What belongs to a mail is not shown to apps. */
function withoutAttachments(data: JsonObject, step: ChannelStep): JsonObject {
  const settings = isObject(step.template.settings) ? step.template.settings : {};
  const key = typeof settings.attachment_key === "string" ? settings.attachment_key : "attachments";
  if (!Object.hasOwn(data, key) || !Array.isArray(data[key])) return data;
  const { [key]: _, ...rest } = data;
  return rest;
}

// ——— what is laid over the content when it is sent ———————————————————————————————————————————————————————————————

const MAIL_FIELDS = { cc_address: "cc", bcc_address: "bcc", reply_to_address: "reply_to" } as const;

/** The step's settings over the channel's. Null when neither says anything. */
async function overrideOf(
  content: Rendered,
  channel: StepChannel,
  step: ChannelStep,
  context: StepContext,
): Promise<JsonObject | null> {
  const given: JsonObject = { ...channel.settings, ...step.channel_overrides };
  const over: Record<string, Json> = {};
  const text = async (field: string): Promise<string> => {
    const value = given[field];
    return typeof value === "string" ? (await filledIn(value, context)).trim() : "";
  };
  if (channel.type === "email") {
    const address = await text("from_address");
    const name = await text("from_name");
    if (address !== "") over.from = name === "" ? address : `${quoted(name)} <${address}>`;
    for (const [field, name] of Object.entries(MAIL_FIELDS)) {
      const value = await text(field);
      if (value !== "") over[name] = value;
    }
  }
  const json =
    jsonObject(await text("json_overrides")) ?? (isObject(given.json_overrides) ? given.json_overrides : null);
  const ofTemplate = content.raw?.overrides;
  const body = isObject(ofTemplate) ? deepMerge(ofTemplate, json ?? {}) : json;
  if (body !== null) over.body = body;
  return Object.keys(over).length === 0 ? null : over;
}

function quoted(name: string): string {
  return `"${name.replaceAll(/["\\]/g, "\\$&")}"`;
}

function jsonObject(text: string): JsonObject | null {
  if (text === "") return null;
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : null;
  } catch {
    return null;
  }
}
