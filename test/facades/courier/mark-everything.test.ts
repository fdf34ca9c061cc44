/** What one call does to everything that a user has, where that is more than any page holds. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { inboxSend } from "../../conformance/fixtures.ts";
import { SECRET_KEY, startServer } from "../../support/server.ts";

const ITEMS = 10_100;
const REPORTED = 10_000;

// Old clients' "opened" went page by page and left off after a hundred of them, having said nothing.
test("old clients' signals of everything reach everything, however much it is", async (t) => {
  const app = await startServer();
  t.after(() => app.close());
  const { id } = app.environment;
  for (let i = 0; i < ITEMS; i += 100) {
    await app.store.pipeline.accept(Array.from({ length: 100 }, () => inboxSend(id, "ann")));
  }
  const post = async (path: string, body: object, key: string) => {
    const headers = { authorization: `Bearer ${key}`, "content-type": "application/json" };
    const response = await fetch(`${app.url}${path}`, { method: "POST", headers, body: JSON.stringify(body) });
    // biome-ignore lint/suspicious/noExplicitAny: whatever the server said; the test looks at it field by field
    return (await response.json()) as any;
  };
  const scope = "user_id:ann inbox:read:messages inbox:write:events";
  const { token } = await post("/auth/issue-token", { scope, expires_in: "1h" }, SECRET_KEY);
  const count = async (filter: object) =>
    app.engine.inbox.count(id, { userId: "ann", ...filter }, app.engine.clock.now());
  for (const [type, left] of [
    ["opened", { seen: false }],
    ["read", { read: false }],
    ["archive", { archived: false }],
  ] as const) {
    const query = `mutation { batchTrackEvent(eventType: "${type}") { ids } }`;
    const { data } = await post("/q", { query }, token);
    assert.equal(new Set(data.batchTrackEvent.ids).size, REPORTED, type);
    assert.equal(await count(left), 0, type);
  }
});
