/** Mistakes in requests, in the two shapes there are, all of one request at once. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Refusal } from "../../../src/engine/refusal.ts";
import { conflict, errorAnswer, Invalid, invalid, notFound } from "../../../src/facades/svix/errors.ts";
import { ksuid } from "../../../src/facades/svix/ids.ts";
import { listResponse, timeWindow, walkOf } from "../../../src/facades/svix/paging.ts";
import { fields, parseTime, queryFields, timestamp } from "../../../src/facades/svix/wire.ts";
import { firstIdAt, newId, timeOf } from "../../../src/lib/ids.ts";

const NOW = Date.UTC(2026, 0, 5, 12);
const DAY = 86_400_000;

/** What `done` says, as `loc: type`. */
function issuesOf(f: { done(): void }): readonly string[] {
  try {
    f.done();
    return [];
  } catch (error) {
    assert.ok(error instanceof Invalid);
    return error.issues.map(({ loc, type }) => `${loc.join(".")}: ${type}`);
  }
}

test("all failing fields are told together, in wire spelling", () => {
  const f = fields({
    name: 7,
    uid: "app_x",
    tags: ["ok", 3, ""],
    metadata: { a: 1 },
    rate: 0,
    when: "soon",
    kind: "purple",
    on: "yes",
    inner: { deep: null },
  });
  f.text("name");
  f.uid("uid", "app");
  f.names("tags");
  f.metadata("metadata");
  f.integer("rate", { min: 1 });
  f.time("when");
  f.oneOf("kind", ["red", "blue"]);
  f.boolean("on");
  f.inside("inner")?.text("deep");
  f.text("missing");
  assert.deepEqual(issuesOf(f), [
    "body.name: value_error.jsondecode",
    "body.uid.__all__: value_error",
    "body.tags.[1]: value_error.jsondecode",
    "body.tags.[2]: value_error",
    "body.metadata.a: value_error.jsondecode",
    "body.rate: value_error",
    "body.when: value_error",
    "body.kind: value_error",
    "body.on: value_error.jsondecode",
    "body.inner.deep: value_error.jsondecode",
    "body.missing: value_error.jsondecode",
  ]);
});

test("null, absent and default are told apart", () => {
  const f = fields({ gone: null });
  assert.equal(f.text("gone", { nullable: true }), null);
  assert.equal(f.text("nothing", { nullable: true }), null);
  assert.equal(f.text("nothing", { default: "x" }), "x");
  assert.equal(f.integer("nothing", { nullable: true, default: 5 }), 5);
  assert.equal(f.integer("gone", { nullable: true, default: 5 }), null);
  assert.deepEqual(f.metadata("gone"), {});
  assert.equal(f.has("gone"), true);
  assert.equal(f.has("nothing"), false);
  assert.equal(f.has("toString"), false);
  assert.deepEqual(issuesOf(f), []);
  f.text("gone");
  assert.deepEqual(issuesOf(f), ["body.gone: value_error.jsondecode"]);
});

test("one of several spellings is read; two of an exclusive field are a mistake", () => {
  const f = fields({ rateLimit: 4, throttleRate: 5, eventTypes: [], filterTypes: [] });
  assert.equal(f.alias(["throttleRate", "rateLimit"]), "throttleRate");
  assert.equal(f.alias(["absent", "rateLimit"]), "rateLimit");
  assert.equal(f.alias(["one", "other"]), "one");
  assert.deepEqual(issuesOf(f), []);
  f.alias(["eventTypes", "filterTypes"], true);
  assert.deepEqual(issuesOf(f), ["body.filterTypes: value_error.jsondecode"]);
});

test("bodies that are no objects, and text that no database keeps, are refused", () => {
  for (const body of [[], "text", 3, true]) assert.deepEqual(issuesOf(fields(body)), ["body: value_error.jsondecode"]);
  assert.deepEqual(issuesOf(fields(undefined)), []);
  const f = fields({ a: "\0", b: "\ud800", c: { "k\0": "v" }, d: ["\0"] });
  f.text("a");
  f.text("b");
  f.textMap("c");
  f.names("d");
  assert.equal(issuesOf(f).length, 4);
});

