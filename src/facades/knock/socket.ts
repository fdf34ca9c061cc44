/**
 * Knock's socket on `/ws/v1/websocket`: Phoenix channels, one for each feed of a user, and one for guides.
 *
 *   upgrade ─▶ open ──phx_join──▶ joined ──new-message…──▶ ──phx_leave──▶ open
 *                        └─ error reply: it asks again after a while
 *
 * The key and the token of the upgrade are looked at again with each join: a token that is over by then joins nothing
 * more, and what it has joined stays.
 */
import type { FastifyInstance } from "fastify";
import type { Environment } from "../../engine/model.ts";
import type { Connection, Dialect, Subscription } from "../../realtime/connection.ts";
import type { UpgradeAnswer, UpgradeHandler } from "../../realtime/upgrade.ts";
import { Attention, isHeard, type JoinedFeed } from "./attention.ts";
import { authorize, type Caller, mayActFor, tenantsOpenTo } from "./auth.ts";
import { KnockError } from "./errors.ts";
import { feedChannel } from "./feed-channels.ts";
import { countedBy, countsOf } from "./feed-scope.ts";
import { GuideChannels, isGuidesTopic, type JoinedGuides } from "./guide-socket.ts";
import { feedTopic, type Listener, listenersOf } from "./joins.ts";
import type { Knock } from "./knock.ts";
import { sourceKeys } from "./message-source.ts";
import { closeFrame, PHOENIX, type PhoenixFrame, parsePhoenix, replyFrame } from "./phoenix-frames.ts";

const SOCKET_PATH = "/ws/v1/websocket";

interface Session {
  readonly environment: Environment;
  readonly apiKey: string;
  readonly userToken: string | undefined;
  /** Ends when the frame at work is done; frames that came meanwhile wait for it. Null when none is. */
  turn: Promise<void> | null;
}

/** What a client has joined. */
type Joined = JoinedFeed | JoinedGuides;
type KnockConnection = Connection<Session, Joined>;
type OwnSubscription = Subscription<Session, Joined>;

interface Parts {
  readonly knock: Knock;
  readonly guides: GuideChannels;
}

/** Twice the time after which clients send a heartbeat. */
const SILENT_MS = 60_000;
/** A page joins all its channels at once when it comes back. */
const FRAMES_AT_ONCE = 250;
const MAX_CREDENTIAL_LENGTH = 16_384;
const REFUSED: UpgradeAnswer = { kind: "refused", status: 403, body: null };
const NO_HANDSHAKE: UpgradeAnswer = { kind: "refused", status: 400, body: null };

/** What upgrade.ts needs: the handler under its path. Whoever may not come in is answered 403 without a body. */
export function knockSockets(knock: Knock): ReadonlyMap<string, UpgradeHandler> {
  const dialect = dialectOf(knock);
  const handler: UpgradeHandler = async (query, request) => {
    if (request.method !== "GET") return NO_HANDSHAKE;
    const apiKey = given(query, "api_key");
    const userToken = given(query, "user_token");
    if (apiKey === undefined || !(query.get("vsn") ?? "").startsWith("2.")) return REFUSED;
    const caller = await callerOf(knock, apiKey, userToken);
    if (caller === null) return REFUSED;
    const session: Session = { environment: caller.environment, apiKey, userToken, turn: null };
    return {
      kind: "welcome",
      opening: {
        dialect: dialect as Dialect,
        environmentId: caller.environment.id,
        session,
        cid: null,
        ownerId: caller.user?.id ?? null,
        expiresAt: null,
      },
    };
  };
  return new Map([[SOCKET_PATH, handler]]);
}

/** Whoever comes to the socket's path and does not ask for a socket. */
export function socketPathRoutes(app: FastifyInstance): void {
  app.route({
    method: ["GET", "POST", "PUT", "DELETE"],
    url: SOCKET_PATH,
    handler: (_request, reply) => reply.code(400).send(),
  });
}

/** A client leaves `&&` behind where it has nothing to say, or an empty value. */
function given(query: URLSearchParams, name: string): string | undefined {
  const value = query.get(name);
  return value === null || value === "" || value.length > MAX_CREDENTIAL_LENGTH ? undefined : value;
}

/** @returns null for credentials that do not let in, the secret key among them: it belongs to no browser. */
async function callerOf(knock: Knock, apiKey: string, userToken: string | undefined): Promise<Caller | null> {
  try {
    const caller = await authorize(knock, { apiKey, userToken });
    return caller.kind === "public" ? caller : null;
  } catch (error) {
    if (error instanceof KnockError) return null;
    throw error;
  }
}

function dialectOf(knock: Knock): Dialect<Session, Joined> {
  const { engine, clock } = knock;
  const parts: Parts = { knock, guides: new GuideChannels(knock) };
  const report = (error: unknown): void => knock.log.error({ err: error, socket: "knock" }, "socket.failed");
  const attention = new Attention({
    clock,
    report,
    sources: {
      counts: async (environmentId, scope, owner) =>
        countsOf(await engine.inbox.piles(environmentId, countedBy(scope, owner), clock.now()), scope.status),
      source: async (environmentId, item) => (await sourceKeys(engine, environmentId, [item]))(item),
    },
  });
  return {
    name: "knock",
    customs: { silentMs: SILENT_MS, framesAtOnce: FRAMES_AT_ONCE, anonymous: true },
    wants: (event, filter) => isFeed(filter) && isHeard(event, filter),
    // Only feeds want events.
    tell: (event, subscription) => attention.tell(event, subscription as Subscription<Session, JoinedFeed>),
    received: (connection, text) => received(parts, connection, text),
  };
}

