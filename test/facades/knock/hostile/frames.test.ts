/** What sockets may be sent: nothing of it ends the loop of a socket that still speaks the protocol, nor any other socket. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { connect as connectRaw } from "node:net";
import { type TestContext, test } from "node:test";
import { dice } from "../../../support/dice.ts";
import { newUser, pushInApp, trigger } from "../feed/feed-world.ts";
import { forEachKnock, type KnockTarget } from "../knock-target.ts";
import { connect, type PhoenixClient, pushed, topicOf } from "../socket/phoenix-client.ts";
import { anything, pick } from "./values.ts";

const FIRST_SEED = Number(process.env.CARILLON_TEST_SEED ?? 1);
/** As many as are let through at once stay unanswered no longer than a heartbeat. */
const AT_ONCE = 200;
const SECOND = 1_000;

/** A neighbor, who has joined a feed and must go on hearing of it. */
interface Neighbor {
  /** Has a message sent, and waits for its push. */
  hears(): Promise<void>;
}

async function neighborOf(t: TestContext, target: KnockTarget): Promise<Neighbor> {
  const user = await newUser(target);
  const client = await connect(target);
  t.after(() => client.close());
  await client.join(topicOf(target, user), { mine: { archived: "exclude", mode: "compact" } }, "1");
  let heard = 0;
  return {
    async hears() {
      // Whoever says nothing for a minute is sent away.
      await client.caughtUp();
      await trigger(target, "wf", [user]);
      const pushes = await pushed(target, client, ++heard);
      assert.deepEqual(pushes.at(-1)?.attn, ["mine"]);
    },
  };
}

/** Resolves with whether it answers a heartbeat, or the code it was closed with. */
async function livingOf(client: PhoenixClient): Promise<"alive" | number> {
  return await Promise.race([client.caughtUp().then(() => "alive" as const), client.closed.then(({ code }) => code)]);
}

/** A frame as a client sends it, masked. */
function masked(
  opcode: number,
  payload: Buffer,
  { fin = true, rsv = 0, isMasked = true, length = payload.length } = {},
): Buffer {
  const mask = isMasked ? randomBytes(4) : Buffer.alloc(0);
  const head =
    length < 126
      ? Buffer.from([0, length])
      : length < 65_536
        ? Buffer.from([0, 126, length >> 8, length & 255])
        : Buffer.from([
            0,
            127,
            0,
            0,
            0,
            0,
            (length >>> 24) & 255,
            (length >>> 16) & 255,
            (length >>> 8) & 255,
            length & 255,
          ]);
  head[0] = (fin ? 0x80 : 0) | (rsv << 4) | opcode;
  if (isMasked) head[1] = (head[1] as number) | 0x80;
  const body = isMasked ? payload.map((byte, i) => byte ^ (mask[i % 4] as number)) : payload;
  return Buffer.concat([head, mask, body]);
}

