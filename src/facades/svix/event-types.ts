/** Event types: what messages can be of, described for those who choose them. */
import type { EnvironmentId } from "../../engine/model.ts";
import { untilWritten } from "../../engine/webhooks/app-documents.ts";
import type { Walk } from "../../engine/webhooks/ports.ts";
import { Turns } from "../../engine/webhooks/turns.ts";
import type { JsonObject } from "../../lib/json.ts";
import { type Caller, callerOf, may, ORGANISATION, seesFlags } from "./access.ts";
import { contentPage } from "./content-pages.ts";
import { conflict, notFound } from "./errors.ts";
import {
  EVENT_TYPE,
  type EventType,
  type EventTypeBody,
  eventTypeIn,
  eventTypesFor,
  eventTypeWrite,
  isEventTypeName,
  walkEventTypes,
} from "./event-type-documents.ts";
import { importEventTypes } from "./event-type-import.ts";
import { schemaIssues } from "./event-type-schemas.ts";
import { listResponse, walkOf } from "./paging.ts";
import type { Routes, Svix } from "./svix.ts";
import { EVENT_NAME, type Fields, fields, query, timestamp } from "./wire.ts";

const MAX_FLAGS = 100;
const MAX_NAME_LENGTH = 256;
const MAX_DESCRIPTION_LENGTH = 65_536;
/** Tabs and line breaks are all the control characters that a description may have. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused
const DESCRIPTION = /^[^\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]*$/;
const NAME_RULE = { min: 1, max: MAX_NAME_LENGTH, pattern: EVENT_NAME } as const;

export { eventTypesFor } from "./event-type-documents.ts";

interface Named {
  readonly event_type_name: string;
}

export const eventTypeRoutes: Routes = (app, svix) => {
  const { documents } = svix.engine;
  const turns = new Turns();
  const put = (environmentId: EnvironmentId, name: string, change: Change) =>
    turns.run(`${environmentId} ${name}`, () => written(svix, environmentId, name, change));

  app.get("/event-type", may("ViewBase"), async (request) => {
    const caller = callerOf(request);
    const q = query(request);
    const walk = walkOf(q, { prefix: null, ownPrefix: null, order: "ascending", orderable: true });
    const includeArchived = q.bool("include_archived");
    const withContent = q.bool("with_content");
    q.done();
    const wanted = (one: EventType): boolean =>
      (includeArchived || !one.archived) && seesFlags(caller, one.featureFlags);
    const read = (part: Walk) => walkEventTypes(svix, caller.environment.id, part, wanted);
    const walked = withContent ? await contentPage(walk, ({ name }) => name, sizeOf, read) : await read(walk);
    return listResponse(
      walked,
      walk,
      ({ name }) => name,
      (one) => eventTypeOut(withContent ? one : { ...one, schemas: null }),
    );
  });

  app.post("/event-type", ORGANISATION, async (request, reply) => {
    const { id } = callerOf(request).environment;
    const f = fields(request.body);
    const name = f.text("name", NAME_RULE);
    const body = eventTypeFields(f);
    f.done();
    const { eventType } = await put(id, name, (old) => {
      if (old?.archived === false) {
        throw conflict("There is an event type of this name already", "event_type_exists");
      }
      return body;
    });
    return reply.code(201).send(eventTypeOut(eventType));
  });

  app.get<{ Params: Named }>("/event-type/:event_type_name", may("ViewBase"), async (request) => {
    return eventTypeOut(await visible(svix, callerOf(request), request.params.event_type_name));
  });

  app.put<{ Params: Named }>("/event-type/:event_type_name", ORGANISATION, async (request, reply) => {
    const { id } = callerOf(request).environment;
    const f = fields(request.body);
    const body = eventTypeFields(f);
    // Where a body would say it: the SDKs look for the cause of a 422 there.
    if (!isEventTypeName(request.params.event_type_name)) {
      f.issue(["name"], `Expected a name of at most ${MAX_NAME_LENGTH} characters that matches ${EVENT_NAME.source}`);
    }
    f.done();
    const { eventType, isNew } = await put(id, request.params.event_type_name, () => body);
    return reply.code(isNew ? 201 : 200).send(eventTypeOut(eventType));
  });

  app.patch<{ Params: Named }>("/event-type/:event_type_name", ORGANISATION, async (request) => {
    const caller = callerOf(request);
    const f = fields(request.body);
    const change = eventTypeChange(f);
    f.done();
    const { event_type_name: name } = request.params;
    await visible(svix, caller, name);
    const { eventType } = await put(caller.environment.id, name, (old) => {
      if (old === null) throw notFound();
      return { ...old, ...change };
    });
    return eventTypeOut(eventType);
  });

  app.delete<{ Params: Named }>("/event-type/:event_type_name", ORGANISATION, async (request, reply) => {
    const caller = callerOf(request);
    const q = query(request);
    const expunge = q.bool("expunge");
    q.done();
    const { event_type_name: name } = request.params;
    await visible(svix, caller, name);
    const { id } = caller.environment;
    if (expunge) {
      await documents.write(id, [{ kind: EVENT_TYPE, id: name, body: null, expect: "any" }], svix.clock.now());
    } else {
      await put(id, name, (old) => {
        if (old === null) throw notFound();
        return { ...old, archived: true };
      });
    }
    return reply.code(204).send();
  });

  app.post("/event-type/import/openapi", ORGANISATION, async (request) => {
    return { data: await importEventTypes(svix, callerOf(request).environment.id, fields(request.body)) };
  });
};

/** What schemas add to a page of a list. */
function sizeOf({ schemas }: EventType): number {
  return schemas === null ? 0 : JSON.stringify(schemas).length;
}

