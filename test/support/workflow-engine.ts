/**
 * A real engine over a real database with workflows whose texts know one thing only: `{{ path }}`. The clock stands
 * still until a test moves it; providers and fetch steps answer what the test says.
 */
import pino from "pino";
import { memoryBus } from "../../src/bus/memory.ts";
import type { Delivery, Environment, EnvironmentId, Outcome, Rendered } from "../../src/engine/model.ts";
import { type Outgoing, type ProviderKind, RenderError, type Store } from "../../src/engine/ports.ts";
import { type RunningEngine, startEngine } from "../../src/engine/start.ts";
import { PROVIDER, type ProviderBody } from "../../src/engine/templates.ts";
import {
  type ChannelBody,
  STEP_CHANNEL,
  type Step,
  USERS,
  WORKFLOW,
  WORKFLOW_VERSION,
  type Workflow,
} from "../../src/engine/workflow/model.ts";
import { resolvePath } from "../../src/engine/workflow/paths.ts";
import type { FetchAnswer, FetchRequest, StepLanguage, StepScope } from "../../src/engine/workflow/ports.ts";
import type { Trigger } from "../../src/engine/workflow/workflows.ts";
import { FakeClock } from "../../src/lib/clock.ts";
import { newId } from "../../src/lib/ids.ts";
import type { Json, JsonObject } from "../../src/lib/json.ts";
import type { Dialect } from "../../src/storage/database.ts";
import { openStore } from "../../src/storage/store.ts";
import { DIALECTS, newPlace } from "../conformance/databases.ts";
import { noWebhooks } from "./no-webhooks.ts";

export const FEED = "00000000-0000-4000-8000-00000000000f";
const CHANNELS: { readonly [id: string]: Pick<ChannelBody, "key" | "type"> } = {
  [FEED]: { key: "in-app", type: "in_app_feed" },
  "00000000-0000-4000-8000-00000000000e": { key: "email", type: "email" },
  "00000000-0000-4000-8000-00000000000b": { key: "push", type: "push" },
};
export const PUSH = "00000000-0000-4000-8000-00000000000b";
const DAY_MS = 24 * 3_600_000;
let started = 0;

/** What several engines may share. */
export interface SharedWorld {
  readonly store: Store;
  readonly clock: FakeClock;
  readonly env: EnvironmentId;
  /** The environment is not there yet. */
  readonly fresh?: boolean;
}

export interface WorkflowEngine extends SharedWorld {
  /** Null where another's store was given. */
  readonly dialect: Dialect | null;
  readonly engine: RunningEngine;
  /** What it logged that something had failed, a line each. */
  readonly warnings: readonly string[];
  readonly sent: Outgoing[];
  readonly outcomes: Map<string, Outcome>;
  readonly fetched: FetchRequest[];
  /** What the next calls of fetch steps are answered, in turn; then 204. */
  readonly answers: FetchAnswer[];
  /** Commits a workflow. */
  put(key: string, steps: readonly Step[], more?: Partial<Workflow>): Promise<void>;
  activate(key: string, active: boolean): Promise<void>;
  identify(id: string, properties?: JsonObject): Promise<void>;
  /** @param idempotencyKey of a day. */
  trigger(
    key: string,
    over?: Partial<Trigger> & { readonly to?: readonly string[] },
    idempotencyKey?: string | null,
  ): Promise<string>;
  /** Moves the clock and resolves when all that is due then is done. */
  pass(ms?: number): Promise<void>;
  inbox(userId: string): Promise<readonly Delivery[]>;
  close(): Promise<void>;
}

export function inApp(ref: string, body = "{{ data.n }}", more: Partial<Step> = {}): Step {
  return {
    type: "channel",
    ref,
    channel_key: "in-app",
    channel_type: "in_app_feed",
    template: { markdown_body: body },
    ...more,
  } as Step;
}

/** One on each database there is. */
export function startWorkflowEngines(): Promise<readonly WorkflowEngine[]> {
  return Promise.all(DIALECTS.map((dialect) => startWorkflowEngine(dialect)));
}

/**
 * @param on a database, or an engine whose store, clock and environment are shared: that one outlives this one.
 * @param wrap puts something between the engine and its store.
 */
