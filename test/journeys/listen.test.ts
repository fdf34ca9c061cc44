/** A developer's machine hears an application's webhooks over a connection of its own: a real child process, a real server. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { resolve } from "node:path";
import { createInterface } from "node:readline";
import { type TestContext, test } from "node:test";
import { Webhook as StandardWebhook } from "standardwebhooks";
import { Webhook } from "svix";
import { Webhook as Webhook2 } from "svix2";
import type { App } from "../../src/app.ts";
import type { AppId, AppMessage } from "../../src/engine/webhooks/model.ts";
import type { NewAppMessage } from "../../src/engine/webhooks/webhooks.ts";
import { DIALECTS, newPlace, type Place } from "../conformance/databases.ts";
import { type HttpReceiver, httpReceiver } from "../support/http-receiver.ts";
import { SECRET_KEY, startServer } from "../support/server.ts";

const MAIN = resolve(import.meta.dirname, "../../src/main.ts");
const SECRET = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const WITHIN_MS = 15_000;

interface Cli {
  readonly process: ChildProcess;
  readonly lines: readonly string[];
  output(): string;
  /** Resolves with the first line that matches; rejects when the process ends before, or nothing comes. */
  said(pattern: RegExp): Promise<string>;
  /** Ctrl-C. @returns the exit code. */
  interrupt(): Promise<number | null>;
  readonly ended: Promise<number | null>;
}

