/** Lists page by page, both ways: scenarios 6 and 7. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { locs } from "../eventually.ts";
import { forEachSpeaker, HOUR, type Scene, SECOND } from "./scenario.ts";

const URL_ = "https://example.com/";
const COUNT = 28;

type Order = "ascending" | "descending";

/** What both majors' lists have in common. */
interface Listed {
  readonly data: readonly object[];
  readonly iterator?: string | null;
  readonly prevIterator?: string | null;
  readonly done: boolean;
}

interface List {
  /** Through the scene's SDK. @returns its `data` as names. */
  readonly list: (options: { limit?: number; iterator?: string; order?: never }) => Promise<Listed>;
  /** Makes one that is listed under the name; gives what the list is ordered by. */
  readonly make: (name: string) => Promise<unknown>;
  readonly nameOf: (item: never) => string;
  /** When nothing is asked for; null: the list goes by name, whatever is asked for. */
  readonly order: Order | null;
  /** Whether `order` may be asked for. */
  readonly orderable: boolean;
}

async function listsOf(scene: Scene): Promise<{ readonly [what: string]: List }> {
  const { svix } = scene;
  const app = await scene.app("z-parent");
  const code = "function handler(w) { return w }";
  const nameOf = ({ name }: { name: string }) => name;
  const uidOf = ({ uid }: { uid: string }) => uid;
  // The parent of the others is an application, too.
  const elsewhere = await scene.target.another();
  const other = scene.major === 1 ? elsewhere.svix : (elsewhere.svix2 as unknown as typeof elsewhere.svix);
  return {
    endpoints: {
      list: (options) => svix.endpoint.list(app, options),
      make: (uid) => svix.endpoint.create(app, { url: URL_, uid, disabled: true }),
      nameOf: uidOf,
      order: "descending",
      orderable: true,
    },
    "event types": {
      list: (options) => svix.eventType.list(options),
      make: (name) => svix.eventType.create({ name, description: "" }),
      nameOf,
      order: null,
      orderable: true,
    },
    messages: {
      list: (options) => svix.message.list(app, options),
      make: (eventId) => svix.message.create(app, { eventType: "a.b", payload: {}, eventId }),
      nameOf: ({ eventId }: { eventId: string }) => eventId,
      order: "descending",
      orderable: false,
    },
    integrations: {
      list: (options) => svix.integration.list(app, options),
      make: (name) => svix.integration.create(app, { name, featureFlags: [] }),
      nameOf,
      order: "descending",
      orderable: true,
    },
    "operational endpoints": {
      list: (options) => svix.operationalWebhook.endpoint.list(options),
      make: (uid) => svix.operationalWebhook.endpoint.create({ url: URL_, uid, disabled: true }),
      nameOf: uidOf,
      order: "descending",
      orderable: true,
    },
    connectors: {
      list: (options) => svix.connector.list(options),
      make: (name) => svix.connector.create({ name, transformation: code }),
      nameOf,
      order: "descending",
      orderable: true,
    },
    applications: {
      list: (options) => other.application.list(options),
      make: (uid) => other.application.create({ name: uid, uid }),
      nameOf: uidOf,
      order: "ascending",
      orderable: true,
    },
  };
}

/** Later ones do not come later in the order of names. */
const names = Array.from({ length: COUNT }, (_, i) => `n${(i * 11) % COUNT}.${"x".repeat(i)}`);

