/**
 * Every operation with random input of every wrong kind: whatever comes is answered in the vendor's shape, never as a
 * fault of ours nor with a status that SDKs try again, and the server goes on. A failure names its seed.
 */
import assert from "node:assert/strict";
import { connect } from "node:net";
import { test } from "node:test";
import type { Dialect } from "../../../../src/storage/database.ts";
import { dice } from "../../../support/dice.ts";
import { type Answer, forEachKnock, type KnockTarget } from "../knock-target.ts";
import { commit, feedOf, IN_APP, idle } from "../running/workflow.ts";
import { anything, fields, headers, pick, query, segment } from "./values.ts";

const FIRST_SEED = Number(process.env.CARILLON_TEST_SEED ?? 1);
/** Random calls of each operation. */
const ROUNDS: { readonly [name in Dialect]: number } = { sqlite: 12, postgres: 4 };

/** What is wrong with an answer; null when it is as it should be. */
function faultOf({ status, body, headers: answered, text }: Answer): string | null {
  if (status >= 500 && status !== 501) return "is our fault";
  if ([408, 409, 429].includes(status)) return "is tried again";
  if (answered.get("x-request-id") === null) return "has no request id";
  if (status < 400) return null;
  const { code, message, status: told, type, errors } = body ?? {};
  if (typeof code !== "string" || typeof message !== "string" || told !== status) return "is no error body";
  const expected = status === 401 ? "authentication_error" : status < 500 ? "invalid_request_error" : "api_error";
  if (type !== expected) return `is of the type ${type}`;
  if ((status === 422) !== Array.isArray(errors)) return "has errors, or has none";
  const isWhole = (errors ?? []).every(
    (error: { [name: string]: unknown }) =>
      typeof error.field === "string" && typeof error.type === "string" && typeof error.message === "string",
  );
  if (!isWhole) return "has errors that are none";
  return text.length > 300_000 ? "is huge" : null;
}

async function isWell(target: KnockTarget, userId: string): Promise<void> {
  await commit(target, "well", [IN_APP]);
  await target.knock.workflows.trigger("well", { recipients: [{ id: userId, name: "W" }] });
  await idle(target);
  assert.equal((await feedOf(target, userId)).entries.length, 1);
}

/**
 * Bytes as they are, without a client that would put them right.
 * @param more whether the client says that it might send more; to wait for an answer, which has to close the connection.
 */
function raw(target: KnockTarget, bytes: string | Buffer, more = false): Promise<string> {
  return new Promise((resolve, reject) => {
    const { hostname, port } = new URL(target.url);
    const socket = connect(Number(port), hostname, () => (more ? socket.write(bytes) : socket.end(bytes)));
    let got = "";
    socket.on("data", (data) => {
      got += data.toString("latin1");
    });
    socket.on("close", () => resolve(got));
    socket.on("error", (error) => (got === "" ? reject(error) : resolve(got)));
  });
}

