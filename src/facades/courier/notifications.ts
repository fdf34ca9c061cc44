/** Notification templates: drafts, what is published of them, and their versions. */
import type { FastifyRequest } from "fastify";
import Type, { type Static, type TSchema } from "typebox";
import type { Engine } from "../../engine/engine.ts";
import type { Document, EnvironmentId } from "../../engine/model.ts";
import type { DocumentWrite, Page, PageQuery } from "../../engine/ports.ts";
import { Refusal } from "../../engine/refusal.ts";
import {
  EVENT_MAPPING,
  TEMPLATE,
  TEMPLATE_ALIAS,
  type TemplateBody,
  type TemplateContent,
} from "../../engine/templates.ts";
import { bodyOf } from "../../http/body.ts";
import { newId } from "../../lib/ids.ts";
import { environmentOf, requireSecret } from "./auth.ts";
import type { Routes } from "./courier.ts";
import { rewrite } from "./document-rewrite.ts";
import { pageQuery, pagingEnvelope } from "./paging.ts";
import {
  contentOfVersion,
  headOf,
  readVersion,
  type Shown,
  soundSource,
  stateOf,
  templateIn,
  templateWrite,
  versionKey,
  versionName,
  versionNumber,
  withContent,
} from "./template-documents.ts";
import { AnyObject, checkId, checkText, Maybe, queryText, RESERVED_PREFIX } from "./wire.ts";

const MAX_VERSIONS_SHOWN = 10;
/** Archived templates leave gaps in the list; after so many pages of gaps the rest is left to the next call. */
const MAX_GAP_PAGES = 50;

const orNull = <T extends TSchema>(schema: T) => Type.Union([schema, Type.Null()]);

const TemplateShape = Type.Object({
  name: Type.String({ maxLength: 1_000 }),
  tags: Type.Array(Type.String({ maxLength: 256 }), { maxItems: 100 }),
  brand: orNull(Type.Object({ id: Type.String() })),
  subscription: orNull(Type.Object({ topic_id: Type.String() })),
  routing: orNull(Type.Object({ strategy_id: Type.String() })),
  content: Type.Object({ version: Maybe(Type.String()), elements: Type.Array(AnyObject) }),
  alias: Maybe(Type.String()),
});
type TemplateWrite = Static<typeof TemplateShape>;

const templateBody = bodyOf(Type.Object({ notification: TemplateShape, state: Maybe(Type.String()) }));
const publishBody = bodyOf(Type.Object({ version: Maybe(Type.String()) }));

