import assert from "node:assert/strict";
import { test } from "node:test";
import type { Environment } from "../../engine/model.ts";
import { newId } from "../../lib/ids.ts";
import { MAX_TRACKING_INDEX, parseTrackingId, trackingId } from "./tracking-ids.ts";

const environment = { id: newId("env", Date.now()), signingSecret: "secret" } as Environment;
const find = (id: string) => (id === environment.id ? environment : undefined);
const deliveryId = newId("dlv", Date.now());

test("an id says what it was made of", () => {
  for (const [kind, index] of [
    ["archive", 0],
    ["link", 0],
    ["action", 7],
    ["link", MAX_TRACKING_INDEX],
  ] as const) {
    const id = trackingId(environment, kind, deliveryId, index);
    assert.match(id, /^[\w-]{64}$/);
    assert.deepEqual(parseTrackingId(id, find), { environment, kind, deliveryId, index });
  }
});

test("the same thing has the same id, another one another", () => {
  const id = trackingId(environment, "read", deliveryId);
  assert.equal(trackingId(environment, "read", deliveryId), id);
  assert.notEqual(trackingId(environment, "unread", deliveryId), id);
  assert.notEqual(trackingId(environment, "read", newId("dlv", Date.now())), id);
  assert.notEqual(trackingId({ ...environment, signingSecret: "other" }, "read", deliveryId), id);
});

test("no bit of an id may be changed", () => {
  const bytes = Buffer.from(trackingId(environment, "open", deliveryId), "base64url");
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const forged = Buffer.from(bytes);
    forged[bit >> 3] = (forged[bit >> 3] as number) ^ (1 << (bit & 7));
    assert.equal(parseTrackingId(forged.toString("base64url"), find), null, `bit ${bit}`);
  }
  assert.equal(parseTrackingId("", find), null);
  assert.equal(parseTrackingId(`${bytes.toString("base64url")}A`, find), null);
});
