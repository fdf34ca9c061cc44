/**
 * Parts of the channels that are loaded with their first use. A server that never sends a mail holds 15 MB less without
 * the mailer, one that never calls a webhook 18 MB less without the HTTP client.
 */
import type { Sender } from "../engine/ports.ts";
import type { OutboundHttp } from "./outbound-http.ts";

/** What callers need of the client for URLs that users can influence. */
export type Outbound = Pick<OutboundHttp, "request" | "close">;

/** @param open is called once, with the first request; when it rejects, so does every request. */
export function lateOutbound(open: () => Promise<Outbound>): Outbound {
  let opening: Promise<Outbound> | null = null;
  let opened: Outbound | null = null;
  const openAndRequest: Outbound["request"] = async (request) => {
    opening ??= open();
    opened = await opening;
    return await opened.request(request);
  };
  return {
    request: (request) => (opened === null ? openAndRequest(request) : opened.request(request)),
    async close() {
      if (opening !== null) await (await opening).close();
    },
  };
}

/** @param open is called once, with the first send; when it rejects, so does every send, and `Senders` counts a failure. */
export function lateSender(open: () => Promise<Sender>): Sender {
  let opened: Promise<Sender> | null = null;
  return {
    async send(outgoing) {
      opened ??= open();
      return await (await opened).send(outgoing);
    },
    async close() {
      if (opened !== null) await (await opened).close?.();
    },
  };
}
