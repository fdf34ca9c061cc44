import assert from "node:assert/strict";
import { test } from "node:test";
import { memberText } from "./payload-text.ts";

test("a member's text is cut out as it stands", () => {
  for (const text of [
    "{}",
    '{ "n" : 12345678901234567890, "x":1.0 ,"x":2 }',
    '{"a":"}","b":"\\"}","c":"\\\\"}',
    '{"deep":[{"a":[1,2,{"b":"]"}]}],"payload":{"payload":1}}',
    '"text \\\\"',
    "[1, 2]",
    "-1.50E+3",
    "null",
    "true",
    '{"emoji":"😀","e":"\\ud83d\\ude00"}',
  ]) {
    for (const body of [
      `{"payload":${text}}`,
      ` \n{\t"eventType" : "a.b" , "payload" :\r\n ${text} , "tags":["payload"]}`,
      `{"x":{"payload":0},"y":"\\"payload\\":1","payload":${text}\n}`,
      `{"payload":0,"payload":${text},"zz":-1}`,
      `{"p\\u0061yload":${text}}`,
    ]) {
      assert.equal(memberText(body, "payload"), text);
      assert.deepEqual(JSON.parse(memberText(body, "payload") as string), JSON.parse(body).payload);
    }
  }
});

test("a member that is not there at the top is not found", () => {
  assert.equal(memberText("{}", "payload"), null);
  assert.equal(memberText(' { "data" : { "payload" : 1 } } ', "payload"), null);
  assert.equal(memberText('{"payloa\\\\d":1,"payload ":2}', "payload"), null);
});

test("texts made at random are cut where JSON.parse sees them", () => {
  let seed = 7;
  const roll = (below: number): number => {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
    return (seed >>> 8) % below;
  };
  const space = (): string => ["", "", " ", "\n", "\t ", "\r\n"][roll(6)] as string;
  const string = (): string => JSON.stringify(["payload", 'a"b', "\\", '\\\\"', "}", "é\u2028", ""][roll(7)]);
  const value = (depth: number): string => {
    const kind = roll(depth > 3 ? 3 : 5);
    if (kind === 0) return string();
    if (kind === 1) return ["1.0", "-0", "1e5", "123456789012345678901", "null", "true"][roll(6)] as string;
    const many = Array.from({ length: roll(4) }, () => `${space()}${value(depth + 1)}${space()}`);
    if (kind === 2 || kind === 3) return `[${many.join(",") || space()}]`;
    return `{${many.map((one) => `${space()}${string()}${space()}:${one}`).join(",") || space()}}`;
  };
  for (let i = 0; i < 2_000; i++) {
    const members = Array.from(
      { length: 1 + roll(5) },
      () => `${space()}${string()}${space()}:${space()}${value(0)}${space()}`,
    );
    const body = `${space()}{${members.join(",")}}${space()}`;
    const parsed = JSON.parse(body) as { payload?: unknown };
    const text = memberText(body, "payload");
    if (text === null) assert.ok(!("payload" in parsed), body);
    else assert.deepEqual(JSON.parse(text), parsed.payload, body);
  }
});

test("a string of backslashes and quotes takes one pass", () => {
  const text = JSON.stringify('\\"'.repeat(500_000));
  const startedAt = performance.now();
  assert.equal(memberText(`{"a":${text},"payload":${text}}`, "payload"), text);
  assert.ok(performance.now() - startedAt < 1_000);
});
