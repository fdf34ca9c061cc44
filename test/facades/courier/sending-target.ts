/**
 * Courier's sending resources over a real engine and a database (in memory, unless a test says otherwise), without a
 * socket: calls are injected, and the channels are captured or answer what a test tells them.
 */
import type { FastifyInstance } from "fastify";
import pino from "pino";
import { memoryBus } from "../../../src/bus/memory.ts";
import { elemental } from "../../../src/content/elemental/elemental.ts";
import type { Environment, KeyMode, Outcome } from "../../../src/engine/model.ts";
import type { Outgoing, ProviderKind, Store } from "../../../src/engine/ports.ts";
import { type RunningEngine, startEngine } from "../../../src/engine/start.ts";
import { PROVIDER, type ProviderBody } from "../../../src/engine/templates.ts";
import { addAuthentication } from "../../../src/facades/courier/auth.ts";
import type { Courier } from "../../../src/facades/courier/courier.ts";
import { addCourierErrors } from "../../../src/facades/courier/errors.ts";
import { eventRoutes } from "../../../src/facades/courier/events.ts";
import { addIdempotency } from "../../../src/facades/courier/idempotency.ts";
import { publicMessageId } from "../../../src/facades/courier/ids.ts";
import { inboundRoutes } from "../../../src/facades/courier/inbound.ts";
import { messageRoutes } from "../../../src/facades/courier/messages.ts";
import { notificationContentRoutes } from "../../../src/facades/courier/notification-content.ts";
import { notificationRoutes } from "../../../src/facades/courier/notifications.ts";
import { providerRoutes } from "../../../src/facades/courier/providers.ts";
import { sendRoutes } from "../../../src/facades/courier/send.ts";
import { translationRoutes } from "../../../src/facades/courier/translations.ts";
import { EVERYTHING_SHOWN } from "../../../src/http/inbox-visibility.ts";
import type { Principal } from "../../../src/http/principal.ts";
import { buildServer } from "../../../src/http/server.ts";
import { FakeClock } from "../../../src/lib/clock.ts";
import { newId } from "../../../src/lib/ids.ts";
import { Signal } from "../../../src/lib/signal.ts";
import { openStore } from "../../../src/storage/store.ts";
import { noWebhooks } from "../../support/no-webhooks.ts";
import { noWorkflows } from "../../support/no-workflows.ts";

export interface Answer {
  readonly status: number;
  readonly headers: { readonly [name: string]: unknown };
  readonly text: string;
  // biome-ignore lint/suspicious/noExplicitAny: whatever the server said; tests look at it field by field
  readonly body: any;
}

/** What several engines may share: another target, or a store that is still without the environment. */
export interface SharedStore {
  readonly store: Store;
  readonly clock?: FakeClock;
  readonly environment?: Environment;
}

export interface SendingTarget extends Required<SharedStore> {
  readonly app: FastifyInstance;
  readonly engine: RunningEngine;
  /** What a provider answers, by its key; `sent` when nothing is set. */
  readonly outcomes: Map<string, Outcome>;
  readonly sent: Outgoing[];
  call(method: string, path: string, body?: unknown, headers?: { readonly [name: string]: string }): Promise<Answer>;
  /** Sends, and resolves with the request id. */
  send(message: object): Promise<string>;
  /**
   * Resolves once the message exists and has left the states in which something is still to be done.
   * @param more states that are not the end either.
   */
  settled(messageId: string, more?: readonly string[]): Promise<Answer["body"]>;
  close(): Promise<void>;
}

const WEEK_MS = 7 * 24 * 3_600_000;
let started = 0;

const KEYS: { readonly [key: string]: KeyMode } = { K: "published", D: "draft", M: "mock" };
const PENDING = new Set(["ENQUEUED", "ROUTED"]);

const kind = (provider: string, channel: ProviderKind["channel"], field: string): ProviderKind => ({
  provider,
  channel,
  name: `Test ${provider}`,
  description: "Answers what the test says.",
  settings:
    provider === "smtp"
      ? {
          host: { type: "string", required: true, description: "Host" },
          password: { type: "string", required: false, secret: true, description: "Password" },
        }
      : {},
  address: (profile, { userId }) =>
    channel === "inbox" ? (userId === null ? null : {}) : field in profile ? { [field]: profile[field] ?? null } : null,
  // The inbox is complete when it is stored; of the others the test's own senders are asked.
  open: channel === "inbox" ? null : () => ({ send: async () => ({ kind: "sent" }) }),
});

/**
 * @param on a store that outlives the target. @param maxInFlight what the engine may have under way at once.
 * @param wrap puts something between the engine and its store.
 */