/** @throws SvixError 404 also for one that is hidden from the caller. */
async function visible(svix: Svix, caller: Caller, name: string): Promise<EventType> {
  const found = await eventTypesFor(svix, caller.environment.id).readEventType(name);
  if (found === null || !seesFlags(caller, found.featureFlags)) throw notFound();
  return found;
}

/** Is pure; it may run again. */
type Change = (old: EventType | null) => EventTypeBody;

async function written(
  svix: Svix,
  environmentId: EnvironmentId,
  name: string,
  change: Change,
): Promise<{ readonly eventType: EventType; readonly isNew: boolean }> {
  const { documents } = svix.engine;
  return untilWritten("event type", async () => {
    const old = await documents.read(environmentId, EVENT_TYPE, name);
    const body = change(old === null ? null : eventTypeIn(old));
    const now = svix.clock.now();
    const write = eventTypeWrite(name, body, old);
    if ((await documents.write(environmentId, [write], now)) === null) return "again";
    const eventType = { ...body, name, createdAt: old?.createdAt ?? now, updatedAt: now };
    return { eventType, isNew: old === null };
  });
}

// ——— to and from the wire ————————————————————————————————————————————————————————————————————————————————————————

/** EventTypeIn and EventTypeUpdate, without the name. */
export function eventTypeFields(f: Fields): EventTypeBody {
  return {
    description: descriptionOf(f),
    archived: f.boolean("archived", { default: false }),
    deprecated: f.boolean("deprecated", { default: false }),
    schemas: schemasOf(f),
    groupName: f.text("groupName", { ...NAME_RULE, nullable: true }),
    featureFlags: flagsOf(f),
  };
}

/** EventTypeIn, as one entry of a list. */
export function namedEventType(f: Fields): { readonly name: string; readonly body: EventTypeBody } {
  return { name: f.text("name", NAME_RULE), body: eventTypeFields(f) };
}

function eventTypeChange(f: Fields): Partial<EventTypeBody> {
  return {
    ...(f.has("description") ? { description: descriptionOf(f) } : {}),
    ...(f.has("archived") ? { archived: f.boolean("archived") } : {}),
    ...(f.has("deprecated") ? { deprecated: f.boolean("deprecated") } : {}),
    ...(f.has("schemas") ? { schemas: schemasOf(f) } : {}),
    ...(f.has("groupName") ? { groupName: f.text("groupName", { ...NAME_RULE, nullable: true }) } : {}),
    ...(f.has("featureFlags") || f.has("featureFlag") ? { featureFlags: flagsOf(f) } : {}),
  };
}

function descriptionOf(f: Fields): string {
  return f.text("description", { max: MAX_DESCRIPTION_LENGTH, pattern: DESCRIPTION });
}

function schemasOf(f: Fields): JsonObject | null {
  const schemas = f.object("schemas", { nullable: true });
  if (schemas !== null) for (const { loc, msg, type } of schemaIssues(schemas, ["schemas"])) f.issue(loc, msg, type);
  return schemas;
}

/** Both majors' spellings; the list wins. */
function flagsOf(f: Fields): readonly string[] | null {
  const list = { nullable: true, min: 1, max: MAX_FLAGS, unique: true, pattern: EVENT_NAME } as const;
  const several = f.names("featureFlags", list);
  const one = f.text("featureFlag", { ...NAME_RULE, nullable: true });
  return several ?? (one === null ? null : [one]);
}

export function eventTypeOut(eventType: EventType): JsonObject {
  const { name, description, archived, deprecated, schemas, groupName, featureFlags, createdAt, updatedAt } = eventType;
  return {
    name,
    description,
    archived,
    deprecated,
    schemas,
    groupName,
    featureFlags,
    featureFlag: featureFlags?.[0] ?? null,
    createdAt: timestamp(createdAt),
    updatedAt: timestamp(updatedAt),
  };
}
