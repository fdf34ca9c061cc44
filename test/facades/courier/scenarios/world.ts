/**
 * The set-up that all acceptance scenarios share: one whole server for each database and file, and somebody else's mail
 * servers E1 and E2, in this order, to send through. SMS (S1) and push are captured. Scenarios keep apart by their ids
 * and addresses.
 */
import assert from "node:assert/strict";
import { after, afterEach, before } from "node:test";
import Courier from "@trycourier/courier";
import type { App } from "../../../../src/app.ts";
import { FakeClock } from "../../../../src/lib/clock.ts";
import type { Dialect } from "../../../../src/storage/database.ts";
import { forEachDatabase, newPlace } from "../../../conformance/databases.ts";
import { SECRET_KEY, startServer } from "../../../support/server.ts";
import { type ReceivedMail, type SmtpReceiver, smtpReceiver } from "../../../support/smtp-receiver.ts";

export type Details = Courier.MessageRetrieveResponse;
export type History = readonly { readonly ts: number; readonly type: string; readonly [field: string]: unknown }[];
export type Output = Courier.MessageContentResponse["results"];

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  // biome-ignore lint/suspicious/noExplicitAny: whatever the server said; scenarios look at it field by field
  readonly body: any;
}

export interface Captured {
  readonly message_id: string;
  readonly address: { readonly phone?: string; readonly tokens?: readonly string[] };
  readonly payload: { readonly body: string; readonly title?: string; readonly data?: Record<string, unknown> };
}

/** What a scenario may wait for: "eventually". */
const EVENTUALLY_MS = 10_000;
/** After these, a message goes no further by itself. */
const UNDER_WAY: ReadonlySet<string> = new Set(["ENQUEUED", "ROUTED"]);
const YEAR_MS = 366 * 24 * 3_600_000;
let started = 0;

export class World {
  readonly #dialect: Dialect;
  readonly #clock: FakeClock | null;
  readonly #undo: (() => Promise<void>)[] = [];
  #app: (App & { readonly sdk: Courier }) | null = null;
  #mailServers: readonly [SmtpReceiver, SmtpReceiver] | null = null;
  /** Ids of E1 and E2 as providers: both are of the same kind. */
  readonly #providerIds: string[] = [];
  #count = 0;

  constructor(dialect: Dialect, clock: FakeClock | null) {
    this.#dialect = dialect;
    this.#clock = clock;
  }

  async start(): Promise<void> {
    const { place, remove } = await newPlace(this.#dialect);
    this.#undo.push(remove);
    this.#app = await startServer(
      {
        CARILLON_DATA_DIR: place.dataDir,
        CARILLON_DATABASE_URL: place.url ?? "",
        CARILLON_DATABASE_POOL: String(place.poolSize),
        CARILLON_DURABILITY: place.durability,
      },
      this.#clock === null ? {} : { clock: this.#clock, roll: () => 0.5 },
    );
    this.#undo.push(() => this.app.close());
    this.#mailServers = [await smtpReceiver(), await smtpReceiver()];
    for (const [i, server] of this.#mailServers.entries()) {
      this.#undo.push(() => server.close());
      const { host, port } = server;
      const settings = { host, port, from: "Carillon <bells@example.com>" };
      const { id } = await this.sdk.providers.create({ provider: "smtp", title: `E${i + 1}`, settings });
      this.#providerIds.push(id);
    }
  }

