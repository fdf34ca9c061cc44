/**
 * `/demo`: Courier's inbox and toast, Knock's feed and a Pushwoosh list side by side, and a form that sends to them. For local development
 * only: whoever reaches these paths may read and write the two users' inboxes without any credential.
 */
import type { FastifyInstance, FastifyRequest } from "fastify";
import type { Engine } from "../engine/engine.ts";
import type { Environment, SendSpec } from "../engine/model.ts";
import { Refusal } from "../engine/refusal.ts";
import type { Millis } from "../lib/clock.ts";
import { isObject, type Json, type JsonObject } from "../lib/json.ts";
import { apiUrls, webSocketUrl } from "./api-urls.ts";
import { StaticPages } from "./static-pages.ts";

export interface DemoDeps {
  /** False: none of the paths exists. */
  readonly enabled: boolean;
  readonly engine: Engine;
  readonly environment: () => Environment;
  /** Where browsers reach this server. Read at each request, so it may be a getter that waits for the port. */
  readonly publicUrl: string;
  /** @param scopes without the ones that name the users. */
  readonly issueToken: (userIds: readonly string[], scopes: readonly string[], ttlMs: Millis) => Promise<string>;
  /** The built pages; those of the dashboard workspace by default. */
  readonly pages?: StaticPages;
}

/** The only users of the demo: a token for a real user is never to be had here. */
export const DEMO_USERS = [
  { key: "a", userId: "demo-ada", name: "Ada" },
  { key: "b", userId: "demo-ben", name: "Ben" },
] as const;
type DemoUser = (typeof DEMO_USERS)[number];

const SCOPES = ["inbox:read:messages", "inbox:write:events"];
const TOKEN_TTL_MS = 12 * 60 * 60 * 1000;
const MAX_BODY_BYTES = 64 * 1024;
const MAX_TAGS = 10;

/** Registers `/demo` and everything below it, or nothing when the demo is off. */
export function demoRoutes(app: FastifyInstance, deps: DemoDeps): void {
  if (!deps.enabled) return;
  const pages = deps.pages ?? new StaticPages(new URL("../../dashboard/dist/", import.meta.url));

  // A scope of its own, so that its hook touches no other path.
  app.register(async (demo) => {
    demo.addHook("onRequest", async (request, reply) => {
      // The rest of the server is open to every origin because credentials travel in headers. Here there are none:
      // without this, any website could fetch a token from the developer's own machine.
      reply.removeHeader("access-control-allow-origin").removeHeader("access-control-expose-headers");
      refuseStrangers(request, deps.publicUrl);
    });

    const connectTo = (): string[] => [new URL(deps.publicUrl).origin, new URL(webSocketUrl(deps.publicUrl)).origin];
    demo.get("/demo", (request, reply) => pages.sendPage(request, reply, "demo", connectTo()));
    demo.get("/demo/inbox", (request, reply) => pages.sendPage(request, reply, "demo-inbox", connectTo()));
    demo.get("/demo/feed", (request, reply) => pages.sendPage(request, reply, "demo-feed", connectTo()));
    demo.get("/demo/list", (request, reply) => pages.sendPage(request, reply, "demo-list", connectTo()));
    demo.get<{ Params: { name: string } }>("/demo/assets/:name", (request, reply) =>
      pages.sendAsset(request, reply, request.params.name),
    );

    demo.get("/demo/setup", async (_request, reply) => {
      reply.header("cache-control", "no-store");
      return { users: DEMO_USERS, apiUrls: apiUrls(deps.publicUrl) };
    });

    demo.get("/demo/session", async (request, reply) => {
      const user = demoUser((request.query as { readonly user?: unknown }).user, "user");
      const jwt = await deps.issueToken([user.userId], SCOPES, TOKEN_TTL_MS);
      reply.header("cache-control", "no-store");
      const { publicKey, feedId, appCode } = deps.environment();
      const host = new URL(deps.publicUrl).origin;
      const feed = { host, publicKey, channelId: feedId };
      const pushwoosh = { url: `${host}/json/1.3/`, application: appCode };
      return { userId: user.userId, name: user.name, jwt, apiUrls: apiUrls(deps.publicUrl), feed, pushwoosh };
    });

    demo.post("/demo/send", { bodyLimit: MAX_BODY_BYTES }, async (request, reply) => {
      const spec = sendSpec(request.body);
      const { status, body } = await deps.engine.send(deps.environment().id, spec, null, (requestId) => ({
        status: 202,
        body: JSON.stringify({ requestId }),
      }));
      return reply.code(status).type("application/json").send(body);
    });
  });
}

