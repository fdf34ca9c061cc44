/** Scenarios 1 to 6: bodies, refusals, CORS and credentials. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { APP_CODE, answerOf, forEachPushwoosh, PUBLIC_KEY, SECRET_KEY } from "../pushwoosh-target.ts";

const OPEN = JSON.stringify({ request: { application: APP_CODE, hwid: "h", device_type: 11 } });

forEachPushwoosh((dialect, open) => {
  test(`${dialect}: 1. a body is JSON whatever it is announced as`, async () => {
    const target = await open();
    const types = ["application/json", "text/plain;charset=UTF-8", "application/x-www-form-urlencoded", "nonsense"];
    for (const type of types) {
      const answer = await target.post("/json/1.3/applicationOpen", OPEN, { "content-type": type });
      assert.deepEqual([answer.http, answer.code], [200, 200], type);
    }
    const bare = await fetch(`${target.url}/json/1.3/applicationOpen`, {
      method: "POST",
      body: new Uint8Array(Buffer.from(OPEN)),
    });
    assert.equal((await answerOf(bare)).code, 200);
    assert.equal((await target.post("/json/1.3applicationOpen", OPEN)).code, 200, "without the slash");
  });

  test(`${dialect}: 2. what is no JSON, or has no request, is 400`, async () => {
    const target = await open();
    for (const body of [
      "{",
      "{}",
      "[]",
      "null",
      '"x"',
      '{"request":[]}',
      '{"request":1}',
      '{"request":null}',
      undefined,
    ]) {
      const answer = await target.post("/json/1.3/registerUser", body);
      assert.deepEqual([answer.http, answer.code], [400, 400], body ?? "nothing");
    }
    const deep = `{"request":${"[".repeat(5_000)}${"]".repeat(5_000)}}`;
    assert.equal((await target.post("/json/1.3/registerUser", deep)).http, 400);
    const proto = '{"request":{"application":"x","__proto__":{"a":1}}}';
    assert.equal((await target.post("/json/1.3/registerUser", proto)).http, 400);
    assert.equal((await target.post("/json/1.3/registerUser", `{"request":{"a":"${"x".repeat(2e6)}"}}`)).http, 413);
  });

  test(`${dialect}: 3. an argument at fault is 210 within 200`, async () => {
    const target = await open();
    const calls: [string, object][] = [
      ["getInboxMessages", {}],
      ["getInboxMessages", { userId: "u1", application: "NOPE0-NOPE0" }],
      ["getInboxMessages", { userId: "u1", application: "" }],
      ["getInboxMessages", { userId: "u1", count: -1 }],
      ["getInboxMessages", { userId: "u1", count: "many" }],
      ["getInboxMessages", { userId: {} }],
      ["getInboxMessages", { userId: "nul\u0000" }],
      ["inboxStatus", { userId: "u1", inbox_code: "1", status: 5 }],
      ["inboxStatus", { userId: "u1", inbox_code: "1", status: 0 }],
      ["inboxStatus", { userId: "u1", inbox_code: "1", status: "x" }],
      ["inboxStatus", { userId: "u1", inbox_code: "1" }],
      ["inboxStatus", { userId: "u1", status: 2 }],
      ["inboxStatus", { inbox_code: "1", status: 2 }],
      ["registerDevice", { userId: "u1" }],
      ["registerDevice", { hwid: "x".repeat(2_000) }],
      ["registerDevice", { hwid: "x", push_token: "x".repeat(2_000) }],
      ["setTags", { hwid: "x", tags: [] }],
      ["setTags", { hwid: "x", tags: { a: { b: { c: 1 } } } }],
      ["postEvent", {}],
    ];
    for (const [method, fields] of calls) {
      const answer = await target.call(method, fields);
      assert.deepEqual([answer.http, answer.code], [200, 210], `${method} ${JSON.stringify(fields)}`);
      assert.equal(answer.response, null);
    }
  });

  test(`${dialect}: unknown methods are 404, other verbs 405, methods that are not there 501`, async () => {
    const target = await open();
    assert.deepEqual([(await target.call("getinboxmessages")).http, (await target.call("x/y")).code], [404, 404]);
    for (const verb of ["GET", "PUT", "DELETE"]) {
      const answer = await answerOf(await fetch(`${target.url}/json/1.3/getConfig`, { method: verb }));
      assert.deepEqual([answer.http, answer.code], [405, 405]);
    }
    const missing = await target.call("createTargetedMessage", { auth: SECRET_KEY });
    assert.deepEqual([missing.http, missing.code], [501, 501]);
    assert.equal((await target.call("getInApps", { hwid: "h" })).code, 200);
  });

  test(`${dialect}: 4. the origin is echoed, never a wildcard`, async () => {
    const target = await open();
    const origin = "https://site.test";
    for (const path of ["getConfig", "nonsense", "inboxStatus"]) {
      const preflight = await fetch(`${target.url}/json/1.3/${path}`, {
        method: "OPTIONS",
        headers: {
          origin,
          "access-control-request-method": "POST",
          "access-control-request-headers": "authorization",
        },
      });
      assert.equal(preflight.status, 204);
      assert.equal(preflight.headers.get("access-control-allow-origin"), origin);
      assert.equal(preflight.headers.get("access-control-allow-credentials"), "true");
      assert.match(preflight.headers.get("access-control-allow-headers") ?? "", /authorization/);
      assert.match(preflight.headers.get("access-control-allow-methods") ?? "", /POST/);
    }
    for (const [method, code] of [
      ["getConfig", 200],
      ["inboxStatus", 210],
      ["nonsense", 404],
    ] as const) {
      const answer = await target.call(method, {}, { origin });
      assert.equal(answer.code, code);
      assert.equal(answer.headers.get("access-control-allow-origin"), origin);
      assert.equal(answer.headers.get("access-control-allow-credentials"), "true");
      assert.equal(answer.headers.get("vary"), "Origin");
      assert.equal(answer.headers.get("set-cookie"), null);
    }
    const malformed = await fetch(`${target.url}/json/1.3/%zz`, { method: "POST", headers: { origin } });
    assert.equal(malformed.headers.get("access-control-allow-origin"), origin);
    const none = await target.call("getConfig");
    assert.equal(none.headers.get("access-control-allow-origin"), null);
    assert.equal((await fetch(`${target.url}/json/1.3/x`, { method: "OPTIONS" })).status, 204);
  });

  test(`${dialect}: 5. sending takes the secret key`, async () => {
    const target = await open();
    const notifications = [{ content: "hello", users: ["u-auth"], inbox_days: 1 }];
    const other = await target.another();
    for (const auth of ["wrong", PUBLIC_KEY, other.secretKey, undefined, ""]) {
      const answer = await target.call("createMessage", { auth, notifications });
      assert.deepEqual([answer.http, answer.code], [200, 210]);
      assert.deepEqual(answer.response, { Messages: [] });
    }
    const right = await target.ok("createMessage", { auth: SECRET_KEY, notifications });
    assert.match(right.Messages[0], /^[0-9A-F]{4}-[0-9A-F]{8}-[0-9A-F]{8}$/);
    const inHeader = await target.call("createMessage", { notifications }, { authorization: `Token ${SECRET_KEY}` });
    assert.equal(inHeader.code, 200);
    assert.equal((await target.fetch("u-auth")).messages.length, 2);
    assert.equal((await target.call("getTags", { hwid: "h", auth: "wrong" })).code, 210);
    assert.equal((await target.call("getTags", { hwid: "h", auth: SECRET_KEY })).code, 200);
  });

  test(`${dialect}: 6. device tokens count once the operator says so`, async () => {
    const target = await open();
    const ask = (authorization?: string) =>
      target.call("getInboxMessages", { userId: "u1" }, authorization === undefined ? {} : { authorization });
    const other = await target.another();
    for (const header of [undefined, "", "Token ", "Token (null)", "Token junk", "Basic x:y", `Token ${PUBLIC_KEY}`]) {
      assert.equal((await ask(header)).http, 200, header ?? "none");
    }
    assert.deepEqual((await ask(`Token ${other.environment.publicKey}`)).http, 401, "another application's");
    await target.setting({ require_device_token: true });
    for (const header of [undefined, "Token ", "Token (null)", "Token junk", `Token ${other.environment.publicKey}`]) {
      const answer = await ask(header);
      assert.deepEqual([answer.http, answer.code], [401, 401], header ?? "none");
    }
    assert.equal((await ask(`Token ${PUBLIC_KEY}`)).http, 200);
    const notifications = [{ content: "hello", users: ["u1"] }];
    assert.equal((await target.call("createMessage", { auth: SECRET_KEY, notifications })).code, 200);
    await target.setting({ require_device_token: false });
    assert.equal((await ask()).http, 200);
  });
});
