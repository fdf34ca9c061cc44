/** Making event types of an OpenAPI document. */
import type { Document, EnvironmentId } from "../../engine/model.ts";
import type { DocumentWrite } from "../../engine/ports.ts";
import { untilWritten } from "../../engine/webhooks/app-documents.ts";
import { depthOf, MAX_JSON_DEPTH } from "../../http/json-body.ts";
import { isObject, type JsonObject } from "../../lib/json.ts";
import { badRequest, invalid } from "./errors.ts";
import { allEventTypes, EVENT_TYPE, type EventTypeBody, eventTypeIn, eventTypeWrite } from "./event-type-documents.ts";
import { type DescribedEventType, eventTypesInSpec } from "./openapi-webhooks.ts";
import type { Svix } from "./svix.ts";
import type { Fields } from "./wire.ts";
import { yamlToJson } from "./yaml-text.ts";

/** So many are looked through for what the document does not name. */
const MOST_EVENT_TYPES = 10_000;
const MOST_CHARS = 64 * 1024 * 1024;
const PROTO = '"__proto__"';

export interface Imported {
  /** Names of those that were made, changed or archived. */
  readonly modified: readonly string[];
  /** Of a dry run: what would be made or changed. */
  readonly to_modify: readonly JsonObject[] | null;
}

/**
 * Event types that are there already with the same content are left alone; group and feature flags are kept where the
 * document says nothing of them, so that nothing hidden comes to light by an import. All of it is one commit.
 * @param f of the body: `spec` or `specRaw`, `dryRun`, `replaceAll`.
 * @throws SvixError 400 when there is not exactly one document; Invalid when it cannot be used.
 */
export async function importEventTypes(svix: Svix, environmentId: EnvironmentId, f: Fields): Promise<Imported> {
  const dryRun = f.boolean("dryRun", { default: false });
  const replaceAll = f.boolean("replaceAll", { default: false });
  const spec = f.object("spec", { nullable: true });
  const raw = f.text("specRaw", { nullable: true });
  f.done();
  if ((spec === null) === (raw === null)) throw badRequest("Expected exactly one of spec and specRaw");
  const described =
    raw === null
      ? eventTypesInSpec(spec as JsonObject, ["body", "spec"])
      : eventTypesInSpec(await parsed(raw), ["body", "specRaw"]);

  return untilWritten("event types", async () => {
    const { changed, writes } = await plan(svix, environmentId, described, replaceAll);
    if (dryRun) return { modified: [], to_modify: changed.map(fromOpenApi) };
    if (writes.length > 0) {
      const written = await svix.engine.documents.write(environmentId, writes, svix.clock.now());
      if (written === null) return "again";
    }
    return { modified: writes.map(({ id }) => id).sort(), to_modify: null };
  });
}

type Changed = EventTypeBody & { readonly name: string };

async function plan(
  svix: Svix,
  environmentId: EnvironmentId,
  described: readonly DescribedEventType[],
  replaceAll: boolean,
): Promise<{ readonly changed: readonly Changed[]; readonly writes: readonly DocumentWrite[] }> {
  const { documents } = svix.engine;
  const there = await documents.readMany(
    environmentId,
    described.map(({ name }) => ({ kind: EVENT_TYPE, id: name })),
  );
  const changed: Changed[] = [];
  const writes: DocumentWrite[] = [];
  for (const [place, one] of described.entries()) {
    const old = there[place] ?? null;
    const body = bodyOf(one, old);
    if (old !== null && sameContent(body, old)) continue;
    changed.push({ name: one.name, ...body });
    writes.push(eventTypeWrite(one.name, body, old));
  }
  if (replaceAll) {
    const named = new Set(described.map(({ name }) => name));
    const all = await allEventTypes(svix, environmentId, MOST_EVENT_TYPES, MOST_CHARS);
    if (all === null) throw badRequest("There are too many event types to replace at once", "limit_reached");
    for (const old of all) {
      const eventType = eventTypeIn(old);
      if (named.has(old.id) || eventType.archived) continue;
      const body = { ...eventType, archived: true };
      changed.push(body);
      writes.push(eventTypeWrite(old.id, body, old));
    }
  }
  return { changed, writes };
}

function bodyOf(one: DescribedEventType, old: Document | null): EventTypeBody {
  const before = old === null ? null : eventTypeIn(old);
  return {
    description: one.description,
    archived: false,
    deprecated: one.deprecated,
    schemas: one.schemas,
    groupName: one.groupName ?? before?.groupName ?? null,
    featureFlags: one.featureFlags ?? before?.featureFlags ?? null,
  };
}

function sameContent(body: EventTypeBody, old: Document): boolean {
  const { description, archived, deprecated, schemas, groupName, featureFlags } = eventTypeIn(old);
  return (
    JSON.stringify(body) === JSON.stringify({ description, archived, deprecated, schemas, groupName, featureFlags })
  );
}

function fromOpenApi({ name, description, deprecated, schemas, groupName, featureFlags }: Changed): JsonObject {
  return { name, description, deprecated, schemas, groupName, featureFlags, featureFlag: featureFlags?.[0] ?? null };
}

/** JSON or YAML. @throws Invalid when it is neither, or none that can be used. */
async function parsed(text: string): Promise<JsonObject> {
  const loc = ["body", "specRaw"];
  let json = text;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    const read = await yamlToJson(text);
    if ("fault" in read) throw invalid(loc, `Expected JSON or YAML: ${read.fault}`);
    json = read.json;
    value = JSON.parse(json);
  }
  if (depthOf(json) > MAX_JSON_DEPTH) throw invalid(loc, `Expected at most ${MAX_JSON_DEPTH} levels of nesting`);
  if (!isObject(value)) throw invalid(loc, "Expected an OpenAPI document, which is an object");
  if (JSON.stringify(value).includes(PROTO)) throw invalid(loc, "Expected nothing named __proto__");
  return value;
}
