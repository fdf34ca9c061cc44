import assert from "node:assert/strict";
import { test } from "node:test";
import { Refusal } from "../../engine/refusal.ts";
import { changed, checksumOf, checksums, identified, withChecksums } from "./element-tree.ts";

let count = 0;
const newElementId = () => `elem_${++count}`;

test("missing ids are made, given ones kept, pieces of a line left alone", () => {
  count = 0;
  const pieces = [{ type: "string", content: "x" }];
  const tree = [
    { type: "group", id: "g", elements: [{ type: "text", id: null, elements: pieces }] },
    { type: "divider" },
  ];
  assert.deepEqual(identified(tree, newElementId, "elements"), [
    { type: "group", id: "g", elements: [{ type: "text", id: "elem_1", elements: pieces }] },
    { type: "divider", id: "elem_2" },
  ]);
});

test("an id that occurs twice, at whatever depth, is refused", () => {
  const tree = [{ type: "group", id: "a", elements: [{ type: "text", id: "a" }] }];
  assert.throws(
    () => identified(tree, newElementId, "content.elements"),
    (error) => error instanceof Refusal && error.field === "content.elements.0.elements.0.id",
  );
  assert.throws(() => identified([{ type: "text", id: 5 }], newElementId, "elements"), Refusal);
});

test("a change reaches the one element and leaves the old tree as it was", () => {
  const tree = [{ type: "group", id: "g", elements: [{ type: "text", id: "t", content: "a" }] }];
  const next = changed(tree, "t", (element) => ({ ...element, content: "b" }));
  assert.deepEqual(next, [{ type: "group", id: "g", elements: [{ type: "text", id: "t", content: "b" }] }]);
  assert.equal(tree[0]?.elements[0]?.content, "a");
  assert.equal(
    changed(tree, "nope", (element) => element),
    null,
  );
});

test("a checksum follows what a translator would change, and nothing else", () => {
  const text = { type: "text", content: "a" };
  assert.equal(checksumOf(text), checksumOf({ ...text, id: "x", align: "left", if: "data.x" }));
  assert.notEqual(checksumOf(text), checksumOf({ ...text, content: "b" }));
  assert.notEqual(checksumOf(text), checksumOf({ type: "meta", title: "a" }));
  const line = (content: string) => ({ type: "text", elements: [{ type: "string", content }] });
  assert.notEqual(checksumOf(line("a")), checksumOf(line("b")));
  const group = (content: string) => ({ type: "group", elements: [{ type: "text", id: "t", content }] });
  assert.equal(checksumOf(group("a")), checksumOf(group("b")));
});

test("checksums are told of every element with an id, and of its locales", () => {
  const tree = [
    { type: "group", id: "g", elements: [{ type: "text", id: "t", content: "a", locales: { fr: { content: "b" } } }] },
  ];
  assert.deepEqual(
    checksums(tree).map(({ id }) => id),
    ["g", "t"],
  );
  const [group] = withChecksums(tree) as { elements: { locales: { fr: object } }[] }[];
  assert.deepEqual(group?.elements[0]?.locales.fr, { content: "b", checksum: checksumOf({ content: "b" }) });
});
