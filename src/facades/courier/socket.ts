/**
 * Courier's inbox socket on `/`, `/ws` and `/ws/`. A connection is admitted by its credential; which inbox it hears is
 * said by its first frames (v1, legacy) or by connecting (seed). Profiles are described in socket-frames.ts.
 */
import type { Environment } from "../../engine/model.ts";
import type { InboxEvent } from "../../engine/ports.ts";
import { Refusal } from "../../engine/refusal.ts";
import { isShown } from "../../http/inbox-visibility.ts";
import type { Principal } from "../../http/principal.ts";
import { isObject, type JsonObject } from "../../lib/json.ts";
import type { Connection, Dialect } from "../../realtime/connection.ts";
import type { UpgradeAnswer, UpgradeHandler } from "../../realtime/upgrade.ts";
import { identify, unauthorized } from "./auth.ts";
import type { Courier } from "./courier.ts";
import { toCourierError } from "./errors.ts";
import { mayRead } from "./inbox-resolvers.ts";
import {
  ackFrame,
  configFrame,
  errorFrame,
  eventName,
  frameOf,
  type Profile,
  pongFrame,
  reconnectFrame,
} from "./socket-frames.ts";

/** Paths of the socket; clients append a slash or do not. */
export const SOCKET_PATHS = ["/", "/ws", "/ws/"] as const;

/** What a connection may do. It changes when a client shows a new token. */
interface Session {
  readonly environment: Environment;
  /** Users whose inboxes it may hear; empty until a client key has proven one. */
  userIds: readonly string[];
  mayRead: boolean;
  /** A client key that was shown at the upgrade, to be proven by the subscription. */
  readonly clientKey: string | null;
  /** Ends when the frame at work is done; frames that came meanwhile wait for it. Null when none is. */
  turn: Promise<void> | null;
}

interface Filter {
  /** Exactly this tenant, null for messages without one. */
  readonly tenantId: string | null;
  /** One event's name, or `*`. */
  readonly event: string;
}

type CourierConnection = Connection<Session, Filter>;
type CourierDialect = Dialect<Session, Filter>;

const MAX_NAME_LENGTH = 512;
/** Users of one connection. */
const MAX_USERS = 50;

/** The handler of every path in `SOCKET_PATHS`. Expired and unknown credentials are refused with 401 before the upgrade. */
export function courierSocket(courier: Courier): UpgradeHandler {
  const dialects: { readonly [profile in Profile]: CourierDialect } = {
    v1: { ...dialectOf(courier, "v1"), goodbye: reconnectFrame },
    seed: dialectOf(courier, "seed"),
    legacy: dialectOf(courier, "legacy"),
  };
  return async (query) => {
    const text = (name: string): string | null => query.get(name) || null;
    const credential = text("auth") ?? text("token") ?? text("clientKey");
    const principal = credential === null ? null : await courier.findPrincipal(credential);
    // The secret key belongs to no browser, and no user comes with it.
    if (credential === null || principal === null || principal.kind === "secret") return refused(unauthorized());
    const owner = principal.kind === "user" ? principal.userIds[0] : null;
    if (owner === undefined) return refused(new Refusal("forbidden", "The token names no user"));
    const profile: Profile = query.has("iwpv") ? "v1" : text("token") !== null ? "seed" : "legacy";
    const tenantId = text("accountId") ?? text("tenantId");
    const session = sessionOf(principal, credential);
    await courier.visibility.of(principal.environment.id);
    return {
      kind: "welcome",
      opening: {
        dialect: dialects[profile] as Dialect,
        environmentId: principal.environment.id,
        session,
        cid: text("cid")?.slice(0, MAX_NAME_LENGTH) ?? null,
        ownerId: owner,
        expiresAt: expiryOf(principal),
      },
      opened: (connection) => {
        if (profile === "seed") subscribeAll(courier, connection as CourierConnection, tenantId);
      },
    };
  };
}

/** What upgrade.ts needs: the handler under each of its paths. */
export function courierSockets(courier: Courier): ReadonlyMap<string, UpgradeHandler> {
  const handler = courierSocket(courier);
  return new Map(SOCKET_PATHS.map((path) => [path, handler] as const));
}

