/** What holds for every path: slashes, bodies, CORS, errors, and what is not there. Scenario 45; traps 2 and 7. */
import assert from "node:assert/strict";
import { request as httpRequest } from "node:http";
import { after, test } from "node:test";
import fastify from "fastify";
import { ApiException } from "svix";
import { ApiException as ApiException2 } from "svix2";
import { ORGANISATION, requireCallers } from "../../../src/facades/svix/access.ts";
import { MISSING } from "../../../src/facades/svix/not-implemented.ts";
import { startSvixTarget } from "./svix-target.ts";

const target = await startSvixTarget();
after(() => target.close());

const filled = (path: string): string => path.replace(/:\w+/g, "x");

test("trailing slashes and a slash too many at the beginning do no harm", async () => {
  const made = await target.svix.application.create({ name: "x", uid: "slashes" });
  for (const path of [
    "/api/v1/app/slashes",
    "/api/v1/app/slashes/",
    "//api/v1/app/slashes",
    "///api/v1/app/slashes/?a=b",
  ]) {
    const answer = await target.call("GET", target.url + path);
    assert.deepEqual([answer.status, answer.body?.id], [200, made.id], path);
  }
  const { Svix } = await import("svix");
  const { Svix: Svix2 } = await import("svix2");
  for (const Client of [Svix, Svix2]) {
    const client = new Client(target.token, { serverUrl: `${target.url}/` });
    assert.equal((await client.application.get("slashes")).id, made.id);
  }
});

test("probes need no token, and the SDKs can ask them", async () => {
  for (const method of ["GET", "HEAD"]) {
    for (const path of ["/health", "/health/ping"]) {
      const answer = await target.call(method, path, undefined, { authorization: undefined });
      assert.deepEqual([answer.status, answer.text], [204, ""]);
    }
  }
  await target.svix.health.get();
  await target.svix2.health.get();
});

test("paths and methods that are not there are told of in JSON, with a token and without", async () => {
  for (const authorization of [`Bearer ${target.token}`, undefined]) {
    const unknown = await target.call("GET", "/nothing/here", undefined, { authorization });
    assert.deepEqual([unknown.status, unknown.body.code], [404, "not_found"]);
    const method = await target.call("DELETE", "/app", undefined, { authorization });
    assert.deepEqual([method.status, method.body.code], [405, "method_not_allowed"]);
    assert.match(method.headers.get("allow") ?? "", /GET.*POST/);
    const ingest = await target.call("GET", `${target.url}/ingest/api/v1/nothing`, undefined, { authorization });
    assert.deepEqual([ingest.status, ingest.body.code], [404, "not_found"]);
  }
  const post = await target.call("POST", "/nothing", { a: 1 });
  assert.deepEqual([post.status, post.body.code], [404, "not_found"]);
});

test("browsers of any origin may send what the SDKs send", async () => {
  const asked = "authorization,content-type,idempotency-key,svix-req-id,svix-retry-count,user-agent";
  const answer = await fetch(`${target.url}/api/v1/app/x/endpoint`, {
    method: "OPTIONS",
    headers: {
      origin: "https://shop.example",
      "access-control-request-method": "PATCH",
      "access-control-request-headers": asked,
    },
  });
  assert.equal(answer.status, 204);
  assert.equal(answer.headers.get("access-control-allow-origin"), "*");
  assert.equal(answer.headers.get("access-control-allow-headers"), asked);
  assert.match(answer.headers.get("access-control-allow-methods") ?? "", /PATCH/);
  for (const path of ["/app", "/nothing", "/stream"]) {
    const refused = await fetch(`${target.url}/api/v1${path}`, { headers: { origin: "https://shop.example" } });
    assert.equal(refused.headers.get("access-control-allow-origin"), "*");
  }
});

test("a body is JSON whatever it is announced as", async () => {
  for (const type of ["application/json", "text/plain", "application/x-www-form-urlencoded", "nonsense", ""]) {
    const answer = await target.call("POST", "/app", { name: "typed" }, { "content-type": type });
    assert.equal(answer.status, 201, type);
  }
  // A string body without any header of its own.
  const status = await new Promise((resolve, reject) => {
    const sent = httpRequest(
      `${target.url}/api/v1/app`,
      { method: "POST", headers: { authorization: `Bearer ${target.token}` } },
      (response) => {
        response.resume();
        response.on("end", () => resolve(response.statusCode));
      },
    );
    sent.on("error", reject);
    sent.end('{"name":"untyped"}');
  });
  assert.equal(status, 201);
});

test("bodies that cannot be read are told of as the vendor does", async () => {
  for (const body of ["{", "nonsense", '{"name":}', '"\\x"', "[1,", "\ufeff{}", "\0"]) {
    const answer = await target.call("POST", "/app", body);
    assert.equal(answer.status, 422, body);
    assert.deepEqual(answer.body.detail[0].loc, ["body"], body);
    assert.equal(answer.body.detail[0].type, "value_error.jsondecode");
  }
  for (const body of ["[]", "3", '"text"', "true"]) {
    assert.equal((await target.call("POST", "/app", body)).status, 422, body);
  }
  // Nothing, and null, are no fields at all.
  for (const body of ["", "null", "  ", "{}"]) {
    const answer = await target.call("POST", "/app", body);
    assert.deepEqual([answer.status, answer.body.detail[0].loc], [422, ["body", "name"]], body);
  }
});

