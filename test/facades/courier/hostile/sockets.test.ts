/** The WebSocket: who may not come in, and what those who are in may say. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { connect, type Socket } from "node:net";
import { after, before, describe, test } from "node:test";
import { WebSocket } from "ws";
import { PUBLIC_KEY, SECRET_KEY } from "../../../support/server.ts";
import { type HostileServer, startHostile } from "./hostile-server.ts";
import { makeThings } from "./valid-calls.ts";
import { mutations, random, spoiled, VALUES } from "./values.ts";

/** What a connection lets through at once; see `realtime/connection.ts`. */
const FRAMES_AT_ONCE = 40;

describe("sockets", () => {
  let server: HostileServer;
  let token: string;
  before(async () => {
    server = await startHostile();
    await makeThings(server);
    const { text } = await server.call("POST", "/auth/issue-token", {
      body: { scope: "user_id:ann inbox:read:messages", expires_in: "1 hour" },
    });
    token = JSON.parse(text).token;
  });
  after(() => server.close());

  const upgrade = (
    target: string,
    more = `Sec-WebSocket-Key: ${randomBytes(16).toString("base64")}\r\nSec-WebSocket-Version: 13\r\n`,
  ) => `GET ${target} HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n${more}\r\n`;
  const open = async (query = `iwpv=1&auth=${token}`): Promise<WebSocket> => {
    const socket = new WebSocket(`${server.url.replace("http", "ws")}/?${query}`);
    socket.on("error", () => {});
    await new Promise((resolve, reject) => {
      socket.once("open", resolve);
      socket.once("error", reject);
    });
    return socket;
  };
  /** Resolves with the answer to a ping, or with the code the socket was closed with. */
  const answerOf = (socket: WebSocket, tid: string): Promise<"pong" | number> =>
    new Promise((resolve) => {
      socket.on("message", (data) => {
        if (JSON.parse(String(data)).tid === tid) resolve("pong");
      });
      socket.on("close", resolve);
      socket.send(JSON.stringify({ action: "ping", tid }));
    });

  test("a credential that is none is refused with 401 in JSON before the upgrade", async () => {
    for (const query of [
      "",
      "?",
      "?auth=",
      "?auth=x",
      `?auth=${SECRET_KEY}`,
      "?auth=%00",
      "?auth=%ff",
      "?auth=a.b.c",
      "?token=..",
      "?clientKey=x",
      "?auth=__proto__",
      "?clientKey=constructor",
      `?auth=${"x".repeat(8_000)}`,
      `?${"auth=x&".repeat(800)}`,
      "?auth[]=x",
      "?iwpv=1",
      `?auth=x&token=${"y".repeat(100)}`,
      "?%ff=%ff",
    ]) {
      const answer = await server.raw(upgrade(`/${query}`));
      assert.match(
        answer,
        /^HTTP\/1\.1 401 [\s\S]*\r\n\r\n\{"message":"[^"]+","type":"[^"]+"\}$/,
        `${query.slice(0, 60)}: ${answer.slice(0, 200)}`,
      );
    }
  });

  test("a path without a socket is 404, and a handshake that is none never an error of ours", async () => {
    for (const path of ["/nothing", "//ws", "/ws/../ws", "/ws/x", "/q", "/%2fws", "/ws%2f", "/send", "*", "/\u00ff"]) {
      const answer = await server.raw(upgrade(`${path}?auth=${token}`));
      assert.match(answer, /^HTTP\/1\.1 40[04] /, `${path}: ${answer.slice(0, 200)}`);
    }
    const key = `Sec-WebSocket-Key: ${randomBytes(16).toString("base64")}\r\n`;
    for (const [name, more] of Object.entries({
      "no key": "Sec-WebSocket-Version: 13\r\n",
      "a short key": "Sec-WebSocket-Key: x\r\nSec-WebSocket-Version: 13\r\n",
      "no version": key,
      "version 99": `${key}Sec-WebSocket-Version: 99\r\n`,
      "a version that is none": `${key}Sec-WebSocket-Version: \u00ff\r\n`,
      "protocols that are none": `${key}Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: ,a,,a,\r\n`,
    })) {
      const answer = await server.raw(upgrade(`/?auth=${token}`, more));
      assert.match(answer, /^HTTP\/1\.1 4\d\d /, `${name}: ${answer.slice(0, 200)}`);
    }
    const posted = await server.raw(upgrade(`/?auth=${token}`).replace("GET", "POST"));
    assert.match(posted, /^HTTP\/1\.1 4\d\d /, posted.slice(0, 200));
  });

  test("any frame of text leaves the connection usable, or closes it with a code", async () => {
    const frame = {
      action: "subscribe",
      tid: "1",
      data: {
        channel: "ann",
        event: "*",
        clientSourceId: "c",
        accountId: "acme",
        userSignature: "x",
        version: 5,
        auth: "x",
      },
    };
    const roll = random(3);
    const frames = [
      ...[
        "subscribe",
        "unsubscribe",
        "get-config",
        "renewSession",
        "ping",
        "pong",
        "keepAlive",
        "__proto__",
        "toString",
      ].flatMap((action) => [
        JSON.stringify({ action }),
        JSON.stringify({ action, tid: null, data: null }),
        JSON.stringify({ action, tid: { a: [] }, data: [] }),
        JSON.stringify({ action, data: "text" }),
      ]),
      ...[...mutations(frame, VALUES)].map(({ text }) => text),
      ...[...mutations({ action: "renewSession", tid: "1", data: { auth: token } }, VALUES)].map(({ text }) => text),
      ...Array.from({ length: 100 }, () => spoiled(JSON.stringify(frame), roll)),
      "",
      " ",
      "null",
      "[]",
      "1",
      '"text"',
      "{",
      "\0",
      "[".repeat(16_000),
    ].filter((text) => text.length < 16_000);
    for (const profile of [
      `iwpv=1&auth=${token}`,
      `token=${token}`,
      `auth=${token}`,
      `clientKey=${encodeURIComponent(PUBLIC_KEY)}&iwpv=1`,
    ]) {
      for (let i = 0; i < frames.length; i += FRAMES_AT_ONCE - 1) {
        const socket = await open(profile);
        for (const text of frames.slice(i, i + FRAMES_AT_ONCE - 1)) socket.send(text);
        // Old clients' frames are not answered: for them it is enough that a protocol ping is.
        const answer = profile.includes("iwpv")
          ? await answerOf(socket, "last")
          : await new Promise((resolve) => {
              socket.on("close", resolve);
              socket.on("pong", () => resolve("pong"));
              socket.ping();
            });
        assert.ok(answer === "pong" || answer === 4401 || answer === 1008, `after frames ${i} and on: ${answer}`);
        socket.terminate();
      }
    }
  });

  test("frames that break the protocol close the connection with the code for it", async () => {
    const masked = (first: number, payload: Buffer, length = payload.length): Buffer => {
      const head =
        length < 126
          ? Buffer.from([first, 0x80 | length])
          : Buffer.concat([Buffer.from([first, 0xff]), Buffer.alloc(8)]);
      if (length >= 126) head.writeBigUInt64BE(BigInt(length), 2);
      return Buffer.concat([head, Buffer.alloc(4), payload]);
    };
    for (const [name, bytes, code] of [
      ["binary", masked(0x82, Buffer.from("{}")), [1003, "alive"]],
      ["no mask", Buffer.from([0x81, 0x02, 0x7b, 0x7d]), [1002]],
      ["reserved bits", masked(0xf1, Buffer.from("{}")), [1002]],
      ["an opcode of no meaning", masked(0x8b, Buffer.from("{}")), [1002]],
      ["text that is no UTF-8", masked(0x81, Buffer.from([0xff, 0xfe, 0xed, 0xa0, 0x80])), [1007, "alive"]],
      ["a continuation of nothing", masked(0x80, Buffer.from("{}")), [1002]],
      ["a ping in two parts", masked(0x09, Buffer.from("x")), [1002]],
      ["a long ping", masked(0x89, Buffer.alloc(200)), [1002]],
      ["more than 16 KB", masked(0x81, Buffer.alloc(16 * 1024 + 1, 0x20)), [1009]],
      ["an announcement of a terabyte", masked(0x81, Buffer.from("x"), 2 ** 40), [1009]],
      [
        "a length beyond numbers",
        Buffer.from([0x81, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]),
        [1002, 1009],
      ],
      ["a close without a reason code", masked(0x88, Buffer.from([1])), [1002]],
      ["a close with a code of nobody's", masked(0x88, Buffer.from([0, 1])), [1002]],
      [
        "16 KB in 20,000 parts",
        Buffer.concat([
          masked(0x01, Buffer.from("x")),
          ...Array.from({ length: 20_000 }, () => masked(0x00, Buffer.from("x"))),
        ]),
        [1009, 1008],
      ],
      [
        "20,000 empty parts",
        Buffer.concat([
          masked(0x01, Buffer.from("x")),
          ...Array.from({ length: 20_000 }, () => masked(0x00, Buffer.alloc(0))),
        ]),
        [1008, "alive"],
      ],
    ] as const) {
      const found = await outcome(server, upgrade(`/?iwpv=1&auth=${token}`), bytes, masked(0x89, Buffer.from("?")));
      assert.ok((code as readonly unknown[]).includes(found), `${name} → ${found}`);
    }
  });

  test("a flood of frames neither grows the server nor keeps others from being heard", async () => {
    const flooding = await Promise.all(Array.from({ length: 5 }, () => open()));
    for (const socket of flooding) {
      for (let i = 0; i < 4_000; i++)
        socket.send(JSON.stringify({ action: "subscribe", tid: i, data: { channel: "ann", accountId: `t${i}` } }));
    }
    const polite = await open();
    assert.equal(await answerOf(polite, "hello"), "pong");
    await Promise.all(
      flooding.map(
        (socket) =>
          new Promise((resolve) => {
            socket.on("pong", resolve);
            socket.on("close", resolve);
            socket.ping();
          }),
      ),
    );
    assert.ok(server.app.hub.stats.subscriptions <= 100 * 6, `${server.app.hub.stats.subscriptions} subscriptions`);
    for (const socket of [...flooding, polite]) socket.terminate();
  });

  test("more sockets than a user may have are refused with 429, and there is room again when they leave", async () => {
    const sockets = await Promise.all(Array.from({ length: 50 }, () => open()));
    assert.match(await server.raw(upgrade(`/?iwpv=1&auth=${token}`)), /^HTTP\/1\.1 429 [\s\S]*Retry-After: \d/);
    const left = new Promise<void>((resolve) => {
      let count = 0;
      server.app.hub.closed.on(() => void (++count === 50 && resolve()));
    });
    for (const socket of sockets) socket.terminate();
    await left;
    const again = await open();
    assert.equal(await answerOf(again, "again"), "pong");
    again.terminate();
  });
});