  /** Between scenarios: both mail servers take everything again. */
  reset(): void {
    for (const server of this.#mailServers ?? []) server.answer("rcpt", "ok");
  }

  async close(): Promise<void> {
    for (const step of this.#undo.splice(0).reverse()) await step();
  }

  get app(): App {
    assert.ok(this.#app !== null, "the world has begun");
    return this.#app;
  }

  /** The vendor's own client with the secret key, without repetitions. */
  get sdk(): Courier {
    assert.ok(this.#app !== null, "the world has begun");
    return this.#app.sdk;
  }

  get url(): string {
    return this.app.url;
  }

  get clock(): FakeClock {
    assert.ok(this.#clock !== null, "this world goes by the real time");
    return this.#clock;
  }

  get e1(): SmtpReceiver {
    return this.#mailServer(0);
  }

  get e2(): SmtpReceiver {
    return this.#mailServer(1);
  }

  #mailServer(i: 0 | 1): SmtpReceiver {
    assert.ok(this.#mailServers !== null, "the world has begun");
    return this.#mailServers[i];
  }

  /** Which of a message's history entries came of E1 or E2. */
  async historyOf(messageId: string, server: "E1" | "E2"): Promise<string[]> {
    const id = this.#providerIds[server === "E1" ? 0 : 1];
    const entries = await this.history(messageId);
    return entries
      .filter(({ integration }) => (integration as { id?: string } | undefined)?.id === id)
      .map(({ type }) => type);
  }

  /** A name that no other scenario of this world has. */
  fresh(name: string): string {
    return `${name}-${++this.#count}`;
  }

  /** A client with another credential. */
  client(apiKey: string): Courier {
    return new Courier({ apiKey, baseURL: this.url, maxRetries: 0 });
  }

  /** A plain call with the secret key; `headers` may replace it, undefined leaves a header out. */
  async call(
    method: string,
    path: string,
    body?: unknown,
    headers: { readonly [name: string]: string | undefined } = {},
  ): Promise<Answer> {
    const all = {
      authorization: `Bearer ${SECRET_KEY}`,
      ...(body === undefined ? {} : { "content-type": "application/json" }),
      ...headers,
    };
    const response = await fetch(this.url + path, {
      method,
      headers: Object.entries(all).filter((entry): entry is [string, string] => entry[1] !== undefined),
      body: body === undefined ? null : typeof body === "string" ? body : JSON.stringify(body),
    });
    const text = await response.text();
    const isJson = response.headers.get("content-type")?.startsWith("application/json") ?? false;
    return {
      status: response.status,
      headers: response.headers,
      text,
      body: isJson && text !== "" ? JSON.parse(text) : undefined,
    };
  }

  /** Sends through the SDK. @returns the request id, which is the message's for a single recipient. */
  async send(message: object, options: { sdk?: Courier; headers?: Record<string, string> } = {}): Promise<string> {
    const { sdk = this.sdk, headers = {} } = options;
    // Its types know less than the protocol: tenants as recipients, elements of content, opening hours.
    const { requestId } = await sdk.send.message(
      { message: message as Courier.SendMessageParams["message"] },
      { headers },
    );
    return requestId;
  }

  /** Nothing that is due now is left to do. */
  idle(): Promise<void> {
    return this.app.engine.dispatcher.idle();
  }

  /** The message once it goes no further by itself; rejects when that takes too long. */
  async ended(messageId: string): Promise<Details> {
    const until = Date.now() + EVENTUALLY_MS;
    for (;;) {
      await this.idle();
      const message = await this.sdk.messages.retrieve(messageId);
      if (!UNDER_WAY.has(message.status)) return message;
      assert.ok(Date.now() < until, `message ${messageId} is still ${message.status}`);
    }
  }

  /** Sends, and resolves with the message once it goes no further by itself. */
  async sent(message: object): Promise<Details> {
    return await this.ended(await this.send(message));
  }

  /** All messages of a request, oldest first, each at its end. */
  async messagesOf(requestId: string): Promise<readonly Details[]> {
    await this.idle();
    const { results } = await this.sdk.messages.list({ traceId: requestId });
    return await Promise.all(results.toReversed().map(({ id }) => this.ended(id)));
  }

  async history(messageId: string): Promise<History> {
    // Typed as records of anything by the SDK; what the fields are is what scenarios check.
    return (await this.sdk.messages.history(messageId)).results as unknown as History;
  }

  async output(messageId: string): Promise<Output> {
    return (await this.sdk.messages.content(messageId)).results;
  }

  /** Mails that E1 took for this address; `from` another server. */
  mails(address: string, from: SmtpReceiver = this.e1): readonly ReceivedMail[] {
    return from.mails.filter((mail) => mail.to.includes(address));
  }

  /** The one mail that E1 took for this address. */
  mail(address: string): ReceivedMail {
    const [mail, ...more] = this.mails(address);
    assert.ok(mail !== undefined, `a mail for ${address}`);
    assert.equal(more.length, 0, `one mail for ${address} only`);
    return mail;
  }

  /** What S1 or the push provider was given for a message. */
  async captured(channel: "sms" | "push", messageId: string): Promise<readonly Captured[]> {
    const { status, body } = await this.call("GET", `/admin/captured?channel=${channel}&message_id=${messageId}`);
    assert.equal(status, 200);
    return body.items;
  }

  /** The text of the one SMS of a message. */
  async sms(messageId: string): Promise<string> {
    const captured = await this.captured("sms", messageId);
    assert.equal(captured.length, 1, `one sms for ${messageId}`);
    return (captured[0] as Captured).payload.body;
  }

  /** A published template of these elements; what it is called comes from `more`. */
  async template(elements: readonly object[], more: { alias?: string; name?: string } = {}): Promise<string> {
    const created = await this.sdk.notifications.create({
      notification: notification(elements, more),
      state: "PUBLISHED",
    });
    return created.id;
  }
}

/** All keys that writing a template takes. The elements are the contract's, which says more than the SDK's types. */
export function notification(
  elements: readonly object[],
  { name = "Template", alias }: { readonly name?: string; readonly alias?: string | undefined } = {},
): Courier.NotificationCreateParams["notification"] {
  const content = { version: "2022-01-01", elements } as Courier.NotificationCreateParams["notification"]["content"];
  const known = { name, tags: [], brand: null, subscription: null, routing: null, content };
  return alias === undefined ? known : Object.assign(known, { alias });
}

/**
 * Declares the scenarios once for each database.
 * @param clock `fake` stands still until the scenario moves it.
 */
export function onEveryDatabase(clock: "real" | "fake", scenarios: (world: World) => void): void {
  forEachDatabase((name) => {
    // Ids never go back within a process, so a world has to begin after the one before it has ended.
    const begin = Date.UTC(2026, 0, 5, 12) + started++ * YEAR_MS;
    const world = new World(name, clock === "fake" ? new FakeClock(begin) : null);
    before(() => world.start());
    afterEach(() => world.reset());
    after(() => world.close());
    scenarios(world);
  });
}

/** Status of what the SDK was refused with; fails when it was not refused. */
export async function refusal(call: Promise<unknown>): Promise<InstanceType<typeof Courier.APIError>> {
  const error = await call.then(
    () => assert.fail("expected a refusal"),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof Courier.APIError, String(error));
  return error;
}