function sessionOf(principal: Principal & { kind: "user" | "public" }, credential: string): Session {
  return principal.kind === "user"
    ? {
        environment: principal.environment,
        userIds: principal.userIds,
        mayRead: mayRead(principal),
        clientKey: null,
        turn: null,
      }
    : { environment: principal.environment, userIds: [], mayRead: false, clientKey: credential, turn: null };
}

function expiryOf(principal: Principal): number | null {
  return principal.kind === "user" && Number.isFinite(principal.expiresAt) ? principal.expiresAt : null;
}

function refused(refusal: Refusal): UpgradeAnswer {
  const { status, body } = toCourierError(refusal);
  return { kind: "refused", status, body: { ...body } };
}

function dialectOf(courier: Courier, profile: Profile): CourierDialect {
  return {
    name: `courier-${profile}`,
    encode(event) {
      const environment = courier.environmentById(event.environmentId);
      return environment === undefined ? null : frameOf(profile, event, environment);
    },
    wants: (event, filter) =>
      wants(event, filter) &&
      (event.kind === "changed-all" ||
        isShown("courier", courier.visibility.lastKnown(event.environmentId), event.item)),
    received: (connection, frame) => received(courier, profile, connection, frame),
  };
}

/** A change of everything concerns every tenant; one message concerns its own tenant's view only. */
function wants(event: InboxEvent, filter: Filter): boolean {
  if (event.kind !== "changed-all" && event.item.tenantId !== filter.tenantId) return false;
  return filter.event === "*" || filter.event === eventName(event);
}

// ——— frames from the client ——————————————————————————————————————————————————————————————————————————————————————

/** Frames take effect in the order in which they came, also when one has to wait for the database. */
function received(courier: Courier, profile: Profile, connection: CourierConnection, text: string): void {
  const { session } = connection;
  const work =
    session.turn === null
      ? handle(courier, profile, connection, text)
      : session.turn.then(() => handle(courier, profile, connection, text));
  if (work === null) return;
  const turn = work.then(
    () => {
      if (session.turn === turn) session.turn = null;
    },
    (error: unknown) => {
      courier.log.error({ err: error, socket: connection.dialect.name }, "socket.failed");
      connection.close(1011, "internal error");
    },
  );
  session.turn = turn;
}

/** @returns null when the frame is dealt with. */
function handle(courier: Courier, profile: Profile, connection: CourierConnection, text: string): Promise<void> | null {
  const frame = parseFrame(text);
  // Only v1 clients number their frames, and only numbered frames are answered.
  const numbered = profile !== "legacy" && frame !== null && Object.hasOwn(frame, "tid");
  const tid = numbered ? frame.tid : undefined;
  const data = frame !== null && isObject(frame.data) ? frame.data : {};
  switch (frame?.action) {
    case "get-config":
      if (numbered) connection.send(configFrame(tid));
      return null;
    case "ping":
      if (numbered) connection.send(pongFrame(tid));
      return null;
    case "subscribe": {
      const tell = (error: string | null): void => {
        if (error !== null) connection.send(errorFrame(tid, error));
        else if (numbered) connection.send(ackFrame(tid));
      };
      if (mustProve(connection.session, data)) {
        return proveUser(courier, connection, data).then((error) =>
          tell(error ?? subscribe(courier, connection, data)),
        );
      }
      tell(subscribe(courier, connection, data));
      return null;
    }
    case "unsubscribe":
      courier.hub.unsubscribe(connection, (one) => one.userId === data.channel);
      if (numbered) connection.send(ackFrame(tid));
      return null;
    case "renewSession":
      return renew(courier, connection, data.auth);
    case "pong":
    case "keepAlive":
      return null;
    default:
      if (numbered) connection.send(errorFrame(tid, "unknown action"));
      return null;
  }
}

function parseFrame(text: string): JsonObject | null {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : null;
  } catch {
    return null;
  }
}

