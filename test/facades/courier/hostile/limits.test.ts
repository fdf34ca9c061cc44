/** Sizes, content types and headers; and that a call which is refused leaves nothing behind. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { gzipSync } from "node:zlib";
import { DIALECTS } from "../../../conformance/databases.ts";
import { PUBLIC_KEY, SECRET_KEY } from "../../../support/server.ts";
import { type CallOptions, Complaints, type HostileServer, inParallel, startHostile } from "./hostile-server.ts";
import { ACTING_FOR_ANN, makeThings, type Things, validCalls } from "./valid-calls.ts";

const SIX_MEGABYTES = 6 * 1024 * 1024;

/** A JSON text of exactly so many bytes that means the same as the short one. */
function padded(body: unknown, bytes: number): string {
  const text = JSON.stringify(body);
  return `${text}${" ".repeat(bytes - Buffer.byteLength(text))}`;
}

describe("sizes and headers", () => {
  let server: HostileServer;
  let things: Things;
  before(async () => {
    server = await startHostile();
    things = await makeThings(server);
  });
  after(() => server.close());

  test("a body of exactly the limit is taken, and one byte more is 413", async () => {
    const message = { message: { to: { user_id: "ann" }, content: { title: "t", body: "b" } } };
    const graphql = { query: "{ count }" };
    for (const [path, body, limit] of [
      ["/send", message, SIX_MEGABYTES],
      ["/profiles/ann", { profile: { a: 1 } }, SIX_MEGABYTES],
      ["/q", graphql, 256 * 1024],
      ["/client/q", graphql, 256 * 1024],
      ["/e/x", { event: "CLICKED" }, 16 * 1024],
    ] as const) {
      const within = await server.decent("POST", path, { body: padded(body, limit), headers: ACTING_FOR_ANN });
      assert.ok(within.status < 300, `${path} with ${limit} bytes → ${within.status} ${within.text}`);
      const beyond = await server.decent("POST", path, { body: padded(body, limit + 1), headers: ACTING_FOR_ANN });
      assert.equal(beyond.status, 413, `${path} with ${limit + 1} bytes`);
    }
  });

  test("a body announced as larger than the limit is refused by every route before it has come", async () => {
    const found = new Complaints();
    await inParallel(validCalls(server.routes, things), ({ method, path }) =>
      found.collect(async () => {
        const answer = await server.raw(
          `${method} ${path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${SECRET_KEY}\r\nContent-Type: application/json\r\n` +
            `Content-Length: ${SIX_MEGABYTES + 1}\r\nConnection: close\r\n\r\n{`,
        );
        assert.match(
          answer,
          /^HTTP\/1\.1 413 [\s\S]*access-control-allow-origin: \*[\s\S]*"message":"[^"]+","type":"/i,
          `${method} ${path}`,
        );
      }),
    );
    found.assertNone();
  });

  test("a body that never says how long it is stops at the limit", async () => {
    const chunk = `10000\r\n${"x".repeat(0x10000)}\r\n`;
    const answer = await server.raw(
      `POST /send HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${SECRET_KEY}\r\nContent-Type: application/json\r\n` +
        `Transfer-Encoding: chunked\r\n\r\n${chunk.repeat(120)}`,
    );
    assert.match(answer, /^HTTP\/1\.1 413 /);
  });

  test("a body of megabytes that means nothing is refused within a second", async () => {
    for (const [name, text] of Object.entries({
      "a megabyte of brackets": "[".repeat(1_000_000),
      "a megabyte of lists": `${"[".repeat(500_000)}${"]".repeat(500_000)}`,
      "a megabyte of quotes": '"'.repeat(1_000_000),
      "a megabyte of backslashes": `"${"\\".repeat(1_000_000)}`,
      "a megabyte of spaces": " ".repeat(1_000_000),
      "a number of a million digits": "9".repeat(1_000_000),
      "a million commas": `[${",".repeat(1_000_000)}]`,
      "a million keys": `{${Array.from({ length: 80_000 }, (_, i) => `"k${i}":{}`).join(",")}}`,
      "a key of a megabyte": `{"${"k".repeat(1_000_000)}":1}`,
      "a list of half a million": `[${"0,".repeat(500_000)}0]`,
    })) {
      for (const path of ["/send", "/profiles/ann", "/lists/news/subscriptions", "/notifications"]) {
        const start = performance.now();
        const { status } = await server.decent("POST", path, { body: text }, name);
        assert.equal(status, 400, `${path}: ${name}`);
        assert.ok(performance.now() - start < 1_000, `${path}: ${name} took ${performance.now() - start} ms`);
      }
    }
  });

  test("bodies of other types, encodings and kinds are answered decently by every route", async () => {
    const found = new Complaints();
    const types = [
      "text/plain",
      "text/html",
      "application/xml",
      "application/x-www-form-urlencoded",
      "multipart/form-data",
      "multipart/form-data; boundary=x",
      "application/octet-stream",
      "application/json; charset=utf-16",
      "application/json;;;",
      "application/json, text/plain",
      "APPLICATION/JSON",
      "application/ld+json",
      "json",
      "/",
      ";",
      "a".repeat(2_000),
      "",
    ];
    const kinds: readonly (CallOptions & { readonly name: string })[] = [
      ...types.map((type) => ({ name: type, body: '{"a":1}', headers: { "content-type": type } })),
      { name: "no type", body: '{"a":1}', headers: { "content-type": null } },
      { name: "an empty body", body: "" },
      { name: "nothing", headers: { "content-type": "application/json", "content-length": "0" } },
      { name: "white space", body: " \r\n\t" },
      { name: "a byte order mark", body: '\ufeff{"a":1}' },
      { name: "bytes that are no UTF-8", body: Buffer.from([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x3a, 0x31, 0x7d]) },
      { name: "compressed", body: gzipSync('{"a":1}'), headers: { "content-encoding": "gzip" } },
      { name: "half of something", body: '{"profile":{"a":' },
      { name: "NaN", body: "NaN" },
      { name: "undefined", body: "undefined" },
      { name: "two values", body: "{}{}" },
      { name: "a batch", body: "[{},{}]" },
    ];
    await inParallel(
      validCalls(server.routes, things).flatMap((call) => kinds.map((kind) => ({ call, kind }))),
      ({ call: { method, path }, kind: { name, body, headers } }) =>
        found.collect(() => server.decent(method, path, { body, headers: { ...ACTING_FOR_ANN, ...headers } }, name)),
    );
    found.assertNone();
  });

  test("a credential that is none is 401 or 403 on every route, and never an error of ours", async () => {
    const found = new Complaints();
    const credentials: readonly { readonly [name: string]: string | null }[] = [
      { authorization: null },
      { authorization: "" },
      { authorization: "Bearer" },
      { authorization: "Bearer " },
      { authorization: "Bearer \t" },
      { authorization: `Bearer ${"x".repeat(12_000)}` },
      { authorization: "Bearer \u00ff\u00fe" },
      { authorization: "Bearer a.b.c" },
      { authorization: "Bearer eyJhbGciOiJub25lIn0.eyJzY29wZSI6InVzZXJfaWQ6YW5uIn0." },
      { authorization: `Bearer ${Buffer.from('{"alg":"HS256"}').toString("base64url")}.bnVsbA.AAAA` },
      { authorization: `Bearer ${".".repeat(5_000)}` },
      { authorization: "Bearer __proto__" },
      { authorization: "Bearer constructor" },
      { authorization: "Basic !!!!" },
      { authorization: `Basic ${Buffer.from("no colon").toString("base64")}` },
      { authorization: `Basic ${Buffer.from(`${SECRET_KEY}:`).toString("base64")}` },
      { authorization: `Digest ${SECRET_KEY}` },
      { authorization: `${SECRET_KEY}` },
      { authorization: `Bearer ${SECRET_KEY} ${SECRET_KEY}` },
      { authorization: `Bearer ${SECRET_KEY.toUpperCase()}` },
      { authorization: null, "x-courier-client-key": "x" },
      { authorization: null, "x-courier-client-key": PUBLIC_KEY },
      { authorization: null, "x-courier-client-key": PUBLIC_KEY, "x-courier-user-id": "ann" },
      {
        authorization: null,
        "x-courier-client-key": PUBLIC_KEY,
        "x-courier-user-id": "ann",
        "x-courier-user-signature": "\u00ff",
      },
      {
        authorization: null,
        "x-courier-client-key": PUBLIC_KEY,
        "x-courier-user-id": "__proto__",
        "x-courier-user-signature": "0".repeat(64),
      },
    ];
    const calls = [
      ...validCalls(server.routes, things),
      { method: "GET", path: "/messages", url: "/messages", body: {} },
    ];
    await inParallel(
      calls.flatMap((call) => credentials.map((headers) => ({ call, headers }))),
      ({ call: { method, path, url }, headers }) =>
        found.collect(async () => {
          const what = JSON.stringify(headers).slice(0, 200);
          const { status, text } = await server.decent(method, path, { body: {}, headers }, what);
          const open = url === "/e/:id" || (url === "/inbound/courier" && Object.values(headers).includes(PUBLIC_KEY));
          if (!open) assert.ok(status === 401 || status === 403, `${method} ${url} ${what} → ${status} ${text}`);
        }),
    );
    found.assertNone();
  });

  test("idempotency keys and their ends: 255 characters are taken, 256 are not, nonsense is 400", async () => {
    const body = { message: { to: { user_id: "ann" }, content: { title: "t", body: "b" } } };
    const send = (headers: { readonly [name: string]: string }) => server.decent("POST", "/send", { body, headers });
    assert.equal((await send({ "idempotency-key": "k".repeat(255) })).status, 202);
    for (const key of ["k".repeat(256), "k".repeat(10_000)]) {
      assert.equal((await send({ "idempotency-key": key })).status, 400, `${key.length} characters`);
    }
    for (const key of ["\u00ff\u00fe", "__proto__", "constructor", "a b c", "'; drop table requests; --", "%00"]) {
      assert.equal((await send({ "idempotency-key": key })).status, 202, key);
    }
    for (const end of [
      "tomorrow",
      "-1",
      "1e20",
      "9".repeat(17),
      "9".repeat(400),
      "2026-99-99",
      "NaN",
      "\u00ff",
      "[]",
      "275760-09-14T00:00:00Z",
    ]) {
      const { status } = await send({
        "idempotency-key": `end ${end.slice(0, 20)} ${end.length}`,
        "x-idempotency-expiration": end,
      });
      assert.equal(status, 400, end);
    }
    for (const path of ["/auth/issue-token", "/profiles/ann", "/notifications", "/providers", "/inbound/courier"]) {
      const { status } = await server.decent("POST", path, {
        body: {},
        headers: { "idempotency-key": "k".repeat(256) },
      });
      assert.equal(status, 400, path);
    }
  });

  test("bytes that are no HTTP get an answer in the same shape, and the connection ends", async () => {
    const head = `Host: a\r\nAuthorization: Bearer ${SECRET_KEY}\r\n`;
    for (const [name, bytes, status] of [
      ["nonsense", "nonsense\r\n\r\n", 400],
      ["TLS", Buffer.from([0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3]), 400],
      ["no host", "GET /lists HTTP/1.1\r\n\r\n", 400],
      ["a header without colon", `GET /lists HTTP/1.1\r\n${head}nonsense\r\n\r\n`, 400],
      ["a NUL in a header", `GET /lists HTTP/1.1\r\n${head}A: a\0b\r\n\r\n`, 400],
      ["a NUL in the path", `GET /li\0sts HTTP/1.1\r\n${head}\r\n`, 400],
      ["two lengths", `POST /send HTTP/1.1\r\n${head}Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}`, 400],
      ["a negative length", `POST /send HTTP/1.1\r\n${head}Content-Length: -2\r\n\r\n{}`, 400],
      [
        "length and chunks",
        `POST /send HTTP/1.1\r\n${head}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}`,
        400,
      ],
      [
        "a chunk of no size",
        `POST /send HTTP/1.1\r\n${head}Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n`,
        400,
      ],
      ["headers beyond 64 KB", `GET /lists HTTP/1.1\r\n${head}A: ${"a".repeat(70_000)}\r\n\r\n`, 431],
      ["thousands of headers", `GET /lists HTTP/1.1\r\n${head}${"a: b\r\n".repeat(12_000)}\r\n`, 431],
      ["a path beyond 64 KB", `GET /${"a".repeat(70_000)} HTTP/1.1\r\n${head}\r\n`, 431],
    ] as const) {
      const answer = await server.raw(bytes);
      assert.match(answer, new RegExp(`^HTTP/1\\.1 ${status} `), `${name}: ${answer.slice(0, 300)}`);
      if (name === "no host") continue; // Node answers this one itself, with an empty body.
      assert.match(answer, /access-control-allow-origin: \*/i, name);
      // Beside the fields of this facade it has those of others: whose path it was to be is not known.
      assert.match(answer, /\r\n\r\n\{"message":"[^"]+","type":"invalid_request_error",[^\r\n]+\}$/, name);
    }
  });

  test("preflights are answered with 204 whatever they ask for", async () => {
    for (const headers of [
      { "access-control-request-headers": "x".repeat(8_000) },
      { "access-control-request-headers": "\u00ff, authorization" },
      { "access-control-request-method": "NONSENSE" },
      { origin: "null" },
    ] as { [name: string]: string }[]) {
      const asked = {
        authorization: null,
        origin: "https://a.example",
        "access-control-request-method": "POST",
        ...headers,
      };
      assert.equal((await server.decent("OPTIONS", "/send", { headers: asked })).status, 204);
    }
  });
});

