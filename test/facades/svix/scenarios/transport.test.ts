/** What goes over the wire: scenario 17 (headers towards receivers) and 45 (paths, probes, errors, CORS). */
import assert from "node:assert/strict";
import { connect } from "node:net";
import { test } from "node:test";
import { ApiException, Svix } from "svix";
import { ApiException as ApiException2, Svix as Svix2 } from "svix2";
import type { ReceivedRequest } from "../../../support/http-receiver.ts";
import { locs } from "../eventually.ts";
import { refusedAt, setHeaders } from "./renamed.ts";
import { forEachSpeaker } from "./scenario.ts";

const FORBIDDEN =
  "user-agent keep-alive proxy-authenticate proxy-authorization te trailers transfer-encoding upgrade age cache-control " +
  "clear-site-data expires pragma warning content-length content-type content-encoding content-language content-location";
const FORBIDDEN_PREFIXES = "x-amz- x-amzn- x-google x-goog- x-gfe x-azure- x-fd- x-svix- svix- webhook-";
const SENSITIVE = ["X-Auth-Token", "X-API-Key", "WWW-Authenticate", "Authorization"];

/** Sends bytes as they are. @returns the status and body of the answer. */
async function bare(url: string, text: string): Promise<{ status: number; body: string }> {
  const { hostname, port } = new URL(url);
  return await new Promise((resolve, reject) => {
    let answer = "";
    const socket = connect(Number(port), hostname, () => socket.write(text));
    socket.on("data", (chunk) => {
      answer += chunk;
    });
    socket.on("error", reject);
    socket.on("close", () => {
      const [head = "", ...rest] = answer.split("\r\n\r\n");
      resolve({ status: Number(head.split(" ")[1]), body: rest.join("\r\n\r\n") });
    });
  });
}

