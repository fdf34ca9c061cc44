/**
 * A whole server in this process, as Knock's clients see it: real HTTP, real sockets, a real engine, a database in memory
 * or on Postgres, a clock that stands still until the test moves it.
 *
 *   forEachKnock((name, open) => {
 *     test(`${name}: …`, async () => { const target = await open(); await target.knock.users.update("u1", { … }); });
 *   });
 */
import { createSign, generateKeyPairSync, randomUUID } from "node:crypto";
import { after, describe, type TestContext } from "node:test";
import knockClient from "@knocklabs/client";
import Knock from "@knocklabs/node";
import type { App } from "../../../src/app.ts";
import type { Environment, EnvironmentId } from "../../../src/engine/model.ts";
import { FakeClock } from "../../../src/lib/clock.ts";
import type { Dialect } from "../../../src/storage/database.ts";
import { DIALECTS, newPlace } from "../../conformance/databases.ts";
import { PUBLIC_KEY, SECRET_KEY, startServer } from "../../support/server.ts";

/** The package has the types of its CommonJS build, in which the default export is a property. */
const KnockClient = knockClient as unknown as typeof knockClient.default;
export type KnockClient = InstanceType<typeof KnockClient>;

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  // biome-ignore lint/suspicious/noExplicitAny: whatever the server said; tests look at it field by field
  readonly body: any;
}

/** A plain call; `headers` may replace those it sends, `undefined` leaves one out. Paths begin after `/v1`, or are whole. */
export type Call = (
  method: string,
  path: string,
  body?: unknown,
  headers?: { readonly [name: string]: string | undefined },
) => Promise<Answer>;

export interface Clients {
  readonly secretKey: string;
  /** The vendor's server SDK, without repetitions. */
  readonly knock: Knock;
  readonly call: Call;
}

/** A key pair whose public half the server knows. */
export interface SigningKey {
  readonly id: string;
  readonly privateKey: string;
  /** A user token; `sub` and an hour's time are given unless `claims` say otherwise. */
  token(userId: string, claims?: { readonly [claim: string]: unknown }): string;
}

export interface KnockTarget extends Clients {
  readonly app: App;
  readonly url: string;
  readonly clock: FakeClock;
  readonly environment: Environment;
  readonly feedId: string;
  readonly publicKey: string;
  /** Calls with the public key, and the user token if there is one. */
  asClient(userToken?: string): Call;
  /** The vendor's browser SDK, authenticated as this user. To be torn down by the test. */
  browser(userId: string, userToken?: string): KnockClient;
  /** A call of `/admin`, which begins the path. */
  admin: Call;
  security(enhanced: boolean): Promise<void>;
  signingKey(): Promise<SigningKey>;
  /** Another environment of the same server. */
  another(): Promise<Clients & { readonly environmentId: EnvironmentId }>;
  close(): Promise<void>;
}

const DAY_MS = 24 * 3_600_000;
let started = 0;

