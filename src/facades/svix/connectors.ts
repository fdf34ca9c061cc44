/** Connectors: templates from which an application's endpoints are made. Also under the name they had before. */
import type { EnvironmentId } from "../../engine/model.ts";
import { walkDocuments } from "../../engine/webhooks/app-documents.ts";
import { Turns } from "../../engine/webhooks/turns.ts";
import type { Key } from "../../engine/webhooks/webhooks.ts";
import { APPLICATION, type Caller, callerOf, ORGANISATION, seesFlags } from "./access.ts";
import {
  CONNECTOR,
  type Connector,
  type ConnectorFields,
  type ConnectorId,
  connectorIn,
  createConnector,
  deleteConnector,
  readConnector,
  updateConnector,
} from "./connector-documents.ts";
import { CODE_RULE } from "./endpoint-transformation.ts";
import { notFound } from "./errors.ts";
import { keyOf, ksuid } from "./ids.ts";
import { listResponse, walkOf } from "./paging.ts";
import type { Routes } from "./svix.ts";
import { replaceOrCreate } from "./upsert.ts";
import { EVENT_NAME, type Fields, fields, query, timestamp } from "./wire.ts";

const NAMES = ["/connector", "/transformation-template"] as const;

const KINDS = [
  "Custom",
  "AgenticCommerceProtocol",
  "CloseCRM",
  "CustomerIO",
  "Discord",
  "Hubspot",
  "Inngest",
  "Loops",
  "Otel",
  "Resend",
  "Salesforce",
  "Segment",
  "Sendgrid",
  "Slack",
  "Teams",
  "TriggerDev",
  "Windmill",
  "Zapier",
] as const;
const PRODUCTS = ["Dispatch", "Stream"] as const;

const MAX_NAME_LENGTH = 1_024;
const MAX_TEXT_LENGTH = 65_536;
const MAX_NAMES = 1_000;
const LOGO_PROTOCOLS: ReadonlySet<string> = new Set(["https:", "http:", "data:"]);

export const connectorRoutes: Routes = (app, svix) => {
  const deps = { documents: svix.engine.documents, clock: svix.clock };
  const turns = new Turns();
  const update = (environmentId: EnvironmentId, key: Key<ConnectorId>, change: () => Partial<ConnectorFields>) =>
    turns.run(`${environmentId} ${"id" in key ? key.id : key.uid}`, () =>
      updateConnector(deps, environmentId, key, change),
    );

  for (const path of NAMES) {
    const one = `${path}/:connector_id`;

    app.get(path, APPLICATION, async (request) => {
      const caller = callerOf(request);
      const q = query(request);
      const walk = walkOf(q, { prefix: "trtmpl", ownPrefix: "cnn", order: "descending", orderable: true });
      const product = q.oneOf("product_type", PRODUCTS, { nullable: true });
      q.done();
      // There are few, so that reading past those that are left out is no matter.
      const walked = await walkDocuments(deps.documents, caller.environment.id, CONNECTOR, walk, (document) => {
        const connector = connectorIn(document);
        const asked = product === null || connector.productType === product;
        return asked && seesFlags(caller, connector.featureFlags) ? connector : null;
      });
      return listResponse(
        walked,
        walk,
        ({ id }) => ksuid("trtmpl", id),
        (connector) => showConnector(connector, caller),
      );
    });

    app.post(path, ORGANISATION, async (request, reply) => {
      const caller = callerOf(request);
      const f = fields(request.body);
      const given = connectorFields(f);
      f.done();
      const made = await createConnector(deps, caller.environment.id, given);
      return reply.code(201).send(showConnector(made, caller));
    });

    app.get(one, APPLICATION, async (request) => {
      const caller = callerOf(request);
      const connector = await readConnector(deps, caller.environment.id, keyIn(request.params));
      if (connector === null || !seesFlags(caller, connector.featureFlags)) throw notFound();
      return showConnector(connector, caller);
    });

    app.put(one, ORGANISATION, async (request, reply) => {
      const caller = callerOf(request);
      const f = fields(request.body);
      const { uid, productType, ...given } = connectorFields(f, "");
      f.done();
      // The body of a PUT names neither of them, as a rule: then they stay.
      const more = { ...(uid !== null && { uid }), ...(f.has("productType") && { productType }) };
      const key = keyIn(request.params);
      const { value, isNew } = await replaceOrCreate(
        () => update(caller.environment.id, key, () => ({ ...given, ...more })),
        () => createConnector(deps, caller.environment.id, { ...given, uid, productType }),
      );
      return reply.code(isNew ? 201 : 200).send(showConnector(value, caller));
    });

    app.patch(one, ORGANISATION, async (request) => {
      const caller = callerOf(request);
      const patch = readPatch(request.body);
      const patched = await update(caller.environment.id, keyIn(request.params), () => patch);
      if (patched === null) throw notFound();
      return showConnector(patched, caller);
    });

    app.delete(one, ORGANISATION, async (request, reply) => {
      const { environment } = callerOf(request);
      if (!(await deleteConnector(deps, environment.id, keyIn(request.params)))) throw notFound();
      return reply.code(204).send();
    });
  }
};

