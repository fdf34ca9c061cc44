/** Guides: pushed by an author, shown to those they are for, put away by them, told on the socket. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { guideChannelId } from "../../../src/facades/knock/guide-shelf.ts";
import { forEachKnock, type KnockTarget, knockFor } from "./knock-target.ts";
import { openPhoenix } from "./socket/phoenix-client.ts";

// biome-ignore lint/suspicious/noExplicitAny: whatever the server said; tests look at it field by field
type Body = any;

const STEP = {
  ref: "step",
  schema_key: "banner",
  schema_semver: "0.0.1",
  schema_variant_key: "default",
  values: { title: "Hi {{ recipient.name }}", body: "{{ data.page }}", dismissible: true },
};

async function push(target: KnockTarget, key: string, more: object = {}, query = "commit=true"): Promise<Body> {
  // Guides that nobody has put in order follow one another by their age.
  target.clock.advance(1);
  const guide = { name: key, channel_key: "guide", steps: [STEP], ...more };
  const answer = await target.call("PUT", `/guides/${key}?environment=development&${query}`, { guide });
  assert.equal(answer.status, 200, answer.text);
  return answer.body.guide;
}

async function seen(target: KnockTarget, user: string, query = ""): Promise<Body> {
  const answer = await target.asClient()("GET", `/users/${user}/guides/${guideChannelId(target.environment)}?${query}`);
  assert.equal(answer.status, 200, answer.text);
  return answer.body;
}

function keysOf({ entries }: Body): string[] {
  return entries.map(({ key }: Body) => key);
}

async function remove(target: KnockTarget, ...keys: readonly string[]): Promise<void> {
  for (const key of keys) await target.call("DELETE", `/guides/${key}`);
  await target.admin("PUT", "/admin/knock/guide-order", {});
}

/** Marks a step of a guide through the SDK. */
async function archive(target: KnockTarget, user: string, guide: Body, more: object = {}): Promise<void> {
  await target.knock.users.guides.markMessageAsArchived(user, { ...naming(guide), ...more });
}

function naming(guide: Body, ref = guide.steps[0].ref) {
  return { channel_id: guide.channel_id, guide_id: guide.id, guide_key: guide.key, guide_step_ref: ref };
}

