import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, get, type Server } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { afterEach, beforeEach, test } from "node:test";
import { WebSocket } from "ws";
import { memoryBus } from "../bus/memory.ts";
import type { Delivery, InboxItem } from "../engine/model.ts";
import type { Bus, InboxEvent } from "../engine/ports.ts";
import { FakeClock } from "../lib/clock.ts";
import type { Connection, Dialect } from "./connection.ts";
import { Hub, type HubLimits } from "./hub.ts";
import { attachUpgrades } from "./upgrade.ts";

interface Filter {
  readonly tenantId: string | null;
}

const ENVIRONMENT = "env_00000000000000000000000001";
let encoded = 0;

/** Says the event's kind and tenant; subscribes by name, answers what it hears. */
const plain: Dialect<null, Filter> = {
  name: "plain",
  encode(event) {
    encoded++;
    if (event.kind === "added" && event.item.data.explode === true) throw new Error("cannot say this");
    return event.kind === "added" && event.item.data.silent === true ? null : JSON.stringify({ kind: event.kind });
  },
  wants: (event, filter) => event.kind === "changed-all" || event.item.tenantId === filter.tenantId,
  received: (connection, text) => connection.send(`heard ${text}`),
  goodbye: (seconds) => `leave for ${seconds}`,
};

const addressed: Dialect<null, Filter> = {
  ...plain,
  name: "addressed",
  address: (frame, subscription) => `${subscription.key} ${frame}`,
};

let clock: FakeClock;
let bus: Bus;
let hub: Hub;
let server: Server;
let url: string;
let faults: unknown[];
let clients: WebSocket[];

async function start(limits: Partial<HubLimits> = {}): Promise<void> {
  clock = new FakeClock();
  bus = memoryBus();
  faults = [];
  clients = [];
  encoded = 0;
  const report = (error: unknown): void => void faults.push(error);
  hub = new Hub({ clock, bus, report, random: () => 0, limits });
  server = createServer((_request, response) => response.end("plain http"));
  attachUpgrades(
    server,
    hub,
    new Map([
      [
        "/socket",
        async (query) => {
          const user = query.get("user");
          if (query.has("fail")) throw new Error("database gone");
          if (user === null) return { kind: "refused", status: 401, body: { message: "who?", type: "t" } };
          const ends = query.get("ends");
          return {
            kind: "welcome",
            opening: {
              dialect: (query.has("addressed") ? addressed : plain) as Dialect,
              environmentId: ENVIRONMENT,
              session: null,
              cid: query.get("cid"),
              ownerId: user === "" ? null : user,
              expiresAt: ends === null ? null : clock.now() + Number(ends),
            },
            opened: (connection: Connection) => {
              for (const key of query.getAll("tenant")) listen(connection, user, key);
            },
          };
        },
      ],
    ]),
    report,
  );
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  url = `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function listen(connection: Connection, userId: string, key: string): void {
  const filter: Filter = { tenantId: key === "none" ? null : (key.split("#")[0] as string) };
  hub.subscribe(connection, { key, userId, filter, origin: connection.cid });
}

async function end(): Promise<void> {
  for (const client of clients) client.terminate();
  server.closeAllConnections();
  server.close();
  const stopped = hub.stop();
  clock.advance(60_000);
  await stopped;
}

/** For tests that need other limits than the usual ones. */
async function restart(limits: Partial<HubLimits> = {}): Promise<void> {
  await end();
  await start(limits);
}

beforeEach(() => start());
afterEach(end);

interface Client {
  readonly socket: WebSocket;
  readonly frames: string[];
  readonly connection: Connection;
  readonly closed: Promise<{ code: number; reason: string }>;
}

async function join(query: string): Promise<Client> {
  const opened = hub.opened.next();
  const socket = new WebSocket(`ws://${url}/socket?${query}`);
  clients.push(socket);
  const frames: string[] = [];
  socket.on("message", (data) => frames.push(String(data)));
  const closed = new Promise<{ code: number; reason: string }>((resolve) => {
    socket.on("close", (code, reason) => resolve({ code, reason: String(reason) }));
  });
  socket.on("error", () => {});
  await once(socket, "open");
  return { socket, frames, connection: await opened, closed };
}

async function refusal(query: string): Promise<number | undefined> {
  const socket = new WebSocket(`ws://${url}${query}`);
  socket.on("error", () => {});
  const [request, response] = await once(socket, "unexpected-response");
  request.destroy();
  return response.statusCode;
}

/** All frames sent so far have arrived. */
async function settled(client: Client): Promise<string[]> {
  const pong = once(client.socket, "pong");
  client.socket.ping();
  await pong;
  return client.frames;
}

function added(userId: string, tenantId: string | null = null, data: Delivery["data"] = {}): InboxEvent {
  const item = { userId, tenantId, data } as InboxItem;
  return { kind: "added", environmentId: ENVIRONMENT, userId, item };
}

