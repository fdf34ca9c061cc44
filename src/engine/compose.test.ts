import assert from "node:assert/strict";
import { after, test } from "node:test";
import { SECRET_KEY, startServer } from "../../test/support/server.ts";

const server = await startServer();
after(() => server.close());

/** Sends to an address of its own, and gives what was kept in place of sending it. */
async function mailOf(email: string, more: object): Promise<{ readonly html: string }> {
  return await capturedOf("email", { to: { email }, content: { title: "T", body: "[l](https://x.io)" }, ...more });
}

async function capturedOf(
  channel: string,
  message: { readonly to: object; readonly [field: string]: object },
): Promise<{ readonly html: string; readonly [field: string]: unknown }> {
  const headers = { authorization: `Bearer ${SECRET_KEY}` };
  await server.sdk.send.message({ message } as Parameters<typeof server.sdk.send.message>[0]);
  for (;;) {
    const answer = await fetch(`${server.url}/admin/captured?channel=${channel}`, { headers });
    const { items } = (await answer.json()) as {
      items: { payload: { to: string; html: string } }[];
    };
    const found = items.find(({ payload }) => Object.values(message.to).includes(payload.to));
    if (found !== undefined) return found.payload;
  }
}

const PIXEL = /<img [^>]*width="1"/;

test("an override says whether opens are tracked, and leaves links alone", async () => {
  const open = (value: boolean) => ({ override: { tracking: { open: value } } });
  assert.match((await mailOf("a@x.io", {})).html, PIXEL);
  const without = await mailOf("b@x.io", { channels: { email: open(false) } });
  assert.doesNotMatch(without.html, PIXEL);
  assert.match(without.html, /href="[^"]*\/e\//);
  const nearer = { channels: { email: open(false) }, providers: { "capture-email": open(true) } };
  assert.match((await mailOf("c@x.io", nearer)).html, PIXEL);
});

test("a provider's body is merged into the request, and does not push out the text that the channel's override gives", async () => {
  const payload = await capturedOf("sms", {
    to: { phone_number: "+15550001" },
    content: { title: "T", body: "B" },
    data: { n: "N" },
    channels: { sms: { override: { body: "for {n}" } } },
    providers: { "capture-sms": { override: { body: { service: "{n}" } } } },
  });
  assert.deepEqual(payload, { to: "+15550001", body: "for N", service: "N" });
});
