/** Messages sent as anyone sends them, with what came of them and what they cost. */
import assert from "node:assert/strict";
import { type Answer, type HostileServer, startHostile } from "./hostile-server.ts";
import { makeThings } from "./valid-calls.ts";

/** What one call may cost: of this thread's processor, client included, so that a busy machine makes nothing fail. */
export const MAX_BLOCKED_MS = 1_000;
export const MEGABYTE = 1_000_000;
export const EVERYWHERE = { method: "all", channels: ["email", "sms", "inbox"] };

export interface Sending {
  readonly server: HostileServer;
  /** Sends to somebody new with a mail address and a phone, unless the message says to whom. */
  send(message: object, what: string): Promise<Answer>;
  /** As `send`; fails when it costs more than `MAX_BLOCKED_MS`. */
  quickly(message: object, what: string): Promise<Answer>;
  /** Everything that was rendered for a message; empty when it was refused. */
  outputOf(answer: Pick<Answer, "status" | "text">): Promise<string>;
}

export async function startSending(): Promise<Sending> {
  const server = await startHostile("sqlite", { CARILLON_ALLOW_NETWORKS: "" });
  await makeThings(server);
  let sent = 0;
  const send: Sending["send"] = (message, what) => {
    const to = { user_id: `u${sent++}`, email: "a@example.com", phone_number: "+15550100" };
    return server.decent("POST", "/send", { body: { message: { to, ...message } } }, what);
  };
  return {
    server,
    send,
    async quickly(message, what) {
      const before = process.threadCpuUsage();
      const answer = await send(message, what);
      const { user, system } = process.threadCpuUsage(before);
      const tookMs = (user + system) / 1_000;
      assert.ok(tookMs < MAX_BLOCKED_MS, `${what}: took ${Math.round(tookMs)} ms`);
      return answer;
    },
    async outputOf({ status, text }) {
      if (status !== 202) return "";
      const { requestId } = JSON.parse(text);
      const output = await server.decent("GET", `/messages/${requestId}/output`);
      const captured = await server.decent("GET", `/admin/captured?message_id=${requestId}`);
      return output.text + captured.text;
    },
  };
}

/** The result of the work, and the longest time of this thread's processor that one turn of the event loop took meanwhile. */
export async function watched<T>(work: () => Promise<T>): Promise<{ readonly longestMs: number; readonly result: T }> {
  let longest = 0;
  let watching = true;
  let last = process.threadCpuUsage();
  const look = (): void => {
    const now = process.threadCpuUsage();
    longest = Math.max(longest, now.user + now.system - last.user - last.system);
    last = now;
    if (watching) setImmediate(look);
  };
  setImmediate(look);
  const result = await work();
  watching = false;
  look();
  return { longestMs: longest / 1_000, result };
}
