/**
 * Where an environment wants to be told of what happens in it (Courier's outbound webhooks). This file keeps the
 * addresses; the sender reads them as documents.
 */
import { randomBytes } from "node:crypto";
import type { FastifyInstance, FastifyRequest } from "fastify";
import Type from "typebox";
import { OUTBOUND_WEBHOOK, type OutboundWebhook } from "../engine/endpoints.ts";
import type { Document } from "../engine/model.ts";
import { Refusal } from "../engine/refusal.ts";
import { bodyOf } from "../http/body.ts";
import { isId, newId } from "../lib/ids.ts";
import type { JsonObject } from "../lib/json.ts";
import { type Admin, listQuery, queryOf } from "./contract.ts";

export const OUTBOUND_EVENTS = [
  "message:updated",
  "notification:submitted",
  "notification:submission_canceled",
  "notification:published",
] as const;

const webhookBody = bodyOf(
  Type.Object({
    url: Type.String({ maxLength: 2_000 }),
    secret: Type.Optional(Type.Union([Type.String({ minLength: 1, maxLength: 500 }), Type.Null()])),
    events: Type.Optional(Type.Array(Type.Unsafe<string>({ type: "string", enum: OUTBOUND_EVENTS }), { maxItems: 20 })),
  }),
);

/** Reading never shows a secret; writing echoes it, because that is when somebody needs it. */
export function outboundWebhookRoutes(app: FastifyInstance, { engine: { documents, clock } }: Admin): void {
  app.get("/admin/outbound-webhooks", async (request) => {
    const page = await documents.list(environmentIn(request), OUTBOUND_WEBHOOK, listQuery(queryOf(request)));
    return { items: page.items.map(show), next: page.next };
  });

  app.get("/admin/outbound-webhooks/:id", async (request) => show(await existing(request)));

  app.post("/admin/outbound-webhooks", async (request, reply) => {
    const { url, secret, events } = webhookBody(request.body);
    const body: OutboundWebhook = {
      url: checkUrl(url),
      // Absent: one is made, so that nobody ends up unsigned by forgetting. Null asks for no signature.
      secret: secret === undefined ? randomBytes(24).toString("base64url") : secret,
      events: events ?? [],
    };
    const id = newId("ohk", clock.now());
    await write(request, id, body, "absent");
    return reply.code(201).send({ id, ...body });
  });

  app.put("/admin/outbound-webhooks/:id", async (request) => {
    const { url, secret, events } = webhookBody(request.body);
    const old = await existing(request);
    const body: OutboundWebhook = {
      url: checkUrl(url),
      secret: secret === undefined ? bodyIn(old).secret : secret,
      events: events ?? [],
    };
    await write(request, old.id, body, old.version);
    return { id: old.id, ...body };
  });

  app.delete("/admin/outbound-webhooks/:id", async (request, reply) => {
    const { id } = await existing(request);
    await write(request, id, null, "any");
    return reply.code(204).send();
  });

  async function existing(request: FastifyRequest): Promise<Document> {
    const { id } = request.params as { id: string };
    const found = isId("ohk", id) ? await documents.read(environmentIn(request), OUTBOUND_WEBHOOK, id) : null;
    if (found === null) throw new Refusal("not_found", "There is no such outbound webhook");
    return found;
  }

  async function write(
    request: FastifyRequest,
    id: string,
    body: OutboundWebhook | null,
    expect: number | "absent" | "any",
  ): Promise<void> {
    const write = { kind: OUTBOUND_WEBHOOK, id, body: body as JsonObject | null, expect };
    if ((await documents.write(environmentIn(request), [write], clock.now())) === null) {
      throw new Refusal("busy", "Somebody else changed it at the same time; try again");
    }
  }
}

function checkUrl(text: string): string {
  const url = URL.parse(text);
  if (url !== null && (url.protocol === "https:" || url.protocol === "http:") && url.username === "") return url.href;
  throw new Refusal("invalid", "url: Expected an http or https address without a user name", { field: "url" });
}

function show(document: Document) {
  const { url, secret, events } = bodyIn(document);
  return {
    id: document.id,
    url,
    has_secret: secret !== null,
    events,
    created_at: new Date(document.createdAt).toISOString(),
    updated_at: new Date(document.updatedAt).toISOString(),
  };
}

/** This file is the only one that writes documents of this kind. */
function bodyIn(document: Document): OutboundWebhook {
  return document.body as unknown as OutboundWebhook;
}

function environmentIn(request: FastifyRequest) {
  return request.operator.environment.id;
}
