/** Other people's code: what it may do, what it may not, and what it is told when it fails. */
import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import type { TransformationInput, TransformationOutput } from "../../src/engine/webhooks/webhooks.ts";
import { openSandbox } from "../../src/sandbox/sandbox.ts";

const INPUT: TransformationInput = {
  method: "POST",
  url: "https://customer.example/hook",
  payload: '{"id": 12345678901234567890, "list":[1,2.50]}',
  eventType: "invoice.paid",
  channels: ["eu"],
  variables: { team: "blue" },
  parameters: { trace: { id: 7 } },
};

const sandbox = openSandbox({ cpuMs: 250, wallMs: 2_000 });
after(() => sandbox.close());

async function output(code: string, input: Partial<TransformationInput> = {}): Promise<TransformationOutput> {
  const ran = await sandbox.transform(code, { ...INPUT, ...input });
  assert.equal(ran.kind, "done", ran.kind === "failed" ? ran.reason : "");
  return (ran as Extract<typeof ran, { kind: "done" }>).output;
}

async function reason(code: string, input: Partial<TransformationInput> = {}): Promise<string> {
  const ran = await sandbox.transform(code, { ...INPUT, ...input });
  assert.equal(ran.kind, "failed", "it ought to fail");
  return (ran as Extract<typeof ran, { kind: "failed" }>).reason;
}

describe("what a handler may do", () => {
  test("it sees the message and what its endpoint and its sender gave", async () => {
    const { payload } = await output("function handler(webhook) { return { payload: { ...webhook } } }");
    assert.deepEqual(JSON.parse(payload), {
      method: "POST",
      url: INPUT.url,
      eventType: "invoice.paid",
      channels: ["eu"],
      variables: { team: "blue" },
      transformationsParams: { trace: { id: 7 } },
      payload: JSON.parse(INPUT.payload),
    });
  });

  test("it changes method, url, headers and payload, or cancels", async () => {
    const code = `const handler = (webhook) => {
      webhook.method = "PUT";
      webhook.url = "https://other.example/";
      webhook.headers = { "X-Team": webhook.variables.team };
      webhook.payload.list = "gone";
      webhook.cancel = true;
      return webhook;
    }`;
    assert.deepEqual(await output(code, { payload: '{"list":1}' }), {
      method: "PUT",
      url: "https://other.example/",
      headers: { "X-Team": "blue" },
      payload: '{"list":"gone"}',
      cancel: true,
    });
  });

  test("what it leaves as it was keeps its very text; a change anywhere writes numbers anew", async () => {
    const kept = await output('function handler(w) { w.url = "https://other.example/"; return w }');
    assert.equal(kept.payload, INPUT.payload);
    assert.equal((await output("function handler() { return {} }")).payload, INPUT.payload);
    const changed = await output("function handler(w) { w.payload.more = true; return w }");
    assert.equal(changed.payload, '{"id":12345678901234567000,"list":[1,2.5],"more":true}');
  });

  test("the payload may be text that is no JSON, both ways", async () => {
    assert.equal((await output('function handler(w) { return { payload: "a=1&b=2" } }')).payload, "a=1&b=2");
    const echo = "function handler(w) { w.payload = w.payload.toUpperCase(); return w }";
    assert.equal((await output(echo, { payload: "plain \u0000 text ☃" })).payload, "PLAIN \u0000 TEXT ☃");
  });

  test("half a character is mended, so that what is signed is what is sent", async () => {
    assert.equal((await output('function handler() { return { payload: "a\\ud800b" } }')).payload, "a\ufffdb");
  });

  test("promises are waited for", async () => {
    const code = `async function handler(w) {
      await null;
      w.payload = { n: await new Promise((resolve) => Promise.resolve().then(() => resolve(5))) };
      return w;
    }`;
    assert.equal((await output(code)).payload, '{"n":5}');
  });

  test("getters and proxies are read once, inside", async () => {
    const code = "function handler() { let n = 0; return { get payload() { return { n: ++n } } } }";
    assert.equal((await output(code)).payload, '{"n":1}');
    const proxy =
      'function handler(w) { return new Proxy({}, { get: (_, key) => key === "payload" ? "p" : undefined }) }';
    assert.equal((await output(proxy)).payload, "p");
  });
});

