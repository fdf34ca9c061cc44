import assert from "node:assert/strict";
import { test } from "node:test";
import { ApiException } from "svix";
import { ApiException as ApiException2 } from "svix2";
import { type Clients, forEachSvix, type SvixTarget } from "./svix-target.ts";

const ID = /^app_[0-9A-Za-z]{27}$/;

/** What a refused call was answered, through either SDK. */
async function refusal(call: Promise<unknown>): Promise<{ status: number; body: unknown }> {
  try {
    await call;
  } catch (error) {
    assert.ok(error instanceof ApiException || error instanceof ApiException2, String(error));
    return { status: error.code, body: error.body };
  }
  throw new assert.AssertionError({ message: "The call was not refused" });
}

function locs(body: { detail: { loc: string[] }[] }): string[] {
  return body.detail.map(({ loc }) => loc.join("."));
}

/** Ids of every page of `/app`, forwards. */
async function pages(target: Clients, query: string): Promise<{ uids: string[]; done: boolean; prev: string }[]> {
  const found: { uids: string[]; done: boolean; prev: string }[] = [];
  let iterator: string | null = null;
  do {
    const at: string = iterator === null ? "" : `&iterator=${iterator}`;
    const { status, body } = await target.call("GET", `/app?${query}${at}`);
    assert.equal(status, 200);
    found.push({
      uids: body.data.map(({ uid }: { uid: string }) => uid),
      done: body.done,
      prev: body.prevIterator,
    });
    iterator = body.done ? null : body.iterator;
  } while (iterator !== null);
  return found;
}

