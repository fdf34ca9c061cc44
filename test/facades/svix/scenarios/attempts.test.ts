/** Reading what was tried and what came of it: scenarios 29–31. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { locs, refusal } from "../eventually.ts";
import { answerByPath, DAY, forEachSpeaker, HOUR, MINUTE, SECOND } from "./scenario.ts";

forEachSpeaker({ env: { CARILLON_WEBHOOK_RETRY_SECONDS: "60" }, roll: () => 0.5 }, (who, open) => {
  test(`${who}: 29. Attempt lists by message and by endpoint, with each filter`, async (t) => {
    const { svix, call, clock, idle, ...scene } = await open(t);
    const receiver = await scene.receiver();
    const app = await scene.app();
    const { id: one } = await scene.endpoint(app, { url: `${receiver.url}/one`, uid: "one" });
    const { id: two } = await scene.endpoint(app, { url: `${receiver.url}/two`, uid: "two", channels: ["both"] });
    // Three messages at two endpoints, then the same message again and again by hand.
    const sent: string[] = [];
    const times: string[] = [];
    const send = async (status: number, message: object): Promise<string> => {
      clock.advance(MINUTE / 2);
      receiver.answer({ status, body: `was ${status}` });
      const { id } = await scene.message(app, message);
      await idle();
      sent.push(id);
      times.push(new Date(clock.now()).toISOString());
      return id;
    };
    await send(200, { eventType: "low", channels: ["both"], tags: ["t/1"] });
    await send(404, { eventType: "low", channels: ["c:d+e"] });
    const third = await send(503, { eventType: "high", tags: ["t/2", "t/1"] });
    /** Of which messages, by their places, and the code of each. */
    const at = async (path: string, query = ""): Promise<[number, number][]> => {
      const { status, body, text } = await call("GET", `/app/${app}/attempt/${path}?${query}`);
      assert.equal(status, 200, text);
      return body.data.map((a: { msgId: string; responseStatusCode: number }) => [
        sent.indexOf(a.msgId),
        a.responseStatusCode,
      ]);
    };
    const byOne = (query: string) => at(`endpoint/${query.length % 2 === 0 ? "one" : one}`, query);
    // The retries of those that failed.
    receiver.answer({ status: 302 });
    await scene.pass(31 * SECOND);
    await scene.pass(31 * SECOND);
    assert.deepEqual(await byOne(""), [
      [2, 302],
      [1, 302],
      [2, 503],
      [1, 404],
      [0, 200],
    ]);
    const codes = async (query: string): Promise<number[]> => (await byOne(query)).map(([, code]) => code);
    assert.deepEqual(await codes("status=0"), [200]);
    assert.deepEqual(await codes("status=2"), [302, 302, 503, 404]);
    for (const status of [1, 3, 4]) assert.deepEqual(await codes(`status=${status}`), []);
    assert.deepEqual(await codes("status_code_class=0"), []);
    assert.deepEqual(await codes("status_code_class=100"), []);
    assert.deepEqual(await codes("status_code_class=200"), [200]);
    assert.deepEqual(await codes("status_code_class=300"), [302, 302]);
    assert.deepEqual(await codes("status_code_class=400"), [404]);
    assert.deepEqual(await codes("status_code_class=500"), [503]);
    for (const types of [
      "event_types=low,no",
      "event_types=no&event_types=low",
      "event_types[]=low",
      "event_types[0]=low",
    ]) {
      assert.deepEqual(await codes(types), [302, 404, 200], types);
      assert.deepEqual(await codes(encodeURI(types)), [302, 404, 200], types);
      assert.deepEqual((await at(`msg/${sent[1]}`, types)).length, 2, types);
      assert.deepEqual(await at(`msg/${third}`, types), [], types);
    }
    assert.deepEqual(await codes("channel=c:d%2Be"), [302, 404]);
    assert.deepEqual(await codes("channel=c"), []);
    assert.deepEqual(await codes("tag=t/1"), [302, 503, 200]);
    assert.deepEqual(await codes("tag=t%2F2&status=2"), [302, 503]);
    const [first, second, last] = times as [string, string, string];
    assert.deepEqual(await codes(`before=${second}`), [200]);
    assert.deepEqual(await codes(`after=${first}`), [302, 302, 503, 404]);
    assert.deepEqual(await codes(`after=${first}&before=${last}`), [404]);
    assert.deepEqual(await codes(`after=${first}&limit=2`), [503, 404], "the oldest page, newest first");
    assert.deepEqual(await codes("limit=2"), [302, 302]);
    assert.deepEqual(await codes(`after=${last}&before=${last}`), []);
    assert.deepEqual(
      await codes(`status=2&status_code_class=400&event_types=low&channel=c:d%2Be&after=${first}`),
      [404],
    );

    // By message: the same filters, and the endpoint.
    const message = `msg/${sent[0]}`;
    assert.equal((await at(message)).length, 2);
    for (const key of [two, "two"]) {
      const { body } = await call("GET", `/app/${app}/attempt/${message}?endpoint_id=${key}`);
      assert.deepEqual(
        body.data.map(({ endpointId }: { endpointId: string }) => endpointId),
        [two],
      );
      const listed = await svix.messageAttempt.listByMsg(app, sent[0] as string, { endpointId: key });
      assert.deepEqual(
        listed.data.map(({ endpointId }) => endpointId),
        [two],
      );
    }
    assert.deepEqual(await at(`msg/${third}`, "status=2&status_code_class=300"), [[2, 302]]);
    assert.deepEqual(await at(`msg/${third}`, "tag=t/2&limit=1"), [[2, 302]]);
    assert.deepEqual(await at(`msg/${third}`, `before=${last}`), []);
    assert.deepEqual(await at(`msg/${third}`, `after=${second}&limit=1`), [[2, 503]]);
    assert.deepEqual(await at(`msg/${sent[1]}`, "channel=c:d%2Be&status_code_class=400"), [[1, 404]]);
    assert.deepEqual(await at(`msg/${sent[1]}`, "channel=both"), []);

    // Through the SDK, whose spellings of all that are its own.
    const options = { status: 2, statusCodeClass: 500, eventTypes: ["high", "low"], tag: "t/2", limit: 1 } as never;
    const found = await svix.messageAttempt.listByEndpoint(app, "one", options);
    assert.deepEqual(
      found.data.map(({ responseStatusCode }) => responseStatusCode),
      [503],
    );
    const window = { after: new Date(first), before: new Date(last), withContent: true };
    const within = await svix.messageAttempt.listByEndpoint(app, one, window);
    assert.deepEqual(
      within.data.map(({ response }) => response),
      ["was 404"],
    );
    const bare = await svix.messageAttempt.listByEndpoint(app, one, { ...window, withContent: false });
    assert.deepEqual(
      bare.data.map(({ response }) => response),
      ["{}"],
    );
    for (const path of ["endpoint/one", `msg/${sent[1]}`]) {
      const { body } = await call("GET", `/app/${app}/attempt/${path}?with_content=false&status_code_class=400`);
      assert.deepEqual(
        body.data.map(({ response }: { response: string }) => response),
        ["{}"],
      );
    }
    const plain = await call("GET", `/app/${app}/attempt/endpoint/one?status_code_class=400`);
    assert.equal(plain.body.data[0].response, "was 404", "content is shown by default");
    const withMsg = await svix.messageAttempt.listByEndpoint(app, one, {
      withMsg: true,
      withContent: true,
      tag: "t/2",
    });
    assert.deepEqual(withMsg.data[0]?.msg, await svix.message.get(app, third, { withContent: true }));

    // Walked with a filter, forwards and back.
    const walked: number[] = [];
    let iterator: string | null = null;
    for (let done = false; !done; ) {
      const page: Awaited<ReturnType<typeof svix.messageAttempt.listByEndpoint>> =
        await svix.messageAttempt.listByEndpoint(app, one, { limit: 1, status: 2, iterator });
      walked.push(...page.data.map(({ responseStatusCode }) => responseStatusCode));
      ({ done, iterator } = page);
    }
    assert.deepEqual(walked, [302, 302, 503, 404]);
    const back = await svix.messageAttempt.listByEndpoint(app, one, { limit: 2, status: 2, iterator: `-${iterator}` });
    assert.deepEqual([back.data.map(({ responseStatusCode }) => responseStatusCode), back.done], [[302, 503], false]);

    const wrong =
      "status=5&status_code_class=1&limit=251&iterator=x&before=y&after=z&channel=%20&tag=%00&event_types=a%20b";
    for (const path of ["endpoint/one", `msg/${third}`]) {
      const found = locs(await call("GET", `/app/${app}/attempt/${path}?${wrong}`));
      const names = new Set(found.map((loc) => loc.replace(/\.\[\d\]$/, "")));
      assert.equal(names.size, 9, [...names].join());
    }
    assert.equal((await call("GET", `/app/${app}/attempt/${message}?endpoint_id=nobody`)).body.data?.length ?? 0, 0);
  });

  test(`${who}: 30. Attempted messages by how they fare`, async (t) => {
    const { svix, clock, idle, ...scene } = await open(t);
    const receiver = await scene.receiver();
    const app = await scene.app();
    const { id: endpoint } = await scene.endpoint(app, { url: `${receiver.url}/e`, uid: "e" });
    const send = async (...codes: [number, ...number[]]): Promise<string> => {
      const [first, ...rest] = codes.map((status) => ({ status }));
      receiver.answer(first as { status: number }, ...rest);
      const { id } = await scene.message(app, { payload: { codes } });
      await idle();
      return id;
    };
    const bad = await send(500, 500);
    await scene.pass(MINUTE);
    const late = await send(500, 200);
    await scene.pass(MINUTE);
    const healed = await send(500, 500);
    await scene.pass(MINUTE);
    receiver.answer({ status: 200 });
    await svix.messageAttempt.resend(app, healed, endpoint);
    await idle();
    const good = await send(200);
    // What got through once stays a success, whatever a resend comes to.
    const spoilt = await send(200);
    receiver.answer({ status: 500 });
    await svix.messageAttempt.resend(app, spoilt, "e");
    await idle();
    const waiting = await send(500);
    const by = async (status: number): Promise<string[]> => {
      const page = await svix.messageAttempt.listAttemptedMessages(app, "e", { status: status as never });
      assert.equal(page.done, true);
      return page.data.map(({ id }) => id);
    };
    const ids = { bad, late, healed, good, spoilt, waiting };
    const named = async (status: number): Promise<string[]> =>
      (await by(status)).map((id) => Object.entries(ids).find(([, one]) => one === id)?.[0] ?? id);
    assert.deepEqual(await named(0), ["spoilt", "good", "healed", "late"]);
    assert.deepEqual(await named(1), []);
    assert.deepEqual(await named(2), ["bad"]);
    assert.deepEqual(await named(3), ["waiting"]);
    assert.deepEqual(await named(4), []);
    const { data } = await svix.messageAttempt.listAttemptedMessages(app, endpoint, { withContent: true });
    const [first] = data;
    assert.deepEqual([first?.id, first?.status, first?.statusText], [waiting, 3, "sending"]);
    assert.equal(first?.nextAttempt?.getTime(), clock.now() + MINUTE);
    assert.deepEqual(first?.payload, { codes: [500] });
    assert.deepEqual(
      data.slice(1).map(({ nextAttempt }) => nextAttempt ?? null),
      Array(5).fill(null),
    );
    // What is waiting has failed once it has been tried in vain again, or has got through.
    await scene.pass(MINUTE);
    assert.deepEqual(await named(2), ["waiting", "bad"]);
    assert.deepEqual(await named(3), []);
    const window = { after: new Date(0), before: new Date(clock.now() - HOUR) };
    assert.deepEqual((await svix.messageAttempt.listAttemptedMessages(app, "e", window)).data, []);
  });

  test(`${who}: 31. Attempted endpoints: one row each, ascending, deleted ones too`, async (t) => {
    const { svix, idle, ...scene } = await open(t);
    const receiver = await scene.receiver();
    const app = await scene.app();
    const ids: string[] = [];
    for (let i = 0; i < 4; i++) {
      const { id } = await scene.endpoint(app, { url: `${receiver.url}/${i}`, uid: `e${i}`, description: `nr ${i}` });
      ids.push(id);
    }
    await scene.endpoint(app, { url: `${receiver.url}/never`, channels: ["other"] });
    answerByPath(receiver, { 1: 500 });
    const { id } = await scene.message(app);
    await idle();
    await svix.messageAttempt.resend(app, id, ids[0] as string);
    await scene.pass(MINUTE);
    await svix.endpoint.delete(app, "e2");
    assert.deepEqual(ids, [...ids].sort());
    const whole = await svix.messageAttempt.listAttemptedDestinations(app, id);
    assert.deepEqual(
      whole.data.map((row) => row.id),
      ids,
    );
    assert.deepEqual(
      whole.data.map(({ status }) => status),
      [0, 2, 0, 0],
    );
    assert.equal(whole.data[2]?.description, "nr 2");
    const pages: string[][] = [];
    let iterator: string | null = null;
    for (let done = false; !done; ) {
      const page: typeof whole = await svix.messageAttempt.listAttemptedDestinations(app, id, { limit: 1, iterator });
      pages.push(page.data.map((row) => row.id));
      ({ done, iterator } = page);
    }
    assert.deepEqual(
      pages,
      ids.map((one) => [one]),
    );
    const back = await svix.messageAttempt.listAttemptedDestinations(app, id, { limit: 2, iterator: `-${iterator}` });
    assert.deepEqual([back.data.map((row) => row.id), back.done], [ids.slice(1, 3), false]);
    const [left] = await scene.attempts(app, id);
    assert.equal(left?.url, `${receiver.url}/0`);
    const { data } = await svix.messageAttempt.listByEndpoint(app, ids[2] as string);
    assert.deepEqual(
      data.map(({ endpointId }) => endpointId),
      [ids[2]],
    );
    assert.equal((await refusal(svix.messageAttempt.listByEndpoint(app, "e2"))).status, 404, "its uid is free again");
  });

  test(`${who}: lists look back 90 days unless they are told from when (§A.8)`, async (t) => {
    const { svix, call, clock, idle, ...scene } = await open(t);
    const receiver = await scene.receiver();
    const app = await scene.app();
    await scene.endpoint(app, { url: receiver.url, uid: "e" });
    const start = clock.now();
    const ids: string[] = [];
    for (let month = 0; month < 5; month++) {
      ids.push((await scene.message(app)).id);
      await idle();
      clock.advance(30 * DAY);
    }
    const lists = async (query: string): Promise<number[]> => {
      const found: number[][] = [];
      for (const path of ["msg", "attempt/endpoint/e", "endpoint/e/msg"]) {
        const { body } = await call("GET", `/app/${app}/${path}?${query}`);
        found.push(body.data.map(({ msgId, id }: { msgId?: string; id: string }) => ids.indexOf(msgId ?? id)));
      }
      assert.deepEqual(found[1], found[0], query);
      assert.deepEqual(found[2], found[0], query);
      return found[0] as number[];
    };
    const at = (days: number): string => new Date(start + days * DAY).toISOString();
    clock.advance(-SECOND);
    assert.deepEqual(await lists(""), [4, 3, 2]);
    assert.deepEqual(await lists(`before=${at(75)}`), [2, 1, 0]);
    assert.deepEqual(await lists(`after=${at(15)}`), [3, 2, 1]);
    assert.deepEqual(await lists(`after=${at(-1)}&limit=2`), [1, 0], "the oldest page of the time, newest first");
    assert.deepEqual(await lists(`after=${at(-1)}&before=${at(200)}`), [4, 3, 2, 1, 0]);
    assert.deepEqual(await lists(`before=${at(-1)}`), []);
    // An iterator of long ago is looked back from.
    const old = await svix.message.list(app, { iterator: ids[2] as string });
    assert.deepEqual(
      old.data.map(({ id }) => ids.indexOf(id)),
      [1, 0],
    );
    clock.advance(SECOND);
  });
});