export const notificationRoutes: Routes = (app, { engine }) => {
  const { clock, documents } = engine;

  app.get("/notifications", async (request) => {
    const environmentId = environmentOf(request).id;
    const event = queryText(request.query, "event_id");
    const page = pageQuery(request.query);
    const found =
      event === undefined
        ? await listed(engine, environmentId, page)
        : { items: await mappedTo(engine, environmentId, checkId("event_id", event)), next: null };
    return pagingEnvelope("results", found, summary);
  });

  app.post("/notifications", async (request, reply) => {
    const { notification, state } = templateBody(request.body);
    const { environment, keyId } = requireSecret(request);
    const content = contentOf(engine, notification);
    const publish = stateOf(state);
    const id = newId("nt", clock.now());
    await rewrite(engine, environment.id, { kind: TEMPLATE, id }, async () => {
      const { aliases, writes } = await aliasWrites(engine, environment.id, id, [], notification.alias);
      const blank: TemplateBody = {
        draft: null,
        published: null,
        publishedVersion: 0,
        latestVersion: 0,
        aliases,
        archivedAt: null,
        creator: keyId,
        updater: keyId,
      };
      const next = withContent(id, { body: blank, version: "absent" }, content, publish, keyId);
      return { writes: [...next.writes, ...writes], result: null };
    });
    return reply.code(201).send(show(await readVersion(engine, environment.id, id, "draft")));
  });

  app.get("/notifications/:id", async (request) => {
    const version = queryText(request.query, "version");
    return show(await readVersion(engine, environmentOf(request).id, idOf(request), version));
  });

  app.put("/notifications/:id", async (request) => {
    const id = idOf(request);
    const { notification, state } = templateBody(request.body);
    const { environment, keyId } = requireSecret(request);
    const publish = stateOf(state);
    const content = contentOf(engine, notification);
    await rewrite(engine, environment.id, { kind: TEMPLATE, id }, async (document) => {
      const old = templateIn(document, id);
      const { aliases, writes } = await aliasWrites(engine, environment.id, id, old.aliases, notification.alias);
      const at = { body: { ...old, aliases }, version: (document as Document).version };
      const next = withContent(id, at, content, publish, keyId);
      return { writes: [...next.writes, ...writes], result: null };
    });
    return show(await readVersion(engine, environment.id, id, "draft"));
  });

  app.delete("/notifications/:id", async (request, reply) => {
    const id = idOf(request);
    const { environment, keyId } = requireSecret(request);
    await rewrite(engine, environment.id, { kind: TEMPLATE, id }, async (document) => {
      const old = templateIn(document, id);
      const { writes } = await aliasWrites(engine, environment.id, id, old.aliases, null);
      const body = { ...old, aliases: [], archivedAt: clock.now(), updater: keyId };
      return { writes: [templateWrite(id, body, (document as Document).version), ...writes], result: null };
    });
    return reply.code(204).send();
  });

  app.get("/notifications/:id/versions", async (request) => {
    const id = idOf(request);
    const environmentId = environmentOf(request).id;
    const document = await documents.read(environmentId, TEMPLATE, id);
    const body = templateIn(document, id);
    const limits = { preset: MAX_VERSIONS_SHOWN, max: MAX_VERSIONS_SHOWN };
    const page = versionsOf(body, pageQuery(request.query, limits));
    const found = await documents.readMany(
      environmentId,
      page.items.flatMap((number) => (number === "draft" ? [] : [versionKey(id, number)])),
    );
    return pagingEnvelope("versions", page, (number) => {
      if (number === "draft") {
        return {
          version: "draft",
          created: (document as Document).updatedAt,
          creator: body.updater,
          has_changes: true,
        };
      }
      const version = found.find((one) => one?.id === versionKey(id, number).id);
      return {
        version: number === body.publishedVersion ? `published:${versionName(number)}` : versionName(number),
        created: version?.createdAt ?? 0,
        creator: version?.body.creator ?? "",
      };
    });
  });

  app.post("/notifications/:id/publish", async (request, reply) => {
    const id = idOf(request);
    const { version } = publishBody(request.body);
    const number = version ? versionNumber(version) : null;
    if (version && number === null && version !== "draft") {
      throw new Refusal("invalid", 'version: Expected a version such as "v001"', { field: "version" });
    }
    const { environment, keyId } = requireSecret(request);
    await rewrite(engine, environment.id, { kind: TEMPLATE, id }, async (document) => {
      const old = templateIn(document, id);
      const content = number === null ? headOf(old) : await contentOfVersion(engine, environment.id, id, number);
      // An old version that is published again becomes the newest, and the head of what is written next.
      const next = withContent(id, { body: old, version: (document as Document).version }, content, "PUBLISHED", keyId);
      const unchanged = old.draft === null && next.body.publishedVersion === old.publishedVersion;
      return { writes: unchanged ? [] : next.writes, result: null };
    });
    return reply.code(204).send();
  });

  for (const method of ["GET", "PUT", "DELETE"] as const) {
    app.route({
      method,
      url: "/notifications/:id/:submission_id/checks",
      exposeHeadRoute: false,
      handler: async () => {
        throw new Refusal("not_implemented", "Submitting templates for approval is not implemented by this server");
      },
    });
  }
};

function idOf(request: FastifyRequest): string {
  return checkId("id", (request.params as { id: string }).id);
}

/** @throws Refusal for content that cannot be rendered, and for a routing strategy that does not exist. */
function contentOf(engine: Engine, notification: TemplateWrite): TemplateContent {
  const { name, tags, brand, subscription, routing, content } = notification;
  if (routing !== null) {
    // There is no way yet to make one.
    throw new Refusal("invalid", `notification.routing: Routing strategy ${routing.strategy_id} not found`, {
      field: "notification.routing",
    });
  }
  return {
    name: checkText("notification.name", name),
    tags,
    brandId: brand === null ? null : brand.id,
    topicId: subscription === null ? null : subscription.topic_id,
    strategyId: null,
    routing: null,
    language: "elemental",
    source: soundSource(engine, content, "notification.content"),
  };
}

/**
 * What has to be written so that the template has this alias: undefined leaves things as they are, null takes all away.
 * @throws Refusal("conflict") when another template has it.
 */
