import assert from "node:assert/strict";
import { test } from "node:test";
import { messageInRaw } from "svix";
import { httpReceiver } from "../../support/http-receiver.ts";
import { attemptsOf, ended, eventually, locs, refusal } from "./eventually.ts";
import { type Answer, type Clients, forEachSvix } from "./svix-target.ts";

const DAY_MS = 86_400_000;
const distinct = (answer: Answer): string[] => [...new Set(locs(answer))].sort();
const ID = /^msg_[0-9A-Za-z]{27}$/;
const BIG = '{"n":12345678901234567890,  "f":1.0,"e":1E+2,\n"z":1,"a":{"b":[ ]},"z":2,"u":"\\u00e9é😀"}';

forEachSvix((name, open) => {
  test(`${name}: a message is taken in and read by id and event id (scenario 19)`, async () => {
    const target = await open();
    const { svix, svix2 } = target;
    const app = await svix.application.create({ name: "One", uid: "read" });
    const other = await svix.application.create({ name: "Two", uid: "read2" });
    const made = await svix.message.create("read", {
      eventId: "ev-1",
      eventType: "invoice.paid",
      payload: { amount: 3 },
      channels: ["a", "b:c+d"],
      tags: ["x/y#z"],
    });
    assert.match(made.id, ID);
    assert.equal(made.timestamp.getTime(), target.clock.now());
    assert.deepEqual(
      { ...made, id: "", timestamp: null },
      {
        id: "",
        timestamp: null,
        eventId: "ev-1",
        eventType: "invoice.paid",
        payload: { amount: 3 },
        channels: ["a", "b:c+d"],
        tags: ["x/y#z"],
        deliverAt: null,
      },
    );
    assert.deepEqual(await svix.message.get(app.id, made.id), made);
    assert.deepEqual(await svix.message.get("read", "ev-1"), made);
    assert.deepEqual(await svix2.message.get("read", "ev-1", { withContent: true }), made);
    assert.deepEqual((await svix2.message.get("read", made.id)).payload, {});
    assert.deepEqual((await svix.message.list(app.id)).data, [made]);
    assert.deepEqual((await svix2.message.list(app.id)).data, [{ ...made, payload: {} }]);
    assert.equal((await refusal(svix.message.get("read2", made.id))).status, 404);
    assert.equal((await refusal(svix.message.get("read2", "ev-1"))).status, 404);
    assert.equal((await refusal(svix.message.get("read", "msg_2aaaaaaaaaaaaaaaaaaaaaaaaaa"))).code, "not_found");

    const again = { eventId: "ev-1", eventType: "x", payload: {} };
    assert.deepEqual(await refusal(svix2.message.create("read", again)), { status: 409, code: "conflict" });
    assert.match((await svix2.message.create(other.id, again)).id, ID);
    const hidden = await svix2.message.create("read", { eventType: "x", payload: { secret: 1 } });
    assert.deepEqual(hidden.payload, {});
  });

  test(`${name}: a payload's text survives untouched (scenario 20)`, async () => {
    const target = await open();
    await target.svix.application.create({ name: "One", uid: "text" });
    const made = await target.call("POST", "/app/text/msg", `{"eventType":"x","payload": ${BIG} ,"tags":null}`);
    assert.equal(made.status, 202);
    const { id } = made.body;
    const listed = await target.call("GET", "/app/text/msg");
    for (const { text } of [made, await target.call("GET", `/app/text/msg/${id}`), listed]) {
      assert.ok(text.includes(`"payload":${BIG},`), text);
    }
    assert.deepEqual((await target.call("GET", `/app/text/msg/${id}/raw`)).body, { payload: BIG });
    const data = await target.call("POST", "/app/text/msg", `{"eventType":"x","data":{"n":1e400}}`);
    assert.ok(data.text.includes('"payload":{"n":1e400}'), data.text);
    const proto = '{"__proto__":{"a":1},"constructor":{"prototype":1}}';
    const kept = await target.call("POST", "/app/text/msg", `{"eventType":"x","payload":${proto}}`);
    assert.ok(kept.text.includes(`"payload":${proto}`), kept.text);
  });

  test(`${name}: what is wrong with a message is told at once (scenarios 21, 24)`, async () => {
    const target = await open();
    await target.svix.application.create({ name: "One", uid: "wrong" });
    const post = (body: unknown) => target.call("POST", "/app/wrong/msg", body);
    for (const payload of ["[]", '"text"', "null", "1"]) {
      assert.deepEqual(locs(await post(`{"eventType":"x","payload":${payload}}`)), ["body.payload"]);
    }
    assert.deepEqual(locs(await post(undefined)).sort(), ["body.eventType", "body.payload"]);
    assert.deepEqual(locs(await post("[]"))[0], "body");
    const many = Array.from({ length: 11 }, (_, i) => `c${i}`);
    assert.deepEqual(
      distinct(
        await post({
          eventId: "msg_1",
          eventType: "a b",
          payload: {},
          channels: [],
          tags: ["a", "b", "c", "d", "e", "f"],
          transformationsParams: { rawPayload: 1, headers: { "Content-Type": "a\nb" } },
          deliverAt: "soon",
          payloadRetentionPeriod: 0,
          payloadRetentionHours: 2161,
        }),
      ),
      [
        "body.channels",
        "body.deliverAt",
        "body.eventId.__all__",
        "body.eventType",
        "body.payloadRetentionHours",
        "body.payloadRetentionPeriod",
        "body.tags",
        "body.transformationsParams.headers.Content-Type",
        "body.transformationsParams.rawPayload",
      ],
    );
    assert.deepEqual(locs(await post({ eventType: "x", payload: {}, channels: many })), ["body.channels"]);
    assert.deepEqual(locs(await post({ eventType: "x", payload: {}, payloadRetentionPeriod: 91 })), [
      "body.payloadRetentionPeriod",
    ]);
    const both = { payloadRetentionPeriod: 5, payloadRetentionHours: 5 };
    assert.equal(locs(await post({ eventType: "x", payload: {}, ...both })).length, 1);
    for (const ahead of [30_000, DAY_MS + 60_000, -1]) {
      const deliverAt = new Date(target.clock.now() + ahead).toISOString();
      assert.deepEqual(locs(await post({ eventType: "x", payload: {}, deliverAt })), ["body.deliverAt"]);
    }
    for (const query of ["limit=251", "limit=0", "iterator=msg_x", "before=x", "with_content=1", "channel=%00"]) {
      const [loc] = locs(await target.call("GET", `/app/wrong/msg?${query}`));
      assert.equal(loc, `query.${query.split("=")[0]}`);
    }
    const large = await post(`{"eventType":"x","payload":{"a":"${"x".repeat(8_000_000)}"}}`);
    assert.equal(large.status, 413);
    assert.equal(large.body.code, "payload_too_large");
    assert.equal((await target.call("GET", "/app/wrong/msg")).body.data.length, 0);
    assert.deepEqual(await refusal(target.svix.message.create("nowhere", { eventType: "x", payload: {} })), {
      status: 404,
      code: "not_found",
    });
    const strange = await target.call("POST", "/app/a%20b/msg", { eventType: "x", payload: {} });
    assert.deepEqual([strange.status, strange.body.detail], [404, "Application not found"]);
    for (const text of ["\0", "\ud800"]) {
      const answer = await post({ eventType: "x", payload: {}, transformationsParams: { rawPayload: `a${text}` } });
      assert.deepEqual(locs(answer), ["body.transformationsParams.rawPayload"]);
      const kept = await post({ eventType: "x", payload: { a: text }, transformationsParams: { b: text } });
      assert.equal(kept.status, 202, kept.text);
    }
  });

  test(`${name}: an application that is not there yet comes with the message (scenario 23)`, async () => {
    const target = await open();
    const { svix } = target;
    const message = { eventType: "x", payload: {} };
    const made = await svix.message.create("inline", { ...message, application: { name: "New", uid: "inline" } });
    assert.match(made.id, ID);
    assert.equal((await svix.application.get("inline")).name, "New");
    await svix.message.create("inline", { ...message, application: { name: "Other", uid: "inline" } });
    assert.equal((await svix.application.get("inline")).name, "New");
    const typeOf = async (body: unknown): Promise<string> => {
      const answer = await target.call("POST", "/app/inline2/msg", body);
      assert.deepEqual(locs(answer), ["body.application.uid"]);
      return answer.body.detail[0].type;
    };
    assert.equal(await typeOf({ ...message, application: { name: "A" } }), "application_uid_missing");
    assert.equal(await typeOf({ ...message, application: { name: "A", uid: "b" } }), "application_uid_mismatch");
    const bad = await target.call("POST", "/app/inline2/msg", { ...message, application: { uid: "inline2" } });
    assert.deepEqual(locs(bad), ["body.application.name"]);
    assert.equal((await refusal(svix.message.create("inline2", message))).status, 404);
    // A uid that has moved on means the application that has it now.
    const { id } = await svix.application.get("inline");
    await svix.application.patch("inline", { uid: "moved" });
    const next = await svix.application.create({ name: "Next", uid: "inline" });
    const last = await svix.message.create("inline", { eventType: "y", payload: {} });
    assert.deepEqual((await svix.message.list(next.id)).data, [last]);
    assert.equal((await svix.message.list(id)).data.length, 2);
  });

  test(`${name}: ten calls with one key make one message, even after its application is gone from memory`, async () => {
    const target = await open();
    await target.svix.application.create({ name: "One", uid: "once" });
    const post = (key: string, body = BIG, path = "/app/once/msg") =>
      target.call("POST", path, `{"eventType":"x","payload":${body}}`, { "idempotency-key": key });
    const answers = await Promise.all(Array.from({ length: 10 }, () => post("k")));
    assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([202]));
    assert.equal(new Set(answers.map(({ text }) => text)).size, 1);
    assert.equal((await post("k", "{}")).text, answers[0]?.text);
    assert.notEqual((await post("k2")).body.id, answers[0]?.body.id);
    assert.equal((await target.call("GET", "/app/once/msg")).body.data.length, 2);
    // Another address is another call; what was refused leaves the key free.
    assert.notEqual((await post("k", "{}", "/app/once/msg?with_content=false")).body.id, answers[0]?.body.id);
    assert.equal((await post("k3", "[]")).status, 422);
    assert.equal((await post("k3")).status, 202);
  });

  test(`${name}: lists are walked both ways and filtered (scenarios 6, 29)`, async () => {
    const target = await open();
    const { svix, svix2, clock } = target;
    await svix.application.create({ name: "One", uid: "pages" });
    const ids: string[] = [];
    const startedAt = clock.now();
    for (let i = 0; i < 28; i++) {
      clock.advance(1_000);
      const made = await svix.message.create("pages", {
        eventType: i % 2 === 0 ? "even" : "odd",
        payload: { i },
        channels: i % 4 === 0 ? ["four", "x"] : null,
        tags: i % 7 === 0 ? ["seven"] : null,
      });
      ids.unshift(made.id);
    }
    const first = await svix.message.list("pages", { limit: 10 });
    const second = await svix2.message.list("pages", { limit: 10, iterator: first.iterator });
    const third = await svix.message.list("pages", { limit: 10, iterator: second.iterator });
    assert.deepEqual(
      [first, second, third].map(({ done, data }) => [done, data.length]),
      [
        [false, 10],
        [false, 10],
        [true, 8],
      ],
    );
    assert.deepEqual(
      [...first.data, ...second.data, ...third.data].map(({ id }) => id),
      ids,
    );
    const back = await svix.message.list("pages", { limit: 10, iterator: third.prevIterator as string });
    assert.deepEqual(
      back.data.map(({ id }) => id),
      ids.slice(10, 20),
    );
    assert.equal(back.done, false);
    const start = await svix.message.list("pages", { limit: 10, iterator: back.prevIterator as string });
    assert.deepEqual(
      start.data.map(({ id }) => id),
      ids.slice(0, 10),
    );
    assert.equal(start.done, true);

    const list = async (query: string): Promise<number[]> =>
      (await target.call("GET", `/app/pages/msg?${query}`)).body.data.map(
        (m: { payload: { i: number } }) => m.payload.i,
      );
    for (const spelling of [
      "event_types=even,none",
      "event_types=none&event_types=even",
      "event_types[]=even",
      "event_types%5B0%5D=none&event_types%5B1%5D=even",
    ]) {
      assert.equal((await list(spelling)).length, 14, spelling);
    }
    assert.deepEqual(await list("channel=four"), [24, 20, 16, 12, 8, 4, 0]);
    assert.deepEqual(await list("tag=seven&event_types=odd"), [21, 7]);
    const at = (i: number) => new Date(startedAt + (i + 1) * 1_000).toISOString();
    assert.deepEqual(await list(`after=${at(2)}&before=${at(6)}`), [5, 4, 3]);
    assert.deepEqual(await list(`after=${at(2)}&limit=3`), [5, 4, 3], "the oldest page of the time, newest first");
    assert.deepEqual(await list(`before=${at(2)}&limit=1`), [1]);
    const { body } = await target.call("POST", "/app/pages/msg/search", {
      limit: 2,
      channel: "x",
      event_types: ["even"],
      before: at(20),
      with_content: true,
    });
    assert.deepEqual(
      body.data.map((m: { payload: { i: number } }) => m.payload.i),
      [16, 12],
    );
    assert.equal(body.done, false);
    const plain = await target.call("POST", "/app/pages/msg/search", { iterator: body.iterator, channel: "x" });
    assert.deepEqual(
      plain.body.data.map((m: { payload: object }) => m.payload),
      [{}, {}, {}],
    );
    assert.deepEqual(locs(await target.call("POST", "/app/pages/msg/search", { limit: 0, event_types: "x" })).sort(), [
      "body.event_types",
      "body.limit",
    ]);
    assert.deepEqual((await svix.message.list("pages", { channel: "none" })).iterator, null);
  });

  test(`${name}: content is thrown away by hand and by time (scenario 24)`, async () => {
    const target = await open();
    const { svix, svix2, clock } = target;
    await svix.application.create({ name: "One", uid: "gone" });
    const receiver = await httpReceiver();
    await svix.endpoint.create("gone", { url: receiver.url, uid: "e", filterTypes: null });
    const message = await svix.message.create("gone", { eventType: "x", payload: { a: 1 }, eventId: "e-1" });
    await attemptsOf(target, "gone", message.id, 1);
    const portal = (await svix.authentication.appPortalAccess("gone", {})).token;
    assert.equal((await refusal(target.with(portal).svix.message.expungeContent("gone", "e-1"))).status, 403);
    await svix.message.expungeContent("gone", "e-1");
    await svix2.message.expungeContent("gone", message.id);
    assert.deepEqual((await svix.message.get("gone", message.id)).payload, { expired: true });
    assert.deepEqual((await svix.message.list("gone")).data[0]?.payload, { expired: true });
    assert.deepEqual((await svix2.message.get("gone", message.id)).payload, {});
    assert.equal((await target.call("GET", `/app/gone/msg/${message.id}/raw`)).status, 404);
    assert.equal((await refusal(svix.messageAttempt.resend("gone", message.id, "e"))).code, "missing_payload");
    assert.equal((await refusal(svix.message.expungeContent("gone", "other"))).status, 404);

    const a = await svix2.message.create("gone", { eventType: "x", payload: { a: 1 }, eventId: "bulk" });
    const b = await svix2.message.create("gone", { eventType: "x", payload: { b: 1 } });
    const bulk = await svix2.message.bulkExpungeContent("gone", { ids: ["bulk", b.id, "__proto__", "msg_none"] });
    assert.deepEqual(
      Object.entries(bulk.results).sort(),
      [
        ["__proto__", "not-found"],
        ["bulk", "expunged"],
        [b.id, "expunged"],
        ["msg_none", "not-found"],
      ].sort(),
    );
    assert.deepEqual((await svix.message.get("gone", a.id)).payload, { expired: true });
    assert.deepEqual((await svix2.message.bulkExpungeContent("gone", {})).results, {});

    const short = await svix.message.create("gone", { eventType: "x", payload: { a: 1 }, payloadRetentionHours: 2 });
    const long = await svix.message.create("gone", { eventType: "x", payload: { a: 2 }, payloadRetentionPeriod: 5 });
    clock.advance(2 * 3_600_000);
    assert.deepEqual((await svix.message.get("gone", short.id)).payload, { expired: true });
    assert.deepEqual((await svix.message.get("gone", long.id)).payload, { a: 2 });

    const started = await svix.message.expungeAllContents("gone");
    assert.deepEqual([started.status, started.task], ["running", "application.purge_content"]);
    const task = await ended(target, started.id);
    assert.equal(task.status, "finished");
    assert.equal((task.data as { messagesPurged: number }).messagesPurged, 5);
    assert.deepEqual((await svix.message.get("gone", long.id)).payload, { expired: true });
    await receiver.close();
  });

  test(`${name}: raw content is sent and shown as it is (scenario 22)`, async () => {
    const target = await open();
    const { svix } = target;
    await svix.application.create({ name: "One", uid: "raw" });
    const receiver = await httpReceiver();
    await svix.endpoint.create("raw", { url: receiver.url, uid: "e" });
    const made = await svix.message.create("raw", messageInRaw("x", "a=1&b= <é>", "text/plain"));
    const [first] = await receiver.received(1);
    assert.equal(first?.text, "a=1&b= <é>");
    assert.equal(first?.headers["content-type"], "text/plain");
    assert.deepEqual(made.payload, {});
    assert.deepEqual((await svix.message.get("raw", made.id)).payload, {});
    assert.deepEqual((await target.call("GET", `/app/raw/msg/${made.id}/raw`)).body, { payload: "a=1&b= <é>" });
    await svix.messageAttempt.resend("raw", made.id, "e");
    assert.equal((await receiver.received(2))[1]?.text, "a=1&b= <é>");
    await receiver.close();
  });

  test(`${name}: a message is kept back until its time`, async () => {
    const target = await open();
    const { svix, clock } = target;
    await svix.application.create({ name: "One", uid: "later" });
    const receiver = await httpReceiver();
    await svix.endpoint.create("later", { url: receiver.url });
    const deliverAt = new Date(clock.now() + 120_000);
    const made = await svix.message.create("later", { eventType: "x", payload: { later: true }, deliverAt });
    assert.deepEqual(made.deliverAt, deliverAt);
    const now = await svix.message.create("later", { eventType: "x", payload: { later: false } });
    await attemptsOf(target, "later", now.id, 1);
    assert.equal((await receiver.received(1))[0]?.text, '{"later":false}');
    assert.equal(receiver.requests.length, 1);
    clock.advance(120_000);
    assert.equal((await receiver.received(2))[1]?.text, '{"later":true}');
    await receiver.close();
  });

  test(`${name}: precheck tells whether anybody would get it; types and channels decide (scenarios 15, 16)`, async () => {
    const target = await open();
    const { svix, svix2 } = target;
    await svix.application.create({ name: "One", uid: "route" });
    for (const type of ["r.a", "r.b", "r.c"]) await svix.eventType.create({ name: type, description: "" });
    assert.deepEqual(await svix.message.precheck("route", { eventType: "r.a" }), { active: false });
    const receivers = await Promise.all([0, 1, 2, 3, 4].map(() => httpReceiver()));
    const [all, a, ab, x, y] = receivers as [(typeof receivers)[0], ...typeof receivers];
    await svix.endpoint.create("route", { url: (a as typeof all).url, filterTypes: ["r.a"] });
    await svix2.endpoint.create("route", { url: (ab as typeof all).url, eventTypes: ["r.a", "r.b"] });
    await svix.endpoint.create("route", { url: (x as typeof all).url, channels: ["x"] });
    await svix.endpoint.create("route", { url: (y as typeof all).url, channels: ["y"], filterTypes: ["r.a"] });
    const active = async (body: { eventType: string; channels?: string[] }): Promise<boolean> =>
      (await svix2.message.precheck("route", body)).active;
    assert.deepEqual(
      [
        await active({ eventType: "r.a" }),
        await active({ eventType: "r.c" }),
        await active({ eventType: "r.c", channels: ["x", "z"] }),
        await active({ eventType: "r.c", channels: ["y"] }),
      ],
      [true, false, true, false],
    );
    assert.deepEqual(locs(await target.call("POST", "/app/route/msg/precheck/active", { channels: [1] })).sort(), [
      "body.channels.[0]",
      "body.eventType",
    ]);
    await svix.endpoint.create("route", { url: all.url });
    const sent: [string, string[] | null, number][] = [
      ["r.a", null, 3],
      ["r.b", null, 2],
      ["r.c", null, 1],
      ["r.a", ["x"], 4],
      ["r.a", ["y", "x"], 5],
      ["r.a", ["z"], 3],
    ];
    for (const [eventType, channels, count] of sent) {
      const { id } = await svix.message.create("route", { eventType, payload: {}, channels });
      await attemptsOf(target, "route", id, count);
    }
    await Promise.all(receivers.map((receiver) => receiver.close()));
  });

  test(`${name}: tokens of an application read its messages and make none`, async () => {
    const target = await open();
    const { svix } = target;
    await svix.application.create({ name: "One", uid: "mine" });
    await svix.application.create({ name: "Two", uid: "theirs" });
    const made = await svix.message.create("mine", { eventType: "x", payload: { a: 1 } });
    const { token } = await svix.authentication.appPortalAccess("mine", {});
    const mine = target.with(token).svix;
    assert.deepEqual(await mine.message.get("mine", made.id), made);
    assert.deepEqual((await mine.message.list("mine")).data, [made]);
    assert.equal((await refusal(mine.message.create("mine", { eventType: "x", payload: {} }))).status, 403);
    assert.equal((await refusal(mine.message.precheck("mine", { eventType: "x" }))).status, 403);
    assert.equal((await refusal(mine.message.expungeAllContents("mine"))).status, 403);
    assert.equal((await refusal(mine.message.list("theirs"))).status, 404);
    assert.equal((await refusal(mine.message.get("theirs", made.id))).status, 404);
    const elsewhere: Clients = await target.another();
    assert.equal((await refusal(elsewhere.svix.message.list("mine"))).status, 404);
    const { id } = await svix.application.get("mine");
    const foreign = await refusal(elsewhere.svix.message.create(id, { eventType: "x", payload: {} }));
    assert.equal(foreign.status, 404);
    assert.equal((await refusal(elsewhere.svix.message.get(id, made.id))).status, 404);
    // The environment's own hidden application is told only of what happened.
    const hidden = target.orgId.replace(/^org_/, "app_");
    assert.equal((await refusal(svix.message.create(hidden, { eventType: "x", payload: {} }))).status, 404);
  });

  test(`${name}: large payloads make short pages, and nothing is left out`, async () => {
    const target = await open();
    await target.svix.application.create({ name: "One", uid: "large" });
    const filling = "x".repeat(900_000);
    const ids: string[] = [];
    for (let i = 0; i < 24; i++) {
      const made = await target.svix2.message.create("large", { eventType: "x", payload: { i, filling } });
      ids.unshift(made.id);
    }
    const found: string[] = [];
    let pages = 0;
    for (let iterator: string | null = null, done = false; !done; pages++) {
      const page = await target.svix.message.list("large", { limit: 250, iterator });
      found.push(...page.data.map(({ id }) => id));
      iterator = page.iterator as string;
      done = page.done;
    }
    assert.deepEqual(found, ids);
    assert.ok(pages > 1 && pages < 5, `${pages} pages`);
    const short = await eventually(
      () => target.svix2.message.list("large", { limit: 250 }),
      ({ data }) => data.length === 24,
      "a page without content",
    );
    assert.equal(short.done, true);
  });
});
