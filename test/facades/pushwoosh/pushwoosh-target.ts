/**
 * A server in this process as this vendor's clients see it: real HTTP, a real engine, a database in memory or on
 * Postgres, a clock that stands still until the test moves it. Nothing of the vendor's is installed: its clients are
 * stood in for by plain calls.
 */
import assert from "node:assert/strict";
import type { AddressInfo } from "node:net";
import { after, describe, type TestContext } from "node:test";
import pino from "pino";
import { adminRoutes } from "../../../src/admin/routes.ts";
import { memoryBus } from "../../../src/bus/memory.ts";
import { pushAddress } from "../../../src/channels/addresses.ts";
import { elemental } from "../../../src/content/elemental/elemental.ts";
import { plain } from "../../../src/content/plain/plain.ts";
import type { Environment, SendSpec } from "../../../src/engine/model.ts";
import type { Outgoing, ProviderKind, Store } from "../../../src/engine/ports.ts";
import { type RunningEngine, startEngine } from "../../../src/engine/start.ts";
import { PROVIDER, type ProviderBody } from "../../../src/engine/templates.ts";
import { pushwooshFacade } from "../../../src/facades/pushwoosh/facade.ts";
import { Credentials } from "../../../src/http/credentials.ts";
import { ensureEnvironment, openFirstEnvironment } from "../../../src/http/environments.ts";
import { InboxVisibility } from "../../../src/http/inbox-visibility.ts";
import { buildServer } from "../../../src/http/server.ts";
import { FakeClock } from "../../../src/lib/clock.ts";
import { Signal } from "../../../src/lib/signal.ts";
import type { Dialect } from "../../../src/storage/database.ts";
import { openStore } from "../../../src/storage/store.ts";
import { DIALECTS, newPlace } from "../../conformance/databases.ts";
import { noWebhooks } from "../../support/no-webhooks.ts";
import { noWorkflows } from "../../support/no-workflows.ts";

export const SECRET_KEY = "pk_test_secret";
export const PUBLIC_KEY = Buffer.from("a-workspace").toString("base64");
export const APP_CODE = "AAAAA-BBBBB";

export interface Answer {
  readonly http: number;
  readonly headers: Headers;
  readonly text: string;
  /** Of the envelope, whose three keys and types have been checked. */
  readonly code: number;
  readonly message: string;
  // biome-ignore lint/suspicious/noExplicitAny: whatever the server said; tests look at it field by field
  readonly response: any;
}

/** Those that are undefined are left out. */
export interface Sent {
  readonly [name: string]: string | undefined;
}

export interface PushwooshTarget {
  readonly url: string;
  readonly clock: FakeClock;
  readonly engine: RunningEngine;
  readonly store: Store;
  readonly environment: Environment;
  /** What was handed to senders of pushes. */
  readonly pushes: Outgoing[];
  /** A method with its fields; `application` is added unless they have one. */
  call(method: string, fields?: object, headers?: Sent): Promise<Answer>;
  /** As `call`, and it has to succeed. @returns what stands under `response`. */
  ok(method: string, fields?: object): Promise<Answer["response"]>;
  /** A body as it is, or none. */
  post(path: string, body: string | undefined, headers?: Sent): Promise<Answer>;
  /** createMessage with one notification that stays in the inbox for a week. @returns the message's code. */
  send(notification: object): Promise<string>;
  /** getInboxMessages by user id, every message checked for keys and types. */
  fetch(userId: string, more?: object): Promise<Inbox>;
  /** Sends as another facade would. */
  sendOtherwise(spec: Pick<SendSpec, "recipients" | "content"> & Partial<SendSpec>): Promise<void>;
  /** Resolves once a check holds; looked at after everything the engine does. */
  until(check: () => Promise<boolean>): Promise<void>;
  /** @param path of the operator's settings; this facade's own unless told. */
  setting(body: object, path?: string): Promise<void>;
  another(): Promise<{ readonly environment: Environment; readonly secretKey: string }>;
  close(): Promise<void>;
}

export interface Message {
  readonly inbox_id: string;
  readonly order: string;
  readonly rt: string;
  readonly send_date: string;
  readonly title: string;
  readonly text: string;
  readonly image: string;
  readonly action_type: number;
  readonly action_params: string;
  readonly status: number;
  readonly hash: string;
}

export interface Inbox {
  readonly messages: readonly Message[];
  readonly next: string;
  readonly deleted: readonly string[];
  readonly new_inbox: number;
}

const KEYS = [
  "inbox_id",
  "order",
  "rt",
  "send_date",
  "title",
  "text",
  "image",
  "action_type",
  "action_params",
  "status",
  "hash",
];

const WEEK_MS = 7 * 24 * 3_600_000;
let started = 0;

