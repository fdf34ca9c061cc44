import assert from "node:assert/strict";
import { test } from "node:test";
import type { Json } from "../../lib/json.ts";
import { type ConditionContext, type Evaluation, evaluate } from "./conditions.ts";
import { type MessageStatus, stepStatus } from "./message-status.ts";
import type { Condition, Conditions } from "./model.ts";

const NOW = Date.UTC(2026, 0, 20, 12);

const context: ConditionContext = {
  now: NOW,
  scope: {
    data: {
      plan: "pro",
      count: 7,
      text: "7",
      id: "12345678901234567890",
      zip: "01234",
      on: true,
      off: false,
      nothing: null,
      blank: "",
      none: [],
      tags: ["a", "b", 3],
      other: ["c", "b"],
      object: { a: [1, { b: 2 }] },
      same: { a: [1, { b: 2 }] },
      due: "2026-01-10T00:00:00Z",
      start: "2026-01-01T00:00:00Z",
      end: "2026-01-31T00:00:00Z",
      dino: "rex",
      naïve: "ü\u0000x",
    },
    recipient: { id: "u1", muted: ["rex"], role: "actor" },
    actor: null,
    run: { total_activities: 3, total_actors: 2 },
    workflow: { key: "wf", categories: ["news"] },
    vars: { secret: "s3cret" },
    refs: {},
  },
};

function at(conditions: Conditions | null | undefined, over: Partial<ConditionContext> = {}): Evaluation {
  const evaluation = evaluate(conditions, { ...context, ...over });
  assert.ok(!(evaluation instanceof Promise), "nothing has to be asked");
  return evaluation;
}

function holds(variable: string, operator: string, argument?: Json): boolean {
  const condition: Condition = argument === undefined ? { variable, operator } : { variable, operator, argument };
  return at({ all: [condition] }).holds;
}

const CASES: readonly (readonly [boolean, string, string, Json?])[] = [
  // Equality: numbers as numbers, else as JSON, else as text.
  [true, "data.plan", "equal_to", "pro"],
  [true, "data.plan", "equal_to", '"pro"'],
  [false, "data.plan", "not_equal_to", "pro"],
  [true, "data.count", "equal_to", "7"],
  [true, "data.count", "equal_to", 7],
  [true, "data.text", "equal_to", "7.0"],
  [true, "data.on", "equal_to", "true"],
  [true, "data.on", "equal_to", true],
  [false, "data.off", "equal_to", "true"],
  [true, "data.nothing", "equal_to", "null"],
  [true, "data.missing", "equal_to", ""],
  [true, "data.object", "equal_to", "data.same"],
  [true, "data.object", "equal_to", '{"a":[1,{"b":2}]}'],
  [false, "data.object", "equal_to", '{"a":[1,{"b":3}]}'],
  [false, "data.id", "equal_to", "12345678901234567891"],
  [true, "data.id", "equal_to", "12345678901234567890"],
  [false, "data.zip", "equal_to", "1234"],
  [true, "data.naïve", "equal_to", "ü\u0000x"],
  [true, "recipient.role", "equal_to", "actor"],
  [true, "workflow.key", "equal_to", "wf"],
  [true, "7", "equal_to", "data.count"],
  // Order.
  [true, "data.count", "greater_than", "5"],
  [false, "data.count", "greater_than", "7"],
  [true, "data.count", "greater_than_or_equal_to", "7"],
  [true, "data.text", "less_than", "10"],
  [true, "run.total_activities", "less_than_or_equal_to", "3"],
  [true, "data.id", "less_than", "12345678901234567891"],
  [true, "data.plan", "greater_than", "alpha"],
  [false, "data.missing", "less_than", "5"],
  [false, "data.missing", "greater_than", "5"],
  [false, "data.tags", "greater_than", "1"],
  [false, "data.plan", "resembles", "pro"],
  // Containing.
  [true, "data.plan", "contains", "ro"],
  [false, "data.plan", "not_contains", "ro"],
  [true, "data.tags", "contains", "a"],
  [true, "data.tags", "contains", "3"],
  [true, "data.tags", "contains", "data.other"],
  [true, "data.tags", "contains", '["x","b"]'],
  [false, "data.tags", "contains", '["x","y"]'],
  [true, "data.id", "contains", "0123"],
  [true, "recipient.muted", "contains", "data.dino"],
  [true, "recipient.nobody", "not_contains", "data.nothing_there"],
  [true, "data.tags", "contains_all", '["a",3]'],
  [true, "data.tags", "contains_all", "a"],
  [false, "data.tags", "contains_all", '["a","c"]'],
  [true, "data.tags", "not_contains_all", '["a","c"]'],
  [false, "data.plan", "contains_all", "pro"],
  // Presence.
  [true, "data.blank", "empty"],
  [true, "data.nothing", "empty"],
  [true, "data.none", "empty"],
  [true, "data.missing", "empty"],
  [false, "data.off", "empty"],
  [true, "data.plan", "not_empty"],
  [true, "data.blank", "exists"],
  [false, "data.nothing", "exists"],
  [true, "data.missing", "not_exists"],
  [true, "actor.id", "not_exists"],
  [true, "data.constructor", "not_exists"],
  // Ranges.
  [true, "data.count", "is_between", "[7,9]"],
  [true, "data.count", "is_between", "1,7"],
  [false, "data.count", "is_between", "[8,9]"],
  [false, "data.missing", "is_between", "[0,9]"],
  // Time.
  [true, "data.due", "is_timestamp"],
  [true, "data.plan", "is_not_timestamp"],
  [true, "data.due", "is_timestamp_before", "7 days ago"],
  [false, "data.due", "is_timestamp_before", "11 days ago"],
  [true, "data.due", "is_timestamp_on_or_after", "11 days ago"],
  [true, "data.due", "is_timestamp_before", "in 3 hours"],
  [true, "data.due", "is_timestamp_before", "data.end"],
  [true, "data.due", "is_timestamp_before", "2026-01-11"],
  [true, "data.due", "is_timestamp_before_date", "2026-01-11"],
  [true, "data.due", "is_timestamp_on_or_after_date", "2026-01-10"],
  [true, "data.due", "is_timestamp_before_now"],
  [false, "data.due", "is_timestamp_on_or_after_now"],
  [true, "data.end", "is_timestamp_on_or_after_now"],
  [true, "data.due", "is_timestamp_between", '["data.start","2026-01-15"]'],
  [true, "data.due", "is_timestamp_between", "data.start, data.end"],
  [false, "data.due", "is_timestamp_between", '["2026-01-11","data.end"]'],
  [false, "data.due", "is_timestamp_before", "5 minutes ago"],
  [false, "data.due", "is_timestamp_before", "whenever"],
  [false, "data.plan", "is_timestamp_before", "in 3 hours"],
  [false, "data.missing", "is_timestamp_on_or_after", "7 days ago"],
];
for (const [expected, variable, operator, argument] of CASES) {
  test(`${variable} ${operator} ${JSON.stringify(argument) ?? ""} is ${expected}`, () =>
    assert.equal(holds(variable, operator, argument), expected));
}