async function aliasWrites(
  engine: Engine,
  environmentId: EnvironmentId,
  id: string,
  old: readonly string[],
  alias: string | null | undefined,
): Promise<{ readonly aliases: readonly string[]; readonly writes: readonly DocumentWrite[] }> {
  if (alias === undefined) return { aliases: old, writes: [] };
  const aliases = alias === null ? [] : [checkAlias(alias)];
  const gone = old.filter((name) => !aliases.includes(name));
  const writes: DocumentWrite[] = gone.map((name) => ({ kind: TEMPLATE_ALIAS, id: name, body: null, expect: "any" }));
  for (const name of aliases) {
    if (old.includes(name)) continue;
    const owner = await engine.documents.read(environmentId, TEMPLATE_ALIAS, name);
    if (owner !== null) {
      throw new Refusal("conflict", `notification.alias: ${JSON.stringify(name)} is the alias of another template`, {
        field: "notification.alias",
      });
    }
    writes.push({ kind: TEMPLATE_ALIAS, id: name, body: { templateId: id }, expect: "absent" });
  }
  return { aliases, writes };
}

function checkAlias(alias: string): string {
  const field = "notification.alias";
  for (const prefix of ["tenant/", RESERVED_PREFIX]) {
    if (alias.startsWith(prefix)) {
      throw new Refusal("invalid", `${field}: Expected an alias that does not begin with ${prefix}`, { field });
    }
  }
  return checkId(field, alias);
}

/** By id, archived ones left out. */
async function listed(engine: Engine, environmentId: EnvironmentId, page: PageQuery): Promise<Page<Document>> {
  const items: Document[] = [];
  let after = page.after ?? null;
  for (let pages = 0; pages < MAX_GAP_PAGES; pages++) {
    const limit = page.limit - items.length;
    const found: Page<Document> = await engine.documents.list(environmentId, TEMPLATE, { after, limit });
    items.push(...found.items.filter((document) => document.body.archivedAt === null));
    after = found.next;
    if (after === null || items.length === page.limit) break;
  }
  return { items, next: after };
}

async function mappedTo(engine: Engine, environmentId: EnvironmentId, event: string): Promise<readonly Document[]> {
  const id = (await engine.documents.read(environmentId, EVENT_MAPPING, event))?.body.templateId;
  const document = typeof id === "string" ? await engine.documents.read(environmentId, TEMPLATE, id) : null;
  return document === null || document.body.archivedAt !== null ? [] : [document];
}

/** Newest first: the draft if there is one, then the versions by number. The key of a page is the name of its last. */
function versionsOf(body: TemplateBody, page: PageQuery): Page<number | "draft"> {
  const all: (number | "draft")[] = body.draft === null ? [] : ["draft"];
  let number = body.latestVersion;
  if (page.after != null) {
    const last = page.after === "draft" ? body.latestVersion + 1 : versionNumber(page.after);
    if (last === null) throw new Refusal("invalid", "Invalid cursor format", { field: "cursor" });
    all.length = 0;
    number = Math.min(number, last - 1);
  }
  for (; number > 0 && all.length <= page.limit; number--) all.push(number);
  const items = all.slice(0, page.limit);
  const last = items.at(-1);
  const more = all.length > page.limit && last !== undefined;
  return { items, next: more ? (last === "draft" ? "draft" : versionName(last)) : null };
}

function show({ document, body, content, state }: Shown) {
  const [alias] = body.aliases;
  return {
    id: document.id,
    name: content.name,
    tags: content.tags,
    brand: content.brandId === null ? null : { id: content.brandId },
    subscription: content.topicId === null ? null : { topic_id: content.topicId },
    routing: content.strategyId === null ? null : { strategy_id: content.strategyId },
    content: content.source,
    ...(alias === undefined ? {} : { alias }),
    state,
    created: document.createdAt,
    creator: body.creator,
    updated: document.updatedAt,
    updater: body.updater,
  };
}

function summary(document: Document) {
  const body = templateIn(document, document.id);
  const content = body.published ?? headOf(body);
  return {
    id: document.id,
    name: content.name,
    state: body.published === null ? "DRAFT" : "PUBLISHED",
    tags: content.tags,
    created: document.createdAt,
    creator: body.creator,
    updated: document.updatedAt,
    updater: body.updater,
    ...(content.topicId === null ? {} : { subscription_topic_id: content.topicId, topic_id: content.topicId }),
  };
}
