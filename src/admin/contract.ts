/** How `/admin` reads bodies and queries. */
import type { FastifyRequest } from "fastify";
import type { Engine } from "../engine/engine.ts";
import type { PageQuery } from "../engine/ports.ts";
import { Refusal } from "../engine/refusal.ts";
import type { Credentials } from "../http/credentials.ts";
import type { Principal } from "../http/principal.ts";
import { isId } from "../lib/ids.ts";
import type { ListenDeps } from "./listen.ts";

export interface Admin {
  readonly engine: Pick<Engine, "clock" | "environments" | "documents" | "captured">;
  readonly credentials: Credentials;
  /** Where browsers reach this server, without a trailing slash. */
  readonly publicUrl: string;
  /** What `carillon listen` needs; without it there are no such paths. */
  readonly listen?: ListenDeps;
}

declare module "fastify" {
  interface FastifyRequest {
    /** Who calls `/admin`; set before its handlers run. */
    operator: Principal & { readonly kind: "secret" };
  }
}

/** Query values by name; of repeated ones the last. */
export function queryOf(request: FastifyRequest): { readonly [name: string]: string | undefined } {
  const out: Record<string, string | undefined> = Object.create(null);
  for (const [name, value] of Object.entries(request.query as Record<string, string | string[]>)) {
    const last = typeof value === "string" ? value : value.at(-1);
    if (last !== "") out[name] = last;
  }
  return out;
}

const PRESET_LIMIT = 50;
const MAX_LIMIT = 200;

/** `after` (an id, as in `next` of the page before) and `limit` (1 to 200, 50 by default). @throws Refusal */
export function listQuery(query: { readonly [name: string]: string | undefined }): PageQuery {
  const { after, limit } = query;
  if (limit !== undefined && !(/^\d{1,3}$/.test(limit) && Number(limit) >= 1 && Number(limit) <= MAX_LIMIT)) {
    throw new Refusal("invalid", `limit: Expected 1 to ${MAX_LIMIT}`, { field: "limit" });
  }
  if (after !== undefined && !isId(after.slice(0, 3), after)) {
    throw new Refusal("invalid", "after: Expected the `next` of an earlier page", { field: "after" });
  }
  return { after: after ?? null, limit: limit === undefined ? PRESET_LIMIT : Number(limit) };
}
