/** GraphQL documents and variables that mean harm, on both of its addresses. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { DIALECTS } from "../../../conformance/databases.ts";
import { type CallOptions, Complaints, type HostileServer, inParallel, startHostile } from "./hostile-server.ts";
import { ACTING_FOR_ANN, makeThings } from "./valid-calls.ts";
import { mutations, random, spoiled, VALUES } from "./values.ts";

const repeated = (count: number, part: (i: number) => string): string =>
  Array.from({ length: count }, (_, i) => part(i)).join(" ");

/** Each is refused with 400, in less than a second. */
const REFUSED: { readonly [name: string]: string } = {
  "1,000 aliased counts": `{ ${repeated(1_000, (i) => `a${i}: count`)} }`,
  "1,000 aliased lists": `{ ${repeated(1_000, (i) => `a${i}: messages(limit: 100) { nodes { messageId } }`)} }`,
  "1,000 aliased mutations": `mutation { ${repeated(1_000, (i) => `a${i}: read(messageId: "x${i}")`)} }`,
  "1,000 aliases within": `{ messages { nodes { ${repeated(1_000, (i) => `a${i}: title`)} } } }`,
  "60 lists": `{ ${repeated(60, (i) => `a${i}: messages { totalCount }`)} }`,
  "fields 50 deep": `{ ${"a { ".repeat(50)}b${" }".repeat(50)} }`,
  "fields 50,000 deep": `{${"a{".repeat(50_000)}b${"}".repeat(50_000)}}`,
  "a list 100,000 deep": `{ count(params: {tags: ${"[".repeat(100_000)}${"]".repeat(100_000)}}) }`,
  "inline fragments 40 deep": `{ ${"... on Query { ".repeat(40)}count${" }".repeat(40)} }`,
  "a fragment of itself": "query { ...A } fragment A on Query { count ...A }",
  "fragments in a circle":
    "query { ...A } fragment A on Query { ...B } fragment B on Query { ...C } fragment C on Query { ...A }",
  "fragments that double, 25 times": `query { ...F0 } ${repeated(25, (i) => `fragment F${i} on Query { a${i}: count ...F${i + 1} ...F${i + 1} }`)} fragment F25 on Query { count }`,
  "1,000 fragments": `query { count } ${repeated(1_000, (i) => `fragment F${i} on Query { count }`)}`,
  "the same name 1,000 times with other arguments": `{ ${repeated(1_000, (i) => `count(params: {accountId: "${i}"})`)} }`,
  "a quarter of a megabyte of names": `{ ${repeated(40_000, () => "count")} }`,
  "a text of a quarter of a megabyte as a name": `{ ${"a".repeat(200_000)} }`,
  "20,000 operations": repeated(10_000, (i) => `query Q${i} { count }`),
  "10,000 variables": `query Q(${repeated(10_000, (i) => `$v${i}: Int`)}) { count }`,
  "1,000 directives": `{ count ${repeated(1_000, () => "@include(if: true)")} }`,
  "an unknown directive": "{ count @nothing }",
  "a defer": "{ ... @defer { count } }",
  "two operations and no name": "query A { count } query B { count }",
  "a subscription": "subscription { count }",
  "a schema": "type Query { a: Int }",
  "no document": "",
  "white space": " \n\t,,,",
  "a comment": "# nothing",
  NUL: "{ count \0 }",
  "half a surrogate": "{ count(params: {accountId: \ud800}) }",
  "an open text": '{ message(messageId: "',
  "an open block text": '{ message(messageId: """',
  "an unknown field": "{ __proto__ constructor toString }",
  "an unknown argument": '{ count(__proto__: "a") }',
  "an inherited field of a type": "{ messages { nodes { constructor { name } } } }",
  "a number of 100,000 digits": `{ messages(limit: ${"9".repeat(100_000)}) { totalCount } }`,
  "a wrong type of literal": '{ messages(limit: "many") { totalCount } }',
  "no such date": '{ count(params: {from: "yesterday"}) }',
  "introspection 20 deep": `{ __schema { types { fields { type ${"{ ofType ".repeat(20)}{ name }${" }".repeat(20)} } } } }`,
  "introspection in a circle": `{ __schema { types { ${"fields { type { ".repeat(6)}name${" } }".repeat(6)} } } }`,
};