test("metadata is bounded in bytes, not in characters", () => {
  const fits = fields({ metadata: { k: "x".repeat(4_096 - 8) } });
  fits.metadata("metadata");
  assert.deepEqual(issuesOf(fits), []);
  const tooLarge = fields({ metadata: { k: "é".repeat(2_048) } });
  tooLarge.metadata("metadata");
  assert.deepEqual(issuesOf(tooLarge), ["body.metadata: value_error"]);
});

test("lists in queries have four spellings", () => {
  for (const query of [
    { e: "a,b" },
    { e: ["a", "b"] },
    { "e[]": ["a", "b"] },
    { "e[0]": "a", "e[1]": "b" },
    { e: "a", "e[]": "b" },
    { e: "a,b,a" },
  ]) {
    const f = queryFields(query);
    assert.deepEqual(f.list("e"), ["a", "b"], JSON.stringify(query));
    f.done();
  }
  assert.equal(queryFields({}).list("e"), null);
  assert.equal(queryFields({ e: "" }).list("e"), null);
  assert.equal(queryFields({ "e[x]": "a" }).list("e"), null);
});

test("numbers and booleans of queries are read from text, those of bodies are not", () => {
  const f = queryFields({ n: "12", b: "true", bad: "1e3", x: "yes", many: ["1", "2"] });
  assert.equal(f.integer("n"), 12);
  assert.equal(f.bool("b"), true);
  assert.equal(f.bool("absent"), false);
  assert.equal(f.bool("absent", true), true);
  assert.equal(f.integer("many"), 2);
  f.integer("bad");
  f.bool("x");
  assert.deepEqual(issuesOf(f), ["query.bad: value_error.jsondecode", "query.x: value_error.jsondecode"]);
  const body = fields({ n: "12" });
  body.integer("n");
  assert.deepEqual(issuesOf(body), ["body.n: value_error.jsondecode"]);
});

test("times are RFC 3339, with and without a zone, also with a plus that was not escaped", () => {
  const at = Date.UTC(2026, 0, 5, 12, 30, 15, 250);
  for (const text of [
    "2026-01-05T12:30:15.250Z",
    "2026-01-05T13:30:15.250+01:00",
    "2026-01-05T13:30:15.250 01:00",
    "2026-01-05T12:30:15.250123456",
  ]) {
    assert.equal(parseTime(text), at, text);
  }
  assert.equal(parseTime("2026-01-05"), Date.UTC(2026, 0, 5));
  for (const text of ["", "now", "1767614400", "2026-13-01T00:00:00Z", "2026-01-05T25:00:00Z", "Mon Jan 5 2026"]) {
    assert.equal(parseTime(text), null, text);
  }
  assert.equal(timestamp(at), "2026-01-05T12:30:15.250Z");
  assert.equal(timestamp(Date.UTC(2026, 0, 5)), "2026-01-05T00:00:00Z");
});

test("pages are bounded, and go on from ids in the vendor's spelling", () => {
  const rule = { prefix: "msg", ownPrefix: "msg", order: "descending", orderable: true } as const;
  assert.deepEqual(walkOf({}, rule), { limit: 50, from: null, order: "descending", ownPrefix: "msg" });
  const id = newId("msg", NOW);
  const text = ksuid("msg", id);
  assert.deepEqual(walkOf({ limit: "250", iterator: text, order: "ascending" }, rule).from, { key: id, back: false });
  assert.deepEqual(walkOf({ iterator: `-${text}` }, rule).from, { key: id, back: true });
  for (const [query, at] of [
    [{ limit: "251" }, "query.limit"],
    [{ limit: "0" }, "query.limit"],
    [{ limit: "x" }, "query.limit"],
    [{ iterator: "nonsense" }, "query.iterator"],
    [{ iterator: `--${text}` }, "query.iterator"],
    [{ iterator: "\0" }, "query.iterator"],
    [{ order: "up" }, "query.order"],
  ] as const) {
    assert.deepEqual(
      issuesOf({ done: () => walkOf(query, rule) }).map((line) => line.split(":")[0]),
      [at],
    );
  }
});

