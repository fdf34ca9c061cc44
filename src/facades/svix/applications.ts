/** Applications: one for each customer of the caller's, with endpoints of its own. */
import { Refusal } from "../../engine/refusal.ts";
import type { AppId, Application } from "../../engine/webhooks/model.ts";
import type { ApplicationFields, Key } from "../../engine/webhooks/webhooks.ts";
import { APPLICATION, applicationOf, callerOf, ORGANISATION } from "./access.ts";
import { filteredApplications, isRestricted, readRestriction } from "./application-filters.ts";
import { rateName, readThrottleRate } from "./endpoint-fields.ts";
import { notFound } from "./errors.ts";
import { keyOf, ksuid } from "./ids.ts";
import { APPLICATION_NAME, applicationFields } from "./inline-application.ts";
import { forgetIntegrations } from "./integrations.ts";
import { listResponse, walkOf } from "./paging.ts";
import type { Routes } from "./svix.ts";
import { replaceOrCreate } from "./upsert.ts";
import { fields, query, timestamp } from "./wire.ts";

export const applicationRoutes: Routes = (app, svix) => {
  const { applications } = svix.webhooks;

  app.get("/app", ORGANISATION, async (request) => {
    const environmentId = callerOf(request).environment.id;
    const f = query(request);
    const walk = walkOf(f, { prefix: "app", ownPrefix: "app", order: "ascending", orderable: true });
    const restriction = readRestriction(f);
    f.done();
    if (isRestricted(restriction)) return filteredApplications(svix, environmentId, walk, restriction, showApplication);
    return listResponse(
      await applications.list(environmentId, walk),
      walk,
      ({ id }) => ksuid("app", id),
      showApplication,
    );
  });

  app.post("/app", ORGANISATION, async (request, reply) => {
    const environmentId = callerOf(request).environment.id;
    const q = query(request);
    const getIfExists = q.bool("get_if_exists");
    q.done();
    const given = readApplication(request.body);
    const found = async (): Promise<Application | null> =>
      getIfExists && given.uid !== null ? applications.read(environmentId, { uid: given.uid }) : null;
    const known = await found();
    if (known !== null) return showApplication(known);
    try {
      const made = await applications.create(environmentId, given);
      return reply.code(201).send(showApplication(made));
    } catch (error) {
      // Another call has made it in this very moment.
      const theirs = error instanceof Refusal && error.code === "conflict" ? await found() : null;
      if (theirs === null) throw error;
      return showApplication(theirs);
    }
  });

  app.get("/app/:app_id", APPLICATION, async (request) => {
    return showApplication((await applicationOf(svix, request)).application);
  });

  app.put("/app/:app_id", ORGANISATION, async (request, reply) => {
    const environmentId = callerOf(request).environment.id;
    const key = keyIn(request.params);
    const given = readApplication(request.body);
    const { value, isNew } = await replaceOrCreate(
      () => applications.update(environmentId, key, () => given),
      // What the path says is not taken over: the new one has the uid of the body, or none.
      () => applications.create(environmentId, given),
    );
    return reply.code(isNew ? 201 : 200).send(showApplication(value));
  });

  app.patch("/app/:app_id", ORGANISATION, async (request) => {
    const patch = readPatch(request.body);
    const patched = await applications.update(callerOf(request).environment.id, keyIn(request.params), () => patch);
    if (patched === null) throw notFound();
    return showApplication(patched);
  });

  app.delete("/app/:app_id", ORGANISATION, async (request, reply) => {
    const { caller, application } = await applicationOf(svix, request);
    const environmentId = caller.environment.id;
    const { id } = application;
    if (!(await applications.delete(environmentId, { id }))) throw notFound();
    // Its tokens find nothing of it any more; what they could still see are the environment's event types.
    await svix.tokens.endAll(environmentId, id, null, svix.clock.now());
    await forgetIntegrations(svix, environmentId, id);
    return reply.code(204).send();
  });
};

/** Both spellings at once. */
export function showApplication(application: Application) {
  const { throttleRate } = application;
  return {
    id: ksuid("app", application.id),
    uid: application.uid,
    name: application.name,
    throttleRate,
    rateLimit: throttleRate,
    metadata: application.metadata,
    createdAt: timestamp(application.createdAt),
    updatedAt: timestamp(application.updatedAt),
  };
}

function keyIn(params: unknown): Key<AppId> {
  return keyOf("app", "app", (params as { readonly app_id: string }).app_id);
}

function readApplication(body: unknown): ApplicationFields {
  const f = fields(body);
  const given = applicationFields(f);
  f.done();
  return given;
}

/** What is absent stays; null clears what may be null. */
function readPatch(body: unknown): Partial<ApplicationFields> {
  const f = fields(body);
  const rate = rateName(f);
  const patch = {
    ...(f.has("name") && { name: f.text("name", APPLICATION_NAME) }),
    ...(f.has("uid") && { uid: f.uid("uid", "app") }),
    ...(f.has(rate) && { throttleRate: readThrottleRate(f) }),
    ...(f.has("metadata") && { metadata: f.metadata("metadata") }),
  };
  f.done();
  return patch;
}
