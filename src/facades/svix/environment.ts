/** Carrying what is configured from one environment to another: event types, settings, connectors. */
import type { Document, EnvironmentId } from "../../engine/model.ts";
import type { DocumentWrite } from "../../engine/ports.ts";
import { untilWritten } from "../../engine/webhooks/app-documents.ts";
import {
  DEFAULT_WEBHOOK_SETTINGS,
  WEBHOOK_SETTINGS,
  WEBHOOK_SETTINGS_ID,
  type WebhookSettings,
} from "../../engine/webhooks/settings.ts";
import type { JsonObject } from "../../lib/json.ts";
import { callerOf, ORGANISATION } from "./access.ts";
import { allConnectors, type ConnectorFields, connectorWrites } from "./connector-documents.ts";
import { connectorFields, showConnector } from "./connectors.ts";
import { managedSettings, settingsChange } from "./environment-settings-fields.ts";
import { badRequest } from "./errors.ts";
import { allEventTypes, EVENT_TYPE, type EventTypeBody, eventTypeIn, eventTypeWrite } from "./event-type-documents.ts";
import { eventTypeOut, namedEventType } from "./event-types.ts";
import type { Routes, Svix } from "./svix.ts";
import { type Fields, fields, timestamp } from "./wire.ts";

/** Of the form of an export. */
const VERSION = 1;
const MOST_EVENT_TYPES = 10_000;
const MOST_CHARS = 64 * 1024 * 1024;
const MOST_IMPORTED = 2_000;

export const environmentRoutes: Routes = (app, svix) => {
  const deps = { documents: svix.engine.documents, clock: svix.clock };

  app.post("/environment/export", ORGANISATION, async (request): Promise<JsonObject> => {
    const caller = callerOf(request);
    const { id } = caller.environment;
    const eventTypes = await allEventTypes(svix, id, MOST_EVENT_TYPES, MOST_CHARS);
    if (eventTypes === null) throw badRequest("There are too many event types to export at once", "limit_reached");
    return {
      version: VERSION,
      createdAt: timestamp(svix.clock.now()),
      eventTypes: eventTypes.map((document) => eventTypeOut(eventTypeIn(document))),
      settings: managedSettings(await svix.webhooks.settings.read(id)),
      connectors: (await allConnectors(deps, id)).map((connector) => showConnector(connector, caller)),
    };
  });

  app.post("/environment/import", ORGANISATION, async (request, reply) => {
    await importAll(svix, callerOf(request).environment.id, readImport(fields(request.body)));
    return reply.code(204).send();
  });
};

interface Import {
  readonly eventTypes: ReadonlyMap<string, EventTypeBody>;
  readonly connectors: readonly ConnectorFields[];
  /** Null: they stay. */
  readonly settings: ReturnType<typeof settingsChange> | null;
}

/** All of it is looked at before any of it is written. @throws Invalid */
function readImport(f: Fields): Import {
  const eventTypes = new Map<string, EventTypeBody>();
  for (const one of f.each("eventTypes", MOST_IMPORTED) ?? []) {
    const { name, body } = namedEventType(one);
    if (eventTypes.has(name)) one.issue(["name"], "There is an event type of this name before it");
    eventTypes.set(name, body);
  }
  const connectors = (f.each("connectors", MOST_IMPORTED) ?? []).map((one) => connectorFields(one));
  const settings = f.inside("settings");
  const change = settings === null ? null : settingsChange(settings);
  f.done();
  return { eventTypes, connectors, settings: change };
}

/** Adds and replaces, never deletes. All of it is one commit, or nothing is written. */
async function importAll(svix: Svix, environmentId: EnvironmentId, given: Import): Promise<void> {
  const { documents } = svix.engine;
  const names = [...given.eventTypes.keys()];
  await untilWritten("environment", async () => {
    const [settings, ...there] = await documents.readMany(environmentId, [
      { kind: WEBHOOK_SETTINGS, id: WEBHOOK_SETTINGS_ID },
      ...names.map((id) => ({ kind: EVENT_TYPE, id })),
    ]);
    const writes: DocumentWrite[] = names.map((name, place) =>
      eventTypeWrite(name, given.eventTypes.get(name) as EventTypeBody, there[place] ?? null),
    );
    if (given.connectors.length > 0) {
      writes.push(...(await connectorWrites({ documents, clock: svix.clock }, environmentId, given.connectors)));
    }
    if (given.settings !== null) writes.push(settingsWrite(settings ?? null, given.settings));
    if (writes.length === 0) return null;
    return (await documents.write(environmentId, writes, svix.clock.now())) === null ? "again" : null;
  });
}

/** What `svix.webhooks.settings.update` writes, to be written together with the rest. */
function settingsWrite(old: Document | null, change: ReturnType<typeof settingsChange>): DocumentWrite {
  const current = { ...DEFAULT_WEBHOOK_SETTINGS, ...(old?.body as Partial<WebhookSettings> | undefined) };
  const body = change(current) as unknown as JsonObject;
  return { kind: WEBHOOK_SETTINGS, id: WEBHOOK_SETTINGS_ID, body, expect: old?.version ?? "absent" };
}
