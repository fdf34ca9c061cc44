/** Endpoints of the environment itself, which are told of what happens in it: those of its hidden application. */
import type { AppEndpoint, AppEndpointId } from "../../engine/webhooks/model.ts";
import { operationsAppId } from "../../engine/webhooks/operational-app.ts";
import type { Key } from "../../engine/webhooks/webhooks.ts";
import { type Caller, callerOf, ORGANISATION } from "./access.ts";
import { type EndpointRules, readEndpointUpdate, readNewEndpoint, showEndpoint } from "./endpoint-fields.ts";
import { readWholeHeaders } from "./endpoint-headers.ts";
import { readRotation, showSecret } from "./endpoint-secret.ts";
import { notFound } from "./errors.ts";
import { showHeaders } from "./header-rules.ts";
import { keyOf, ksuid } from "./ids.ts";
import { listResponse, walkOf } from "./paging.ts";
import type { Routes, Svix } from "./svix.ts";

const PATH = "/operational-webhook/endpoint";
const ONE = `${PATH}/:endpoint_id`;

/** All that an environment can be told of; those of ingest for the day that there is one. */
export const OPERATIONAL_EVENT_TYPES: ReadonlySet<string> = new Set([
  "endpoint.created",
  "endpoint.updated",
  "endpoint.deleted",
  "endpoint.disabled",
  "endpoint.enabled",
  "message.attempt.failing",
  "message.attempt.exhausted",
  "message.attempt.recovered",
  "message.attempt.log",
  "background_task.finished",
  "ingest.endpoint.disabled",
  "ingest.message.attempt.failing",
  "ingest.message.attempt.exhausted",
  "ingest.message.attempt.recovered",
]);

export const operationalEndpointRoutes: Routes = (app, svix) => {
  const { endpoints } = svix.webhooks;

  app.get(PATH, ORGANISATION, async (request) => {
    const { environmentId, appId } = placeOf(callerOf(request));
    const walk = walkOf(request.query, { prefix: "ep", ownPrefix: "ep", order: "descending", orderable: true });
    const walked = await endpoints.list(environmentId, appId, walk);
    return listResponse(walked, walk, ({ id }) => ksuid("ep", id), showOperationalEndpoint);
  });

  app.post(PATH, ORGANISATION, async (request, reply) => {
    const { environmentId, appId } = placeOf(callerOf(request));
    const given = await readNewEndpoint(request.body, await rulesFor(svix, callerOf(request)));
    const made = await endpoints.create(environmentId, appId, { ...given, channels: null });
    return reply.code(201).send(showOperationalEndpoint(made));
  });

  app.get(ONE, ORGANISATION, async (request) => {
    const { environmentId, appId } = placeOf(callerOf(request));
    return showOperationalEndpoint(found(await endpoints.read(environmentId, appId, keyIn(request.params))));
  });

  app.put(ONE, ORGANISATION, async (request) => {
    const { environmentId, appId } = placeOf(callerOf(request));
    const key = keyIn(request.params);
    const current = found(await endpoints.read(environmentId, appId, key));
    const rules = await rulesFor(svix, callerOf(request));
    const update = { ...(await readEndpointUpdate(request.body, rules, current.eventTypes ?? [])), channels: null };
    return showOperationalEndpoint(found(await endpoints.update(environmentId, appId, key, () => update)));
  });

  app.delete(ONE, ORGANISATION, async (request, reply) => {
    const { environmentId, appId } = placeOf(callerOf(request));
    if (!(await endpoints.delete(environmentId, appId, keyIn(request.params)))) throw notFound();
    return reply.code(204).send();
  });

  app.get(`${ONE}/secret`, ORGANISATION, async (request) => {
    const { environmentId, appId } = placeOf(callerOf(request));
    return showSecret(found(await endpoints.read(environmentId, appId, keyIn(request.params))));
  });

  app.post(`${ONE}/secret/rotate`, ORGANISATION, async (request, reply) => {
    const { environmentId, appId } = placeOf(callerOf(request));
    const key = keyIn(request.params);
    found(await endpoints.read(environmentId, appId, key));
    found(await endpoints.update(environmentId, appId, key, readRotation(request.body, svix.clock.now())));
    return reply.code(204).send();
  });

  app.get(`${ONE}/headers`, ORGANISATION, async (request) => {
    const { environmentId, appId } = placeOf(callerOf(request));
    return showHeaders(found(await endpoints.read(environmentId, appId, keyIn(request.params))).headers);
  });

  app.put(`${ONE}/headers`, ORGANISATION, async (request, reply) => {
    const { environmentId, appId } = placeOf(callerOf(request));
    const key = keyIn(request.params);
    found(await endpoints.read(environmentId, appId, key));
    const headers = readWholeHeaders(request.body);
    found(await endpoints.update(environmentId, appId, key, () => ({ headers }), true));
    return reply.code(204).send();
  });
};

function placeOf({ environment }: Caller) {
  return { environmentId: environment.id, appId: operationsAppId(environment.id) };
}

function keyIn(params: unknown): Key<AppEndpointId> {
  return keyOf("ep", "ep", (params as { readonly endpoint_id: string }).endpoint_id);
}

function found<T>(endpoint: T | null): T {
  if (endpoint === null) throw notFound();
  return endpoint;
}

/** Filters by channel, and that they are demanded, are a matter of applications. */
async function rulesFor(svix: Svix, { environment }: Caller): Promise<EndpointRules> {
  const { requireHttps } = await svix.webhooks.settings.read(environment.id);
  return {
    settings: { requireHttps, requireChannels: false, requireEventTypes: false },
    emptyIsAll: false,
    unknownEventTypes: async (names) => names.filter((name) => !OPERATIONAL_EVENT_TYPES.has(name)),
    secretKind: svix.settings.secretKind,
  };
}

function showOperationalEndpoint(endpoint: AppEndpoint) {
  const { channels: _channels, version: _version, ...shown } = showEndpoint(endpoint);
  return shown;
}
