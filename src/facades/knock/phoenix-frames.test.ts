import assert from "node:assert/strict";
import { test } from "node:test";
import { closeFrame, parsePhoenix, pushFrame, replyFrame } from "./phoenix-frames.ts";

test("a frame is a list of five, whose refs are texts or null", () => {
  assert.deepEqual(parsePhoenix('["7","9","feeds:f:u","phx_join",{"a":1}]'), {
    joinRef: "7",
    ref: "9",
    topic: "feeds:f:u",
    event: "phx_join",
    payload: { a: 1 },
  });
  assert.equal(parsePhoenix('[null,null,"phoenix","heartbeat",{}]')?.ref, null);
  assert.deepEqual(parsePhoenix('[null,"1","t","e",[1]]')?.payload, {});
});

test("anything else is no frame", () => {
  const garbage = [
    "",
    "nope",
    "{}",
    "[]",
    '["1","2","t","e"]',
    '["1","2","t","e",{},1]',
    '[1,"2","t","e",{}]',
    '["1","2",3,"e",{}]',
    '["1","2","t",null,{}]',
    JSON.stringify(["1".repeat(65), "2", "t", "e", {}]),
    JSON.stringify(["1", "2", "t".repeat(1_025), "e", {}]),
  ];
  for (const text of garbage) assert.equal(parsePhoenix(text), null, text);
});

test("answers repeat both refs, a close carries that of the join, a push carries none", () => {
  const asked = { joinRef: "7", ref: "9", topic: "t\u0000", event: "phx_join", payload: {} };
  const answer = ["7", "9", "t\u0000", "phx_reply", { status: "error", response: { reason: "no" } }];
  assert.deepEqual(JSON.parse(replyFrame(asked, "error", { reason: "no" })), answer);
  assert.deepEqual(JSON.parse(closeFrame("t", "7")), ["7", "7", "t", "phx_close", {}]);
  assert.deepEqual(JSON.parse(pushFrame("t", "new-message", { a: 1 })), [null, null, "t", "new-message", { a: 1 }]);
});
