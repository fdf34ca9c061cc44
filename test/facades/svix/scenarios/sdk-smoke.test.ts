/**
 * Every public method of both majors of the SDK, found by walking what the packages export: scenario 46. A method that
 * nobody listed here fails the test. What each of them calls and is answered is compared with docs/compatibility.md.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { type TestContext, test } from "node:test";
import type { Svix } from "svix";
import * as sdk1 from "svix";
import type { Svix as Svix2 } from "svix2";
import * as sdk2 from "svix2";
import { forEachSpeaker, HOUR, type Scene } from "./scenario.ts";
import { declarationsOf } from "./sdk-declarations.ts";

/** Calls by the name of the method, in the order in which they are made: `[operation, call]`. */
type Calls = { readonly [method: string]: readonly [operation: string, call: () => unknown] };

/** What the calls are about. */
interface World {
  readonly app: string;
  readonly endpoint: string;
  readonly message: string;
  readonly attempt: string;
  readonly poller: string;
  /** As auto-configs would hand them out. */
  readonly tokens: { readonly v1: string; readonly v2: string };
  /** With an application's token. */
  readonly portal: Svix;
  readonly since: Date;
  readonly until: Date;
  /** What earlier calls were told, by the name of the method. */
  // biome-ignore lint/suspicious/noExplicitAny: looked at field by field
  readonly told: { [method: string]: any };
}

const URL_ = "https://example.com/";
/** The SDKs do not export the type that they want it to have. */
const EARLIEST: object = { startingPosition: "earliest" };
const CODE = "function handler(webhook) { return webhook }";
const APP = "/app/{app_id}";
const ENDPOINT = `${APP}/endpoint/{endpoint_id}`;
const OPERATIONAL = "/operational-webhook/endpoint";
const TRANSFORMATION = `${ENDPOINT}/transformation`;
const ATTEMPT = `${APP}/msg/{msg_id}/attempt/{attempt_id}`;
const POLLER = `${APP}/poller/{sink_id}`;
const LEASED = `${APP}/polling-endpoint/{sink_id}/consumer/{consumer_id}`;
const SPEC = {
  openapi: "3.1.0",
  info: { title: "t", version: "1" },
  webhooks: { "smoke.imported": { post: { description: "d" } } },
};