export async function startSendingTarget(
  on: SharedStore | null = null,
  maxInFlight = 16,
  wrap: (store: Store) => Store = (store) => store,
): Promise<SendingTarget> {
  // Ids never go back within a process, so a second target of a test file has to start after the first.
  const clock = on?.clock ?? new FakeClock(Date.UTC(2026, 0, 5, 12) + started++ * WEEK_MS);
  const log = pino({ level: process.env.TEST_LOG ?? "silent" });
  const store = on?.store ?? (await openStore({ url: null, dataDir: ":memory:", durability: "normal" }));
  const environment: Environment = on?.environment ?? {
    id: newId("env", clock.now()),
    name: "test",
    signingSecret: Buffer.alloc(32, 7).toString("base64url"),
    publicKey: "client",
    appCode: "AAAAA-BBBBB",
    feedId: "00000000-0000-4000-8000-000000000000",
    createdAt: clock.now(),
  };
  if (on?.environment === undefined) await store.environments.create(environment, []);
  const kinds = new Map(
    [
      kind("smtp", "email", "email"),
      kind("second-mail", "email", "email"),
      kind("twilio", "sms", "phone_number"),
      kind("courier", "inbox", ""),
    ].map((one) => [one.provider, one]),
  );
  const outcomes = new Map<string, Outcome>();
  const sent: Outgoing[] = [];
  const settling = new Signal();
  const bus = memoryBus();
  const wrapped = wrap(store);
  const { pipeline } = wrapped;
  const engine = startEngine({
    store: {
      ...wrapped,
      pipeline: {
        ...pipeline,
        settle: async (batch) => {
          const written = await pipeline.settle(batch);
          settling.emit();
          return written;
        },
        commitPlanned: async (...args) => {
          const written = await pipeline.commitPlanned(...args);
          settling.emit();
          return written;
        },
        commitPage: async (...args) => {
          const written = await pipeline.commitPage(...args);
          settling.emit();
          return written;
        },
      },
    },
    bus,
    clock,
    log,
    roll: () => 0.5,
    languages: new Map([["elemental", elemental]]),
    kinds,
    senders: {
      send: async (outgoing) => {
        sent.push(outgoing);
        return outcomes.get(outgoing.provider.provider) ?? { kind: "sent" };
      },
    },
    tracking: null,
    publicMessageId: (_via, message) => publicMessageId({ ...message, messageId: message.id }),
    limits: { maxBatch: 256, maxInFlight, tryTimeoutMs: 10_000, leaseMs: 60_000, pollMs: 60_000 },
    retention: { messagesMs: null, inboxMs: null, capturedMs: null },
    webhooks: noWebhooks,
    workflows: noWorkflows,
    deliver: true,
  });
  for (const [position, provider] of on?.environment === undefined ? [...kinds.keys()].entries() : []) {
    const body: ProviderBody = { provider, title: provider, alias: null, settings: {}, standIn: false, position };
    const id = newId("prv", clock.now());
    await engine.documents.write(
      environment.id,
      [{ kind: PROVIDER, id, body: { ...body }, expect: "absent" }],
      clock.now(),
    );
  }

  const findPrincipal = async (credential: string): Promise<Principal | null> => {
    const mode = KEYS[credential];
    if (mode !== undefined) return { kind: "secret", environment, mode, keyId: `key_${credential}` };
    if (credential === environment.publicKey) return { kind: "public", environment };
    if (credential !== "token-of-u1") return null;
    return { kind: "user", environment, userIds: ["u1"], scopes: [], expiresAt: Number.POSITIVE_INFINITY };
  };
  const courier: Courier = {
    engine,
    hub: {} as never,
    log,
    visibility: EVERYTHING_SHOWN,
    settings: { publicUrl: "http://carillon.test", clientKeyAuth: "off", signatureKey: null },
    environmentById: (id) => (id === environment.id ? environment : undefined),
    recallPrincipal: () => undefined,
    findPrincipal,
  };
  const app = buildServer({ clock, log, ping: () => store.ping() });
  app.register(async (scope) => {
    addCourierErrors(scope, log);
    addAuthentication(scope, courier);
    addIdempotency(scope, courier);
    for (const routes of [
      sendRoutes,
      messageRoutes,
      notificationRoutes,
      notificationContentRoutes,
      providerRoutes,
      eventRoutes,
      translationRoutes,
      inboundRoutes,
    ]) {
      routes(scope, courier);
    }
  });
  await app.ready();

  const call: SendingTarget["call"] = async (method, path, body, headers = {}) => {
    const response = await app.inject({
      method: method as "GET",
      url: path,
      headers: {
        ...("x-courier-client-key" in headers ? {} : { authorization: "Bearer K" }),
        ...(body === undefined ? {} : { "content-type": "application/json" }),
        ...headers,
      },
      ...(body === undefined ? {} : { payload: typeof body === "string" ? body : JSON.stringify(body) }),
    });
    const isJson = String(response.headers["content-type"]).startsWith("application/json") && response.body !== "";
    return {
      status: response.statusCode,
      headers: response.headers,
      text: response.body,
      body: isJson ? JSON.parse(response.body) : undefined,
    };
  };
  return {
    app,
    engine,
    store,
    clock,
    environment,
    outcomes,
    sent,
    call,
    send: async (message) => {
      const { status, body, text } = await call("POST", "/send", { message });
      if (status !== 202) throw new Error(`POST /send answered ${status}: ${text}`);
      return body.requestId;
    },
    settled: async (messageId, more = []) => {
      for (;;) {
        const next = settling.next();
        const { body } = await call("GET", `/messages/${messageId}`);
        if (body.status !== undefined && !PENDING.has(body.status) && !more.includes(body.status)) return body;
        await next;
      }
    },
    close: async () => {
      await app.close();
      await engine.stop(1_000);
      await bus.close();
      if (on === null) await store.close();
    },
  };
}
