/** Endpoints: where an application's messages are sent to. */
import type { AppEndpointId } from "../../engine/webhooks/model.ts";
import { generateSecret } from "../../engine/webhooks/signing.ts";
import type { Key } from "../../engine/webhooks/webhooks.ts";
import { APPLICATION, applicationOf, type Caller, endpointOf, may, requireCapability } from "./access.ts";
import {
  type EndpointRules,
  newEndpoint,
  readEndpointPatch,
  readEndpointUpdate,
  readNewEndpoint,
  showEndpoint,
} from "./endpoint-fields.ts";
import { notFound } from "./errors.ts";
import { eventTypesFor } from "./event-type-documents.ts";
import { keyOf, ksuid } from "./ids.ts";
import { listResponse, walkOf } from "./paging.ts";
import type { Routes, Svix } from "./svix.ts";
import { replaceOrCreate } from "./upsert.ts";
import { fields, timestamp } from "./wire.ts";

const PATH = "/app/:app_id/endpoint";
const ONE = `${PATH}/:endpoint_id`;

interface Params {
  readonly endpoint_id: string;
}

export const endpointRoutes: Routes = (app, svix) => {
  const { endpoints } = svix.webhooks;

  app.get(PATH, APPLICATION, async (request) => {
    const { caller, application } = await applicationOf(svix, request);
    const walk = walkOf(request.query, { prefix: "ep", ownPrefix: "ep", order: "descending", orderable: true });
    const walked = await endpoints.list(caller.environment.id, application.id, walk);
    return listResponse(walked, walk, ({ id }) => ksuid("ep", id), showEndpoint);
  });

  app.post(PATH, may("ManageEndpoint"), async (request, reply) => {
    const { caller, application } = await applicationOf(svix, request);
    const given = await readNewEndpoint(request.body, await rulesFor(svix, caller));
    const made = await endpoints.create(caller.environment.id, application.id, given);
    return reply.code(201).send(showEndpoint(made));
  });

  app.get(ONE, APPLICATION, async (request) => {
    const { caller, application } = await applicationOf(svix, request);
    return showEndpoint(await endpointOf(svix, caller, application, (request.params as Params).endpoint_id));
  });

  app.put(ONE, may("ManageEndpoint"), async (request, reply) => {
    const { caller, application } = await applicationOf(svix, request);
    const environmentId = caller.environment.id;
    const key = keyIn(request.params);
    const current = await endpoints.read(environmentId, application.id, key);
    const rules = await rulesFor(svix, caller);
    const update = await readEndpointUpdate(request.body, rules, current?.eventTypes ?? []);
    const { value, isNew } = await replaceOrCreate(
      () => endpoints.update(environmentId, application.id, key, () => update),
      // What the path says is not taken over: the new one has the uid of the body, or none.
      () => endpoints.create(environmentId, application.id, newEndpoint(update, generateSecret(rules.secretKind))),
    );
    return reply.code(isNew ? 201 : 200).send(showEndpoint(value));
  });

  app.patch(ONE, may("ManageEndpoint"), async (request) => {
    const { caller, application } = await applicationOf(svix, request);
    const { id, eventTypes } = await endpointOf(svix, caller, application, (request.params as Params).endpoint_id);
    if ((fields(request.body).raw("secret") ?? null) !== null) requireCapability(request, "ManageEndpointSecret");
    const patch = await readEndpointPatch(request.body, await rulesFor(svix, caller), eventTypes ?? []);
    const patched = await endpoints.update(caller.environment.id, application.id, { id }, () => patch);
    if (patched === null) throw notFound();
    return showEndpoint(patched);
  });

  app.delete(ONE, may("ManageEndpoint"), async (request, reply) => {
    const { caller, application } = await applicationOf(svix, request);
    const deleted = await endpoints.delete(caller.environment.id, application.id, keyIn(request.params));
    if (!deleted) throw notFound();
    return reply.code(204).send();
  });

  app.get(`${ONE}/rate-limit-status`, APPLICATION, async (request) => {
    const { caller, application } = await applicationOf(svix, request);
    const { id } = await endpointOf(svix, caller, application, (request.params as Params).endpoint_id);
    const since = svix.webhooks.throttledSince(id);
    return since === null ? { status: "Ok" } : { status: "RateLimited", throttledSince: timestamp(since) };
  });
};

function keyIn(params: unknown): Key<AppEndpointId> {
  return keyOf("ep", "ep", (params as Params).endpoint_id);
}

/** What the caller's environment asks of endpoints of applications. */
export async function rulesFor(svix: Svix, caller: Caller): Promise<EndpointRules> {
  const eventTypes = eventTypesFor(svix, caller.environment.id);
  return {
    settings: await svix.webhooks.settings.read(caller.environment.id),
    emptyIsAll: caller.kind !== "organisation",
    unknownEventTypes: (names) => eventTypes.unknownEventTypes(names, caller),
    secretKind: svix.settings.secretKind,
  };
}