for (const dialect of DIALECTS) {
  test(`${dialect}: of a call that is refused nothing is written, not even its good half`, async () => {
    const server = await startHostile(dialect);
    try {
      const things = await makeThings(server);
      const before = await everything(server, things);
      const good = { token: "good", provider_key: "expo" };
      const message = { content: { title: "t", body: "b" } };
      const long = "x".repeat(2_000);
      for (const [method, path, body] of [
        ["PUT", "/users/ann/tokens", { tokens: [good, { token: "", provider_key: "expo" }] }],
        ["PUT", "/users/ann/tokens", { tokens: [good, { token: "a\0", provider_key: "expo" }] }],
        [
          "PUT",
          "/users/ann/tenants",
          { tenants: [{ tenant_id: "acme", profile: { a: 2 } }, { tenant_id: "nowhere" }] },
        ],
        ["PUT", "/users/bob/tenants", { tenants: [{ tenant_id: "acme" }, { tenant_id: "\ud800" }] }],
        ["POST", "/profiles/ann/lists", { lists: [{ listId: "fresh" }, { listId: "a\0" }] }],
        ["POST", "/profiles/ann/lists", { lists: [{ listId: "fresh" }, { listId: long }] }],
        ["POST", "/lists/fresh/subscriptions", { recipients: [{ recipientId: "bob" }, { recipientId: "" }] }],
        ["PUT", "/lists/news/subscriptions", { recipients: [{ recipientId: "bob" }, { recipientId: "\udc00" }] }],
        ["PUT", `/lists/news/subscriptions/${"%C3%BC".repeat(513)}`, {}],
        [
          "PATCH",
          "/profiles/ann",
          {
            patch: [
              { op: "add", path: "/a", value: 1 },
              { op: "test", path: "/a", value: 2 },
            ],
          },
        ],
        [
          "PATCH",
          "/profiles/ann",
          {
            patch: [
              { op: "add", path: "/a", value: 1 },
              { op: "add", path: "/__proto__/a", value: 2 },
            ],
          },
        ],
        [
          "PATCH",
          "/users/ann/tokens/t1",
          {
            patch: [
              { op: "add", path: "/properties", value: {} },
              { op: "replace", path: "/token", value: "t2" },
            ],
          },
        ],
        ["POST", "/profiles/ann", { profile: { a: "x".repeat(400_001) } }],
        ["PUT", "/tenants/fresh", { name: "a\0" }],
        ["PUT", "/tenants/fresh", { name: "Fresh", parent_tenant_id: "nowhere" }],
        ["PUT", "/tenants/acme", { name: "Acme", parent_tenant_id: "acme" }],
        [
          "POST",
          "/notifications",
          {
            notification: {
              name: "n",
              tags: [],
              brand: null,
              subscription: null,
              routing: null,
              content: { elements: [{ type: "text" }, { type: "nonsense" }] },
            },
          },
        ],
        [
          "PUT",
          `/notifications/${things.templateId}/content`,
          { content: { elements: [{ type: "nonsense" }] }, state: "PUBLISHED" },
        ],
        [
          "PUT",
          `/notifications/${things.templateId}/locales/fr`,
          {
            elements: [
              { id: "e1", content: "x" },
              { id: "none", content: "y" },
            ],
          },
        ],
        ["POST", "/providers", { provider: "smtp", settings: { host: "a" } }],
        ["PUT", "/events/fresh", { id: "nowhere", type: "notification" }],
        ["PUT", "/translations/default/de", "msgid"],
        ["POST", "/send", { message: { ...message, to: [{ user_id: "bob" }, { user_id: "a\0" }] } }],
        ["POST", "/send", { message: { ...message, to: [{ user_id: "bob" }, { user_id: long }] } }],
        ["POST", "/send", { message: { ...message, to: [{ user_id: "bob" }, { email: "\ud800" }] } }],
        ["POST", "/send", { message: { ...message, to: [{ user_id: "bob" }, { list_id: "a..b", user_id: null }] } }],
        ["POST", "/send", { message: { ...message, to: { user_id: "bob" }, metadata: { tags: ["a\0"] } } }],
        [
          "POST",
          "/inbound/courier",
          { event: "order", messageId: "a\0", type: "track", userId: "bob", properties: {} },
        ],
      ] as const) {
        const { status, text } = await server.decent(method, path, { body: JSON.stringify(body) });
        assert.ok(
          status === 400 || status === 404,
          `${method} ${path} ${JSON.stringify(body).slice(0, 200)} → ${status} ${text}`,
        );
      }
      assert.deepEqual(await everything(server, things), before);
    } finally {
      await server.close();
    }
  });
}

/** All that the calls above could have touched, as a caller sees it. */
async function everything(server: HostileServer, { templateId }: Things): Promise<unknown> {
  // biome-ignore format: a table
  const paths = [
    "/profiles/ann", "/profiles/bob", "/profiles/ann/lists", "/lists", "/lists/news", "/lists/news/subscriptions",
    "/users/ann/tokens", "/users/ann/tenants", "/users/bob/tenants", "/tenants", "/tenants/acme/users",
    "/notifications", `/notifications/${templateId}/content`, `/notifications/${templateId}/versions`,
    `/notifications/${templateId}/draft/content`, "/providers", "/events", "/translations/default/de",
    "/messages?archived=true",
  ];
  // What is on its way changes by itself.
  await server.app.engine.dispatcher.idle();
  const found: { [path: string]: unknown } = {};
  for (const path of paths) {
    const { status, text } = await server.call("GET", path);
    found[path] = [status, text];
  }
  return found;
}
