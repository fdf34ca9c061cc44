/** Profiles: whatever an application wants to know of its users, and which lists they are on. */
import type { FastifyRequest } from "fastify";
import Type from "typebox";
import { checkListId } from "../../engine/list-pattern.ts";
import { Refusal } from "../../engine/refusal.ts";
import { bodyOf } from "../../http/body.ts";
import { deepMerge, isObject, type JsonObject } from "../../lib/json.ts";
import { environmentOf } from "./auth.ts";
import type { Routes } from "./courier.ts";
import { notFound } from "./errors.ts";
import { applyPatch, PatchBody } from "./json-patch.ts";
import { pageQuery, pagingEnvelope } from "./paging.ts";
import { at } from "./send-translate.ts";
import { AnyObject, checkId, Maybe, RecipientPreferences, toIso } from "./wire.ts";

/** A profile is read for every message to its user; merging must not let it grow for ever. */
export const MAX_PROFILE_CHARS = 400_000;

const SUCCESS = { status: "SUCCESS" };

const profileBody = bodyOf(Type.Object({ profile: AnyObject }));
const patchBody = bodyOf(PatchBody);
const listsBody = bodyOf(
  Type.Object({ lists: Type.Array(Type.Object({ listId: Type.String(), preferences: Maybe(RecipientPreferences) })) }),
);

export const profileRoutes: Routes = (app, { engine }) => {
  const { directory, clock } = engine;

  app.post("/profiles/:user_id", async (request) => {
    const { profile } = profileBody(request.body);
    await modify(request, (old) => deepMerge(old, profile));
    return SUCCESS;
  });

  app.get("/profiles/:user_id", async (request) => {
    const userId = userOf(request);
    const user = await directory.readUser(environmentOf(request).id, userId);
    if (user === null) throw notFound("Profile", userId);
    return { profile: user.profile };
  });

  app.put("/profiles/:user_id", async (request) => {
    const { profile } = profileBody(request.body);
    await modify(request, () => profile);
    return SUCCESS;
  });

  app.patch("/profiles/:user_id", async (request, reply) => {
    const { patch } = patchBody(request.body);
    userOf(request);
    // Nothing to do is nothing done: a user without profile is still without one.
    if (patch.length === 0) return reply.code(204).send();
    await modify(request, (old) => {
      const next = applyPatch(old, patch, MAX_PROFILE_CHARS);
      if (isObject(next)) return next;
      throw new Refusal("invalid", "patch: A profile must remain an object", { field: "patch" });
    });
    return reply.code(204).send();
  });

  app.delete("/profiles/:user_id", async (request, reply) => {
    await directory.deleteUser(environmentOf(request).id, userOf(request));
    return reply.code(204).send();
  });

  app.get("/profiles/:user_id/lists", async (request) => {
    const page = await directory.subscriptionsOf(environmentOf(request).id, userOf(request), pageQuery(request.query));
    return pagingEnvelope("results", page, ({ id, name, createdAt, updatedAt, subscription }) => ({
      id,
      name,
      created: toIso(createdAt),
      updated: toIso(updatedAt),
      ...(subscription.preferences === null ? {} : { preferences: subscription.preferences }),
    }));
  });

  app.post("/profiles/:user_id/lists", async (request) => {
    const userId = userOf(request);
    const subscriptions = listsBody(request.body).lists.map(({ listId, preferences }, i) => ({
      listId: listNamed(`lists.${i}.listId`, listId),
      userId,
      preferences: preferences ?? null,
    }));
    await directory.subscribe(environmentOf(request).id, subscriptions, clock.now());
    return SUCCESS;
  });

  app.delete("/profiles/:user_id/lists", async (request) => {
    await directory.unsubscribeFromAll(environmentOf(request).id, userOf(request));
    return SUCCESS;
  });

  async function modify(request: FastifyRequest, change: (old: JsonObject) => JsonObject): Promise<void> {
    await directory.modifyUser(environmentOf(request).id, userOf(request), clock.now(), (old) =>
      boundedProfile(change(old ?? {})),
    );
  }
};

/** @throws Refusal when the profile has grown too large to be read with every message. */
export function boundedProfile(profile: JsonObject): JsonObject {
  if (JSON.stringify(profile).length > MAX_PROFILE_CHARS) {
    throw new Refusal("invalid", `profile: Expected at most ${MAX_PROFILE_CHARS} characters of JSON`, {
      field: "profile",
    });
  }
  return profile;
}

function listNamed(field: string, listId: string): string {
  const id = checkId(field, listId);
  return at(field, () => checkListId(id));
}

function userOf(request: FastifyRequest): string {
  return checkId("user_id", (request.params as { user_id: string }).user_id);
}
