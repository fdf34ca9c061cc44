import assert from "node:assert/strict";
import { createServer } from "node:net";
import { type TestContext, test } from "node:test";
import { type HttpReceiver, httpReceiver } from "../../test/support/http-receiver.ts";
import { FakeClock, systemClock } from "../lib/clock.ts";
import type { Resolve } from "./name-resolver.ts";
import { NetworkGuard } from "./network-guard.ts";
import { OutboundHttp, type OutboundLimits } from "./outbound-http.ts";

interface World {
  readonly hook: HttpReceiver;
  readonly http: OutboundHttp;
  readonly clock: FakeClock;
}

/** A receiver on loopback, and a client that may reach it. */
async function world(
  t: TestContext,
  more: { limits?: Partial<OutboundLimits>; resolve?: Resolve; allowNetworks?: string[] } = {},
): Promise<World> {
  const hook = await httpReceiver();
  const clock = new FakeClock();
  const guard = new NetworkGuard({
    allowNetworks: more.allowNetworks ?? ["127.0.0.0/8"],
    ...(more.resolve === undefined ? {} : { resolve: more.resolve }),
  });
  const http = new OutboundHttp({ guard, clock, ...(more.limits === undefined ? {} : { limits: more.limits }) });
  t.after(async () => {
    await http.close();
    await hook.close();
  });
  return { hook, http, clock };
}

test("the body goes out byte for byte, and the answer comes back whole", async (t) => {
  const { hook, http } = await world(t);
  hook.answer({ status: 201, headers: { "x-their": "value" }, body: "thanks" });
  const body = '{"a" : "ü\\u0000"}\n';
  const result = await http.request({
    method: "PUT",
    url: `${hook.url}/a/b?c=d#e`,
    headers: { "content-type": "application/json", "X-Mine": "1" },
    body,
  });
  assert.equal(result.kind, "answered");
  assert.ok(result.kind === "answered");
  assert.deepEqual(
    [result.status, result.headers["x-their"], result.body.toString(), result.truncated],
    [201, "value", "thanks", false],
  );
  const [got] = await hook.received(1);
  assert.deepEqual([got?.method, got?.url, got?.text, got?.headers["x-mine"]], ["PUT", "/a/b?c=d", body, "1"]);
});

test("requests to one origin share connections", async (t) => {
  const { hook, http } = await world(t);
  for (let i = 0; i < 5; i++) await http.request({ method: "POST", url: hook.url, body: "x" });
  assert.equal(hook.requests.length, 5);
  // undici rests a connection for one turn after each answer, so requests that follow at once alternate between two.
  assert.ok(hook.connections <= 2, `${hook.connections} connections`);
});

test("a redirect is an answer and is not followed", async (t) => {
  const { hook, http } = await world(t);
  const inner = await httpReceiver();
  t.after(() => inner.close());
  hook.answer({ status: 302, headers: { location: inner.url } });
  const result = await http.request({ method: "POST", url: hook.url });
  assert.ok(result.kind === "answered");
  assert.equal(result.status, 302);
  assert.equal(inner.connections, 0);
});

for (const url of [
  "http://127.0.0.1/",
  "http://2130706433/",
  "http://0x7f000001/",
  "http://0177.0.0.1/",
  "http://127.1/",
  "http://0/",
  "http://127.0.0.1./",
  "http://[::1]/",
  "http://[::ffff:127.0.0.1]/",
  "http://[::ffff:7f00:1]/",
  "http://[64:ff9b::7f00:1]/",
  "http://[2002:7f00:1::]/",
  "http://169.254.169.254/latest/meta-data/",
  "http://localhost/",
  "http://LOCALHOST/",
  "http://①②⑦.0.0.1/",
  "https://10.0.0.1/",
  "ftp://example.com/",
  "file:///etc/passwd",
  "javascript:alert(1)",
  "http://user:pass@example.com/",
  "http://user@example.com/",
  "http://",
  "nonsense",
  "",
  `http://example.com/${"a".repeat(9000)}`,
]) {
  test(`refuses ${url.slice(0, 50)}`, async (t) => {
    const { http } = await world(t, { allowNetworks: [] });
    assert.equal((await http.request({ method: "POST", url })).kind, "refused");
  });
}

