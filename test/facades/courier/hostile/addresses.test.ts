/** What stands in the request line: parameters of the path, and the query string. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { DIALECTS } from "../../../conformance/databases.ts";
import { Complaints, type HostileServer, inParallel, startHostile } from "./hostile-server.ts";
import { ACTING_FOR_ANN, makeThings, pathOf, type Things, validCalls } from "./valid-calls.ts";

/** As they stand on the wire. */
const PARAMETERS: readonly string[] = [
  "%00",
  "a%00b",
  "%ff",
  "%c3%28",
  "%ed%a0%80",
  "%",
  "%zz",
  "%2",
  "..",
  "%2e%2e",
  "..%2f..%2fetc%2fpasswd",
  "%2f",
  "a%2fb",
  "%5c",
  "%0d%0aSet-Cookie:%20a=b",
  "%20",
  "+",
  "%F0%9F%91%A9%E2%80%8D%F0%9F%91%A7",
  "%E2%80%AEabc",
  "'%20or%20'1'='1",
  `'";drop%20table%20users;--`,
  "%25%25_%25",
  "__proto__",
  "constructor",
  "toString",
  "hasOwnProperty",
  "null",
  "undefined",
  "NaN",
  "-1",
  "*",
  "a.*.b",
  "a..b",
  ".",
  ";a=b",
  ":user_id",
  "\u00ff\u00fe",
  "x".repeat(512),
  "x".repeat(513),
  "x".repeat(5_000),
  "%C3%BC".repeat(512),
  "%E2%82%AC".repeat(512),
  "%00".repeat(1_000),
  "x".repeat(9_000),
  "1-00000000-000000000000000000000000",
  "1-ffffffff-ffffffffffffffffffffffff",
  "1-00000000-000000000000000000000000:%00",
  "1-00000000-000000000000000000000000:%C3%BC",
  `1-00000000-000000000000000000000000:${"x".repeat(5_000)}`,
  "A".repeat(64),
  "-".repeat(64),
  "v001",
  "nt_00000000000000000000000000",
];

/** Names that some list understands; each gets every value below. */
// biome-ignore format: a table
const QUERY_NAMES = [
  "cursor", "limit", "pattern", "parent_tenant_id", "event_id", "version", "type", "keys", "name", "channel",
  "archived", "enqueued_after", "event", "list", "messageId", "notification", "provider", "recipient", "status",
  "tag", "tags", "tenant_id", "traceId", "start_date", "end_date",
];

const cursor = (key: string | Buffer): string => Buffer.from(key).toString("base64url");

const QUERY_VALUES: readonly string[] = [
  "",
  "%00",
  "a%00b",
  "%ff",
  "%",
  "%ed%a0%80",
  "a%ed%a0%80b",
  "-1",
  "0",
  "1e9",
  "99999999999999999999",
  "NaN",
  "Infinity",
  "1.5",
  "0x10",
  "%20",
  "true",
  "null",
  "*",
  "*.*.*",
  "a.**",
  "'%20or%201=1--",
  "%25",
  "_",
  "__proto__",
  "%F0%9F%98%80",
  "9".repeat(16),
  "-62135596800000",
  "8640000000000001",
  "2026-13-45T99:99:99Z",
  "275760-09-13T00:00:00.001Z",
  "0000-01-01",
  "x".repeat(6_000),
  ",".repeat(3_000),
  Array.from({ length: 1_500 }, (_, i) => i).join(","),
  cursor("c:"),
  cursor("c:x"),
  cursor("c:\0"),
  cursor("c:\u{10ffff}"),
  cursor(Buffer.from([0x63, 0x3a, 0xff, 0xfe])),
  cursor(`c:${"x".repeat(2_000)}`),
  cursor("c:msg_00000000000000000000000000"),
  cursor("c:draft"),
  cursor("c:v000"),
  cursor("c:__proto__"),
  cursor(`c:${JSON.stringify({ a: 1 })}`),
];

