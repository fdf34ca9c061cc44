/** Receivers that are dead, slow, endless or none of our business: scenarios 26, 28 and 43. */
import assert from "node:assert/strict";
import dns from "node:dns";
import { once } from "node:events";
import type { ServerResponse } from "node:http";
import { syncBuiltinESMExports } from "node:module";
import { createServer, type Server } from "node:net";
import { type TestContext, test } from "node:test";
import { DIALECTS } from "../../../conformance/databases.ts";
import type { HttpReceiver, ReceivedRequest } from "../../../support/http-receiver.ts";
import { forEachSpeaker, lonelyScene, MINUTE, type Scene, SECOND } from "./scenario.ts";

const TIMEOUT = 15 * SECOND;
const KEPT = 20_000;
// Leases outlast the timeout: moved by so much at once, the clock looks like that of a process that stood still.
const env = { CARILLON_WEBHOOK_RETRY_SECONDS: "none", CARILLON_LEASE_MS: "60000" };

/** A port at which nobody listens, for the time of the test as good as surely. */
async function closedPort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, "close");
  return port;
}

/** Sends a message to one endpoint and gives the one attempt that comes of it. */
async function attempted(scene: Scene, url: string) {
  const app = await scene.app();
  const { id: endpoint } = await scene.endpoint(app, { url });
  const { id } = await scene.message(app);
  await scene.idle();
  const attempts = await scene.attempts(app, id);
  assert.equal(attempts.length, 1, url);
  return { app, endpoint, message: id, attempt: attempts[0] as (typeof attempts)[0] };
}

/** What was written to a socket of this machine has been read at its other end a few turns later. */
async function arrival(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
}

/** What comes of one request that is answered like this, after the timeout has passed if `slow`. */
async function answered(
  scene: Scene,
  receiver: HttpReceiver,
  answer: Parameters<HttpReceiver["answer"]>[0],
  slow = false,
) {
  receiver.answer(answer);
  const app = await scene.app();
  await scene.endpoint(app, { url: receiver.url });
  const seen = receiver.requests.length;
  const { id } = await scene.message(app);
  await receiver.received(seen + 1);
  if (slow) {
    await arrival();
    await scene.pass(TIMEOUT);
  } else await scene.idle();
  const [attempt, ...more] = await scene.attempts(app, id);
  assert.ok(attempt !== undefined && more.length === 0);
  return attempt;
}