test("deep nesting and names that are traps are refused", async () => {
  const deep = `{"name":"x","metadata":${"[".repeat(5_000)}${"]".repeat(5_000)}}`;
  assert.equal((await target.call("POST", "/app", deep)).status, 422);
  for (const body of [
    '{"name":"x","__proto__":{"uid":"polluted"}}',
    '{"name":"x","metadata":{"__proto__":"y"}}',
    '{"name":"x","metadata":{"\\u005f_proto__":"y"}}',
  ]) {
    assert.equal((await target.call("POST", "/app", body)).status, 422, body);
  }
  const harmless = await target.call("POST", "/app", '{"name":"x","metadata":{"constructor":"y","toString":"z"}}');
  assert.deepEqual(harmless.body.metadata, { constructor: "y", toString: "z" });
});

test("large bodies are refused with JSON, also when they are larger than any server of ours takes", async () => {
  for (const bytes of [2 * 1024 * 1024 + 1, 8 * 1024 * 1024]) {
    const answer = await target.call("POST", "/app", JSON.stringify({ name: "x".repeat(bytes) }));
    assert.deepEqual([answer.status, answer.body.code], [413, "payload_too_large"]);
  }
  const fits = JSON.stringify({ name: "x", ignored: "x".repeat(2 * 1024 * 1024 - 30) });
  assert.equal((await target.call("POST", "/app", fits)).status, 201);
});

test("paths that no id can be are not found", async () => {
  for (const id of ["%00", "a%2Fb", "%20", "x".repeat(300), "__proto__", "%F0%9F%92%A9", "..%2f..", "app_short"]) {
    const answer = await target.call("GET", `/app/${id}`);
    assert.equal(answer.status, 404, id);
    assert.equal(answer.body.code, "not_found");
  }
  for (const id of ["%", "%zz", "%ff", "x".repeat(20_000)]) {
    const answer = await target.call("GET", `/app/${id}`);
    assert.ok(answer.status >= 400 && answer.status < 500, `${id.slice(0, 10)} ${answer.status}`);
    // The router refuses these before any scope is asked. The SDK reads `code` and `detail` all the same.
    assert.deepEqual([answer.body.code, typeof answer.body.detail], ["generic_error", "string"], answer.text);
  }
  for (const path of ["/ingest/api/v1/source/%zz", "//api/v1/app/%zz/endpoint"]) {
    const answer = await target.call("GET", target.url + path);
    assert.deepEqual([answer.status, answer.body.code], [400, "generic_error"], path);
  }
});

test("what is not built says so, after it has looked at the token", async () => {
  let asked = 0;
  for (const { methods, path } of MISSING) {
    for (const method of methods) {
      const url = target.url + filled(path);
      const body = method === "GET" || method === "DELETE" ? undefined : {};
      const anonymous = await target.call(method, url, body, { authorization: undefined });
      assert.equal(anonymous.status, 401, `${method} ${path}`);
      const answer = await target.call(method, url, body);
      // A file of the facade may have built it meanwhile.
      if (answer.status !== 501) continue;
      asked++;
      assert.equal(answer.body.code, "not_implemented", `${method} ${path}`);
      assert.equal(typeof answer.body.detail, "string");
    }
  }
  assert.ok(asked > 130, `only ${asked}`);
});

test("the SDKs make an exception of what is not built, and no fault", async () => {
  const { svix, svix2 } = target;
  for (const call of [() => svix.streaming.stream.list(), () => svix.ingest.source.list()]) {
    await assert.rejects(call, (error) => {
      assert.ok(error instanceof ApiException);
      assert.equal(error.code, 501);
      return true;
    });
  }
  for (const call of [() => svix2.streaming.stream.list(), () => svix2.ingest.source.list()]) {
    await assert.rejects(call, (error) => {
      assert.ok(error instanceof ApiException2);
      assert.equal(error.code, 501);
      return true;
    });
  }
});

test("the description lists what there is, and everything in it wants a token unless it says otherwise", async () => {
  const { status, body } = await target.call("GET", "/openapi.json", undefined, { authorization: undefined });
  assert.equal(status, 200);
  assert.equal(body.openapi, "3.1.0");
  assert.deepEqual(body.servers, [{ url: target.url }]);
  const ids = new Set<string>();
  for (const [path, operations] of Object.entries<Record<string, Record<string, unknown>>>(body.paths)) {
    assert.match(path, /^\/api\/v1\//);
    for (const [method, operation] of Object.entries(operations)) {
      assert.ok(!ids.has(operation.operationId as string), operation.operationId as string);
      ids.add(operation.operationId as string);
      const isPublic = (operation.security as unknown[]).length === 0;
      if (isPublic) continue;
      const url = target.url + path.replace(/\{\w+\}/g, "x");
      const withBody = method === "get" || method === "delete" ? undefined : {};
      const answer = await target.call(method.toUpperCase(), url, withBody, { authorization: undefined });
      assert.deepEqual([answer.status, answer.body.code], [401, "authentication_failed"], `${method} ${path}`);
    }
  }
  assert.equal(body.paths["/api/v1/stream"].get["x-not-implemented"], true);
  assert.equal(body.paths["/api/v1/app"].get["x-not-implemented"], undefined);
});

test("a route that does not say who may call it is not registered", async () => {
  const app = fastify();
  requireCallers(app);
  assert.throws(() => app.get("/open", async () => ({})), /GET \/open does not say who may call it/);
  app.get("/closed", ORGANISATION, async () => ({}));
  await app.close();
});

test("faults of ours are bare, whatever went wrong", async () => {
  const { environments } = target.app.store;
  const { findKey } = environments;
  Object.assign(environments, { findKey: () => Promise.reject(new Error("the database's password is …")) });
  try {
    const answer = await target.with("some-key-nobody-has-asked-for-yet").call("GET", "/auth/whoami");
    assert.deepEqual([answer.status, answer.body], [500, { code: "server_error", detail: "Internal error" }]);
  } finally {
    Object.assign(environments, { findKey });
  }
});