describe("what it is told when it fails", () => {
  for (const [what, code, told] of [
    ["a mistake in the text", "function handler(w) {\n  if (\n}", /^SyntaxError: .*line 3/],
    ["no handler", "var other = 1", /must define a function named handler/],
    ["a handler that is none", "var handler = 1", /handler must be a function, not a number/],
    ["an error", "function handler(w) {\n\n  return w.x.y\n}", /^TypeError: .*'y'.*\(line 3\)$/],
    ["a rejected promise", 'async function handler() { throw new Error("no luck") }', /^Error: no luck \(line 1\)$/],
    ["an error outside of handler", 'throw new RangeError("early")', /^RangeError: early/],
    ["no object", "function handler() { return 5 }", /must return an object, not number/],
    ["nothing", "function handler() {}", /must return an object, not undefined/],
    ["null by promise", "async function handler() { return null }", /must return an object, not null/],
    [
      "a method that is not sent",
      'function handler() { return { method: "GET" } }',
      /method must be POST, PUT or PATCH/,
    ],
    ["a url of another kind", 'function handler() { return { url: "file:///etc/passwd" } }', /url must be an http/],
    ["a url that is none", 'function handler() { return { url: "nowhere" } }', /url must be an http/],
    [
      "a number for payload",
      "function handler() { return { payload: 5 } }",
      /payload must be an object or text, not 5/,
    ],
    ["null for payload", "function handler() { return { payload: null } }", /payload must be an object or text/],
    ["a payload that is no JSON", "function handler() { return { payload: { a: 1n } } }", /BigInt/],
    ["a circle", "function handler() { const a = {}; a.a = a; return { payload: a } }", /circular/],
    ["headers that are no object", "function handler() { return { headers: [] } }", /headers must be an object/],
    [
      "a header that is no text",
      "function handler() { return { headers: { a: 1 } } }",
      /headers.a must be text, not 1/,
    ],
    [
      "a header's name with a line break",
      'function handler() { return { headers: { "a\\r\\nb": "c" } } }',
      /HTTP does not/,
    ],
    [
      "a header with a line break",
      'function handler() { return { headers: { a: "b\\r\\nc: d" } } }',
      /headers.a has char/,
    ],
    ["a header that frames", 'function handler() { return { headers: { "Content-Length": "3" } } }', /content-length/],
    [
      "a header that signs",
      'function handler() { return { headers: { "svix-signature": "v1,x" } } }',
      /svix-signature/,
    ],
    ["cancel that is no switch", "function handler() { return { cancel: 1 } }", /cancel must be true or false/],
    ["a module", 'async function handler() { return await import("std") }', /could not load module/],
    ["NUL in the code", "function handler(w) { return w }\0 more", /NUL/],
  ] as const) {
    test(what, async () => assert.match(await reason(code), told));
  }
});

describe("what it cannot do", () => {
  test("reach the host", async () => {
    const code = `function handler() {
      const outer = Function("return this")();
      const known = ["process", "require", "fetch", "module", "setTimeout", "WebAssembly", "Worker", "std", "os", "Deno"];
      const viaConstructor = handler.constructor.constructor("return typeof process")();
      return { payload: { found: known.filter((name) => name in outer), viaConstructor } };
    }`;
    assert.equal((await output(code)).payload, '{"found":[],"viaConstructor":"undefined"}');
  });

  test("leave anything behind for the next run", async () => {
    const code = `globalThis.count = (globalThis.count ?? 0) + 1;
      Object.prototype.left = (Object.prototype.left ?? 0) + 1;
      function handler() { return { payload: { count, left: ({}).left } } }`;
    for (let run = 0; run < 4; run++) assert.equal((await output(code)).payload, '{"count":1,"left":1}');
  });

  for (const [what, code] of [
    ["in a loop", "function handler() { for (;;); }"],
    ["outside of handler", "for (;;);"],
    ["in promises", "async function handler() { for (;;) await null }"],
    ["in a getter", "function handler() { return { get payload() { for (;;); } } }"],
    ["in a proxy", "function handler() { return new Proxy({}, { get() { for (;;); } }) }"],
    ["while it is asked what went wrong", "function handler() { throw { get message() { for (;;); } } }"],
    ["in a regular expression", 'function handler() { return { payload: "" + /^(a+)+$/.test("a".repeat(40) + "b") } }'],
    ["though it catches everything", "function handler() { for (;;) try { for (;;); } catch {} }"],
    ["in toJSON", "function handler() { return { payload: { toJSON() { for (;;); } } } }"],
  ] as const) {
    test(`compute for ever ${what}`, async () => assert.match(await reason(code), /took longer than 250 ms/));
  }

  test("wait for ever", async () => {
    assert.match(await reason("function handler() { return new Promise(() => {}) }"), /never settles/);
  });

  for (const [what, code] of [
    ["with buffers", "function handler() { const a = []; for (;;) a.push(new ArrayBuffer(1e6)) }"],
    ["with objects", "function handler() { const a = []; for (;;) a.push([1, 2, 3, 4, 5, 6, 7, 8]) }"],
    ["with one text", 'function handler() { let a = "xx"; for (;;) a += a }'],
  ] as const) {
    test(`take all memory ${what}`, async () => {
      const roomy = openSandbox({ cpuMs: 20_000, wallMs: 30_000, memoryBytes: 32 * 1024 * 1024, threads: 1 });
      const ran = await roomy.transform(code, INPUT);
      assert.match(ran.kind === "failed" ? ran.reason : "done", /memory|too long/);
      assert.equal((await roomy.transform("function handler(w) { return w }", INPUT)).kind, "done");
      await roomy.close();
    });
  }

  test("call itself for ever", async () => {
    assert.match(await reason("function handler(w) { return handler(w) + 1 }"), /stack/);
    assert.match(await reason("function handler(w) { return { get payload() { return this.payload } } }"), /stack/);
  });

  test("return more than a payload may be", async () => {
    assert.match(
      await reason('function handler() { return { payload: "x".repeat(1_100_000) } }'),
      /larger than 1048576/,
    );
    assert.match(await reason('function handler() { return { payload: "é".repeat(600_000) } }'), /larger than 1048576/);
    const huge = 'function handler() { return { payload: "x", url: "x".repeat(9_000_000) } }';
    assert.match(await reason(huge), /too large/);
    assert.match(await reason('function handler() { throw new Error("x".repeat(5_000_000)) }'), /^Error: x{100}/);
  });

  test("make a throwing description, or one that throws nothing at all", async () => {
    assert.match(await reason("function handler() { throw { toString() { throw 1 } } }"), /without a message/);
    assert.match(await reason("function handler() { throw { get message() { throw 1 } } }"), /cannot be shown/);
    assert.equal(await reason("function handler() { throw null }"), "threw null");
    assert.equal(await reason("function handler() { throw Symbol('s') }"), "threw Symbol(s)");
  });

  test("spoil what stands beside it by changing built-ins", async () => {
    const spoil = `JSON.stringify = () => "{}"; JSON.parse = null; Promise.prototype.then = null; Promise.resolve = null;
      Reflect.apply = null; Object.prototype.__proto__ = null; Array.prototype.toJSON = () => 1;`;
    assert.equal((await output(`${spoil} function handler(w) { w.payload = { a: 1 }; return w }`)).payload, '{"a":1}');
    assert.equal((await output(`${spoil} async function handler(w) { return w }`)).payload, INPUT.payload);
    const own = "Object.prototype.toJSON = () => 5; function handler(w) { return w }";
    assert.match(await reason(own), /cannot be read/);
    const inherited = 'Object.prototype.url = "file:///x"; function handler() { return {} }';
    assert.match(await reason(inherited), /url must be an http/);
  });

  test("name a header __proto__", async () => {
    const code = 'function handler() { return { headers: JSON.parse(\'{"__proto__": "x"}\') } }';
    assert.match(await reason(code), /__proto__/);
  });
});

