import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { trackingLinks } from "../../../src/facades/courier/tracking.ts";
import { trackingId } from "../../../src/facades/courier/tracking-ids.ts";
import { type FakeTarget, startFakeTarget } from "./inbox-target.ts";

let target: FakeTarget;
before(async () => {
  target = await startFakeTarget();
});
after(() => target.stop());

function mail(links: readonly string[]) {
  return target.inbox.add({ userId: "u", channel: "email", links });
}

function visit(id: string, method = "GET"): Promise<Response> {
  return fetch(`${target.url}/e/${id}`, { method, redirect: "manual" });
}

function kindsOf(messageId: string): string[] {
  return target.inbox.history.filter((entry) => entry.messageId === messageId).map((entry) => entry.kind);
}

test("a link leads where its author said and counts as a click", async () => {
  const { id, messageId } = mail(["https://example.com/a?b=c#d", "mailto:a@example.com", "https://example.com/ü x"]);
  for (const [index, location] of [
    "https://example.com/a?b=c#d",
    "mailto:a@example.com",
    "https://example.com/%C3%BC%20x",
  ].entries()) {
    const answer = await visit(trackingId(target.environment, "link", id, index));
    assert.deepEqual([answer.status, answer.headers.get("location")], [302, location]);
    assert.equal(answer.headers.get("cache-control"), "no-store");
  }
  assert.deepEqual(kindsOf(messageId), ["clicked", "clicked", "clicked"]);
  assert.equal(
    (target.inbox.history.at(-1)?.detail as { href?: string } | undefined)?.href,
    "https://example.com/%C3%BC%20x",
  );
});

test("a link leads nowhere else: no script, no unknown place, nothing from the request", async () => {
  const { id, messageId } = mail(["javascript:alert(1)", "//evil.example", "data:text/html,x", "https://\r\nx: y"]);
  for (const index of [0, 1, 2, 3, 4, 65_535]) {
    const answer = await visit(`${trackingId(target.environment, "link", id, index)}?url=https://evil.example`);
    assert.equal(answer.status, 404);
    assert.equal(answer.headers.get("location"), null);
  }
  assert.deepEqual(kindsOf(messageId), []);
});

test("looking at a link without following it is no click", async () => {
  const { id, messageId } = mail(["https://example.com"]);
  const answer = await visit(trackingId(target.environment, "link", id, 0), "HEAD");
  assert.equal(answer.status, 302);
  assert.deepEqual(kindsOf(messageId), []);
});

test("the pixel is an image, kept by nobody, and counts as an open", async () => {
  const { id, messageId } = mail([]);
  const answer = await visit(trackingId(target.environment, "open", id));
  assert.deepEqual([answer.status, answer.headers.get("content-type")], [200, "image/gif"]);
  assert.equal(answer.headers.get("cache-control"), "no-store");
  assert.equal(answer.headers.get("access-control-allow-origin"), "*");
  assert.equal(Buffer.from(await answer.arrayBuffer()).toString("latin1", 0, 6), "GIF89a");
  assert.deepEqual(kindsOf(messageId), ["opened"]);
});

test("an unknown or forged id is answered like any other and has no effect", async () => {
  const { id } = mail(["https://example.com"]);
  const before = target.inbox.history.length;
  const good = trackingId(target.environment, "open", id);
  const stranger = { ...target.environment, signingSecret: "other" };
  for (const forged of [
    trackingId(stranger, "open", id),
    `${good.slice(0, -1)}!`,
    `B${good.slice(1)}`,
    "x",
    "%00",
    "a".repeat(5_000),
  ]) {
    assert.equal((await visit(forged)).status, 200, forged);
    const answer = await fetch(`${target.url}/e/${forged}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: '{"event":"OPENED"}',
    });
    assert.equal(answer.status, 200, forged);
  }
  assert.equal(target.inbox.history.length, before);
});

test("every word for every signal is understood, in any case and from a beacon", async () => {
  const { id, messageId } = mail([]);
  const address = `${target.url}/e/${trackingId(target.environment, "deliver", id)}`;
  for (const event of ["CLICKED", "click", "Delivered", "open", "READ", "unread", "Unsubscribe"]) {
    const answer = await fetch(address, { method: "POST", body: JSON.stringify({ event }) });
    assert.equal(answer.status, 200, event);
  }
  assert.deepEqual(kindsOf(messageId), ["clicked", "clicked", "delivered", "opened", "read", "unread"]);
  for (const body of ["", "{", "[]", '{"event":"toString"}', '{"event":{}}', '{"event":"__proto__"}']) {
    assert.equal((await fetch(address, { method: "POST", body })).status, 400, body);
  }
});

test("a reader gets to the target though the click cannot be recorded", async () => {
  const { id } = mail(["https://example.com/"]);
  const { inbox } = target.inbox.engine;
  const { track } = inbox;
  Object.assign(inbox, { track: () => Promise.reject(new Error("disk full")) });
  const answer = await visit(trackingId(target.environment, "link", id, 0));
  Object.assign(inbox, { track });
  assert.equal(answer.headers.get("location"), "https://example.com/");
});

test("addresses for a mail lead back here, but for targets that may not be followed", async () => {
  const { id } = mail(["https://example.com/1"]);
  const links = trackingLinks(target.url, (env) => (env === target.environment.id ? target.environment : undefined));
  const click = links.click(target.environment.id, id, 0, "https://example.com/1");
  assert.equal((await fetch(click, { redirect: "manual" })).headers.get("location"), "https://example.com/1");
  assert.equal((await fetch(links.open(target.environment.id, id))).headers.get("content-type"), "image/gif");
  assert.equal((await fetch(links.unsubscribe(target.environment.id, id))).status, 200);
  assert.equal(links.click(target.environment.id, id, 1, "tel:+15550100"), "tel:+15550100");
});