/** Those that have the same name in both. */
function inBoth(svix: Svix, world: World): Calls {
  const { app, endpoint, message, attempt, poller, portal, since, until, told } = world;
  const integration = () => told["integration.create"].id;
  const connector = () => told["connector.create"].id;
  const operational = () => told["operationalWebhook.endpoint.create"].id;
  const eventType = { name: "smoke.test", description: "d", schemas: { "1": { examples: [{ a: 1 }] } } };
  const window = { since, until };
  return {
    "health.get": ["GET /health", () => svix.health.get()],

    "application.create": ["POST /app", () => svix.application.create({ name: "One", uid: "one" })],
    "application.getOrCreate": ["POST /app", () => svix.application.getOrCreate({ name: "Two", uid: "one" })],
    "application.list": ["GET /app", () => svix.application.list({ limit: 5 })],
    "application.get": [`GET ${APP}`, () => svix.application.get("one")],
    "application.patch": [`PATCH ${APP}`, () => svix.application.patch("one", { metadata: { a: "b" } })],

    "eventType.create": ["POST /event-type", () => svix.eventType.create(eventType)],
    "eventType.list": ["GET /event-type", () => svix.eventType.list({ withContent: true })],
    "eventType.get": ["GET /event-type/{name}", () => svix.eventType.get("smoke.test")],
    "eventType.patch": ["PATCH /event-type/{name}", () => svix.eventType.patch("smoke.test", { groupName: "g" })],
    "eventType.importOpenapi": [
      "POST /event-type/import/openapi",
      () => svix.eventType.importOpenapi({ spec: SPEC, dryRun: true }),
    ],

    "endpoint.create": [`POST ${APP}/endpoint`, () => svix.endpoint.create(app, { url: URL_, uid: "ep" })],
    "endpoint.list": [`GET ${APP}/endpoint`, () => svix.endpoint.list(app)],
    "endpoint.get": [`GET ${ENDPOINT}`, () => svix.endpoint.get(app, "ep")],
    "endpoint.patch": [`PATCH ${ENDPOINT}`, () => svix.endpoint.patch(app, "ep", { channels: ["c"] })],
    "endpoint.getSecret": [`GET ${ENDPOINT}/secret`, () => svix.endpoint.getSecret(app, "ep")],
    "endpoint.rotateSecret": [`POST ${ENDPOINT}/secret/rotate`, () => svix.endpoint.rotateSecret(app, "ep")],
    "endpoint.patchHeaders": [
      `PATCH ${ENDPOINT}/headers`,
      () => svix.endpoint.patchHeaders(app, "ep", { headers: { "X-A": "b" } }),
    ],
    "endpoint.getHeaders": [`GET ${ENDPOINT}/headers`, () => svix.endpoint.getHeaders(app, "ep")],
    "endpoint.transformationPartialUpdate": [
      `PATCH ${TRANSFORMATION}`,
      () => svix.endpoint.transformationPartialUpdate(app, "ep", { code: CODE, enabled: true }),
    ],
    "endpoint.getStats": [`GET ${ENDPOINT}/stats`, () => svix.endpoint.getStats(app, endpoint)],
    "endpoint.sendExample": [
      `POST ${ENDPOINT}/send-example`,
      () => svix.endpoint.sendExample(app, endpoint, { eventType: "smoke.test" }),
    ],
    "endpoint.recover": [`POST ${ENDPOINT}/recover`, () => svix.endpoint.recover(app, endpoint, window)],
    "endpoint.replayMissing": [
      `POST ${ENDPOINT}/replay-missing`,
      () => svix.endpoint.replayMissing(app, endpoint, window),
    ],
    "endpoint.bulkReplay": [`POST ${ENDPOINT}/bulk-replay`, () => svix.endpoint.bulkReplay(app, endpoint, window)],

    "message.precheck": [
      `POST ${APP}/msg/precheck/active`,
      () => svix.message.precheck(app, { eventType: "smoke.test", channels: ["c"] }),
    ],
    "message.create": [
      `POST ${APP}/msg`,
      () => svix.message.create(app, sdk1.messageInRaw("smoke.test", "<a/>", "text/xml")),
    ],
    "message.list": [
      `GET ${APP}/msg`,
      () => svix.message.list(app, { eventTypes: ["smoke.test", "a"], before: until }),
    ],
    "message.get": [`GET ${APP}/msg/{msg_id}`, () => svix.message.get(app, message)],
    "message.poller.poll": [`GET ${POLLER}`, () => svix.message.poller.poll(app, poller, { after: since })],
    "message.poller.consumerSeek": [
      `POST ${POLLER}/consumer/{consumer_id}/seek`,
      () => svix.message.poller.consumerSeek(app, poller, "mine", { after: since }),
    ],
    "message.poller.consumerPoll": [
      `GET ${POLLER}/consumer/{consumer_id}`,
      () => svix.message.poller.consumerPoll(app, poller, "mine"),
    ],

    "messageAttempt.listByMsg": [`GET ${APP}/attempt/msg/{msg_id}`, () => svix.messageAttempt.listByMsg(app, message)],
    "messageAttempt.listByEndpoint": [
      `GET ${APP}/attempt/endpoint/{endpoint_id}`,
      () => svix.messageAttempt.listByEndpoint(app, endpoint, { withMsg: true, withContent: true }),
    ],
    "messageAttempt.listAttemptedMessages": [
      `GET ${ENDPOINT}/msg`,
      () => svix.messageAttempt.listAttemptedMessages(app, endpoint, { withContent: true }),
    ],
    "messageAttempt.listAttemptedDestinations": [
      `GET ${APP}/msg/{msg_id}/endpoint`,
      () => svix.messageAttempt.listAttemptedDestinations(app, message),
    ],
    "messageAttempt.get": [`GET ${ATTEMPT}`, () => svix.messageAttempt.get(app, message, attempt)],
    "messageAttempt.resend": [
      `POST ${APP}/msg/{msg_id}/endpoint/{endpoint_id}/resend`,
      () => svix.messageAttempt.resend(app, message, endpoint),
    ],

    "statistics.aggregateEventTypes": ["PUT /stats/usage/event-types", () => svix.statistics.aggregateEventTypes()],
    "statistics.aggregateAppStats": [
      "POST /stats/usage/app",
      () => svix.statistics.aggregateAppStats({ ...window, appIds: [app, "nobody"] }),
    ],
    "backgroundTask.list": ["GET /background-task", () => svix.backgroundTask.list({ limit: 3 })],
    "backgroundTask.get": [
      "GET /background-task/{task_id}",
      () => svix.backgroundTask.get(told["endpoint.recover"].id),
    ],

    "integration.create": [`POST ${APP}/integration`, () => svix.integration.create(app, { name: "i" })],
    "integration.list": [`GET ${APP}/integration`, () => svix.integration.list(app)],
    "integration.get": [`GET ${APP}/integration/{id}`, () => svix.integration.get(app, integration())],
    "integration.update": [
      `PUT ${APP}/integration/{id}`,
      () => svix.integration.update(app, integration(), { name: "j", featureFlags: ["f"] }),
    ],
    "integration.rotateKey": [
      `POST ${APP}/integration/{id}/key/rotate`,
      () => svix.integration.rotateKey(app, integration()),
    ],

    "connector.create": ["POST /connector", () => svix.connector.create({ name: "c", transformation: CODE })],
    "connector.list": ["GET /connector", () => svix.connector.list()],
    "connector.get": ["GET /connector/{id}", () => svix.connector.get(connector())],
    "connector.patch": ["PATCH /connector/{id}", () => svix.connector.patch(connector(), { description: "d" })],

    "operationalWebhook.endpoint.create": [
      `POST ${OPERATIONAL}`,
      () => svix.operationalWebhook.endpoint.create({ url: URL_, uid: "op" }),
    ],
    "operationalWebhook.endpoint.list": [`GET ${OPERATIONAL}`, () => svix.operationalWebhook.endpoint.list()],
    "operationalWebhook.endpoint.get": [
      `GET ${OPERATIONAL}/{id}`,
      () => svix.operationalWebhook.endpoint.get(operational()),
    ],
    "operationalWebhook.endpoint.getSecret": [
      `GET ${OPERATIONAL}/{id}/secret`,
      () => svix.operationalWebhook.endpoint.getSecret("op"),
    ],
    "operationalWebhook.endpoint.rotateSecret": [
      `POST ${OPERATIONAL}/{id}/secret/rotate`,
      () => svix.operationalWebhook.endpoint.rotateSecret("op", {}),
    ],
    "operationalWebhook.endpoint.getHeaders": [
      `GET ${OPERATIONAL}/{id}/headers`,
      () => svix.operationalWebhook.endpoint.getHeaders("op"),
    ],

    "environment.export": ["POST /environment/export", () => svix.environment.export()],
    "environment.import": [
      "POST /environment/import",
      () => svix.environment.import({ eventTypes: [{ name: "smoke.copied", description: "d" }] }),
    ],

    "authentication.appPortalAccess": [
      "POST /auth/app-portal-access/{app_id}",
      () => svix.authentication.appPortalAccess(app, { featureFlags: [] }),
    ],
    "authentication.logout": ["POST /auth/logout", () => portal.authentication.logout()],
    "authentication.expireAll": ["POST /auth/app/{app_id}/expire-all", () => svix.authentication.expireAll(app)],
  };
}