forEachSvix((name, open) => {
  test(`${name}: an application is created, read by id and uid, replaced, changed and deleted (scenario 1)`, async () => {
    const target = await open();
    const { svix, svix2 } = target;
    const made = await svix.application.create({ name: "One", uid: "life", rateLimit: 7 });
    assert.match(made.id, ID);
    assert.deepEqual([made.uid, made.name, made.rateLimit, made.throttleRate], ["life", "One", 7, 7]);
    assert.deepEqual(made.metadata, {});
    assert.deepEqual(await svix.application.get(made.id), made);
    assert.deepEqual(await svix.application.get("life"), made);
    assert.deepEqual((await svix2.application.get("life")).throttleRate, 7);
    assert.equal(made.createdAt.getTime(), target.clock.now());

    await target.clock.advance(1_000);
    const replaced = await svix2.application.upsert("life", { name: "Uno", uid: "life" });
    assert.deepEqual([replaced.id, replaced.name, replaced.throttleRate], [made.id, "Uno", null]);
    assert.ok(replaced.updatedAt > replaced.createdAt);
    const patched = await svix.application.patch(made.id, { metadata: { tier: "gold" } });
    assert.deepEqual([patched.name, patched.uid, patched.metadata], ["Uno", "life", { tier: "gold" }]);

    assert.equal(await svix.application.delete("life"), undefined);
    for (const key of [made.id, "life"]) {
      assert.deepEqual(await refusal(svix2.application.get(key)), {
        status: 404,
        body: { code: "not_found", detail: "Entity not found" },
      });
    }
    assert.equal((await refusal(svix.application.delete(made.id))).status, 404);
    assert.equal((await refusal(svix.application.patch(made.id, { name: "x" }))).status, 404);
  });

  test(`${name}: a uid is unique in its environment, and free again after a deletion (scenario 2)`, async () => {
    const target = await open();
    const { svix, svix2 } = target;
    const first = await svix.application.create({ name: "First", uid: "once" });
    assert.deepEqual((await refusal(svix2.application.create({ name: "Second", uid: "once" }))).status, 409);
    const again = await target.call("POST", "/app?get_if_exists=true", { name: "Second", uid: "once" });
    assert.deepEqual([again.status, again.body.id, again.body.name], [200, first.id, "First"]);
    assert.equal((await svix2.application.getOrCreate({ name: "Third", uid: "once" })).id, first.id);
    const fresh = await target.call("POST", "/app?get_if_exists=true", { name: "New", uid: "twice" });
    assert.equal(fresh.status, 201);
    assert.equal((await target.call("PATCH", "/app/twice", { uid: "once" })).status, 409);
    assert.equal((await target.call("PUT", "/app/twice", { name: "x", uid: "once" })).status, 409);

    await svix.application.delete("once");
    const second = await svix2.application.create({ name: "Second", uid: "once" });
    assert.notEqual(second.id, first.id);
    const other = await target.another();
    assert.equal((await other.call("POST", "/app", { name: "Other", uid: "once" })).status, 201);
    assert.equal((await other.call("GET", `/app/${second.id}`)).status, 404);

    const refused = await target.call("POST", "/app", { name: "x", uid: "app_mine" });
    assert.equal(refused.status, 422);
    assert.deepEqual(refused.body.detail[0].loc.slice(0, 2), ["body", "uid"]);
  });

  test(`${name}: of ten calls at once with get_if_exists one creates`, async () => {
    const target = await open();
    const call = () => target.call("POST", "/app?get_if_exists=true", { name: "Race", uid: "race" });
    const answers = await Promise.all(Array.from({ length: 10 }, call));
    assert.deepEqual(answers.map(({ status }) => status).sort(), [...Array(9).fill(200), 201]);
    assert.equal(new Set(answers.map(({ body }) => body.id)).size, 1);
  });

  test(`${name}: PUT to what is not there makes a new one and ignores the path (scenario 3)`, async () => {
    const target = await open();
    const made = await target.call("PUT", "/app/nobody", { name: "New" });
    assert.deepEqual([made.status, made.body.uid], [201, null]);
    assert.match(made.body.id, ID);
    assert.equal((await target.call("GET", "/app/nobody")).status, 404);
    const gone = await target.call("POST", "/app", { name: "x" });
    await target.call("DELETE", `/app/${gone.body.id}`);
    const anew = await target.call("PUT", `/app/${gone.body.id}`, { name: "x", uid: "from-body" });
    assert.deepEqual([anew.status, anew.body.uid], [201, "from-body"]);
    assert.notEqual(anew.body.id, gone.body.id);
  });

  test(`${name}: PATCH keeps what is absent, and null clears (scenario 4)`, async () => {
    const target = await open();
    const { body: made } = await target.call("POST", "/app", {
      name: "Patched",
      uid: "patched",
      throttleRate: 5,
      metadata: { a: "1" },
    });
    const patch = async (body: object) => (await target.call("PATCH", `/app/${made.id}`, body)).body;
    const { updatedAt: _at, ...same } = await patch({});
    assert.deepEqual({ ...same, updatedAt: made.updatedAt }, made);
    assert.equal((await patch({ uid: null })).uid, null);
    assert.equal((await target.call("GET", "/app/patched")).status, 404);
    assert.equal((await patch({ uid: "patched-2" })).uid, "patched-2");
    const cleared = await patch({ rateLimit: null, metadata: null });
    assert.deepEqual([cleared.throttleRate, cleared.rateLimit, cleared.metadata], [null, null, {}]);
    // Of two spellings at once the newer one counts.
    assert.equal((await patch({ throttleRate: 3, rateLimit: 9 })).rateLimit, 3);

    for (const [bad, loc] of [
      [{ name: null }, "body.name"],
      [{ name: "" }, "body.name"],
      [{ name: "a\u0007b" }, "body.name"],
      [{ throttleRate: 0 }, "body.throttleRate"],
      [{ rateLimit: 65_536 }, "body.rateLimit"],
      [{ rateLimit: 1.5 }, "body.rateLimit"],
      [{ metadata: { k: "x".repeat(4_096) } }, "body.metadata"],
      [{ metadata: { k: 1 } }, "body.metadata.k"],
      [{ uid: "with space" }, "body.uid.__all__"],
    ] as const) {
      const { status, body } = await target.call("PATCH", `/app/${made.id}`, bad);
      assert.deepEqual([status, locs(body)], [422, [loc]], JSON.stringify(bad).slice(0, 80));
    }
  });

  test(`${name}: all that is wrong is listed at once, and nothing strange is a fault of ours`, async () => {
    const target = await open();
    const many = await target.call("POST", "/app", { uid: "", rateLimit: "5", metadata: [] });
    assert.equal(many.status, 422);
    assert.deepEqual(locs(many.body).sort(), ["body.metadata", "body.name", "body.rateLimit", "body.uid.__all__"]);
    for (const body of ["[]", "null", '"x"', "{", '{"name":"\\u0000"}', '{"name":"\\ud800"}', '{"name":{"a":{}}}']) {
      assert.equal((await target.call("POST", "/app", body)).status, 422, body);
    }
    const odd = await target.call("POST", "/app", '{"name":"odd","metadata":{"__proto__":"x","constructor":"y"}}');
    assert.ok(odd.status === 201 || odd.status === 422 || odd.status === 400, odd.text);
    for (const key of [
      "__proto__",
      "%00",
      "a%2Fb",
      "%F0%9F%98%80",
      "x".repeat(3_000),
      "app_000000000000000000000000000",
    ]) {
      assert.equal((await target.call("GET", `/app/${key}`)).status, 404, key);
    }
  });

  test(`${name}: a list is walked forwards and back in either order (scenarios 6 and 7)`, async () => {
    const target = await open();
    const own = await target.another();
    assert.deepEqual((await own.call("GET", "/app")).body, {
      data: [],
      iterator: null,
      prevIterator: null,
      done: true,
    });
    for (let i = 0; i < 28; i++) await own.call("POST", "/app", { name: "x", uid: `n${i}` });
    const all = Array.from({ length: 28 }, (_, i) => `n${i}`);
    const forward = await pages(own, "limit=10");
    assert.deepEqual(
      forward.map(({ uids, done }) => [uids.length, done]),
      [
        [10, false],
        [10, false],
        [8, true],
      ],
    );
    assert.deepEqual(
      forward.flatMap(({ uids }) => uids),
      all,
    );
    let prev = (forward.at(-1) as { prev: string }).prev;
    for (const [i, done] of [
      [1, false],
      [0, true],
    ] as const) {
      const { body } = await own.call("GET", `/app?limit=10&iterator=${prev}`);
      assert.deepEqual(
        body.data.map(({ uid }: { uid: string }) => uid),
        forward[i]?.uids,
      );
      assert.equal(body.done, done);
      prev = body.prevIterator;
    }
    const descending = await pages(own, "limit=10&order=descending");
    assert.deepEqual(
      descending.flatMap(({ uids }) => uids),
      all.toReversed(),
    );
    for (const [query, loc] of [
      ["limit=251", "query.limit"],
      ["limit=0", "query.limit"],
      ["iterator=nonsense", "query.iterator"],
      ["order=sideways", "query.order"],
      ["exclude_apps_with_no_endpoints=perhaps", "query.exclude_apps_with_no_endpoints"],
    ]) {
      const { status, body } = await own.call("GET", `/app?${query}`);
      assert.deepEqual([status, locs(body)], [422, [loc]]);
    }
  });

  test(`${name}: a list can leave out applications for their endpoints`, async () => {
    const target = await open();
    const own = await target.another();
    const add = async (uid: string, endpoints: readonly object[]) => {
      await own.call("POST", "/app", { name: uid, uid });
      for (const endpoint of endpoints) {
        assert.equal((await own.call("POST", `/app/${uid}/endpoint`, endpoint)).status, 201);
      }
    };
    const play = { url: "https://play.svix.com/in/e_x/" };
    const plain = { url: "https://example.com/" };
    await add("none", []);
    await add("off", [{ ...plain, disabled: true }]);
    await add("play", [play]);
    await add("on", [{ ...plain, disabled: true }, plain]);
    await add("mixed", [plain, play]);
    const left = async (query: string) => (await pages(own, query)).flatMap(({ uids }) => uids);
    assert.deepEqual(await left("exclude_apps_with_no_endpoints=true"), ["off", "play", "on", "mixed"]);
    assert.deepEqual(await left("exclude_apps_with_disabled_endpoints=true"), ["none", "play", "on", "mixed"]);
    assert.deepEqual(await left("exclude_apps_with_svix_play_endpoints=true"), ["none", "off", "on", "mixed"]);
    const all = [
      "exclude_apps_with_no_endpoints=true",
      "exclude_apps_with_disabled_endpoints=true",
      "exclude_apps_with_svix_play_endpoints=true",
    ].join("&");
    assert.deepEqual(await left(`${all}&order=descending&limit=1`), ["mixed", "on"]);
    const last = (await pages(own, `${all}&limit=1`)).at(-1) as { prev: string };
    const back = await own.call("GET", `/app?${all}&limit=1&iterator=${last.prev}`);
    assert.deepEqual([back.body.data[0].uid, back.body.done], ["on", true]);
  });

  test(`${name}: a page of a filtered list looks at a bounded number of applications`, async () => {
    const target = await open();
    const own = await target.another();
    const key = { authorization: undefined };
    assert.equal((await own.call("GET", "/app", undefined, key)).status, 401);
    const batch = (from: number) =>
      Promise.all(Array.from({ length: 100 }, (_, i) => own.call("POST", "/app", { name: `${from + i}` })));
    for (let from = 0; from < 1_100; from += 100) await batch(from);
    await own.call("POST", "/app", { name: "last", uid: "last" });
    await own.call("POST", "/app/last/endpoint", { url: "https://example.com/" });
    const first = await own.call("GET", "/app?exclude_apps_with_no_endpoints=true");
    assert.deepEqual([first.body.data, first.body.done], [[], false]);
    const found = await pages(own, "exclude_apps_with_no_endpoints=true");
    assert.deepEqual(
      found.map(({ uids, done }) => [uids, done]),
      [
        [[], false],
        [["last"], true],
      ],
    );
  });

  test(`${name}: a portal token reads its own application and no other`, async () => {
    const target: SvixTarget = await open();
    const own = await target.svix.application.create({ name: "Own", uid: "own" });
    await target.svix.application.create({ name: "Other", uid: "other" });
    const { token } = await target.svix.authentication.appPortalAccess("own", {});
    const portal = target.with(token);
    assert.equal((await portal.call("GET", `/app/${own.id}`)).status, 200);
    assert.equal((await portal.call("GET", "/app/own")).status, 200);
    assert.equal((await portal.call("GET", "/app/other")).status, 404);
    for (const [method, path, body] of [
      ["GET", "/app", undefined],
      ["POST", "/app", { name: "x" }],
      ["PUT", "/app/own", { name: "x" }],
      ["PATCH", "/app/own", { name: "x" }],
      ["DELETE", "/app/own", undefined],
    ] as const) {
      assert.equal((await portal.call(method, path, body)).status, 403, `${method} ${path}`);
    }
    await target.svix.application.delete("own");
    assert.equal((await portal.call("GET", "/event-type")).status, 401);
  });
});