forEachSpeaker({}, (who, open) => {
  test(`${who}: 17. Headers: PUT, then PATCH merges; null removes; case kept; sensitive ones hidden and sent`, async (t) => {
    const scene = await open(t);
    const { svix, call } = scene;
    const receiver = await scene.receiver();
    const app = await scene.app();
    const { id } = await svix.endpoint.create(app, { url: receiver.url });
    const path = `/app/${app}/endpoint/${id}/headers`;
    const delivered = async (): Promise<ReceivedRequest> => {
      await scene.message(app);
      await scene.idle();
      return receiver.requests.at(-1) as ReceivedRequest;
    };
    const get = async () => (await call("GET", path)).body;
    assert.deepEqual(await svix.endpoint.getHeaders(app, id), { headers: {}, sensitive: [] });

    await setHeaders(scene, app, id, { "X-First": "1", "x-SECOND": 'a, b;c="d"\t~', Authorization: "Bearer s3cret" });
    assert.deepEqual(await svix.endpoint.getHeaders(app, id), {
      headers: { "X-First": "1", "x-SECOND": 'a, b;c="d"\t~' },
      sensitive: ["Authorization"],
    });
    const first = await delivered();
    assert.equal(first.headers["x-first"], "1");
    assert.equal(first.headers["x-second"], 'a, b;c="d"\t~');
    assert.equal(first.headers.authorization, "Bearer s3cret");
    for (const name of ["X-First", "x-SECOND", "Authorization"]) assert.ok(first.rawHeaders.includes(name), name);

    await svix.endpoint.patchHeaders(app, id, { headers: { "X-Third": "3", "x-first": "uno" } });
    assert.deepEqual((await get()).headers, { "x-SECOND": 'a, b;c="d"\t~', "X-Third": "3", "x-first": "uno" });
    // Null removes; so does a name in `deleteHeaders`, in any case.
    const removed = await call("PATCH", path, { headers: { "X-second": null }, deleteHeaders: ["x-THIRD", "x-none"] });
    assert.deepEqual([removed.status, removed.text], [204, ""]);
    assert.deepEqual(await get(), { headers: { "x-first": "uno" }, sensitive: ["Authorization"] });
    const second = await delivered();
    assert.equal(second.headers["x-first"], "uno");
    assert.ok(second.rawHeaders.includes("x-first"));
    assert.equal(second.headers.authorization, "Bearer s3cret");
    for (const name of ["x-second", "x-third"]) assert.equal(second.headers[name], undefined);
    await svix.endpoint.patchHeaders(app, id, { headers: { authorization: null as never } });
    assert.equal((await delivered()).headers.authorization, undefined);

    const all = Object.fromEntries(SENSITIVE.map((name) => [name, `value of ${name}`]));
    await setHeaders(scene, app, id, { ...all, "X-Seen": "yes" });
    const shown = await call("GET", path);
    assert.deepEqual(
      [shown.body.headers, [...shown.body.sensitive].sort()],
      [{ "X-Seen": "yes" }, [...SENSITIVE].sort()],
    );
    assert.doesNotMatch(shown.text, /value of/);
    const third = await delivered();
    for (const name of SENSITIVE) assert.equal(third.headers[name.toLowerCase()], `value of ${name}`);
    // What was sent with an attempt is shown without them.
    const [attempt] = (await svix.messageAttempt.listByEndpoint(app, id, { limit: 1 })).data;
    const sent = await call("GET", `/app/${app}/msg/${attempt?.msgId}/attempt/${attempt?.id}/headers`);
    assert.equal(sent.status, 200);
    assert.doesNotMatch(sent.text, /value of/);

    // PUT replaces all.
    await setHeaders(scene, app, id, {});
    assert.deepEqual(await get(), { headers: {}, sensitive: [] });
    // Those of the URL give way to the endpoint's own.
    await svix.endpoint.patch(app, id, { url: receiver.url.replace("://", "://us%20er:pa%3Ass@") });
    assert.equal((await delivered()).headers.authorization, `Basic ${Buffer.from("us er:pa:ss").toString("base64")}`);
    await setHeaders(scene, app, id, { authorization: "mine" });
    assert.equal((await delivered()).headers.authorization, "mine");

    const names = [...FORBIDDEN.split(" "), ...FORBIDDEN_PREFIXES.split(" ").map((prefix) => `${prefix}own`)];
    for (const name of names) {
      for (const spelled of [name, name.toUpperCase(), name.replace(/(^|-)./g, (c) => c.toUpperCase())]) {
        for (const method of ["PUT", "PATCH"]) {
          assert.deepEqual(locs(await call(method, path, { headers: { [spelled]: "x" } })), [
            `body.headers.${spelled}`,
          ]);
        }
      }
      assert.deepEqual(
        locs(await call("POST", `/app/${app}/endpoint`, { url: "https://x.example", headers: { [name]: "x" } })),
        [`body.headers.${name}`],
      );
    }
    for (const name of [
      "",
      " ",
      "a b",
      "a:b",
      "ä",
      "a\r\nb",
      "a\u0000",
      "x".repeat(300),
      "(x)",
      "x/y",
      "💥",
      "\u0130d",
    ]) {
      const refused = await call("PUT", path, { headers: { [name]: "x" } });
      assert.deepEqual(locs(refused), [`body.headers.${name}`], JSON.stringify(name));
    }
    for (const value of ["x".repeat(4_097), "a\r\nX-Evil: 1", "a\nb", "\u0000", "ä", "💥", "\u007f"]) {
      assert.deepEqual(await refusedAt(setHeaders(scene, app, id, { "x-a": value })), ["body.headers.x-a"]);
      const patch = svix.endpoint.patchHeaders(app, id, { headers: { "x-a": value } });
      assert.deepEqual(await refusedAt(patch), ["body.headers.x-a"]);
    }
    assert.deepEqual(await get(), { headers: {}, sensitive: ["authorization"] });
    await setHeaders(scene, app, id, { "x-long": "y".repeat(4_096), constructor: "c", "x-empty": "" });
    const last = await delivered();
    assert.deepEqual([last.headers["x-long"]?.length, last.headers["x-empty"]], [4_096, ""]);
    assert.equal(Object.hasOwn(last.headers, "constructor") && last.headers.constructor, "c");
  });

  test(`${who}: 45. Transport details: slashes, health without a token, unknown paths, preflights`, async (t) => {
    const scene = await open(t);
    const { svix, call, target, major } = scene;
    const app = await svix.application.create({ name: "x", uid: "slashes" });
    const { id } = await svix.endpoint.create("slashes", { url: "https://example.com/" });
    for (const start of ["/api/v1", "//api/v1", "///api/v1"]) {
      for (const [path, found] of [
        ["/app/slashes", app.id],
        [`/app/slashes/endpoint/${id}`, id],
      ] as const) {
        for (const end of ["", "/", "/?with_content=false"]) {
          const answer = await call("GET", `${target.url}${start}${path}${end}`);
          assert.deepEqual([answer.status, answer.body.id], [200, found], `${start}${path}${end}`);
        }
      }
      for (const end of ["", "/"]) {
        const made = await call("POST", `${target.url}${start}/app${end}`, { name: "x" });
        assert.equal(made.status, 201);
        const path = `${target.url}${start}/app/${made.body.id}${end}`;
        assert.equal((await call("PUT", path, { name: "y" })).status, 200);
        assert.equal((await call("PATCH", path, { name: "z" })).status, 200);
        assert.equal((await call("DELETE", path)).status, 204);
      }
    }
    const Client = major === 1 ? Svix : (Svix2 as unknown as typeof Svix);
    for (const serverUrl of [target.url, `${target.url}/`]) {
      const client = new Client(scene.token, { serverUrl });
      assert.equal((await client.application.get("slashes")).id, app.id);
      assert.equal((await client.endpoint.list("slashes")).data.length, 1);
      assert.equal(await client.health.get(), undefined);
    }

    for (const path of ["/api/v1/health", "/api/v1/health/", "/api/v1/health/ping", "//api/v1/health"]) {
      for (const method of ["GET", "HEAD"]) {
        for (const authorization of [undefined, "Bearer nonsense"]) {
          const answer = await call(method, target.url + path, undefined, { authorization });
          assert.deepEqual([answer.status, answer.text], [204, ""], `${method} ${path}`);
        }
      }
    }

    for (const authorization of [undefined, "Bearer nonsense", `Bearer ${scene.token}`]) {
      for (const [method, path, status, code] of [
        ["GET", "/api/v1/nothing", 404, "not_found"],
        ["POST", "/api/v1/nothing/here", 404, "not_found"],
        ["PUT", "/api/v1", 404, "not_found"],
        ["DELETE", "/api/v1/", 404, "not_found"],
        ["GET", "/api/v1/app/x/y/z", 404, "not_found"],
        ["PATCH", "/ingest/api/v1/nothing", 404, "not_found"],
        ["DELETE", "/api/v1/app", 405, "method_not_allowed"],
        ["PATCH", "/api/v1/event-type", 405, "method_not_allowed"],
        ["POST", "/api/v1/health", 405, "method_not_allowed"],
        ["PUT", "/api/v1/app/x/endpoint/", 405, "method_not_allowed"],
      ] as const) {
        const body = method === "GET" || method === "DELETE" ? undefined : { a: 1 };
        const answer = await call(method, target.url + path, body, { authorization });
        assert.deepEqual([answer.status, answer.body?.code], [status, code], `${method} ${path}`);
        assert.equal(typeof answer.body.detail, "string");
      }
      for (const path of ["/", "/nothing", "/api", "/api/v2/app", "/app"]) {
        const answer = await call("POST", target.url + path, { a: 1 }, { authorization });
        assert.ok(answer.status >= 400 && answer.status < 500, `${path} ${answer.status}`);
        assert.equal(typeof answer.body, "object", path);
      }
    }
    // An SDK that calls what is not there gets its own exception and no SyntaxError.
    const lost = new Client(scene.token, { serverUrl: `${target.url}/nowhere` });
    await assert.rejects(lost.application.list(), (error) => {
      assert.ok(error instanceof ApiException || error instanceof ApiException2, String(error));
      return error.code === 404;
    });

    const asked = "authorization, content-type, idempotency-key, svix-req-id, svix-retry-count, user-agent";
    for (const origin of ["https://shop.example", "http://localhost:3000", "null"]) {
      for (const [path, method] of [
        ["/api/v1/app/slashes/endpoint", "POST"],
        [`/api/v1/app/slashes/endpoint/${id}`, "PATCH"],
        [`/api/v1/app/slashes/endpoint/${id}`, "PUT"],
        [`//api/v1/app/slashes/endpoint/${id}/`, "DELETE"],
        ["/api/v1/event-type", "GET"],
        ["/api/v1/nothing", "GET"],
      ] as const) {
        const headers = {
          origin,
          "access-control-request-method": method,
          "access-control-request-headers": asked,
          authorization: undefined,
          "content-type": undefined,
        };
        const preflight = await call("OPTIONS", target.url + path, undefined, headers);
        assert.deepEqual([preflight.status, preflight.text], [204, ""], `${path} ${method}`);
        const told = (name: string): string => preflight.headers.get(`access-control-${name}`) ?? "";
        assert.ok(["*", origin].includes(told("allow-origin")));
        const allowed = told("allow-headers")
          .toLowerCase()
          .split(/\s*,\s*/);
        for (const name of asked.split(", ")) assert.ok(allowed.includes(name), name);
        assert.ok(
          told("allow-methods")
            .split(/\s*,\s*/)
            .includes(method),
        );
        assert.ok(Number(told("max-age")) >= 600);
        assert.equal(preflight.headers.get("access-control-allow-credentials"), null);
      }
      // What a browser may read: answers, refusals and faults alike.
      for (const [method, path, authorization] of [
        ["GET", "/app/slashes", `Bearer ${scene.token}`],
        ["GET", "/app/slashes", undefined],
        ["GET", "/app/nobody", `Bearer ${scene.token}`],
        ["GET", "/nothing", `Bearer ${scene.token}`],
        ["GET", "/stream", `Bearer ${scene.token}`],
        ["POST", "/app", `Bearer ${scene.token}`],
        ["GET", "/app/%zz", `Bearer ${scene.token}`],
      ] as const) {
        const answer = await call(method, path, method === "POST" ? "{" : undefined, { authorization, origin });
        assert.ok(["*", origin].includes(answer.headers.get("access-control-allow-origin") ?? ""), path);
      }
    }
  });

  test(`${who}: §A.1 and §I.2: bodies and requests of every make; each refusal is JSON`, async (t) => {
    const scene = await open(t);
    const { call, target } = scene;
    await scene.app("x");
    const refused = async (status: number, method: string, path: string, body?: unknown, headers = {}) => {
      const answer = await call(method, path, body, headers);
      assert.equal(answer.status, status, `${method} ${path.slice(0, 60)}: ${answer.text.slice(0, 200)}`);
      assert.equal(typeof answer.body?.detail, status === 422 ? "object" : "string");
    };
    for (const body of [
      "{",
      "nonsense",
      "\ufeff{}",
      '{"name":"\\u0000"}',
      '{"name":"\\ud800"}',
      '{"name":NaN}',
      "\0",
      "{}{}",
    ]) {
      await refused(422, "POST", "/app", body);
      await refused(422, "PUT", "/app/x", body);
      await refused(422, "POST", "/auth/app-portal-access/x", body.replace("name", "sessionId"));
    }
    for (const body of ["[]", '"x"', "5", "true", "[{}]"]) {
      for (const [method, path] of [
        ["POST", "/app"],
        ["PATCH", "/app/x"],
        ["POST", "/app/x/endpoint"],
        ["POST", "/app/x/msg"],
        ["POST", "/event-type"],
        ["POST", "/auth/app-portal-access/x"],
        ["PUT", "/management/environment-settings"],
      ] as const) {
        await refused(422, method, path, body);
      }
    }
    await refused(422, "POST", "/app", `{"name":${"[".repeat(50_000)}${"]".repeat(50_000)}}`);
    await refused(413, "POST", "/app", JSON.stringify({ name: "x".repeat(2 * 1024 * 1024) }));
    await refused(413, "POST", "/app/x/msg", JSON.stringify({ eventType: "a", payload: { x: "x".repeat(8_000_000) } }));
    for (const id of [
      "%00",
      "a%2Fb",
      "%20",
      "%F0%9F%92%A9",
      "..%2f..",
      "%5c",
      "x".repeat(257),
      "app_x",
      "%27%20or%201=1--",
    ]) {
      for (const path of [`/app/${id}`, `/app/${id}/endpoint`, `/app/x/endpoint/${id}`, `/app/x/msg/${id}`]) {
        await refused(404, "GET", path);
      }
      await refused(404, "DELETE", `/app/${id}`);
      await refused(404, "POST", `/app/${id}/msg`, { eventType: "a", payload: {} });
    }
    for (const query of ["get_if_exists=maybe", "get_if_exists=1", "get_if_exists="]) {
      await refused(422, "POST", `/app?${query}`, { name: "x" });
    }
    // What is more than is known is passed over.
    const odd = { name: "odd", unknown: { a: [1] }, toString: 1, hasOwnProperty: 2 };
    const made = await call("POST", "/app?unknown=1&__proto__=2&a[b]=3", odd);
    assert.equal(made.status, 201, made.text);
    for (const key of ["unknown", "toString", "hasOwnProperty"]) assert.ok(!Object.hasOwn(made.body, key));
    // No more than one decoding: `%2561` names `%61`, which is no uid, not `a`.
    await scene.app("a");
    assert.equal((await call("GET", "/app/%61")).status, 200);
    assert.equal((await call("GET", "/app/%2561")).status, 404);

    // Not even HTTP, or only just: an answer in JSON, and nobody waits for ever.
    const token = `authorization: Bearer ${scene.token}\r\n`;
    for (const [text, statuses] of [
      [`GET /api/v1/app/%zz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n${token}\r\n`, [400, 404]],
      [`GET /api/v1/app HTTP/1.1\r\nhost: x\r\nx-a: ${"y".repeat(70_000)}\r\n\r\n`, [431]],
      ["NONSENSE\r\n\r\n", [400]],
      [
        `POST /api/v1/app HTTP/1.1\r\nhost: x\r\n${token}connection: close\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n`,
        [400],
      ],
      [`GET /api/v1/app?limit=1 HTTP/1.0\r\n${token}\r\n`, [200]],
      [`GET ${target.url}/api/v1/app/x HTTP/1.1\r\nhost: x\r\nconnection: close\r\n${token}\r\n`, [200, 400, 404]],
    ] as const) {
      const { status, body } = await bare(target.url, text);
      assert.ok((statuses as readonly number[]).includes(status), `${text.slice(0, 40)}: ${status}`);
      if (body.startsWith("{")) assert.equal(typeof JSON.parse(body), "object");
      else assert.match(body, /\{[\s\S]*\}/, text.slice(0, 40));
    }
  });
});
