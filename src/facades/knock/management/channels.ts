/** Channels, which are made through `/admin`, and groups of them, which authors make. */
import type { Environment } from "../../../engine/model.ts";
import type { Refusal } from "../../../engine/refusal.ts";
import { checkConditionList } from "../../../engine/workflow/condition-checks.ts";
import { CHANNEL_GROUP, CHANNEL_TYPES, type ChannelType, type Condition } from "../../../engine/workflow/model.ts";
import type { StepChannel } from "../../../engine/workflow/workflows.ts";
import type { JsonObject } from "../../../lib/json.ts";
import { MANAGEMENT } from "../auth.ts";
import { type FieldError, invalidParams, missing } from "../errors.ts";
import type { Knock, Routes } from "../knock.ts";
import { queryOf } from "../query.ts";
import { checkText } from "../wire.ts";
import { checkKey } from "./authored-routes.ts";
import { showChannel, showGroup, showGuideChannel } from "./channel-views.ts";
import { cleaned, given, MAX_NAME, Reader } from "./reader.ts";
import { documentPage, environmentIn, pageIn, pageOfAll, shownPage } from "./scope.ts";

interface Keyed {
  readonly key: string;
}

const MAX_RULES = 50;

export const channelRoutes: Routes = (app, knock) => {
  const { documents, workflows } = knock.engine;

  app.get("/channels", MANAGEMENT, async (request) => {
    const environment = environmentIn(request);
    const query = queryOf(request);
    const asked = pageIn(request, "mk");
    const id = query.text("id");
    const withSettings = query.wordsOf("include", ["environment_settings"]).length > 0;
    const channels = await workflows.channels(environment.id);
    const shown = [...channels.map((channel) => showChannel(channel, withSettings)), showGuideChannel(environment)];
    const idOf = (channel: JsonObject): string => channel.id as string;
    const all = shown.filter((channel) => id === undefined || idOf(channel) === id);
    const page = pageOfAll(all, asked, idOf);
    return shownPage(asked, page, page.items, idOf);
  });

  app.get<{ Params: Keyed }>("/channels/:key", MANAGEMENT, async (request) => {
    const { key } = request.params;
    const environment = environmentIn(request);
    const channels = await workflows.channels(environment.id);
    const found = channels.find((channel) => channel.key === key) ?? channels.find((channel) => channel.id === key);
    if (found !== undefined) return showChannel(found, true);
    const guides = showGuideChannel(environment);
    if (guides.key !== key && guides.id !== key) throw missing("Channel", key);
    return guides;
  });

  app.get("/channel_groups", MANAGEMENT, async (request) => {
    const environment = environmentIn(request);
    const asked = pageIn(request, "mg");
    const page = await documentPage(documents, environment, CHANNEL_GROUP, asked, "ascending", () => true);
    const channels = await channelsByKey(knock, environment);
    const shown = page.items.map((group) => showGroup(group, channels));
    return shownPage(asked, page, shown, ({ id }) => id);
  });

  app.get<{ Params: Keyed }>("/channel_groups/:key", MANAGEMENT, async (request) => {
    const environment = environmentIn(request);
    return await shownGroup(knock, environment, request.params.key);
  });

  app.put<{ Params: Keyed }>("/channel_groups/:key", MANAGEMENT, async (request) => {
    const environment = environmentIn(request);
    const key = checkKey(request.params.key);
    const source = (request.body as { channel_group?: unknown } | undefined)?.channel_group;
    const body = checkGroup(source, await channelsByKey(knock, environment));
    await documents.write(environment.id, [{ kind: CHANNEL_GROUP, id: key, body, expect: "any" }], knock.clock.now());
    return { channel_group: await shownGroup(knock, environment, key) };
  });

  app.delete<{ Params: Keyed }>("/channel_groups/:key", MANAGEMENT, async (request, reply) => {
    const environment = environmentIn(request);
    const key = checkText("key", request.params.key);
    if ((await documents.read(environment.id, CHANNEL_GROUP, key)) === null) throw missing("Channel group", key);
    await documents.write(
      environment.id,
      [{ kind: CHANNEL_GROUP, id: key, body: null, expect: "any" }],
      knock.clock.now(),
    );
    return reply.code(204).send();
  });
};

async function channelsByKey(knock: Knock, environment: Environment): Promise<ReadonlyMap<string, StepChannel>> {
  const channels = await knock.engine.workflows.channels(environment.id);
  return new Map(channels.map((channel) => [channel.key, channel]));
}

async function shownGroup(knock: Knock, environment: Environment, key: string): Promise<JsonObject> {
  const found = await knock.engine.documents.read(environment.id, CHANNEL_GROUP, checkText("key", key));
  if (found === null) throw missing("Channel group", key);
  return showGroup(found, await channelsByKey(knock, environment));
}

/** @throws KnockError 422 with all faults. */
function checkGroup(source: unknown, channels: ReadonlyMap<string, StepChannel>): JsonObject {
  const errors: FieldError[] = [];
  const g = new Reader(cleaned(source, "channel_group", errors), "", errors);
  if (errors.length > 0) throw invalidParams(errors);
  const type = g.required("channel_type") === undefined ? undefined : g.oneOf("channel_type", CHANNEL_TYPES);
  const rules = g.objects("channel_rules", { max: MAX_RULES }, (rule) => ruleOf(rule, type, channels)) ?? [];
  const body = {
    name: g.text("name", { max: MAX_NAME, required: true }) ?? "",
    channel_type: type ?? "",
    operator: g.oneOf("operator", ["any", "all"]) ?? "any",
    // An index says where in the order a rule stands; without one it stays where it is.
    channel_rules: rules
      .map((rule, i) => ({ rule, at: rule.index ?? i }))
      .sort((a, b) => a.at - b.at)
      .map(({ rule: { index: _index, ...rest } }) => rest as JsonObject),
  };
  if (errors.length > 0) throw invalidParams(errors);
  return body;
}

function ruleOf(rule: Reader, type: ChannelType | undefined, channels: ReadonlyMap<string, StepChannel>) {
  const key = rule.text("channel_key", { max: MAX_NAME, required: true });
  const channel = key === undefined ? undefined : channels.get(key);
  if (key !== undefined && channel === undefined)
    rule.error("channel_key", `There is no channel with the key ${JSON.stringify(key)}`);
  else if (channel !== undefined && type !== undefined && channel.type !== type) {
    rule.error("channel_key", `${JSON.stringify(key)} is of the type ${channel.type}`);
  }
  const rule_type =
    rule.required("rule_type") === undefined ? undefined : rule.oneOf("rule_type", ["if", "unless", "always"]);
  const condition = rule_type === undefined || rule_type === "always" ? undefined : conditionOf(rule);
  return given({
    channel_key: key ?? "",
    rule_type: rule_type ?? "always",
    index: rule.number("index", { min: 0, max: 10_000, integer: true }),
    ...condition,
  });
}

/** A rule has one condition, in its own fields. */
function conditionOf(rule: Reader): Condition | undefined {
  const condition = { variable: rule.raw("variable"), operator: rule.raw("operator"), argument: rule.raw("argument") };
  try {
    return checkConditionList([given(condition)], "")[0];
  } catch (error) {
    const { code, field = "", message } = error as Partial<Refusal> & Error;
    if (code !== "invalid") throw error;
    rule.error(field.replace(/^\[0\]\.?/, ""), message);
    return undefined;
  }
}