// ——— who may ask —————————————————————————————————————————————————————————————————————————————————————————————————

/**
 * Lets through the demo's own pages and callers that are no browser. Two kinds of website are kept out: one that calls
 * from its own origin, and one whose name was made to point at this machine, so that its origin looks like ours.
 */
function refuseStrangers(request: FastifyRequest, publicUrl: string): void {
  const { host = "", origin, "sec-fetch-site": site } = request.headers;
  const name = URL.canParse(`http://${host}`) ? new URL(`http://${host}`).hostname : "";
  if (!cannotBeRebound(name) && name !== new URL(publicUrl).hostname) {
    throw new Refusal("forbidden", "The demo answers on localhost, on an IP address and on the public URL only");
  }
  const foreignOrigin = origin !== undefined && origin !== new URL(publicUrl).origin && hostOf(origin) !== host;
  // `none` is the address bar. A frame or a link of another site is refused as well: nothing is lost by it.
  const foreignSite = site !== undefined && site !== "same-origin" && site !== "none";
  if (foreignOrigin || foreignSite) throw new Refusal("forbidden", "The demo answers its own pages only");
}

/** @returns "" for an origin that has none, such as `null`. */
function hostOf(origin: string): string {
  return URL.canParse(origin) ? new URL(origin).host : "";
}

/** Names that no stranger's DNS decides on. */
function cannotBeRebound(hostname: string): boolean {
  if (hostname === "localhost" || hostname.endsWith(".localhost")) return true;
  return hostname.startsWith("[") || /^\d+\.\d+\.\d+\.\d+$/.test(hostname);
}

// ——— what is to be sent ——————————————————————————————————————————————————————————————————————————————————————————

function sendSpec(body: unknown): SendSpec {
  if (!isObject(body)) throw new Refusal("invalid", "Expected a JSON object with `to`, `title` and `body`");
  const title = text(body.title, "title", 1, 200);
  const elements: Json[] = [
    { type: "meta", title },
    { type: "text", content: text(body.body, "body", 1, 4_000) },
  ];
  if (body.action !== undefined && body.action !== null) elements.push(actionElement(body.action));
  return {
    recipients: recipients(body.to).map(({ userId }) => ({ kind: "user", userId, profile: {} })),
    content: { kind: "inline", language: "elemental", source: { version: "2022-01-01", elements } },
    data: {},
    mode: "published",
    via: "demo",
    routing: { method: "single", channels: ["inbox"] },
    tags: tags(body.tags),
  };
}

function recipients(to: Json | undefined): readonly DemoUser[] {
  if (!Array.isArray(to) || to.length === 0 || to.length > DEMO_USERS.length) {
    throw new Refusal("invalid", 'Expected a list with "a", "b" or both', { field: "to" });
  }
  return [...new Set(to.map((key, i) => demoUser(key, `to.${i}`)))];
}

function demoUser(key: unknown, field: string): DemoUser {
  const user = DEMO_USERS.find((candidate) => candidate.key === key);
  if (user === undefined) throw new Refusal("invalid", 'Expected "a" or "b"', { field });
  return user;
}

function tags(value: Json | undefined): readonly string[] {
  if (value === undefined) return [];
  if (!Array.isArray(value) || value.length > MAX_TAGS) {
    throw new Refusal("invalid", `Expected at most ${MAX_TAGS} tags`, { field: "tags" });
  }
  return value.map((tag, i) => text(tag, `tags.${i}`, 1, 50));
}

function actionElement(action: Json): JsonObject {
  if (!isObject(action)) throw new Refusal("invalid", "Expected an object or nothing", { field: "action" });
  const content = text(action.label, "action.label", 1, 60);
  const href = text(action.href, "action.href", 1, 2_000);
  if (!URL.canParse(href) || !/^https?:$/.test(new URL(href).protocol)) {
    throw new Refusal("invalid", "The link must be an http or https address", { field: "action.href" });
  }
  return { type: "action", content, href };
}

/** Text that every database and every client can keep: no NUL, no half of a surrogate pair. */
function text(value: unknown, field: string, least: number, most: number): string {
  if (typeof value !== "string" || value.length < least || value.length > most) {
    throw new Refusal("invalid", `\`${field}\` must be a text of ${least} to ${most} characters`, { field });
  }
  if (value.includes("\0") || !value.isWellFormed()) {
    throw new Refusal("invalid", `\`${field}\` contains characters that are not text`, { field });
  }
  return value;
}