for (const dialect of DIALECTS) {
  describe(dialect, () => {
    let server: HostileServer;
    let things: Things;
    before(async () => {
      server = await startHostile(dialect);
      things = await makeThings(server);
    });
    after(() => server.close());

    test("any text in place of any parameter of any path is answered decently, and changes nothing of others", async () => {
      const found = new Complaints();
      const examples = new Map(
        validCalls(server.routes, things).map((call) => [`${call.method} ${call.url}`, call.body]),
      );
      const profile = await server.call("GET", "/profiles/ann");
      const calls = server.routes.flatMap(({ method, url }) =>
        [...url.matchAll(/:(\w+)/g)].flatMap(({ 0: whole }) =>
          PARAMETERS.map((value) => ({
            method,
            path: pathOf(
              url.replace(whole, () => value.replaceAll(":", "%3A")),
              things,
            ),
            body: JSON.stringify(examples.get(`${method} ${url}`)),
          })),
        ),
      );
      assert.ok(calls.length > 3_000, `${calls.length} calls`);
      await inParallel(calls, ({ method, path, body }) =>
        found.collect(() => server.decent(method, path, { body, headers: ACTING_FOR_ANN })),
      );
      found.assertNone();
      assert.equal((await server.call("GET", "/profiles/ann")).status, profile.status);
    });

    test("any query is answered decently", async () => {
      const found = new Complaints();
      const gets = server.routes.filter(({ method }) => method === "GET").map(({ url }) => pathOf(url, things));
      const queries = [
        ...QUERY_NAMES.flatMap((name) => QUERY_VALUES.map((value) => `${name}=${value}`)),
        ...QUERY_NAMES.flatMap((name) => [
          `${name}=a&${name}=b`,
          `${name}[]=a&${name}[]=%00`,
          `${name}[a]=b&${name}[__proto__]=c`,
          `${Array.from({ length: 700 }, () => `${name}=a`).join("&")}`,
        ]),
        "__proto__=1&constructor=2&toString=3",
        "__proto__[polluted]=1",
        "&&&===&=&",
        "%00=%00&%ff=%ff",
        "a".repeat(10_000),
        "?".repeat(100),
      ];
      // Every query meets several lists, and every list meets every spelling of the two names that all of them know.
      const asked = queries.flatMap((query, i) =>
        gets
          .filter((_, at) => /^(?:cursor|limit)\b/.test(query) || (at + i) % (dialect === "sqlite" ? 8 : 16) === 0)
          .map((path) => `${path}?${query}`),
      );
      await inParallel(asked, (path) => found.collect(() => server.decent("GET", path)));
      found.assertNone();
      assert.equal(({} as { polluted?: unknown }).polluted, undefined);
    });

    test("a limit or a cursor that makes no sense is refused with 400", async () => {
      for (const query of ["limit=0", "limit=-1", "limit=x", "limit=1.5", "cursor=x", "cursor=%00"]) {
        assert.equal((await server.decent("GET", `/tenants?${query}`)).status, 400, query);
      }
    });

    test("paths that nobody serves are 404 in the same shape, whatever they look like", async () => {
      for (const path of [
        "/../../etc/passwd",
        "/%2e%2e/%2e%2e",
        "//profiles//ann",
        "/nothing",
        "/profiles",
        `/${"a/".repeat(4_000)}`,
        "/%00",
        "/%ff",
        "/profiles/ann/..%2f..",
        "/__proto__",
        "/*",
        "/?".repeat(50),
      ]) {
        const { status } = await server.decent("GET", path);
        assert.ok(status === 404 || status === 400, `${path.slice(0, 50)} → ${status}`);
      }
      for (const method of ["PROPFIND", "TRACE", "PURGE", "LINK", "M-SEARCH", "QUERY"]) {
        const { status } = await server.decent(method, "/profiles/ann");
        assert.ok(status >= 400, `${method} → ${status}`);
      }
    });
  });
}