function bulk(userId: string, origin: string | null = null): InboxEvent {
  return { kind: "changed-all", environmentId: ENVIRONMENT, userId, what: "read-all", origin, via: "test" };
}

test("an event reaches the sockets of its user and tenant, and no others", async () => {
  const [a, b, c] = [
    await join("user=u&tenant=none"),
    await join("user=u&tenant=acme"),
    await join("user=v&tenant=none"),
  ];
  bus.publish([added("u"), added("u", "acme"), bulk("u")]);
  assert.deepEqual(await settled(a), ['{"kind":"added"}', '{"kind":"changed-all"}']);
  assert.deepEqual(await settled(b), ['{"kind":"added"}', '{"kind":"changed-all"}']);
  assert.deepEqual(await settled(c), []);
});

test("an event is put into words once, however many sockets hear it, and not at all if none does", async () => {
  const all = [await join("user=u&tenant=none"), await join("user=u&tenant=none"), await join("user=u&tenant=none")];
  bus.publish([added("u"), added("nobody"), added("u", "unheard")]);
  for (const one of all) assert.equal((await settled(one)).length, 1);
  assert.equal(encoded, 1);
});

test("several matching subscriptions of a connection make one frame", async () => {
  const a = await join("user=u&tenant=none&tenant=none%232&tenant=acme");
  // Two subscriptions for `acme`-less items and one for acme: a change of everything matches all of them.
  bus.publish([bulk("u"), bulk("u")]);
  assert.equal((await settled(a)).length, 2);
});

test("a dialect that addresses its frames gets one for each subscription", async () => {
  const a = await join("addressed&user=u&tenant=none&tenant=acme");
  bus.publish([bulk("u")]);
  assert.deepEqual((await settled(a)).sort(), ['acme {"kind":"changed-all"}', 'none {"kind":"changed-all"}']);
});

test("subscribing again under the same key replaces, and after leaving nothing is heard", async () => {
  const a = await join("user=u&tenant=none");
  listen(a.connection, "u", "none");
  assert.equal(hub.stats.subscriptions, 1);
  bus.publish([added("u")]);
  assert.equal((await settled(a)).length, 1);
  hub.unsubscribe(a.connection, () => true);
  bus.publish([added("u")]);
  assert.equal((await settled(a)).length, 1);
  assert.equal(hub.stats.subscriptions, 0);
});

test("a change is not told to the client that made it", async () => {
  const [a, b] = [await join("user=u&cid=a&tenant=none"), await join("user=u&cid=b&tenant=none")];
  bus.publish([bulk("u", "a"), added("u")]);
  assert.deepEqual(await settled(a), ['{"kind":"added"}']);
  assert.deepEqual(await settled(b), ['{"kind":"changed-all"}', '{"kind":"added"}']);
});

test("what a dialect throws is reported and keeps nobody from the next event", async () => {
  const a = await join("user=u&tenant=none");
  bus.publish([added("u", null, { explode: true }), added("u", null, { silent: true }), added("u")]);
  assert.equal((await settled(a)).length, 1);
  assert.equal(faults.length, 1);
});

test("frames of every length arrive as they were", async () => {
  const a = await join("user=u");
  for (const length of [0, 125, 126, 65_535, 65_536, 300_000]) {
    const text = "ä".repeat(Math.floor(length / 2)) + (length % 2 === 1 ? "x" : "");
    const [data] = await Promise.all([once(a.socket, "message"), a.connection.send(text)]);
    assert.equal(String(data[0]), text);
  }
  const broken = once(a.socket, "message");
  a.connection.send("a\ud800b");
  assert.equal(String((await broken)[0]), "a\ufffdb");
});

test("a user has so many sockets and no more; one with the same cid takes the old one's place", async () => {
  await restart({ connectionsPerUser: 2 });
  const a = await join("user=u&cid=a");
  await join("user=u&cid=b");
  assert.equal(await refusal("/socket?user=u&cid=c"), 429);
  const again = await join("user=u&cid=a&tenant=none");
  assert.notEqual((await a.closed).code, 1000);
  assert.deepEqual([hub.stats.connections, hub.stats.replaced, hub.stats.refused], [2, 1, 1]);
  bus.publish([added("u")]);
  assert.equal((await settled(again)).length, 1);
  assert.equal((await join("user=v&cid=a")).connection.ownerId, "v");
});

test("a socket that hangs up counts no more", async () => {
  await restart({ connectionsPerUser: 1 });
  const a = await join("user=u&tenant=none");
  const gone = hub.closed.next();
  a.socket.close(1000);
  await gone;
  assert.deepEqual([hub.stats.connections, hub.stats.subscriptions], [0, 0]);
  await join("user=u");
});

test("refusals are plain HTTP: 401, 404, 500, and 429 for a full server", async () => {
  await restart({ connections: 1 });
  assert.equal(await refusal("/socket"), 401);
  assert.equal(await refusal("/elsewhere?user=u"), 404);
  assert.equal(await refusal("/socket?user=u&fail"), 500);
  assert.equal(faults.length, 1);
  await join("user=u");
  assert.equal(await refusal("/socket?user=v"), 429);
});