/** A socket whose bytes are the test's own. @returns all that came until it was closed. */
function rawSocket(target: KnockTarget, bytes: Buffer): Promise<string> {
  const { hostname, port } = new URL(target.url);
  const query = `api_key=${encodeURIComponent(target.publicKey)}&vsn=2.0.0`;
  const upgrade =
    `GET /ws/v1/websocket?${query} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
    `Sec-WebSocket-Key: ${randomBytes(16).toString("base64")}\r\nSec-WebSocket-Version: 13\r\n\r\n`;
  return new Promise((resolve, reject) => {
    const socket = connectRaw(Number(port), hostname, () => socket.write(upgrade));
    let got = "";
    socket.on("data", (data) => {
      if (got === "") socket.write(bytes);
      got += data.toString("latin1");
    });
    socket.on("close", () => resolve(got));
    socket.on("error", reject);
  });
}

forEachKnock((name, open) => {
  const ready = new WeakSet<KnockTarget>();
  const world = async (): Promise<KnockTarget> => {
    const target = await open();
    if (!ready.has(target)) await pushInApp(target, "wf");
    ready.add(target);
    return target;
  };

  test(`${name}: text that is no frame, and frames that make no sense, in any order`, async (t) => {
    const target = await world();
    const neighbor = await neighborOf(t, target);
    const user = await newUser(target);
    const topic = topicOf(target, user);
    const roll = dice(FIRST_SEED);
    const refs = [null, "1", "2", "", "x".repeat(300), 5, {}, "\ud800", "\u0000"];
    const topics = [
      topic,
      "phoenix",
      "",
      "feeds",
      "feeds::",
      `feeds:${target.feedId}`,
      `feeds:${target.feedId}:`,
      `${topic}\u0000`,
    ].concat([
      `feeds:__proto__:x`,
      `feeds:${target.feedId}:\ud800`,
      "guides:x",
      `guides:${target.feedId}`,
      "x".repeat(5_000),
      "feeds:a:b:c:d",
    ]);
    const events = [
      "phx_join",
      "phx_join",
      "phx_leave",
      "phx_close",
      "phx_error",
      "phx_reply",
      "heartbeat",
      "new-message",
      "",
      "__proto__",
    ];
    const payloads = (): unknown =>
      pick(roll, [
        {},
        [],
        null,
        5,
        { a: null },
        { a: { trigger_data: { x: { y: 1 } } } },
        { __proto__: { archived: "exclude" } },
        JSON.parse('{"__proto__":{"archived":"exclude"},"constructor":{}}'),
        { tenant: 5, archived: "x", status: [] },
        { a: { archived: "exclude", "inserted_at.gte": "never", workflow_categories: "x", tenant: "\u0000" } },
        { user_id: user, tenant: {}, data: "x" },
        Object.fromEntries(Array.from({ length: 150 }, (_, i) => [`c${i}`, { archived: "exclude" }])),
        anything(roll, 3),
      ]);
    const texts = [
      "",
      " ",
      "nope",
      "[]",
      "{}",
      "null",
      "[[[[[",
      '["1","1"',
      "\u0000",
      `${"[".repeat(7_000)}${"]".repeat(7_000)}`,
      `"${"x".repeat(15_000)}"`,
      '["1","1","feeds","phx_join",{}]]',
      "[1e999,1,1,1,1]",
    ];
    let client = await connect(target);
    t.after(() => client.close());
    for (let round = 0; round < 8; round++) {
      for (let i = 0; i < AT_ONCE; i++) {
        const frame = [pick(roll, refs), pick(roll, refs), pick(roll, topics), pick(roll, events), payloads()];
        const text = roll() < 0.2 ? pick(roll, texts) : JSON.stringify(roll() < 0.05 ? frame.slice(1) : frame);
        // Larger ones close the socket, which is another test's.
        const fit = Buffer.byteLength(text) > 16_000 ? text.slice(0, 5_000) : text;
        client.socket.send(roll() < 0.1 ? Buffer.from(fit) : fit);
      }
      target.clock.advance(20 * SECOND);
      assert.equal(await livingOf(client), "alive", `seed ${FIRST_SEED}, round ${round}`);
      await neighbor.hears();
    }
    // After all of that it joins and hears like any other.
    assert.equal((await client.join(topic, { z: { archived: "exclude" } }, "last"))[4].status, "ok");
    const before = client.pushes(topic).length;
    await trigger(target, "wf", [user]);
    await pushed(target, client, before + 1);
    // A flood is dropped, not answered; who is silent meanwhile may go on afterwards.
    client.close();
    client = await connect(target);
    for (let i = 0; i < 5_000; i++) client.send(null, `h${i}`, "phoenix", "heartbeat", {});
    // A ping is not counted; its answer says that all before has been looked at.
    const lookedAt = new Promise((resolve) => client.socket.once("pong", resolve));
    client.socket.ping();
    await lookedAt;
    await neighbor.hears();
    target.clock.advance(20 * SECOND);
    assert.equal(await livingOf(client), "alive");
    assert.ok(client.frames.length < 1_000, `${client.frames.length} answers to a flood`);
  });

  test(`${name}: what breaks the protocol closes its own socket, with a code that is not 1000`, async (t) => {
    const target = await world();
    const neighbor = await neighborOf(t, target);
    const text = (value: string) => Buffer.from(value);
    const join = text(JSON.stringify(["1", "1", topicOf(target, "x"), "phx_join", {}]));
    const cases: { readonly [what: string]: Buffer } = {
      "not masked": masked(1, join, { isMasked: false }),
      "reserved bits": masked(1, join, { rsv: 4 }),
      "an unknown opcode": masked(3, join),
      "text that is no UTF-8": masked(1, Buffer.from([0xc3, 0x28, 0xff])),
      "larger than allowed": masked(1, Buffer.alloc(100_000, 0x20)),
      "larger than it can be": masked(1, Buffer.alloc(10), { length: 2 ** 31 }),
      "a binary one, larger than allowed": masked(2, Buffer.alloc(100_000)),
      "a long ping": masked(9, Buffer.alloc(126)),
      "a ping in pieces": masked(9, join.subarray(0, 20), { fin: false }),
      "a continuation of nothing": masked(0, join),
      "a text within a text": Buffer.concat([masked(1, join, { fin: false }), masked(1, join)]),
      "endless pieces": Buffer.concat(
        Array.from({ length: 400 }, () => masked(0, Buffer.alloc(100, 0x20), { fin: false })).toSpliced(
          0,
          1,
          masked(1, text("["), { fin: false }),
        ),
      ),
      "a bad close": masked(8, Buffer.from([3])),
      "a close with a bad code": masked(8, Buffer.from([0, 1])),
      garbage: randomBytes(3_000),
    };
    for (const [what, bytes] of Object.entries(cases)) {
      const got = await rawSocket(target, bytes);
      assert.match(got, /^HTTP\/1\.1 101 /, what);
      // A server's close frame begins with 0x88, its length, and the code.
      const answer = Buffer.from(got.slice(got.indexOf("\r\n\r\n") + 4), "latin1");
      const at = answer.indexOf(0x88);
      if (at >= 0 && answer.length >= at + 4) assert.notEqual(answer.readUInt16BE(at + 2), 1000, what);
    }
    await neighbor.hears();
  });

  test(`${name}: what is whole though it comes in pieces, and pings in between, is answered`, async (t) => {
    const target = await world();
    const client = await connect(target);
    t.after(() => client.close());
    const frame = JSON.stringify([null, "pieces", "phoenix", "heartbeat", {}]);
    client.socket.send(frame.slice(0, 10), { fin: false });
    client.socket.ping();
    client.socket.send(frame.slice(10), { fin: true });
    assert.equal((await client.reply("pieces"))[4].status, "ok");
    for (const size of [0, 1, 5, 255, 16_000]) client.socket.send(randomBytes(size));
    assert.equal(await livingOf(client), "alive");
  });

  test(`${name}: a socket cut in the middle of everything leaves nothing behind`, async (t) => {
    const target = await world();
    const neighbor = await neighborOf(t, target);
    const user = await newUser(target);
    const before = target.app.hub.stats.connections;
    for (let i = 0; i < 25; i++) {
      const client = await connect(target);
      for (let ref = 0; ref < 20; ref++)
        client.send(`${ref}`, `${ref}`, topicOf(target, `${user}`), "phx_join", { a: {} });
      const sending = trigger(target, "wf", [user]);
      if (i % 2 === 0) client.socket.terminate();
      else (client.socket as unknown as { _socket: { resetAndDestroy(): void } })._socket.resetAndDestroy();
      await sending;
    }
    await neighbor.hears();
    while (target.app.hub.stats.connections > before) await new Promise(setImmediate);
  });
});