/** @param env settings by the names an operator uses. */
export async function startKnockTarget(
  options: {
    readonly dialect?: Dialect;
    readonly env?: { readonly [name: string]: string };
    readonly clock?: FakeClock;
    readonly roll?: () => number;
  } = {},
): Promise<KnockTarget> {
  // Ids never go back within a process, so a second target of a test file has to start after the first.
  const clock = options.clock ?? new FakeClock(Date.UTC(2026, 0, 5, 12) + started++ * 400 * DAY_MS);
  const placed = options.dialect === "postgres" ? await newPlace("postgres") : null;
  const app = await startServer(
    {
      ...(placed === null
        ? {}
        : {
            CARILLON_DATABASE_URL: placed.place.url ?? "",
            CARILLON_DATABASE_POOL: String(placed.place.poolSize),
            CARILLON_DATA_DIR: placed.place.dataDir,
          }),
      ...options.env,
    },
    options.roll === undefined ? { clock } : { clock, roll: options.roll },
  );
  const { url } = app;

  const callWith =
    (token: string, fixed: { readonly [name: string]: string } = {}): Call =>
    async (method, path, body, headers = {}) => {
      const all = { authorization: `Bearer ${token}`, "content-type": "application/json", ...fixed, ...headers };
      const sent = Object.entries(all).filter((entry): entry is [string, string] => entry[1] !== undefined);
      const whole = path.startsWith("/admin") || path.startsWith("/v1") ? `${url}${path}` : `${url}/v1${path}`;
      const response = await fetch(path.startsWith("http") ? path : whole, {
        method,
        headers: sent,
        body: body === undefined ? null : typeof body === "string" ? body : JSON.stringify(body),
        redirect: "manual",
      });
      const text = await response.text();
      const isJson = response.headers.get("content-type")?.startsWith("application/json") ?? false;
      return {
        status: response.status,
        headers: response.headers,
        text,
        body: isJson && text !== "" ? JSON.parse(text) : undefined,
      };
    };
  const clientsOf = (secretKey: string): Clients => ({
    secretKey,
    knock: new Knock({ apiKey: secretKey, baseURL: url, maxRetries: 0 }),
    call: callWith(secretKey),
  });
  const main = clientsOf(SECRET_KEY);
  const admin = callWith(SECRET_KEY);

  return {
    ...main,
    app,
    url,
    clock,
    environment: app.environment,
    feedId: app.environment.feedId,
    publicKey: PUBLIC_KEY,
    asClient: (userToken) => callWith(PUBLIC_KEY, userToken === undefined ? {} : { "x-knock-user-token": userToken }),
    browser: (userId, userToken) => {
      const client = new KnockClient(PUBLIC_KEY, { host: url, logLevel: "debug" } as never);
      client.authenticate(userId, userToken);
      return client;
    },
    admin,
    security: async (enhanced) => {
      await admin("PUT", "/admin/knock/security", { enhanced_security: enhanced });
    },
    signingKey: async () => {
      const pair = generateKeyPairSync("rsa", {
        modulusLength: 2048,
        publicKeyEncoding: { type: "spki", format: "pem" },
        privateKeyEncoding: { type: "pkcs8", format: "pem" },
      });
      const made = await admin("POST", "/admin/knock/signing-keys", { public_key: pair.publicKey });
      return {
        id: made.body.id,
        privateKey: pair.privateKey,
        token: (userId, claims = {}) => {
          const now = Math.floor(clock.now() / 1000);
          return signedToken(pair.privateKey, { sub: userId, iat: now, exp: now + 3_600, ...claims });
        },
      };
    },
    another: async () => {
      const made = await admin("POST", "/admin/environments", { name: `another ${randomUUID()}` });
      return { ...clientsOf(made.body.secret_key), environmentId: made.body.id };
    },
    close: async () => {
      await app.close();
      await placed?.remove();
    },
  };
}

/** A JWT as the vendor's helper makes it, of any claims. */
export function signedToken(privateKey: string, claims: object, header: object = { alg: "RS256", typ: "JWT" }): string {
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url");
  const signed = `${part(header)}.${part(claims)}`;
  return `${signed}.${createSign("RSA-SHA256").update(signed).sign(privateKey).toString("base64url")}`;
}

/** Declares a suite for each database there is; all of its tests share one server. */
export function forEachKnock(suite: (name: Dialect, open: () => Promise<KnockTarget>) => void): void {
  for (const dialect of DIALECTS) {
    describe(dialect, () => {
      let opened: Promise<KnockTarget> | undefined;
      after(async () => (await opened)?.close());
      suite(dialect, () => (opened ??= startKnockTarget({ dialect })));
    });
  }
}

/** For a test that needs a server to itself: closed when the test is over. */
export async function knockFor(t: TestContext, options?: Parameters<typeof startKnockTarget>[0]): Promise<KnockTarget> {
  const target = await startKnockTarget(options);
  t.after(() => target.close());
  return target;
}
