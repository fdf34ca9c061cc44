/** Posts one message to the developer's own address, as an endpoint would get it. */
import { Agent, request } from "undici";
import type { EnvironmentId, MessageId } from "../engine/model.ts";
import type { AppEndpoint, AppMessage } from "../engine/webhooks/model.ts";
import { endpointRequest, type MadeRequest } from "../engine/webhooks/request.ts";
import type { WebhookSettings } from "../engine/webhooks/settings.ts";
import type { Clock, Millis } from "../lib/clock.ts";
import { type HeardMessage, reasonOf } from "./listen-server.ts";

export interface Forwarded {
  /** 0: there was no answer. */
  readonly status: number;
  /** Why there was none; null when there was. */
  readonly error: string | null;
  readonly tookMs: Millis;
  readonly sent: string;
  /** The beginning of what was answered. */
  readonly answer: string;
}

export interface Forwarder {
  /** Never rejects. Null when the message has no content any more. */
  forward(message: HeardMessage, headerNames: WebhookSettings["headerNames"]): Promise<Forwarded | null>;
  close(): Promise<void>;
}

/** Somebody may be looking at it in a debugger. */
const TIMEOUT_MS = 120_000;
const MAX_ANSWER_BYTES = 64 * 1024;

export function forwarder(options: {
  readonly url: string;
  readonly secret: string;
  readonly version: string;
  readonly clock: Clock;
}): Forwarder {
  const { url, secret, version, clock } = options;
  const { hostname } = new URL(url);
  const isLocal = hostname === "localhost" || hostname.endsWith(".localhost") || /^(127\.|\[::1\])/.test(hostname);
  const agent = new Agent({
    headersTimeout: TIMEOUT_MS,
    bodyTimeout: TIMEOUT_MS,
    // A certificate that a developer made for his own machine proves nothing that the address does not.
    connect: { rejectUnauthorized: !isLocal },
  });
  return {
    async forward(message, headerNames) {
      if (message.payload === null && message.raw === null) return null;
      const made = await requestOf(message, url, secret, headerNames, clock.now());
      const startedAt = performance.now();
      const done = (status: number, answer: string, error: string | null): Forwarded => {
        return { status, error, answer, sent: made.body, tookMs: Math.round(performance.now() - startedAt) };
      };
      try {
        const response = await request(made.url, {
          method: made.method,
          headers: { ...made.headers, accept: "*/*", "user-agent": `Carillon/${version}` },
          body: made.body,
          dispatcher: agent,
          signal: AbortSignal.timeout(TIMEOUT_MS),
          // Development servers come and go: a connection that was kept is often a dead one.
          reset: true,
        });
        return done(response.statusCode, await beginningOf(response.body), null);
      } catch (error) {
        return done(0, "", reasonOf(error));
      }
    },
    close: () => agent.destroy(),
  };
}

/** Made by what makes the requests to endpoints, so that nothing can differ. */
async function requestOf(
  heard: HeardMessage,
  url: string,
  secret: string,
  headerNames: WebhookSettings["headerNames"],
  now: Millis,
): Promise<(MadeRequest & { readonly kind: "made" })["request"]> {
  const createdAt = Date.parse(heard.created_at);
  const message: AppMessage = {
    environmentId: NOWHERE.environmentId,
    appId: NOWHERE.appId,
    id: heard.id as MessageId,
    eventId: heard.event_id,
    eventType: heard.event_type,
    channels: heard.channels,
    tags: null,
    payload: heard.payload,
    raw: heard.raw,
    parameters: heard.parameters,
    deliverAt: null,
    payloadUntil: Number.POSITIVE_INFINITY,
    createdAt,
  };
  const made = await endpointRequest({
    message,
    endpoint: { ...NOWHERE, url, secret },
    settings: { headerNames, transformations: false, requireHttps: false },
    sandbox: { transform: async () => ({ kind: "failed", reason: "there are no transformations here" }) },
    // The server has spelled it.
    spell: (id) => id,
    now,
  });
  if (made.kind !== "made") throw new Error("without a transformation there is always a request");
  return made.request;
}

/** An endpoint that exists in no database. */
const NOWHERE: AppEndpoint = {
  environmentId: "env_listen" as EnvironmentId,
  appId: "app_listen",
  id: "ep_listen",
  uid: null,
  url: "",
  description: "",
  throttleRate: null,
  version: 1,
  disabled: false,
  eventTypes: null,
  channels: null,
  metadata: {},
  headers: {},
  secret: "",
  oldSecrets: [],
  transformation: null,
  kind: "http",
  createdAt: 0,
  updatedAt: 0,
  deletedAt: null,
};

/** An answer that fails on its way, or never ends, has had its status all the same. */
async function beginningOf(body: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  try {
    for await (const chunk of body) {
      chunks.push(chunk);
      length += chunk.length;
      if (length >= MAX_ANSWER_BYTES) break;
    }
  } catch {
    // What came is what is shown.
  }
  return Buffer.concat(chunks).subarray(0, MAX_ANSWER_BYTES).toString();
}