function inFirst(svix: Svix, world: World): Calls {
  const { app, told } = world;
  const headers = { headers: { "X-A": "b" } };
  const consumer = new sdk1.AutoConfigConsumer(world.tokens.v1, {});
  const { operationalWebhookEndpoint } = svix;
  return {
    "application.update": [`PUT ${APP}`, () => svix.application.update("one", { name: "1", uid: "one" })],
    "eventType.update": ["PUT /event-type/{name}", () => svix.eventType.update("smoke.test", { description: "e" })],
    "endpoint.update": [`PUT ${ENDPOINT}`, () => svix.endpoint.update(app, "ep", { url: URL_, uid: "ep" })],
    "endpoint.updateHeaders": [`PUT ${ENDPOINT}/headers`, () => svix.endpoint.updateHeaders(app, "ep", headers)],
    "endpoint.headersUpdate": [`PUT ${ENDPOINT}/headers`, () => svix.endpoint.headersUpdate(app, "ep", headers)],
    "endpoint.headersPatch": [`PATCH ${ENDPOINT}/headers`, () => svix.endpoint.headersPatch(app, "ep", headers)],
    "endpoint.transformationGet": [`GET ${TRANSFORMATION}`, () => svix.endpoint.transformationGet(app, "ep")],
    "endpoint.patchTransformation": [
      `PATCH ${TRANSFORMATION}`,
      () => svix.endpoint.patchTransformation(app, "ep", { enabled: false }),
    ],
    "backgroundTask.listByEndpoint": ["GET /background-task", () => svix.backgroundTask.listByEndpoint()],
    "connector.update": [
      "PUT /connector/{id}",
      () => svix.connector.update(told["connector.create"].id, { transformation: CODE }),
    ],
    "integration.getKey": [
      `GET ${APP}/integration/{id}/key`,
      () => svix.integration.getKey(app, told["integration.create"].id),
    ],
    "operationalWebhook.endpoint.update": [
      `PUT ${OPERATIONAL}/{id}`,
      () => svix.operationalWebhook.endpoint.update("op", { url: URL_, uid: "op" }),
    ],
    "operationalWebhook.endpoint.updateHeaders": [
      `PUT ${OPERATIONAL}/{id}/headers`,
      () => svix.operationalWebhook.endpoint.updateHeaders("op", headers),
    ],
    "operationalWebhookEndpoint.create": [
      `POST ${OPERATIONAL}`,
      () => operationalWebhookEndpoint.create({ url: URL_, uid: "old" }),
    ],
    "operationalWebhookEndpoint.list": [`GET ${OPERATIONAL}`, () => operationalWebhookEndpoint.list()],
    "operationalWebhookEndpoint.get": [`GET ${OPERATIONAL}/{id}`, () => operationalWebhookEndpoint.get("old")],
    "operationalWebhookEndpoint.update": [
      `PUT ${OPERATIONAL}/{id}`,
      () => operationalWebhookEndpoint.update("old", { url: URL_, uid: "old" }),
    ],
    "operationalWebhookEndpoint.getSecret": [
      `GET ${OPERATIONAL}/{id}/secret`,
      () => operationalWebhookEndpoint.getSecret("old"),
    ],
    "operationalWebhookEndpoint.rotateSecret": [
      `POST ${OPERATIONAL}/{id}/secret/rotate`,
      () => operationalWebhookEndpoint.rotateSecret("old"),
    ],
    "operationalWebhookEndpoint.updateHeaders": [
      `PUT ${OPERATIONAL}/{id}/headers`,
      () => operationalWebhookEndpoint.updateHeaders("old", headers),
    ],
    "operationalWebhookEndpoint.getHeaders": [
      `GET ${OPERATIONAL}/{id}/headers`,
      () => operationalWebhookEndpoint.getHeaders("old"),
    ],
    "operationalWebhookEndpoint.delete": [`DELETE ${OPERATIONAL}/{id}`, () => operationalWebhookEndpoint.delete("old")],
    "authentication.dashboardAccess": [
      "POST /auth/dashboard-access/{app_id}",
      () => svix.authentication.dashboardAccess(app),
    ],
    "AutoConfigConsumer.receive": [`GET ${LEASED}`, () => consumer.receive("leased", EARLIEST)],
    "AutoConfigConsumer.commit": [`POST ${LEASED}/commit`, () => consumer.commit("leased", lastOffset(world))],
  };
}