function carillon(t: TestContext, args: readonly string[], env: { readonly [name: string]: string } = {}): Cli {
  const child = spawn(process.execPath, [MAIN, ...args], {
    env: { PATH: process.env.PATH, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const lines: string[] = [];
  const waiters = new Set<() => void>();
  const ended = new Promise<number | null>((done) => child.once("close", (code) => done(code)));
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on("line", (line) => {
      lines.push(line);
      for (const look of [...waiters]) look();
    });
  }
  t.after(async () => {
    child.kill("SIGKILL");
    await ended;
  });
  return {
    process: child,
    lines,
    output: () => lines.join("\n"),
    said: (pattern) =>
      new Promise((found, failed) => {
        const fail = (why: string) => failed(new Error(`${why} before ${pattern}:\n${lines.join("\n")}`));
        const timer = setTimeout(() => fail("nothing came"), WITHIN_MS);
        const look = (): void => {
          const line = lines.find((one) => pattern.test(one));
          if (line === undefined) return;
          waiters.delete(look);
          clearTimeout(timer);
          found(line);
        };
        waiters.add(look);
        ended.then((code) => {
          look();
          clearTimeout(timer);
          fail(`the process ended with ${code}`);
        });
        look();
      }),
    interrupt: () => {
      child.kill("SIGINT");
      return ended;
    },
    ended,
  };
}

interface Server {
  readonly app: App;
  readonly url: string;
  application(uid: string): Promise<AppId>;
  publish(appId: AppId, message?: Partial<NewAppMessage>): Promise<AppMessage>;
  close(): Promise<void>;
}

async function started(t: TestContext, env: { readonly [name: string]: string } = {}): Promise<Server> {
  const app = await startServer(env);
  let isOpen = true;
  const close = async (): Promise<void> => {
    if (isOpen) await app.close();
    isOpen = false;
  };
  t.after(close);
  const { webhooks } = app.engine;
  return {
    app,
    url: app.url,
    application: async (uid) => {
      const fields = { uid, name: uid, throttleRate: null, metadata: {} };
      return (await webhooks.applications.create(app.environment.id, fields)).id;
    },
    publish: async (appId, message = {}) => {
      const published = await webhooks.publish(app.environment.id, appId, { ...PLAIN, ...message });
      assert.equal(published.kind, "accepted");
      return (published as { message: AppMessage }).message;
    },
    close,
  };
}

const PLAIN: NewAppMessage = {
  eventId: null,
  eventType: "invoice.paid",
  channels: null,
  tags: null,
  payload: '{"amount":1}',
  raw: null,
  parameters: null,
  deliverAt: null,
  keepMs: 86_400_000,
};

async function receiver(t: TestContext): Promise<HttpReceiver> {
  const hook = await httpReceiver();
  t.after(() => hook.close());
  return hook;
}

/** Listens and resolves once it hears. */
async function listening(t: TestContext, server: Server, to: string, ...options: string[]): Promise<Cli> {
  const cli = carillon(t, ["listen", to, "--server", server.url, ...options], { CARILLON_SECRET_KEY: SECRET_KEY });
  await cli.said(/Ctrl-C ends it/);
  return cli;
}

test("every message arrives byte for byte, signed, with a line for each, until Ctrl-C", async (t) => {
  const [server, hook] = [await started(t), await receiver(t)];
  const appId = await server.application("acme");
  const cli = await listening(t, server, `${hook.url}/hooks?a=b`, "--secret", SECRET);
  assert.match(await cli.said(/^listening to/), /acme, app_[0-9A-Za-z]{27} at http/);
  await cli.said(new RegExp(`^verify with +${SECRET.replaceAll("+", "\\+")}$`));
  const payloads = [
    '{"n":12345678901234567890,"f":1.0,"e":1E400}',
    '{ "b" : 1,\n\t"a" : "\\u00e9é😀\\ud800" , "a":2}',
    `{"big":"${"x".repeat(1_000_000)}"}`,
    "{}",
  ];
  for (const [i, payload] of payloads.entries()) {
    await server.publish(appId, { payload });
    const request = (await hook.received(i + 1))[i];
    assert.ok(request);
    assert.equal(request.text, payload);
    assert.equal(request.url, "/hooks?a=b");
    assert.equal(request.headers["content-type"], "application/json");
    assert.match(request.headers["user-agent"] ?? "", /^Carillon\//);
    const headers = request.headers as { [name: string]: string };
    for (const verifier of [new Webhook(SECRET), new Webhook2(SECRET), new StandardWebhook(SECRET)]) {
      verifier.verify(request.body.toString(), headers);
    }
    assert.throws(() => new Webhook(SECRET).verify(`${request.text} `, headers));
    assert.match(headers["svix-id"] ?? "", /^msg_[0-9A-Za-z]{27}$/);
    await cli.said(new RegExp(`^\\d\\d:\\d\\d:\\d\\d {2}invoice\\.paid {2}${headers["svix-id"]} {2}200 {2}\\d+ ms$`));
  }
  assert.equal(await cli.interrupt(), 0);
  assert.match(cli.output(), /forwarded 4 messages$/m);
});

test("raw content is sent as it is, under its own type; the settings' header names are kept", async (t) => {
  const [server, hook] = [await started(t), await receiver(t)];
  const appId = await server.application("acme");
  await server.app.engine.webhooks.settings.update(server.app.environment.id, (now) => ({
    ...now,
    headerNames: "standard",
  }));
  await listening(t, server, hook.url, "--secret", SECRET);
  const raw = "<a>not JSON ü</a>";
  await server.publish(appId, { payload: "{}", raw, parameters: { headers: { "Content-Type": "text/xml" } } });
  const [request] = await hook.received(1);
  assert.equal(request?.text, raw);
  assert.equal(request?.headers["content-type"], "text/xml");
  assert.equal(request?.headers["svix-id"], undefined);
  // The verifiers read JSON only.
  const { "webhook-id": id, "webhook-timestamp": seconds, "webhook-signature": signed } = request?.headers ?? {};
  assert.equal(signed, new StandardWebhook(SECRET).sign(String(id), new Date(Number(seconds) * 1000), raw));
});

test("only what is asked for: an application among several, types, channels", async (t) => {
  const [server, hook] = [await started(t), await receiver(t)];
  const [acme, other] = [await server.application("acme"), await server.application("other")];
  await listening(t, server, hook.url, "--app", "acme", "--events", "a.b, a.c", "--channels", "eu");
  await server.publish(other, { eventType: "a.b", channels: ["eu"] });
  await server.publish(acme, { eventType: "a.d", channels: ["eu"] });
  await server.publish(acme, { eventType: "a.b", channels: ["us"] });
  await server.publish(acme, { eventType: "a.b" });
  const wanted = [
    await server.publish(acme, { eventType: "a.b", channels: ["us", "eu"], payload: '{"n":1}' }),
    await server.publish(acme, { eventType: "a.c", channels: ["eu"], payload: '{"n":2}' }),
  ];
  const requests = await hook.received(wanted.length);
  assert.deepEqual(requests.map(({ text }) => text).sort(), ['{"n":1}', '{"n":2}']);
});

test("what goes wrong at the local address is printed, and does not stop it", async (t) => {
  const [server, hook] = [await started(t), await receiver(t)];
  const appId = await server.application("acme");
  hook.answer(
    { status: 500, body: "no \u001b[31mred" },
    "drop",
    { status: 302, headers: { location: "http://127.0.0.1:1/" } },
    { status: 204 },
  );
  const cli = await listening(t, server, hook.url, "--print-bodies");
  await server.publish(appId, { payload: '{"n":"to see"}' });
  await cli.said(/ {2}500 {2}\d+ ms/);
  await cli.said(/^ {2}→ \{"n":"to see"\}$/);
  await cli.said(/^ {2}← no \\u001b\[31mred$/);
  await server.publish(appId);
  await cli.said(/ {2}failed: .+ {2}\d+ ms/);
  await server.publish(appId);
  await cli.said(/ {2}302 {2}\d+ ms/);
  await server.publish(appId);
  await cli.said(/ {2}204 {2}\d+ ms/);
  await hook.close();
  await server.publish(appId);
  await cli.said(/failed: .*ECONNREFUSED/);
  assert.equal(await cli.interrupt(), 0);
  assert.match(cli.output(), /forwarded 5 messages, 4 of them in vain/);
});

test("a handler that hangs keeps no other message; what is not due yet waits", async (t) => {
  const [server, hook] = [await started(t), await receiver(t)];
  const appId = await server.application("acme");
  hook.answer("hang", { status: 200 });
  const cli = await listening(t, server, hook.url);
  await server.publish(appId, { payload: '{"n":"hangs"}' });
  await hook.received(1);
  const later = await server.publish(appId, { payload: '{"n":"later"}', deliverAt: Date.now() + 1_200 });
  await cli.said(/is due at/);
  await server.publish(appId, { payload: '{"n":"now"}' });
  const requests = await hook.received(3);
  assert.deepEqual(
    requests.map(({ text }) => JSON.parse(text).n),
    ["hangs", "now", "later"],
  );
  assert.ok(Date.now() >= (later.deliverAt as number));
});

test("the server goes away and comes back: everything is heard once", async (t) => {
  const { place, remove } = await newPlace("sqlite");
  t.after(remove);
  const hook = await receiver(t);
  const first = await started(t, { CARILLON_DATA_DIR: place.dataDir });
  const appId = await first.application("acme");
  const cli = await listening(t, first, hook.url);
  for (let n = 0; n < 20; n++) await first.publish(appId, { payload: `{"n":${n}}` });
  const stoppedAt = performance.now();
  await first.close();
  assert.ok(performance.now() - stoppedAt < 2_500, "a listener holds up no stop");
  await cli.said(/no connection to the server .*ECONNREFUSED.*next try in/);
  const second = await started(t, { CARILLON_DATA_DIR: place.dataDir, PORT: new URL(first.url).port });
  for (let n = 20; n < 40; n++) await second.publish(appId, { payload: `{"n":${n}}` });
  await cli.said(/connected again/);
  for (let n = 40; n < 60; n++) await second.publish(appId, { payload: `{"n":${n}}` });
  await hook.received(60);
  await second.publish(appId, { payload: '{"n":60}' });
  const heard = (await hook.received(61)).map(({ text }) => JSON.parse(text).n).sort((a, b) => a - b);
  assert.deepEqual(
    heard,
    Array.from({ length: 61 }, (_, n) => n),
  );
});

test("two listeners hear the same; where there is no application one is made", async (t) => {
  const [server, hook, other] = [await started(t), await receiver(t), await receiver(t)];
  const cli = await listening(t, server, hook.url);
  assert.match(await cli.said(/^listening to/), / listen, app_/);
  await listening(t, server, other.url);
  const environmentId = server.app.environment.id;
  const made = await server.app.engine.webhooks.applications.read(environmentId, { uid: "listen" });
  const count = 300;
  const ids = await Promise.all(
    Array.from({ length: count }, (_, n) => server.publish(made?.id as AppId, { payload: `{"n":${n}}` })),
  );
  assert.equal(new Set(ids.map(({ id }) => id)).size, count);
  for (const one of [hook, other]) {
    const heard = (await one.received(count)).map(({ text }) => JSON.parse(text).n).sort((a, b) => a - b);
    assert.deepEqual(
      heard,
      Array.from({ length: count }, (_, n) => n),
    );
  }
});

for (const dialect of DIALECTS.filter((name) => name === "postgres")) {
  test(`${dialect}: messages that another process takes in are heard, from both in turn`, async (t) => {
    const { place, remove } = await newPlace(dialect);
    t.after(remove);
    const env = envOf(place);
    const [one, two] = [await started(t, env), await started(t, env)];
    const hook = await receiver(t);
    const appId = await one.application("acme");
    await listening(t, one, hook.url);
    const count = 60;
    await Promise.all(
      Array.from({ length: count }, (_, n) => (n % 2 === 0 ? one : two).publish(appId, { payload: `{"n":${n}}` })),
    );
    await hook.received(count);
    await two.publish(appId, { payload: `{"n":${count}}` });
    const heard = (await hook.received(count + 1)).map(({ text }) => JSON.parse(text).n).sort((a, b) => a - b);
    assert.deepEqual(
      heard,
      Array.from({ length: count + 1 }, (_, n) => n),
    );
  });
}

function envOf(place: Place): { [name: string]: string } {
  return { CARILLON_DATABASE_URL: place.url ?? "", CARILLON_DATA_DIR: place.dataDir, CARILLON_DATABASE_POOL: "4" };
}

test("mistakes are told in one line", async (t) => {
  const server = await started(t);
  await server.application("acme");
  await server.application("other");
  const stranger = createServer((_, response) => void response.end("<html>hello</html>"));
  await new Promise<void>((done) => stranger.listen(0, "127.0.0.1", done));
  t.after(() => stranger.close());
  const strange = `http://127.0.0.1:${(stranger.address() as AddressInfo).port}`;
  const at = ["--server", server.url];
  const key = { CARILLON_SECRET_KEY: SECRET_KEY };
  const cases: [args: string[], env: { [name: string]: string }, code: number, says: RegExp][] = [
    [[], key, 2, /expected an address to forward to/],
    [["3000", "4000"], key, 2, /one address/],
    [["ftp://x"], key, 2, /http or https address to forward to, got "ftp/],
    [["3000", "--nope"], key, 2, /--nope/],
    [["3000", "--server", "x"], key, 2, /--server/],
    [["3000", "--events", "a,,b"], key, 2, /--events/],
    [["3000", "--secret", "whsec_AAAA"], key, 2, /--secret: expected a secret of 24/],
    [["3000", ...at], {}, 2, /no secret key/],
    [["3000", ...at, "--key", "wrong-key"], {}, 1, /does not know this secret key/],
    [["3000", ...at], { SVIX_AUTH_TOKEN: SECRET_KEY }, 1, /several applications.*acme \(acme\), other \(other\)/],
    [["3000", "--app", "nobody"], { ...key, CARILLON_URL: server.url }, 1, /no application "nobody"/],
    [["3000", "--app", "acme", "--events", "x".repeat(300), ...at], key, 1, /event_types/],
    [["3000", "--server", strange], key, 1, /answers like something else than Carillon/],
    [["3000", "--server", "http://127.0.0.1:1"], key, 1, /127\.0\.0\.1:1 cannot be reached: .*ECONNREFUSED/],
  ];
  for (const [args, env, code, says] of cases) {
    const cli = carillon(t, ["listen", ...args], env);
    assert.equal(await cli.ended, code, cli.output());
    assert.equal(cli.lines.length, 1, cli.output());
    assert.match(cli.output(), says);
    assert.match(cli.output(), /^carillon: /);
  }
  const help = carillon(t, ["listen", "--help"]);
  assert.equal(await help.ended, 0);
  for (const option of ["--server", "--key", "--app", "--events", "--channels", "--secret", "--print-bodies"]) {
    assert.ok(help.output().includes(option), option);
  }
});

test("hostile bodies are refused with a reason", async (t) => {
  const server = await started(t);
  await server.application("acme");
  const post = async (path: string, body: unknown, key = SECRET_KEY) => {
    const response = await fetch(server.url + path, {
      method: "POST",
      headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
      body: typeof body === "string" ? body : JSON.stringify(body),
    });
    return { status: response.status, body: (await response.json()) as { [name: string]: unknown } };
  };
  const opened = (await post("/admin/listen", { app: "acme" })).body as { app: { id: string }; place: object };
  const good = { app: opened.app.id, place: opened.place };
  assert.equal((await post("/admin/listen/messages", good)).status, 200);
  assert.equal(
    (await post("/admin/listen/messages", { ...good, app: "acme", event_types: ["a\0b", "😀"] })).status,
    400,
  );
  for (const body of [
    [],
    7,
    "{",
    { app: "" },
    { app: ["acme"] },
    { event_types: [] },
    { channels: [1] },
    { event_types: Array(101).fill("a") },
  ]) {
    assert.equal((await post("/admin/listen", body)).status, 400, JSON.stringify(body));
  }
  for (const app of ["__proto__", "a\0b", "\ud800", "😀", "app_000000000000000000000000000", "../x"]) {
    const { status } = await post("/admin/listen", { app });
    assert.ok(status === 404 || status === 400, `${app}: ${status}`);
  }
  for (const over of [
    { place: {} },
    { place: { after: "x", seen: [] } },
    { place: { after: "msg_", seen: [] } },
    { place: { ...opened.place, seen: ["'; drop table"] } },
    { place: { ...opened.place, seen: Array(6_000).fill("msg_3b061453e00009hv8a0946bpdc") } },
    { wait_ms: -1 },
    { wait_ms: 1e9 },
    { wait_ms: 0.5 },
  ]) {
    assert.equal(
      (await post("/admin/listen/messages", { ...good, ...over })).status,
      400,
      JSON.stringify(over).slice(0, 80),
    );
  }
  const described = (await (await fetch(`${server.url}/openapi.json`)).json()) as { paths: object };
  for (const path of ["/admin/listen", "/admin/listen/messages"]) assert.ok(path in described.paths, path);
  assert.equal((await post("/admin/listen", {}, "nobody")).status, 401);
  assert.equal((await post("/admin/listen/messages", good, "nobody")).status, 401);
});