describe("threads", () => {
  test("what cannot be interrupted is ended from outside, and the next run has a thread again", async () => {
    const own = openSandbox({ cpuMs: 60_000, wallMs: 300, threads: 1 });
    const ran = own.transform("function handler() { for (;;); }", INPUT);
    const next = own.transform("function handler(w) { return w }", INPUT);
    assert.deepEqual(await ran, { kind: "failed", reason: "the code took longer than 300 ms" });
    assert.equal((await next).kind, "done");
    await own.close();
  });

  test("slow code leaves a thread to the others", async () => {
    const own = openSandbox({ cpuMs: 400, wallMs: 10_000, threads: 2 });
    const order: string[] = [];
    const slow = Array.from({ length: 4 }, () =>
      own.transform("function handler() { for (;;); }", INPUT).then(() => order.push("slow")),
    );
    const quick = Array.from({ length: 20 }, () =>
      own.transform("function handler(w) { return w }", INPUT).then(() => order.push("quick")),
    );
    await Promise.all(quick);
    assert.ok(order.filter((which) => which === "slow").length <= 1, order.join(" "));
    await Promise.all(slow);
    await own.close();
  });

  test("what waits is bounded, and no one takes all places", async () => {
    const own = openSandbox({ threads: 1, waiting: 4 });
    const greedy = Array.from({ length: 8 }, () => own.transform("function handler(w) { return w }", INPUT));
    const other = own.transform("const handler = (w) => w", INPUT);
    const kinds = (await Promise.all(greedy)).map((ran) => (ran.kind === "failed" ? ran.reason : "done"));
    assert.deepEqual(
      kinds.filter((kind) => kind !== "done"),
      new Array(6).fill("too many transformations are waiting to run"),
    );
    assert.equal((await other).kind, "done");
    const bytes = openSandbox({ waitingChars: 10 });
    assert.match(JSON.stringify(await bytes.transform("", INPUT)), /too many/);
    await Promise.all([own.close(), bytes.close()]);
  });

  test("closing ends what runs and what waits", async () => {
    const own = openSandbox({ threads: 1 });
    const runs = Array.from({ length: 3 }, () => own.transform("function handler() { for (;;); }", INPUT));
    await own.close();
    for (const ran of await Promise.all(runs))
      assert.deepEqual(ran, { kind: "failed", reason: "the sandbox is closed" });
    assert.equal((await own.transform("function handler(w) { return w }", INPUT)).kind, "failed");
  });
});
