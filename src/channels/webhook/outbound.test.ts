import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { type TestContext, test } from "node:test";
import { httpReceiver } from "../../../test/support/http-receiver.ts";
import type { Outcome } from "../../engine/model.ts";
import { nextStep } from "../../engine/retry.ts";
import { FakeClock } from "../../lib/clock.ts";
import type { JsonObject } from "../../lib/json.ts";
import { NetworkGuard } from "../network-guard.ts";
import { OutboundHttp } from "../outbound-http.ts";
import { outgoing } from "../outgoing.fixture.ts";
import { OUTBOUND_SCHEDULE, outboundWebhookKind } from "./outbound.ts";

const DAY_MS = 24 * 3_600_000;
const BODY = '{"type":"message:updated","data":{"title":"ü \\ud800 \\u0000"}}';

async function world(t: TestContext, allowNetworks: readonly string[] = ["127.0.0.0/8"]) {
  const hook = await httpReceiver();
  const clock = new FakeClock();
  const http = new OutboundHttp({ guard: new NetworkGuard({ allowNetworks }), clock });
  t.after(async () => {
    await http.close();
    await hook.close();
  });
  const kind = outboundWebhookKind({ http, clock });
  const send = async (settings: JsonObject = {}, raw: JsonObject | null = { body: BODY }): Promise<Outcome> => {
    const wanted = outgoing({
      channel: "webhook",
      provider: kind.provider,
      settings: { url: hook.url, secret: "s", ...settings },
      content: { raw },
    });
    return (await kind.open?.(wanted.provider)?.send(wanted)) as Outcome;
  };
  return { hook, clock, send };
}

test("the stored text is sent byte for byte, signed over the time and the text", async (t) => {
  const { hook, clock, send } = await world(t);
  assert.deepEqual(await send(), { kind: "sent", statusCode: 200 });
  const [got] = await hook.received(1);
  assert.equal(got?.text, BODY);
  const hex = createHmac("sha256", "s").update(`${clock.now()}.${BODY}`).digest("hex");
  assert.equal(got?.headers["courier-signature"], `t=${clock.now()},signature=${hex}`);
});

test("without a secret there is no signature", async (t) => {
  const { hook, send } = await world(t);
  await send({ secret: null });
  assert.equal((await hook.received(1))[0]?.headers["courier-signature"], undefined);
});

test("every answer but 2xx is worth another try", async (t) => {
  const { hook, send } = await world(t);
  for (const status of [301, 400, 401, 404, 410, 429, 500, 503]) {
    hook.answer({ status });
    const outcome = await send();
    assert.deepEqual([outcome.kind, outcome.statusCode], ["failed", status]);
  }
  hook.answer("drop");
  assert.equal((await send()).kind, "failed");
});

test("an address that must not be reached, and a delivery without a text, are not tried again", async (t) => {
  const { hook, send } = await world(t, []);
  assert.equal((await send()).kind, "rejected");
  assert.equal((await send({}, null)).kind, "rejected");
  assert.equal((await send({ url: 7 })).kind, "rejected");
  assert.equal(hook.connections, 0);
});

test("the schedule is 5, 10, 20, 40, 60, 120, 240, 480, 720 and 900 s, then 15 min, 296 tries within three days", () => {
  const limits = { startedAt: 0, timeoutMs: 3 * DAY_MS, deadlineAt: 3 * DAY_MS };
  const waits: number[] = [];
  let now = 0;
  let tries = 1;
  for (;;) {
    const step = nextStep({ kind: "failed", reason: "500" }, tries, OUTBOUND_SCHEDULE, limits, now, 0.9);
    if (step.kind !== "retry") {
      assert.deepEqual(step, { kind: "give-up", why: "attempts-over" });
      break;
    }
    waits.push((step.at - now) / 1000);
    now = step.at;
    tries++;
  }
  assert.equal(tries, 296);
  assert.deepEqual(waits.slice(0, 10), [5, 10, 20, 40, 60, 120, 240, 480, 720, 900]);
  assert.ok(waits.slice(10).every((wait) => wait === 900));
  assert.equal(now, 3 * DAY_MS - 105_000);
});
