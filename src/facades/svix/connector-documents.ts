/**
 * Connectors, which are templates for endpoints, as documents:
 *
 *   connector      by id    what it is
 *   connector-uid  by uid   whose the uid is; not there without a uid
 */
import type { Document, EnvironmentId } from "../../engine/model.ts";
import type { DocumentStore, DocumentWrite } from "../../engine/ports.ts";
import { laidOver, untilWritten } from "../../engine/webhooks/app-documents.ts";
import type { Key } from "../../engine/webhooks/webhooks.ts";
import type { Clock, Millis } from "../../lib/clock.ts";
import { type Id, newId } from "../../lib/ids.ts";
import type { JsonObject } from "../../lib/json.ts";
import { badRequest, conflict } from "./errors.ts";

export type ConnectorId = Id<"cnn">;

export const CONNECTOR = "connector";
const CONNECTOR_UID = "connector-uid";
/** Of one environment. An export holds all of them, with up to 51,200 characters of code each. */
const MAX_CONNECTORS = 200;

export interface ConnectorFields {
  readonly uid: string | null;
  readonly name: string;
  readonly logo: string | null;
  readonly description: string;
  readonly kind: string;
  readonly instructions: string;
  readonly allowedEventTypes: readonly string[] | null;
  /** Code. */
  readonly transformation: string;
  readonly featureFlags: readonly string[] | null;
  readonly productType: "Dispatch" | "Stream";
}

export interface Connector extends ConnectorFields {
  readonly id: ConnectorId;
  readonly version: number;
  readonly createdAt: Millis;
  readonly updatedAt: Millis;
  readonly transformationUpdatedAt: Millis;
}

export interface ConnectorDeps {
  readonly documents: DocumentStore;
  readonly clock: Clock;
}

/** Only this file writes documents of these kinds. */
export function connectorIn({ id, body, version, createdAt, updatedAt }: Document): Connector {
  const fields = body as unknown as ConnectorFields & Pick<Connector, "transformationUpdatedAt">;
  return { ...fields, id: id as ConnectorId, version, createdAt, updatedAt };
}

export async function readConnector(
  { documents }: Pick<ConnectorDeps, "documents">,
  environmentId: EnvironmentId,
  key: Key<ConnectorId>,
): Promise<Connector | null> {
  const owner = "uid" in key ? await documents.read(environmentId, CONNECTOR_UID, key.uid) : null;
  const id = "uid" in key ? (owner?.body.id as ConnectorId | undefined) : key.id;
  const document = id === undefined ? null : await documents.read(environmentId, CONNECTOR, id);
  return document === null ? null : connectorIn(document);
}

/** All of them, by id ascending. */
export async function allConnectors(
  { documents }: Pick<ConnectorDeps, "documents">,
  environmentId: EnvironmentId,
): Promise<readonly Connector[]> {
  // Two calls at once may have gone past the limit by one.
  const { items } = await documents.list(environmentId, CONNECTOR, { limit: 2 * MAX_CONNECTORS });
  return items.map(connectorIn);
}

/** @throws SvixError 409 when the uid is another's, 400 when there are too many. */
export async function createConnector(
  { documents, clock }: ConnectorDeps,
  environmentId: EnvironmentId,
  fields: ConnectorFields,
): Promise<Connector> {
  const { next } = await documents.list(environmentId, CONNECTOR, { limit: MAX_CONNECTORS - 1 });
  if (next !== null) throw tooMany();
  const now = clock.now();
  const { connector, writes } = creation(fields, now);
  if ((await documents.write(environmentId, writes, now)) === null) throw uidTaken();
  return connector;
}

/** @param change is pure; it may run again. @returns null when there is no such connector. @throws as `createConnector`. */
export async function updateConnector(
  deps: ConnectorDeps,
  environmentId: EnvironmentId,
  key: Key<ConnectorId>,
  change: (current: Connector) => Partial<ConnectorFields>,
): Promise<Connector | null> {
  const { documents, clock } = deps;
  return untilWritten("connector", async () => {
    const before = await readConnector(deps, environmentId, key);
    if (before === null) return null;
    const now = clock.now();
    const { after, writes } = replacement(before, change(before), now);
    const versions = await documents.write(environmentId, writes, now);
    if (versions !== null) return { ...after, version: versions[0] as number };
    if (after.uid !== null && after.uid !== before.uid) {
      if ((await documents.read(environmentId, CONNECTOR_UID, after.uid)) !== null) throw uidTaken();
    }
    return "again";
  });
}

