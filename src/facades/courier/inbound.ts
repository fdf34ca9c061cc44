/**
 * `POST /inbound/courier`: an application tells that something happened. A mapped event sends its template to the user
 * it names; any other leaves a message that ends `unmapped`, so that the log shows what came.
 */
import Type from "typebox";
import type { Engine } from "../../engine/engine.ts";
import type { EnvironmentId, SendSpec } from "../../engine/model.ts";
import { Refusal } from "../../engine/refusal.ts";
import { EVENT_MAPPING } from "../../engine/templates.ts";
import { bodyOf } from "../../http/body.ts";
import { environmentOf, requireUser } from "./auth.ts";
import type { Routes } from "./courier.ts";
import { key } from "./send-translate.ts";
import { AnyObject, Maybe, OneOf, RESERVED_PREFIX } from "./wire.ts";

/** The protocol asks for at least a day. */
const REMEMBERED_MS = 25 * 3_600_000;

const trackBody = bodyOf(
  Type.Object({
    event: Type.String(),
    messageId: Type.String(),
    properties: Maybe(AnyObject),
    type: OneOf(["track"]),
    userId: Maybe(Type.String()),
  }),
);

export const inboundRoutes: Routes = (app, { engine }) => {
  app.post("/inbound/courier", { config: { access: "public" } }, async (request, reply) => {
    const track = trackBody(request.body);
    const event = required("event", track.event);
    const messageId = required("messageId", track.messageId);
    const userId = key(track.userId, "userId") ?? null;
    // A token speaks for its users only; keys, the publishable one included, speak for the application.
    if (userId !== null && request.principal?.kind === "user") requireUser(request, userId);

    const environment = environmentOf(request);
    const mapped = userId === null ? null : await mappedTemplate(engine, environment.id, event);
    const spec: SendSpec = {
      recipients: [{ kind: "user", userId, profile: {} }],
      content: { kind: "template", template: mapped ?? `${RESERVED_PREFIX}${event}` },
      data: track.properties ?? {},
      mode: request.principal?.kind === "secret" ? request.principal.mode : "published",
      via: "courier",
      event,
    };
    // Remembering the id and sending are one commit: whoever gets another request's answer came second.
    let own = "";
    const now = engine.clock.now();
    const once = { scope: "courier inbound", key: messageId, expiresAt: now + REMEMBERED_MS };
    const answer = await engine.send(environment.id, spec, once, (requestId) => {
      own = requestId;
      return { status: 202, body: requestId };
    });
    if (answer.body !== own) {
      throw new Refusal("conflict", `messageId: ${JSON.stringify(messageId)} came before`, { field: "messageId" });
    }
    return reply.code(202).send({ messageId });
  });
};

function required(field: string, text: string): string {
  const value = key(text, field);
  if (value === undefined) throw new Refusal("invalid", `${field}: Required`, { field });
  return value;
}

/** @returns null when the event is not mapped. */
async function mappedTemplate(engine: Engine, environmentId: EnvironmentId, event: string): Promise<string | null> {
  const mappings = await engine.documents.readMany(environmentId, [
    { kind: EVENT_MAPPING, id: `Courier-TrackEvent:${event}` },
    { kind: EVENT_MAPPING, id: event },
  ]);
  const templateId = mappings.find((mapping) => mapping !== null)?.body.templateId;
  return typeof templateId === "string" ? templateId : null;
}
