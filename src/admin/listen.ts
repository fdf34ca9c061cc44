/**
 * `carillon listen`: messages of an application, over a connection that the listener opens. He holds his place himself,
 * so any process can answer, and asking again from an earlier place gives the same messages again.
 */
import type { FastifyInstance, FastifyReply } from "fastify";
import Type from "typebox";
import type { EnvironmentId, MessageId } from "../engine/model.ts";
import type { Bus } from "../engine/ports.ts";
import { Refusal } from "../engine/refusal.ts";
import { type ListenFilter, Listening, MOST_SEEN, type Place } from "../engine/webhooks/listening.ts";
import type { AppId, Application, AppMessage } from "../engine/webhooks/model.ts";
import type { Webhooks } from "../engine/webhooks/webhooks.ts";
import { bodyOf } from "../http/body.ts";
import type { Clock } from "../lib/clock.ts";
import { isId } from "../lib/ids.ts";

export interface ListenDeps {
  readonly webhooks: Pick<Webhooks, "applications" | "messages" | "settings">;
  readonly bus: Pick<Bus, "onLookNow">;
  readonly clock: Clock;
  /** An id as receivers are told it. */
  readonly spell: (id: string) => string;
  /** The application whose id is so spelled; null when the text is no such id. */
  readonly readAppId: (text: string) => AppId | null;
}

/** Made for whoever listens where there is no application yet. */
const PRESET_UID = "listen";
const MOST_SHOWN = 10;
const MAX_WAIT_MS = 30_000;
/** Each looks into the database twice a second. */
const MOST_WAITING = 100;

const Names = Type.Optional(Type.Array(Type.String({ minLength: 1, maxLength: 256 }), { minItems: 1, maxItems: 100 }));
const openBody = bodyOf(
  Type.Object({
    app: Type.Optional(Type.String({ minLength: 1, maxLength: 256 })),
    event_types: Names,
    channels: Names,
  }),
);
const nextBody = bodyOf(
  Type.Object({
    app: Type.String({ minLength: 1, maxLength: 256 }),
    event_types: Names,
    channels: Names,
    place: Type.Object({
      after: Type.String({ maxLength: 40 }),
      seen: Type.Array(Type.String({ maxLength: 40 }), { maxItems: MOST_SEEN }),
    }),
    wait_ms: Type.Optional(Type.Integer({ minimum: 0, maximum: MAX_WAIT_MS })),
  }),
);

/** Registers in a scope whose requests have their `operator`. */
export function listenRoutes(app: FastifyInstance, deps: ListenDeps): void {
  const { applications, messages, settings } = deps.webhooks;
  const listening = new Listening({ messages, bus: deps.bus, clock: deps.clock });
  // Before connections are waited for: a listener would hold the stop up for as long as he waits.
  app.addHook("preClose", (done) => {
    listening.stop();
    done();
  });

  app.post("/admin/listen", async (request) => {
    const body = openBody(request.body);
    const { id: environmentId } = request.operator.environment;
    const application =
      body.app === undefined ? await presetApplication(environmentId) : await namedApplication(environmentId, body.app);
    return {
      app: { id: deps.spell(application.id), uid: application.uid, name: application.name },
      place: await listening.begin(environmentId, application.id, filterIn(body)),
    };
  });

  app.post("/admin/listen/messages", async (request, reply) => {
    const body = nextBody(request.body);
    const place = placeIn(body.place);
    const { id: environmentId } = request.operator.environment;
    const application = await namedApplication(environmentId, body.app);
    if (listening.waiting >= MOST_WAITING) {
      throw new Refusal("too_many", "Too many are listening at this process", { retryAfterMs: 5_000 });
    }
    const [heard, { headerNames }] = await Promise.all([
      listening.next(environmentId, application.id, filterIn(body), place, body.wait_ms ?? 0, goneSignal(reply)),
      settings.read(environmentId),
    ]);
    return { items: heard.messages.map(show), place: heard.place, header_names: headerNames };
  });

  async function namedApplication(environmentId: EnvironmentId, name: string): Promise<Application> {
    const id = deps.readAppId(name);
    const found = await applications.read(environmentId, id === null ? { uid: name } : { id });
    if (found === null) throw new Refusal("not_found", `app: There is no application ${JSON.stringify(name)}`);
    return found;
  }

  /** The only application there is; one is made where there is none. */
  async function presetApplication(environmentId: EnvironmentId): Promise<Application> {
    const walk = { limit: MOST_SHOWN, from: null, order: "ascending" } as const;
    const { items, more } = await applications.list(environmentId, walk);
    if (items.length === 1 && !more) return items[0] as Application;
    if (items.length > 0) {
      const names = items.map(({ id, uid, name }) => `${uid ?? deps.spell(id)} (${name.slice(0, 50)})`).join(", ");
      const message = `app: There are several applications, name one of them: ${names}${more ? ", …" : ""}`;
      throw new Refusal("invalid", message, { field: "app" });
    }
    const fields = { uid: PRESET_UID, name: PRESET_UID, throttleRate: null, metadata: {} };
    try {
      return await applications.create(environmentId, fields);
    } catch (error) {
      // Another listener has just made it.
      if (!(error instanceof Refusal && error.code === "conflict")) throw error;
      return await namedApplication(environmentId, PRESET_UID);
    }
  }

  function show(message: AppMessage) {
    return {
      id: deps.spell(message.id),
      event_id: message.eventId,
      event_type: message.eventType,
      channels: message.channels,
      payload: message.payload,
      raw: message.raw,
      parameters: message.parameters,
      deliver_at: message.deliverAt === null ? null : new Date(message.deliverAt).toISOString(),
      created_at: new Date(message.createdAt).toISOString(),
    };
  }
}

function filterIn(body: {
  readonly event_types?: readonly string[];
  readonly channels?: readonly string[];
}): ListenFilter {
  return {
    ...(body.event_types === undefined ? {} : { eventTypes: body.event_types }),
    ...(body.channels === undefined ? {} : { channels: body.channels }),
  };
}

function placeIn({ after, seen }: { readonly after: string; readonly seen: readonly string[] }): Place {
  const wrong = [after, ...seen].find((id) => !isId("msg", id));
  if (wrong === undefined) return { after: after as MessageId, seen: seen as readonly MessageId[] };
  throw new Refusal("invalid", "place: Expected the `place` of an earlier answer", { field: "place" });
}

/** Ends when the listener is gone, so that nobody waits on his behalf. */
function goneSignal(reply: FastifyReply): AbortSignal {
  const gone = new AbortController();
  reply.raw.once("close", () => gone.abort());
  return gone.signal;
}