/** @returns whether there was one. */
export async function deleteConnector(
  deps: ConnectorDeps,
  environmentId: EnvironmentId,
  key: Key<ConnectorId>,
): Promise<boolean> {
  return untilWritten("connector", async () => {
    const found = await readConnector(deps, environmentId, key);
    if (found === null) return false;
    const { id, uid, version } = found;
    const writes: DocumentWrite[] = [{ kind: CONNECTOR, id, body: null, expect: version }];
    if (uid !== null) writes.push({ kind: CONNECTOR_UID, id: uid, body: null, expect: "any" });
    return (await deps.documents.write(environmentId, writes, deps.clock.now())) === null ? "again" : true;
  });
}

/**
 * What to write so that these connectors are there: one with a uid of an existing one replaces it, one without a uid
 * replaces the oldest of its name that has no uid either. To be written together with whatever else is imported; when
 * that comes to nothing because a version has changed, this is to be asked again.
 * @throws SvixError 400 when there would be too many, or two of them are the same one.
 */
export async function connectorWrites(
  deps: ConnectorDeps,
  environmentId: EnvironmentId,
  given: readonly ConnectorFields[],
): Promise<readonly DocumentWrite[]> {
  const existing = await allConnectors(deps, environmentId);
  const now = deps.clock.now();
  const seen = new Set<string>();
  let added = 0;
  const writes = given.flatMap((fields) => {
    const same = `${fields.uid === null ? "name" : "uid"} ${fields.uid ?? fields.name}`;
    if (seen.has(same)) throw badRequest(`There are two connectors with the ${same}`);
    seen.add(same);
    const old = existing.find(({ uid, name }) =>
      fields.uid === null ? uid === null && name === fields.name : uid === fields.uid,
    );
    if (old !== undefined) return replacement(old, fields, now).writes;
    added++;
    return creation(fields, now).writes;
  });
  if (added > 0 && existing.length + added > MAX_CONNECTORS) throw tooMany();
  return writes;
}

function creation(fields: ConnectorFields, now: Millis) {
  const id: ConnectorId = newId("cnn", now);
  const { uid } = fields;
  const writes: DocumentWrite[] = [{ kind: CONNECTOR, id, body: bodyOf(fields, now), expect: "absent" }];
  if (uid !== null) writes.push({ kind: CONNECTOR_UID, id: uid, body: { id }, expect: "absent" });
  const connector: Connector = {
    ...fields,
    id,
    version: 1,
    createdAt: now,
    updatedAt: now,
    transformationUpdatedAt: now,
  };
  return { connector, writes };
}

function replacement(before: Connector, change: Partial<ConnectorFields>, now: Millis) {
  const after = laidOver<Connector>(before, { ...change, updatedAt: now });
  const codeAt = after.transformation === before.transformation ? before.transformationUpdatedAt : now;
  const { id, version } = before;
  const writes: DocumentWrite[] = [{ kind: CONNECTOR, id, body: bodyOf(after, codeAt), expect: version }];
  if (after.uid !== before.uid) {
    if (before.uid !== null) writes.push({ kind: CONNECTOR_UID, id: before.uid, body: null, expect: "any" });
    if (after.uid !== null) writes.push({ kind: CONNECTOR_UID, id: after.uid, body: { id }, expect: "absent" });
  }
  return { after: { ...after, transformationUpdatedAt: codeAt }, writes };
}

function bodyOf(connector: ConnectorFields, transformationUpdatedAt: Millis): JsonObject {
  const { uid, name, logo, description, kind, instructions } = connector;
  const { allowedEventTypes, transformation, featureFlags, productType } = connector;
  return {
    uid,
    name,
    logo,
    description,
    kind,
    instructions,
    allowedEventTypes,
    transformation,
    featureFlags,
    productType,
    transformationUpdatedAt,
  };
}

function uidTaken() {
  return conflict("Another connector has this uid");
}

function tooMany() {
  return badRequest(`An environment has at most ${MAX_CONNECTORS} connectors`, "limit_reached");
}