/** What ConnectorIn says, its mistakes noted. @param name what an absent name counts as; without it one is required. */
export function connectorFields(f: Fields, name?: string): ConnectorFields {
  return {
    uid: f.uid("uid", "trtmpl"),
    name: f.text("name", { max: MAX_NAME_LENGTH, ...(name === undefined ? {} : { default: name }) }),
    logo: readLogo(f),
    description: f.text("description", { default: "", max: MAX_TEXT_LENGTH }),
    kind: f.oneOf("kind", KINDS, { default: "Custom" }),
    instructions: f.text("instructions", { default: "", max: MAX_TEXT_LENGTH }),
    allowedEventTypes: readAllowed(f),
    transformation: f.text("transformation", CODE_RULE),
    featureFlags: readFlags(f),
    productType: f.oneOf("productType", PRODUCTS, { nullable: true }) ?? "Dispatch",
  };
}

function readPatch(body: unknown): Partial<ConnectorFields> {
  const f = fields(body);
  const patch = {
    ...(f.has("name") && { name: f.text("name", { max: MAX_NAME_LENGTH }) }),
    ...(f.has("logo") && { logo: readLogo(f) }),
    ...(f.has("description") && { description: f.text("description", { max: MAX_TEXT_LENGTH }) }),
    ...(f.has("kind") && { kind: f.oneOf("kind", KINDS) }),
    ...(f.has("instructions") && { instructions: f.text("instructions", { max: MAX_TEXT_LENGTH }) }),
    ...(f.has("allowedEventTypes") && { allowedEventTypes: readAllowed(f) }),
    ...(f.has("transformation") && { transformation: f.text("transformation", CODE_RULE) }),
    ...(f.has("featureFlags") && { featureFlags: readFlags(f) }),
  };
  f.done();
  return patch;
}

/** An address that a page may show an image from, or the image itself. */
function readLogo(f: Fields): string | null {
  const text = f.text("logo", { nullable: true, max: MAX_TEXT_LENGTH });
  if (text === null || typeof f.raw("logo") !== "string") return null;
  const url = URL.parse(text);
  if (url === null || !LOGO_PROTOCOLS.has(url.protocol)) f.issue(["logo"], "Expected an http, https or data URL");
  return text;
}

function readAllowed(f: Fields): readonly string[] | null {
  return f.names("allowedEventTypes", { nullable: true, min: 1, max: MAX_NAMES, pattern: EVENT_NAME });
}

function readFlags(f: Fields): readonly string[] | null {
  return f.names("featureFlags", { nullable: true, max: MAX_NAMES, pattern: EVENT_NAME });
}

function keyIn(params: unknown): Key<ConnectorId> {
  return keyOf("trtmpl", "cnn", (params as { readonly connector_id: string }).connector_id);
}

export function showConnector(connector: Connector, { orgId }: Pick<Caller, "orgId">) {
  return {
    id: ksuid("trtmpl", connector.id),
    orgId,
    uid: connector.uid,
    kind: connector.kind,
    name: connector.name,
    logo: connector.logo,
    description: connector.description,
    instructions: connector.instructions,
    allowedEventTypes: connector.allowedEventTypes,
    transformation: connector.transformation,
    createdAt: timestamp(connector.createdAt),
    updatedAt: timestamp(connector.updatedAt),
    transformationUpdatedAt: timestamp(connector.transformationUpdatedAt),
    featureFlags: connector.featureFlags,
    productType: connector.productType,
  };
}