forEachSpeaker({}, (who, open) => {
  test(`${who}: 6. Paging forward and back: 10, 10, 8, and the same rows back; 7. Ordering`, async (t) => {
    const scene = await open(t);
    for (const [what, { list, make, nameOf, order, orderable }] of Object.entries(await listsOf(scene))) {
      const empty = await list({});
      assert.deepEqual([empty.data, empty.iterator, empty.done], [[], null, true], what);
      for (const name of names) await make(name);
      const oldestFirst = order === null ? [...names].sort() : names;
      const walk = async (asked: Order | null, expected: readonly string[]): Promise<void> => {
        const query = { limit: 10, ...(asked === null ? {} : { order: asked as never }) };
        const named = ({ data }: Listed): string[] => data.map((item) => nameOf(item as never));
        const pages: Listed[] = [];
        do {
          const iterator = pages.at(-1)?.iterator;
          pages.push(await list(iterator == null ? query : { ...query, iterator }));
        } while (pages.at(-1)?.done === false && pages.length < 9);
        assert.deepEqual(
          pages.map(({ data, done }) => [data.length, done]),
          [
            [10, false],
            [10, false],
            [8, true],
          ],
          what,
        );
        assert.deepEqual(pages.flatMap(named), expected, what);
        // Done, and still to be gone on from when more has come.
        const last = pages[2] as Listed;
        const after = await list({ ...query, iterator: last.iterator as string });
        assert.deepEqual([after.data, after.iterator, after.done], [[], null, true], what);

        const second = await list({ ...query, iterator: last.prevIterator as string });
        assert.deepEqual([second.data, second.done], [pages[1]?.data, false], what);
        const first = await list({ ...query, iterator: second.prevIterator as string });
        assert.deepEqual([first.data, first.done], [pages[0]?.data, true], what);
        const before = await list({ ...query, iterator: first.prevIterator as string });
        assert.deepEqual([before.data, before.iterator, before.done], [[], null, true], what);
        // From the middle forwards again: on a page that was come to backwards the iterator goes on, too.
        assert.deepEqual((await list({ ...query, iterator: second.iterator as string })).data, last.data, what);
        const all = await list({ ...query, limit: 250 });
        assert.deepEqual([named(all), all.done], [expected, true], what);
        assert.equal((await list(asked === null ? {} : { order: asked as never })).data.length, COUNT, what);
      };
      const fallback = order === "descending" ? oldestFirst.toReversed() : oldestFirst;
      await walk(null, fallback);
      if (orderable) {
        await walk("ascending", oldestFirst);
        // Event types go by name regardless.
        await walk("descending", order === null ? oldestFirst : oldestFirst.toReversed());
      }
    }
  });

  test(`${who}: 6. Paging: limits and iterators that are none`, async (t) => {
    const scene = await open(t);
    const app = await scene.app();
    const endpoint = await scene.svix.endpoint.create(app, { url: URL_, disabled: true });
    const message = await scene.message(app);
    const ids: { readonly [path: string]: string } = {
      "/app": (await scene.svix.application.get(app)).id,
      "/event-type": "name",
      [`/app/${app}/endpoint`]: endpoint.id,
      [`/app/${app}/msg`]: message.id,
      [`/app/${app}/msg/${message.id}/endpoint`]: endpoint.id,
      [`/app/${app}/attempt/endpoint/${endpoint.id}`]: "atmpt_",
      [`/app/${app}/attempt/msg/${message.id}`]: "atmpt_",
      [`/app/${app}/endpoint/${endpoint.id}/msg`]: message.id,
      [`/app/${app}/integration`]: "integ_",
      "/operational-webhook/endpoint": endpoint.id,
      "/connector": "trtmpl_",
      "/background-task": "qtask_",
    };
    for (const [path, id] of Object.entries(ids)) {
      for (const limit of ["251", "0", "-1", "1.5", "ten", "1e2", "99999999999999999999", "", "NaN", "0x10", "10%00"]) {
        const answer = await scene.call("GET", `${path}?limit=${limit}`);
        assert.deepEqual(locs(answer), ["query.limit"], `${path} ${limit}`);
      }
      for (const iterator of [
        "a b",
        "%00",
        "%F0%9F%92%A9",
        "-%2D%2D%20",
        "x".repeat(2_000),
        `-${"x".repeat(300)}`,
        ...(path === "/event-type"
          ? []
          : [
              "nonsense",
              "-",
              "--",
              "__proto__",
              `${id}x`,
              `${id.slice(0, -1)}${id.endsWith("0") ? "1" : "0"}`,
              id.toLowerCase() === id ? `${id}!` : id.toLowerCase(),
              id.startsWith("app_") ? endpoint.id : (ids["/app"] as string),
              `${id.split("_")[0]}_${"z".repeat(27)}`,
            ]),
      ]) {
        const answer = await scene.call("GET", `${path}?iterator=${iterator}`);
        assert.deepEqual(locs(answer), ["query.iterator"], `${path} ${iterator.slice(0, 40)}`);
      }
      for (const query of ["limit=250", "limit=1", "limit=1&limit=2", "iterator=", "unknown=x", "limit=%31"]) {
        assert.equal((await scene.call("GET", `${path}?${query}`)).status, 200, `${path} ${query}`);
      }
    }
    for (const path of ["/app", `/app/${app}/endpoint`, "/connector", "/background-task"]) {
      for (const order of ["sideways", "ASCENDING", "", "asc"]) {
        assert.deepEqual(locs(await scene.call("GET", `${path}?order=${order}`)), ["query.order"], `${path} ${order}`);
      }
    }
  });

  test(`${who}: §A.8: what is added or deleted at the cursor shifts no page`, async (t) => {
    const scene = await open(t);
    const { svix, clock } = scene;
    for (let i = 0; i < 6; i++) await scene.app(`s${i}`);
    const uids = ({ data }: { data: { uid?: string | null }[] }) => data.map(({ uid }) => uid).join();
    const first = await svix.application.list({ limit: 3 });
    // The row that the iterator names goes, and so does one ahead of it; others come, and one is changed.
    await svix.application.delete("s2");
    await svix.application.delete("s3");
    clock.advance(HOUR);
    await scene.app("s6");
    await svix.application.patch("s5", { name: "changed" });
    const second = await svix.application.list({ limit: 3, iterator: first.iterator as string });
    assert.equal(uids(second), "s4,s5,s6");
    assert.equal(second.done, true);
    await scene.app("s7");
    const third = await svix.application.list({ limit: 3, iterator: second.iterator as string });
    assert.deepEqual([uids(third), third.done], ["s7", true]);
    const back = await svix.application.list({ limit: 3, iterator: second.prevIterator as string });
    assert.deepEqual([uids(back), back.done], ["s0,s1", true]);
  });

  test(`${who}: 7. Ordering: event types by the bytes of their names, whatever is asked for`, async (t) => {
    const scene = await open(t);
    const { svix, call } = scene;
    const sorted = [
      "-",
      "-a",
      ".x",
      "0",
      "10",
      "9",
      "A",
      "A.b",
      "B",
      "Z",
      "_",
      "a",
      "a-b",
      "a.b",
      "a0",
      "aB",
      "a_b",
      "ab",
      "z",
    ];
    const shuffled = sorted.map((name, i) => [(i * 7) % sorted.length, name] as const).sort(([a], [b]) => a - b);
    for (const [, name] of shuffled) await svix.eventType.create({ name, description: "" });
    for (const query of ["", "order=ascending", "order=descending"]) {
      const seen: string[] = [];
      let iterator: string | null = null;
      let pages = 0;
      do {
        const at: string = iterator === null ? "" : `&iterator=${encodeURIComponent(iterator)}`;
        const { body } = await call("GET", `/event-type?limit=4&${query}${at}`);
        seen.push(...body.data.map(({ name }: { name: string }) => name));
        iterator = body.done ? null : body.iterator;
        // And back again from every page.
        const back = await call("GET", `/event-type?limit=4&iterator=${encodeURIComponent(body.prevIterator)}`);
        assert.equal(back.body.data.length, pages === 0 ? 0 : 4);
        pages++;
      } while (iterator !== null && pages < 20);
      assert.deepEqual(seen, sorted, query);
    }
    // Messages are the newest first, and no `order` turns them.
    const app = await scene.app();
    for (const eventId of ["m1", "m2", "m3"]) {
      scene.clock.advance(SECOND);
      await svix.message.create(app, { eventType: "a", payload: {}, eventId });
    }
    for (const query of ["", "?order=ascending"]) {
      const { body } = await call("GET", `/app/${app}/msg${query}`);
      assert.deepEqual(
        body.data.map(({ eventId }: { eventId: string }) => eventId),
        ["m3", "m2", "m1"],
      );
    }
  });
});
