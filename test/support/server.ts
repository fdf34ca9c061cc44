/** Servers for tests, in this process, on a port the system picks. */
import type { AddressInfo } from "node:net";
import Courier from "@trycourier/courier";
import type { FastifyInstance } from "fastify";
import pino from "pino";
import { adminRoutes } from "../../src/admin/routes.ts";
import { type App, type Overrides, startApp } from "../../src/app.ts";
import { readConfig } from "../../src/config.ts";
import type { Engine } from "../../src/engine/engine.ts";
import type { Courier as CourierFacade, Routes } from "../../src/facades/courier/courier.ts";
import { courierFacade } from "../../src/facades/courier/facade.ts";
import { Credentials } from "../../src/http/credentials.ts";
import { openFirstEnvironment } from "../../src/http/environments.ts";
import { EVERYTHING_SHOWN } from "../../src/http/inbox-visibility.ts";
import { metricsOf } from "../../src/http/metrics.ts";
import { buildServer } from "../../src/http/server.ts";
import { FakeClock } from "../../src/lib/clock.ts";
import { captureStore } from "../../src/storage/captured.ts";
import { documentStore } from "../../src/storage/documents.ts";
import { environmentStore } from "../../src/storage/environments.ts";
import { idempotencyStore } from "../../src/storage/idempotency.ts";
import { listStore } from "../../src/storage/lists.ts";
import { membershipStore } from "../../src/storage/memberships.ts";
import { openSqlite } from "../../src/storage/sqlite.ts";
import { tokenStore } from "../../src/storage/tokens.ts";
import { userStore } from "../../src/storage/users.ts";

export const SECRET_KEY = "pk_test_secret";
export const PUBLIC_KEY = Buffer.from("a-workspace").toString("base64");

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  // biome-ignore lint/suspicious/noExplicitAny: whatever the server said; tests look at it field by field
  readonly body: any;
}

export interface Api {
  readonly app: FastifyInstance;
  readonly url: string;
  /** Of `/admin`, as `GET /admin/keys`. */
  readonly adminRoutes: readonly string[];
  readonly clock: FakeClock;
  readonly engine: Pick<Engine, "environments" | "directory" | "documents" | "idempotency" | "captured" | "clock">;
  readonly credentials: Credentials;
  /** The vendor's own client, with the secret key, without repetitions. */
  readonly sdk: Courier;
  /** A plain call with the secret key; `headers` may replace it. */
  call(
    method: string,
    path: string,
    body?: unknown,
    headers?: { readonly [name: string]: string | undefined },
  ): Promise<Answer>;
  /** A user token with these scopes. */
  token(scope: string, expiresIn?: string): Promise<string>;
  close(): Promise<void>;
}

/**
 * The HTTP surface over a database in memory, without the engine's work: requests about profiles, lists, tokens,
 * tenants and keys are answered as in life, and nothing is ever sent.
 */
export async function startApi(
  options: {
    readonly settings?: Partial<CourierFacade["settings"]>;
    readonly routes?: readonly Routes[];
    readonly ping?: () => Promise<void>;
  } = {},
): Promise<Api> {
  const db = openSqlite(":memory:", "normal");
  const clock = new FakeClock();
  const environments = environmentStore(db);
  const documents = documentStore(db);
  const directory = { ...userStore(db), ...listStore(db), ...tokenStore(db), ...membershipStore(db) };
  const engine = {
    clock,
    environments,
    directory,
    documents,
    idempotency: idempotencyStore(db),
    captured: captureStore(db),
  };
  await openFirstEnvironment({
    environments,
    documents,
    clock,
    dataDir: null,
    fixed: { secretKey: SECRET_KEY, publicKey: PUBLIC_KEY, appCode: null, feedId: null },
  });
  const credentials = new Credentials(environments, clock);
  await credentials.refresh();

  const log = pino({ level: process.env.TEST_LOG ?? "silent" });
  const app = buildServer({
    clock,
    log,
    ping: options.ping ?? (() => db.ping()),
    metrics: async () => metricsOf({ hub: { stats: {} }, inFlight: () => 0 }),
  });
  const courier: CourierFacade = {
    // Nothing under test here reaches the parts of the engine that send.
    engine: engine as unknown as Engine,
    hub: {} as never,
    log,
    visibility: EVERYTHING_SHOWN,
    settings: {
      publicUrl: "http://carillon.test",
      clientKeyAuth: "signed",
      signatureKey: SECRET_KEY,
      ...options.settings,
    },
    environmentById: (id) => credentials.environmentById(id),
    findPrincipal: (credential) => credentials.findPrincipal(credential),
    recallPrincipal: (credential) => credentials.recallPrincipal(credential),
  };
  const seen: string[] = [];
  app.addHook("onRoute", ({ method, url }) => {
    if (url.startsWith("/admin")) seen.push(...[method].flat().map((one) => `${one} ${url}`));
  });
  courierFacade(app, courier, options.routes);
  adminRoutes(app, { engine, credentials, publicUrl: "http://carillon.test" });
  await app.listen({ host: "127.0.0.1", port: 0 });
  const url = `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`;

  const call: Api["call"] = async (method, path, body, headers = {}) => {
    const all = { authorization: `Bearer ${SECRET_KEY}`, "content-type": "application/json", ...headers };
    const sent = Object.entries(all).filter((entry): entry is [string, string] => entry[1] !== undefined);
    const response = await fetch(url + path, {
      method,
      headers: sent,
      body: body === undefined ? null : typeof body === "string" ? body : JSON.stringify(body),
    });
    const text = await response.text();
    const isJson = response.headers.get("content-type")?.startsWith("application/json") ?? false;
    return { status: response.status, headers: response.headers, text, body: isJson ? JSON.parse(text) : undefined };
  };
  return {
    app,
    url,
    adminRoutes: seen,
    clock,
    engine,
    credentials,
    sdk: new Courier({ apiKey: SECRET_KEY, baseURL: url, maxRetries: 0 }),
    call,
    token: async (scope, expiresIn = "1 hour") =>
      (await call("POST", "/auth/issue-token", { scope, expires_in: expiresIn })).body.token as string,
    close: async () => {
      await app.close();
      await db.close();
    },
  };
}

/**
 * The whole server as `npm start` runs it, on a free port, with the keys of this file and the database in memory
 * unless `env` says otherwise. Private addresses of this machine may be reached by outbound HTTP.
 * @param env settings by the names an operator uses.
 */
export async function startServer(
  env: { readonly [name: string]: string } = {},
  overrides: Overrides = {},
): Promise<App & { readonly sdk: Courier }> {
  const config = readConfig({
    PORT: "0",
    CARILLON_DATA_DIR: ":memory:",
    CARILLON_SECRET_KEY: SECRET_KEY,
    CARILLON_PUBLIC_KEY: PUBLIC_KEY,
    CARILLON_ALLOW_NETWORKS: "127.0.0.0/8",
    ...env,
  });
  const app = await startApp(config, { log: pino({ level: process.env.TEST_LOG ?? "silent" }), ...overrides });
  return { ...app, sdk: new Courier({ apiKey: SECRET_KEY, baseURL: app.url, maxRetries: 0 }) };
}