forEachSpeaker({ env, roll: () => 0.5 }, (who, open) => {
  test(`${who}: 26. Dead receiver: a closed port is an attempt without an answer`, async (t) => {
    const scene = await open(t);
    const port = await closedPort();
    const app = await scene.app();
    await scene.endpoint(app, { url: `http://127.0.0.1:${port}/` });
    const made = await scene.call("POST", `/app/${app}/msg`, { eventType: "x", payload: {} });
    assert.equal(made.status, 202);
    await scene.idle();
    const [attempt] = await scene.attempts(app, made.body.id);
    assert.ok(attempt);
    assert.deepEqual([attempt.status, attempt.statusText, attempt.responseStatusCode], [2, "fail", 0]);
    assert.match(attempt.response, /ECONNREFUSED/);
    assert.ok(!attempt.response.includes("blocked"));
    for (const url of ["http://nobody.invalid/", "https://127.0.0.1:1/"]) {
      const { attempt } = await attempted(scene, url);
      assert.deepEqual([attempt.status, attempt.responseStatusCode], [2, 0]);
      assert.ok(attempt.response.length > 0, url);
    }
  });

  test(`${who}: 26. Redirect: 308 fails, and its target is never called`, async (t) => {
    const scene = await open(t);
    const [receiver, target] = [await scene.receiver(), await scene.receiver()];
    for (const status of [301, 302, 303, 307, 308]) {
      const headers = { location: `${target.url}/there` };
      const attempt = await answered(scene, receiver, { status, headers, body: "elsewhere" });
      assert.deepEqual([attempt.status, attempt.responseStatusCode, attempt.response], [2, status, "elsewhere"]);
    }
    const not = await answered(scene, receiver, { status: 304 });
    assert.deepEqual([not.status, not.responseStatusCode], [2, 304]);
    assert.equal(target.requests.length, 0);
    assert.equal(receiver.requests.length, 6);
  });

  test(`${who}: a connection that breaks at once is tried once more within the same attempt (§C.4)`, async (t) => {
    const scene = await open(t);
    const receiver = await scene.receiver();
    receiver.answer("drop", { status: 200 });
    const good = await attempted(scene, receiver.url);
    assert.deepEqual([good.attempt.status, receiver.requests.length], [0, 2]);
    const [one, two] = receiver.requests as [ReceivedRequest, ReceivedRequest];
    assert.equal(one.headers["svix-signature"], two.headers["svix-signature"]);
    receiver.answer("drop", "drop", { status: 200 });
    const bad = await attempted(scene, receiver.url);
    assert.deepEqual([bad.attempt.status, bad.attempt.responseStatusCode, receiver.requests.length], [2, 0, 4]);
  });

  test(`${who}: 28. Slow body: what drips for ever ends with the timeout, and its status counts`, async (t) => {
    const scene = await open(t);
    const receiver = await scene.receiver();
    const app = await scene.app();
    await scene.endpoint(app, { url: receiver.url });
    const answers: ServerResponse[] = [];
    receiver.answer((_, response) => answers.push(response.writeHead(200)));
    const { id } = await scene.message(app);
    await receiver.received(1);
    // A drop each second keeps nobody waiting longer.
    for (let second = 0; second < TIMEOUT / SECOND - 1; second++) {
      answers[0]?.write("drip");
      await arrival();
      scene.clock.advance(SECOND);
    }
    assert.deepEqual(await scene.attempts(app, id), []);
    await scene.pass(SECOND);
    const [good] = await scene.attempts(app, id);
    assert.deepEqual([good?.status, good?.responseStatusCode, good?.responseDurationMs], [0, 200, TIMEOUT]);
    assert.match(good?.response ?? "", /^(drip){14}\n.*did not arrive whole.*15000 ms/);
    const bad = await answered(scene, receiver, { status: 500, body: "drip", stall: "in-body" }, true);
    assert.deepEqual([bad.status, bad.responseStatusCode, bad.responseDurationMs], [2, 500, TIMEOUT]);
    const silent = await answered(scene, receiver, "hang", true);
    assert.deepEqual([silent.status, silent.responseStatusCode, silent.responseDurationMs], [2, 0, TIMEOUT]);
    assert.match(silent.response, /no answer within 15000 ms/);
    // A status line that drips is no answer, either.
    const head = await answered(scene, receiver, (_, { socket }) => socket?.write("HTTP/1.1 200 OK\r\nX: "), true);
    assert.deepEqual([head.status, head.responseStatusCode], [2, 0]);
  });

  test(`${who}: 28. Endless body: 20,000 bytes are kept, and no more are read`, async (t) => {
    const scene = await open(t);
    const receiver = await scene.receiver();
    const long = await answered(scene, receiver, { body: "x".repeat(50_000) });
    assert.deepEqual([long.status, long.response], [0, "x".repeat(KEPT)]);
    const exact = await answered(scene, receiver, { body: "y".repeat(KEPT) });
    assert.equal(exact.response, "y".repeat(KEPT));
    const whole = await answered(scene, receiver, { body: "z".repeat(KEPT - 1) });
    assert.equal(whole.response, "z".repeat(KEPT - 1));
    // A cut inside of a character does not make text binary: the character is left out.
    const cut = await answered(scene, receiver, { body: `a${"😀".repeat(10_000)}` });
    assert.equal(cut.response, `a${"😀".repeat(4_999)}`);

    // A body without end: how much of it could be written says how much was read.
    let written = 0;
    const ended = Promise.withResolvers<void>();
    const endless = await answered(scene, receiver, (_, response) => {
      response.once("close", () => ended.resolve());
      response.writeHead(500, { "content-type": "text/plain" });
      const more = (to: ServerResponse): void => {
        const chunk = "e".repeat(65_536);
        while (!to.destroyed) {
          written += chunk.length;
          if (!to.write(chunk)) return void to.once("drain", () => more(to));
        }
      };
      more(response);
    });
    assert.deepEqual([endless.status, endless.responseStatusCode, endless.response], [2, 500, "e".repeat(KEPT)]);
    await ended.promise;
    assert.ok(written < 16 * 1024 * 1024, `${written} bytes went into the buffers of the sockets`);
  });

  test(`${who}: 28. Binary answer: base64`, async (t) => {
    const scene = await open(t);
    const receiver = await scene.receiver();
    for (const body of [
      Buffer.from([0xff, 0xfe, 0, 1]),
      Buffer.from("a\0b"),
      Buffer.from([0xed, 0xa0, 0x80]),
      Buffer.from([0x61, 0xc3]),
    ]) {
      const attempt = await answered(scene, receiver, { body });
      assert.deepEqual([attempt.status, attempt.response], [0, body.toString("base64")]);
    }
    const large = Buffer.alloc(50_000, 0xfe);
    const attempt = await answered(scene, receiver, { body: large });
    assert.equal(attempt.response, large.subarray(0, KEPT).toString("base64"));
    assert.equal((await answered(scene, receiver, { body: "" })).response, "");
    assert.equal((await answered(scene, receiver, { body: "\u{feff}é\u2028" })).response, "\u{feff}é\u2028");
  });

  test(`${who}: what is no HTTP is an attempt that failed, never a fault (§C.4)`, async (t) => {
    const scene = await open(t);
    for (const text of [
      "SSH-2.0-OpenSSH_9.9\r\n",
      "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
      `HTTP/1.1 200 OK\r\n${"X-Long: ".concat("x".repeat(100_000))}\r\n\r\n`,
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
      "HTTP/1.1 99999 ?\r\n\r\n",
      "",
    ]) {
      const port = await speaking(t, text);
      const { attempt } = await attempted(scene, `http://127.0.0.1:${port}/`);
      const what = `${text.slice(0, 40)}: ${JSON.stringify(attempt)}`;
      assert.ok(attempt.status === 2 || attempt.responseStatusCode === 200, what);
      assert.ok(attempt.response.length <= KEPT + 200, what);
    }
  });
});