const YES: Condition = { variable: "data.on", operator: "equal_to", argument: "true" };
const NO: Condition = { variable: "data.off", operator: "equal_to", argument: "true" };

test("all and any, nested as far as they may be", () => {
  assert.ok(at({} as Conditions).holds);
  assert.ok(at(null).holds && at(undefined).holds && at({ all: [] }).holds && at({ any: [] }).holds);
  assert.equal(at({ all: [YES, NO] }).holds, false);
  assert.equal(at({ any: [NO, YES] }).holds, true);
  assert.equal(at({ any: [NO, { all: [YES, YES] }] }).holds, true);
  assert.equal(at({ any: [NO, { all: [YES, NO] }] }).holds, false);
});

test("what failed is told with what was seen, cut to a bounded length", () => {
  assert.deepEqual(at({ all: [YES, NO] }).failed, [
    { variable: "data.off", operator: "equal_to", argument: "true", value: "false" },
  ]);
  const many = at({ any: Array<Condition>(20).fill(NO) });
  assert.equal(many.failed.length, 5);
  const long = { data: { a: "😀".repeat(5000), list: Array(5000).fill(1) } };
  const shown = ["data.a", "data.list"].map(
    (variable) => at({ all: [{ variable, operator: "equal_to", argument: "x" }] }, { scope: long }).failed[0]?.value,
  );
  assert.deepEqual(shown, [`${"😀".repeat(100)}…`, "list of 5000"]);
});

test("what a variable of the environment holds is not told", () => {
  const { failed } = at({ all: [{ variable: "vars.secret", operator: "equal_to", argument: "x" }] });
  assert.equal(failed[0]?.value, "(not shown)");
});