test("iterators of names that begin with a minus are not taken for a walk back", () => {
  const rule = { prefix: null, ownPrefix: null, order: "ascending", orderable: false } as const;
  const walk = walkOf({}, rule);
  const page = listResponse({ items: ["-a", "-b"], more: true }, walk, (name) => name, String);
  assert.deepEqual(page, { data: ["-a", "-b"], iterator: "=-b", prevIterator: "--a", done: false });
  assert.deepEqual(walkOf({ iterator: page.iterator }, rule).from, { key: "-b", back: false });
  assert.deepEqual(walkOf({ iterator: page.prevIterator }, rule).from, { key: "-a", back: true });
  const empty = listResponse({ items: [], more: false }, walk, String, String);
  assert.deepEqual(empty, { data: [], iterator: null, prevIterator: null, done: true });
});

test("lists cover 90 days, and `after` alone walks from the oldest", () => {
  const rule = { prefix: "msg", ownPrefix: "msg", order: "descending", orderable: false } as const;
  const walk = walkOf({}, rule);
  const iso = (at: number): string => new Date(at).toISOString();

  assert.deepEqual(timeWindow({}, NOW, walk), { from: NOW - 90 * DAY, to: NOW + 3_600_000, walk });
  const old = newId("msg", NOW - 200 * DAY);
  const later = walkOf({ iterator: ksuid("msg", old) }, rule);
  assert.equal(timeWindow({}, NOW, later).from, timeOf(old) - 90 * DAY);
  assert.deepEqual(timeWindow({ before: iso(NOW - DAY) }, NOW, walk), { from: NOW - 91 * DAY, to: NOW - DAY, walk });
  assert.deepEqual(timeWindow({ before: iso(NOW), after: iso(NOW - 200 * DAY) }, NOW, walk), {
    from: NOW - 200 * DAY + 1,
    to: NOW,
    walk,
  });
  const oldest = timeWindow({ after: iso(NOW - 5) }, NOW, walk);
  assert.deepEqual(oldest.walk.from, { key: firstIdAt("msg", NOW - 4), back: true });
  assert.deepEqual([oldest.from, oldest.to], [NOW - 4, NOW - 5 + 90 * DAY]);
  assert.deepEqual(timeWindow({ after: iso(NOW - 5) }, NOW, later).walk, later);
  assert.throws(() => timeWindow({ after: "soon" }, NOW, walk), Invalid);
});

test("errors have the vendor's codes", () => {
  const answers: readonly (readonly [unknown, number, unknown])[] = [
    [notFound(), 404, { code: "not_found", detail: "Entity not found" }],
    [conflict("taken", "event_type_exists"), 409, { code: "event_type_exists", detail: "taken" }],
    [invalid(["body", "x"], "no"), 422, { detail: [{ loc: ["body", "x"], msg: "no", type: "value_error" }] }],
    [new Refusal("not_found", "msg_1 is gone"), 404, { code: "not_found", detail: "Entity not found" }],
    [new Refusal("conflict", "taken"), 409, { code: "conflict", detail: "taken" }],
    [
      new Refusal("invalid", "too many", { field: "limit_reached" }),
      400,
      { code: "limit_reached", detail: "too many" },
    ],
    [
      new Refusal("invalid", "no", { field: "a.b" }),
      422,
      { detail: [{ loc: ["body", "a", "b"], msg: "no", type: "value_error" }] },
    ],
    [new Refusal("invalid", "no"), 400, { code: "generic_error", detail: "no" }],
    [new Refusal("too_large", "big"), 413, { code: "payload_too_large", detail: "big" }],
    [new Error("secret"), 500, { code: "server_error", detail: "Internal error" }],
  ];
  for (const [error, status, body] of answers) {
    const answer = errorAnswer(error);
    assert.deepEqual([answer.status, answer.body], [status, body]);
  }
  const long = errorAnswer(invalid(["body", "x".repeat(100_000)], "y".repeat(100_000)));
  assert.ok(JSON.stringify(long.body).length < 5_000);
});