/** @returns what to tell the client if it may not; null when it is subscribed. */
function subscribe(courier: Courier, connection: CourierConnection, data: JsonObject): string | null {
  const channel = nameIn(data.channel);
  const { session } = connection;
  if (channel === null) return "data.channel must be the id of a user";
  if (!session.userIds.includes(channel)) return "not allowed to hear this channel";
  if (!session.mayRead) return "the token lacks the scope inbox:read:messages";
  const tenantId = nameIn(data.accountId);
  // Taken for none, it would let in the messages of another inbox than the one that was asked for.
  if (tenantId === null && data.accountId != null && data.accountId !== "") {
    return "data.accountId must be the id of a tenant";
  }
  const filter = { tenantId, event: nameIn(data.event) ?? "*" };
  const origin = nameIn(data.clientSourceId) ?? connection.cid;
  return subscribeTo(courier, connection, channel, filter, origin) ? null : "too many subscriptions";
}

function mustProve(session: Session, data: JsonObject): boolean {
  // A channel of another type is refused on the way.
  return session.clientKey !== null && !(session.userIds as readonly unknown[]).includes(data.channel);
}

/** A client key is public: the signature beside it, or the settings, say whether it may act for the user. */
async function proveUser(courier: Courier, connection: CourierConnection, data: JsonObject): Promise<string | null> {
  const { session } = connection;
  const userId = nameIn(data.channel);
  if (userId === null) return "data.channel must be the id of a user";
  const proven = await identify(courier, {
    clientKey: session.clientKey ?? undefined,
    userId,
    signature: nameIn(data.userSignature) ?? undefined,
  });
  if (proven?.kind !== "user") return "the client key alone may not act for this user";
  if (!connection.open) return "closed";
  if (!courier.hub.claim(connection, userId)) return "too many sockets are open for this user";
  if (session.userIds.length >= MAX_USERS) return "too many users on one socket";
  session.userIds = [...session.userIds, userId];
  session.mayRead = mayRead(proven);
  return null;
}

/** A client shows a new token before the old one ends, so that its socket may stay. */
async function renew(courier: Courier, connection: CourierConnection, auth: unknown): Promise<void> {
  const principal = typeof auth === "string" ? await courier.findPrincipal(auth) : null;
  if (!connection.open) return;
  const { session, ownerId } = connection;
  if (
    principal?.kind !== "user" ||
    principal.environment.id !== session.environment.id ||
    // The connection counts against its first user for as long as it lives.
    (ownerId !== null && !principal.userIds.includes(ownerId))
  ) {
    connection.close(4401, "token not valid");
    return;
  }
  // Opened with a client key that has not proven a user yet: the token does.
  const [firstUser] = principal.userIds;
  if (ownerId === null && (firstUser === undefined || !courier.hub.claim(connection, firstUser))) {
    connection.close(1008, "too many sockets are open for this user");
    return;
  }
  session.userIds = principal.userIds;
  session.mayRead = mayRead(principal);
  connection.expiresAt = expiryOf(principal);
  courier.hub.unsubscribe(connection, (one) => !session.mayRead || !session.userIds.includes(one.userId));
}

function subscribeAll(courier: Courier, connection: CourierConnection, tenantId: string | null): void {
  const { session } = connection;
  if (!session.mayRead) {
    connection.send(errorFrame(undefined, "the token lacks the scope inbox:read:messages"));
    return;
  }
  for (const userId of session.userIds.slice(0, MAX_USERS)) {
    subscribeTo(courier, connection, userId, { tenantId, event: "*" }, connection.cid);
  }
}

/** Subscriptions are a set of users and tenants: asking twice changes nothing. */
function subscribeTo(
  courier: Courier,
  connection: CourierConnection,
  userId: string,
  filter: Filter,
  origin: string | null,
): boolean {
  const key = filter.tenantId === null ? userId : `${userId}\0${filter.tenantId}`;
  return courier.hub.subscribe(connection, { key, userId, filter, origin });
}

function nameIn(value: unknown): string | null {
  return typeof value === "string" && value !== "" && value.length <= MAX_NAME_LENGTH ? value : null;
}
