import assert from "node:assert/strict";
import { request as rawRequest } from "node:http";
import { after, before, describe, test } from "node:test";
import Courier from "@trycourier/courier";
import { Refusal } from "../../../src/engine/refusal.ts";
import type { Routes } from "../../../src/facades/courier/courier.ts";
import { type Api, PUBLIC_KEY, SECRET_KEY, startApi } from "../../support/server.ts";

let api: Api;
let ran = 0;
let release: () => void = () => {};

/** Routes that misbehave as real ones should not. */
const odd: Routes = (app) => {
  app.post("/odd/fault", async () => {
    ran++;
    throw new Error("a secret detail");
  });
  app.post("/odd/conflict", async () => {
    ran++;
    throw new Refusal("conflict", "taken");
  });
  app.post("/odd/count", async () => ({ ran: ++ran }));
  app.post("/odd/empty", async (_request, reply) => {
    ran++;
    return reply.code(204).send();
  });
  app.post("/odd/picky", async (request) => {
    if ((request.body as { good?: boolean }).good !== true) throw new Refusal("invalid", "not good");
    return { ran: ++ran };
  });
  app.post("/odd/slow", async () => {
    await new Promise<void>((resolve) => {
      release = resolve;
    });
    return { ran: ++ran };
  });
  app.get("/odd/unavailable", async () => {
    throw new Refusal("unavailable", "the database is away");
  });
};

before(async () => {
  api = await startApi({ routes: [odd] });
});
after(() => api.close());

describe("authentication", () => {
  test("without a credential, and with an unknown one, 401 in Courier's shape", async () => {
    for (const authorization of [undefined, "Bearer nope", "Bearer undefined", "Basic !!", "nonsense", ""]) {
      const { status, body } = await api.call("GET", "/lists", undefined, { authorization });
      assert.equal(status, 401, String(authorization));
      assert.equal(body.type, "authentication_error");
      assert.ok(body.message.length > 0);
    }
    const sdk = new Courier({ apiKey: "nope", baseURL: api.url, maxRetries: 0 });
    await assert.rejects(sdk.lists.list(), Courier.AuthenticationError);
  });

  test("the key as password of Basic, whatever the user name", async () => {
    for (const pair of [`x:${SECRET_KEY}`, `:${SECRET_KEY}`]) {
      const authorization = `Basic ${Buffer.from(pair).toString("base64")}`;
      assert.equal((await api.call("GET", "/lists", undefined, { authorization })).status, 200);
    }
  });

  test("the publishable key is valid, but not for server calls", async () => {
    for (const headers of [
      { authorization: `Bearer ${PUBLIC_KEY}` },
      { authorization: undefined, "x-courier-client-key": PUBLIC_KEY },
    ]) {
      const { status, body } = await api.call("GET", "/lists", undefined, headers);
      assert.equal(status, 403);
      assert.equal(body.type, "authorization_error");
    }
  });

  test("the secret key is not accepted as client key", async () => {
    const headers = { authorization: undefined, "x-courier-client-key": SECRET_KEY };
    assert.equal((await api.call("GET", "/lists", undefined, headers)).status, 401);
  });

  test("a key is refused from the moment it is revoked", async () => {
    const made = await api.call("POST", "/admin/keys", { mode: "draft" });
    assert.equal(made.status, 201);
    const headers = { authorization: `Bearer ${made.body.key}` };
    assert.equal((await api.call("GET", "/lists", undefined, headers)).status, 200);
    assert.equal((await api.call("DELETE", `/admin/keys/${made.body.id}`)).status, 204);
    assert.equal((await api.call("GET", "/lists", undefined, headers)).status, 401);
  });
});

