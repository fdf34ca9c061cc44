/** Every operation with input of every wrong kind: each is answered in the vendor's shape, and never with a 500. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { forEachKnock } from "./knock-target.ts";

const deep = (levels: number): unknown => JSON.parse(`${'{"a":'.repeat(levels)}1${"}".repeat(levels)}`);
const EVERY_FIELD = [
  "recipients",
  "recipient",
  "actor",
  "tenant",
  "data",
  "users",
  "user_ids",
  "objects",
  "object_ids",
  "subscriptions",
  "tenants",
  "members",
  "preferences",
  "channel_data",
  "settings",
  "properties",
  "message_ids",
  "schedules",
  "schedule_ids",
  "workflow",
  "repeats",
  "scheduled_at",
  "ending_at",
  "cancellation_key",
  "name",
  "from_user_id",
  "workflows",
  "categories",
  "channel_types",
  "channels",
  "metadata",
  "engagement_status",
  "archived",
  "trigger_data",
  "template",
  "partial",
  "email_layout",
  "translation",
  "channel_group",
  "config",
  "enabled",
  "status",
  "key",
  "type",
  "id",
  "user",
  "commercial_subscribed",
];
const allFields = (value: unknown): unknown => Object.fromEntries(EVERY_FIELD.map((field) => [field, value]));

const BODIES: readonly (readonly [what: string, body: unknown])[] = [
  ["nothing", undefined],
  ["an empty object", {}],
  ["a list", []],
  ["null", "null"],
  ["a number", "5"],
  ["text", '"text"'],
  ["no JSON", "{"],
  ["numbers everywhere", allFields(5)],
  ["huge numbers", allFields(1e308)],
  ["text everywhere", allFields("x")],
  ["empty text", allFields("")],
  ["NUL everywhere", allFields("a\u0000b")],
  ["half a pair", allFields("\ud800")],
  ["empty lists", allFields([])],
  ["lists of null", allFields([null])],
  ["lists of numbers", allFields([1])],
  ["lists of text", allFields(["x"])],
  ["lists of NUL", allFields(["\u0000"])],
  ["lists of empty objects", allFields([{}])],
  [
    "lists of objects",
    allFields([{ id: "x", collection: "$bad", user: { id: "\u0000" }, recipient: 5, recipients: [{}] }]),
  ],
  ["objects of the wrong", allFields({ id: 5, default: 5, x: { conditions: [5] }, settings: 5, branding: 5 })],
  ["deep objects", allFields(deep(150))],
  ["prototypes", allFields({ constructor: 1, toString: null, hasOwnProperty: [] })],
];
const QUERIES = [
  "",
  "?page_size=-1&after=x&before=x",
  "?after=%00",
  "?tenant=%00&status[]=%00&recipient=%00",
  "?workflow=w&recipients[][id]=x&recipient[id]=x&objects[0]=1&message_ids[]=%00&message_ids[]=x",
  "?trigger_data={&inserted_at.gte=never&tenant[x]=1",
  '?trigger_data={"a":{"b":1}}&workflow_categories[]=%ED%A0%80&has_tenant=maybe',
  "?environment=development&limit=x&annotate=1",
];
const NAMES = [
  "x",
  "a%00b",
  "%F0%9F%99%82",
  "$tenants",
  "x".repeat(300),
  "00000000-0000-4000-8000-000000000002",
  "2w3YAAAAAAAAAAAAAAAAAAAAAAA",
];

forEachKnock((name, open) => {
  test(`${name}: no input makes a 500`, async () => {
    const { call } = await open();
    const { body: api } = await call("GET", "/openapi");
    const failures: string[] = [];
    const check = async (method: string, path: string, body: unknown, what: string): Promise<void> => {
      const answer = await call(method, path, body);
      const { status } = answer;
      const isOurs = status !== 501 && (status >= 500 || status === 409 || status === 408);
      const shapeless = status >= 400 && (typeof answer.body?.code !== "string" || answer.body.status !== status);
      if (isOurs || shapeless)
        failures.push(`${method} ${path.slice(0, 120)} with ${what}: ${status} ${answer.text.slice(0, 200)}`);
    };
    for (const [path, operations] of Object.entries(api.paths as Record<string, object>)) {
      for (const method of Object.keys(operations).map((one) => one.toUpperCase())) {
        const at = (param: string): string => path.replace(/\{\w+\}/g, param);
        if (method === "GET") {
          for (const query of QUERIES) await check(method, at("x") + query, undefined, "a query");
        } else {
          for (const [what, body] of BODIES) await check(method, at("x"), body, what);
        }
        if (path.includes("{"))
          for (const param of NAMES) await check(method, at(param), method === "GET" ? undefined : {}, "a name");
      }
    }
    assert.deepEqual(failures, []);
  });
});
