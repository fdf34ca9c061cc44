import assert from "node:assert/strict";
import { test } from "node:test";
import type { Outcome, Provider } from "../engine/model.ts";
import type { ProviderKind } from "../engine/ports.ts";
import { Refusal } from "../engine/refusal.ts";
import { outgoing } from "./outgoing.fixture.ts";
import { Senders } from "./senders.ts";

interface World {
  readonly senders: Senders;
  readonly opened: Provider[];
  readonly closed: Provider[];
  readonly errors: unknown[];
}

function world(
  more: { limit?: number; send?: (provider: Provider) => Promise<Outcome>; open?: (provider: Provider) => void } = {},
): World {
  const opened: Provider[] = [];
  const closed: Provider[] = [];
  const errors: unknown[] = [];
  const kind: ProviderKind = {
    provider: "capture-email",
    channel: "email",
    name: "",
    description: "",
    settings: {},
    address: () => null,
    open(provider) {
      more.open?.(provider);
      opened.push(provider);
      return {
        send: () => (more.send ?? (async () => ({ kind: "sent" }) as const))(provider),
        close: async () => void closed.push(provider),
      };
    },
  };
  const kinds = new Map([
    [kind.provider, kind],
    ["courier", { ...kind, provider: "courier", open: null }],
  ]);
  const log = { error: (fields: unknown) => void errors.push(fields) } as ConstructorParameters<
    typeof Senders
  >[0]["log"];
  const limit = more.limit === undefined ? {} : { limit: more.limit };
  return { senders: new Senders({ kinds, log, ...limit }), opened, closed, errors };
}

test("a provider is opened once, however often it sends", async () => {
  const { senders, opened } = world();
  for (let i = 0; i < 3; i++) assert.deepEqual(await senders.send(outgoing()), { kind: "sent" });
  assert.equal(opened.length, 1);
});

test("changed settings open a new sender and close the old one", async () => {
  const { senders, opened, closed } = world();
  await senders.send(outgoing({ settings: { from: "a@x.io" } }));
  await senders.send(outgoing({ settings: { from: "b@x.io" }, updatedAt: 5 }));
  // Within the same millisecond.
  await senders.send(outgoing({ settings: { from: "c@x.io" }, updatedAt: 5 }));
  assert.deepEqual(
    [opened.map((p) => p.settings.from), closed.map((p) => p.settings.from)],
    [
      ["a@x.io", "b@x.io", "c@x.io"],
      ["a@x.io", "b@x.io"],
    ],
  );
});

test("a replaced sender finishes what it has begun before it is closed", async () => {
  const first = Promise.withResolvers<Outcome>();
  const { senders, closed } = world({
    send: (provider) => (provider.updatedAt === 1 ? first.promise : Promise.resolve({ kind: "sent" })),
  });
  const slow = senders.send(outgoing({ updatedAt: 1 }));
  await senders.send(outgoing({ updatedAt: 2 }));
  assert.equal(closed.length, 0);
  first.resolve({ kind: "failed", reason: "slow" });
  assert.deepEqual(await slow, { kind: "failed", reason: "slow" });
  assert.deepEqual(
    closed.map((p) => p.updatedAt),
    [1],
  );
});

test("beyond the limit the one unused for longest is closed", async () => {
  const { senders, closed } = world({ limit: 2 });
  for (const id of ["prv_1", "prv_2", "prv_1", "prv_3"] as const) await senders.send(outgoing({ providerId: id }));
  assert.deepEqual(
    closed.map((p) => p.id),
    ["prv_2"],
  );
});

test("a sender that breaks is logged, and the delivery is tried again", async () => {
  const { senders, errors } = world({ send: () => Promise.reject(new TypeError("a bug")) });
  assert.deepEqual(await senders.send(outgoing()), { kind: "failed", reason: "internal error" });
  assert.equal(errors.length, 1);
});

test("settings that cannot be used reject the delivery", async () => {
  const { senders, errors } = world({
    open: () => {
      throw new Refusal("invalid", "no host");
    },
  });
  assert.deepEqual(await senders.send(outgoing()), { kind: "rejected", reason: "no host" });
  assert.equal(errors.length, 0);
});

test("a kind that is unknown or has no sender rejects the delivery", async () => {
  const { senders } = world();
  for (const provider of ["gone", "courier"]) {
    assert.equal((await senders.send(outgoing({ provider }))).kind, "rejected");
  }
});

test("closing closes every sender once, also those in the middle of a try", async () => {
  const never = Promise.withResolvers<Outcome>();
  const { senders, closed } = world({ send: () => never.promise });
  const under = senders.send(outgoing());
  await senders.close();
  assert.equal(closed.length, 1);
  never.resolve({ kind: "sent" });
  await under;
  assert.equal(closed.length, 1);
});