/** The code of the close frame that the bytes lead to; "alive" when a ping after them is answered. */
function outcome(
  server: HostileServer,
  handshake: string,
  bytes: Buffer,
  ping: Buffer,
): Promise<number | "alive" | "cut"> {
  return new Promise((resolve) => {
    let heard = Buffer.alloc(0);
    let isOpen = false;
    const socket: Socket = connect(Number(new URL(server.url).port), "127.0.0.1", () => socket.write(handshake));
    const end = (answer: number | "alive" | "cut"): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.on("data", (chunk: Buffer) => {
      heard = Buffer.concat([heard, chunk]);
      if (!isOpen) {
        const at = heard.indexOf("\r\n\r\n");
        if (at < 0) return;
        isOpen = true;
        heard = heard.subarray(at + 4);
        socket.write(Buffer.concat([bytes, ping]));
      }
      // Frames of the server have no mask, and those that come here are short.
      for (let at = 0; at + 2 <= heard.length; at += 2 + (heard[at + 1] as number)) {
        if (heard[at] === 0x8a) return end("alive");
        if (heard[at] === 0x88 && at + 4 <= heard.length) return end(heard.readUInt16BE(at + 2));
      }
    });
    socket.on("error", () => end("cut"));
    socket.on("close", () => end("cut"));
  });
}
