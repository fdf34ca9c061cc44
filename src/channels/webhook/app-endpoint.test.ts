import assert from "node:assert/strict";
import { createServer, type Socket } from "node:net";
import { type TestContext, test } from "node:test";
import { type HttpReceiver, httpReceiver } from "../../../test/support/http-receiver.ts";
import type { EndpointAnswer, EndpointHttp, EndpointRequest } from "../../engine/webhooks/exchange.ts";
import { FakeClock } from "../../lib/clock.ts";
import type { Resolve } from "../name-resolver.ts";
import { NetworkGuard } from "../network-guard.ts";
import { OutboundHttp } from "../outbound-http.ts";
import { endpointHttp } from "./app-endpoint.ts";

interface World {
  readonly hook: HttpReceiver;
  readonly clock: FakeClock;
  readonly endpoints: EndpointHttp;
  post(more?: Partial<EndpointRequest>): Promise<EndpointAnswer>;
}

async function world(t: TestContext, more: { allowNetworks?: string[]; resolve?: Resolve } = {}): Promise<World> {
  const hook = await httpReceiver();
  const clock = new FakeClock();
  const guard = new NetworkGuard({
    allowNetworks: more.allowNetworks ?? ["127.0.0.0/8"],
    ...(more.resolve === undefined ? {} : { resolve: more.resolve }),
  });
  const http = new OutboundHttp({ guard, clock });
  t.after(async () => {
    await http.close();
    await hook.close();
  });
  const endpoints = endpointHttp({ http, version: "9.9", clock });
  return {
    hook,
    clock,
    endpoints,
    post: (request = {}) =>
      endpoints.exchange({ url: hook.url, method: "POST", headers: {}, body: "{}", timeoutMs: 15_000, ...request }),
  };
}

