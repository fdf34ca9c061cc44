import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { allowsObject, allowsOwn, type Grants, readGrants, tenantsWith } from "./grants.ts";

const HOST = "https://api.knock.app";

function grants(claims: Parameters<typeof readGrants>[0]): Grants {
  const read = readGrants(claims, "u1");
  assert.ok(read !== null);
  return read;
}

test("without grants the user's own endpoints are open, in every tenant, and no object is", () => {
  const plain = grants({});
  assert.ok(allowsOwn(plain, "user/feed_read", null));
  assert.ok(allowsOwn(plain, "preferences/write", "acme"));
  assert.ok(allowsOwn(plain, "user/write", undefined));
  assert.ok(!allowsObject(plain, { collection: "projects", id: "p1" }, "channel_data/read"));
});

test("explicit grants allow only what is listed", () => {
  const some = grants({ explicit_grants: true, grants: { [`${HOST}/v1/users/u1`]: { "user/feed_read": [] } } });
  assert.ok(allowsOwn(some, "user/feed_read", null));
  assert.ok(!allowsOwn(some, "user/feed_write", null));
  assert.ok(!allowsOwn(some, "preferences/read", null));
  const none = grants({ explicit_grants: true });
  assert.ok(!allowsOwn(none, "user/read", undefined));
});

test("feeds' capabilities are spelled in three ways, and granted by [] and [{}] alike", () => {
  for (const name of ["user/feed_read", "user_feed/read", "feed/read"]) {
    for (const exceptions of [[], [{}]]) {
      const some = grants({ explicit_grants: true, grants: { "/v1/users/u1": { [name]: exceptions } } });
      assert.ok(allowsOwn(some, "user/feed_read", null), name);
    }
  }
});

test("grants on another user count for nothing", () => {
  const foreign = grants({ explicit_grants: true, grants: { [`${HOST}/v1/users/u2`]: { "user/read": [] } } });
  assert.ok(!allowsOwn(foreign, "user/read", undefined));
});

describe("a tenant with a capability for feeds", () => {
  for (const address of [
    `${HOST}/v1/objects/$tenants/acme`,
    "https://self.example/v1/tenants/acme",
    "/v1/tenants/acme",
  ]) {
    test(`limits feeds to such tenants: ${address}`, () => {
      const some = grants({ grants: { [address]: { "feed/read": [{}] } } });
      assert.ok(allowsOwn(some, "user/feed_read", "acme"));
      assert.ok(!allowsOwn(some, "user/feed_read", "zeta"));
      assert.ok(!allowsOwn(some, "user/feed_read", null));
      // Not preferences, which no tenant divides here.
      assert.ok(allowsOwn(some, "preferences/read", "zeta"));
      // Marking as read is open to a user whose grants are not explicit.
      assert.ok(allowsOwn(some, "user/feed_write", "acme"));
      assert.ok(!allowsOwn(some, "user/feed_write", "zeta"));
      assert.deepEqual(tenantsWith(some, "user/feed_read"), ["acme"]);
    });
  }

  test("leaves what has no tenant to a grant on the user", () => {
    const both = grants({
      grants: { "/v1/tenants/acme": { "feed/read": [] }, "/v1/users/u1": { "user/feed_read": [] } },
    });
    assert.ok(allowsOwn(both, "user/feed_read", null));
    assert.ok(!allowsOwn(both, "user/feed_read", "zeta"));
  });

  test("with explicit grants, reading is not writing", () => {
    const some = grants({ explicit_grants: true, grants: { "/v1/tenants/acme": { "feed/read": [] } } });
    assert.ok(allowsOwn(some, "user/feed_read", "acme"));
    assert.ok(!allowsOwn(some, "user/feed_write", "acme"));
  });
});

test("objects and tenants are reached where they are named", () => {
  const some = grants({
    grants: {
      [`${HOST}/v1/objects/projects/p/1?x`]: { "channel_data/read": [] },
      [`${HOST}/v1/objects/$tenants/acme`]: { "slack/channels_read": [] },
    },
  });
  assert.ok(allowsObject(some, { collection: "projects", id: "p/1?x" }, "channel_data/read"));
  assert.ok(!allowsObject(some, { collection: "projects", id: "p/1?x" }, "channel_data/write"));
  assert.ok(allowsObject(some, { collection: "$tenants", id: "acme" }, "slack/channels_read"));
  assert.ok(!allowsObject(some, { collection: "projects", id: "acme" }, "slack/channels_read"));
  // A tenant's provider capability divides no feed.
  assert.equal(tenantsWith(some, "user/feed_read"), null);
});

test("what is no set of grants makes the token invalid", () => {
  assert.equal(readGrants({ grants: [] }, "u1"), null);
  assert.equal(readGrants({ grants: { "/v1/users/u1": ["user/read"] } }, "u1"), null);
  assert.equal(readGrants({ grants: "all" }, "u1"), null);
});
