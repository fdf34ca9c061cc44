/** Whom a path is about. */
import type { FastifyRequest } from "fastify";
import type { PartyRef } from "../../engine/workflow/model.ts";
import { checkCollection, checkId, userRef } from "./wire.ts";

export function paramOf(request: FastifyRequest, name: string): string {
  return (request.params as { readonly [name: string]: string })[name] as string;
}

/** `:user_id`. @throws KnockError 422. */
export function userOf(request: FastifyRequest): PartyRef {
  return userRef(checkId("user_id", paramOf(request, "user_id")));
}

/** `:collection` and `:object_id`. @throws KnockError 422. */
export function objectOf(request: FastifyRequest): PartyRef {
  return {
    collection: checkCollection("collection", paramOf(request, "collection")),
    id: checkId("object_id", paramOf(request, "object_id")),
  };
}