test("a name that turns private after the check gets no connection (DNS rebinding)", async (t) => {
  // The receiver listens on loopback. The first answer is a checked address that is allowed, the second one is not.
  const answers = ["127.0.0.1", "127.0.0.2"];
  let asked = 0;
  const { hook, http } = await world(t, {
    allowNetworks: ["127.0.0.1"],
    resolve: async () => [{ address: answers[Math.min(asked++, 1)] as string, family: 4 }],
  });
  hook.answer({ headers: { connection: "close" } });
  const url = `http://rebind.example:${hook.port}/`;
  assert.equal((await http.request({ method: "POST", url })).kind, "answered");
  // One request resolves once: the address it connected to is the one it checked.
  assert.equal(asked, 1);
  assert.equal((await http.request({ method: "POST", url })).kind, "refused");
  assert.equal(hook.connections, 1);
});

test("a name with one private address among public ones is refused as a whole", async (t) => {
  const { http } = await world(t, {
    allowNetworks: [],
    resolve: async () => [
      { address: "93.184.216.34", family: 4 },
      { address: "::1", family: 6 },
    ],
  });
  assert.equal((await http.request({ method: "GET", url: "http://mixed.example/" })).kind, "refused");
});

test("the host header names the host of the URL, whatever the caller set", async (t) => {
  const { hook, http } = await world(t, { resolve: async () => [{ address: "127.0.0.1", family: 4 }] });
  await http.request({
    method: "POST",
    url: `http://shop.example:${hook.port}/`,
    headers: { Host: "intranet", "Content-Length": "3", "Transfer-Encoding": "chunked", connection: "upgrade" },
    body: "hello",
  });
  const [got] = await hook.received(1);
  assert.equal(got?.headers.host, `shop.example:${hook.port}`);
  assert.equal(got?.text, "hello");
});

for (const headers of [
  { "x-a": "1\r\nx-b: 2" },
  { "x-a": "1\nx-b: 2" },
  { "x-a": "\0" },
  { "x a": "1" },
  { "x-a\r\nx-b": "1" },
  { "": "1" },
  { "x-a": "snow ☃" },
  { "x-a": "y".repeat(40_000) },
] as { [name: string]: string }[]) {
  test(`refuses the headers ${JSON.stringify(headers).slice(0, 40)}`, async (t) => {
    const { hook, http } = await world(t);
    assert.equal((await http.request({ method: "POST", url: hook.url, headers })).kind, "refused");
    assert.equal(hook.connections, 0);
  });
}

test("a method that is none is refused", async (t) => {
  const { hook, http } = await world(t);
  assert.equal((await http.request({ method: "GET / HTTP/1.1\r\nx: y", url: hook.url })).kind, "refused");
});

test("a receiver that never answers is given up at the deadline", async (t) => {
  const { hook, http, clock } = await world(t);
  hook.answer("hang");
  const result = http.request({ method: "POST", url: hook.url, timeoutMs: 5_000 });
  await hook.received(1);
  clock.advance(5_000);
  assert.deepEqual(await result, {
    kind: "unreachable",
    reason: "no answer within 5000 ms",
    why: "deadline",
    durationMs: 5_000,
  });
});

test("a body that never ends does not hold us past the deadline; its status counts", async (t) => {
  const { hook, http, clock } = await world(t);
  const started = Promise.withResolvers<void>();
  hook.answer((_, response) => {
    response.writeHead(202);
    response.write("slow", () => started.resolve());
  });
  // Two more requests that answer in full tell us that the first one's head has been read by then.
  const slow = http.request({ method: "POST", url: hook.url, timeoutMs: 5_000 });
  await started.promise;
  hook.answer({ status: 200 });
  await http.request({ method: "POST", url: hook.url });
  await http.request({ method: "POST", url: hook.url });
  clock.advance(5_000);
  const result = await slow;
  assert.ok(result.kind === "answered");
  assert.deepEqual([result.status, result.body.toString(), result.truncated], [202, "slow", true]);
});