function inSecond(svix: Svix2, world: World): Calls {
  const { app, message, told } = world;
  const headers = { headers: { "X-A": "b" } };
  const consumer = new sdk2.AutoConfigConsumer(world.tokens.v1, {});
  return {
    "application.upsert": [`PUT ${APP}`, () => svix.application.upsert("one", { name: "1", uid: "one" })],
    "eventType.upsert": ["PUT /event-type/{name}", () => svix.eventType.upsert("smoke.test", { description: "e" })],
    "endpoint.upsert": [`PUT ${ENDPOINT}`, () => svix.endpoint.upsert(app, "ep", { url: URL_, uid: "ep" })],
    "endpoint.setHeaders": [`PUT ${ENDPOINT}/headers`, () => svix.endpoint.setHeaders(app, "ep", headers)],
    "endpoint.transformation.patch": [
      `PATCH ${TRANSFORMATION}`,
      () => svix.endpoint.transformation.patch(app, "ep", { enabled: false, variables: { a: "b" } }),
    ],
    "endpoint.transformation.get": [`GET ${TRANSFORMATION}`, () => svix.endpoint.transformation.get(app, "ep")],
    "connector.upsert": [
      "PUT /connector/{id}",
      () => svix.connector.upsert(told["connector.create"].id, { transformation: CODE }),
    ],
    "message.bulkExpungeContent": [
      `POST ${APP}/msg/bulk-expunge`,
      () => svix.message.bulkExpungeContent(app, { ids: [message, "nothing"] }),
    ],
    "operationalWebhook.endpoint.upsert": [
      `PUT ${OPERATIONAL}/{id}`,
      () => svix.operationalWebhook.endpoint.upsert("op", { url: URL_, uid: "op" }),
    ],
    "operationalWebhook.endpoint.setHeaders": [
      `PUT ${OPERATIONAL}/{id}/headers`,
      () => svix.operationalWebhook.endpoint.setHeaders("op", headers),
    ],
    "AutoConfigConsumer.receive": [`GET ${LEASED}`, () => consumer.receive("leased", EARLIEST)],
    "AutoConfigConsumer.commit": [`POST ${LEASED}/commit`, () => consumer.commit("leased", lastOffset(world))],
  };
}

