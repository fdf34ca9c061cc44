import assert from "node:assert/strict";
import { test } from "node:test";
import Type, { type TSchema } from "typebox";
import { Refusal } from "../engine/refusal.ts";
import { bodyOf } from "./body.ts";

function Maybe<T extends TSchema>(schema: T) {
  return Type.Optional(Type.Union([schema, Type.Null()]));
}

const Kind = Type.Unsafe<"a" | "b">({ type: "string", enum: ["a", "b"] });
const Leaf = Type.Object({ size: Maybe(Type.Number({ minimum: 0 })), kind: Maybe(Kind) });
const read = bodyOf(
  Type.Object({ name: Type.String({ maxLength: 3 }), leaf: Maybe(Type.Union([Leaf, Type.Array(Leaf)])) }),
);

function message(body: unknown): string {
  try {
    read(body);
  } catch (error) {
    assert.ok(error instanceof Refusal);
    return error.message;
  }
  return "";
}

test("what has the bodyOf is passed on, unknown fields and all", () => {
  const body = { name: "x", leaf: null, more: 1 };
  assert.equal(read(body), body);
});

test("messages name the field, what was expected and what came", () => {
  assert.equal(message(undefined), "name: Required");
  assert.equal(message([]), "body: Expected object, got a list of 0");
  assert.equal(message({ name: 5 }), "name: Expected string, got 5");
  assert.equal(message({ name: null }), "name: Expected string, got null");
  assert.equal(message({ name: "four" }), 'name: Expected at most 3 characters, got "four"');
  assert.equal(message({ name: "x", leaf: 5 }), "leaf: Expected object or array, got 5");
  assert.match(message({ name: "x", leaf: { size: -1 } }), /^leaf\.size: Expected .*0.*, got -1$/);
  assert.equal(message({ name: "x", leaf: [{}, { kind: "c" }] }), 'leaf.1.kind: Expected "a" or "b", got "c"');
  assert.equal(message({ leaf: "y" }), 'name: Required; leaf: Expected object or array, got "y"');
});

test("names that mean something to JavaScript or to JSON pointers are only names", () => {
  assert.equal(
    message({ name: "x", leaf: JSON.parse('{"__proto__": 1, "size": "a/b~c"}') }),
    'leaf.size: Expected number, got "a/b~c"',
  );
});
