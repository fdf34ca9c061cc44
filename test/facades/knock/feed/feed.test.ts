import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { test } from "node:test";
import { forEachKnock, type KnockTarget } from "../knock-target.ts";
import {
  allIds,
  countsOf,
  feedOf,
  inAppStep,
  newUser,
  pushInApp,
  pushWorkflow,
  trigger,
  triggerEach,
} from "./feed-world.ts";

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const KSUID = /^[0-9A-Za-z]{27}$/;
const json = (value: object): string => encodeURIComponent(JSON.stringify(value));

forEachKnock((name, open) => {
  const ready = new WeakSet<KnockTarget>();
  const world = async (): Promise<KnockTarget> => {
    const target = await open();
    if (!ready.has(target)) {
      ready.add(target);
      await pushInApp(target, "wf", { categories: ["collab", "x"] });
      await pushInApp(target, "other");
    }
    return target;
  };

  test(`${name}: what a trigger sends is in the feed, in every field a client reads`, async () => {
    const target = await world();
    await pushWorkflow(target, "full", {
      categories: ["collab"],
      steps: [
        inAppStep({
          markdown_body: "Hi **{{ actor.name }}**",
          action_url: "{{ data.url }}",
          action_buttons: [{ label: "Open", action: "{{ data.url }}" }],
        }),
      ],
    });
    const user = `u-${randomUUID()}`;
    const run = await target.knock.workflows.trigger("full", {
      recipients: [{ id: user, name: "N" }],
      actor: { id: "ann", name: "Ann" },
      tenant: "acme",
      data: { x: 1, url: "https://app.example/x", nested: { a: [1] } },
    });
    assert.match(run.workflow_run_id, UUID);
    const { status, body } = await feedOf(target, user);
    assert.equal(status, 200);
    assert.deepEqual(body.meta, { __typename: "FeedMetadata", total_count: 1, unread_count: 1, unseen_count: 1 });
    assert.deepEqual(body.page_info, { __typename: "PageInfo", after: null, before: null, page_size: 50 });
    assert.equal(typeof body.vars, "object");
    const [item] = body.entries;
    assert.match(item.id, KSUID);
    assert.equal(item.__typename, "FeedItem");
    assert.deepEqual(
      item.blocks.map((block: { name: string; type: string }) => [block.name, block.type]),
      [
        ["body", "markdown"],
        ["action_url", "text"],
        ["actions", "button_set"],
      ],
    );
    assert.equal(item.blocks[0].content, "Hi **{{ actor.name }}**");
    assert.equal(item.blocks[0].rendered.trim(), "<p>Hi <strong>Ann</strong></p>");
    assert.equal(item.blocks[1].rendered, "https://app.example/x");
    assert.deepEqual(item.blocks[2].buttons, [{ name: "primary", label: "Open", action: "https://app.example/x" }]);
    assert.deepEqual(
      [item.actors.length, item.actors[0].id, item.actors[0].name, item.total_actors],
      [1, "ann", "Ann", 1],
    );
    assert.deepEqual(item.data, { x: 1, url: "https://app.example/x", nested: { a: [1] } });
    assert.equal(item.total_activities, 1);
    assert.equal(item.activities[0].actor.id, "ann");
    assert.equal(item.activities[0].recipient.id, user);
    assert.deepEqual(item.activities[0].data, item.data);
    assert.equal(item.tenant, "acme");
    assert.deepEqual(
      [item.source.__typename, item.source.key, item.source.categories],
      ["Workflow", "full", ["collab"]],
    );
    assert.match(item.source.version_id, UUID);
    for (const at of ["seen_at", "read_at", "interacted_at", "clicked_at", "link_clicked_at", "archived_at"]) {
      assert.equal(item[at], null, at);
    }
    assert.match(item.inserted_at, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    assert.equal((await target.knock.users.get(user)).name, "N");
    // The vendor's server SDK reads the same.
    const page = await target.knock.users.feeds.listItems(user, target.feedId);
    assert.equal(page.entries[0]?.id, item.id);
  });

  test(`${name}: compact leaves out what a list does not show`, async () => {
    const target = await world();
    const user = await newUser(target);
    await trigger(target, "wf", [user], { data: { x: 1, list: [1], map: {}, none: null }, actor: user });
    const [compact] = (await feedOf(target, user, "mode=compact")).body.entries;
    const [rich] = (await feedOf(target, user)).body.entries;
    assert.deepEqual(compact.data, { x: 1, none: null });
    assert.deepEqual(
      Object.keys(rich).filter((key) => !(key in compact)),
      ["activities", "total_activities"],
    );
    assert.equal(compact.actors.length, 1);
    const short = (await feedOf(target, user, "exclude=entries.archived_at,entries.source.version_id,vars,nope.x"))
      .body;
    assert.deepEqual(
      Object.keys(rich).filter((key) => !(key in short.entries[0])),
      ["archived_at"],
    );
    assert.deepEqual(Object.keys(short.entries[0].source), ["__typename", "key", "categories"]);
    assert.equal("vars" in short, false);
  });

  test(`${name}: nobody ever heard of has an empty feed; a channel that is none has no feed`, async () => {
    const target = await world();
    const { status, body } = await feedOf(target, "nobody");
    assert.deepEqual([status, body.entries, body.meta.total_count], [200, [], 0]);
    const unknown = await feedOf(target, "nobody", "", randomUUID());
    assert.deepEqual([unknown.status, unknown.body.code], [422, "channel_invalid"]);
    const settings = await target.asClient()("GET", `/users/nobody/feeds/${target.feedId}/settings`);
    assert.deepEqual(settings.body, { features: { branding_required: false } });
    assert.equal((await feedOf(target, "nobody", "", target.feedId.toUpperCase())).status, 200);
  });

  test(`${name}: what came through another facade is shown with what there is of it`, async () => {
    const target = await world();
    const user = `u-${randomUUID()}`;
    const sent = await target.call("POST", `${target.url}/send`, {
      message: {
        to: { user_id: user },
        content: {
          version: "2022-01-01",
          elements: [
            { type: "meta", title: "Your parcel" },
            { type: "text", content: "Fish & chips." },
            { type: "action", content: "Fetch it", href: "https://parcels.example/1" },
          ],
        },
        data: { parcel: 7 },
        metadata: { tags: ["parcels"] },
      },
    });
    assert.equal(sent.status, 202, sent.text);
    const [item] = (await feedOf(target, user)).body.entries;
    assert.equal(item.blocks[0].name, "body");
    assert.match(item.blocks[0].rendered, /^<p><strong>Your parcel<\/strong><\/p>/);
    assert.match(item.blocks[0].rendered, /Fish &amp; chips\./);
    assert.deepEqual([item.actors, item.total_actors, item.activities.length], [[], 0, 1]);
    assert.equal(item.source.key, "courier");
    assert.match(item.source.version_id, UUID);
    assert.deepEqual(item.source.categories, ["parcels"]);
    // It is a message like any other, and one state is shared.
    const read = await target.asClient()("PUT", `/messages/${item.id}/read`);
    assert.notEqual(read.body.read_at, null);
    assert.deepEqual(await countsOf(target, user), [1, 0, 1]);
    assert.deepEqual(await countsOf(target, user, "workflow_categories[]=parcels"), [1, 0, 1]);
    // Courier tells of what was done here in its own words, and of what it has no word for not at all.
    for (const mark of ["seen", "interacted"]) await target.asClient()("PUT", `/messages/${item.id}/${mark}`);
    await target.asClient()("DELETE", `/messages/${item.id}/seen`);
    const history = await target.call("GET", `${target.url}/messages/${sent.body.requestId}/history`);
    const types = history.body.results.map(({ type }: { type: string }) => type).slice(-3);
    assert.deepEqual(types, ["READ", "OPENED", "CLICKED"]);
    const events = (await target.call("GET", `/messages/${item.id}/events`)).body.items;
    assert.deepEqual(
      events.map(({ type }: { type: string }) => type),
      ["unseen", "interacted", "seen", "read", "delivered", "created"].map((type) => `message.${type}`),
    );
  });

  test(`${name}: items without a tenant belong to every tenant's feed unless it says otherwise`, async () => {
    const target = await world();
    const user = await newUser(target);
    const [none, acme, zeta] = await triggerEach(target, "wf", user, [{}, { tenant: "acme" }, { tenant: "zeta" }]);
    const ids = async (query: string) =>
      (await feedOf(target, user, query)).body.entries.map((e: { id: string }) => e.id);
    assert.deepEqual(await ids(""), [zeta, acme, none]);
    assert.deepEqual(await ids("tenant=acme"), [acme, none]);
    assert.deepEqual(await ids("tenant=acme&has_tenant=true"), [acme]);
    assert.deepEqual(await ids("tenant=acme&has_tenant=false"), [acme, none]);
    assert.deepEqual(await ids("has_tenant=false"), [none]);
    assert.deepEqual(await ids("has_tenant=true"), [zeta, acme]);
    assert.deepEqual(await countsOf(target, user, "tenant=acme"), [2, 2, 2]);
  });

  test(`${name}: data, workflow, categories and time narrow the list and the counts`, async () => {
    const target = await world();
    const user = await newUser(target);
    const [a, b] = await triggerEach(target, "wf", user, [
      { data: { pageId: "A", n: 1 } },
      { data: { pageId: "B", n: "1", nested: { pageId: "A" }, nul: "x\u0000y" } },
    ]);
    const [c] = await triggerEach(target, "other", user, [{ data: { pageId: "A" } }]);
    const is = async (query: string, ...expected: unknown[]): Promise<void> => {
      const { body } = await feedOf(target, user, query);
      assert.deepEqual(
        body.entries.map((e: { id: string }) => e.id),
        expected,
        query,
      );
      assert.equal(body.meta.total_count, expected.length, query);
    };
    await is(`trigger_data=${json({ pageId: "A" })}`, c, a);
    await is(`trigger_data=${json({ pageId: "A", n: 1 })}`, a);
    await is(`trigger_data=${json({ n: "1" })}`, b);
    await is("source=wf", b, a);
    await is("source=nope");
    await is("workflow_categories[]=collab&workflow_categories[]=zzz", b, a);
    await is("workflow_categories[]=COLLAB");
    const at = (await feedOf(target, user, "source=other")).body.entries[0].inserted_at;
    await is(`inserted_at.gte=${at}`, c);
    await is(`inserted_at.gt=${at}`);
    await is(`inserted_at.lt=${at}`, b, a);
    await is(`inserted_at.lte=${at}`, c, b, a);
    await is("source=&trigger_data=&status=&archived=&has_tenant=&tenant=", c, b, a);
  });

  test(`${name}: a bad option is refused by name, and nothing else happens`, async () => {
    const target = await world();
    const bad = {
      status: "status=sideways",
      archived: "archived=maybe",
      trigger_data: `trigger_data=${json({ a: { b: 1 } })}`,
      "inserted_at.gt": "inserted_at.gt=yesterday",
      page_size: "page_size=many",
      after: "after=nope",
      before: `before=${Buffer.from("f:nope").toString("base64url")}`,
      mode: "mode=loud",
      exclude: "exclude=a.b.c.d",
      has_tenant: "has_tenant=perhaps",
      tenant: "tenant=%00",
    };
    for (const [field, query] of Object.entries(bad)) {
      const { status, body } = await feedOf(target, "u", query);
      assert.deepEqual([status, body.code, body.errors?.[0]?.field], [422, "invalid_params", field], query);
    }
    const huge = await feedOf(target, "u", `trigger_data=${json({ a: "x".repeat(5_000) })}`);
    assert.equal(huge.status, 200);
  });

  test(`${name}: archived views and status views, their lists and counts`, async () => {
    const target = await world();
    const user = await newUser(target);
    const ids = await triggerEach(target, "wf", user, [{}, {}, {}, {}, {}]);
    const mark = async (what: string, some: readonly string[]) => {
      const { status } = await target.asClient()("POST", `/messages/batch/${what}`, { message_ids: some });
      assert.equal(status, 200);
    };
    await mark("read", ids.slice(0, 2));
    const counts = (query: string) => countsOf(target, user, query);
    assert.deepEqual(await counts("status=unread"), [3, 3, 5]);
    assert.deepEqual(await counts("status=read"), [2, 3, 5]);
    assert.deepEqual(await counts("status=all"), [5, 3, 5]);
    await mark("archived", ids.slice(1, 3));
    assert.deepEqual(await counts(""), [3, 2, 3]);
    assert.deepEqual(await counts("archived=include"), [5, 3, 5]);
    assert.deepEqual(await counts("archived=only"), [2, 1, 2]);
    assert.deepEqual(await counts("archived=only&status=read"), [1, 1, 2]);
    assert.deepEqual(await allIds(target, user, "archived=only"), [ids[2], ids[1]]);
    assert.deepEqual(await allIds(target, user, "archived=exclude&status=unread"), [ids[4], ids[3]]);
  });

  test(`${name}: pages hold while more comes in, and a cursor brings exactly what is newer`, async () => {
    const target = await world();
    const user = await newUser(target);
    // All in one moment: then only ids tell them apart.
    for (let i = 0; i < 23; i++) await trigger(target, "wf", [user]);
    const page = async (query: string) => (await feedOf(target, user, `page_size=10&${query}`)).body;
    const first = await page("");
    for (let i = 0; i < 5; i++) await trigger(target, "wf", [user]);
    const second = await page(`after=${first.page_info.after}`);
    const third = await page(`after=${second.page_info.after}`);
    assert.equal(third.page_info.after, null);
    const seen = [first, second, third].flatMap(({ entries }) => entries.map((e: { id: string }) => e.id));
    assert.deepEqual([seen.length, new Set(seen).size], [23, 23]);
    assert.deepEqual(seen, (await allIds(target, user)).slice(5));
    const newer = await page(`before=${first.entries[0].__cursor}`);
    assert.deepEqual(
      newer.entries.map((e: { id: string }) => e.id),
      (await allIds(target, user)).slice(0, 5),
    );
    const clamped = (await feedOf(target, user, "page_size=1000")).body;
    assert.equal(clamped.page_info.page_size, 50);
  });

  test(`${name}: who was away long catches up from where it was, page by page`, async () => {
    const target = await world();
    const user = await newUser(target);
    await trigger(target, "wf", [user]);
    const head = (await feedOf(target, user)).body.entries[0].__cursor;
    for (let i = 0; i < 70; i++) await trigger(target, "wf", [user]);
    const all = await allIds(target, user);
    const nearest = (await feedOf(target, user, `before=${head}`)).body;
    assert.deepEqual(
      nearest.entries.map((e: { id: string }) => e.id),
      all.slice(20, 70),
    );
    const rest = (await feedOf(target, user, `before=${nearest.entries[0].__cursor}`)).body;
    assert.deepEqual(
      rest.entries.map((e: { id: string }) => e.id),
      all.slice(0, 20),
    );
    assert.equal(nearest.meta.total_count, 71);
  });

  test(`${name}: an actor that is deleted leaves a placeholder`, async () => {
    const target = await world();
    const user = await newUser(target);
    const actor = await newUser(target);
    await trigger(target, "wf", [user], { actor });
    await target.knock.users.delete(actor);
    const [item] = (await feedOf(target, user)).body.entries;
    assert.deepEqual([item.actors[0].__typename, item.actors[0].id, item.actors[0].name], ["User", actor, null]);
  });

  test(`${name}: another in-app channel has a feed of its own, and the default one all the rest`, async () => {
    const target = await world();
    const made = await target.admin("POST", "/admin/knock/channels", {
      key: "bell",
      name: "Bell",
      type: "in_app_feed",
    });
    assert.equal(made.status, 201, made.text);
    const bell: string = made.body.id;
    await pushWorkflow(target, "ring", { steps: [inAppStep({}, { channel_key: "bell" })] });
    const user = await newUser(target);
    await trigger(target, "ring", [user]);
    await trigger(target, "wf", [user]);
    const sources = async (feedId: string) =>
      (await feedOf(target, user, "", feedId)).body.entries.map((e: { source: { key: string } }) => e.source.key);
    assert.deepEqual(await sources(bell), ["ring"]);
    assert.deepEqual(await sources(target.feedId), ["wf"]);
    const { body } = await feedOf(target, user, "", bell);
    assert.equal(body.meta.total_count, 1);
    const path = `/channels/${bell}/messages/bulk/read`;
    const done = await target.asClient()("POST", path, { user_ids: [user] });
    assert.equal(done.body.processed_rows, 1);
    assert.deepEqual(await countsOf(target, user), [1, 1, 1]);
    const gone = await target.admin("DELETE", `/admin/knock/channels/${bell}`);
    assert.ok(gone.status < 300, gone.text);
  });

  test(`${name}: ids with any characters are taken as they come`, async () => {
    const target = await world();
    for (const user of ["org:7", "a b+c@d.example", "ü😀", "50%"]) {
      await newUser(target, user);
      await trigger(target, "wf", [user]);
      assert.deepEqual(await countsOf(target, user), [1, 1, 1], user);
    }
    const raw = await target.asClient()("GET", `/users/org:7/feeds/${target.feedId}`);
    assert.equal(raw.body.entries.length, 1);
  });
});