const inboxKind: ProviderKind = {
  provider: "courier",
  channel: "inbox",
  name: "Inbox",
  description: "",
  settings: {},
  address: (_, { userId }) => (userId === null ? null : {}),
  open: null,
};

export async function startPushwoosh(dialect: Dialect = "sqlite"): Promise<PushwooshTarget> {
  // Ids never go back within a process, so a second target of a test file has to start after the first.
  const clock = new FakeClock(Date.UTC(2026, 0, 5, 12) + started++ * 4 * WEEK_MS);
  const log = pino({ level: process.env.TEST_LOG ?? "silent" });
  const { place, remove } = await newPlace(dialect);
  const store = await openStore(place);
  const bus = memoryBus();
  const pushKind: ProviderKind = {
    ...inboxKind,
    provider: "capture-push",
    channel: "push",
    address: (profile, { tokens }) => pushAddress(profile, tokens, clock.now()),
    open: () => ({ send: async () => ({ kind: "sent" }) }),
  };
  const kinds = new Map([inboxKind, pushKind].map((kind) => [kind.provider, kind]));
  const fixed = { secretKey: SECRET_KEY, publicKey: PUBLIC_KEY, appCode: APP_CODE, feedId: null };
  const { environments, documents } = store;
  const { environment } = await openFirstEnvironment({ environments, documents, clock, dataDir: null, fixed });
  const credentials = new Credentials(environments, clock);
  await credentials.refresh();

  const pushes: Outgoing[] = [];
  const done = new Signal();
  const told = <A extends unknown[], R>(work: (...args: A) => Promise<R>) => {
    return async (...args: A): Promise<R> => {
      const result = await work(...args);
      done.emit();
      return result;
    };
  };
  const { pipeline, recalls } = store;
  const engine = startEngine({
    store: {
      ...store,
      recalls: { ...recalls, advance: told(recalls.advance) },
      pipeline: {
        ...pipeline,
        settle: told(pipeline.settle),
        commitPlanned: told(pipeline.commitPlanned),
        commitPage: told(pipeline.commitPage),
      },
    },
    bus,
    clock,
    log,
    roll: () => 0.5,
    languages: new Map([
      ["elemental", elemental],
      ["plain", plain],
    ]),
    kinds,
    senders: {
      send: async (outgoing) => {
        pushes.push(outgoing);
        return { kind: "sent" };
      },
    },
    tracking: null,
    publicMessageId: (_via, message) => message.id,
    limits: { maxBatch: 256, maxInFlight: 16, tryTimeoutMs: 10_000, leaseMs: 60_000, pollMs: 60_000 },
    retention: { messagesMs: null, inboxMs: null, capturedMs: null },
    webhooks: noWebhooks,
    workflows: noWorkflows,
    deliver: true,
  });
  const provide = async (environmentId: Environment["id"]): Promise<void> => {
    const known = await documents.list(environmentId, PROVIDER, { limit: 100 });
    const old = known.items.map(({ id }) => ({ kind: PROVIDER, id, body: null, expect: "any" as const }));
    await engine.documents.write(environmentId, old, clock.now());
    for (const [position, provider] of [...kinds.keys()].entries()) {
      const body: ProviderBody = { provider, title: provider, alias: null, settings: {}, standIn: false, position };
      const id = `prv_${provider}`;
      await engine.documents.write(
        environmentId,
        [{ kind: PROVIDER, id, body: { ...body }, expect: "any" }],
        clock.now(),
      );
    }
  };
  await provide(environment.id);
  const app = buildServer({ clock, log, ping: () => store.ping() });
  pushwooshFacade(app, {
    engine,
    log,
    clock,
    bus,
    environmentByAppCode: (code) => credentials.environmentByAppCode(code),
    findPrincipal: (credential) => credentials.findPrincipal(credential),
    visibility: new InboxVisibility({ documents: engine.documents, bus, clock }),
  });
  adminRoutes(app, { engine, credentials, publicUrl: "http://carillon.test" } as never);
  await app.listen({ host: "127.0.0.1", port: 0 });
  const url = `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`;

  const post: PushwooshTarget["post"] = async (path, body, headers = {}) => {
    const response = await fetch(url + path, {
      method: "POST",
      headers: Object.entries({ "content-type": "application/json", ...headers }).filter(isGiven),
      body: body ?? null,
    });
    return answerOf(response);
  };
  const call: PushwooshTarget["call"] = (method, fields = {}, headers) =>
    post(`/json/1.3/${method}`, JSON.stringify({ request: { application: APP_CODE, ...fields } }), headers);
  const ok: PushwooshTarget["ok"] = async (method, fields) => {
    const answer = await call(method, fields);
    assert.deepEqual([answer.http, answer.code, answer.message], [200, 200, "OK"], answer.text.slice(0, 300));
    return answer.response;
  };
  return {
    url,
    clock,
    engine,
    store,
    environment,
    pushes,
    call,
    ok,
    post,
    send: async (notification) => {
      const notifications = [{ content: "a text", inbox_days: 7, send_date: "now", ...notification }];
      const { Messages } = await ok("createMessage", { auth: SECRET_KEY, notifications });
      return Messages[0];
    },
    fetch: async (userId, more = {}) => inboxOf(await ok("getInboxMessages", { userId, ...more })),
    sendOtherwise: async (spec) => {
      await engine.send(
        environment.id,
        {
          data: {},
          mode: "published",
          via: "courier",
          routing: { method: "single", channels: ["inbox"] },
          ...spec,
        },
        null,
        () => ({ status: 202, body: "" }),
      );
    },
    until: async (check) => {
      for (;;) {
        const next = done.next();
        if (await check()) return;
        await next;
      }
    },
    setting: async (body, path = "pushwoosh") => {
      const response = await fetch(`${url}/admin/${path}`, {
        method: "PUT",
        headers: { authorization: `Bearer ${SECRET_KEY}`, "content-type": "application/json" },
        body: JSON.stringify(body),
      });
      assert.equal(response.status, 200);
    },
    another: async () => {
      const other = await ensureEnvironment(
        environments,
        engine.documents,
        clock,
        `env_${"0".repeat(25)}${started++}`,
        "another",
      );
      await provide(other.id);
      await credentials.refresh();
      return { environment: other, secretKey: (await credentials.createKey(other.id, "published")).text };
    },
    close: async () => {
      await app.close();
      await engine.stop(1_000);
      await store.close();
      await remove();
    },
  };
}

