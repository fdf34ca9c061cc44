/**
 * Two processes on one Postgres, each asked half of the time: what scenarios 2, 5, 11, 37 and 40 promise holds between
 * them as it does within one.
 */
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { after, before, test } from "node:test";
import { Svix } from "svix";
import { Svix as Svix2 } from "svix2";
import { DIALECTS, newPlace } from "../../../conformance/databases.ts";
import { type Child, SECRET_KEY, startChild } from "../../../support/child.ts";
import { httpReceiver } from "../../../support/http-receiver.ts";
import { eventually } from "../eventually.ts";

const JWT_SECRET = "a-secret-that-both-know";
const URL_ = "https://example.com/";

const skip = DIALECTS.includes("postgres") ? false : "two processes need a database that both can reach";
let children: readonly Child[] = [];
let remove: (() => Promise<void>) | undefined;

before(async () => {
  if (skip !== false) return;
  const placed = await newPlace("postgres");
  const env = {
    CARILLON_DATABASE_URL: placed.place.url ?? "",
    CARILLON_DATABASE_POOL: "4",
    CARILLON_DATA_DIR: placed.place.dataDir,
    CARILLON_ALLOW_NETWORKS: "127.0.0.0/8",
    CARILLON_SVIX_JWT_SECRET: JWT_SECRET,
  };
  remove = async () => {
    await Promise.all(children.map((child) => child.stop()));
    await placed.remove();
  };
  // Both find an empty database, and make one of it.
  children = await Promise.all([startChild(env), startChild(env)]);
});
after(() => remove?.());

interface Answer {
  readonly status: number;
  readonly text: string;
  // biome-ignore lint/suspicious/noExplicitAny: whatever the server said; tests look at it field by field
  readonly body: any;
}

