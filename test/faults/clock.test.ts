/** The clock of the machine jumps: set by hand, by a time server, or the machine was asleep. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { pino } from "pino";
import { startApp } from "../../src/app.ts";
import { readConfig } from "../../src/config.ts";
import { FakeClock } from "../../src/lib/clock.ts";
import { call, SECRET_KEY } from "../support/child.ts";
import { httpReceiver } from "../support/http-receiver.ts";

test("a try under way when the clock jumps past its lease is not made a second time", async (t) => {
  const receiver = await httpReceiver();
  t.after(() => receiver.close());
  const answers: (() => void)[] = [];
  receiver.answer((_request, response) => answers.push(() => response.writeHead(200).end()));
  const clock = new FakeClock();
  const config = readConfig({
    PORT: "0",
    CARILLON_DATA_DIR: ":memory:",
    CARILLON_SECRET_KEY: SECRET_KEY,
    CARILLON_ALLOW_NETWORKS: "127.0.0.0/8",
    CARILLON_LEASE_MS: "1000",
    // Looked before the lease is renewed.
    CARILLON_POLL_MS: "50",
  });
  const app = await startApp(config, { clock, log: pino({ level: "silent" }) });
  t.after(() => app.close());
  const send = (path: string) =>
    call(app.url, "POST", "/send", {
      message: {
        to: { webhook: { url: `${receiver.url}${path}` } },
        content: { title: "t", body: "b" },
        routing: { method: "single", channels: ["webhook"] },
      },
    });
  // Longer than a lease, shorter than the time a try may take.
  const { body } = await send("/slow");
  await receiver.received(1);
  clock.advance(2_000);
  // A later send is tried after another look at everything that is due.
  await send("/later");
  await receiver.received(2);
  const finished = app.engine.dispatcher.idle();
  for (const answer of answers) answer();
  await finished;
  assert.deepEqual(
    receiver.requests.map(({ url }) => url),
    ["/slow", "/later"],
  );
  const { status } = (await call(app.url, "GET", `/messages/${body.requestId}`)).body;
  assert.equal(status, "SENT", "and what came of it is recorded");
});
