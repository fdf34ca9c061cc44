/** Configured ways to send, and the catalogue of the kinds there are. */
import type { FastifyRequest } from "fastify";
import Type from "typebox";
import type { Engine } from "../../engine/engine.ts";
import type { Document, EnvironmentId } from "../../engine/model.ts";
import type { ProviderKind } from "../../engine/ports.ts";
import { checkSettings, maskSecrets, unmask } from "../../engine/provider-settings.ts";
import { Refusal } from "../../engine/refusal.ts";
import { PROVIDER, type ProviderBody } from "../../engine/templates.ts";
import { bodyOf } from "../../http/body.ts";
import { newId } from "../../lib/ids.ts";
import { isObject, type JsonObject } from "../../lib/json.ts";
import { environmentOf } from "./auth.ts";
import type { Routes } from "./courier.ts";
import { rewrite } from "./document-rewrite.ts";
import { notFound } from "./errors.ts";
import { courierChannel } from "./message-views.ts";
import { pageQuery, pagingEnvelope } from "./paging.ts";
import { AnyObject, checkId, checkText, Maybe, queryList, queryText } from "./wire.ts";

const DEFAULT_TITLE = "Default Configuration";
/** As many as the engine looks at. */
const MAX_PROVIDERS = 1_000;

const providerBody = bodyOf(
  Type.Object({
    provider: Type.String({ minLength: 1, maxLength: 128 }),
    settings: Maybe(AnyObject),
    title: Maybe(Type.String({ maxLength: 1_000 })),
    alias: Maybe(Type.String({ maxLength: 512 })),
  }),
);

export const providerRoutes: Routes = (app, { engine }) => {
  const { clock, documents, providerKinds } = engine;

  app.get("/providers", async (request) => {
    const page = await documents.list(environmentOf(request).id, PROVIDER, pageQuery(request.query));
    return pagingEnvelope("results", page, (document) => show(document, engine));
  });

  app.get("/providers/catalog", async (request) => {
    const keys = queryList(request.query, "keys").map((key) => key.toLowerCase());
    const name = queryText(request.query, "name")?.toLowerCase();
    const channel = queryText(request.query, "channel")?.toLowerCase();
    const items = [...providerKinds.values()].filter(
      (kind) =>
        (keys.length === 0 || keys.includes(kind.provider.toLowerCase())) &&
        (name === undefined || kind.name.toLowerCase().includes(name)) &&
        (channel === undefined || courierChannel(kind.channel) === channel),
    );
    return pagingEnvelope("results", { items, next: null }, showKind);
  });

  app.post("/providers", async (request, reply) => {
    const { provider, settings, title, alias } = providerBody(request.body);
    const kind = providerKinds.get(provider);
    if (kind === undefined) {
      const known = [...providerKinds.keys()].join(", ");
      throw new Refusal("invalid", `provider: Expected one of ${known}, got ${JSON.stringify(provider)}`, {
        field: "provider",
      });
    }
    const environmentId = environmentOf(request).id;
    const body: ProviderBody = {
      provider,
      title: title ? checkText("title", title) : DEFAULT_TITLE,
      alias: alias ? checkText("alias", alias) : null,
      settings: settingsOf(kind, settings ?? {}, {}),
      standIn: false,
      position: await nextPosition(engine, environmentId),
    };
    const now = clock.now();
    const id = newId("prv", now);
    await documents.write(environmentId, [{ kind: PROVIDER, id, body: { ...body }, expect: "absent" }], now);
    return reply.code(201).send(await existing(request, engine, id));
  });

  app.get("/providers/:provider_id", async (request) => await existing(request, engine, idOf(request)));

  app.put("/providers/:provider_id", async (request) => {
    const id = idOf(request);
    const { provider, settings, title, alias } = providerBody(request.body);
    await rewrite(engine, environmentOf(request).id, { kind: PROVIDER, id }, (document) => {
      const old = bodyIn(document, id);
      const kind = kindOf(old, engine);
      if (provider !== old.provider) {
        throw new Refusal("invalid", `provider: Expected ${JSON.stringify(old.provider)}, which cannot be changed`, {
          field: "provider",
        });
      }
      const body: ProviderBody = {
        ...old,
        title: title ? checkText("title", title) : DEFAULT_TITLE,
        alias: alias ? checkText("alias", alias) : null,
        settings: kind === undefined ? (settings ?? {}) : settingsOf(kind, settings ?? {}, old.settings),
        // Whoever configures a stand-in means it.
        standIn: false,
      };
      return {
        writes: [{ kind: PROVIDER, id, body: { ...body }, expect: document?.version ?? "absent" }],
        result: null,
      };
    });
    return await existing(request, engine, id);
  });

  app.delete("/providers/:provider_id", async (request, reply) => {
    const id = idOf(request);
    await rewrite(engine, environmentOf(request).id, { kind: PROVIDER, id }, (document) => {
      if (document === null) throw notFound("Provider", id);
      return { writes: [{ kind: PROVIDER, id, body: null, expect: document.version }], result: null };
    });
    return reply.code(204).send();
  });
};

function settingsOf(kind: ProviderKind, incoming: JsonObject, stored: JsonObject): JsonObject {
  const settings = unmask(kind, incoming, stored);
  checkSettings(kind, settings);
  return settings;
}

/** Providers made at the same moment may get the same place; the older id then comes first. */
async function nextPosition(engine: Engine, environmentId: EnvironmentId): Promise<number> {
  const page = await engine.documents.list(environmentId, PROVIDER, { limit: MAX_PROVIDERS });
  if (page.items.length >= MAX_PROVIDERS) {
    throw new Refusal("invalid", `Expected at most ${MAX_PROVIDERS} configured providers`);
  }
  // A stand-in comes last whatever its place; counting it does no harm.
  return page.items.reduce((next, { body }) => Math.max(next, Number(body.position ?? 0) + 1), 0);
}

async function existing(request: FastifyRequest, engine: Engine, id: string) {
  const document = await engine.documents.read(environmentOf(request).id, PROVIDER, id);
  if (document === null) throw notFound("Provider", id);
  return show(document, engine);
}

function idOf(request: FastifyRequest): string {
  return checkId("provider_id", (request.params as { provider_id: string }).provider_id);
}

function bodyIn(document: Document | null, id: string): ProviderBody {
  if (document === null) throw notFound("Provider", id);
  return document.body as unknown as ProviderBody;
}

/** Undefined for a kind that an earlier version of this program knew. */
function kindOf(body: ProviderBody, engine: Engine): ProviderKind | undefined {
  return engine.providerKinds.get(body.provider);
}

function show(document: Document, engine: Engine) {
  const body = bodyIn(document, document.id);
  const kind = kindOf(body, engine);
  return {
    id: document.id,
    provider: body.provider,
    title: body.title,
    ...(body.alias === null ? {} : { alias: body.alias }),
    // Without its kind nobody can tell which settings are secret.
    settings: kind === undefined || !isObject(body.settings) ? {} : maskSecrets(kind, body.settings),
    created: document.createdAt,
    updated: document.updatedAt,
  };
}

function showKind(kind: ProviderKind) {
  return {
    provider: kind.provider,
    name: kind.name,
    description: kind.description,
    channel: courierChannel(kind.channel),
    settings: Object.fromEntries(
      Object.entries(kind.settings).map(([field, { type, required, values, description }]) => [
        field,
        { type, required, ...(values === undefined ? {} : { values }), description },
      ]),
    ),
  };
}