forEachKnock((name, open) => {
  test(`${name}: random bodies, queries, names and headers on every route`, async (t) => {
    const target = await open();
    const { body: api } = await target.call("GET", "/openapi");
    const failures: string[] = [];
    let calls = 0;
    const operations = Object.entries(api.paths as { readonly [path: string]: object }).flatMap(([path, of]) =>
      Object.keys(of).map((method) => ({ method: method.toUpperCase(), path })),
    );
    assert.ok(operations.length > 180, `${operations.length} operations`);
    const one = async (seed: number, { method, path }: { method: string; path: string }): Promise<void> => {
      const roll = dice(seed);
      const at = path.replace(/\{\w+\}/g, () => (roll() < 0.5 ? "x" : segment(roll))) + query(roll);
      const body =
        method === "GET" && roll() < 0.9
          ? undefined
          : roll() < 0.8
            ? JSON.stringify(fields(roll, 1 + Math.floor(roll() * 12)))
            : pick(roll, [
                undefined,
                JSON.stringify(anything(roll)),
                "{",
                "\ufeff{}",
                '{"a":1,"a":2}',
                `${"[".repeat(5_000)}`,
                "nul",
                '{"data":1e999}',
              ]);
      const call = roll() < 0.15 ? target.asClient() : target.call;
      // What is said of GET with a body is up to the client.
      const answer = await call(method, at, method === "GET" ? undefined : body, headers(roll));
      calls++;
      const fault = faultOf(answer);
      if (fault !== null)
        failures.push(
          `seed ${seed}: ${method} ${at.slice(0, 200)} ${String(body).slice(0, 300)}: ${answer.status} ${fault}: ${answer.text.slice(0, 300)}`,
        );
    };
    let seed = FIRST_SEED * 1_000_000;
    for (let round = 0; round < ROUNDS[name]; round++) {
      for (let i = 0; i < operations.length; i += 8) {
        await Promise.all(operations.slice(i, i + 8).map((operation) => one(seed++, operation)));
      }
      assert.deepEqual(failures.slice(0, 5), []);
    }
    t.diagnostic(`${calls} calls`);
    await isWell(target, "well-1");
  });

  test(`${name}: what is too deep, too large, no JSON or no HTTP is refused, and nothing is left of it`, async () => {
    const target = await open();
    await commit(target, "large", [IN_APP]);
    const { call } = target;
    const refused = async (status: number, body: string, more?: { readonly [name: string]: string }): Promise<void> => {
      const answer = await call("POST", "/workflows/large/trigger", body, more);
      assert.equal(answer.status, status, `${body.slice(0, 60)}: ${answer.text.slice(0, 200)}`);
      assert.equal(faultOf(answer), null);
    };
    const deep = (levels: number): string =>
      `{"recipients":["large-1"],"data":${'{"a":'.repeat(levels)}1${"}".repeat(levels)}}`;
    await refused(422, deep(100_000));
    await refused(413, `{"recipients":["large-1"],"data":{"x":"${"x".repeat(12_000_000)}"}}`);
    await refused(422, `{"recipients":[${Array(1_001).fill('"large-1"').join()}]}`);
    await refused(422, "{");
    await refused(422, "\ufeff\ufeff");
    await refused(422, '"recipients"');
    assert.equal((await call("GET", "/users/large-1")).status, 404);
    const ok = await call(
      "POST",
      "/workflows/large/trigger",
      `{"recipients":[{"id":"large-1"}],"data":{"x":"${"x".repeat(5_000_000)}"}}`,
    );
    assert.equal(ok.status, 200, ok.text.slice(0, 200));
    assert.equal((await feedOf(target, "large-1", "mode=compact")).entries.length, 1);
  });

  test(`${name}: bytes that are no HTTP close their own connection only`, async () => {
    const target = await open();
    const authorized = `Authorization: Bearer ${target.secretKey}\r\nHost: x\r\n`;
    const trigger = "POST /v1/workflows/large/trigger HTTP/1.1\r\n";
    for (const bytes of [
      "\r\n\r\n",
      "GET\r\n\r\n",
      "\u0000".repeat(1_000),
      `GET /v1/users/${"x".repeat(70_000)} HTTP/1.1\r\n${authorized}\r\n`,
      `${trigger}${authorized}Content-Length: 5\r\nContent-Length: 6\r\n\r\n{}{}{}`,
      `${trigger}${authorized}Content-Length: -1\r\n\r\n{}`,
      `${trigger}${authorized}Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n`,
      `${trigger}${authorized}Content-Type: application/json\r\nContent-Length: 400\r\n\r\n{"recip`,
      `GET /v1/users HTTP/1.1\r\n${authorized}${"X: y\r\n".repeat(5_000)}\r\n`,
      `GET http://[::1 HTTP/1.1\r\n${authorized}\r\n`,
      `GET //v1//users?%zz=%zz#x HTTP/1.1\r\n${authorized}Connection: close\r\n\r\n`,
      `GET /v1/users/\u00ff\u00fe HTTP/1.1\r\n${authorized}Connection: close\r\n\r\n`,
      `OPTIONS * HTTP/1.1\r\n${authorized}Connection: close\r\n\r\n`,
      `TRACE /v1/users HTTP/1.1\r\n${authorized}Connection: close\r\n\r\n`,
    ]) {
      const got = await raw(target, bytes, bytes.includes("Connection: close"));
      assert.doesNotMatch(got, /^HTTP\/1\.1 50[^1]/, JSON.stringify(bytes.slice(0, 80)));
    }
    const bad = Buffer.concat([
      Buffer.from(
        `PUT /v1/users/bytes HTTP/1.1\r\n${authorized}Connection: close\r\nContent-Type: application/json\r\nContent-Length: 14\r\n\r\n{"name":"`,
      ),
      Buffer.from([0xff, 0xfe, 0xc0]),
      Buffer.from('"}'),
    ]);
    assert.match(await raw(target, bad, true), /^HTTP\/1\.1 (200|400|422)/);
    await isWell(target, "well-2");
  });
});