forEachKnock((name, open) => {
  test(`${name}: 45. a committed guide is fetched with its content rendered for the user`, async (t) => {
    const target = await open();
    t.after(() => remove(target, "hello", "draft"));
    await push(target, "hello", { activation_url_patterns: [{ directive: "allow", pathname: "/x/*" }] });
    await push(target, "draft", {}, "");
    await target.knock.users.update("g1", { name: "Gil" });
    const body = await seen(target, "g1", `data=${encodeURIComponent('{"page":"home"}')}`);
    assert.deepEqual(keysOf(body), ["hello"]);
    const [guide] = body.entries;
    assert.deepEqual(guide.steps[0].content, { title: "Hi Gil", body: "home", dismissible: true });
    assert.deepEqual(guide.steps[0].message, {
      id: null,
      seen_at: null,
      read_at: null,
      interacted_at: null,
      archived_at: null,
      link_clicked_at: null,
    });
    assert.deepEqual(
      [guide.__typename, guide.type, guide.active, guide.channel_id, guide.bypass_global_group_limit],
      ["Guide", "banner", true, guideChannelId(target.environment), false],
    );
    assert.deepEqual(guide.activation_url_patterns, [{ directive: "allow", pathname: "/x/*" }]);
    assert.deepEqual([body.guide_group_display_logs, body.ineligible_guides], [{}, []]);
    assert.deepEqual([body.guide_groups.length, body.guide_groups[0].key], [1, "default"]);
    assert.deepEqual(body.guide_groups[0].display_sequence, ["hello"]);
    const sdk = await target.knock.users.guides.getChannel("nobody", guideChannelId(target.environment));
    assert.equal(sdk.entries[0]?.steps?.[0]?.content?.title, "Hi ");
  });

  test(`${name}: guides are for whom they are meant; why the others are not is said`, async (t) => {
    const target = await open();
    t.after(() => remove(target, "pro", "vip", "off", "later", "here"));
    const on = (variable: string, argument: string) => ({
      target_property_conditions: { all: [{ variable, operator: "equal_to", argument }] },
    });
    await push(target, "pro", on("recipient.plan", "pro"));
    await push(target, "here", on("data.page", "home"));
    await push(target, "vip", { target_audience_id: "vips" });
    await push(target, "off");
    await push(target, "later");
    const activate = (key: string, body: object, query = "") =>
      target.call("PUT", `/guides/${key}/activate?environment=development${query}`, body);
    assert.equal((await activate("off", {}, "&status=false")).body.guide.active, false);
    const from = new Date(target.clock.now() + 3_600_000).toISOString();
    assert.equal((await activate("later", { from })).body.guide.active, false);
    await target.knock.users.update("g2", { plan: "free" } as never);
    const why = async (query = ""): Promise<Body> =>
      Object.fromEntries((await seen(target, "g2", query)).ineligible_guides.map((one: Body) => [one.key, one.reason]));
    assert.deepEqual(await why(), {
      pro: "target_conditions_not_met",
      here: "target_conditions_not_met",
      vip: "not_in_target_audience",
      off: "guide_not_active",
      later: "guide_not_active",
    });
    await target.knock.users.update("g2", { plan: "pro" } as never);
    await target.knock.audiences.addMembers("vips", { members: [{ user: { id: "g2" } }] });
    target.clock.advance(2 * 3_600_000);
    const home = `data=${encodeURIComponent('{"page":"home"}')}`;
    assert.deepEqual(await why(home), { off: "guide_not_active" });
    assert.deepEqual(keysOf(await seen(target, "g2", home)), ["pro", "here", "vip", "later"]);
    assert.deepEqual(keysOf(await seen(target, "g2", "force_all_guides=true")).length, 5);
    assert.deepEqual(keysOf(await seen(target, "g2", "type=card")), []);
  });

  test(`${name}: 45. archiving puts a guide away and begins the group's interval; a reset takes both back`, async (t) => {
    const target = await open();
    t.after(() => remove(target, "one", "two", "free"));
    for (const key of ["one", "two", "free"]) await push(target, key);
    const order = { display_sequence: ["two", "one"], unthrottled: ["free"], display_interval: 3_600 };
    assert.equal((await target.admin("PUT", "/admin/knock/guide-order", order)).status, 200);
    const before = await seen(target, "g3");
    assert.deepEqual(keysOf(before), ["two", "one", "free"]);
    const [group] = before.guide_groups;
    assert.deepEqual(
      [group.display_sequence, group.display_interval, group.display_sequence_unthrottled],
      [["two", "one", "free"], 3_600, ["free"]],
    );
    const [two, one, free] = before.entries;
    assert.deepEqual([two.bypass_global_group_limit, free.bypass_global_group_limit], [false, true]);
    await archive(target, "g3", free);
    assert.deepEqual((await seen(target, "g3")).guide_group_display_logs, {});
    target.clock.advance(5_000);
    await archive(target, "g3", one, { unthrottled: true });
    assert.deepEqual((await seen(target, "g3")).guide_group_display_logs, {});
    await archive(target, "g3", two);
    const now = new Date(target.clock.now()).toISOString();
    const after = await seen(target, "g3");
    assert.deepEqual(after.guide_group_display_logs, { default: now });
    assert.deepEqual([keysOf(after), keysOf(await seen(target, "g3b")).length], [[], 3]);
    assert.deepEqual(
      after.ineligible_guides.map(({ reason }: Body) => reason),
      ["marked_as_archived", "marked_as_archived", "marked_as_archived"],
    );
    const reset = await target.asClient()("PUT", "/users/g3/guides/engagements/reset", { guide_key: "two" });
    assert.deepEqual([reset.status, reset.body], [200, { status: "ok" }]);
    const again = await seen(target, "g3");
    assert.deepEqual([keysOf(again), again.guide_group_display_logs], [["two"], {}]);
    assert.equal(again.entries[0].steps[0].message.archived_at, null);
    await target.knock.users.guides.unarchiveGuideMessage("g3", { guide_key: "one" });
    assert.deepEqual(keysOf(await seen(target, "g3")), ["two", "one"]);
  });

  test(`${name}: marks are kept by step and tenant, under either path`, async (t) => {
    const target = await open();
    t.after(() => remove(target, "steps"));
    await push(target, "steps", { steps: [STEP, { ...STEP, ref: "second" }] });
    const [guide] = (await seen(target, "g4")).entries;
    await target.knock.users.guides.markMessageAsSeen("g4", { ...naming(guide), content: { title: "x" } });
    await target.knock.users.guides.markMessageAsInteracted("g4", { ...naming(guide), metadata: { a: 1 } });
    const former = await target.call("PUT", `/users/g4/guides/messages/whatever/archived`, naming(guide, "second"));
    assert.equal(former.status, 200, former.text);
    const now = new Date(target.clock.now()).toISOString();
    const [{ steps }] = (await seen(target, "g4")).entries;
    const [first, second] = steps.map(({ message }: Body) => message);
    assert.deepEqual([first.seen_at, first.read_at, first.interacted_at, first.archived_at], [now, now, now, null]);
    assert.match(first.id, /^[0-9A-Za-z]{27}$/);
    assert.deepEqual([second.seen_at, second.archived_at], [null, now]);
    const [elsewhere] = (await seen(target, "g4", "tenant=acme")).entries;
    assert.equal(elsewhere.steps[0].message.seen_at, null);
    await archive(target, "g4", guide, { tenant: "acme", is_final: true });
    assert.deepEqual(keysOf(await seen(target, "g4", "tenant=acme")), [], "the last step was said to be it");
    assert.deepEqual(keysOf(await seen(target, "g4")), ["steps"]);
  });

  test(`${name}: what a client says wrongly is refused, and a guide made anew begins anew`, async (t) => {
    const target = await open();
    t.after(() => remove(target, "anew"));
    await push(target, "anew");
    const [guide] = (await seen(target, "g5")).entries;
    await archive(target, "g5", guide);
    const mark = (body: object, path = "seen") => target.call("PUT", `/users/g5/guides/messages/${path}`, body);
    const good = { ...naming(guide), content: {} };
    const missing = await mark({ tenant: 7 });
    assert.equal(missing.status, 422);
    assert.deepEqual(missing.body.errors.map(({ field }: Body) => field).sort(), [
      "channel_id",
      "content",
      "guide_id",
      "guide_key",
      "guide_step_ref",
      "tenant",
    ]);
    assert.equal((await mark({ ...good, guide_key: "nope" })).status, 404);
    assert.equal((await mark({ ...good, guide_step_ref: "nope" })).status, 404);
    assert.equal((await mark({ ...good, channel_id: target.feedId })).body.code, "channel_invalid");
    assert.equal((await target.call("GET", `/users/g5/guides/${target.feedId}`)).body.code, "channel_invalid");
    assert.equal((await target.call("PUT", "/users/g5/guides/engagements/reset", { guide_key: "nope" })).status, 404);
    target.clock.advance(1_000);
    assert.deepEqual((await target.call("DELETE", "/guides/anew")).body, { result: "success" });
    assert.deepEqual(keysOf(await seen(target, "g5")), []);
    await push(target, "anew");
    assert.deepEqual(keysOf(await seen(target, "g5")), ["anew"]);
    assert.equal((await mark(good)).status, 404, "that was another guide");
  });

  test(`${name}: authors are told what is wrong with a guide; message types say what it may be made of`, async (t) => {
    const target = await open();
    t.after(() => remove(target, "made"));
    const put = (path: string, body: object) => target.call("PUT", `${path}?environment=development&commit=true`, body);
    const wrong = await put("/guides/wrong", {
      guide: {
        name: "",
        channel_key: "other",
        steps: [
          { ...STEP, schema_key: "survey", values: { a: ["{{ oops"] } },
          { ...STEP, schema_variant_key: "huge" },
        ],
        activation_url_patterns: [{ directive: "allow", pathname: "/:a:a(" }, { directive: "maybe" }],
        target_property_conditions: { all: [{ variable: "x", operator: "is_like" }] },
      },
    });
    assert.equal(wrong.status, 422);
    const fields = wrong.body.errors.map(({ field }: Body) => field);
    for (const field of [
      "name",
      "channel_key",
      "steps[0].schema_key",
      "steps[0].values.a[0]",
      "steps[1].ref",
      "steps[1].schema_variant_key",
      "activation_url_patterns[0].pathname",
      "activation_url_patterns[1].directive",
      "target_property_conditions.all[0].operator",
    ]) {
      assert.ok(fields.includes(field), `${field} among ${fields}`);
    }
    const survey = {
      name: "Survey",
      description: null,
      preview: "<p></p>",
      variants: [{ key: "short", name: "Short", fields: [{ type: "text", key: "title", label: "Title" }] }],
    };
    const type = await put("/message_types/survey", { message_type: survey });
    assert.deepEqual(
      [type.status, type.body.message_type.owner, type.body.message_type.semver],
      [200, "user", "0.0.1"],
    );
    const steps = [{ ...STEP, schema_key: "survey", schema_variant_key: "short" }];
    const validated = await put("/guides/made/validate", { guide: { name: "m", channel_key: "guide", steps } });
    assert.equal(validated.status, 200, validated.text);
    assert.equal((await target.call("GET", "/guides/made?environment=development")).status, 404);
    const made = await push(target, "made", { steps });
    assert.deepEqual([made.type, made.active, made.valid], ["survey", true, true]);
    const listed = await target.call("GET", "/guides?environment=development");
    assert.ok(listed.body.entries.some(({ key }: Body) => key === "made"));
    const [channel] = (await target.call("GET", "/channels?environment=development")).body.entries.filter(
      (one: Body) => one.type === "in_app_guide",
    );
    assert.deepEqual([channel.key, channel.id], ["guide", guideChannelId(target.environment)]);
    const bad = await target.admin("PUT", "/admin/knock/guide-order", { display_sequence: ["a", "a"] });
    assert.equal(bad.status, 400);
  });

  test(`${name}: a user token that does not reach as far sees and does nothing`, async (t) => {
    const target = await open();
    t.after(() => target.security(false));
    await target.security(true);
    const key = await target.signingKey();
    const path = `/users/g6/guides/${guideChannelId(target.environment)}`;
    assert.equal((await target.asClient(key.token("g6"))("GET", path)).status, 200);
    assert.equal((await target.asClient(key.token("g7"))("GET", path)).status, 403);
    const client = await openPhoenix(target, `api_key=${target.publicKey}&user_token=${key.token("g6")}&vsn=2.0.0`);
    t.after(() => client.close());
    const topic = `guides:${guideChannelId(target.environment)}`;
    assert.equal((await client.join(topic, { user_id: "g7" }, "1"))[4].response.reason, "unauthorized");
    assert.equal((await client.join(topic, {}, "2"))[4].status, "error");
    assert.equal((await client.join(`guides:${target.feedId}`, { user_id: "g6" }, "3"))[4].status, "error");
    assert.equal((await client.join(topic, { user_id: "g6" }, "4"))[4].status, "ok");
  });

  test(`${name}: 45. each channel is told what an author changes as its user sees it`, async (t) => {
    const target = await open();
    t.after(() => remove(target, "told", "told2"));
    await push(target, "told", {
      target_property_conditions: { all: [{ variable: "recipient.plan", operator: "equal_to", argument: "pro" }] },
    });
    await target.knock.users.update("pro", { plan: "pro" } as never);
    const topic = `guides:${guideChannelId(target.environment)}`;
    const joined = async (user_id: string) => {
      const client = await openPhoenix(target, `?&api_key=${target.publicKey}&&vsn=2.0.0`);
      t.after(() => client.close());
      assert.deepEqual((await client.join(topic, { user_id }, "7"))[4], { status: "ok", response: {} });
      return client;
    };
    const [pro, other] = [await joined("pro"), await joined("other")];
    const event = (client: typeof pro, name: string, passes: (data: Body) => boolean = () => true) =>
      client.first((frame) => frame[3] === name && passes(frame[4].data));
    await target.call("PUT", "/guides/told/activate?environment=development", { status: false });
    const off = await event(pro, "guide.updated");
    assert.deepEqual([off[0], off[1], off[2]], [null, null, topic]);
    assert.deepEqual(
      [off[4].topic, off[4].event, off[4].data.eligible, off[4].data.guide.key],
      [topic, "guide.updated", false, "told"],
    );
    await target.call("PUT", "/guides/told/activate?environment=development", { status: true });
    await event(pro, "guide.updated", ({ eligible }) => eligible);
    await push(target, "told2");
    assert.equal((await event(other, "guide.added"))[4].data.guide.key, "told2");
    await target.admin("PUT", "/admin/knock/guide-order", {
      display_sequence: ["told2", "told"],
      unthrottled: ["told"],
    });
    const group = await event(
      other,
      "guide_group.updated",
      ({ guide_group }) => guide_group.display_sequence_unthrottled.length > 0,
    );
    assert.deepEqual(group[4].data.guide_group.display_sequence, ["told2", "told"]);
    await target.call("DELETE", "/guides/told2");
    assert.deepEqual((await event(other, "guide.removed"))[4].data, { guide: { key: "told2" } });
    assert.ok(
      !other.frames.some((frame) => frame[3].startsWith("guide.") && frame[4].data.guide.key === "told"),
      "a guide that is not for the user is no news",
    );
    other.send("7", "8", topic, "phx_leave", {});
    await other.first((frame) => frame[3] === "phx_close");
  });
});