describe("errors", () => {
  test("unknown paths and methods are 404 in shape", async () => {
    for (const [method, path] of [
      ["GET", "/nowhere"],
      ["PATCH", "/lists"],
    ] as const) {
      const { status, body } = await api.call(method, path);
      assert.equal(status, 404);
      assert.equal(body.type, "invalid_request_error");
      assert.ok(body.message);
    }
  });

  test("what is not implemented says so after the credential is checked", async () => {
    const { status, body, headers } = await api.call("GET", "/audiences");
    assert.deepEqual([status, body.type, headers.get("x-should-retry")], [501, "api_error", "false"]);
    assert.equal((await api.call("GET", "/audiences", undefined, { authorization: undefined })).status, 401);
    const authorization = `Bearer ${await api.token("user_id:u1 read:preferences")}`;
    assert.equal((await api.call("GET", "/brands", undefined, { authorization })).status, 403);
    assert.equal((await api.call("POST", "/journeys/x/templates", {})).status, 501);
    assert.equal((await api.call("GET", "/digests/schedules/sch%2Fx/instances")).status, 501);
  });

  test("malformed JSON, deep nesting, prototype keys and odd types are the caller's fault", async () => {
    const bodies = [
      "not json",
      "{",
      `{"profile":${"[".repeat(5_000)}${"]".repeat(5_000)}}`,
      `{"profile":{"__proto__":{"admin":true}}}`,
      `{"profile":{"a":{"constructor":{"prototype":1}}}}`,
      "[]",
      "3",
      "null",
      `"text"`,
      "{}",
      `{"profile":[]}`,
      `{"profile":null}`,
    ];
    for (const body of bodies) {
      const answer = await api.call("POST", "/profiles/u1", body);
      assert.equal(answer.status, 400, body.slice(0, 50));
      assert.equal(answer.body.type, "invalid_request_error");
    }
    const missing = await api.call("POST", "/profiles/u1");
    assert.deepEqual(missing.body, { message: "profile: Required", type: "invalid_request_error" });
    const plain = await api.call("POST", "/profiles/u1", "x=y", {
      "content-type": "application/x-www-form-urlencoded",
    });
    assert.equal(plain.status, 400);
  });

  test("a body beyond six megabytes is 413", async () => {
    const { status, body } = await api.call("POST", "/profiles/u1", { profile: { x: "x".repeat(6 * 1024 * 1024) } });
    assert.deepEqual([status, body.type], [413, "invalid_request_error"]);
  });

  test("malformed percent encoding, NUL and endless ids are 400", async () => {
    const paths = [
      "/profiles/%zz",
      "/profiles/%ff",
      "/profiles/%ed%a0%80",
      "/profiles/a%00b",
      `/profiles/${"x".repeat(513)}`,
    ];
    for (const path of [...paths, `/profiles/${"x".repeat(9_000)}`, "/profiles//lists", "/lists?cursor=%00"]) {
      const { status, body, headers } = await api.call("GET", path);
      assert.deepEqual([status, body?.type], [400, "invalid_request_error"], path.slice(0, 30));
      assert.equal(headers.get("access-control-allow-origin"), "*");
    }
  });

  test("a fault of ours is a bare 500", async () => {
    const { status, body } = await api.call("POST", "/odd/fault");
    assert.equal(status, 500);
    assert.deepEqual(body, { message: "Internal error", type: "api_error" });
  });

  test("final conflicts are marked, a database that is away asks to come back", async () => {
    assert.equal((await api.call("POST", "/odd/conflict")).headers.get("x-should-retry"), "false");
    const away = await api.call("GET", "/odd/unavailable");
    assert.deepEqual([away.status, away.headers.get("retry-after")], [503, "1"]);
  });
});

describe("browsers", () => {
  test("a preflight needs no credential and echoes the headers asked for", async () => {
    const response = await fetch(`${api.url}/users/u1/tokens/t`, {
      method: "OPTIONS",
      headers: {
        origin: "https://app.example",
        "access-control-request-method": "PUT",
        "access-control-request-headers": "authorization,x-courier-ua",
      },
    });
    assert.equal(response.status, 204);
    assert.equal(response.headers.get("access-control-allow-origin"), "*");
    assert.equal(response.headers.get("access-control-allow-headers"), "authorization,x-courier-ua");
    assert.match(response.headers.get("access-control-allow-methods") ?? "", /PUT.*DELETE/);
  });

  test("errors of every kind carry the CORS headers, and every answer its request id", async () => {
    for (const [path, headers] of [
      ["/lists", { authorization: "Bearer nope" }],
      ["/nowhere", {}],
      ["/profiles/nobody", {}],
      ["/lists", {}],
    ] as const) {
      const answer = await api.call("GET", path, undefined, headers);
      assert.equal(answer.headers.get("access-control-allow-origin"), "*");
      assert.ok(answer.headers.get("x-request-id"));
    }
  });
});

