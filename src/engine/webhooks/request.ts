/** From a message and an endpoint to the request of one try: transformed if the endpoint wants that, signed anew. */
import type { Millis } from "../../lib/clock.ts";
import { isObject } from "../../lib/json.ts";
import type { EndpointRequest } from "./exchange.ts";
import type { AppEndpoint, AppMessage } from "./model.ts";
import type { WebhookSettings } from "./settings.ts";
import { sign, signersAt } from "./signing.ts";
import type { Sandbox } from "./webhooks.ts";

export type MadeRequest =
  | { readonly kind: "made"; readonly request: Omit<EndpointRequest, "timeoutMs" | "signal"> }
  /** The endpoint's transformation wants nothing to be sent. */
  | { readonly kind: "canceled"; readonly url: string }
  /** The endpoint's transformation is at fault. */
  | { readonly kind: "failed"; readonly reason: string };

export interface RequestParts {
  readonly message: AppMessage;
  readonly endpoint: AppEndpoint;
  readonly settings: Pick<WebhookSettings, "headerNames" | "transformations" | "requireHttps">;
  readonly sandbox: Pick<Sandbox, "transform">;
  /** An id as receivers are told it. */
  readonly spell: (id: string) => string;
  readonly now: Millis;
}

interface Content {
  readonly method: EndpointRequest["method"];
  readonly url: string;
  readonly body: string;
  readonly headers: { readonly [name: string]: string };
}

/** The body is the stored text, byte for byte, unless a transformation made another; the signature is over what is sent. */
export async function endpointRequest(parts: RequestParts): Promise<MadeRequest> {
  const { message, endpoint, settings } = parts;
  const plain: Content = { method: "POST", url: endpoint.url, body: message.raw ?? message.payload ?? "", headers: {} };
  const code =
    endpoint.transformation?.enabled === true && settings.transformations ? endpoint.transformation.code : null;
  if (code === null) return made(parts, plain);
  const input = {
    method: "POST" as const,
    url: plain.url,
    payload: message.payload ?? "{}",
    eventType: message.eventType,
    channels: message.channels,
    variables: endpoint.transformation?.variables ?? {},
    parameters: message.parameters,
  };
  const result = await parts.sandbox.transform(code, input);
  if (result.kind === "failed") return { kind: "failed", reason: `transformation: ${result.reason}` };
  const { method, url, payload, headers, cancel } = result.output;
  if (cancel) return { kind: "canceled", url };
  if (settings.requireHttps && URL.parse(url)?.protocol !== "https:") {
    return { kind: "failed", reason: "transformation: expected an https URL" };
  }
  // A transformation that leaves the payload alone leaves alone what is sent in its place, too.
  const body = payload === input.payload ? plain.body : payload;
  return made(parts, { method, url, body, headers });
}

function made({ message, endpoint, settings, spell, now }: RequestParts, content: Content): MadeRequest {
  const id = spell(message.id);
  const seconds = Math.floor(now / 1000);
  const signature = sign(signersAt(endpoint, now), id, seconds, content.body);
  const headers: { [name: string]: string } = { "content-type": contentTypeOf(message) };
  if (settings.headerNames !== "standard") {
    headers["svix-id"] = id;
    headers["svix-timestamp"] = `${seconds}`;
    headers["svix-signature"] = signature;
  }
  if (settings.headerNames !== "svix") {
    headers["webhook-id"] = id;
    headers["webhook-timestamp"] = `${seconds}`;
    headers["webhook-signature"] = signature;
  }
  lay(headers, endpoint.headers);
  lay(headers, content.headers);
  return { kind: "made", request: { method: content.method, url: content.url, body: content.body, headers } };
}

/** Names of headers know no case: a later one replaces an earlier one however it is written. */
function lay(headers: { [name: string]: string }, over: { readonly [name: string]: string }): void {
  for (const [name, value] of Object.entries(over)) {
    const lower = name.toLowerCase();
    for (const known of Object.keys(headers)) if (known.toLowerCase() === lower) delete headers[known];
    headers[name] = value;
  }
}

/** Raw content may say what it is; whatever else it is called, it is JSON. */
function contentTypeOf({ raw, parameters }: AppMessage): string {
  if (raw === null || !isObject(parameters?.headers)) return "application/json";
  const named = Object.entries(parameters.headers).find(([name]) => name.toLowerCase() === "content-type");
  return typeof named?.[1] === "string" ? named[1] : "application/json";
}
