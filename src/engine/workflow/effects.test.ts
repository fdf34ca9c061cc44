/** Runs that reach beyond their recipient: other workflows, properties, objects with subscribers, schedules. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { inApp, PUSH, startWorkflowEngines } from "../../../test/support/workflow-engine.ts";
import { TENANT } from "../templates.ts";
import { type PartyRef, type Step, USERS } from "./model.ts";

for (const world of await startWorkflowEngines()) {
  after(() => world.close());
  const { store, env, clock } = world;
  const person = (id: string): PartyRef => ({ collection: USERS, id });

  async function bodiesOf(userId: string): Promise<string[]> {
    return (await world.inbox(userId)).map(({ content }) => content.body).toSorted();
  }

  test(`${world.dialect}: a step triggers another workflow once, for whom it says`, async () => {
    await world.identify("parent");
    await world.identify("child");
    const settings = { workflow_key: "second", recipients: '["{{ recipient.id }}", {"id": "child", "plan": "pro"}]' };
    await world.put("first", [{ type: "trigger_workflow", ref: "go", settings }, inApp("feed", "first")]);
    await world.put("second", [inApp("feed", "second {{ data.n }} {{ recipient.plan }}")]);
    await world.trigger("first", { to: ["parent"], data: { n: 1 } });
    await world.pass();
    assert.deepEqual(await bodiesOf("parent"), ["first", "second 1 "]);
    assert.deepEqual(await bodiesOf("child"), ["second 1 pro"]);
  });

  test(`${world.dialect}: workflows that trigger one another come to an end`, async () => {
    await world.identify("loop");
    await world.put("loop", [
      inApp("feed", "round"),
      { type: "trigger_workflow", ref: "go", settings: { workflow_key: "loop" } },
    ]);
    await world.trigger("loop", { to: ["loop"] });
    await world.pass();
    assert.equal((await bodiesOf("loop")).length, 17);
  });

  test(`${world.dialect}: steps change data, the recipient and the tenant, and later steps see it`, async () => {
    await world.identify("changed", { name: "Old", deep: { kept: 1 } });
    const steps: Step[] = [
      { type: "update_data", ref: "data", settings: { data: { more: "{{ data.n }}", odd: ["{{ data.quote }}"] } } },
      {
        type: "update_user",
        ref: "user",
        settings: { update_properties: '{"name": "New {{ data.more }}", "deep": {"x": 2}}' },
      },
      { type: "update_tenant", ref: "tenant", settings: { update_properties: { plan: "pro", name: "Acme" } } },
      {
        type: "update_object",
        ref: "object",
        settings: { recipient_mode: "reference", recipient_gid: "gid://Object/things/t1", update_properties: { n: 1 } },
      },
      inApp("feed", "{{ recipient.name }} {{ recipient.deep }} {{ tenant.plan }} {{ tenant.name }}"),
    ];
    await world.put("change", steps);
    await world.trigger("change", { to: ["changed"], tenantId: "acme", data: { n: 7, quote: '"' } });
    await world.pass();
    assert.deepEqual(await bodiesOf("changed"), ['New 7 {"kept":1,"x":2} pro Acme']);
    const [thing] = await store.parties.facts(env, [{ collection: "things", id: "t1" }]);
    assert.deepEqual(thing?.properties, { n: 1 });
  });

  test(`${world.dialect}: an object's trigger goes to its subscribers two levels deep, to each once, and not to the actor`, async () => {
    const project = { collection: "projects", id: "p" };
    const team = { collection: "teams", id: "t" };
    const lost = { collection: "teams", id: "lost" };
    const ids = ["u1", "u2", "u3", "u4", "actor"];
    for (const id of ids) await world.identify(id);
    for (const party of [project, team, lost]) {
      await store.parties.write(env, [{ party, properties: { name: party.id }, documents: [] }], clock.now());
    }
    const subscribe = (object: PartyRef, recipients: readonly PartyRef[], properties = {}) =>
      store.parties.subscribe(
        env,
        recipients.map((recipient) => ({ object, recipient, properties })),
        clock.now(),
      );
    await subscribe(project, [team, lost, ...["u1", "u2", "actor"].map(person)], { role: "member" });
    await subscribe(team, [project, ...["u2", "u3", "u4"].map(person)]);
    await world.put("news", [inApp("feed", "news {{ recipient.subscription.role }} {{ data.own }}")]);
    const requestId = await world.trigger("news", {
      recipients: [
        { kind: "object", ...project },
        { kind: "user", userId: "u4", profile: {}, data: { own: "mine" } },
      ],
      actor: person("actor"),
    });
    await world.pass();
    const bodies = await Promise.all(ids.map(bodiesOf));
    assert.deepEqual(bodies, [["news member "], ["news member "], ["news  "], ["news  mine"], []]);
    const runs = await store.runs.list(env, { workflow: "news" }, clock.now(), { limit: 100 });
    assert.ok(runs.items.every((message) => message.requestId === requestId));
    assert.deepEqual(runs.items.map(({ recipient }) => recipient).toSorted(), [
      "projects/p",
      "teams/lost",
      "teams/t",
      "u1",
      "u2",
      "u3",
      "u4",
    ]);
  });

  test(`${world.dialect}: many subscribers are told page by page, each once`, async () => {
    const crowd = { collection: "projects", id: "crowd" };
    await store.parties.write(env, [{ party: crowd, properties: {}, documents: [] }], clock.now());
    const ids = Array.from({ length: 2_500 }, (_, i) => `crowd-${i}`);
    await store.parties.write(
      env,
      ids.map((id) => ({ party: person(id), properties: {}, documents: [] })),
      clock.now(),
    );
    await store.parties.subscribe(
      env,
      ids.map((id) => ({ object: crowd, recipient: person(id), properties: null })),
      clock.now(),
    );
    await world.put("crowd", [inApp("feed", "all")]);
    await world.trigger("crowd", { recipients: [{ kind: "object", ...crowd }] });
    await world.pass();
    for (const id of ["crowd-0", "crowd-999", "crowd-2499"]) assert.deepEqual(await bodiesOf(id), ["all"]);
    let after: string | null = null;
    let runs = 0;
    do {
      const page: Awaited<ReturnType<typeof store.runs.list>> = await store.runs.list(
        env,
        { workflow: "crowd" },
        clock.now(),
        {
          after,
          limit: 1000,
        },
      );
      runs += page.items.length;
      after = page.next;
    } while (after !== null);
    assert.equal(runs, ids.length + 1);
  });

  test(`${world.dialect}: a schedule fires at its times, with the workflow of the day, and an object's is for itself only`, async () => {
    await world.identify("sleeper", { timezone: "Europe/Berlin" });
    await world.put("digest", [inApp("feed", "old")]);
    const daily = { frequency: "daily", interval: 1, days: null, dayOfMonth: null, hours: 9, minutes: 0 } as const;
    const [schedule] = await world.engine.workflows.schedule(env, [
      {
        workflow: "digest",
        recipient: person("sleeper"),
        actor: null,
        tenantId: null,
        data: { n: 1 },
        repeats: [daily],
        scheduledAt: null,
        endingAt: null,
      },
    ]);
    const first = schedule?.nextAt ?? 0;
    assert.equal(new Date(first).toLocaleTimeString("de", { timeZone: "Europe/Berlin" }), "09:00:00");
    await world.put("digest", [inApp("feed", "digest {{ data.n }}")]);
    await world.pass(first - clock.now() - 1);
    assert.deepEqual(await bodiesOf("sleeper"), []);
    await world.pass(1);
    assert.deepEqual(await bodiesOf("sleeper"), ["digest 1"]);
    // Nobody looked for three days: what was missed is not made up for.
    await world.pass(3 * 24 * 3_600_000);
    assert.deepEqual(await bodiesOf("sleeper"), ["digest 1", "digest 1"]);
    const id = schedule?.id as `sch_${string}`;
    const [changed] = await world.engine.workflows.reschedule(env, [id], {
      repeats: [],
      scheduledAt: clock.now() + 1_000,
    });
    assert.equal(changed?.nextAt, clock.now() + 1_000);
    await world.pass(1_000);
    assert.equal((await bodiesOf("sleeper")).length, 3);
    assert.equal((await store.schedules.read(env, [id]))[0]?.nextAt, null);
    const ends = { scheduledAt: clock.now() + 2_000, endingAt: clock.now() };
    assert.equal((await world.engine.workflows.reschedule(env, [id], ends))[0]?.nextAt, null);
    await assert.rejects(world.engine.workflows.reschedule(env, [id], { scheduledAt: null }), { code: "invalid" });
  });

  test(`${world.dialect}: the schedule of an object is for itself and none of its subscribers`, async () => {
    const shop = { collection: "shops", id: "s" };
    await store.parties.write(env, [{ party: shop, properties: {}, documents: [] }], clock.now());
    await world.identify("customer");
    await store.parties.subscribe(
      env,
      [{ object: shop, recipient: person("customer"), properties: null }],
      clock.now(),
    );
    await world.put("opening", [inApp("feed", "open")]);
    const draft = { workflow: "opening", recipient: shop, actor: null, tenantId: null, data: null, endingAt: null };
    await world.engine.workflows.schedule(env, [{ ...draft, repeats: [], scheduledAt: clock.now() + 1_000 }]);
    await world.pass(1_000);
    const { items } = await store.runs.list(env, { workflow: "opening" }, clock.now(), { limit: 10 });
    assert.deepEqual(
      items.map(({ recipient, run }) => [recipient, run?.source.type]),
      [["shops/s", "schedule"]],
    );
  });

  test(`${world.dialect}: each device gets a push, in its own time, and sandboxes send none`, async () => {
    await store.parties.write(
      env,
      [
        {
          party: person("mobile"),
          properties: {},
          documents: [
            {
              kind: "channel",
              name: PUSH,
              body: { devices: [{ token: "a" }, { token: "b", timezone: "Asia/Tokyo" }] },
            },
          ],
        },
      ],
      clock.now(),
    );
    const days = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"] as const;
    const push: Step = {
      type: "channel",
      ref: "push",
      channel_key: "push",
      channel_type: "push",
      template: { title: "t", text_body: "hi" },
      send_windows: days.map((day) => ({ day, type: "send" as const, from: "09:00", until: "17:00" })),
    };
    await world.put("ping", [push, inApp("feed", "ping")]);
    // To noon in UTC, which is evening in Tokyo.
    const noon = 12 * 3_600_000;
    await world.pass((noon - (clock.now() % 86_400_000) + 86_400_000) % 86_400_000);
    world.sent.splice(0);
    await world.trigger("ping", { to: ["mobile"] });
    await world.pass();
    assert.deepEqual(
      world.sent.splice(0).map(({ delivery }) => delivery.address),
      [{ tokens: ["a"] }],
    );
    await world.pass(12 * 3_600_000);
    assert.deepEqual(
      world.sent.splice(0).map(({ delivery }) => [delivery.address, delivery.origin?.scheduled]),
      [[{ tokens: ["b"] }, true]],
    );
    await world.trigger("ping", { to: ["mobile"], sandbox: true });
    await world.pass(24 * 3_600_000);
    assert.deepEqual(world.sent, []);
    assert.equal((await bodiesOf("mobile")).length, 2);
  });

  test(`${world.dialect}: preferences of the recipient, its tenant and its categories keep a message back`, async () => {
    const set = (party: string, name: string, body: object) =>
      store.parties.write(
        env,
        [{ party: person(party), properties: {}, documents: [{ kind: "preferences", name, body: { ...body } }] }],
        clock.now(),
      );
    await set("picky", "default", { workflows: { ads: false } });
    await set("member", "default", { categories: { promo: true } });
    await world.engine.documents.write(
      env,
      [
        {
          kind: TENANT,
          id: "quiet",
          body: {
            name: "Quiet",
            parentId: null,
            brandId: null,
            properties: {},
            userProfile: {},
            extra: { settings: { preference_set: { categories: { promo: false } } } },
          },
          expect: "any",
        },
      ],
      clock.now(),
    );
    await world.put("ads", [inApp("feed", "ad")], { categories: ["promo"] });
    await world.trigger("ads", { to: ["picky", "member"] });
    await world.trigger("ads", { to: ["member"], tenantId: "quiet" });
    assert.deepEqual(await bodiesOf("picky"), []);
    assert.deepEqual(await bodiesOf("member"), ["ad"]);
    const preferences = await world.engine.workflows.preferences(env, person("member"), "quiet");
    assert.deepEqual(preferences.categories, { promo: false });
    await set("member", "quiet", { categories: { promo: true } });
    await world.trigger("ads", { to: ["member"], tenantId: "quiet" });
    assert.deepEqual(await bodiesOf("member"), ["ad", "ad"]);
  });

  test(`${world.dialect}: once for each recipient means once, also of two triggers of one turn`, async () => {
    await world.identify("once");
    await world.put("welcome", [inApp("feed", "welcome")], { trigger_frequency: "once_per_recipient_per_tenant" });
    await Promise.all([1, 2].map(() => world.trigger("welcome", { to: ["once"] })));
    await world.trigger("welcome", { to: ["once"] });
    await world.trigger("welcome", { to: ["once"], tenantId: "acme" });
    await world.pass();
    assert.deepEqual(await bodiesOf("once"), ["welcome", "welcome"]);
    const { items } = await store.runs.list(env, { workflow: "welcome" }, clock.now(), { limit: 10 });
    const ends = items.map(({ run, state }) => `${state}, ${run?.status}: ${run?.log.at(-1)?.data?.reason ?? "sent"}`);
    assert.deepEqual(ends.sort(), [
      "delivered, completed: sent",
      "delivered, completed: sent",
      "filtered, completed: trigger_frequency",
      "filtered, completed: trigger_frequency",
    ]);
  });

  test(`${world.dialect}: a trigger that is not accepted takes nobody's only run away`, async () => {
    await world.identify("lone");
    await world.put("hello", [inApp("feed", "hello")], { trigger_frequency: "once_per_recipient" });
    const trigger = (n: number) => world.trigger("hello", { to: [n === 0 ? "zoe" : "lone"] }, n < 2 ? "k" : null);
    await trigger(0);
    // The second repeats a key, and is answered as the first was.
    await Promise.all([trigger(1), trigger(2)]);
    await world.pass();
    assert.deepEqual(await bodiesOf("lone"), ["hello"]);
  });

  test(`${world.dialect}: a preview reads as a run would`, async () => {
    const rendered = await world.engine.workflows.preview(
      env,
      "in_app_feed",
      { markdown_body: "{{ recipient.name }} {{ data.n }} {{ workflow.key }}" },
      {
        recipient: person("changed"),
        actor: null,
        tenantId: null,
        data: { n: 5 },
        workflow: { key: "w", categories: [] },
      },
    );
    assert.equal(rendered.body, "New 7 5 w");
  });
}