function isGiven(entry: [string, string | undefined]): entry is [string, string] {
  return entry[1] !== undefined;
}

/** Every answer is an envelope: three keys, and a number. */
export async function answerOf(response: Response): Promise<Answer> {
  const text = await response.text();
  const body = JSON.parse(text);
  assert.deepEqual(Object.keys(body).sort(), ["response", "status_code", "status_message"], text.slice(0, 300));
  assert.equal(typeof body.status_code, "number");
  assert.equal(typeof body.status_message, "string");
  assert.notEqual(body.status_message, "");
  assert.ok(body.response === null || (typeof body.response === "object" && !Array.isArray(body.response)));
  return {
    http: response.status,
    headers: response.headers,
    text,
    code: body.status_code,
    message: body.status_message,
    response: body.response,
  };
}

/** Checks the types of all that an inbox answer says, as strictly as the strictest client. */
export function inboxOf(response: Answer["response"]): Inbox {
  assert.deepEqual(Object.keys(response).sort(), ["deleted", "messages", "new_inbox", "next"]);
  assert.equal(typeof response.next, "string");
  assert.ok(Number.isInteger(response.new_inbox));
  assert.ok(response.deleted.every((id: unknown) => typeof id === "string"));
  for (const message of response.messages) {
    assert.deepEqual(Object.keys(message).sort(), [...KEYS].sort());
    for (const key of KEYS) {
      const expected = key === "action_type" || key === "status" ? "number" : "string";
      assert.equal(typeof message[key], expected, key);
    }
    assert.match(message.order, /^[1-9]\d{14}$/);
    assert.ok(Number(message.order) <= Number.MAX_SAFE_INTEGER);
    assert.match(message.rt, /^\d{10}$/);
    assert.match(message.send_date, /^\d{10}$/);
    assert.match(message.hash, /^[\w-]+$/);
    assert.ok([1, 2].includes(message.action_type));
    assert.ok([1, 2, 3].includes(message.status));
    const params = JSON.parse(message.action_params);
    assert.ok(typeof params === "object" && params !== null && !Array.isArray(params));
    for (const value of Object.values(params)) assert.equal(typeof value, "string");
  }
  return response;
}

/** Declares a suite for each database there is; all of its tests share one server. */
export function forEachPushwoosh(suite: (name: Dialect, open: () => Promise<PushwooshTarget>) => void): void {
  for (const dialect of DIALECTS) {
    describe(dialect, () => {
      let opened: Promise<PushwooshTarget> | undefined;
      after(async () => (await opened)?.close());
      suite(dialect, () => (opened ??= startPushwoosh(dialect)));
    });
  }
}

/** For a test that needs a server to itself: closed when the test is over. */
export async function pushwooshFor(t: TestContext, dialect?: Dialect): Promise<PushwooshTarget> {
  const target = await startPushwoosh(dialect);
  t.after(() => target.close());
  return target;
}