/** A server that says this to whoever has asked for something, and hangs up. */
async function speaking(t: TestContext, text: string): Promise<number> {
  const server: Server = createServer((socket) => {
    socket.on("error", () => {});
    socket.once("data", () => socket.end(text));
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  return (server.address() as { port: number }).port;
}

/** What names mean while the test runs; all others are asked of the system. */
function names(t: TestContext, known: { [name: string]: readonly string[] }): void {
  const { lookup } = dns.promises;
  const asked = (async (name: string, options: never) => {
    const addresses = known[name];
    if (addresses === undefined) return await lookup(name, options);
    return addresses.map((address) => ({ address, family: address.includes(":") ? 6 : 4 }));
  }) as typeof lookup;
  const mocked = t.mock.method(dns.promises, "lookup", asked);
  syncBuiltinESMExports();
  t.after(() => {
    mocked.mock.restore();
    syncBuiltinESMExports();
  });
}

for (const dialect of DIALECTS) {
  for (const major of [1, 2] as const) {
    const who = `${dialect}, svix ${major}`;

    test(`${who}: 43. SSRF: private addresses in every spelling are blocked when sending, not when creating`, async (t) => {
      const settings = { dialect, env: { ...env, CARILLON_ALLOW_NETWORKS: "" } };
      names(t, { "inwards.test": ["10.0.0.1"], "two-faced.test": ["93.184.216.34", "10.0.0.1"], "six.test": ["::1"] });
      const scene = await lonelyScene(t, settings, major);
      const receiver = await scene.receiver();
      const { port } = receiver;
      const app = await scene.app();
      const urls = [
        `http://127.0.0.1:${port}/`,
        `http://localhost:${port}/`,
        "http://inwards.test/",
        `http://[::ffff:127.0.0.1]:${port}/`,
        "http://two-faced.test/",
        "http://six.test/",
        `http://[::1]:${port}/`,
        `http://[::]:${port}/`,
        `http://0.0.0.0:${port}/`,
        `http://2130706433:${port}/`,
        `http://0x7f.1:${port}/`,
        `http://0177.0.0.1:${port}/`,
        `http://127.1:${port}/`,
        `http://127.0.0.1.:${port}/`,
        `http://user:pass@127.0.0.1:${port}/`,
        "http://169.254.169.254/latest/meta-data/",
        "http://[fd00:ec2::254]/",
        "http://[64:ff9b::7f00:1]/",
        "http://100.64.0.1/",
      ];
      for (const url of urls) {
        const made = await scene.call("POST", `/app/${app}/endpoint`, { url });
        assert.equal(made.status, 201, `${url}: ${made.text}`);
        const { id } = await scene.message(app);
        await scene.idle();
        const attempts = await scene.attempts(app, id);
        const [attempt] = attempts;
        assert.equal(attempts.length, 1);
        assert.deepEqual([attempt?.status, attempt?.responseStatusCode], [2, 0], url);
        assert.match(attempt?.response ?? "", /blocked/, url);
        await scene.svix.endpoint.delete(app, made.body.id);
      }
      assert.equal(receiver.connections, 0);
    });

    test(`${who}: 43. SSRF: an allowed subnet lets it pass, and only it`, async (t) => {
      const settings = { dialect, env: { ...env, CARILLON_ALLOW_NETWORKS: "127.0.0.0/8" } };
      names(t, { "inwards.test": ["10.0.0.1"], "here.test": ["127.0.0.1"] });
      const scene = await lonelyScene(t, settings, major);
      const receiver = await scene.receiver();
      const { port } = receiver;
      for (const [i, url] of [
        `http://127.0.0.1:${port}/`,
        `http://[::ffff:127.0.0.1]:${port}/`,
        `http://here.test:${port}/`,
      ].entries()) {
        const { attempt } = await attempted(scene, url);
        assert.deepEqual([attempt.status, attempt.responseStatusCode, receiver.requests.length], [0, 200, i + 1], url);
      }
      for (const url of ["http://inwards.test/", `http://[::1]:${port}/`, "http://169.254.169.254/"]) {
        const { attempt } = await attempted(scene, url);
        assert.deepEqual([attempt.status, attempt.responseStatusCode], [2, 0], url);
        assert.match(attempt.response, /blocked/, url);
      }
    });

    test(`${who}: 43. SSRF: neither a transformation nor a name that changes its meaning gets past it`, async (t) => {
      const settings = { dialect, env: { ...env, CARILLON_ALLOW_NETWORKS: "" } };
      const known: { [name: string]: readonly string[] } = { "rebinding.test": ["192.0.2.7"] };
      names(t, known);
      const scene = await lonelyScene(t, settings, major);
      const receiver = await scene.receiver();
      const app = await scene.app();
      const { id: endpoint } = await scene.endpoint(app, { url: `http://rebinding.test:${receiver.port}/` });
      const code = `function handler(webhook) { webhook.url = ${JSON.stringify(receiver.url)}; return webhook; }`;
      const patched = await scene.call("PATCH", `/app/${app}/endpoint/${endpoint}/transformation`, {
        code,
        enabled: true,
      });
      assert.equal(patched.status, 204, patched.text);
      const blocked = async (): Promise<void> => {
        const { id } = await scene.message(app);
        await scene.idle();
        const [attempt] = await scene.attempts(app, id);
        assert.deepEqual([attempt?.status, attempt?.responseStatusCode], [2, 0]);
        assert.match(attempt?.response ?? "", /blocked/);
      };
      await blocked();
      await scene.call("PATCH", `/app/${app}/endpoint/${endpoint}/transformation`, { enabled: false });
      await blocked();
      known["rebinding.test"] = ["127.0.0.1"];
      await scene.pass(MINUTE);
      await blocked();
      assert.equal(receiver.connections, 0);
    });
  }
}
