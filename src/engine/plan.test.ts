import assert from "node:assert/strict";
import { test } from "node:test";
import { FakeClock } from "../lib/clock.ts";
import { newId } from "../lib/ids.ts";
import type { Provider, Request } from "./model.ts";
import { type PlanningDeps, planMessage, planUnattended, type RequestContext } from "./plan.ts";
import type { ContentLanguage, ProviderKind } from "./ports.ts";
import { Refusal } from "./refusal.ts";
import { targetOfUser } from "./target.ts";

const clock = new FakeClock();

/** A request to one inbox whose content does what the test wants when it is rendered. */
function sending(render: () => never): { context: RequestContext; deps: PlanningDeps; reported: unknown[] } {
  const now = clock.now();
  const recipients = [{ kind: "user" as const, userId: "u1", profile: {} }];
  const request: Request = {
    id: newId("req", now),
    environmentId: "env_00000000000000000000000000",
    state: "expanding",
    spec: {
      recipients,
      content: { kind: "inline", language: "test", source: {} },
      data: {},
      mode: "published",
      via: "test",
      routing: { method: "single", channels: ["inbox"] },
    },
    cursor: null,
    archivedAt: null,
    createdAt: now,
  };
  const kind = { provider: "courier", channel: "inbox", address: () => ({}), open: null } as unknown as ProviderKind;
  const provider = { id: newId("prv", now), provider: "courier", channel: "inbox", settings: {}, standIn: false };
  const reported: unknown[] = [];
  const context = {
    request,
    providers: [provider as unknown as Provider],
    content: { kind: "inline" as const, compiled: { render } },
    language: {} as ContentLanguage,
  };
  const deps = {
    clock,
    kinds: new Map([["courier", kind]]),
    languages: new Map(),
    tracking: null,
    publicMessageId: () => "",
    report: (error: unknown) => reported.push(error),
    readMembershipProfile: async () => null,
  } as unknown as PlanningDeps;
  return { context, deps, reported };
}

function targetIn({ request }: RequestContext) {
  return targetOfUser(0, request.spec.recipients[0] as never, request);
}

const mistake = () => {
  throw new Error("our own mistake");
};

test("a mistake of ours is told to the caller as long as there is one", async () => {
  const { context, deps } = sending(mistake);
  const id = newId("msg", clock.now());
  await assert.rejects(planMessage(context, targetIn(context), null, id, null, deps), /our own mistake/);
});

// It rejected the whole page, and the request was claimed and rejected again for ever.
test("without a caller, a mistake of ours ends the one message and is reported", async () => {
  const { context, deps, reported } = sending(mistake);
  const id = newId("msg", clock.now());
  const { message, deliveries } = await planUnattended(context, targetIn(context), null, id, null, deps);
  assert.deepEqual([message.id, message.state, message.reason, deliveries], [id, "undeliverable", "failed", []]);
  assert.equal(reported.length, 1);
});

test("a database that is away ends nothing", async () => {
  const { context, deps, reported } = sending(() => {
    throw new Refusal("unavailable", "away");
  });
  const id = newId("msg", clock.now());
  await assert.rejects(planUnattended(context, targetIn(context), null, id, null, deps), Refusal);
  assert.deepEqual(reported, []);
});
