/**
 * A whole server in this process, as Svix's clients see it: real HTTP, a real engine, a database in memory or on
 * Postgres, a clock that stands still until the test moves it.
 *
 *   forEachSvix((name, open) => {
 *     test(`${name}: …`, async () => { const target = await open(); await target.svix.application.create(…); });
 *   });
 */
import { createHmac, randomUUID } from "node:crypto";
import { after, describe, type TestContext } from "node:test";
import { Svix } from "svix";
import { Svix as Svix2 } from "svix2";
import type { App } from "../../../src/app.ts";
import type { Environment, EnvironmentId } from "../../../src/engine/model.ts";
import { ksuid } from "../../../src/facades/svix/ids.ts";
import { FakeClock } from "../../../src/lib/clock.ts";
import type { Dialect } from "../../../src/storage/database.ts";
import { DIALECTS, newPlace } from "../../conformance/databases.ts";
import { SECRET_KEY, startServer } from "../../support/server.ts";

export const JWT_SECRET = "a-secret-for-signed-tokens";

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  // biome-ignore lint/suspicious/noExplicitAny: whatever the server said; tests look at it field by field
  readonly body: any;
}

/** What one token can be used with. */
export interface Clients {
  readonly token: string;
  readonly svix: Svix;
  readonly svix2: Svix2;
  /** A plain call; `headers` may replace those it sends, `undefined` leaves one out. Paths begin after `/api/v1`. */
  call(
    method: string,
    path: string,
    body?: unknown,
    headers?: { readonly [name: string]: string | undefined },
  ): Promise<Answer>;
}

export interface SvixTarget extends Clients {
  readonly app: App;
  readonly url: string;
  readonly clock: FakeClock;
  readonly environment: Environment;
  /** The environment in the vendor's spelling. */
  readonly orgId: string;
  /** The same for any other token. */
  with(token: string): Clients;
  /** Another environment of the same server. */
  another(): Promise<Clients & { readonly environmentId: EnvironmentId }>;
  /** A token signed as an operator would; `secret` to sign it wrongly. */
  jwt(claims: object, secret?: string, alg?: string): string;
  close(): Promise<void>;
}

const WEEK_MS = 7 * 24 * 3_600_000;
let started = 0;

/** @param env settings by the names an operator uses. */
export async function startSvixTarget(
  options: {
    readonly dialect?: Dialect;
    readonly env?: { readonly [name: string]: string };
    /** Where it is to go on from; a week after the last one's beginning unless told. */
    readonly clock?: FakeClock;
    readonly roll?: () => number;
  } = {},
): Promise<SvixTarget> {
  // Ids never go back within a process, so a second target of a test file has to start after the first.
  const clock = options.clock ?? new FakeClock(Date.UTC(2026, 0, 5, 12) + started++ * WEEK_MS);
  const placed = options.dialect === "postgres" ? await newPlace("postgres") : null;
  const app = await startServer(
    {
      CARILLON_SVIX_JWT_SECRET: JWT_SECRET,
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

  const clientsOf = (token: string): Clients => {
    const given = { serverUrl: url, retryScheduleInMs: [] as number[] };
    return {
      token,
      svix: new Svix(token, given),
      svix2: new Svix2(token, given),
      call: async (method, path, body, headers = {}) => {
        const all = { authorization: `Bearer ${token}`, "content-type": "application/json", ...headers };
        const sent = Object.entries(all).filter((entry): entry is [string, string] => entry[1] !== undefined);
        const response = await fetch(path.startsWith("http") ? path : `${url}/api/v1${path}`, {
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
      },
    };
  };
  const main = clientsOf(SECRET_KEY);
  return {
    ...main,
    app,
    url,
    clock,
    environment: app.environment,
    orgId: ksuid("org", app.environment.id),
    with: clientsOf,
    another: async () => {
      const made = await fetch(`${url}/admin/environments`, {
        method: "POST",
        headers: { authorization: `Bearer ${SECRET_KEY}`, "content-type": "application/json" },
        body: JSON.stringify({ name: `another ${randomUUID()}` }),
      });
      const { id, secret_key } = (await made.json()) as { id: EnvironmentId; secret_key: string };
      return { ...clientsOf(secret_key), environmentId: id };
    },
    jwt: (claims, secret = JWT_SECRET, alg = "HS256") => {
      const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url");
      const signed = `${part({ alg, typ: "JWT" })}.${part(claims)}`;
      return `${signed}.${createHmac("sha256", secret).update(signed).digest("base64url")}`;
    },
    close: async () => {
      await app.close();
      await placed?.remove();
    },
  };
}

/** Declares a suite for each database there is; all of its tests share one server. */
export function forEachSvix(suite: (name: Dialect, open: () => Promise<SvixTarget>) => void): void {
  for (const dialect of DIALECTS) {
    describe(dialect, () => {
      let opened: Promise<SvixTarget> | undefined;
      after(async () => (await opened)?.close());
      suite(dialect, () => (opened ??= startSvixTarget({ dialect })));
    });
  }
}

/** For a test that needs a server to itself: closed when the test is over. */
export async function svixFor(t: TestContext, options?: Parameters<typeof startSvixTarget>[0]): Promise<SvixTarget> {
  const target = await startSvixTarget(options);
  t.after(() => target.close());
  return target;
}
