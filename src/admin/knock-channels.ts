/** Channels of Knock's workflows, which its vendor keeps in a dashboard. */
import { randomUUID } from "node:crypto";
import type { FastifyInstance } from "fastify";
import Type from "typebox";
import type { Document } from "../engine/model.ts";
import { Refusal } from "../engine/refusal.ts";
import { PROVIDER } from "../engine/templates.ts";
import { checkConditions } from "../engine/workflow/condition-checks.ts";
import { CHANNEL_TYPES, type ChannelBody, type ChannelType } from "../engine/workflow/model.ts";
import { bodyOf } from "../http/body.ts";
import { changeChannel, readChannels } from "../http/step-channels.ts";
import { isId } from "../lib/ids.ts";
import type { JsonObject } from "../lib/json.ts";
import type { Admin } from "./contract.ts";

const MAX_CHANNELS = 200;
const Key = Type.String({ pattern: "^[a-zA-Z0-9_-]{1,255}$" });
const Name = Type.String({ minLength: 1, maxLength: 255 });
const Provider = Type.Union([Type.String({ minLength: 1, maxLength: 100 }), Type.Null()]);
const Settings = Type.Record(Type.String(), Type.Unknown());

const newBody = bodyOf(
  Type.Object({
    key: Key,
    name: Type.Optional(Name),
    type: Type.Unsafe<ChannelType>({ type: "string", enum: CHANNEL_TYPES }),
    provider: Type.Optional(Provider),
    settings: Type.Optional(Settings),
  }),
);
const changeBody = bodyOf(
  Type.Object({
    key: Type.Optional(Key),
    name: Type.Optional(Name),
    type: Type.Optional(Type.String()),
    provider: Type.Optional(Provider),
    settings: Type.Optional(Settings),
  }),
);

export function knockChannelRoutes(app: FastifyInstance, { engine: { documents, clock } }: Admin): void {
  const checkProvider = async (environmentId: Document["id"], provider: string | null | undefined): Promise<void> => {
    if (provider == null || !isId("prv", provider)) return;
    if ((await documents.read(environmentId as `env_${string}`, PROVIDER, provider)) === null) {
      throw new Refusal("invalid", "provider: There is no such provider", { field: "provider" });
    }
  };

  app.get("/admin/knock/channels", async (request) => {
    return { items: (await readChannels(documents, request.operator.environment)).map(showChannel) };
  });

  app.get<{ Params: { id: string } }>("/admin/knock/channels/:id", async (request) => {
    return showChannel(found(await readChannels(documents, request.operator.environment), request.params.id));
  });

  app.post("/admin/knock/channels", async (request, reply) => {
    const { environment } = request.operator;
    const { key, name = key, type, provider = null, settings } = newBody(request.body);
    await checkProvider(environment.id, provider);
    const body: ChannelBody = { key, name, type, provider, settings: checkSettings(type, settings) };
    const id = randomUUID();
    const made = await changeChannel(documents, environment, clock, (channels) => {
      if (channels.length >= MAX_CHANNELS) throw new Refusal("conflict", `There are ${MAX_CHANNELS} channels already`);
      requireFree(channels, key, id);
      return { id, body };
    });
    return reply.code(201).send(showChannel(made as Document));
  });

  app.put<{ Params: { id: string } }>("/admin/knock/channels/:id", async (request) => {
    const { environment } = request.operator;
    const { id } = request.params;
    const { key, name, type, provider, settings } = changeBody(request.body);
    await checkProvider(environment.id, provider);
    const changed = await changeChannel(documents, environment, clock, (channels) => {
      const old = bodyIn(found(channels, id));
      if (type !== undefined && type !== old.type) {
        throw new Refusal("invalid", "type: The type of a channel cannot change; make another one", { field: "type" });
      }
      if (key !== undefined) requireFree(channels, key, id);
      const body = {
        ...old,
        key: key ?? old.key,
        name: name ?? old.name,
        provider: provider === undefined ? old.provider : provider,
        settings: settings === undefined ? old.settings : checkSettings(old.type, settings),
      };
      return { id, body };
    });
    return showChannel(changed as Document);
  });

  app.delete<{ Params: { id: string } }>("/admin/knock/channels/:id", async (request, reply) => {
    const { environment } = request.operator;
    const { id } = request.params;
    await changeChannel(documents, environment, clock, (channels) => {
      found(channels, id);
      // Browsers are told its id, and inboxes of other facades are shown under it.
      if (id === environment.feedId) throw new Refusal("conflict", "The channel of the environment's feed stays");
      return { id, body: null };
    });
    return reply.code(204).send();
  });
}

function found(channels: readonly Document[], id: string): Document {
  const channel = channels.find((one) => one.id === id);
  if (channel === undefined) throw new Refusal("not_found", "There is no such channel");
  return channel;
}

function requireFree(channels: readonly Document[], key: string, id: string): void {
  if (channels.some((channel) => channel.id !== id && bodyIn(channel).key === key)) {
    throw new Refusal("conflict", `key: There is a channel with the key ${JSON.stringify(key)} already`, {
      field: "key",
    });
  }
}

function bodyIn({ body }: Document): ChannelBody {
  return body as unknown as ChannelBody;
}

function showChannel(document: Document): JsonObject {
  const { key, name, type, provider, settings } = bodyIn(document);
  return {
    id: document.id,
    key,
    name,
    type,
    provider,
    settings,
    created_at: new Date(document.createdAt).toISOString(),
    updated_at: new Date(document.updatedAt).toISOString(),
  };
}

// ——— settings ————————————————————————————————————————————————————————————————————————————————————————————————————

/** What the settings of a channel may hold; those of a step go before them. */
const FLAGS: { readonly [type in ChannelType]: readonly string[] } = {
  email: ["link_tracking", "open_tracking"],
  in_app_feed: ["link_tracking"],
  sms: ["link_tracking"],
  push: ["token_deregistration"],
  chat: ["link_tracking", "email_based_user_id_resolution"],
  http: [],
};
const MAIL = ["from_name", "from_address", "cc_address", "bcc_address", "reply_to_address", "json_overrides"];
const PLATFORMS = ["slack", "ms_teams", "discord"];
const MAX_TEXT = 10_000;

/** @throws Refusal("invalid") also for what has no meaning for this type: it is more likely mistyped than meant. */
function checkSettings(type: ChannelType, settings: { readonly [name: string]: unknown } = {}): JsonObject {
  const flags = [...FLAGS[type], "sandbox_mode"];
  const texts = type === "email" ? MAIL : [];
  const checked: Record<string, JsonObject[string]> = {};
  for (const [name, value] of Object.entries(settings)) {
    const field = `settings.${name}`;
    const refuse = (expected: string): Refusal => new Refusal("invalid", `${field}: Expected ${expected}`, { field });
    if (value === null || value === undefined) continue;
    if (name === "conditions") {
      const conditions = checkConditions(value, field);
      if (conditions !== null) checked.conditions = conditions as unknown as JsonObject;
    } else if (flags.includes(name)) {
      if (typeof value !== "boolean") throw refuse("true or false");
      checked[name] = value;
    } else if (texts.includes(name)) {
      if (typeof value !== "string" || value.length > MAX_TEXT) throw refuse(`text of at most ${MAX_TEXT} characters`);
      checked[name] = value;
    } else if (name === "platform" && type === "chat") {
      if (!PLATFORMS.includes(value as string)) throw refuse(PLATFORMS.join(", "));
      checked[name] = value as string;
    } else throw refuse(`one of the settings ${[...flags, ...texts, "conditions"].join(", ")}`);
  }
  return checked;
}