/** A server below HTTP: it does with each connection what it is told, in order. */
async function rawServer(
  t: TestContext,
  ...turns: ((socket: Socket) => void)[]
): Promise<{ url: string; met: number }> {
  const server = createServer((socket) => {
    socket.on("error", () => {});
    const turn = turns[Math.min(state.met++, turns.length - 1)];
    socket.once("data", () => turn?.(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => server.close());
  const state = { url: `http://127.0.0.1:${(server.address() as { port: number }).port}/`, met: 0 };
  return state;
}

const OK = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

test("what goes out is told exactly, and the case of names stays as it was given", async (t) => {
  const { hook, post } = await world(t);
  const body = '{"n" : 12345678901234567890, "f": 1.0,  "ü":"😀"}';
  const answer = await post({ url: `${hook.url}/a?b=c`, headers: { "X-Shop-Id": "7", "webhook-id": "msg_1" }, body });
  const [got] = await hook.received(1);
  assert.deepEqual([got?.method, got?.url, got?.text], ["POST", "/a?b=c", body]);
  assert.deepEqual(answer.sentHeaders, {
    "X-Shop-Id": "7",
    "webhook-id": "msg_1",
    "content-type": "application/json",
    "user-agent": "Carillon/9.9",
    accept: "*/*",
  });
  const names = got?.rawHeaders.filter((_, i) => i % 2 === 0) ?? [];
  for (const name of Object.keys(answer.sentHeaders)) assert.ok(names.includes(name), `${name} of ${names}`);
  assert.deepEqual(
    names.filter((name) => !(name in answer.sentHeaders)),
    ["host", "connection", "content-length"],
  );
});

test("a content type and a user agent of the request's own replace ours in any case", async (t) => {
  const { hook, post } = await world(t);
  const answer = await post({
    method: "PUT",
    headers: { "Content-Type": "text/plain", "User-Agent": "x", Accept: "y" },
  });
  assert.deepEqual(answer.sentHeaders, { "Content-Type": "text/plain", "User-Agent": "x", Accept: "y" });
  const [got] = await hook.received(1);
  assert.deepEqual([got?.method, got?.headers["content-type"], got?.headers["user-agent"]], ["PUT", "text/plain", "x"]);
});

test("the answer is told with its headers, its time and its text", async (t) => {
  const { hook, post } = await world(t);
  hook.answer({ status: 201, headers: { "x-their": "value" }, body: "thänks" });
  const answer = await post();
  assert.deepEqual([answer.statusCode, answer.response], [201, "thänks"]);
  assert.ok(answer.responseHeaders?.some(([name, value]) => name === "x-their" && value === "value"));
  assert.deepEqual([answer.retryAfterMs, answer.timedOut, answer.aborted, answer.durationMs], [null, false, false, 0]);
  assert.deepEqual([answer.abortMessage, answer.disableEndpoint], [false, false]);
});

test("headers that come several times are all told", async (t) => {
  const { hook, post } = await world(t);
  hook.answer((_, response) => response.writeHead(200, ["set-cookie", "a", "set-cookie", "b"]).end());
  const cookies = (await post()).responseHeaders?.filter(([name]) => name === "set-cookie");
  assert.deepEqual(cookies, [
    ["set-cookie", "a"],
    ["set-cookie", "b"],
  ]);
});

test("a user name and a password in the URL become an Authorization, and leave the URL", async (t) => {
  const { hook, post } = await world(t);
  const at = (userinfo: string): string => `http://${userinfo}@127.0.0.1:${hook.port}/p`;
  const answer = await post({ url: at("us%40er:p%C3%A4ss%") });
  await post({ url: at("only") });
  await post({ url: at("p%C3%A4:b") });
  const own = await post({ url: at("a:b"), headers: { Authorization: "Bearer x" } });
  await post({ url: `${hook.url}/p@q` });
  const got = await hook.received(5);
  const basic = (text: string): string => `Basic ${Buffer.from(text).toString("base64")}`;
  assert.deepEqual(
    got.map((request) => request.headers.authorization),
    // What cannot be decoded as a whole is taken as it stands.
    [basic("us@er:p%C3%A4ss%"), basic("only:"), basic("pä:b"), "Bearer x", undefined],
  );
  assert.equal(answer.sentHeaders.authorization, basic("us@er:p%C3%A4ss%"));
  assert.deepEqual(Object.keys(own.sentHeaders), ["Authorization", "content-type", "user-agent", "accept"]);
  assert.deepEqual(
    got.map((request) => request.url),
    ["/p", "/p", "/p", "/p", "/p@q"],
  );
});

for (const status of [301, 302, 307, 308]) {
  test(`a ${status} is an answer, and its target is never called`, async (t) => {
    const { hook, post } = await world(t);
    const target = await httpReceiver();
    t.after(() => target.close());
    hook.answer({ status, headers: { location: target.url } });
    assert.equal((await post()).statusCode, status);
    assert.equal(target.connections, 0);
    assert.equal(hook.requests.length, 1);
  });
}

test("of a long answer 20,000 bytes are kept, cut between characters", async (t) => {
  const { hook, post } = await world(t);
  for (const [body, kept] of [
    ["x".repeat(50_000), "x".repeat(20_000)],
    ["x".repeat(20_000), "x".repeat(20_000)],
    [`x${"é".repeat(20_000)}`, `x${"é".repeat(9_999)}`],
    [`xx${"😀".repeat(10_000)}`, `xx${"😀".repeat(4_999)}`],
    [`x${"€".repeat(10_000)}`, `x${"€".repeat(6_666)}`],
  ] as const) {
    hook.answer({ status: 500, body });
    const answer = await post();
    assert.equal(answer.statusCode, 500);
    assert.ok(answer.response === kept, `${answer.response.length} of ${kept.length}, ${answer.response.slice(-3)}`);
  }
});

test("an answer that is not text is kept as base64", async (t) => {
  const { hook, post } = await world(t);
  const long = Buffer.alloc(30_000, 0xff);
  for (const body of [
    Buffer.from([0xff, 0xfe, 0x00]),
    Buffer.from([0xc3]),
    Buffer.from("a\0b"),
    Buffer.from([0xed, 0xa0, 0x80]),
    long,
  ]) {
    hook.answer({ body });
    assert.equal((await post()).response, body.subarray(0, 20_000).toString("base64"));
  }
});

test("headers and then drops for ever end within the time, and the status counts", async (t) => {
  const { post, clock } = await world(t);
  const dripping = Promise.withResolvers<void>();
  const server = await rawServer(t, (socket) => {
    socket.write("HTTP/1.1 202 Accepted\r\ntransfer-encoding: chunked\r\n\r\n");
    const drip = setInterval(() => {
      socket.write("1\r\nz\r\n");
      dripping.resolve();
    }, 1);
    socket.on("close", () => clearInterval(drip));
  });
  const result = post({ url: server.url, timeoutMs: 4_000 });
  await dripping.promise;
  // Two more requests that are answered tell us that the head of the first one's answer has been read by then.
  await post();
  await post();
  clock.advance(4_000);
  const answer = await result;
  assert.equal(answer.statusCode, 202);
  assert.match(answer.response, /^z+\n\(the body did not arrive whole: no answer within 4000 ms\)$/);
  assert.deepEqual([answer.timedOut, answer.durationMs], [false, 4_000]);
});

test("an answer cut off in its body keeps its status, and says so", async (t) => {
  const { post } = await world(t);
  const server = await rawServer(t, (socket) => socket.end("HTTP/1.1 500 No\r\ncontent-length: 9\r\n\r\nhalf"));
  const answer = await post({ url: server.url });
  assert.equal(answer.statusCode, 500);
  assert.match(answer.response, /^half\n\(the body did not arrive whole: .+\)$/);
  assert.equal(server.met, 1);
});

test("no answer in time is told as a timeout, and is not repeated", async (t) => {
  const { hook, post, clock } = await world(t);
  hook.answer("hang");
  const result = post({ timeoutMs: 900 });
  await hook.received(1);
  clock.advance(900);
  const answer = await result;
  assert.deepEqual([answer.statusCode, answer.timedOut, answer.aborted], [0, true, false]);
  assert.deepEqual([answer.response, answer.responseHeaders], ["no answer within 900 ms", null]);
  assert.equal(hook.requests.length, 1);
});

test("a try that is called off is told as aborted, and is not repeated", async (t) => {
  const { hook, post } = await world(t);
  hook.answer("hang");
  const stop = new AbortController();
  const all = [post({ signal: stop.signal }), post({ signal: stop.signal })];
  await hook.received(2);
  stop.abort();
  for (const answer of await Promise.all(all)) {
    assert.deepEqual([answer.statusCode, answer.timedOut, answer.aborted], [0, false, true]);
  }
  assert.equal((await post({ signal: stop.signal })).aborted, true);
  assert.equal(hook.requests.length, 2);
});

test("a connection that breaks at once is tried once more, within the same try", async (t) => {
  const { post } = await world(t);
  const server = await rawServer(
    t,
    (socket) => socket.resetAndDestroy(),
    (socket) => socket.end(OK),
  );
  const answer = await post({ url: server.url });
  assert.deepEqual([answer.statusCode, answer.response, server.met], [200, "ok", 2]);
});

test("it is tried once more only, and then says why", async (t) => {
  const { post } = await world(t);
  const server = await rawServer(t, (socket) => socket.destroy());
  const answer = await post({ url: server.url });
  assert.deepEqual([answer.statusCode, server.met], [0, 2]);
  assert.match(answer.response, /closed/);
  const gone = await httpReceiver();
  await gone.close();
  const refused = await post({ url: gone.url });
  assert.equal(refused.statusCode, 0);
  assert.match(refused.response, /ECONNREFUSED/);
});

test("a connection that breaks after a second is not tried again", async (t) => {
  const { post, clock } = await world(t);
  const server = await rawServer(t, (socket) => {
    clock.advance(1_000);
    socket.destroy();
  });
  const answer = await post({ url: server.url });
  assert.deepEqual([answer.statusCode, answer.durationMs, server.met], [0, 1_000, 1]);
});

for (const bytes of ["H", "HTTP/1.1 2", "HTTP/1.1 200 OK\r\nx-half: ", "SSH-2.0-OpenSSH_9.6\r\n", "\0\x01\x02"]) {
  test(`a receiver that said ${JSON.stringify(bytes)} and hung up is not called twice`, async (t) => {
    const { post } = await world(t);
    const server = await rawServer(t, (socket) => socket.end(bytes));
    const answer = await post({ url: server.url });
    assert.deepEqual([answer.statusCode, server.met], [0, 1]);
    assert.notEqual(answer.response, "");
  });
}

test("a connection that the receiver has closed meanwhile does not cost a try", async (t) => {
  const { post } = await world(t);
  const sockets: Socket[] = [];
  const server = await rawServer(t, (socket) => {
    sockets.push(socket);
    socket.write(OK);
  });
  assert.equal((await post({ url: server.url })).statusCode, 200);
  const closed = new Promise((resolve) => sockets[0]?.once("close", resolve));
  sockets[0]?.end();
  assert.equal((await post({ url: server.url })).statusCode, 200);
  await closed;
  assert.equal(server.met, 2);
});

test("Retry-After is told as a time from now", async (t) => {
  const { hook, post, clock } = await world(t);
  const wait = async (value: string): Promise<number | null> => {
    hook.answer({ status: 503, headers: { "retry-after": value } });
    return (await post()).retryAfterMs;
  };
  assert.equal(await wait("8"), 8_000);
  assert.equal(await wait("0.2"), 1_000);
  assert.equal(await wait(new Date(clock.now() + 90_000).toUTCString()), 90_000);
  assert.equal(await wait(new Date(clock.now() - 90_000).toUTCString()), 0);
  assert.equal(await wait("soon"), null);
});

test("a receiver may refuse the message, or all messages, with any status", async (t) => {
  const { hook, post } = await world(t);
  const wishes = async (value: string): Promise<readonly boolean[]> => {
    hook.answer({ status: 500, headers: { "Webhook-Delivery": value } });
    const { abortMessage, disableEndpoint } = await post();
    return [abortMessage, disableEndpoint];
  };
  assert.deepEqual(await wishes("abort-message"), [true, false]);
  assert.deepEqual(await wishes("disable"), [false, true]);
  assert.deepEqual(await wishes("Disable, abort-message"), [true, true]);
  assert.deepEqual(await wishes("disabled"), [false, false]);
});

for (const url of [
  "http://127.0.0.1/",
  "http://localhost/",
  "http://2130706433/",
  "http://0x7f.1/",
  "http://0177.0.0.1/",
  "http://127.1/",
  "http://0/",
  "http://[::1]/",
  "http://[::]/",
  "http://[::ffff:127.0.0.1]/",
  "http://[::ffff:7f00:1]/",
  "http://[::127.0.0.1]/",
  "http://[64:ff9b::7f00:1]/",
  "http://[64:ff9b:1::7f00:1]/",
  "http://[2002:7f00:1::]/",
  "http://[2001:db8::1]/",
  "http://[3fff::1]/",
  "http://[fe80::1]/",
  "http://[fd00::1]/",
  "http://[100::1]/",
  "http://[5f00::1]/",
  "http://[ff02::1]/",
  "http://0.1.2.3/",
  "http://10.1.2.3/",
  "http://100.64.1.1/",
  "http://169.254.169.254/latest/meta-data/",
  "http://172.16.0.1/",
  "http://192.0.0.1/",
  "http://192.0.2.1/",
  "http://192.88.99.1/",
  "http://192.168.1.1/",
  "http://198.18.0.1/",
  "http://198.51.100.1/",
  "http://203.0.113.1/",
  "http://224.0.0.1/",
  "http://240.0.0.1/",
  "http://255.255.255.255/",
  "http://user:pass@127.0.0.1/",
  "http://backend/",
  "http://private.example/",
  "http://half.example/",
]) {
  test(`${url} is blocked`, async (t) => {
    const addresses: { readonly [name: string]: readonly string[] } = {
      localhost: ["127.0.0.1", "::1"],
      backend: ["172.18.0.4"],
      "private.example": ["10.0.0.1"],
      "half.example": ["93.184.216.34", "fd00::7"],
    };
    const { post } = await world(t, {
      allowNetworks: [],
      resolve: async (name) => (addresses[name] ?? []).map((address) => ({ address, family: 4 })),
    });
    const answer = await post({ url });
    assert.deepEqual([answer.statusCode, answer.timedOut, answer.responseHeaders], [0, false, null]);
    assert.match(answer.response, /blocked/);
  });
}

test("an allowed network lets it pass", async (t) => {
  const { hook, post } = await world(t, {
    allowNetworks: ["127.0.0.0/8"],
    resolve: async () => [{ address: "127.0.0.1", family: 4 }],
  });
  assert.equal((await post({ url: `http://localhost:${hook.port}/` })).statusCode, 200);
  assert.equal((await post({ url: `http://[::ffff:127.0.0.1]:${hook.port}/` })).statusCode, 200);
});

const UNWRITABLE: readonly Partial<EndpointRequest>[] = [
  { headers: { "x-a": "1\r\nx-b: 2" } },
  { headers: { "x a": "1" } },
  { headers: { "x-a": "snow ☃" } },
  { headers: { "x-big": "y".repeat(100_000) } },
  { url: "nonsense" },
  { url: `http://example.com/${"a".repeat(60_000)}` },
  { url: "http://user:pass@" },
  { method: "GET / HTTP/1.1\r\nx: y" as "POST" },
];
for (const request of UNWRITABLE) {
  test(`what cannot be written as HTTP fails: ${JSON.stringify(request).slice(0, 60)}`, async (t) => {
    const { hook, post } = await world(t);
    assert.equal((await post(request)).statusCode, 0);
    assert.equal(hook.connections, 0);
  });
}

test("paths of one host that hang do not hold up the others", async (t) => {
  const { hook, post } = await world(t);
  hook.answer((request, response) => {
    if (request.url !== "/hangs") response.end("well");
  });
  const stop = new AbortController();
  const hanging = Array.from({ length: 300 }, () => post({ url: `${hook.url}/hangs`, signal: stop.signal }));
  const healthy = await Promise.all(Array.from({ length: 50 }, () => post({ url: `${hook.url}/well` })));
  assert.deepEqual(
    healthy.map((answer) => answer.response),
    healthy.map(() => "well"),
  );
  await hook.received(350);
  stop.abort();
  for (const answer of await Promise.all(hanging)) assert.equal(answer.aborted, true);
});
