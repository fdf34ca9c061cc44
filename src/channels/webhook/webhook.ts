import type { Outcome, Provider } from "../../engine/model.ts";
import type { Outgoing, Sender } from "../../engine/ports.ts";
import { Refusal } from "../../engine/refusal.ts";
import type { Clock, Millis } from "../../lib/clock.ts";
import { deepMerge, isObject, type Json, type JsonObject } from "../../lib/json.ts";
import type { OutboundResult } from "../http-exchange.ts";
import type { Outbound } from "../late.ts";
import { retryAfter } from "../retry-after.ts";

/** The error keeps a little of the receiver's answer, for the person who has to find out why. */
const EXCERPT_LENGTH = 200;

/** Posts messages as JSON to the recipient's webhook, or to the one in the provider's settings. */
export function openWebhook(provider: Provider, deps: { readonly http: Outbound; readonly clock: Clock }): Sender {
  return {
    async send(outgoing) {
      let request: WebhookRequest;
      try {
        request = webhookRequest(outgoing, provider.settings);
      } catch (error) {
        if (!(error instanceof Refusal)) throw error;
        return { kind: "rejected", reason: error.message };
      }
      const result = await deps.http.request({ ...request, signal: outgoing.signal });
      return webhookOutcome(result, deps.clock.now());
    },
  };
}

export interface WebhookRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: { readonly [name: string]: string };
  readonly body: string | null;
}

/** @throws Refusal("invalid") when the recipient's webhook or an override cannot be understood. */
export function webhookRequest({ delivery }: Pick<Outgoing, "delivery">, settings: JsonObject): WebhookRequest {
  const written = delivery.origin === undefined ? null : delivery.content.raw?.request;
  if (isObject(written)) return writtenRequest(delivery, written);
  const override = delivery.override ?? {};
  const { webhook } = delivery.address;
  const target = isObject(webhook) && typeof webhook.url === "string" ? webhook : settings;
  const configured = text(target.url, "url");
  const url = text(override.url, "override.url") ?? configured;
  if (url === undefined) throw new Refusal("invalid", "the webhook has no url", { field: "url" });

  const headers: Record<string, string> = {
    "content-type": "application/json",
    // The same on every try, so that a receiver can tell a repetition from a new message.
    "idempotency-key": delivery.id,
  };
  // The operator's credentials are for the operator's receiver; an override must not carry them to another one.
  const isElsewhere = target === settings && configured !== undefined && origin(url) !== origin(configured);
  const authorization = isElsewhere ? null : authorizationOf(target === settings ? fromSettings(settings) : target);
  if (authorization !== null) headers.authorization = authorization;
  addHeaders(headers, target.headers, "headers");
  addHeaders(headers, override.headers, "override.headers");
  return { method: methodOf(override.method ?? target.method), url, headers, body: JSON.stringify(bodyOf(delivery)) };
}

/** Of a workflow's step, whose author wrote the whole request. */
function writtenRequest({ id, content }: Outgoing["delivery"], written: JsonObject): WebhookRequest {
  const method = (text(written.method, "method") ?? "POST").toUpperCase();
  const url = text(written.url, "url");
  if (url === undefined || url === "") throw new Refusal("invalid", "the request has no url", { field: "url" });
  const body = method === "GET" ? null : (text(written.body, "body") ?? null);
  const isJson = body !== null && typeof content.raw?.payload === "object";
  const headers: Record<string, string> = { "idempotency-key": id };
  if (body !== null) headers["content-type"] = isJson ? "application/json" : "text/plain; charset=utf-8";
  addHeaders(headers, written.headers, "headers");
  return { method, url, headers, body };
}

/** Pure: what an answer means for the delivery. */
export function webhookOutcome(result: OutboundResult, now: Millis): Outcome {
  if (result.kind === "refused") return { kind: "rejected", reason: result.reason };
  if (result.kind === "unreachable") return { kind: "failed", reason: result.reason };
  const { status } = result;
  if (status >= 200 && status < 300) return { kind: "sent", statusCode: status };
  const excerpt = excerptOf(result.body);
  const reason = excerpt === "" ? `answered ${status}` : `answered ${status}: ${excerpt}`;
  if (status !== 408 && status !== 429 && status < 500) return { kind: "rejected", reason, statusCode: status };
  const header = result.headers["retry-after"];
  const notBefore = retryAfter(header, now);
  return notBefore === null
    ? { kind: "failed", reason, statusCode: status }
    : { kind: "failed", reason, statusCode: status, notBefore };
}

function bodyOf(delivery: Outgoing["delivery"]): Json {
  const { content } = delivery;
  const payload = content.raw?.payload ?? {
    message: {
      to: delivery.userId === null ? {} : { user_id: delivery.userId },
      data: delivery.data,
      content: content.raw ?? { title: content.title, body: content.text },
    },
  };
  const over = delivery.override?.body;
  if (over === undefined || over === null) return payload;
  return isObject(over) && isObject(payload) ? deepMerge(payload, over) : over;
}

/** Settings are flat, because a form is made of them. */
function fromSettings(settings: JsonObject): JsonObject {
  const { authentication, username, password, token } = settings;
  return { authentication: { mode: authentication ?? "none", username, password, token } };
}

function authorizationOf(target: JsonObject): string | null {
  const { authentication } = target;
  if (authentication === undefined || authentication === null) return null;
  if (!isObject(authentication)) throw expected("authentication", "an object");
  const mode = text(authentication.mode, "authentication.mode") ?? "none";
  if (mode === "none") return null;
  if (mode === "bearer") return `Bearer ${text(authentication.token, "authentication.token") ?? ""}`;
  if (mode !== "basic") throw expected("authentication.mode", "none, basic or bearer");
  const username = text(authentication.username, "authentication.username") ?? "";
  const password = text(authentication.password, "authentication.password") ?? "";
  return `Basic ${Buffer.from(`${username}:${password}`).toString("base64")}`;
}

/** Names of headers do not mind their case; the later value replaces the earlier one. */
function addHeaders(headers: Record<string, string>, more: Json | undefined, field: string): void {
  if (more === undefined || more === null) return;
  if (!isObject(more)) throw expected(field, "an object");
  for (const [name, value] of Object.entries(more)) {
    if (name === "__proto__" || value === undefined || value === null) continue;
    if (typeof value === "object") throw expected(`${field}.${name}`, "a string");
    headers[name.toLowerCase()] = String(value);
  }
}

function methodOf(value: Json | undefined): "POST" | "PUT" {
  const method = (text(value, "method") ?? "POST").toUpperCase();
  if (method !== "POST" && method !== "PUT") throw expected("method", "POST or PUT");
  return method;
}

function origin(url: string): string {
  return URL.parse(url)?.origin ?? url;
}

function text(value: Json | undefined, field: string): string | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value !== "string") throw expected(field, "a string");
  return value;
}

function expected(field: string, what: string): Refusal {
  return new Refusal("invalid", `the webhook's ${field} must be ${what}`, { field });
}

function excerptOf(body: Buffer): string {
  return body
    .toString("utf8", 0, EXCERPT_LENGTH * 4)
    .replace(/[\p{Cc}\s]+/gu, " ")
    .trim()
    .slice(0, EXCERPT_LENGTH)
    .toWellFormed();
}
