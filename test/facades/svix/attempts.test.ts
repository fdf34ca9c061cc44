import assert from "node:assert/strict";
import { test } from "node:test";
import type { MessageId } from "../../../src/engine/model.ts";
import type { AppId } from "../../../src/engine/webhooks/model.ts";
import { fromKsuid } from "../../../src/facades/svix/ids.ts";
import { DIALECTS } from "../../conformance/databases.ts";
import { type HttpReceiver, httpReceiver } from "../../support/http-receiver.ts";
import { attemptsOf, eventually, locs, refusal } from "./eventually.ts";
import { type Clients, forEachSvix, type SvixTarget, svixFor } from "./svix-target.ts";

/** Tries of the schedule: two, ten seconds apart. */
const ONE_RETRY = { CARILLON_WEBHOOK_RETRY_SECONDS: "10" };
const LATER_MS = 15_000;

forEachSvix((name, open) => {
  test(`${name}: attempts are listed by message and by endpoint with every filter (scenario 29)`, async (t) => {
    const target = await open();
    const { svix, svix2, clock } = target;
    await svix.application.create({ name: "One", uid: "lists" });
    const receiver = await httpReceiver();
    t.after(() => receiver.close());
    const endpoint = await svix.endpoint.create("lists", { url: receiver.url, uid: "e" });
    const other = await svix.endpoint.create("lists", { url: `${receiver.url}/other`, uid: "o", channels: ["both"] });
    const ids: string[] = [];
    const times: number[] = [];
    for (const [i, status] of [200, 404, 201, 503, 302].entries()) {
      receiver.answer({ status, body: `answer ${i}` });
      clock.advance(1_000);
      times.push(clock.now());
      const { id } = await svix.message.create("lists", {
        eventType: i < 2 ? "low" : "high",
        payload: { i },
        tags: i === 3 ? ["t"] : null,
        channels: i === 0 ? ["both"] : i === 4 ? ["c"] : null,
      });
      ids.push(id);
      await attemptsOf(target, "lists", id, i === 0 ? 2 : 1);
    }
    const [attempt] = await attemptsOf(target, "lists", ids[1] as string, 1);
    assert.deepEqual(
      { ...attempt, id: "" },
      {
        id: "",
        url: `${receiver.url}/`,
        response: "answer 1",
        responseStatusCode: 404,
        responseDurationMs: 0,
        status: 2,
        statusText: "fail",
        triggerType: 0,
        msgId: ids[1],
        endpointId: endpoint.id,
        timestamp: new Date(times[1] as number),
        msg: undefined,
      },
    );
    assert.match(attempt?.id ?? "", /^atmpt_[0-9A-Za-z]{27}$/);
    assert.deepEqual(await svix2.messageAttempt.get("lists", ids[1] as string, attempt?.id ?? ""), attempt);

    /** Which messages the attempts at the endpoint are of, newest first. */
    const at = async (query: string): Promise<number[]> => {
      const { status, body, text } = await target.call("GET", `/app/lists/attempt/endpoint/e?${query}`);
      assert.equal(status, 200, text);
      return body.data.map(({ msgId }: { msgId: string }) => ids.indexOf(msgId));
    };
    const iso = (i: number): string => new Date(times[i] as number).toISOString();
    assert.deepEqual(await at(""), [4, 3, 2, 1, 0]);
    assert.deepEqual(await at("status=0"), [2, 0]);
    assert.deepEqual(await at("status=2"), [4, 3, 1]);
    for (const none of [1, 3, 4]) assert.deepEqual(await at(`status=${none}`), []);
    assert.deepEqual(await at("status_code_class=200"), [2, 0]);
    assert.deepEqual(await at("status_code_class=300"), [4]);
    assert.deepEqual(await at("status_code_class=0"), []);
    for (const types of [
      "event_types=low,none",
      "event_types=low&event_types=x",
      "event_types[]=low",
      "event_types[0]=low",
    ]) {
      assert.deepEqual(await at(types), [1, 0], types);
    }
    assert.deepEqual(await at("channel=c"), [4]);
    assert.deepEqual(await at("tag=t"), [3]);
    assert.deepEqual(await at(`before=${iso(2)}`), [1, 0]);
    assert.deepEqual(await at(`after=${iso(2)}`), [4, 3]);
    assert.deepEqual(await at(`after=${iso(0)}&before=${iso(3)}`), [2, 1]);
    assert.deepEqual(await at(`after=${iso(0)}&limit=2`), [2, 1], "the oldest page");
    assert.deepEqual(await at("status=2&event_types=high&limit=1"), [4]);

    const first = await svix.messageAttempt.listByEndpoint("lists", endpoint.id, { limit: 3 });
    const rest = await svix2.messageAttempt.listByEndpoint("lists", "e", { limit: 3, iterator: first.iterator });
    assert.deepEqual([first.done, rest.done, rest.data.length], [false, true, 2]);
    const back = await svix2.messageAttempt.listByEndpoint("lists", "e", {
      iterator: rest.prevIterator as string,
      withContent: true,
    });
    assert.deepEqual(back.data, first.data);

    const bare = await svix2.messageAttempt.listByEndpoint("lists", "e", { withContent: false, limit: 1 });
    assert.equal(bare.data[0]?.response, "{}");
    const whole = await svix.messageAttempt.listByEndpoint("lists", "e", { withMsg: true, tag: "t" });
    assert.deepEqual(whole.data[0]?.msg, await svix.message.get("lists", ids[3] as string));
    const half = await svix.messageAttempt.listByEndpoint("lists", "e", {
      withMsg: true,
      withContent: false,
      limit: 1,
    });
    assert.deepEqual(half.data[0]?.msg?.payload, {});

    const both = await svix.messageAttempt.listByMsg("lists", ids[0] as string);
    assert.deepEqual(new Set(both.data.map(({ endpointId }) => endpointId)), new Set([endpoint.id, other.id]));
    for (const key of ["o", other.id]) {
      const { data } = await svix2.messageAttempt.listByMsg("lists", ids[0] as string, { endpointId: key });
      assert.deepEqual(
        data.map(({ endpointId }) => endpointId),
        [other.id],
      );
    }
    for (const path of [`msg/${ids[0]}/attempt?endpoint_id=o`, `msg/${ids[0]}/endpoint/o/attempt`]) {
      const { body } = await target.call("GET", `/app/lists/${path}`);
      assert.deepEqual(
        body.data.map(({ endpointId }: { endpointId: string }) => endpointId),
        [other.id],
        path,
      );
    }
    const count = async (query: string): Promise<unknown> =>
      (await target.call("GET", `/app/lists/attempt/endpoint/e/count?${query}`)).body;
    assert.deepEqual(await count(""), { count: 5, approximated: false });
    assert.deepEqual(await count("status=2&event_types=high"), { count: 2, approximated: false });
    assert.deepEqual(await count("status=1"), { count: 0, approximated: false });

    for (const query of ["status=5", "status_code_class=1", "limit=a", "iterator=atmpt_x", "event_types=a%20b"]) {
      const [loc] = locs(await target.call("GET", `/app/lists/attempt/endpoint/e?${query}`));
      assert.equal(loc?.replace(/\.\[0\]$/, ""), `query.${query.split("=")[0]}`);
    }
    const foreign: Clients = await target.another();
    const app = await svix.application.get("lists");
    assert.equal((await refusal(foreign.svix.messageAttempt.listByEndpoint(app.id, endpoint.id))).status, 404);
    for (const path of ["attempt/endpoint/none", `attempt/msg/${ids[0]}?endpoint_id=none`, "attempt/msg/msg_x"]) {
      assert.equal((await target.call("GET", `/app/lists/${path}`)).status, 404, path);
    }
  });

  test(`${name}: an attempt shows its headers, is read only under its own message and is expunged (scenario 24)`, async (t) => {
    const target = await open();
    const { svix, svix2 } = target;
    await svix.application.create({ name: "One", uid: "one" });
    const receiver = await httpReceiver();
    t.after(() => receiver.close());
    receiver.answer({ status: 200, body: "secret answer", headers: { "x-answer": "1", "www-authenticate": "x" } });
    await svix2.endpoint.create("one", {
      url: receiver.url,
      uid: "e",
      headers: { Authorization: "Bearer secret", "X-Own": "yes" },
    });
    const message = await svix.message.create("one", { eventType: "x", payload: {} });
    const another = await svix.message.create("one", { eventType: "x", payload: {} });
    const [attempt] = await attemptsOf(target, "one", message.id, 1);
    const id = attempt?.id as string;
    const { body } = await target.call("GET", `/app/one/msg/${message.id}/attempt/${id}/headers`);
    assert.equal(body.sentHeaders["X-Own"], "yes");
    assert.equal(body.sentHeaders["svix-id"], message.id);
    assert.deepEqual(body.sensitive, ["Authorization"]);
    const answered = new Map(body.responseHeaders as [string, string][]);
    assert.equal(answered.get("x-answer"), "1");
    assert.ok(!JSON.stringify(body).includes("Bearer secret") && !answered.has("www-authenticate"));
    // What is shown to nobody is not kept either: the endpoint's own copy of it is sealed, this one would not be.
    const { messages, applications } = target.app.engine.webhooks;
    const environmentId = target.environment.id;
    const application = await applications.read(environmentId, { uid: "one" });
    const filter = { messageId: fromKsuid("msg", "msg", message.id) as MessageId };
    const walk = { limit: 1, from: null, order: "ascending" } as const;
    const kept = await messages.listAttempts(environmentId, application?.id as AppId, filter, walk);
    assert.equal(kept.items[0]?.sentHeaders.Authorization, "");
    assert.doesNotMatch(JSON.stringify(kept), /Bearer secret|www-authenticate/);
    assert.equal((await refusal(svix.messageAttempt.get("one", another.id, id))).status, 404);
    assert.equal((await refusal(svix.messageAttempt.get("one", message.id, "atmpt_x"))).status, 404);

    const { token } = await svix.authentication.appPortalAccess("one", {});
    const portal = target.with(token);
    assert.equal((await portal.svix.messageAttempt.get("one", message.id, id)).response, "secret answer");
    assert.equal((await refusal(portal.svix.messageAttempt.expungeContent("one", message.id, id))).status, 403);
    await svix2.messageAttempt.expungeContent("one", message.id, id);
    await svix.messageAttempt.expungeContent("one", message.id, id);
    const after = await svix.messageAttempt.get("one", message.id, id);
    assert.deepEqual([after.response, after.responseStatusCode], ["EXPUNGED", 200]);
  });

  test(`${name}: endpoints of a message are listed in order, deleted ones as well (scenario 31)`, async (t) => {
    const target = await open();
    const { svix, svix2 } = target;
    await svix.application.create({ name: "One", uid: "tried" });
    const receiver = await httpReceiver();
    t.after(() => receiver.close());
    receiver.answer((request, response) => response.writeHead(request.url === "/1" ? 500 : 200).end());
    const endpoints: string[] = [];
    for (let i = 0; i < 3; i++) {
      const made = await svix.endpoint.create("tried", { url: `${receiver.url}/${i}`, rateLimit: 10 + i });
      endpoints.push(made.id);
    }
    await svix.endpoint.create("tried", { url: receiver.url, channels: ["other"] });
    const { id } = await svix.message.create("tried", { eventType: "x", payload: {} });
    await attemptsOf(target, "tried", id, 3);
    await svix.endpoint.delete("tried", endpoints[2] as string);
    const whole = await svix.messageAttempt.listAttemptedDestinations("tried", id);
    assert.deepEqual(
      whole.data.map((row) => row.id),
      endpoints,
    );
    assert.equal(whole.done, true);
    assert.deepEqual(
      whole.data.map(({ status, statusText, nextAttempt }) => [status, statusText, nextAttempt === null]),
      [
        [0, "success", true],
        [2, "fail", false],
        [0, "success", true],
      ],
    );
    const found: string[] = [];
    for (let iterator: string | null = null, done = false; !done; ) {
      const page: Awaited<ReturnType<typeof svix2.messageAttempt.listAttemptedDestinations>> =
        await svix2.messageAttempt.listAttemptedDestinations("tried", id, { limit: 1, iterator });
      found.push(...page.data.map((row) => row.id));
      assert.equal(page.data.length, 1);
      ({ done, iterator } = page);
    }
    assert.deepEqual(found, endpoints);
    assert.equal(whole.data[1]?.rateLimit, 11);
    const again = await svix2.messageAttempt.listAttemptedDestinations("tried", id);
    assert.equal(again.data[1]?.throttleRate, 11);
    assert.equal((await svix.messageAttempt.listByEndpoint("tried", endpoints[2] as string)).data.length, 1);
    assert.equal((await refusal(svix.messageAttempt.resend("tried", id, endpoints[2] as string))).status, 404);
  });

  test(`${name}: resending makes exactly one more attempt (scenario 32)`, async (t) => {
    const target = await open();
    const { svix, svix2 } = target;
    await svix.application.create({ name: "One", uid: "again" });
    const receiver = await httpReceiver();
    t.after(() => receiver.close());
    const { id: endpoint } = await svix.endpoint.create("again", { url: receiver.url, uid: "e", channels: ["none"] });
    const { id } = await svix.message.create("again", { eventType: "x", payload: { a: 1 }, eventId: "mine" });
    receiver.answer({ status: 500 });
    const answer = await target.call("POST", "/app/again/msg/mine/endpoint/e/resend");
    assert.deepEqual([answer.status, answer.body], [202, {}]);
    const [first] = await attemptsOf(target, "again", id, 1);
    assert.deepEqual([first?.triggerType, first?.status, first?.endpointId], [1, 2, endpoint]);
    receiver.answer({ status: 200 });
    await svix2.messageAttempt.resend("again", id, endpoint);
    const both = await attemptsOf(target, "again", id, 2);
    assert.deepEqual(
      both.map(({ triggerType, status }) => [triggerType, status]),
      [
        [1, 0],
        [1, 2],
      ],
    );
    assert.deepEqual(
      receiver.requests.map(({ text }) => text),
      ['{"a":1}', '{"a":1}'],
    );

    await svix.endpoint.patch("again", "e", { disabled: true });
    await svix.messageAttempt.resend("again", id, "e");
    await svix.endpoint.patch("again", "e", { disabled: false });
    await svix.messageAttempt.resend("again", id, "e");
    await attemptsOf(target, "again", id, 3);

    const { token } = await svix.authentication.appPortalAccess("again", { capabilities: ["ViewBase"] as never });
    assert.equal((await refusal(target.with(token).svix.messageAttempt.resend("again", id, "e"))).status, 403);
    assert.equal((await refusal(svix.messageAttempt.resend("again", "msg_none", "e"))).status, 404);
    assert.equal((await refusal(svix.messageAttempt.resend("again", id, "none"))).status, 404);
  });

  test(`${name}: a test attempt is made at once, at one endpoint, once`, async (t) => {
    const target = await open();
    const { svix } = target;
    await svix.application.create({ name: "One", uid: "test" });
    const [one, two] = [await httpReceiver(), await httpReceiver()];
    t.after(() => Promise.all([one.close(), two.close()]));
    const endpoint = await svix.endpoint.create("test", { url: one.url, uid: "e", channels: ["c"] });
    await svix.endpoint.create("test", { url: two.url });
    one.answer({ status: 418, body: "no coffee" });
    const path = "/app/test/endpoint/e/msg/test-attempt";
    const { status, body } = await target.call("POST", path, '{"eventType":"x","payload":{"n": 1.0}}');
    assert.equal(status, 201);
    assert.deepEqual(
      [body.endpointId, body.responseStatusCode, body.response, body.status, body.triggerType],
      [endpoint.id, 418, "no coffee", 2, 1],
    );
    assert.equal(one.requests[0]?.text, '{"n": 1.0}');
    assert.deepEqual((await attemptsOf(target, "test", body.msgId, 1))[0]?.id, body.id);
    await svix.endpoint.patch("test", "e", { disabled: true });
    assert.equal((await target.call("POST", path, { eventType: "x", payload: {} })).body.code, "endpoint_disabled");
    assert.deepEqual(locs(await target.call("POST", path, { eventType: "x" })), ["body.payload"]);
    // What comes later has come alone: nothing was sent to the other endpoint.
    await svix.message.create("test", { eventType: "x", payload: { last: true } });
    assert.equal((await two.received(1))[0]?.text, '{"last":true}');
  });
});

