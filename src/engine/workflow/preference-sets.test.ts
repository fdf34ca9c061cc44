import assert from "node:assert/strict";
import { test } from "node:test";
import { Refusal } from "../refusal.ts";
import type { Evaluation } from "./conditions.ts";
import type { Conditions } from "./model.ts";
import { checkPersistence, checkPreferenceEntry, checkPreferenceSet } from "./preference-checks.ts";
import {
  applyWrite,
  type PreferenceQuestion,
  resolvePreferences,
  setEntry,
  setMap,
  verdict,
  type Wanted,
} from "./preference-sets.ts";
import type { PreferenceSet } from "./workflows.ts";

const IF = { conditions: [{ variable: "data.on", operator: "equal_to", argument: "true" }] };

// ——— resolving ———————————————————————————————————————————————————————————————————————————————————————————————————

const ENVIRONMENT: PreferenceSet = { workflows: { a: { channel_types: { email: false, sms: false } }, b: true } };

test("without a tenant the recipient's set lies over the environment's, leaf by leaf", () => {
  const own: PreferenceSet = { workflows: { a: { channel_types: { email: true } } }, categories: { news: false } };
  assert.deepEqual(resolvePreferences({ environment: ENVIRONMENT, own, tenant: null }), {
    workflows: { a: { channel_types: { email: true, sms: false } }, b: true },
    categories: { news: false },
  });
  assert.deepEqual(resolvePreferences({ environment: null, own: null, tenant: null }), {});
});

test("with a tenant its rows count and the recipient's default does not", () => {
  const own: PreferenceSet = { workflows: { b: false }, commercial_subscribed: false };
  const defaults: PreferenceSet = { workflows: { a: false }, commercial_subscribed: true };
  const ofTenant: PreferenceSet = { channels: { c1: false } };
  assert.deepEqual(resolvePreferences({ environment: ENVIRONMENT, own, tenant: { defaults, own: ofTenant } }), {
    workflows: { a: false, b: true },
    channels: { c1: false },
    commercial_subscribed: false,
  });
  assert.deepEqual(resolvePreferences({ environment: null, own, tenant: { defaults: null, own: ofTenant } }), {
    channels: { c1: false },
    commercial_subscribed: false,
  });
});

test("with a tenant of which neither has a set it is as without", () => {
  const rows = { environment: ENVIRONMENT, own: { workflows: { b: false } } };
  assert.deepEqual(
    resolvePreferences({ ...rows, tenant: { defaults: null, own: null } }),
    resolvePreferences({ ...rows, tenant: null }),
  );
});

test("an entry of a lower row that replaces wins over higher ones, and shows", () => {
  const marked = { __strategy__: "replace", channel_types: { email: false } } as const;
  const defaults = { workflows: { a: marked, b: false } } as PreferenceSet;
  const own: PreferenceSet = { workflows: { a: { channel_types: { email: true, push: true } }, b: true } };
  const resolve = (over: PreferenceSet) =>
    resolvePreferences({ environment: null, own: null, tenant: { defaults: over, own } }).workflows;
  assert.deepEqual(resolve(defaults), { a: marked, b: true });
  assert.deepEqual(resolve({ workflows: { b: false } }), own.workflows);
  // The mark of the environment holds against the tenant and the recipient, for a whole map, too.
  const map = { __strategy__: "replace", x: false } as const;
  const all = resolvePreferences({
    environment: { categories: map } as unknown as PreferenceSet,
    own: null,
    tenant: { defaults: { categories: { x: true } }, own: { categories: { y: true } } },
  });
  assert.deepEqual(all.categories, map);
});

test("a set that names a prototype stays a plain object", () => {
  const own: PreferenceSet = JSON.parse('{"workflows": {"__proto__": {"polluted": true}, "a": true}}');
  const resolved = resolvePreferences({ environment: { workflows: { b: true } }, own, tenant: null });
  assert.deepEqual(Object.keys(resolved.workflows ?? {}), ["b", "a"]);
  assert.equal(({} as { polluted?: boolean }).polluted, undefined);
});

// ——— verdicts ————————————————————————————————————————————————————————————————————————————————————————————————————

const QUESTION: PreferenceQuestion = {
  workflow: "wf",
  categories: ["news", "social"],
  channelId: "c1",
  channelType: "email",
  commercial: false,
  override: false,
};

function asked(set: PreferenceSet, over: Partial<PreferenceQuestion> = {}, holds = true): Wanted {
  const evaluate = (): Evaluation => ({ holds, failed: [] });
  const wanted = verdict(set, { ...QUESTION, ...over }, evaluate);
  assert.ok(!(wanted instanceof Promise));
  return wanted;
}

function refusedBy(set: PreferenceSet, over: Partial<PreferenceQuestion> = {}, holds = true): string | null {
  const wanted = asked(set, over, holds);
  return wanted.wanted ? null : wanted.by;
}

const VERDICTS: readonly (readonly [PreferenceSet, string | null, Partial<PreferenceQuestion>?])[] = [
  [{}, null],
  [{ workflows: { other: false }, categories: { other: false }, channel_types: { sms: false } }, null],
  [{ workflows: { wf: false } }, "workflows.wf"],
  [{ categories: { news: true, social: false } }, "categories.social"],
  [{ workflows: { wf: true }, categories: { news: false } }, "categories.news"],
  [{ channel_types: { email: false } }, "channel_types.email"],
  [{ channels: { c1: false } }, "channels.c1"],
  [{ channels: { c1: true }, channel_types: { email: false } }, null],
  [{ channels: { c1: false }, channel_types: { email: true } }, "channels.c1"],
  [{ workflows: { wf: { channel_types: { email: false } } } }, "workflows.wf.channel_types.email"],
  [{ workflows: { wf: { channel_types: { sms: false } } } }, null],
  [{ workflows: { wf: { channels: { c1: true }, channel_types: { email: false } } } }, null],
  // A channel of one level does not speak for its type on another.
  [{ workflows: { wf: { channels: { c1: true } } }, channel_types: { email: false } }, "channel_types.email"],
  [{ workflows: { wf: false } }, null, { override: true }],
  [{ commercial_subscribed: false }, null],
  [{ commercial_subscribed: false }, "commercial_subscribed", { commercial: true }],
  [{ commercial_subscribed: true }, null, { commercial: true }],
];
for (const [set, by, over] of VERDICTS) {
  test(`${JSON.stringify(set)} ${by === null ? "lets through" : "holds back"} ${JSON.stringify(over ?? {})}`, () =>
    assert.equal(refusedBy(set, over), by));
}

