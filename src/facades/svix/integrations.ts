/**
 * Integrations: keys with names, each for somebody else's program that acts for one application. Who may use the key is
 * decided in tokens.ts; here is what the integration is called and sees.
 */
import type { Document, EnvironmentId } from "../../engine/model.ts";
import { untilWritten, walkDocuments } from "../../engine/webhooks/app-documents.ts";
import type { AppId } from "../../engine/webhooks/model.ts";
import type { Millis } from "../../lib/clock.ts";
import { newId } from "../../lib/ids.ts";
import { applicationOf, ORGANISATION } from "./access.ts";
import { badRequest, notFound } from "./errors.ts";
import { fromKsuid, ksuid } from "./ids.ts";
import { listResponse, walkOf } from "./paging.ts";
import type { Routes, Svix } from "./svix.ts";
import type { Holder, IntegrationId } from "./tokens.ts";
import { EVENT_NAME, fields, timestamp } from "./wire.ts";

const PATH = "/app/:app_id/integration";
const ONE = `${PATH}/:integ_id`;
const MAX_FLAGS = 25;
const MAX_NAME_LENGTH = 1_024;
/** Of one application. Portals' users are not let near them, so this is against accidents. */
const MAX_INTEGRATIONS = 1_000;
const SWEPT_AT_ONCE = 100;

/** What its document holds. */
interface IntegrationFields {
  readonly name: string;
  readonly featureFlags: readonly string[];
}

interface Integration extends IntegrationFields {
  readonly id: IntegrationId;
  readonly version: number;
  readonly createdAt: Millis;
  readonly updatedAt: Millis;
}

export const integrationRoutes: Routes = (app, svix) => {
  const { documents } = svix.engine;

  async function read(environmentId: EnvironmentId, appId: AppId, params: unknown): Promise<Integration> {
    const document = await documents.read(environmentId, kindOf(appId), idIn(params));
    if (document === null) throw notFound();
    return integrationIn(document);
  }

  /**
   * The key and the integration are two documents. After a write of one of them: the key shows what the integration says
   * by now, and is no good when there is no integration any more.
   */
  async function keepInStep(environmentId: EnvironmentId, appId: AppId, params: unknown): Promise<void> {
    await untilWritten("integration", async () => {
      const id = idIn(params);
      const before = await documents.read(environmentId, kindOf(appId), id);
      if (before === null) {
        await svix.tokens.drop(environmentId, { appId, id });
        throw notFound();
      }
      await svix.tokens.refresh(environmentId, holderOf(appId, integrationIn(before)));
      const after = await documents.read(environmentId, kindOf(appId), id);
      return after?.version === before.version ? "done" : "again";
    });
  }

  app.get(PATH, ORGANISATION, async (request) => {
    const { caller, application } = await applicationOf(svix, request);
    const walk = walkOf(request.query, { prefix: "integ", ownPrefix: "itg", order: "descending", orderable: true });
    const kind = kindOf(application.id);
    const walked = await walkDocuments(documents, caller.environment.id, kind, walk, integrationIn);
    return listResponse(walked, walk, ({ id }) => ksuid("integ", id), show);
  });

  app.post(PATH, ORGANISATION, async (request, reply) => {
    const { caller, application } = await applicationOf(svix, request);
    const body = { ...readIntegration(request.body) };
    const kind = kindOf(application.id);
    const { next } = await documents.list(caller.environment.id, kind, { limit: MAX_INTEGRATIONS - 1 });
    if (next !== null) throw badRequest(`An application has at most ${MAX_INTEGRATIONS} integrations`, "limit_reached");
    const now = svix.clock.now();
    const id = newId("itg", now);
    await documents.write(caller.environment.id, [{ kind, id, body, expect: "absent" }], now);
    return reply.code(201).send(show({ ...body, id, createdAt: now, updatedAt: now, version: 1 }));
  });

  app.get(ONE, ORGANISATION, async (request) => {
    const { caller, application } = await applicationOf(svix, request);
    return show(await read(caller.environment.id, application.id, request.params));
  });

  app.put(ONE, ORGANISATION, async (request) => {
    const { caller, application } = await applicationOf(svix, request);
    const environmentId = caller.environment.id;
    await read(environmentId, application.id, request.params);
    const body = { ...readIntegration(request.body) };
    const written = await untilWritten("integration", async () => {
      const { id, version, createdAt } = await read(environmentId, application.id, request.params);
      const now = svix.clock.now();
      const write = { kind: kindOf(application.id), id, body, expect: version };
      const versions = await documents.write(environmentId, [write], now);
      return versions === null ? "again" : { ...body, id, createdAt, updatedAt: now, version: versions[0] as number };
    });
    await keepInStep(environmentId, application.id, request.params);
    return show(written);
  });

  app.delete(ONE, ORGANISATION, async (request, reply) => {
    const { caller, application } = await applicationOf(svix, request);
    const environmentId = caller.environment.id;
    const { id } = await read(environmentId, application.id, request.params);
    await forget(svix, environmentId, application.id, [id]);
    return reply.code(204).send();
  });

  app.post(`${ONE}/key/rotate`, ORGANISATION, async (request) => {
    const { caller, application } = await applicationOf(svix, request);
    const integration = await read(caller.environment.id, application.id, request.params);
    const { text } = await svix.tokens.rotate(caller.environment, holderOf(application.id, integration));
    await keepInStep(caller.environment.id, application.id, request.params);
    return { key: text };
  });

  app.get(`${ONE}/key`, ORGANISATION, async (request) => {
    const { caller, application } = await applicationOf(svix, request);
    const integration = await read(caller.environment.id, application.id, request.params);
    const current = await svix.tokens.current(caller.environment, holderOf(application.id, integration));
    if (current === null) throw notFound();
    return { key: current.text };
  });
};

