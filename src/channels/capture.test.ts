import assert from "node:assert/strict";
import { test } from "node:test";
import type { Captured, Outcome } from "../engine/model.ts";
import type { CaptureStore } from "../engine/ports.ts";
import { Refusal } from "../engine/refusal.ts";
import { FakeClock } from "../lib/clock.ts";
import type { JsonObject } from "../lib/json.ts";
import { type CapturedChannel, openCapture } from "./capture.ts";
import { outgoing, type Wanted } from "./outgoing.fixture.ts";

/** A store that only takes. */
function memory(): CaptureStore & { readonly rows: Captured[] } {
  const rows: Captured[] = [];
  return {
    rows,
    add: async (captured) => void rows.push(...captured),
    list: async () => ({ items: rows, next: null }),
    clear: async () => void rows.splice(0),
  };
}

async function capture(channel: CapturedChannel, wanted: Wanted): Promise<{ outcome: Outcome; rows: Captured[] }> {
  const store = memory();
  const request = outgoing({ channel, provider: `capture-${channel}`, ...wanted });
  const sender = openCapture(channel, request.provider, { captured: store, clock: new FakeClock() });
  return { outcome: await sender.send(request), rows: store.rows };
}

async function payload(channel: CapturedChannel, wanted: Wanted): Promise<JsonObject | undefined> {
  return (await capture(channel, wanted)).rows[0]?.payload;
}

test("what is kept names the delivery, and the outcome names what is kept", async () => {
  const { outcome, rows } = await capture("email", {});
  assert.equal(rows.length, 1);
  const [row] = rows;
  assert.deepEqual(
    [row?.deliveryId, row?.messageId, row?.environmentId, row?.channel, row?.provider, row?.address],
    ["dlv_01", "msg_1", "env_1", "email", "capture-email", { email: "ann@example.com" }],
  );
  assert.deepEqual(outcome, { kind: "sent", reference: { captured: row?.id } });
});

test("an email is kept as it would be mailed", async () => {
  assert.deepEqual(await payload("email", {}), {
    to: "ann@example.com",
    subject: "Hello",
    html: "<p>Hi <b>there</b></p>",
    text: "Hi there",
  });
  assert.deepEqual(
    await payload("email", {
      settings: { from: "ours@example.com" },
      override: { subject: "S", html: "<i>", text: "T", reply_to: "r@x.io", cc: ["c@x.io"], bcc: "b@x.io" },
    }),
    {
      to: "ann@example.com",
      subject: "S",
      html: "<i>",
      text: "T",
      from: "ours@example.com",
      cc: ["c@x.io"],
      bcc: "b@x.io",
      reply_to: "r@x.io",
    },
  );
  assert.equal(
    (await payload("email", { override: { from: "x@x.io" }, settings: { from: "y@x.io" } }))?.from,
    "x@x.io",
  );
});

test("the author's raw body wins over what was rendered, the override over both", async () => {
  const content = { raw: { subject: "raw", html: "<raw>" } };
  const got = await payload("email", { content, override: { subject: "over" } });
  assert.deepEqual([got?.subject, got?.html, got?.text], ["over", "<raw>", "Hi there"]);
});

test("an sms has its number and its body, without title", async () => {
  const address = { phone: "+15550100" };
  assert.deepEqual(await payload("sms", { address }), { to: "+15550100", body: "Hi there" });
  assert.deepEqual(await payload("sms", { address, override: { body: "Over" } }), { to: "+15550100", body: "Over" });
});

test("a push to several devices is one row with all tokens", async () => {
  const { rows } = await capture("push", {
    address: { tokens: ["t1", "t2"] },
    data: { n: 1 },
    content: { imageUrl: "https://x/i.png", clickUrl: "https://x/" },
  });
  assert.deepEqual(
    rows.map((row) => row.payload),
    [
      {
        tokens: ["t1", "t2"],
        title: "Hello",
        body: "Hi there",
        data: { n: 1 },
        icon: null,
        clickAction: "https://x/",
        imageUrl: "https://x/i.png",
      },
    ],
  );
  assert.deepEqual(
    await payload("push", {
      address: { tokens: ["t"] },
      data: { n: 1 },
      override: { title: "T", body: "B", icon: "i", clickAction: "c", data: { m: 2 } },
    }),
    { tokens: ["t"], title: "T", body: "B", data: { n: 1, m: 2 }, icon: "i", clickAction: "c", imageUrl: null },
  );
});

test("a chat message has its target, blocks and text", async () => {
  const address = { slack: { channel: "#c", access_token: "t" } };
  assert.deepEqual(await payload("chat", { address }), {
    target: address,
    blocks: [{ type: "text", text: "Hi there" }],
    text: "Hi there",
  });
  const blocks = [{ type: "section" }];
  assert.deepEqual((await payload("chat", { address, override: { body: { blocks } } }))?.blocks, blocks);
});

for (const [channel, override] of [
  ["email", { subject: {} }],
  ["email", { html: [] }],
  ["sms", { body: [] }],
  ["push", { data: "x" }],
  ["push", { title: {} }],
] as const) {
  test(`the ${channel} override ${JSON.stringify(override)} is rejected and nothing is kept`, async () => {
    const { outcome, rows } = await capture(channel, { override });
    assert.equal(outcome.kind, "rejected");
    assert.deepEqual(rows, []);
  });
}

test("a store that cannot be reached is worth another try", async () => {
  const captured: CaptureStore = { ...memory(), add: () => Promise.reject(new Refusal("unavailable", "no database")) };
  const sender = openCapture("email", outgoing().provider, { captured, clock: new FakeClock() });
  assert.equal((await sender.send(outgoing())).kind, "failed");
});