test("45. the vendor's browser client fetches, subscribes, loses a guide, archives and resets", async (t) => {
  // A page has a window; without one the SDK opens no socket.
  Object.assign(globalThis, { window: globalThis });
  const target = await knockFor(t);
  await push(target, "tour");
  await push(target, "promo");
  const { KnockGuideClient } = (await import("@knocklabs/client")) as Body;
  const browser = target.browser("g9");
  t.after(() => browser.teardown());
  const client = new KnockGuideClient(
    browser,
    guideChannelId(target.environment),
    {},
    { trackLocationFromWindow: false, throttleCheckInterval: 0 },
  );
  t.after(() => client.cleanup());
  const state = (): Body => client.store.state;
  const until = (passes: () => boolean): Promise<void> =>
    new Promise((resolve) => {
      if (passes()) return resolve();
      const stop = client.store.subscribe(() => {
        if (!passes()) return;
        if (typeof stop === "function") stop();
        resolve();
      });
    });
  assert.deepEqual(await client.fetch(), { status: "ok" });
  assert.deepEqual(Object.keys(state().guides).sort(), ["promo", "tour"]);
  assert.equal(state().guideGroups[0].key, "default");
  const joined = new Promise<void>((resolve) => {
    const stop = target.app.hub.subscribed.on(({ key }) => {
      if (!key.startsWith("guides:")) return;
      stop();
      resolve();
    });
  });
  client.subscribe();
  await joined;
  await target.call("PUT", "/guides/promo/activate?environment=development", { status: false });
  await until(() => state().guides.promo === undefined);
  const marked = async (act: () => Promise<unknown>): Promise<void> => {
    const before = JSON.stringify(await seen(target, "g9"));
    await act();
    for (let n = 0; n < 200 && JSON.stringify(await seen(target, "g9")) === before; n++);
  };
  await marked(() => state().guides.tour.steps[0].markAsSeen());
  assert.ok((await seen(target, "g9")).entries.find(({ key }: Body) => key === "tour").steps[0].message.seen_at);
  await marked(() => state().guides.tour.steps[0].markAsArchived());
  assert.ok(state().guideGroupDisplayLogs.default);
  const after = await seen(target, "g9");
  assert.ok(!keysOf(after).includes("tour") && after.guide_group_display_logs.default);
  await client.resetEngagement(state().guides.tour);
  assert.equal(state().guides.tour.steps[0].message.archived_at, null);
  assert.deepEqual(state().guideGroupDisplayLogs, {});
});