export async function startWorkflowEngine(
  on: Dialect | SharedWorld,
  wrap: (store: Store) => Store = (store) => store,
): Promise<WorkflowEngine> {
  const shared = typeof on === "string" ? null : on;
  const own = typeof on === "string" ? await newPlace(on) : null;
  // Ids never go back within a process, so a second engine of a test file has to start after the first.
  const clock = shared?.clock ?? new FakeClock(Date.UTC(2026, 0, 5, 12) + started++ * 400 * DAY_MS);
  const store = shared?.store ?? (await openStore((own as NonNullable<typeof own>).place));
  const env = shared?.env ?? newId("env", clock.now());
  const warnings: string[] = [];
  const sent: Outgoing[] = [];
  const outcomes = new Map<string, Outcome>();
  const fetched: FetchRequest[] = [];
  const answers: FetchAnswer[] = [];
  const engine = startEngine({
    store: wrap(store),
    bus: memoryBus(),
    clock,
    log: pino({ level: process.env.TEST_LOG ?? "warn" }, logTo(warnings)),
    roll: () => 0.5,
    languages: new Map(),
    kinds: KINDS,
    senders: {
      send: async (outgoing) => {
        sent.push(outgoing);
        return outcomes.get(outgoing.provider.provider) ?? { kind: "sent" };
      },
    },
    tracking: null,
    publicMessageId: (_via, { id }) => id,
    limits: { maxBatch: 256, maxInFlight: 16, tryTimeoutMs: 10_000, leaseMs: 60_000, pollMs: 60_000 },
    retention: { messagesMs: null, inboxMs: null, capturedMs: null },
    webhooks: noWebhooks,
    workflows: {
      language: plainLanguage,
      fetch: async (request) => {
        fetched.push(request);
        return answers.shift() ?? { kind: "answered", status: 204, text: "" };
      },
      accountTimezone: "Etc/UTC",
    },
    deliver: true,
  });
  const write = async (kind: string, id: string, body: object): Promise<void> => {
    await engine.documents.write(env, [{ kind, id, body: body as JsonObject, expect: "any" }], clock.now());
  };
  if (shared === null || shared.fresh === true) await furnish(store, env, clock.now(), write);

  return {
    dialect: typeof on === "string" ? on : null,
    engine,
    store,
    clock,
    env,
    warnings,
    sent,
    outcomes,
    fetched,
    answers,
    async put(key, steps, more = {}) {
      const versionId = newId("wfv", clock.now());
      const workflow: Workflow = { key, name: key, steps, ...more };
      await write(WORKFLOW_VERSION, versionId, { workflow, source: {} });
      await write(WORKFLOW, key, { active: true, draft: null, versionId, committedAt: clock.now() });
    },
    async activate(key, active) {
      const document = await engine.documents.read(env, WORKFLOW, key);
      await write(WORKFLOW, key, { ...document?.body, active });
    },
    async identify(id, properties = {}) {
      await store.parties.write(env, [{ party: { collection: USERS, id }, properties, documents: [] }], clock.now());
    },
    async trigger(key, { to = ["ann"], ...over } = {}, idempotencyKey = null) {
      const trigger: Trigger = {
        key,
        recipients: to.map((userId) => ({ kind: "user", userId, profile: {} })),
        actor: null,
        data: {},
        tenantId: null,
        cancellationKey: null,
        source: { type: "api" },
        sandbox: false,
        skipDelay: false,
        via: "test",
        ...over,
      };
      const idempotency =
        idempotencyKey === null ? null : { scope: "test", key: idempotencyKey, expiresAt: clock.now() + DAY_MS };
      const answer = await engine.workflows.trigger(env, trigger, idempotency, (body) => ({ status: 200, body }));
      return answer.body;
    },
    async pass(ms = 0) {
      await engine.dispatcher.idle();
      clock.advance(ms);
      await engine.dispatcher.idle();
    },
    inbox: async (userId) => (await engine.inbox.list(env, { userId }, clock.now(), { limit: 100 })).items,
    async close() {
      await engine.stop(1_000);
      if (own === null) return;
      await store.close();
      await own.remove();
    },
  };
}

const WARN = 40;

/** Shown only to those who ask for a log. */
function logTo(warnings: string[]): { write(line: string): void } {
  return {
    write(line) {
      if (JSON.parse(line).level >= WARN) warnings.push(line);
      if (process.env.TEST_LOG !== undefined) process.stdout.write(line);
    },
  };
}

const KINDS: ReadonlyMap<string, ProviderKind> = new Map(
  (
    [
      ["courier", "inbox", (_: JsonObject, { userId }) => (userId === null ? null : {})],
      ["smtp", "email", ({ email }) => (typeof email === "string" ? { email } : null)],
      ["fcm", "push", (_, { tokens }) => (tokens.length === 0 ? null : { tokens: tokens.map(({ token }) => token) })],
    ] satisfies readonly [string, ProviderKind["channel"], ProviderKind["address"]][]
  ).map(([provider, channel, address]) => {
    const open = channel === "inbox" ? null : () => ({ send: async () => ({ kind: "sent" as const }) });
    return [provider, { provider, channel, name: provider, description: "", settings: {}, address, open }];
  }),
);

async function furnish(
  store: Store,
  env: EnvironmentId,
  now: number,
  write: (kind: string, id: string, body: object) => Promise<void>,
): Promise<void> {
  const environment: Environment = {
    id: env,
    name: "test",
    signingSecret: Buffer.alloc(32, 7).toString("base64url"),
    publicKey: `pk-${env}`,
    appCode: "AAAAA-BBBBB",
    feedId: FEED,
    createdAt: now,
  };
  await store.environments.create(environment, []);
  for (const [position, provider] of [...KINDS.keys()].entries()) {
    const body: ProviderBody = { provider, title: provider, alias: null, settings: {}, standIn: false, position };
    await write(PROVIDER, newId("prv", now), body);
  }
  for (const [id, channel] of Object.entries(CHANNELS)) {
    await write(STEP_CHANNEL, id, { ...channel, name: channel.key, provider: null, settings: {} });
  }
}

// ——— texts ———————————————————————————————————————————————————————————————————————————————————————————————————————

function fill(text: string, scope: StepScope): string {
  if (text.includes("{{ broken")) throw new RenderError("the text is broken");
  const names = scope as unknown as { readonly [name: string]: Json };
  return text.replace(/\{\{\s*([^}|]+?)\s*(\| json)?\s*\}\}/g, (_, path: string, json?: string) => {
    const value = resolvePath(names, path) ?? null;
    return json !== undefined || (typeof value === "object" && value !== null)
      ? JSON.stringify(value)
      : String(value ?? "");
  });
}

export const plainLanguage: StepLanguage = {
  checkTemplate() {},
  checkText() {},
  render(_type, template, { scope }): Rendered {
    const body = fill(String(template.markdown_body ?? template.html_body ?? template.text_body ?? ""), scope);
    return {
      subject: fill(String(template.subject ?? ""), scope),
      title: "",
      html: body,
      text: body,
      body,
      imageUrl: null,
      clickUrl: null,
      actions: [],
      blocks: [],
      links: [],
      raw: null,
    };
  },
  text: (template, { scope }) => fill(template, scope),
};
