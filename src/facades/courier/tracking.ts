/** `/e/:id`: where clients tell what a user did, where links in mails lead, and where the open pixel comes from. */
import type { FastifyReply, FastifyRequest } from "fastify";
import type { Delivery, Environment } from "../../engine/model.ts";
import type { TrackingLinks } from "../../engine/plan.ts";
import { Refusal } from "../../engine/refusal.ts";
import { isObject, type Json } from "../../lib/json.ts";
import type { Courier, Routes } from "./courier.ts";
import { shownActions } from "./inbox-content.ts";
import {
  MAX_TRACKING_INDEX,
  parseTrackingId,
  signalOf,
  type Tracked,
  type TrackingSignal,
  trackingId,
} from "./tracking-ids.ts";

const ACTOR = { via: "courier", origin: null };

/** What clients of several ages say, in lower case. `unsubscribe` changes nothing as long as there are no topics. */
const SIGNAL_BY_EVENT: { readonly [event: string]: TrackingSignal | "unsubscribe" } = {
  clicked: "clicked",
  click: "clicked",
  delivered: "delivered",
  opened: "opened",
  open: "opened",
  read: "read",
  unread: "unread",
  unsubscribe: "unsubscribe",
};

/** A transparent GIF of one pixel. */
const PIXEL = Buffer.from("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7", "base64");

/** Schemes that a link may lead to; anything else could run in the reader's browser. */
const SAFE_TARGET = /^(https?:\/\/|mailto:)/i;

/** Addresses for what is rendered: links and the pixel of one delivery. */
export function trackingLinks(
  publicUrl: string,
  environmentById: (id: string) => Environment | undefined,
): TrackingLinks {
  const address = (
    environmentId: Environment["id"],
    kind: "link" | "open" | "unsubscribe",
    deliveryId: Delivery["id"],
    index = 0,
  ): string => {
    const environment = environmentById(environmentId);
    if (environment === undefined) throw new Error(`no environment ${environmentId}`);
    return trackingUrl(publicUrl, trackingId(environment, kind, deliveryId, index));
  };
  return {
    // What could not be followed back stays as the author wrote it.
    click: (environmentId, deliveryId, index, target) =>
      index <= MAX_TRACKING_INDEX && SAFE_TARGET.test(target)
        ? address(environmentId, "link", deliveryId, index)
        : target,
    open: (environmentId, deliveryId) => address(environmentId, "open", deliveryId),
    unsubscribe: (environmentId, deliveryId) => address(environmentId, "unsubscribe", deliveryId),
  };
}

/** The address that takes signals of a tracking id; also what push messages carry as `trackingUrl`. */
export function trackingUrl(publicUrl: string, id: string): string {
  return `${publicUrl}/e/${id}`;
}

export const trackingRoutes: Routes = (app, courier) => {
  app.register(async (scope) => {
    // Beacons cannot set a content type without a preflight, and phones send none at all.
    scope.addContentTypeParser(
      ["text/plain", "application/x-www-form-urlencoded"],
      { parseAs: "string" },
      (_request, body, done) => done(null, parseBeacon(String(body))),
    );
    const config = { access: "anyone" as const };
    scope.post<{ Params: { id: string } }>("/e/:id", { config, bodyLimit: 16 * 1024 }, async (request) => {
      await takeSignal(courier, request.params.id, request.body);
      return { status: "ok" };
    });
    scope.get<{ Params: { id: string } }>("/e/:id", { config }, async (request, reply) =>
      follow(courier, request, reply, request.params.id),
    );
  });
};

function parseBeacon(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Unknown ids are answered like known ones: the address tells nobody whether it exists. */
async function takeSignal(courier: Courier, id: string, body: unknown): Promise<void> {
  const event = isObject(body) && typeof body.event === "string" ? body.event.toLowerCase() : "";
  const signal = Object.hasOwn(SIGNAL_BY_EVENT, event) ? SIGNAL_BY_EVENT[event] : undefined;
  if (signal === undefined) {
    throw new Refusal("invalid", "Expected CLICKED, DELIVERED, OPENED, READ or UNREAD", { field: "event" });
  }
  const tracked = parseTrackingId(id, courier.environmentById);
  if (tracked === null) return;
  if (signal === "unsubscribe") {
    courier.log.info({ deliveryId: tracked.deliveryId }, "tracking.unsubscribe");
    return;
  }
  await record(courier, tracked, signal, id, null);
}

/** A link leads to its target, everything else to the pixel: a reader of mail is never shown an error for an image. */
async function follow(
  courier: Courier,
  request: FastifyRequest,
  reply: FastifyReply,
  id: string,
): Promise<FastifyReply> {
  reply.header("cache-control", "no-store");
  const tracked = parseTrackingId(id, courier.environmentById);
  // Programs that look at mail before people do ask with HEAD; that is not a reader.
  const byReader = request.method === "GET";
  if (tracked?.kind === "link" || tracked?.kind === "action") {
    const delivery = await courier.engine.messages.readDelivery(tracked.environment.id, tracked.deliveryId);
    const target = delivery === null ? undefined : targetOf(tracked, delivery);
    if (target === undefined) throw new Refusal("not_found", "This link is no longer available");
    if (byReader) await tryToRecord(courier, tracked, "clicked", id, target);
    return reply.redirect(target, 302);
  }
  if (tracked?.kind === "unsubscribe") {
    if (byReader) courier.log.info({ deliveryId: tracked.deliveryId }, "tracking.unsubscribe");
    return reply.type("text/plain; charset=utf-8").send("There is no topic to unsubscribe from.");
  }
  const signal = tracked === null ? null : signalOf(tracked.kind);
  if (tracked?.kind === "open" && signal !== null && byReader) await tryToRecord(courier, tracked, signal, id, null);
  return reply.type("image/gif").send(PIXEL);
}

/** Only what the author wrote, never what the request says. */
function targetOf(tracked: Tracked, { content }: Delivery): string | undefined {
  const target = tracked.kind === "link" ? content.links[tracked.index] : shownActions(content)[tracked.index]?.href;
  if (target === undefined || !SAFE_TARGET.test(target)) return undefined;
  // A header takes no control characters and no letters beyond Latin-1.
  return URL.canParse(target) ? new URL(target).href : undefined;
}

/** The reader is to get where the link leads even if we cannot write just now. */
async function tryToRecord(
  courier: Courier,
  tracked: Tracked,
  signal: TrackingSignal,
  id: string,
  href: string | null,
): Promise<void> {
  try {
    await record(courier, tracked, signal, id, href);
  } catch (error) {
    courier.log.error({ err: error, deliveryId: tracked.deliveryId }, "tracking.failed");
  }
}

async function record(
  courier: Courier,
  tracked: Tracked,
  signal: TrackingSignal,
  id: string,
  href: string | null,
): Promise<void> {
  const detail: { readonly [key: string]: Json } = href === null ? { trackingId: id } : { trackingId: id, href };
  const heard = signal === "clicked" && tracked.kind === "link" ? "followed" : signal;
  await courier.engine.inbox.track(tracked.environment.id, tracked.deliveryId, heard, detail, ACTOR);
}