// ——— frames from the client ——————————————————————————————————————————————————————————————————————————————————————

/** Frames take effect in the order in which they came: leaving the old channel and joining the new one go together. */
function received(parts: Parts, connection: KnockConnection, text: string): void {
  const frame = parsePhoenix(text);
  if (frame === null) return;
  const { session } = connection;
  const work =
    session.turn === null
      ? handle(parts, connection, frame)
      : session.turn.then(() => handle(parts, connection, frame) ?? undefined);
  if (work === null) return;
  const turn = work.then(
    () => {
      if (session.turn === turn) session.turn = null;
    },
    (error: unknown) => {
      parts.knock.log.error({ err: error, socket: connection.dialect.name }, "socket.failed");
      connection.close(1011, "internal error");
    },
  );
  session.turn = turn;
}

/** @returns null when the frame is dealt with. */
function handle(parts: Parts, connection: KnockConnection, frame: PhoenixFrame): Promise<void> | null {
  const { topic, event, joinRef } = frame;
  if (topic === PHOENIX && event === "heartbeat") {
    answer(connection, frame, "ok");
    return null;
  }
  if (event === "phx_join") return join(parts, connection, frame);
  const joined = channelOn(connection, topic);
  if (joined !== undefined && joined.filter.joinRef !== joinRef) return null;
  if (event === "phx_leave") {
    answer(connection, frame, "ok");
    if (joined !== undefined) leave(parts, connection, joined);
  } else {
    answer(connection, frame, "error", joined === undefined ? "unmatched topic" : "unmatched event");
  }
  return null;
}

function answer(connection: KnockConnection, frame: PhoenixFrame, status: "ok" | "error", reason?: string): void {
  // A frame without a ref is one whose sender does not wait for an answer.
  if (frame.ref !== null) connection.send(replyFrame(frame, status, reason === undefined ? {} : { reason }));
}

function channelOn(connection: KnockConnection, topic: string): OwnSubscription | undefined {
  return connection.subscriptions.find((one) => one.key === topic);
}

function leave({ knock, guides }: Parts, connection: KnockConnection, { key, filter }: OwnSubscription): void {
  knock.hub.unsubscribe(connection, (one) => one.key === key);
  if (!isFeed(filter)) guides.remove(connection as Connection);
  connection.send(closeFrame(key, filter.joinRef));
}

function isFeed(joined: Joined): joined is JoinedFeed {
  return "owner" in joined;
}

async function join(parts: Parts, connection: KnockConnection, frame: PhoenixFrame): Promise<void> {
  const { knock } = parts;
  const { topic, joinRef, payload } = frame;
  const before = channelOn(connection, topic);
  if (before !== undefined) leave(parts, connection, before);
  if (isGuidesTopic(topic)) return joinGuides(parts, connection, frame);
  const feed = await feedOf(knock, connection.session, topic, listenersOf(payload));
  if (!connection.open) return;
  if (typeof feed === "string") return answer(connection, frame, "error", feed);
  const { owner, listeners } = feed;
  if (!knock.hub.claim(connection, owner.userId))
    return answer(connection, frame, "error", "too many sockets are open");
  const filter: JoinedFeed = { topic, joinRef, owner, listeners };
  const hears = knock.hub.subscribe(connection, { key: topic, userId: owner.userId, filter, origin: null });
  answer(connection, frame, hears ? "ok" : "error", hears ? undefined : "too many channels joined");
}

async function joinGuides({ knock, guides }: Parts, connection: KnockConnection, frame: PhoenixFrame): Promise<void> {
  const { topic } = frame;
  const { environment, apiKey, userToken } = connection.session;
  const opened = await guides.open(frame, environment, await callerOf(knock, apiKey, userToken));
  if (!connection.open) return;
  if (typeof opened === "string") return answer(connection, frame, "error", opened);
  const { joined } = opened;
  const { userId } = joined.viewer;
  if (!knock.hub.claim(connection, userId)) return answer(connection, frame, "error", "too many sockets are open");
  const hears = knock.hub.subscribe(connection, { key: topic, userId, filter: joined, origin: null });
  if (hears) guides.add(connection as Connection, opened);
  answer(connection, frame, hears ? "ok" : "error", hears ? undefined : "too many channels joined");
}

/** What of a user's feed the topic names may be heard; or why nothing. */
async function feedOf(
  knock: Knock,
  session: Session,
  topic: string,
  asked: readonly Listener[],
): Promise<Pick<JoinedFeed, "owner" | "listeners"> | string> {
  const named = feedTopic(topic);
  if (named === null) return "unmatched topic";
  const { userId, feedId } = named;
  const caller = await callerOf(knock, session.apiKey, session.userToken);
  if (caller === null || !mayActFor(caller, userId, "user/feed_read")) return "unauthorized";
  const listeners = asked.filter(({ scope }) => mayActFor(caller, userId, "user/feed_read", scope.tenant));
  if (listeners.length === 0 && asked.length > 0) return "unauthorized";
  try {
    const channelIds = await feedChannel(knock, session.environment, feedId);
    return { owner: { userId, channelIds, tenants: tenantsOpenTo(caller, "user/feed_read") }, listeners };
  } catch (error) {
    if (error instanceof KnockError) return "unknown feed";
    throw error;
  }
}