test("headers that trickle in byte by byte are given up at the deadline", async (t) => {
  const { http, clock } = await world(t);
  const connected = Promise.withResolvers<void>();
  const server = createServer((socket) => {
    socket.on("error", () => {});
    socket.once("data", () => {
      socket.write("HTTP/1.1 200 OK\r\nx-slow: ");
      const drip = setInterval(() => socket.write("z"), 5);
      socket.on("close", () => clearInterval(drip));
      connected.resolve();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => server.close());
  const { port } = server.address() as { port: number };
  const result = http.request({ method: "POST", url: `http://127.0.0.1:${port}/`, timeoutMs: 1_000 });
  await connected.promise;
  clock.advance(1_000);
  assert.equal((await result).kind, "unreachable");
});

test("of a huge body only the beginning is read", async (t) => {
  const { hook, http } = await world(t);
  hook.answer((_, response) => {
    response.writeHead(200);
    const pour = (): void => {
      while (!response.destroyed && response.write(Buffer.alloc(64 * 1024, "x"))) {}
      if (!response.destroyed) response.once("drain", pour);
    };
    pour();
  });
  const result = await http.request({ method: "GET", url: hook.url, maxBodyBytes: 1_000 });
  assert.ok(result.kind === "answered");
  assert.deepEqual([result.status, result.body.length, result.truncated], [200, 1_000, true]);
});

test("response headers beyond the bound end the exchange", async (t) => {
  const { hook, http } = await world(t, { limits: { maxHeaderBytes: 2_048 } });
  hook.answer({ headers: { "x-big": "y".repeat(8_000) } });
  assert.equal((await http.request({ method: "GET", url: hook.url })).kind, "unreachable");
});

test("an answer cut off in its body still has its status", async (t) => {
  const { hook, http } = await world(t);
  hook.answer((_, response) => {
    response.writeHead(200, { "content-length": "100" });
    response.write("part", () => response.destroy());
  });
  const result = await http.request({ method: "GET", url: hook.url });
  assert.ok(result.kind === "answered");
  assert.equal(result.truncated, true);
});

test("a dropped connection, a closed port and a name nobody knows are unreachable", async (t) => {
  const { hook, http } = await world(t);
  hook.answer("drop");
  assert.equal((await http.request({ method: "POST", url: hook.url })).kind, "unreachable");
  const gone = await httpReceiver();
  await gone.close();
  assert.equal((await http.request({ method: "POST", url: gone.url })).kind, "unreachable");
  const lost = await world(t, { resolve: () => Promise.reject(new Error("getaddrinfo ENOTFOUND")) });
  assert.equal((await lost.http.request({ method: "POST", url: "http://nowhere.example/" })).kind, "unreachable");
});

test("a caller that gives up is answered at once", async (t) => {
  const { hook, http } = await world(t);
  hook.answer("hang");
  const giveUp = new AbortController();
  const result = http.request({ method: "POST", url: hook.url, signal: giveUp.signal });
  await hook.received(1);
  giveUp.abort();
  assert.equal((await result).kind, "unreachable");
  const late = await http.request({ method: "POST", url: hook.url, signal: giveUp.signal });
  assert.equal(late.kind, "unreachable");
  assert.equal(hook.requests.length, 1);
});

test("waiting for a connection counts against the deadline, and the place in the line is given back", async (t) => {
  const { hook, http, clock } = await world(t, { limits: { connectionsPerOrigin: 1, inFlightPerOrigin: 2 } });
  hook.answer("hang");
  const first = http.request({ method: "POST", url: hook.url, timeoutMs: 20_000 });
  await hook.received(1);
  const second = http.request({ method: "POST", url: hook.url, timeoutMs: 1_000 });
  const third = await http.request({ method: "POST", url: hook.url });
  assert.ok(third.kind === "unreachable" && /already under way/.test(third.reason));
  clock.advance(1_000);
  assert.equal((await second).kind, "unreachable");
  clock.advance(20_000);
  assert.equal((await first).kind, "unreachable");
  hook.answer({ status: 204 });
  const after = await http.request({ method: "POST", url: hook.url });
  assert.ok(after.kind === "answered" && after.status === 204);
  assert.equal(hook.requests.length, 2);
});

test("an idle origin makes room for a new one; busy ones do not", async (t) => {
  const { hook, http } = await world(t, { limits: { maxConnections: 1 } });
  const other = await httpReceiver();
  t.after(() => other.close());
  await http.request({ method: "POST", url: hook.url });
  // A connection rests for a turn after an answer before it counts as idle.
  for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve));
  assert.equal((await http.request({ method: "POST", url: other.url })).kind, "answered");
  for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve));
  other.answer("hang");
  const giveUp = new AbortController();
  const busy = http.request({ method: "POST", url: other.url, signal: giveUp.signal });
  assert.equal((await http.request({ method: "POST", url: hook.url })).kind, "unreachable");
  giveUp.abort();
  await busy;
});