/** In both, and the end of what the others have made. */
function inBothAtLast(svix: Svix, { app, message, attempt, told }: World): Calls {
  return {
    "messageAttempt.expungeContent": [
      `DELETE ${ATTEMPT}/content`,
      () => svix.messageAttempt.expungeContent(app, message, attempt),
    ],
    "message.expungeContent": [`DELETE ${APP}/msg/{msg_id}/content`, () => svix.message.expungeContent(app, message)],
    "message.expungeAllContents": [`POST ${APP}/msg/expunge-all-contents`, () => svix.message.expungeAllContents(app)],
    "integration.delete": [
      `DELETE ${APP}/integration/{id}`,
      () => svix.integration.delete(app, told["integration.create"].id),
    ],
    "connector.delete": ["DELETE /connector/{id}", () => svix.connector.delete(told["connector.create"].id)],
    "operationalWebhook.endpoint.delete": [
      `DELETE ${OPERATIONAL}/{id}`,
      () => svix.operationalWebhook.endpoint.delete("op"),
    ],
    "endpoint.delete": [`DELETE ${ENDPOINT}`, () => svix.endpoint.delete(app, "ep")],
    "eventType.delete": ["DELETE /event-type/{name}", () => svix.eventType.delete("smoke.test", { expunge: true })],
    "application.delete": [`DELETE ${APP}`, () => svix.application.delete("one")],
  };
}

function lastOffset({ told }: World): number {
  const { data } = told["AutoConfigConsumer.receive"];
  assert.ok(data.length > 0);
  return data.at(-1).offset;
}

/** What answers 501, by the resource's path: its parameters and, where there is one, a body are made up. */
const crud = (resource: string, path: string, put: string): { [method: string]: string } => ({
  [`${resource}.list`]: `GET ${path}`,
  [`${resource}.create`]: `POST ${path}`,
  [`${resource}.get`]: `GET ${path}/{id}`,
  [`${resource}.${put}`]: `PUT ${path}/{id}`,
  [`${resource}.delete`]: `DELETE ${path}/{id}`,
});
const SOURCE = "/ingest/api/v1/source";
const INGEST_ENDPOINT = `${SOURCE}/{id}/endpoint`;
const SINK = "/stream/{id}/sink";

