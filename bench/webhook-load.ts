/** What the measurements of webhooks have in common: applications with endpoints at the receiver, and calls as the SDK makes them. */
import { randomUUID } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import { Svix } from "svix";
import { Pool } from "undici";
import { SECRET_KEY } from "../test/support/child.ts";
import type { Helper } from "./measure.ts";
import type { Arrivals, ReceiverQuestion, Tally } from "./processes/receiver.ts";

/** Calls under way at once, and tries at once of the bare loop: as many as the server makes at one endpoint. */
export const CALLERS = 64;
/** The open loop must not wait for answers. */
const CONNECTIONS = 256;

export const PAYLOAD = {
  id: 42,
  amount: "99.00",
  currency: "EUR",
  customer: { name: "Ada Lovelace", email: "ada@example.com" },
};
const MESSAGE = { eventType: "invoice.paid", payload: PAYLOAD };

/** Milliseconds on the clock that all processes of the machine share. */
export function machineNow(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

let groups = 0;

/** The addresses of one application at the receiver. */
export interface Group {
  readonly name: string;
  readonly appId: string;
}

/** Calls one server, and asks the receiver what has come. */
export class WebhookLoad {
  readonly #svix: Svix;
  readonly #pool: Pool;
  readonly #receiver: Helper;
  readonly #receiverUrl: string;

  constructor(server: string, receiver: Helper, receiverUrl: string) {
    this.#svix = new Svix(SECRET_KEY, { serverUrl: server });
    this.#pool = new Pool(server, { connections: CONNECTIONS, pipelining: 1 });
    this.#receiver = receiver;
    this.#receiverUrl = receiverUrl;
  }

  /** A new application, with endpoints that answer and endpoints that hang. */
  async application(answering: number, hanging = 0): Promise<Group> {
    const name = `g${groups++}`;
    const { id } = await this.#svix.application.create({ name });
    for (let i = 0; i < answering + hanging; i++) {
      const behaviour = i < answering ? "ok" : "hang";
      await this.#svix.endpoint.create(id, { url: `${this.#receiverUrl}/${behaviour}/${name}/${i}` });
    }
    return { name, appId: id };
  }

  /**
   * Makes so many messages, each as soon as a caller is free.
   * @param more fields of the message. @returns when it began.
   */
  async postAll({ appId }: Group, count: number, more: object = {}): Promise<number> {
    const body = JSON.stringify({ ...MESSAGE, ...more });
    const startedAt = machineNow();
    let begun = 0;
    const caller = async (): Promise<void> => {
      while (begun < count) {
        begun++;
        await (await this.#post(appId, body)).dump();
      }
    };
    await Promise.all(Array.from({ length: CALLERS }, caller));
    return startedAt;
  }

  /**
   * Makes messages at a constant rate, however long they take.
   * @returns by id when each was due to be sent: what a client that is late itself adds counts, too.
   */
  async postSteadily({ appId }: Group, perSecond: number, seconds: number): Promise<ReadonlyMap<string, number>> {
    const body = JSON.stringify(MESSAGE);
    const dueAt = new Map<string, number>();
    const calls: Promise<void>[] = [];
    const postAt = async (due: number): Promise<void> => {
      const { id } = (await (await this.#post(appId, body)).json()) as { id: string };
      dueAt.set(id, due);
    };
    const startedAt = machineNow();
    const total = Math.floor(perSecond * seconds);
    while (calls.length < total) {
      const now = machineNow();
      for (;;) {
        const due = startedAt + (calls.length / perSecond) * 1000;
        if (calls.length === total || due > now) break;
        calls.push(postAt(due));
      }
      await pause(1);
    }
    await Promise.all(calls);
    return dueAt;
  }

  /** Waits until so many of the group's webhooks have come. */
  async arrived({ name }: Group, count: number): Promise<Tally> {
    return await this.#ask<Tally>({ kind: "await", group: name, count });
  }

  /** By message id when its first webhook came. */
  async arrivals({ name }: Group): Promise<ReadonlyMap<string, number>> {
    return new Map((await this.#ask<Arrivals>({ kind: "arrivals", group: name })).times);
  }

  async close(): Promise<void> {
    await this.#pool.destroy();
  }

  #ask<T>(question: ReceiverQuestion): Promise<T> {
    return this.#receiver.ask<T>(question);
  }

  /** With the headers that the SDK sends, but not through it: it costs more than the server. */
  async #post(appId: string, body: string) {
    const answer = await this.#pool.request({
      method: "POST",
      path: `/api/v1/app/${appId}/msg`,
      headers: {
        accept: "application/json, */*;q=0.8",
        authorization: `Bearer ${SECRET_KEY}`,
        "user-agent": "svix-libs/1.99.1/javascript",
        "svix-req-id": `${Math.floor(Math.random() * Number.MAX_SAFE_INTEGER)}`,
        "idempotency-key": `auto_${randomUUID()}`,
        "content-type": "application/json",
      },
      body,
    });
    if (answer.statusCode !== 202) throw new Error(`answered ${answer.statusCode}: ${await answer.body.text()}`);
    return answer.body;
  }
}
