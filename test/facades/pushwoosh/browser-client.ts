/**
 * What a browser's client of this vendor does, written from the contract (section f) and not from its code: in which
 * order it calls while it starts, what it keeps, how it goes on from there, and what it cannot bear.
 */
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { APP_CODE, inboxOf, type Message, type PushwooshTarget } from "./pushwoosh-target.ts";

/** What lives on in a browser between page loads. */
export interface Kept {
  hwid: string;
  userId: string | null;
  lastRequestCode: string;
  newMessages: number;
  openedAt: number;
  readonly messages: Map<string, Message>;
}

export interface Shown {
  readonly title: string;
  readonly text: string;
  readonly type: "plain" | "rich media" | "url" | "deep link";
  readonly link: string;
  readonly isRead: boolean;
  readonly code: string;
}

export function newBrowser(): Kept {
  return {
    hwid: `${APP_CODE}_${randomUUID()}`,
    userId: null,
    lastRequestCode: "",
    newMessages: 0,
    openedAt: Number.NEGATIVE_INFINITY,
    messages: new Map(),
  };
}

export class BrowserClient {
  readonly calls: string[] = [];
  updates = 0;
  readonly #target: PushwooshTarget;
  readonly #kept: Kept;
  readonly #apiToken: string | undefined;

  constructor(target: PushwooshTarget, kept: Kept, apiToken?: string) {
    this.#target = target;
    this.#kept = kept;
    this.#apiToken = apiToken;
  }

  /** A page load without a key for web pushes. @param userId the option of that name. */
  async start(userId: string): Promise<void> {
    const kept = this.#kept;
    if (kept.userId !== null && kept.userId !== userId) kept.hwid = `${APP_CODE}_${randomUUID()}`;
    const { features } = await this.#call("getConfig", { features: ["page_visit", "vapid_key", "web_in_apps"] });
    assert.equal(typeof features, "object");
    assert.equal(features.vapid_key, undefined);
    const now = this.#target.clock.now();
    if (now - kept.openedAt >= 3_600_000) {
      await this.#call("applicationOpen");
      kept.openedAt = now;
    }
    if (kept.userId !== userId) {
      await this.#call("registerUser", { userId, ts_offset: 3600 });
      kept.userId = userId;
    }
    await this.sync();
  }

  /** Asks for everything and takes over what came: known messages keep the status they have here. */
  async sync(): Promise<void> {
    const kept = this.#kept;
    const inbox = inboxOf(
      await this.#call("getInboxMessages", { count: 0, last_code: kept.lastRequestCode, last_request_time: 0 }),
    );
    kept.lastRequestCode = inbox.next;
    kept.newMessages = inbox.new_inbox;
    const now = String(Math.floor(this.#target.clock.now() / 1000));
    for (const [id, message] of kept.messages) if (message.rt < now) kept.messages.delete(id);
    for (const id of inbox.deleted) kept.messages.delete(id);
    for (const message of inbox.messages) {
      const known = kept.messages.get(message.inbox_id);
      kept.messages.set(message.inbox_id, known === undefined ? message : { ...message, status: known.status });
    }
    this.updates++;
  }

  loadMessages(): readonly Shown[] {
    return [...this.#kept.messages.values()]
      .filter(({ status }) => [1, 2, 3].includes(status))
      .sort((a, b) => Number.parseInt(b.order, 10) - Number.parseInt(a.order, 10))
      .map((message) => {
        const { l } = JSON.parse(message.action_params);
        const plain = l === undefined ? "plain" : /^http/.test(l) ? "url" : "deep link";
        return {
          title: message.title,
          text: message.text,
          type: message.action_type === 2 ? "rich media" : plain,
          link: l ?? "/",
          isRead: message.status === 2 || message.status === 3,
          code: message.inbox_id,
        };
      });
  }

  unreadCount(): number {
    return [...this.#kept.messages.values()].filter(({ status }) => status === 1).length;
  }

  /** Here first, then one call for each, all at once. */
  async report(codes: readonly string[], status: 2 | 3 | 4): Promise<void> {
    await Promise.all(
      codes.map(async (code) => {
        const message = this.#kept.messages.get(code);
        assert.ok(message !== undefined);
        this.#kept.messages.set(code, { ...message, status });
        const inbox_code = Number.parseInt(message.order, 10);
        await this.#call("inboxStatus", { inbox_code, status, time: this.#target.clock.now() });
      }),
    );
  }

  /** What the service worker reports of a push. */
  pushed(method: "messageDeliveryEvent" | "pushStat", hash: string | undefined): Promise<unknown> {
    return this.#call(method, { hash, metaData: {} });
  }

  // biome-ignore lint/suspicious/noExplicitAny: whatever the server said
  async #call(method: string, fields: object = {}): Promise<any> {
    this.calls.push(method);
    const { hwid, userId } = this.#kept;
    const common = {
      hwid,
      userId: userId ?? hwid,
      device_type: 11,
      device_model: "Chrome 126",
      timezone: 3600,
      language: "en-US",
      v: "3.55.0",
    };
    const headers = {
      "content-type": "text/plain;charset=UTF-8",
      origin: "https://site.test",
      authorization: this.#apiToken === undefined ? undefined : `Token ${this.#apiToken}`,
    };
    const answer = await this.#target.call(method, { ...common, ...fields }, headers);
    assert.equal(answer.headers.get("access-control-allow-origin"), "https://site.test");
    assert.deepEqual([answer.http, answer.code], [200, 200], `${method}: ${answer.message}`);
    return answer.response;
  }
}