async function call(
  who: number,
  method: string,
  path: string,
  body?: unknown,
  { key, token = SECRET_KEY }: { key?: string; token?: string } = {},
): Promise<Answer> {
  const response = await fetch(`${children[who % 2]?.url}/api/v1${path}`, {
    method,
    headers: {
      authorization: `Bearer ${token}`,
      "content-type": "application/json",
      ...(key === undefined ? {} : { "idempotency-key": key }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  return { status: response.status, text, body: text === "" ? undefined : JSON.parse(text) };
}

/** Ten calls at once, by turns to the one and the other. */
const ten = (one: (i: number) => Promise<Answer>): Promise<Answer[]> =>
  Promise.all(Array.from({ length: 10 }, (_, i) => one(i)));

const statuses = (answers: readonly Answer[]): number[] => answers.map(({ status }) => status).sort();

async function newApp(uid: string): Promise<string> {
  assert.equal((await call(0, "POST", "/app", { name: uid, uid })).status, 201);
  return `/app/${uid}`;
}

test("5. Idempotent create: ten POSTs with one key, to either process, do it once", { skip }, async (t) => {
  const app = await newApp("idempotent");
  const receiver = await httpReceiver();
  t.after(() => receiver.close());
  assert.equal((await call(0, "POST", `${app}/endpoint`, { url: receiver.url })).status, 201);
  const message = { eventType: "a.b", payload: { n: 1 } };
  for (let round = 0; round < 5; round++) {
    const sent = await ten((i) => call(i, "POST", `${app}/msg`, message, { key: `msg ${round}` }));
    for (const answer of sent) assert.deepEqual([answer.status, answer.text], [202, sent[0]?.text]);
    const made = await ten((i) => call(i, "POST", "/app", { name: "ten" }, { key: `app ${round}` }));
    for (const answer of made) assert.deepEqual([answer.status, answer.text], [201, made[0]?.text]);
    const refused = await ten((i) => call(i, "POST", "/app", { name: "" }, { key: `wrong ${round}` }));
    assert.deepEqual(statuses(refused), Array(10).fill(422));
    const taken = { name: "x", uid: "idempotent" };
    const conflicts = await ten((i) => call(i, "POST", "/app", taken, { key: `taken ${round}` }));
    assert.deepEqual(statuses(conflicts), Array(10).fill(409));
  }
  const { body } = await call(1, "GET", `${app}/msg`);
  assert.equal(body.data.length, 5);
  const apps = await call(0, "GET", "/app?limit=250");
  assert.equal(apps.body.data.filter(({ name }: { name: string }) => name === "ten").length, 5);
  // One more, with a key of its own, comes after all the others: none of them came twice.
  await receiver.received(5);
  assert.equal((await call(1, "POST", `${app}/msg`, message, { key: "last" })).status, 202);
  await receiver.received(6);
  assert.equal(new Set(receiver.requests.map(({ headers }) => headers["svix-id"])).size, 6);
  assert.equal(receiver.requests.length, 6);
  // The SDKs' own keys are the same over the retries of a call only.
  for (const Client of [Svix, Svix2]) {
    const ids = await Promise.all(
      children.map(
        async ({ url }) => (await new Client(SECRET_KEY, { serverUrl: url }).application.create({ name: "x" })).id,
      ),
    );
    assert.notEqual(ids[0], ids[1]);
  }
});

test("2 and 8. Uids, and 41. names of event types: of ten at once one is taken", { skip }, async () => {
  const app = await newApp("parent");
  for (let round = 0; round < 5; round++) {
    const uid = `race-${round}`;
    const one = [201, ...Array(9).fill(409)];
    assert.deepEqual(statuses(await ten((i) => call(i, "POST", "/app", { name: "x", uid }))), one);
    const found = await ten((i) => call(i, "POST", "/app?get_if_exists=true", { name: "x", uid: `get-${round}` }));
    assert.deepEqual(statuses(found), [...Array(9).fill(200), 201]);
    assert.equal(new Set(found.map(({ body }) => body.id)).size, 1);
    assert.deepEqual(statuses(await ten((i) => call(i, "POST", `${app}/endpoint`, { url: URL_, uid }))), one);
    assert.deepEqual(statuses(await ten((i) => call(i, "POST", "/event-type", { name: uid, description: "" }))), one);
    const ninth = [...Array(9).fill(200), 201];
    for (const [path, body] of [
      [`/app/put-${round}`, { name: "x", uid: `put-${round}` }],
      [`${app}/endpoint/put-${round}`, { url: URL_, uid: `put-${round}` }],
      [`/event-type/put-${round}`, { description: "" }],
    ] as const) {
      const put = await ten((i) => call(i, "PUT", path, body));
      assert.deepEqual(statuses(put), ninth, path);
      assert.equal(new Set(put.map(({ body }) => body.id)).size, 1);
    }
    const inline = await ten((i) =>
      call(i, "POST", `/app/inline-${round}/msg`, {
        eventType: "a.b",
        payload: {},
        application: { name: "x", uid: `inline-${round}` },
      }),
    );
    assert.deepEqual(statuses(inline), Array(10).fill(202));
    assert.equal((await call(round, "GET", `/app/inline-${round}/msg`)).body.data.length, 10);
    // Of those who delete it, one does; and it is gone for both.
    const deleted = await ten((i) => call(i, "DELETE", `/app/race-${round}`));
    assert.deepEqual(statuses(deleted), [204, ...Array(9).fill(404)]);
    for (const who of [0, 1]) assert.equal((await call(who, "GET", `/app/race-${round}`)).status, 404);
  }
  // The one knows of what the other has done, at once.
  for (let i = 0; i < 10; i++) {
    const made = await call(i, "POST", "/app", { name: "x", uid: `seen-${i}` });
    assert.equal((await call(i + 1, "GET", `/app/seen-${i}`)).body.id, made.body.id);
    assert.equal((await call(i + 1, "PATCH", `/app/seen-${i}`, { uid: `moved-${i}` })).status, 200);
    assert.equal((await call(i, "GET", `/app/seen-${i}`)).status, 404);
    assert.equal((await call(i, "GET", `/app/moved-${i}`)).body.id, made.body.id);
  }
});

test("4. PATCH: none of eighty at once is refused or lost", { skip }, async () => {
  const app = await newApp("patched");
  const made = await call(0, "POST", `${app}/endpoint`, { url: URL_, disabled: true });
  await call(0, "POST", "/event-type", { name: "patched", description: "" });
  const integration = await call(0, "POST", `${app}/integration`, { name: "x" });
  for (const [method, path, bodyOf] of [
    ["PATCH", app, (i: number) => ({ metadata: { i: `${i}` } })],
    ["PATCH", `${app}/endpoint/${made.body.id}`, (i: number) => ({ metadata: { i: `${i}` } })],
    ["PATCH", `${app}/endpoint/${made.body.id}/headers`, (i: number) => ({ headers: { [`x-${i}`]: "1" } })],
    ["PATCH", "/event-type/patched", (i: number) => ({ description: `${i}` })],
    ["PATCH", "/management/environment-settings", (i: number) => ({ displayName: `${i}` })],
    ["POST", "/auth/app/patched/expire-all", (i: number) => ({ expiry: i })],
    ["POST", `${app}/integration/${integration.body.id}/key/rotate`, () => undefined],
  ] as const) {
    const answers = await Promise.all(Array.from({ length: 80 }, (_, i) => call(i, method, path, bodyOf(i))));
    assert.ok(Math.max(...statuses(answers)) < 300, `${path}: ${statuses(answers)}`);
  }
  const { body } = await call(1, "GET", `${app}/endpoint/${made.body.id}/headers`);
  assert.equal(Object.keys(body.headers).length, 80);
});

test("8. Endpoints, and 15: what the one changes holds for the very next message at the other", { skip }, async (t) => {
  const app = await newApp("routing");
  const receiver = await httpReceiver();
  t.after(() => receiver.close());
  for (const name of ["r.a", "r.b"]) await call(0, "POST", "/event-type", { name, description: "" });
  const send = async (who: number, eventType: string) =>
    assert.equal((await call(who, "POST", `${app}/msg`, { eventType, payload: {} })).status, 202);
  // Both have looked at the application by now.
  for (const who of [0, 1]) await send(who, "r.a");
  let expected = 0;
  for (let i = 0; i < 6; i++) {
    const made = await call(i, "POST", `${app}/endpoint`, { url: `${receiver.url}/${i}` });
    const path = `${app}/endpoint/${made.body.id}`;
    await send(i + 1, "r.a");
    await receiver.received(++expected);
    await call(i, "PATCH", path, { eventTypes: ["r.b"] });
    await send(i + 1, "r.a");
    await send(i + 1, "r.b");
    await receiver.received(++expected);
    await call(i, "PATCH", path, { disabled: true });
    await send(i + 1, "r.b");
    await call(i, "PATCH", path, { disabled: false });
    await call(i, "DELETE", path);
    await send(i + 1, "r.b");
  }
  // One last message to one last endpoint: nothing that should not have come came before it.
  await call(0, "POST", `${app}/endpoint`, { url: `${receiver.url}/last` });
  await send(1, "r.b");
  await receiver.received(expected + 1);
  assert.deepEqual(
    receiver.requests.map(({ url }) => url),
    [...Array.from({ length: 6 }, (_, i) => [`/${i}`, `/${i}`]).flat(), "/last"],
  );
});

test("11. Rotation: of twelve at once, in either process, ten find room; both sign by them", { skip }, async (t) => {
  const app = await newApp("rotated");
  const receiver = await httpReceiver();
  t.after(() => receiver.close());
  const { body } = await call(0, "POST", `${app}/endpoint`, { url: receiver.url });
  const path = `${app}/endpoint/${body.id}/secret`;
  const key = (i: number): string => `whsec_${Buffer.alloc(24, i).toString("base64")}`;
  const rotate = (i: number) => call(i, "POST", `${path}/rotate`, { key: key(i) });
  const rotated = await Promise.all(Array.from({ length: 12 }, (_, i) => rotate(i + 1)));
  assert.deepEqual(statuses(rotated), [...Array(10).fill(204), 400, 400]);
  assert.deepEqual(
    new Set(rotated.filter(({ status }) => status === 400).map(({ body }) => body.code)),
    new Set(["limit_reached"]),
  );
  const [one, two] = [await call(0, "GET", path), await call(1, "GET", path)];
  assert.deepEqual(two.body, one.body);
  // A process may sign for a second by what it knew; then by all eleven.
  for (const who of [0, 1]) {
    await eventually(
      async () => {
        const from = receiver.requests.length;
        await call(who, "POST", `${app}/msg`, { eventType: "a.b", payload: {} });
        const request = (await receiver.received(from + 1))[from];
        return String(request?.headers["svix-signature"]).split(" ").length;
      },
      (count) => count === 11,
      "eleven signatures",
    );
  }
});

test("37 and 40. Tokens: made, swapped once and ended in one, and known to the other within a second", {
  skip,
}, async () => {
  await newApp("portal");
  const open = async (who: number) => (await call(who, "POST", "/auth/app-portal-access/portal", {})).body;
  const works = async (who: number, token: string): Promise<boolean> =>
    (await call(who, "GET", "/app/portal", undefined, { token })).status === 200;
  for (let i = 0; i < 4; i++) {
    const { url, token } = await open(i);
    for (const who of [0, 1]) assert.ok(await works(who, token));
    const code = JSON.parse(Buffer.from(url.split("#key=")[1] ?? "", "base64url").toString()).oneTimeToken;
    const swapped = await ten((n) => call(n, "POST", "/auth/one-time-token", { oneTimeToken: code }));
    assert.deepEqual(statuses(swapped), [200, ...Array(9).fill(401)]);
    const fresh = swapped.find(({ status }) => status === 200)?.body.token;
    for (const who of [0, 1]) assert.ok(await works(who, fresh));

    assert.equal((await call(i, "POST", "/auth/logout", undefined, { token })).status, 204);
    assert.equal(await works(i, token), false);
    assert.equal((await call(i, "POST", "/auth/app/portal/expire-all", {})).status, 204);
    assert.equal(await works(i, fresh), false);
    const began = Date.now();
    for (const ended of [token, fresh]) {
      await eventually(
        () => works(i + 1, ended),
        (still) => !still,
        "the end of a token",
      );
    }
    // A second, and what a machine that is busy adds to it.
    assert.ok(Date.now() - began < 5_000, `${Date.now() - began} ms`);
  }
  // Neither has heard of the organisation before; both find the same environment of it.
  for (let i = 0; i < 3; i++) {
    const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url");
    const org = `org_2${i}rb8YdGqMT0qIzpgGwdXfHirMu`;
    const signed = `${part({ alg: "HS256", typ: "JWT" })}.${part({ sub: org, iss: "svix-server" })}`;
    const token = `${signed}.${createHmac("sha256", JWT_SECRET).update(signed).digest("base64url")}`;
    const made = await ten((n) => call(n, "POST", "/app", { name: `${n}`, uid: `uid-${n}` }, { token }));
    assert.deepEqual(statuses(made), Array(10).fill(201));
    for (const who of [0, 1]) {
      const { body } = await call(who, "GET", "/app", undefined, { token });
      assert.equal(body.data.length, 10);
    }
  }
});
