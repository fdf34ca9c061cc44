import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { KnockError } from "./errors.ts";
import { Query } from "./query.ts";

const refused = (field: string) => (error: unknown) => {
  assert.ok(error instanceof KnockError);
  assert.equal(error.status, 422);
  assert.equal(error.errors?.[0]?.field, field);
  return true;
};

describe("every style that clients write", () => {
  test("repeated brackets", () => {
    const query = new Query("workflow_categories[]=a&workflow_categories[]=b");
    assert.deepEqual(query.texts("workflow_categories"), ["a", "b"]);
  });

  test("percent-encoded brackets", () => {
    assert.deepEqual(new Query("include%5B%5D=preferences").texts("include"), ["preferences"]);
  });

  test("a name repeated without brackets", () => {
    const query = new Query("tenant_ids=a&tenant_ids=b");
    assert.deepEqual(query.texts("tenant_ids"), ["a", "b"]);
    assert.equal(query.text("tenant_ids"), "b");
  });

  test("a nested map", () => {
    const query = new Query(
      "query_options[cursor]=x&access_token_object[object_id]=t&access_token_object[collection]=$tenants",
    );
    assert.deepEqual(query.map("query_options"), { cursor: "x" });
    assert.deepEqual(query.map("access_token_object"), { object_id: "t", collection: "$tenants" });
  });

  test("dotted names", () => {
    const query = new Query("inserted_at.gte=2026-01-01T00:00:00Z&inserted_at.lt=2026-02-01&query_options.cursor=c");
    assert.deepEqual(query.range("inserted_at"), { gte: Date.UTC(2026, 0, 1), lt: Date.UTC(2026, 1, 1) });
    assert.deepEqual(query.map("query_options"), { cursor: "c" });
    assert.deepEqual(new Query("inserted_at[gt]=2026-01-01T00:00:00.000Z").range("inserted_at"), {
      gt: Date.UTC(2026, 0, 1),
    });
  });

  test("JSON as a value", () => {
    const query = new Query(`trigger_data=${encodeURIComponent('{"x":1,"y":{"z":[]}}')}`);
    assert.deepEqual(query.map("trigger_data"), { x: 1, y: { z: [] } });
  });

  test("an indexed list of maps", () => {
    const query = new Query("objects[0][id]=a&objects[0][collection]=c&objects[1][id]=b&objects[1][collection]=c");
    assert.deepEqual(query.parties("objects"), [
      { collection: "c", id: "a" },
      { collection: "c", id: "b" },
    ]);
  });

  test("a mixed list", () => {
    const query = new Query(
      "recipients[]=u1&recipients[][id]=o&recipients[][collection]=c&recipients[]=u2&recipients[][id]=p&recipients[][collection]=c",
    );
    assert.deepEqual(query.parties("recipients"), [
      { collection: "$users", id: "u1" },
      { collection: "c", id: "o" },
      { collection: "$users", id: "u2" },
      { collection: "c", id: "p" },
    ]);
    // An `[][id]` after an `[][id]` begins another.
    const two = new Query(
      "recipients[][id]=o&recipients[][collection]=c&recipients[][id]=p&recipients[][collection]=d",
    );
    assert.deepEqual(
      two.parties("recipients").map(({ id }) => id),
      ["o", "p"],
    );
  });

  test("a party as a map, as an id, as JSON", () => {
    assert.deepEqual(new Query("recipient[id]=o&recipient[collection]=c").party("recipient"), {
      collection: "c",
      id: "o",
    });
    assert.deepEqual(new Query("recipient=u:1%40x").party("recipient"), { collection: "$users", id: "u:1@x" });
    assert.deepEqual(new Query('recipient={"id":"o","collection":"c"}').party("recipient"), {
      collection: "c",
      id: "o",
    });
  });

  test("empty values and empty pairs", () => {
    const query = new Query("&status=&archived=&&tenant=acme&x[]=&");
    assert.equal(query.text("status"), undefined);
    assert.equal(query.flag("archived"), undefined);
    assert.equal(query.text("tenant"), "acme");
    assert.deepEqual(query.texts("x"), []);
    assert.equal(query.map("status"), undefined);
    assert.deepEqual(query.range("status"), {});
    assert.equal(query.party("status"), undefined);
  });
});

describe("what is refused", () => {
  test("values of another type, by name", () => {
    assert.throws(() => new Query("has_tenant=yes").flag("has_tenant"), refused("has_tenant"));
    assert.throws(() => new Query("page_size=1.5").integer("page_size"), refused("page_size"));
    assert.throws(() => new Query("status[x]=1").text("status"), refused("status"));
    assert.throws(() => new Query("trigger_data=1").map("trigger_data"), refused("trigger_data"));
    assert.throws(() => new Query("at=tomorrow").moment("at"), refused("at"));
    assert.throws(() => new Query("inserted_at=1").range("inserted_at"), refused("inserted_at"));
    assert.throws(() => new Query("status=sideways").oneOf("status", ["all", "read"]), refused("status"));
    assert.throws(
      () => new Query("recipient[id]=o&recipient[collection]=a/b").party("recipient"),
      refused("recipient.collection"),
    );
  });

  test("NUL and broken text", () => {
    assert.throws(() => new Query("tenant=a%00b").text("tenant"), refused("tenant"));
    assert.throws(() => new Query("recipient=a%00b").party("recipient"), refused("recipient"));
  });

  test("a flood, and depth", () => {
    assert.throws(() => new Query("a[]=1&".repeat(5_001)), KnockError);
    assert.throws(() => new Query(`a${"[x]".repeat(50)}=1`), KnockError);
  });

  test("nothing reaches a prototype", () => {
    const map = new Query("m[__proto__][polluted]=1&m[constructor]=2").map("m");
    assert.deepEqual(Object.entries(map ?? {}), [["constructor", "2"]]);
    assert.equal(({} as { polluted?: string }).polluted, undefined);
    assert.equal(new Query("__proto__=1").text("toString"), undefined);
  });
});
