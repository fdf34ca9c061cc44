import assert from "node:assert/strict";
import { test } from "node:test";
import { checkListId, checkPattern, matchesPattern, patternPrefix } from "./list-pattern.ts";
import { Refusal } from "./refusal.ts";

test("* stands for one whole part, a final ** for one or more", () => {
  const table: [pattern: string, matches: string[], others: string[]][] = [
    ["a.*", ["a.b"], ["a", "a.b.c"]],
    ["a.**", ["a.b", "a.b.c", "a.b.c.d"], ["a", "ab.c"]],
    ["*.b", ["a.b", "x.b"], ["a.b.c", "b"]],
    ["a.*.c", ["a.b.c"], ["a.c"]],
    ["a.b", ["a.b"], ["a", "a.b.c"]],
    ["*", ["a"], ["a.b"]],
  ];
  for (const [pattern, matches, others] of table) {
    checkPattern(pattern);
    for (const id of matches) assert.ok(matchesPattern(pattern, id), `${pattern} ~ ${id}`);
    for (const id of others) assert.ok(!matchesPattern(pattern, id), `${pattern} !~ ${id}`);
    for (const id of matches) assert.ok(id.startsWith(patternPrefix(pattern)));
  }
});

test("refuses what is no pattern", () => {
  for (const bad of [
    "**",
    "**.x",
    "*.**",
    "a.*.**",
    "a.***",
    "a.b*",
    "ab**",
    "a..b",
    ".a",
    "a.*.",
    "a b",
    "",
    "p.g*",
  ]) {
    assert.throws(() => checkPattern(bad), Refusal, bad);
  }
});

test("a list id has one to four parts without spaces, stars or hashes", () => {
  for (const good of ["a", "a.b.c.d", "acme-1.news_2", "ü.🙂"]) checkListId(good);
  for (const bad of ["", "a.b.c.d.e", "a b", "a.", ".a", "a..b", "a*", "#a"])
    assert.throws(() => checkListId(bad), Refusal, bad);
});