for (const dialect of DIALECTS) {
  test(`${dialect}: messages of an endpoint are listed by how they fare (scenario 30)`, async (t) => {
    const target = await svixFor(t, { dialect, env: ONE_RETRY });
    const { svix, svix2, clock } = target;
    await svix.application.create({ name: "One", uid: "a" });
    const receiver = await httpReceiver();
    t.after(() => receiver.close());
    receiver.answer((request, response) => response.writeHead(JSON.parse(request.text).status).end());
    await svix.endpoint.create("a", { url: receiver.url, uid: "e" });
    const send = async (status: number): Promise<string> => {
      const { id } = await svix.message.create("a", { eventType: "x", payload: { status }, tags: [`s${status}`] });
      await attemptsOf(target, "a", id, 1);
      return id;
    };
    const good = await send(200);
    const bad = await send(500);
    const healed = await send(501);
    clock.advance(LATER_MS);
    await attemptsOf(target, "a", bad, 2);
    const [last, first] = await attemptsOf(target, "a", healed, 2);
    assert.ok(first !== undefined && last !== undefined && last.timestamp > first.timestamp);
    receiver.answer({ status: 200 });
    await svix.messageAttempt.resend("a", healed, "e");
    await attemptsOf(target, "a", healed, 3);
    receiver.answer({ status: 502 });
    const waiting = await send(502);
    await settled(target, [good, bad, healed, waiting]);

    const listed = async (options: Parameters<typeof svix.messageAttempt.listAttemptedMessages>[2]) =>
      (await svix.messageAttempt.listAttemptedMessages("a", "e", options)).data;
    const of = async (status: number): Promise<string[]> =>
      (await listed({ status: status as never })).map(({ id }) => id);
    assert.deepEqual(await of(0), [healed, good]);
    assert.deepEqual(await of(1), []);
    assert.deepEqual(await of(2), [bad]);
    assert.deepEqual(await of(3), [waiting]);
    assert.deepEqual(await of(4), []);
    const all = await listed({});
    assert.deepEqual(
      all.map(({ id, status, statusText, nextAttempt }) => [id, status, statusText, nextAttempt !== null]),
      [
        [waiting, 3, "sending", true],
        [healed, 0, "success", false],
        [bad, 2, "fail", false],
        [good, 0, "success", false],
      ],
    );
    const next = all[0]?.nextAttempt?.getTime() ?? 0;
    assert.ok(next >= clock.now() + 8_000 && next <= clock.now() + 12_000);
    assert.deepEqual(all[0]?.payload, { status: 502 });
    assert.deepEqual(
      (await listed({ withContent: false, tag: "s500" })).map(({ id, payload }) => [id, payload]),
      [[bad, {}]],
    );
    const page = await svix2.messageAttempt.listAttemptedMessages("a", "e", { limit: 3 });
    assert.equal(page.done, false);
    const rest = await svix.messageAttempt.listAttemptedMessages("a", "e", { iterator: page.iterator });
    assert.deepEqual(
      rest.data.map(({ id }) => id),
      [good],
    );
    const [row] = (await svix2.messageAttempt.listAttemptedDestinations("a", waiting)).data;
    assert.deepEqual([row?.status, row?.nextAttempt?.getTime()], [2, next], "what the latest try came to");
  });

  test(`${dialect}: what a transformation cancels counts as a success unless it is asked for by name`, async (t) => {
    const target = await svixFor(t, { dialect, env: ONE_RETRY });
    const { svix, svix2 } = target;
    await svix.application.create({ name: "One", uid: "a" });
    const receiver: HttpReceiver = await httpReceiver();
    t.after(() => receiver.close());
    await svix.endpoint.create("a", { url: receiver.url, uid: "e" });
    const code = "function handler(webhook) { webhook.cancel = true; return webhook; }";
    await svix2.endpoint.transformation.patch("a", "e", { code, enabled: true });
    const { id } = await svix.message.create("a", { eventType: "x", payload: {} });
    const [attempt] = await attemptsOf(target, "a", id, 1);
    assert.deepEqual([attempt?.status, attempt?.statusText, attempt?.responseStatusCode], [4, "canceled", 0]);
    const plain = await target.call("GET", `/app/a/attempt/endpoint/e`);
    assert.deepEqual([plain.body.data[0].status, plain.body.data[0].statusText], [0, "success"]);
    const count = async (query: string): Promise<number> =>
      (await target.call("GET", `/app/a/attempt/endpoint/e?${query}`)).body.data.length;
    assert.deepEqual(
      [
        await count("status=0"),
        await count("status=4"),
        await count("status=0&expanded_statuses=true"),
        await count("status=4&expanded_statuses=true"),
      ],
      [1, 0, 0, 1],
    );
    await settled(target, [id]);
    assert.equal((await svix.messageAttempt.listAttemptedMessages("a", "e", { status: 4 })).data[0]?.id, id);
    assert.equal(receiver.requests.length, 0);
    assert.deepEqual(await svix.endpoint.getStats("a", "e"), {
      success: 0,
      pending: 0,
      sending: 0,
      fail: 0,
      canceled: 1,
    });
  });
}

/** Waits until the endpoint's list has them all: an attempt is there with the commit that ends its try. */
async function settled(target: SvixTarget, ids: readonly string[]): Promise<void> {
  await eventually(
    () => target.svix.messageAttempt.listAttemptedMessages("a", "e"),
    ({ data }) => ids.every((id) => data.some((row) => row.id === id)),
    "the messages of the endpoint",
  );
}
