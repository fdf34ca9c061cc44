/**
 * What the acceptance scenarios share: on every database one server for a file, spoken to by either major of the SDK,
 * in an environment of its own for every test.
 *
 *   forEachSpeaker({}, (who, open) => {
 *     test(`${who}: 14. Stats: …`, async (t) => { const scene = await open(t); await scene.svix.application.create(…); });
 *   });
 */
import assert from "node:assert/strict";
import { after, describe, mock, type TestContext } from "node:test";
import { Webhook as StandardWebhook } from "standardwebhooks";
import type { BackgroundTaskOut, EndpointIn, EndpointOut, MessageAttemptOut, MessageOut, Svix } from "svix";
import { Webhook } from "svix";
import { Webhook as Webhook2 } from "svix2";
import type { EnvironmentId } from "../../../../src/engine/model.ts";
import { FakeClock, type Millis } from "../../../../src/lib/clock.ts";
import { DIALECTS } from "../../../conformance/databases.ts";
import { type HttpReceiver, httpReceiver, type ReceivedRequest } from "../../../support/http-receiver.ts";
import { ended } from "../eventually.ts";
import { type Clients, type SvixTarget, startSvixTarget } from "../svix-target.ts";

export const SECOND: Millis = 1_000;
export const MINUTE: Millis = 60 * SECOND;
export const HOUR: Millis = 60 * MINUTE;
export const DAY: Millis = 24 * HOUR;

const FIRST_START = Date.UTC(2026, 0, 5, 12);
const clocks: FakeClock[] = [];

/** Ids never go back within a process: each clock begins after all that there were have got to. */
export function laterClock(): FakeClock {
  const clock = new FakeClock(Math.max(FIRST_START, ...clocks.map((one) => one.now())) + 7 * DAY);
  clocks.push(clock);
  return clock;
}

export type Settings = Omit<NonNullable<Parameters<typeof startSvixTarget>[0]>, "dialect" | "clock">;

export interface Scene extends Clients {
  readonly target: SvixTarget;
  readonly environmentId: EnvironmentId;
  readonly clock: FakeClock;
  readonly major: 1 | 2;
  /** Of the scene's major: to be used under the names that both have. */
  readonly svix: Svix;
  /** A new application. */
  app(uid?: string): Promise<string>;
  /** `eventTypes` under whichever name the major has for it. */
  endpoint(app: string, endpoint: NewEndpoint): Promise<EndpointOut>;
  /** With its payload in the answer. */
  message(app: string, message?: Partial<Parameters<Svix["message"]["create"]>[1]>): Promise<MessageOut>;
  /** Of a message, the oldest first, as they are and not as they count. */
  attempts(app: string, message: string): Promise<MessageAttemptOut[]>;
  /** Closed when the test is over. */
  receiver(): Promise<HttpReceiver>;
  /** Resolves when all that is due has been tried and nothing is under way. */
  idle(): Promise<void>;
  /** Moves the clock and waits for what became due. */
  pass(ms: Millis): Promise<void>;
  key(app: string, endpoint: string): Promise<string>;
  /** A task after its end. */
  task(id: string): Promise<BackgroundTaskOut>;
}

export type NewEndpoint = Omit<EndpointIn, "filterTypes"> & { readonly eventTypes?: string[] | null };
export type OpenScene = (t: TestContext) => Promise<Scene>;

/** Declares the suite for each database and each major of the SDK. */
export function forEachSpeaker(settings: Settings, suite: (who: string, open: OpenScene) => void): void {
  for (const dialect of DIALECTS) {
    describe(dialect, () => {
      let opened: Promise<SvixTarget> | undefined;
      const target = () => (opened ??= startSvixTarget({ ...settings, dialect, clock: laterClock() }));
      after(async () => (await opened)?.close());
      for (const major of [1, 2] as const) {
        suite(`${dialect}, svix ${major}`, async (t) => await sceneOf(t, await target(), major));
      }
    });
  }
}

