/** Event types out of OpenAPI documents. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type Clients, forEachSvix } from "./svix-target.ts";

const SPEC = {
  openapi: "3.1.0",
  info: { title: "Pets", version: "1" },
  webhooks: {
    "pet.made": {
      post: {
        summary: "A pet was made",
        description: "Much longer words about it",
        "x-svix-feature-flags": ["early"],
        "x-svix-group-name": "pets",
        requestBody: {
          content: {
            "application/json": {
              schema: { $ref: "#/components/schemas/Pet" },
              example: { name: "Rex" },
            },
          },
        },
        responses: { "200": { description: "fine" } },
      },
    },
    "pet.gone": {
      post: {
        description: "A pet is gone",
        deprecated: true,
        requestBody: { $ref: "#/components/requestBodies/Gone" },
      },
    },
  },
  components: {
    schemas: {
      Pet: {
        type: "object",
        required: ["name"],
        properties: {
          name: { type: "string" },
          owner: { $ref: "#/components/schemas/Owner" },
          parents: { type: "array", items: { $ref: "#/components/schemas/Pet" } },
        },
      },
      Owner: { type: "object", properties: { pets: { type: "array", items: { $ref: "#/components/schemas/Pet" } } } },
    },
    requestBodies: { Gone: { content: { "application/vnd.pets+json": { schema: { type: "object" } } } } },
  },
} as const;

async function names({ svix }: Clients, includeArchived = false): Promise<string[]> {
  return (await svix.eventType.list({ includeArchived, limit: 250 })).data.map((one) => one.name);
}

forEachSvix((name, open) => {
  test(`${name}: a dry run shows and changes nothing; an import makes, changes and brings back`, async () => {
    const own = await (await open()).another();
    const { svix, svix2 } = own;
    const dry = await svix.eventType.importOpenapi({ spec: SPEC, dryRun: true });
    assert.deepEqual(dry.data.modified, []);
    assert.deepEqual(dry.data.toModify?.map((one) => one.name).sort(), ["pet.gone", "pet.made"]);
    assert.equal(dry.data.toModify?.find((one) => one.name === "pet.made")?.groupName, "pets");
    assert.deepEqual(await names(own, true), []);

    const done = await svix2.eventType.importOpenapi({ spec: SPEC });
    assert.deepEqual(done.data.modified, ["pet.gone", "pet.made"]);
    const made = await svix.eventType.get("pet.made");
    assert.equal(made.description, "A pet was made");
    assert.deepEqual(made.featureFlags, ["early"]);
    assert.deepEqual(made.schemas, {
      "1": {
        type: "object",
        required: ["name"],
        properties: {
          name: { type: "string" },
          owner: { $ref: "#/definitions/Owner" },
          parents: { type: "array", items: { $ref: "#/definitions/Pet" } },
        },
        definitions: {
          Owner: { type: "object", properties: { pets: { type: "array", items: { $ref: "#/definitions/Pet" } } } },
          Pet: {
            type: "object",
            required: ["name"],
            properties: {
              name: { type: "string" },
              owner: { $ref: "#/definitions/Owner" },
              parents: { type: "array", items: { $ref: "#/definitions/Pet" } },
            },
          },
        },
        examples: [{ name: "Rex" }],
      },
    });
    const gone = await svix2.eventType.get("pet.gone");
    assert.deepEqual(
      [gone.description, gone.deprecated, gone.schemas],
      ["A pet is gone", true, { "1": { type: "object" } }],
    );

    // Nothing has changed, so nothing is changed; what is archived is brought back.
    assert.deepEqual((await svix.eventType.importOpenapi({ spec: SPEC })).data.modified, []);
    await svix.eventType.delete("pet.gone");
    assert.deepEqual((await svix.eventType.importOpenapi({ spec: SPEC })).data.modified, ["pet.gone"]);
    assert.deepEqual(await names(own), ["pet.gone", "pet.made"]);
  });

  test(`${name}: replaceAll archives what the document does not name`, async () => {
    const own = await (await open()).another();
    await own.svix.eventType.create({ name: "old.one", description: "x", featureFlags: ["secret"] });
    await own.svix.eventType.create({ name: "pet.made", description: "x", featureFlags: ["secret"] });
    const { "pet.made": petMade } = SPEC.webhooks;
    const { "x-svix-feature-flags": _, ...post } = petMade.post;
    const spec = { ...SPEC, webhooks: { "pet.made": { post } } };
    assert.deepEqual((await own.svix.eventType.importOpenapi({ spec })).data.modified, ["pet.made"]);
    assert.deepEqual(await names(own), ["old.one", "pet.made"]);
    // What was hidden stays hidden: the document says nothing of flags.
    assert.deepEqual((await own.svix.eventType.get("pet.made")).featureFlags, ["secret"]);
    const dry = await own.svix2.eventType.importOpenapi({ spec, replaceAll: true, dryRun: true });
    assert.deepEqual(
      dry.data.toModify?.map((one) => one.name),
      ["old.one"],
    );
    assert.deepEqual((await own.svix.eventType.importOpenapi({ spec, replaceAll: true })).data.modified, ["old.one"]);
    assert.deepEqual(await names(own), ["pet.made"]);
    assert.deepEqual(await names(own, true), ["old.one", "pet.made"]);
  });
});

forEachSvix((name, open) => {
  if (name !== "sqlite") return;

  test("YAML, x-webhooks, and what OpenAPI 3.0 says in words of its own", async () => {
    const own = await (await open()).another();
    const specRaw = `openapi: 3.0.3
x-webhooks:
  order.paid:
    put:
      description: |
        Paid
      requestBody:
        content:
          application/json:
            schema:
              type: object
              properties:
                amount: {type: number, minimum: 0, exclusiveMinimum: true, example: 5}
                note: {type: string, nullable: true}
                example: {type: boolean}
`;
    assert.deepEqual((await own.svix2.eventType.importOpenapi({ specRaw })).data.modified, ["order.paid"]);
    assert.deepEqual((await own.svix.eventType.get("order.paid")).schemas, {
      "1": {
        type: "object",
        properties: {
          amount: { type: "number", exclusiveMinimum: 0, examples: [5] },
          note: { type: ["string", "null"] },
          example: { type: "boolean" },
        },
      },
    });
    const asJson = JSON.stringify({ webhooks: { "json.one": { post: {} } } });
    assert.deepEqual((await own.svix.eventType.importOpenapi({ specRaw: asJson })).data.modified, ["json.one"]);
    assert.equal((await own.svix.eventType.get("json.one")).schemas, null);
  });

  const hook = (schema: unknown) => ({
    webhooks: { w: { post: { requestBody: { content: { "application/json": { schema } } } } } },
  });
  for (const [what, status, body, told] of [
    ["neither document", 400, {}, /exactly one/],
    ["both documents", 400, { spec: {}, specRaw: "{}" }, /exactly one/],
    ["text that is neither JSON nor YAML", 422, { specRaw: "a: [b\nc: }" }, /specRaw/],
    ["a document that is a list", 422, { specRaw: "- a\n- b" }, /object/],
    ["a document that is a word", 422, { specRaw: "hello" }, /object/],
    ["an object that is something else", 422, { spec: { name: "package" }, replaceAll: true }, /OpenAPI/],
    ["webhooks in a list", 422, { spec: { webhooks: [] } }, /"webhooks"/],
    ["a name that is none", 422, { spec: { webhooks: { "a b": { post: {} } } } }, /"a b"/],
    ["no operation", 422, { spec: { webhooks: { a: {} } } }, /operation/],
    ["a reference that leads nowhere", 422, { spec: hook({ $ref: "#/components/schemas/None" }) }, /leads nowhere/],
    ["a nested one", 422, { spec: hook({ not: { $ref: "#/components/%zz" } }) }, /leads nowhere/],
    ["a reference to __proto__", 422, { spec: hook({ $ref: "#/__proto__/toString" }) }, /leads nowhere/],
    ["a schema that is none", 422, { spec: hook({ type: "text" }) }, /draft 7/],
    [
      "flags that are none",
      422,
      { spec: { webhooks: { a: { post: { "x-svix-feature-flag": 5 } } } } },
      /feature-flags/,
    ],
    ["__proto__ in YAML", 422, { specRaw: "__proto__: {a: 1}\nwebhooks: {}" }, /__proto__/],
    ["a YAML document that contains itself", 422, { specRaw: "a: &a\n  b: *a" }, /specRaw/],
    [
      "a circle of references",
      422,
      {
        spec: {
          ...hook({ $ref: "#/components/schemas/A" }),
          components: { schemas: { A: { $ref: "#/components/schemas/B" }, B: { $ref: "#/components/schemas/A" } } },
        },
      },
      /circle/,
    ],
    [
      "much made of little by aliases",
      422,
      {
        specRaw: `a: &a [${"x,".repeat(20)}x]\nb: &b [${"*a,".repeat(20)}*a]\nc: &c [${"*b,".repeat(20)}*b]\nd: [${"*c,".repeat(20)}*c]`,
      },
      /specRaw/,
    ],
    ["deep YAML", 422, { specRaw: `a: ${"[".repeat(400)}${"]".repeat(400)}` }, /specRaw/],
    ["very deep YAML", 422, { specRaw: `a: ${"[".repeat(60_000)}` }, /specRaw/],
    ["deep JSON", 422, { specRaw: `{"a":${"[".repeat(5_000)}${"]".repeat(5_000)}}` }, /nesting/],
    ["dryRun that is no switch", 422, { spec: {}, dryRun: "yes" }, /dryRun/],
  ] as const) {
    test(`refused: ${what}`, async () => {
      const { call } = await open();
      const answer = await call("POST", "/event-type/import/openapi", body);
      assert.equal(answer.status, status, answer.text.slice(0, 500));
      assert.match(answer.text, told);
    });
  }

  test("a reference to another document is kept and never followed", async () => {
    const own = await (await open()).another();
    const spec = hook({ properties: { a: { $ref: "http://127.0.0.1:1/x.json#/a" } } });
    assert.deepEqual((await own.svix.eventType.importOpenapi({ spec })).data.modified, ["w"]);
    assert.deepEqual((await own.svix.eventType.get("w")).schemas?.["1"], {
      properties: { a: { $ref: "http://127.0.0.1:1/x.json#/a" } },
    });
  });

  test("many webhooks that share much, and webhooks without end", async () => {
    const { call } = await open();
    const shared = {
      type: "object",
      properties: Object.fromEntries(Array.from({ length: 3_000 }, (_, i) => [`p${i}`, { type: "string" }])),
    };
    const operation = {
      post: { requestBody: { content: { "application/json": { schema: { $ref: "#/components/schemas/S" } } } } },
    };
    const spec = {
      webhooks: Object.fromEntries(Array.from({ length: 900 }, (_, i) => [`many.${i}`, operation])),
      components: { schemas: { S: shared } },
    };
    const together = await call("POST", "/event-type/import/openapi", { spec });
    assert.equal(together.status, 422);
    assert.match(together.text, /together/);
    const webhooks = Object.fromEntries(Array.from({ length: 1_001 }, (_, i) => [`many.${i}`, { post: {} }]));
    assert.match((await call("POST", "/event-type/import/openapi", { spec: { webhooks } })).text, /at most 1000/);
  });
});