test("closing answers what is under way and refuses what comes after", async () => {
  const hook = await httpReceiver();
  const http = new OutboundHttp({ guard: new NetworkGuard({ allowNetworks: ["127.0.0.1"] }), clock: systemClock });
  hook.answer("hang");
  const under = http.request({ method: "POST", url: hook.url });
  await hook.received(1);
  await http.close();
  assert.equal((await under).kind, "unreachable");
  assert.equal((await http.request({ method: "POST", url: hook.url })).kind, "unreachable");
  await hook.close();
});

test("who waits for a connection gets one as soon as others are done", async (t) => {
  const { hook, http } = await world(t, { limits: { connectionsPerOrigin: 2 } });
  const results = await Promise.all(
    Array.from({ length: 20 }, () => http.request({ method: "POST", url: hook.url, body: "x" })),
  );
  assert.ok(results.every((result) => result.kind === "answered"));
  assert.equal(hook.connections, 2);
  // Also when a connection ends with each answer.
  hook.answer({ headers: { connection: "close" } });
  await Promise.all(Array.from({ length: 10 }, () => http.request({ method: "POST", url: hook.url, body: "x" })));
  assert.equal(hook.requests.length, 30);
});

test("who need not wait never does, and takes nothing from those who must", async (t) => {
  const { hook, http } = await world(t, { limits: { connectionsPerOrigin: 1, inFlightPerOrigin: 2 } });
  hook.answer("hang");
  const giveUp = new AbortController();
  const { signal } = giveUp;
  const impatient = Array.from({ length: 10 }, () =>
    http.request({ method: "POST", url: hook.url, mayWait: false, signal }),
  );
  await hook.received(10);
  hook.answer({ status: 204 });
  const patient = await http.request({ method: "POST", url: hook.url });
  assert.ok(patient.kind === "answered" && patient.status === 204);
  giveUp.abort();
  for (const result of await Promise.all(impatient))
    assert.ok(result.kind === "unreachable" && result.why === "given-up");
});

test("a connection is not used for longer than five minutes, however busy it is", async (t) => {
  const { hook, http, clock } = await world(t);
  await http.request({ method: "POST", url: hook.url });
  clock.advance(299_000);
  await http.request({ method: "POST", url: hook.url });
  assert.equal(hook.connections, 1);
  clock.advance(1_000);
  await http.request({ method: "POST", url: hook.url });
  assert.equal(hook.connections, 2);
});

test("only so many connections are kept without use, the latest used", async (t) => {
  const { hook, http } = await world(t, { limits: { maxIdleConnections: 1 } });
  const other = await httpReceiver();
  t.after(() => other.close());
  await http.request({ method: "POST", url: hook.url });
  await http.request({ method: "POST", url: other.url });
  await http.request({ method: "POST", url: other.url });
  await http.request({ method: "POST", url: hook.url });
  assert.deepEqual([hook.connections, other.connections], [2, 1]);
});

test("a fresh connection is opened although another one is idle", async (t) => {
  const { hook, http } = await world(t);
  await http.request({ method: "POST", url: hook.url });
  await http.request({ method: "POST", url: hook.url, fresh: true });
  assert.equal(hook.connections, 2);
});

test("requests under one signal are many, and the signal is listened to once", async (t) => {
  const { hook, http } = await world(t);
  const giveUp = new AbortController();
  let listeners = 0;
  const { signal } = giveUp;
  const listen = signal.addEventListener.bind(signal);
  signal.addEventListener = (...args: Parameters<typeof listen>) => {
    listeners++;
    listen(...args);
  };
  await Promise.all(Array.from({ length: 50 }, () => http.request({ method: "POST", url: hook.url, signal })));
  await http.request({ method: "POST", url: hook.url, signal });
  assert.equal(listeners, 1);
});
