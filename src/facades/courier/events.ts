/** Events of an application's own, mapped to the templates they send. */
import type { FastifyRequest } from "fastify";
import Type from "typebox";
import type { Engine } from "../../engine/engine.ts";
import type { Document, EnvironmentId } from "../../engine/model.ts";
import { Refusal } from "../../engine/refusal.ts";
import { EVENT_MAPPING, TEMPLATE, TEMPLATE_ALIAS } from "../../engine/templates.ts";
import { bodyOf } from "../../http/body.ts";
import { environmentOf } from "./auth.ts";
import type { Routes } from "./courier.ts";
import { notFound } from "./errors.ts";
import { pageQuery, pagingEnvelope } from "./paging.ts";
import { checkId, OneOf, RESERVED_PREFIX } from "./wire.ts";

/** The protocol knows no pages here; a cursor is there for whoever has more than this. */
const PAGE = 1_000;

const mappingBody = bodyOf(Type.Object({ id: Type.String(), type: OneOf(["notification"]) }));

export const eventRoutes: Routes = (app, { engine }) => {
  const { clock, documents } = engine;

  app.get("/events", async (request) => {
    const page = await documents.list(
      environmentOf(request).id,
      EVENT_MAPPING,
      pageQuery(request.query, { preset: PAGE }),
    );
    return pagingEnvelope("results", page, show);
  });

  app.get("/events/:event_id", async (request) => {
    const event = eventOf(request);
    const document = await documents.read(environmentOf(request).id, EVENT_MAPPING, event);
    if (document === null) throw notFound("Event", event);
    return show(document);
  });

  app.put("/events/:event_id", async (request) => {
    const event = eventOf(request);
    if (event.startsWith(RESERVED_PREFIX)) {
      throw new Refusal("invalid", `event_id: Expected a name that does not begin with ${RESERVED_PREFIX}`, {
        field: "event_id",
      });
    }
    const environmentId = environmentOf(request).id;
    const { id } = mappingBody(request.body);
    const templateId = await templateNamed(engine, environmentId, checkId("id", id));
    const write = { kind: EVENT_MAPPING, id: event, body: { templateId }, expect: "any" as const };
    await documents.write(environmentId, [write], clock.now());
    return { status: "SUCCESS" };
  });

  app.delete("/events/:event_id", async (request, reply) => {
    const write = { kind: EVENT_MAPPING, id: eventOf(request), body: null, expect: "any" as const };
    await documents.write(environmentOf(request).id, [write], clock.now());
    return reply.code(204).send();
  });
};

/** The id of the template with that id or alias. @throws Refusal when there is none, or only an archived one. */
async function templateNamed(engine: Engine, environmentId: EnvironmentId, name: string): Promise<string> {
  const [template, alias] = await engine.documents.readMany(environmentId, [
    { kind: TEMPLATE, id: name },
    { kind: TEMPLATE_ALIAS, id: name },
  ]);
  if (template != null && template.body.archivedAt === null) return name;
  const target = alias?.body.templateId;
  if (typeof target === "string") return target;
  throw new Refusal("invalid", `id: Notification template ${name} not found`, { field: "id" });
}

function eventOf(request: FastifyRequest): string {
  return checkId("event_id", (request.params as { event_id: string }).event_id);
}

function show(document: Document) {
  return { event: document.id, id: document.body.templateId, type: "notification" };
}