/** For a test that needs a server to itself. */
export async function lonelyScene(
  t: TestContext,
  settings: NonNullable<Parameters<typeof startSvixTarget>[0]>,
  major: 1 | 2 = 1,
): Promise<Scene> {
  const target = await startSvixTarget({ clock: laterClock(), ...settings });
  // Hooks run in the order in which they are set: what cleans up needs the server.
  const scene = await sceneOf(t, target, major);
  t.after(() => target.close());
  return scene;
}

export async function sceneOf(t: TestContext, target: SvixTarget, major: 1 | 2): Promise<Scene> {
  const own = await target.another();
  const svix = major === 1 ? own.svix : (own.svix2 as unknown as Svix);
  const { clock } = target;
  const idle = (): Promise<void> => target.app.engine.dispatcher.idle();
  let apps = 0;
  // What it left to be tried is nobody else's business.
  t.after(async () => {
    const { data } = await own.svix.application.list({ limit: 250 });
    for (const { id } of data) await own.svix.application.delete(id);
  });
  return {
    ...own,
    target,
    clock,
    major,
    svix,
    idle,
    async app(uid = `app-${++apps}`) {
      return (await svix.application.create({ name: uid, uid })).uid as string;
    },
    async endpoint(app, { eventTypes, ...rest }) {
      const given = eventTypes === undefined ? rest : { ...rest, eventTypes, filterTypes: eventTypes };
      return await svix.endpoint.create(app, given);
    },
    async message(app, message = {}) {
      const given = { eventType: "x.y", payload: { a: 1 }, ...message };
      return await svix.message.create(app, given, { withContent: true });
    },
    async attempts(app, message) {
      const { data } = await svix.messageAttempt.listByMsg(app, message, { withContent: true, limit: 250 });
      return data.reverse();
    },
    async receiver() {
      const receiver = await httpReceiver();
      t.after(() => receiver.close());
      return receiver;
    },
    async pass(ms) {
      clock.advance(ms);
      await idle();
    },
    key: async (app, endpoint) => (await svix.endpoint.getSecret(app, endpoint)).key,
    async task(id) {
      await idle();
      // In a scene of two processes the other one may have it.
      return await ended({ svix }, id);
    },
  };
}

/**
 * That each verifier package takes the request for genuine at this moment, by either set of headers where it reads
 * both, and would not under another secret or with another body.
 */
export function assertVerifies(secret: string, request: ReceivedRequest, at: Millis): void {
  const all = request.headers as Record<string, string>;
  const only = (set: string): Record<string, string> =>
    Object.fromEntries(["id", "timestamp", "signature"].map((what) => [`${set}-${what}`, all[`${set}-${what}`] ?? ""]));
  const other = `whsec_${Buffer.alloc(24, 9).toString("base64")}`;
  const verify = (key: string, body: string): (() => unknown)[] => [
    ...["svix", "webhook"].flatMap((set) => [
      () => new Webhook(key).verify(body, only(set)),
      () => new Webhook2(key).verify(body, only(set)),
    ]),
    () => new StandardWebhook(key).verify(body, only("webhook")),
  ];
  mock.timers.enable({ apis: ["Date"], now: at });
  try {
    const isJson = isJsonText(request.text);
    for (const check of verify(secret, request.text)) {
      try {
        const told = check();
        if (told !== undefined) assert.deepEqual(told, JSON.parse(request.text));
      } catch (error) {
        // Packages that parse what they verified do so only when the signature was right.
        if (isJson || !(error instanceof SyntaxError)) throw error;
      }
    }
    for (const check of [...verify(other, request.text), ...verify(secret, `${request.text} `)]) {
      assert.throws(check, /No matching signature/);
    }
  } finally {
    mock.timers.reset();
  }
}

function isJsonText(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** Answers each path, without its slash, with the status that `statuses` has for it; 200 for others. */
export function answerByPath(receiver: HttpReceiver, statuses: { [path: string]: number }): void {
  receiver.answer(({ url }, response) => {
    response.writeHead(statuses[url.slice(1)] ?? 200).end();
  });
}

/** How often each path was called. */
export function callsByPath(receiver: HttpReceiver): { [path: string]: number } {
  const calls: { [path: string]: number } = {};
  for (const { url } of receiver.requests) calls[url.slice(1)] = (calls[url.slice(1)] ?? 0) + 1;
  return calls;
}