for (const dialect of DIALECTS) {
  describe(dialect, () => {
    let server: HostileServer;
    before(async () => {
      server = await startHostile(dialect);
      await makeThings(server);
    });
    after(() => server.close());
    const ask = (body: unknown, what: string, path = "/q", headers: CallOptions["headers"] = ACTING_FOR_ANN) =>
      server.decent("POST", path, { body: typeof body === "string" ? body : JSON.stringify(body), headers }, what);

    test("a document beyond the limits or the language is 400 within a second", async () => {
      const found = new Complaints();
      for (const [name, query] of Object.entries(REFUSED)) {
        await found.collect(async () => {
          const start = performance.now();
          const { status, text } = await ask({ query }, name);
          const tookMs = performance.now() - start;
          assert.ok([400, 413].includes(status), `${name} → ${status} ${text.slice(0, 200)}`);
          assert.ok(tookMs < 1_000, `${name} took ${tookMs} ms`);
          assert.ok(text.length < 20_000, `${name}: an answer of ${text.length} characters`);
        });
      }
      found.assertNone();
    });

    test("what tools ask to learn the schema is small enough to be answered, or refused", async () => {
      const { status, text } = await ask({ query: "{ __schema { types { name } } }" }, "introspection");
      assert.ok(status === 200 || status === 400, text);
      assert.ok(text.length < 100_000);
    });

    test("any value for any variable, and any kind of body, is answered decently", async () => {
      const found = new Complaints();
      const bodies = [
        {
          query:
            "query Q($p: FilterParamsInput, $n: Int, $a: String) { count(params: $p) messages(params: $p, limit: $n, after: $a) { nodes { messageId } } }",
          variables: {
            p: { accountId: "acme", archived: false, from: "2026-01-01", status: "read", tags: ["a"] },
            n: 5,
            a: null,
          },
          operationName: "Q",
        },
        {
          query:
            'mutation M($m: String!, $t: String) { read(messageId: $m) clicked(messageId: $m, trackingId: $t) addTag(messageId: $m, tag: "x") trackEvent(trackingId: "x") { id } }',
          variables: { m: "1-00000000-000000000000000000000000", t: "x" },
        },
        { query: "query Q($m: String!) { message(messageId: $m) { title } }", variables: JSON.stringify({ m: "x" }) },
        {
          query:
            'mutation M($p: PreferencesInput!) { updatePreferenceV2(templateId: "t", preferences: $p) { status } }',
          variables: { p: { status: "OPTED_IN", hasCustomRouting: true, routingPreferences: ["email"] } },
        },
      ];
      for (const body of bodies) {
        await inParallel(mutations(body, VALUES), ({ what, text }) => found.collect(() => ask(text, what)));
      }
      for (const body of [
        [bodies[0], bodies[1]],
        [],
        "null",
        '"{ count }"',
        "{ count }",
        { query: ["{ count }"] },
        { variables: {} },
      ]) {
        await found.collect(async () => assert.equal((await ask(body, JSON.stringify(body), "/client/q")).status, 400));
      }
      const numbers = [2147483648, -2147483649, 1e308, -1, 0, 0.5, 101, 1_000_000];
      for (const n of numbers) {
        await found.collect(() =>
          ask({ query: "query Q($n: Int) { messages(limit: $n) { totalCount } }", variables: { n } }, `limit ${n}`),
        );
      }
      for (const variables of [
        "{",
        "[]",
        '"a"',
        "null",
        "{}",
        "\0",
        `{"a":${"[".repeat(10_000)}${"]".repeat(10_000)}}`,
        `{"__proto__":{"n":1}}`,
      ]) {
        await found.collect(() =>
          ask(
            { query: "query Q($n: Int) { messages(limit: $n) { totalCount } }", variables },
            `variables ${variables.slice(0, 30)}`,
          ),
        );
      }
      found.assertNone();
      assert.equal(({} as { n?: unknown }).n, undefined);
    });

    test("documents spoiled at random are answered decently", async () => {
      const found = new Complaints();
      const roll = random(7);
      const document =
        'query Q($n: Int = 5) { count a: messages(limit: $n, params: {tags: ["x"], from: "2026-01-01"}) { nodes { ...M } } } fragment M on InboxMessage { messageId data actions(version: 2) { href } content { elemental { ... on TextElement { content } } } }';
      await inParallel(
        Array.from({ length: 400 }, () => spoiled(document, roll)),
        (query) => found.collect(() => ask({ query }, query)),
      );
      found.assertNone();
    });

    test("users in the header that cannot be users are answered decently", async () => {
      const found = new Complaints();
      for (const user of ["\u00ff", "__proto__", "x".repeat(5_000), "%00", "' or 1=1 --", " ", "a\tb"]) {
        for (const query of ["{ count }", "mutation { markAllRead }", "{ messages { nodes { messageId } } }"]) {
          await found.collect(() =>
            ask({ query }, JSON.stringify(user.slice(0, 20)), "/q", {
              "x-courier-user-id": user,
              "x-courier-client-source-id": "y".repeat(6_000),
            }),
          );
        }
      }
      found.assertNone();
      assert.equal((await ask({ query: "{ count }" }, "afterwards")).status, 200);
    });
  });
}
