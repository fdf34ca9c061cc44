import assert from "node:assert/strict";
import { test } from "node:test";
import Type from "typebox";
import { Refusal } from "../../engine/refusal.ts";
import { bodyOf } from "../../http/body.ts";
import { fromCursor, pageQuery, toCursor } from "./paging.ts";
import { checkId, Maybe, OneOf, parseIso, parseMoment, queryBoolean, queryList, queryText } from "./wire.ts";

test("messages of a check name every field at fault, once", () => {
  const check = bodyOf(
    Type.Object({
      notification: Type.Object({
        name: Type.String(),
        content: Type.Unknown(),
        tags: Maybe(Type.Array(Type.String())),
      }),
      state: Maybe(OneOf(["DRAFT", "PUBLISHED"])),
    }),
  );
  const say = (body: unknown): string => {
    try {
      check(body);
      return "";
    } catch (error) {
      assert.ok(error instanceof Refusal);
      return error.message;
    }
  };
  assert.equal(say({ notification: {} }), "notification.name: Required; notification.content: Required");
  assert.equal(say(undefined), "notification: Required");
  assert.equal(
    say({ notification: { name: 3, content: 1 }, state: "x" }).split(";")[0],
    "notification.name: Expected string, got 3",
  );
  assert.match(
    say({ notification: { name: "a", content: 1 }, state: "x" }),
    /^state: Expected "DRAFT" or "PUBLISHED", got "x"/,
  );
  assert.equal(say({ notification: { name: "a", content: 1, tags: null }, state: null, unknown: 1 }), "");
  assert.match(say({ notification: { name: "a", content: 1, tags: [1] } }), /^notification\.tags\.0: Expected string/);
});

test("ids that no database could keep are refused", () => {
  assert.equal(checkId("id", "x".repeat(512)).length, 512);
  for (const id of ["", "x".repeat(513), "a\0b", "\ud800", "a\udc00"]) assert.throws(() => checkId("id", id), Refusal);
});

test("query values: lists by comma, by repetition and by brackets; empty means absent", () => {
  assert.deepEqual(queryList({ status: "A,B,,C" }, "status"), ["A", "B", "C"]);
  assert.deepEqual(queryList({ status: ["A", "B,C"], "status[]": "D" }, "status"), ["A", "B", "C", "D"]);
  assert.deepEqual(queryList({}, "constructor"), []);
  assert.equal(queryText({ cursor: "" }, "cursor"), undefined);
  assert.equal(queryText({ a: ["1", "2"] }, "a"), "2");
  assert.equal(queryBoolean({ archived: "TRUE" }, "archived"), true);
  assert.throws(() => queryBoolean({ archived: "maybe" }, "archived"), Refusal);
});

test("moments: ISO, seconds, milliseconds", () => {
  const at = Date.UTC(2026, 0, 5, 12);
  assert.equal(parseIso("2026-01-05T12:00:00Z"), at);
  assert.equal(parseIso("2026-01-05T13:00+01:00"), at);
  assert.equal(parseIso("2026-01-05 12:00"), at);
  assert.equal(parseIso("2026-01-05"), Date.UTC(2026, 0, 5));
  for (const bad of ["", "2026", "soon", "2026-13-01", "2026-01-05T25:00Z", "1 Jan 2026"])
    assert.equal(parseIso(bad), null);
  assert.equal(parseMoment(String(at)), at);
  assert.equal(parseMoment(String(at / 1000)), at);
  assert.equal(parseMoment("9999999999999999"), null);
});

test("a cursor is what we made of a key, and nothing else", () => {
  for (const key of ["u1", "ü/🙂", "x".repeat(512)]) assert.equal(fromCursor(toCursor(key)), key);
  const inventions = [
    "",
    "abc",
    "Yzp1MQ==",
    `${toCursor("u1")}A`,
    Buffer.from("c:\0").toString("base64url"),
    "x".repeat(9_999),
  ];
  for (const bad of inventions) assert.throws(() => fromCursor(bad), Refusal, bad);
  assert.deepEqual(pageQuery({ limit: "500" }, { max: 100 }), { after: null, limit: 100 });
  assert.deepEqual(pageQuery({ limit: "junk" }), { after: null, limit: 20 });
});