/** To be called when an application has been deleted: ends the keys, too. */
export async function forgetIntegrations(svix: Svix, environmentId: EnvironmentId, appId: AppId): Promise<void> {
  for (;;) {
    const page = await svix.engine.documents.list(environmentId, kindOf(appId), { limit: SWEPT_AT_ONCE });
    const ids = page.items.map(({ id }) => id as IntegrationId);
    await forget(svix, environmentId, appId, ids);
    if (page.next === null) return;
  }
}

/**
 * The keys go before, so that none is left over when we die in between, and after, because one may have been made in
 * between.
 */
async function forget(
  svix: Svix,
  environmentId: EnvironmentId,
  appId: AppId,
  ids: readonly IntegrationId[],
): Promise<void> {
  if (ids.length === 0) return;
  const dropKeys = async (): Promise<void> => {
    for (const id of ids) await svix.tokens.drop(environmentId, { appId, id });
  };
  await dropKeys();
  const writes = ids.map((id) => ({ kind: kindOf(appId), id, body: null, expect: "any" as const }));
  await svix.engine.documents.write(environmentId, writes, svix.clock.now());
  await dropKeys();
}

/** @throws SvixError 404 */
function idIn(params: unknown): IntegrationId {
  const id = fromKsuid("integ", "itg", (params as { readonly integ_id: string }).integ_id);
  if (id === null) throw notFound();
  return id;
}

function kindOf(appId: AppId): string {
  return `integration:${appId}`;
}

function holderOf(appId: AppId, { id, featureFlags }: Pick<Integration, "id" | "featureFlags">): Holder {
  return { kind: "integration", appId, id, featureFlags };
}

function readIntegration(body: unknown): IntegrationFields {
  const f = fields(body);
  const given = {
    name: f.text("name", { max: MAX_NAME_LENGTH }),
    featureFlags: f.names("featureFlags", { default: [], max: MAX_FLAGS, pattern: EVENT_NAME }),
  };
  f.done();
  return given;
}

/** Only this file writes documents of the kind. */
function integrationIn({ id, body, version, createdAt, updatedAt }: Document): Integration {
  return { id: id as IntegrationId, ...(body as unknown as IntegrationFields), version, createdAt, updatedAt };
}

function show({ id, name, featureFlags, createdAt, updatedAt }: Integration) {
  return {
    id: ksuid("integ", id),
    name,
    featureFlags,
    createdAt: timestamp(createdAt),
    updatedAt: timestamp(updatedAt),
  };
}