test("an offer of another protocol is served as ordinary HTTP", async () => {
  const [host, port] = url.split(":");
  const request = get({ host, port, path: "/", headers: { connection: "Upgrade, HTTP2-Settings", upgrade: "h2c" } });
  const [response] = await once(request, "response");
  assert.equal(response.statusCode, 200);
  response.resume();
});

test("a client that resets its connection during the check harms nobody", async () => {
  const [host, port] = url.split(":") as [string, string];
  const socket = connect(Number(port), host);
  await once(socket, "connect");
  socket.write("GET /socket?user=u HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
  socket.resetAndDestroy();
  const a = await join("user=u&tenant=none");
  bus.publish([added("u")]);
  assert.equal((await settled(a)).length, 1);
  assert.deepEqual(faults, []);
});

test("a silent peer is pinged every 30 s and dropped after 90 s; one that answers stays", async () => {
  const alive = await join("user=u");
  const silent = await join("user=v");
  // Without a receiver no pong is sent.
  silent.socket.pause();
  for (let s = 0; s < 90; s += 10) {
    const pinged = s % 30 === 20 && s < 80 ? once(alive.socket, "ping") : null;
    clock.advance(10_000);
    if (pinged !== null) await pinged;
    await settled(alive);
  }
  assert.equal(hub.stats.closedSilent, 1);
  if (hub.stats.connections > 1) await hub.closed.next();
  assert.equal(hub.stats.connections, 1);
  assert.ok(alive.connection.open);
});

test("a pause of our own is not held against the peers", async () => {
  const a = await join("user=u");
  clock.advance(3_600_000);
  await settled(a);
  assert.ok(a.connection.open);
});

test("a credential that ends closes its socket with 4401", async () => {
  const a = await join("user=u&ends=25000");
  const b = await join("user=u");
  clock.advance(20_000);
  await settled(a);
  clock.advance(10_000);
  assert.deepEqual(await a.closed, { code: 4401, reason: "token expired" });
  assert.ok(b.connection.open);
});

test("a connection that never says whose it is does not stay", async () => {
  const a = await join("user=");
  const b = await join("user=");
  assert.ok(hub.claim(b.connection, "u"));
  clock.advance(70_000);
  assert.equal((await a.closed).code, 1008);
  assert.ok(b.connection.open);
});

test("a reader that is too slow is closed and told to come back", async () => {
  await restart({ outboxBytes: 64 * 1024 });
  const slow = await join("user=u");
  slow.socket.pause();
  const text = "x".repeat(64 * 1024);
  let sent = 0;
  while (hub.stats.closedSlow === 0 && sent < 2_000) {
    slow.connection.send(text);
    sent++;
  }
  assert.equal(hub.stats.closedSlow, 1);
  slow.socket.resume();
  assert.deepEqual(await slow.closed, { code: 1013, reason: '{"Retry-After":"1"}' });
});

test("frames beyond the limit are dropped until the client has earned more", async () => {
  const a = await join("user=u");
  for (let i = 0; i < 100; i++) a.socket.send(String(i));
  const heard = (await settled(a)).length;
  assert.equal(heard, 40);
  assert.equal(hub.stats.framesDropped, 60);
  clock.advance(1_000);
  a.socket.send("again");
  assert.equal((await settled(a)).at(-1), "heard again");
});

test("a frame that is too big ends its own connection only", async () => {
  const a = await join("user=u");
  const b = await join("user=u&tenant=none");
  a.socket.send("x".repeat(17 * 1024));
  assert.equal((await a.closed).code, 1009);
  bus.publish([added("u")]);
  assert.equal((await settled(b)).length, 1);
});

test("a stop says goodbye first, then closes with 1012, and lets no one in", async () => {
  const a = await join("user=u");
  const heard = once(a.socket, "message");
  const stopped = hub.stop();
  assert.equal(String((await heard)[0]), "leave for 1");
  assert.equal(await refusal("/socket?user=v"), 503);
  assert.ok(a.connection.open);
  clock.advance(5_000);
  assert.deepEqual(await a.closed, { code: 1012, reason: '{"Retry-After":"1"}' });
  await stopped;
  assert.equal(hub.stats.connections, 0);
});

test("a stop does not wait for clients that have left, nor for those that never answer", async () => {
  const a = await join("user=u");
  a.socket.on("message", () => a.socket.close(1000));
  await hub.stop();
  await restart();
  const deaf = await join("user=u");
  deaf.socket.pause();
  const stopped = hub.stop();
  clock.advance(5_000);
  // The close handshake is under way only after the goodbye's wait is over.
  await new Promise<void>((resolve) => setImmediate(resolve));
  clock.advance(2_000);
  await stopped;
});