test("conditions all have to hold, wherever they stand, and are asked for at once", async () => {
  const set: PreferenceSet = {
    workflows: { wf: { ...IF, channel_types: { email: IF } } },
    categories: { news: IF },
    channels: { c1: IF },
    commercial_subscribed: IF,
  };
  const calls: Conditions[] = [];
  const evaluate = async (conditions: Conditions): Promise<Evaluation> => {
    calls.push(conditions);
    return { holds: false, failed: [] };
  };
  const wanted = await verdict(set, { ...QUESTION, commercial: true }, evaluate);
  assert.deepEqual(wanted, { wanted: false, by: "conditions", failed: [] });
  assert.deepEqual(calls, [{ all: Array(5).fill(IF.conditions[0]) }]);
  assert.equal(refusedBy(set, {}, true), null);
  // A plain no needs no asking.
  assert.equal(refusedBy({ ...set, channel_types: { email: false }, channels: {} }, {}, true), "channel_types.email");
});

// ——— writing —————————————————————————————————————————————————————————————————————————————————————————————————————

function write(old: PreferenceSet | null, request: object): PreferenceSet {
  return applyWrite(old, checkPreferenceSet(request, "preferences"), checkPersistence(request, "preferences"));
}

test("a write replaces the set unless it asks to be merged", () => {
  const old: PreferenceSet = {
    workflows: { a: { channel_types: { email: false } }, b: true },
    categories: { c: true },
  };
  assert.deepEqual(write(old, { id: "default", workflows: { a: true }, categories: null }), { workflows: { a: true } });
  assert.deepEqual(
    write(old, { __persistence_strategy__: "merge", workflows: { a: { channel_types: { sms: true } }, b: null } }),
    { workflows: { a: { channel_types: { email: false, sms: true } } }, categories: { c: true } },
  );
  assert.deepEqual(write(null, { __persistence_strategy__: "merge", workflows: { a: null } }), { workflows: {} });
  assert.deepEqual(write(old, { __persistence_strategy__: "merge", workflows: null, commercial_subscribed: false }), {
    categories: { c: true },
    commercial_subscribed: false,
  });
});

test("one map and one entry can be written by themselves", () => {
  const old: PreferenceSet = { workflows: { a: true, b: true } };
  assert.deepEqual(setMap(old, "categories", { c: false }), { ...old, categories: { c: false } });
  assert.deepEqual(setEntry(old, "workflows", "a", false), { workflows: { b: true, a: false } });
  assert.deepEqual(setEntry(null, "channel_types", "email", false), { channel_types: { email: false } });
  assert.equal(checkPreferenceEntry("workflows", "a", { subscribed: false }, ""), false);
  assert.deepEqual(checkPreferenceEntry("categories", "a", { channel_types: { sms: true } }, ""), {
    channel_types: { sms: true },
  });
});

test("what is checked keeps what means something and names what is wrong", () => {
  const whole = {
    workflows: {
      a: { channel_types: { email: true }, channels: { c1: IF }, ...IF, __strategy__: "replace" },
      b: false,
    },
    categories: { c: IF, __strategy__: "merge" },
    channel_types: { in_app_feed: IF },
    channels: { "7b3a": true },
    commercial_subscribed: true,
  };
  assert.deepEqual(checkPreferenceSet({ ...whole, id: "default", other: 1 }, "p"), whole);
  for (const [set, field] of [
    [null, "p"],
    [[], "p"],
    [{ workflows: [] }, "p.workflows"],
    [{ workflows: { a: "yes" } }, "p.workflows.a"],
    [{ workflows: { a: { channel_types: { fax: true } } } }, "p.workflows.a.channel_types.fax"],
    [{ workflows: { a: { conditions: {} } } }, "p.workflows.a.conditions"],
    [{ channel_types: { email: 1 } }, "p.channel_types.email"],
    [{ channel_types: { email: {} } }, "p.channel_types.email"],
    [{ channels: { c: { conditions: [{ variable: "a", operator: "x" }] } } }, "p.channels.c.conditions[0].operator"],
    [{ categories: { __strategy__: "sometimes" } }, "p.categories.__strategy__"],
    [{ categories: { "": true } }, "p.categories."],
    [{ commercial_subscribed: "no" }, "p.commercial_subscribed"],
    [{ __persistence_strategy__: "append" }, "p.__persistence_strategy__"],
    [
      { workflows: { a: { conditions: [{ variable: "refs.x.delivery_status", operator: "exists" }] } } },
      "p.workflows.a.conditions[0].variable",
    ],
    [{ workflows: Object.fromEntries(Array.from({ length: 1001 }, (_, i) => [`w${i}`, true])) }, "p.workflows"],
  ] as const) {
    assert.throws(
      () => checkPreferenceSet(set, "p"),
      (error) => error instanceof Refusal && error.code === "invalid" && error.field === field,
      `${JSON.stringify(set).slice(0, 100)} at ${field}`,
    );
  }
});