test("membership of an audience is asked of the recipient or the actor", async () => {
  const asked: string[] = [];
  const isMember = async (audience: string, who: string) => {
    asked.push(`${who} ${audience}`);
    return audience === "vip";
  };
  const member = (variable: string, operator: string, argument: string) =>
    evaluate({ all: [{ variable, operator, argument }] }, { ...context, isMember });
  assert.equal((await member("recipient", "is_audience_member", "vip")).holds, true);
  assert.equal((await member("recipient", "is_not_audience_member", "vip")).holds, false);
  assert.equal((await member("actor", "is_audience_member", "others")).holds, false);
  assert.deepEqual(asked, ["recipient vip", "recipient vip", "actor others"]);
  assert.equal(at({ all: [{ variable: "recipient", operator: "is_audience_member", argument: "vip" }] }).holds, false);
});

test("a time may be a template", async () => {
  const render = (text: string) => text.replace("{{ data.when }}", "2026-01-11");
  const condition = { variable: "data.due", operator: "is_timestamp_before", argument: "{{ data.when }}" };
  assert.equal((await evaluate({ all: [condition] }, { ...context, render })).holds, true);
  assert.equal(at({ all: [condition] }).holds, false);
});

// ——— statuses of earlier steps ———————————————————————————————————————————————————————————————————————————————————

function statusHolds(messages: readonly MessageStatus[] | null, variable: string, operator: string, argument: string) {
  const refs = messages === null ? {} : { step: stepStatus(messages) };
  return at({ all: [{ variable: `refs.step.${variable}`, operator, argument }] }, { scope: { refs } }).holds;
}

const message = (delivery: string, ...engagement: string[]): MessageStatus => ({ delivery, engagement });

test("a step that sent nothing, or was never reached, was skipped", () => {
  for (const messages of [[], null]) {
    assert.ok(statusHolds(messages, "delivery_status", "equal_to", "$message.skipped"));
    assert.ok(statusHolds(messages, "delivery_status", "less_than", "$message.sent"));
    assert.ok(statusHolds(messages, "engagement_status", "not_contains", "$message.seen"));
  }
  assert.ok(statusHolds([message("queued")], "delivery_status", "not_equal_to", "$message.skipped"));
});

test("deliveries are ranked", () => {
  const reached = (delivery: string) =>
    statusHolds([message(delivery)], "delivery_status", "greater_than_or_equal_to", "$message.sent");
  assert.deepEqual(
    ["undelivered", "bounced", "delivery_attempted", "queued", "not_sent", "sent", "delivered"].map(reached),
    [false, false, false, false, false, true, true],
  );
  assert.ok(statusHolds([message("bounced")], "delivery_status", "equal_to", "$message.bounced"));
  assert.ok(statusHolds([message("delivered")], "delivery_status", "equal_to", "delivered"));
});

test("engagement is what was done, and what was not", () => {
  const has = (argument: string, ...done: string[]) =>
    statusHolds([message("delivered", ...done)], "engagement_status", "contains", `$message.${argument}`);
  assert.ok(has("seen", "seen"));
  assert.ok(!has("seen", "read"));
  assert.ok(has("seen_not_read", "seen"));
  assert.ok(!has("seen_not_read", "seen", "read"));
  assert.ok(has("read_not_link_clicked", "read"));
  assert.ok(!has("read_not_link_clicked", "read", "link_clicked"));
  assert.ok(has("archived", "seen", "archived"));
});

test("of several messages the one that has come farthest counts", () => {
  const several = [message("undelivered"), message("delivered", "seen", "read"), message("delivered", "seen")];
  assert.ok(statusHolds(several, "engagement_status", "contains", "$message.read"));
  assert.ok(statusHolds(several, "delivery_status", "equal_to", "$message.delivered"));
  assert.deepEqual(stepStatus([message("sent"), message("bounced", "archived")]), {
    delivery_status: "bounced",
    engagement_status: ["archived"],
  });
});

// ——— hostile input ———————————————————————————————————————————————————————————————————————————————————————————————

test("long lists and deep values cost no more than reading them", () => {
  const list = Array.from({ length: 100_000 }, (_, index) => `item ${index}`);
  let deep: Json = '"\\';
  for (let depth = 0; depth < 100_000; depth++) deep = [deep];
  let nested: Json = '"\\';
  for (let depth = 0; depth < 30; depth++) nested = { '"\\': nested };
  const scope = { data: { list, other: list.map((item) => `no ${item}`), deep, nested } };
  const started = performance.now();
  const answers = [
    ["data.list", "contains", "data.other"],
    ["data.list", "contains_all", "data.list"],
    ["data.deep", "equal_to", "data.deep"],
    ["data.nested", "equal_to", "data.nested"],
  ].map(
    ([variable = "", operator = "", argument = ""]) => at({ all: [{ variable, operator, argument }] }, { scope }).holds,
  );
  assert.deepEqual(answers, [false, true, false, true]);
  assert.ok(performance.now() - started < 2000);
});
