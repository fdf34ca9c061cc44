/**
 * Where an environment wants to be told of what happens in it: Courier's outbound webhooks, and Knock's. This file keeps
 * the addresses; the senders read them as documents.
 */
import { randomBytes } from "node:crypto";
import type { FastifyInstance, FastifyRequest } from "fastify";
import Type from "typebox";
import { OUTBOUND_WEBHOOK, type OutboundWebhook } from "../engine/endpoints.ts";
import type { Document } from "../engine/model.ts";
import { Refusal } from "../engine/refusal.ts";
import { KNOCK_WEBHOOK } from "../engine/workflow/model.ts";
import { bodyOf } from "../http/body.ts";
import { isId, newId } from "../lib/ids.ts";
import type { JsonObject } from "../lib/json.ts";
import { type Admin, listQuery, queryOf } from "./contract.ts";

/** One kind of such addresses, and where operators find it. */
export interface WebhookAddresses {
  readonly path: string;
  readonly kind: typeof OUTBOUND_WEBHOOK | typeof KNOCK_WEBHOOK;
  /** What there is to be told of. */
  readonly events: readonly string[];
}

export const OUTBOUND_WEBHOOKS: WebhookAddresses = {
  path: "/admin/outbound-webhooks",
  kind: OUTBOUND_WEBHOOK,
  events: ["message:updated", "notification:submitted", "notification:submission_canceled", "notification:published"],
};

const of = (thing: string, ...events: readonly string[]): readonly string[] =>
  events.map((event) => `${thing}.${event}`);

export const KNOCK_WEBHOOKS: WebhookAddresses = {
  path: "/admin/knock/webhooks",
  kind: KNOCK_WEBHOOK,
  events: [
    ...of("message", "sent", "delivered", "delivery_attempted", "undelivered", "bounced", "seen", "unseen", "read"),
    ...of("message", "unread", "archived", "unarchived", "interacted", "link_clicked"),
    ...of("workflow_recipient_run", "started", "completed", "error"),
    ...["workflow", "email_layout", "translation", "partial"].flatMap((type) => of(type, "updated", "committed")),
  ],
};

/** Of one kind; each is read with every event. */
const MAX_WEBHOOKS = 100;

const bodyFor = (events: readonly string[]) =>
  bodyOf(
    Type.Object({
      url: Type.String({ maxLength: 2_000 }),
      secret: Type.Optional(Type.Union([Type.String({ minLength: 1, maxLength: 500 }), Type.Null()])),
      events: Type.Optional(Type.Array(Type.Unsafe<string>({ type: "string", enum: events }), { maxItems: 50 })),
    }),
  );

/** Reading never shows a secret; writing echoes it, because that is when somebody needs it. */
export function webhookAddressRoutes(
  app: FastifyInstance,
  { engine: { documents, clock } }: Admin,
  { path, kind, events: all }: WebhookAddresses,
): void {
  const webhookBody = bodyFor(all);

  app.get(path, async (request) => {
    const page = await documents.list(environmentIn(request), kind, listQuery(queryOf(request)));
    return { items: page.items.map(show), next: page.next };
  });

  app.get(`${path}/:id`, async (request) => show(await existing(request)));

  app.post(path, async (request, reply) => {
    const { url, secret, events } = webhookBody(request.body);
    const body: OutboundWebhook = {
      url: checkUrl(url),
      // Absent: one is made, so that nobody ends up unsigned by forgetting. Null asks for no signature.
      secret: secret === undefined ? randomBytes(24).toString("base64url") : secret,
      events: events ?? [],
    };
    const { items } = await documents.list(environmentIn(request), kind, { limit: MAX_WEBHOOKS });
    if (items.length >= MAX_WEBHOOKS) throw new Refusal("conflict", `There are ${MAX_WEBHOOKS} webhooks already`);
    const id = newId("ohk", clock.now());
    await write(request, id, body, "absent");
    return reply.code(201).send({ id, ...body });
  });

  app.put(`${path}/:id`, async (request) => {
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

  app.delete(`${path}/:id`, async (request, reply) => {
    const { id } = await existing(request);
    await write(request, id, null, "any");
    return reply.code(204).send();
  });

  async function existing(request: FastifyRequest): Promise<Document> {
    const { id } = request.params as { id: string };
    const found = isId("ohk", id) ? await documents.read(environmentIn(request), kind, id) : null;
    if (found === null) throw new Refusal("not_found", "There is no such webhook");
    return found;
  }

  async function write(
    request: FastifyRequest,
    id: string,
    body: OutboundWebhook | null,
    expect: number | "absent" | "any",
  ): Promise<void> {
    const write = { kind, id, body: body as JsonObject | null, expect };
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

/** This file is the only one that writes documents of these kinds. */
function bodyIn(document: Document): OutboundWebhook {
  return document.body as unknown as OutboundWebhook;
}

function environmentIn(request: FastifyRequest) {
  return request.operator.environment.id;
}
