/** Calls in excess of the vendor's limits, for those who ask for these. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import Knock from "@knocklabs/node";
import { feedOf, newUser, pushInApp, triggerEach } from "./feed/feed-world.ts";
import { type Answer, type KnockTarget, knockFor } from "./knock-target.ts";

const limited = (t: TestContext): Promise<KnockTarget> => knockFor(t, { env: { CARILLON_KNOCK_RATE_LIMITS: "on" } });

const statuses = async (calls: readonly (() => Promise<Answer>)[]): Promise<readonly number[]> => {
  const seen: number[] = [];
  for (const call of calls) seen.push((await call()).status);
  return seen;
};
const times = <T>(count: number, value: T): T[] => Array.from({ length: count }, () => value);

test("what is too much is 429 in the vendor's shape, and says when to come back", async (t) => {
  const { call, clock, another } = await limited(t);
  const identify = (): Promise<Answer> => call("POST", "/users/bulk/identify", { users: [{ id: "u1" }] });
  assert.equal((await identify()).status, 200);
  const refused = await identify();
  assert.equal(refused.status, 429);
  assert.deepEqual(
    [refused.body.code, refused.body.type, refused.body.status],
    ["rate_limited", "invalid_request_error", 429],
  );
  assert.deepEqual([refused.headers.get("retry-after"), refused.headers.get("retry-after-ms")], ["1", "1000"]);
  // Another endpoint, and another environment, have limits of their own.
  assert.equal((await call("POST", "/users/bulk/delete", { user_ids: ["u1"] })).status, 200);
  assert.equal((await (await another()).call("POST", "/users/bulk/identify", { users: [] })).status, 200);
  clock.advance(1_000);
  assert.deepEqual(await statuses([identify, identify]), [200, 429]);
});

test("feeds are counted for each user, everything else for each user token", async (t) => {
  const target = await limited(t);
  const { asClient, signingKey, call } = target;
  const mine = (): Promise<Answer> => feedOf(target, "u1");
  assert.deepEqual(await statuses(times(6, mine)), [...times(5, 200), 429]);
  assert.equal((await feedOf(target, "u2")).status, 200);
  const key = await signingKey();
  const [ann, bob] = [asClient(key.token("ann")), asClient(key.token("bob"))];
  const put = (client: typeof ann) => (): Promise<Answer> => client("PUT", "/messages/none/seen");
  assert.deepEqual(await statuses(times(6, put(ann))), [...times(5, 404), 429]);
  assert.equal((await put(bob)()).status, 404);
  // Whoever is not let in does not count.
  assert.deepEqual(
    await statuses(times(8, () => call("PUT", "/messages/none/seen", undefined, { authorization: "x" }))),
    [...times(8, 401)],
  );
});

test("a message is marked in the same way by batches once a second; what is held back is named", async (t) => {
  const target = await limited(t);
  const { call, clock } = target;
  await pushInApp(target, "wf");
  const user = await newUser(target);
  const [one, two] = (await triggerEach(target, "wf", user, [{}, {}])) as [string, string];
  clock.advance(5_000);
  const batch = (mark: string, ...ids: string[]) => call("POST", `/messages/batch/${mark}`, { message_ids: ids });
  assert.equal((await batch("seen", one)).headers.get("x-ratelimited-message_ids"), null);
  const seenAt = new Date(clock.now()).toISOString();
  clock.advance(500);
  const again = await batch("seen", one, two);
  assert.deepEqual([again.status, again.headers.get("x-ratelimited-message_ids")], [200, one]);
  assert.equal(again.body[0].seen_at, seenAt);
  assert.equal(again.body[1].seen_at, new Date(clock.now()).toISOString());
  assert.equal((await batch("read", one)).headers.get("x-ratelimited-message_ids"), null, "another mark");
  clock.advance(500);
  assert.equal((await batch("seen", one)).body[0].seen_at, new Date(clock.now()).toISOString());
});

test("the SDK waits as long as it is told, and gets its answer", async (t) => {
  const { url, secretKey, clock } = await limited(t);
  const waits: (string | null)[] = [];
  const patient = new Knock({
    apiKey: secretKey,
    baseURL: url,
    fetch: async (input, init) => {
      const response = await fetch(input, init);
      if (response.status === 429) {
        waits.push(response.headers.get("retry-after-ms"));
        clock.advance(1_000);
      }
      return response;
    },
  });
  for (const id of ["u1", "u2"])
    assert.equal((await patient.users.bulk.identify({ users: [{ id }] })).success_count, 1);
  assert.deepEqual(waits, ["1000"]);
});

test("the management API, and servers that were told nothing, keep no limits", async (t) => {
  const target = await limited(t);
  const list = (): Promise<Answer> => target.call("GET", "/workflows?environment=development");
  assert.deepEqual(await statuses(times(8, list)), times(8, 200));
  const plain = await knockFor(t);
  const identify = (): Promise<Answer> => plain.call("POST", "/users/bulk/identify", { users: [] });
  assert.deepEqual(await statuses(times(8, identify)), times(8, 200));
});
