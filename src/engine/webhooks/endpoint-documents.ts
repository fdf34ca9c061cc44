/**
 * Endpoints of applications as documents. The application's id is part of the kind, so that the endpoints of one are
 * listed and told apart without looking at others:
 *
 *   endpoint:<app>          by id    what it is; secrets, header values and variables of its transformation sealed
 *   endpoint-uid:<app>      by uid   whose the uid is; not there without a uid
 *   deleted-endpoint:<app>  by id    what attempts still refer to: no uid, secrets, headers or code any more
 *
 * A change of any is written together with the application's `app-endpoints` (app-documents.ts).
 */
import type { Millis } from "../../lib/clock.ts";
import type { JsonObject } from "../../lib/json.ts";
import type { Document, EnvironmentId } from "../model.ts";
import type { AppEndpoint, AppEndpointId, AppId } from "./model.ts";
import type { AppEndpointFields, Vault } from "./webhooks.ts";

export function endpointKind(appId: AppId): string {
  return `endpoint:${appId}`;
}

export function endpointUidKind(appId: AppId): string {
  return `endpoint-uid:${appId}`;
}

export function deletedEndpointKind(appId: AppId): string {
  return `deleted-endpoint:${appId}`;
}

/** The application whose endpoints are documents of this kind; null when it is a kind of something else. */
export function appOfEndpointKind(kind: string): AppId | null {
  return kind.startsWith("endpoint:") ? (kind.slice("endpoint:".length) as AppId) : null;
}

/** `secret`, those of `oldSecrets`, the values of `headers` and the transformation's `variables` are sealed. */
type EndpointBody = AppEndpointFields;

interface DeletedBody extends EndpointBody {
  readonly createdAt: Millis;
  readonly deletedAt: Millis;
}

export function endpointBody(vault: Vault, fields: AppEndpointFields): JsonObject {
  const body: EndpointBody = {
    uid: fields.uid,
    url: fields.url,
    description: fields.description,
    throttleRate: fields.throttleRate,
    version: fields.version,
    disabled: fields.disabled,
    eventTypes: fields.eventTypes,
    channels: fields.channels,
    metadata: fields.metadata,
    headers: mapValues(fields.headers, (value) => vault.seal(value)),
    secret: vault.seal(fields.secret),
    oldSecrets: fields.oldSecrets.map(({ secret, until }) => ({ secret: vault.seal(secret), until })),
    transformation: withVariables(fields.transformation, (value) => vault.seal(value)),
    kind: fields.kind,
  };
  return body as unknown as JsonObject;
}

/** @throws Error when the vault cannot open what is sealed. */
export function endpointIn(vault: Vault, environmentId: EnvironmentId, appId: AppId, document: Document): AppEndpoint {
  const body = document.body as unknown as EndpointBody;
  return {
    environmentId,
    appId,
    id: document.id as AppEndpointId,
    uid: body.uid,
    url: body.url,
    description: body.description,
    throttleRate: body.throttleRate,
    version: body.version,
    disabled: body.disabled,
    eventTypes: body.eventTypes,
    channels: body.channels,
    metadata: body.metadata,
    headers: mapValues(body.headers, (value) => vault.open(value)),
    secret: vault.open(body.secret),
    oldSecrets: body.oldSecrets.map(({ secret, until }) => ({ secret: vault.open(secret), until })),
    transformation: withVariables(body.transformation, (value) => vault.open(value)),
    kind: body.kind,
    createdAt: document.createdAt,
    updatedAt: document.updatedAt,
    deletedAt: null,
  };
}

/** What stays of an endpoint: nothing that anybody could sign or log in with. */
export function deletedBody(document: Document, deletedAt: Millis): JsonObject {
  const body: DeletedBody = {
    ...(document.body as unknown as EndpointBody),
    uid: null,
    headers: {},
    secret: "",
    oldSecrets: [],
    transformation: null,
    createdAt: document.createdAt,
    deletedAt,
  };
  return body as unknown as JsonObject;
}

export function deletedEndpointIn(environmentId: EnvironmentId, appId: AppId, document: Document): AppEndpoint {
  const body = document.body as unknown as DeletedBody;
  return { ...body, environmentId, appId, id: document.id as AppEndpointId, updatedAt: document.updatedAt };
}

function withVariables(
  transformation: AppEndpoint["transformation"],
  change: (value: string) => string,
): AppEndpoint["transformation"] {
  if (transformation === null || transformation.variables === null) return transformation;
  return { ...transformation, variables: mapValues(transformation.variables, change) };
}

/** Keys are kept whatever they are called. */
function mapValues(
  map: { readonly [name: string]: string },
  change: (value: string) => string,
): { readonly [name: string]: string } {
  return Object.fromEntries(Object.entries(map).map(([name, value]) => [name, change(value)]));
}