function notBuilt(major: 1 | 2): { readonly [method: string]: string } {
  const put = major === 1 ? "update" : "upsert";
  const eventType = major === 1 ? "streaming.event_type" : "streaming.eventType";
  return {
    "authentication.streamPortalAccess": "POST /auth/stream-portal-access/{id}",
    "authentication.streamLogout": "POST /auth/stream-logout",
    "authentication.streamExpireAll": "POST /auth/stream/{id}/expire-all",
    "authentication.rotateStreamPollerToken": "POST /auth/stream/{id}/sink/{id}/poller/token/rotate",
    "authentication.getStreamPollerToken": "GET /auth/stream/{id}/sink/{id}/poller/token",
    ...crud("ingest.source", SOURCE, put),
    "ingest.source.rotateToken": `POST ${SOURCE}/{id}/token/rotate`,
    ...crud("ingest.endpoint", INGEST_ENDPOINT, put),
    "ingest.endpoint.getSecret": `GET ${INGEST_ENDPOINT}/{id}/secret`,
    "ingest.endpoint.rotateSecret": `POST ${INGEST_ENDPOINT}/{id}/secret/rotate`,
    "ingest.endpoint.getHeaders": `GET ${INGEST_ENDPOINT}/{id}/headers`,
    ...crud("streaming.stream", "/stream", put),
    "streaming.stream.patch": "PATCH /stream/{id}",
    ...crud(eventType, "/stream/event-type", put),
    [`${eventType}.patch`]: "PATCH /stream/event-type/{id}",
    "streaming.events.get": `GET ${SINK}/{id}/events`,
    "streaming.events.create": "POST /stream/{id}/events",
    ...crud("streaming.sink", SINK, put),
    "streaming.sink.patch": `PATCH ${SINK}/{id}`,
    "streaming.sink.getSecret": `GET ${SINK}/{id}/secret`,
    "streaming.sink.rotateSecret": `POST ${SINK}/{id}/secret/rotate`,
    "streaming.sinkHeadersGet": `GET ${SINK}/{id}/headers`,
    "streaming.sinkHeadersPatch": `PATCH ${SINK}/{id}/headers`,
    ...(major === 1
      ? {
          "ingest.dashboard": `POST ${SOURCE}/{id}/dashboard`,
          "ingest.endpoint.updateHeaders": `PUT ${INGEST_ENDPOINT}/{id}/headers`,
          "ingest.endpoint.getTransformation": `GET ${INGEST_ENDPOINT}/{id}/transformation`,
          "ingest.endpoint.setTransformation": `PATCH ${INGEST_ENDPOINT}/{id}/transformation`,
          "streaming.sinkTransformationGet": `GET ${SINK}/{id}/transformation`,
          "streaming.sink.transformationPartialUpdate": `PATCH ${SINK}/{id}/transformation`,
        }
      : {
          "ingest.authentication.consumerPortalAccess": `POST ${SOURCE}/{id}/dashboard`,
          "ingest.endpoint.setHeaders": `PUT ${INGEST_ENDPOINT}/{id}/headers`,
          "ingest.endpoint.transformation.get": `GET ${INGEST_ENDPOINT}/{id}/transformation`,
          "ingest.endpoint.transformation.patch": `PATCH ${INGEST_ENDPOINT}/{id}/transformation`,
          "streaming.sink.transformation.get": `GET ${SINK}/{id}/transformation`,
          "streaming.sink.transformation.patch": `PATCH ${SINK}/{id}/transformation`,
          ...crud("destination", `${APP}/destination`, put),
          "destination.patch": `PATCH ${APP}/destination/{id}`,
          "destination.transformation.get": `GET ${APP}/destination/{id}/transformation`,
          "destination.transformation.patch": `PATCH ${APP}/destination/{id}/transformation`,
          "autoconfigSubscription.create": `POST ${APP}/autoconfig`,
          "autoconfigSubscription.rotate": `POST ${APP}/autoconfig/{id}/rotate`,
        }),
  };
}

/** The same of those that subscribe by a token: which operation that is depends on the token's age. */
function notBuiltByToken(major: 1 | 2, { tokens }: World): Calls {
  const auto = `PUT ${ENDPOINT}/auto-config`;
  const endpoint = { url: URL_ };
  if (major === 1) {
    return {
      "AutoConfig.subscribe": [auto, () => new sdk1.AutoConfig(tokens.v1, endpoint).subscribe()],
      "AutoConfigConsumer.subscribe": [auto, () => new sdk1.AutoConfigConsumer(tokens.v1, {}).subscribe()],
    };
  }
  return {
    "AutoConfig.subscribe (old)": [auto, () => new sdk2.AutoConfig(tokens.v1, endpoint).subscribe()],
    "AutoConfigConsumer.subscribe (old)": [auto, () => new sdk2.AutoConfigConsumer(tokens.v1, {}).subscribe()],
    "AutoConfig.subscribe": [
      `PUT ${APP}/autoconfig/{id}/endpoint`,
      () => new sdk2.AutoConfig(tokens.v2, endpoint).subscribe(),
    ],
    "AutoConfigConsumer.subscribe": [
      `PUT ${APP}/autoconfig/{id}/destination`,
      () => new sdk2.AutoConfigConsumer(tokens.v2, {}).subscribe(),
    ],
    // Which poller it is that it receives from has to be asked first.
    "AutoConfigConsumer.getSinkId": [
      `GET ${APP}/autoconfig/{id}`,
      () => new sdk2.AutoConfigConsumer(tokens.v2, {}).receive("leased"),
    ],
  };
}

/** They call nobody. */
const WITHOUT_SERVER = ["Webhook.verify", "Webhook.sign", "AutoConfig.verify"];