describe("wire", () => {
  test("a trailing slash changes nothing", async () => {
    assert.equal((await api.call("GET", "/lists/")).status, 200);
  });

  test("204 has neither body nor content type", async () => {
    const raw = await new Promise<{ status: number | undefined; headers: object; text: string }>((resolve, reject) => {
      const call = rawRequest(`${api.url}/lists/acme`, {
        method: "PUT",
        headers: { authorization: `Bearer ${SECRET_KEY}`, "content-type": "application/json" },
      });
      call.on("error", reject).on("response", (response) => {
        let text = "";
        response.setEncoding("utf8").on("data", (chunk) => (text += chunk));
        response.on("end", () => resolve({ status: response.statusCode, headers: response.headers, text }));
      });
      call.end(`{"name":"Acme"}`);
    });
    assert.equal(raw.status, 204);
    assert.equal(raw.text, "");
    assert.ok(!("content-type" in raw.headers) && !("transfer-encoding" in raw.headers));
  });

  test("probes need no credential", async () => {
    for (const path of ["/health", "/livez", "/readyz"]) assert.equal((await fetch(api.url + path)).status, 200);
    assert.match(await (await fetch(`${api.url}/metrics`)).text(), /process_cpu/);
    const broken = await startApi({ ping: () => Promise.reject(new Error("away")) });
    assert.equal((await fetch(`${broken.url}/readyz`)).status, 503);
    assert.equal((await fetch(`${broken.url}/livez`)).status, 200);
    await broken.close();
  });
});

describe("idempotency", () => {
  const withKey = (key: string, more = {}): { [name: string]: string } => ({ "idempotency-key": key, ...more });

  test("the first answer is given again without running again, errors included", async () => {
    const first = await api.call("POST", "/odd/count", {}, withKey("k1"));
    const second = await api.call("POST", "/odd/count", { other: true }, withKey("k1"));
    assert.deepEqual([second.status, second.text], [first.status, first.text]);
    assert.equal(second.headers.get("content-type"), first.headers.get("content-type"));
    assert.notEqual((await api.call("POST", "/odd/count", {}, withKey("k2"))).text, first.text);

    for (const [path, status] of [
      ["/odd/fault", 500],
      ["/odd/conflict", 409],
      ["/odd/empty", 204],
    ] as const) {
      const before = ran;
      for (let i = 0; i < 2; i++) assert.equal((await api.call("POST", path, {}, withKey("k1"))).status, status);
      assert.equal(ran, before + 1, path);
    }
    const conflict = await api.call("POST", "/odd/conflict", {}, withKey("k1"));
    assert.equal(conflict.headers.get("x-should-retry"), "false");
  });

  test("a call that was refused does not use the key up", async () => {
    assert.equal((await api.call("POST", "/odd/picky", {}, withKey("k3"))).status, 400);
    assert.equal((await api.call("POST", "/odd/picky", "{", withKey("k3"))).status, 400);
    const nobody = withKey("k3", { authorization: "Bearer nope" });
    assert.equal((await api.call("POST", "/odd/picky", { good: true }, nobody)).status, 401);
    assert.equal((await api.call("POST", "/odd/picky", { good: true }, withKey("k3"))).status, 200);
  });

  test("while the first call runs the second gets a 409 that may be tried again", async () => {
    const first = api.call("POST", "/odd/slow", {}, withKey("k4"));
    // The second is sent only once the first has begun, which it tells by handing out `release`.
    const initial = release;
    while (release === initial) await new Promise((resolve) => setImmediate(resolve));
    const second = await api.call("POST", "/odd/slow", {}, withKey("k4"));
    assert.deepEqual([second.status, second.headers.get("x-should-retry")], [409, null]);
    release();
    const { text } = await first;
    assert.equal((await api.call("POST", "/odd/slow", {}, withKey("k4"))).text, text);
  });

  test("expiry: dates, seconds and milliseconds; at least a day; not beyond a year", async () => {
    const now = api.clock.now();
    const day = 86_400_000;
    const good = [new Date(now + 2 * day).toISOString(), String(Math.floor(now / 1000) + 60), String(now + 2 * day)];
    for (const [i, end] of good.entries()) {
      const headers = withKey(`e${i}`, { "x-idempotency-expiration": end });
      assert.equal((await api.call("POST", "/odd/count", {}, headers)).status, 200, end);
    }
    for (const end of ["garbage", new Date(now + 400 * day).toISOString()]) {
      const headers = withKey("e9", { "x-idempotency-expiration": end });
      assert.equal((await api.call("POST", "/odd/count", {}, headers)).status, 400, end);
    }
    const ignored = { "x-idempotency-expiration": "garbage" };
    assert.equal((await api.call("POST", "/odd/count", {}, ignored)).status, 200);
    assert.equal((await api.call("POST", "/odd/count", {}, withKey("x".repeat(256)))).status, 400);
  });

  test("a key is free again after 25 hours", async () => {
    const first = await api.call("POST", "/odd/count", {}, withKey("k5"));
    api.clock.advance(24.9 * 3_600_000);
    assert.equal((await api.call("POST", "/odd/count", {}, withKey("k5"))).text, first.text);
    api.clock.advance(0.2 * 3_600_000);
    assert.notEqual((await api.call("POST", "/odd/count", {}, withKey("k5"))).text, first.text);
  });
});
