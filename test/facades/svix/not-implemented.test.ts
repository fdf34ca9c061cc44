/** What the vendor offers and this server does not. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { startSvixTarget } from "./svix-target.ts";

// An inbound address takes any text; it was told that its body was no JSON, as if JSON would have helped.
test("what is not built says so whatever the body is, and before any key of a repetition is taken", async (t) => {
  const target = await startSvixTarget();
  t.after(() => target.close());
  const path = "/app/any/inbound/msg/token";
  for (const body of ["plain text", "", '{"a": '.repeat(300)]) {
    const answer = await target.call("POST", path, body, { "idempotency-key": "same" });
    assert.deepEqual([answer.status, answer.body.code], [501, "not_implemented"], body.slice(0, 20));
  }
  assert.equal((await target.call("POST", path, "plain text", { authorization: undefined })).status, 401);
});