/** All methods that can be reached from a client, by way of its getters, and those of the other classes of the package. */
function methodsOf(module: object, client: object): Map<string, { readonly owner: object; readonly name: string }> {
  const found = new Map<string, { owner: object; name: string }>();
  const walk = (object: object, path: string): void => {
    const prototype = Object.getPrototypeOf(object);
    for (const [name, { get, value }] of Object.entries(Object.getOwnPropertyDescriptors(prototype))) {
      if (name === "constructor") continue;
      if (get !== undefined) walk(get.call(object), `${path}${name}.`);
      else if (typeof value === "function") found.set(`${path}${name}`, { owner: object, name });
    }
  };
  walk(client, "");
  for (const [className, exported] of Object.entries(module)) {
    if (typeof exported !== "function" || className === "Svix") continue;
    for (const name of Object.getOwnPropertyNames(exported.prototype ?? {})) {
      if (name !== "constructor" && !(exported.prototype instanceof Error)) {
        found.set(`${className}.${name}`, { owner: exported.prototype, name });
      }
    }
  }
  return found;
}

interface Documented {
  readonly majors: string | null;
  readonly state: string;
  readonly answers: readonly number[];
}

/** docs/compatibility.md, by operation. Names of parameters do not count. */
function documented(): Map<string, Documented> {
  const text = readFileSync(new URL("../../../../docs/compatibility.md", import.meta.url), "utf8");
  const [, svix = ""] = text.split(/^## Svix$/m);
  const rows = new Map<string, Documented>();
  for (const line of svix.split(/^## /m)[0]?.split("\n") ?? []) {
    const cells = line.split("|").map((cell) => cell.trim());
    const answers = (cells.at(-2) ?? "").split(", ").map(Number);
    if (!cells[1]?.startsWith("`") || answers.some((status) => !(status >= 100))) continue;
    const majors = cells.length === 6 ? (cells[2] as string) : null;
    let last = "";
    for (const [, methods = "", path = ""] of cells[1].matchAll(/`((?:[A-Z]+ )+)([/…][^`]*)`/g)) {
      if (!path.startsWith("…")) last = path;
      const whole = path.startsWith("…") ? last + path.slice(1) : path;
      for (const method of methods.trim().split(" ")) {
        rows.set(unnamed(`${method} ${whole}`), { majors, state: cells.at(-3) as string, answers });
      }
    }
  }
  return rows;
}

function unnamed(operation: string): string {
  return operation.replace(/\{\w+\}/g, "{}");
}

/** Which operations were called in the course of something, and with which status. */
async function watching(t: TestContext, work: () => unknown) {
  const calls: { method: string; path: string; status: number }[] = [];
  const { fetch } = globalThis;
  const watched = t.mock.method(globalThis, "fetch", async (...given: Parameters<typeof fetch>) => {
    const response = await fetch(...given);
    const path = new URL(given[0] as URL).pathname.replace(/^\/api\/v1/, "");
    calls.push({ method: given[1]?.method ?? "GET", path, status: response.status });
    return response;
  });
  try {
    return { told: await work(), calls };
  } catch (error) {
    return { error, calls };
  } finally {
    watched.mock.restore();
  }
}

type Watched = Awaited<ReturnType<typeof watching>>;

function assertCalled(method: string, operation: string, { calls }: Watched, answers: readonly number[]): void {
  assert.ok(calls.length > 0, `${method} called nothing`);
  for (const { method: verb, path, status } of calls) {
    const pattern = new RegExp(`^${operation.replace(/\{\w+\}/g, "[^/]+")}$`);
    assert.match(`${verb} ${path}`, pattern, method);
    assert.ok(answers.includes(status), `${method}: ${status}, not ${answers}`);
  }
}

async function worldOf(scene: Scene): Promise<World> {
  const { call, clock, target } = scene;
  const receiver = await scene.receiver();
  const app = await scene.app("smoke");
  const { id: endpoint } = await scene.endpoint(app, { url: receiver.url, uid: "smoke" });
  const poller = (await call("POST", `/app/${app}/polling-endpoint`, {})).body.id;
  const { id: message } = await scene.message(app, { eventId: "e", channels: ["c"], tags: ["t"] });
  await scene.idle();
  const [attempt] = await scene.attempts(app, message);
  assert.ok(attempt !== undefined);
  const { token } = await scene.svix.authentication.appPortalAccess(app, { featureFlags: [] });
  const portal = target.with(token);
  const rights = (await call("GET", `/auth/app/${app}/poller/${poller}/token`)).body;
  const content = { aid: app, surl: target.url, esec: await scene.key(app, endpoint), tok: rights.token };
  const spelled = (version: string, more: object): string =>
    `auto_${version}_${Buffer.from(JSON.stringify({ ...content, ...more })).toString("base64")}`;
  return {
    app,
    endpoint,
    message,
    attempt: attempt.id,
    poller,
    tokens: { v1: spelled("v1", { eid: poller }), v2: spelled("v2", { sid: poller }) },
    portal: scene.major === 1 ? portal.svix : (portal.svix2 as unknown as Svix),
    since: new Date(clock.now() - HOUR),
    until: new Date(clock.now()),
    told: {},
  };
}

forEachSpeaker({}, (who, open) => {
  test(`${who}: 46. SDK smoke: every public method is answered as its declaration and our documentation say`, async (t) => {
    const scene = await open(t);
    const { major, svix } = scene;
    const client = major === 1 ? svix : scene.svix2;
    const methods = methodsOf(major === 1 ? sdk1 : sdk2, client);
    const declarations = declarationsOf(major);
    const docs = documented();
    assert.ok(docs.size > 230, `${docs.size} operations are documented`);
    const world = await worldOf(scene);
    const reached = new Set<string>();

    const built: Calls = {
      ...inBoth(svix, world),
      ...(major === 1 ? inFirst(svix, world) : inSecond(scene.svix2, world)),
      ...inBothAtLast(svix, world),
    };
    for (const [method, [operation, call]] of Object.entries(built)) {
      const documented = docs.get(unnamed(operation));
      assert.match(documented?.state ?? "missing", /^(done|partial)/, operation);
      reached.add(unnamed(operation));
      const watched = await watching(t, call);
      if ("error" in watched) assert.fail(`${method}: ${watched.error} ${JSON.stringify(watched.error)}`);
      assertCalled(method, operation, watched, documented?.answers ?? []);
      world.told[method] = watched.told;
      const className = methods.get(method)?.owner.constructor.name.replace("$1", "") ?? "";
      declarations.check(className, method.split(".").at(-1) as string, watched.told);
      await scene.idle();
    }

    const missing: Calls = {
      ...Object.fromEntries(
        Object.entries(notBuilt(major)).map(([method, operation]) => [method, [operation, madeUp(method, operation)]]),
      ),
      ...notBuiltByToken(major, world),
    };
    function madeUp(method: string, operation: string): () => unknown {
      const { owner, name } = methods.get(method) ?? assert.fail(`There is no ${method}`);
      const names = [...operation.matchAll(/\{\w+\}/g)].map(() => "some");
      const body = { type: "generic-webhook", config: {}, events: [] };
      const given = [...names, ...(/^(POST|PUT|PATCH)/.test(operation) ? [body] : [])];
      return () => (owner as { [name: string]: (...given: unknown[]) => unknown })[name]?.(...given);
    }
    for (const [method, [operation, call]] of Object.entries(missing)) {
      const documented = docs.get(unnamed(operation));
      assert.match(documented?.state ?? "missing", /^not (yet|planned)/, operation);
      reached.add(unnamed(operation));
      const watched = await watching(t, call);
      assertCalled(method, operation, watched, documented?.answers ?? []);
      const { error } = watched;
      assert.ok(error instanceof sdk1.ApiException || error instanceof sdk2.ApiException, `${method}: ${error}`);
      assert.equal(error.code, 501, method);
      // Of a 5xx the SDKs hand on the text.
      const { code, detail, ...more } = JSON.parse(error.body as string);
      assert.deepEqual([code, typeof detail, more], ["not_implemented", "string", {}], method);
    }

    const listed = [...Object.keys(built), ...Object.keys(missing).map((name) => name.replace(/ .*/, ""))];
    assert.deepEqual([...new Set([...listed, ...WITHOUT_SERVER])].sort(), [...methods.keys()].sort());
    const said = [...docs].filter(([, { majors }]) => majors?.split(", ").includes(`${major}`)).map(([name]) => name);
    const inTables = [...reached].filter((operation) => docs.get(operation)?.majors !== null);
    assert.deepEqual(inTables.sort(), said.sort(), "the column SDK of docs/compatibility.md");
  });
});
