import assert from "node:assert/strict";
import { test } from "node:test";
import { MANAGEMENT_ROUTES } from "../../../../src/facades/knock/management/routes.ts";
import { forEachKnock } from "../knock-target.ts";
import { workflow } from "./pushing.ts";

/** Every route of the management API, as `GET /workflows/:key`. */
function allRoutes(): readonly string[] {
  const routes: string[] = [];
  const note = (method: string) => (path: string) => routes.push(`${method} ${path}`);
  const scope = {
    get: note("GET"),
    put: note("PUT"),
    post: note("POST"),
    delete: note("DELETE"),
    route: ({ method, url }: { method: string; url: string }) => routes.push(`${method} ${url}`),
  };
  const knock = { engine: { documents: {}, workflows: {} } };
  for (const register of MANAGEMENT_ROUTES) register(scope as never, knock as never);
  return routes;
}

const BODIES: readonly unknown[] = [
  undefined,
  "null",
  "[]",
  "1",
  '"text"',
  '{"workflow":1,"partial":[],"email_layout":"x","translation":null,"channel_group":{},"config":[],"recipient":{},"status":{}}',
  '{"workflow":{"name":"a\\u0000b","steps":[null]},"recipients":[null],"recipient":"a\\u0000b","template":{},"channel_type":{}}',
  '{"partial":{"name":{},"type":{},"content":{}},"email_layout":{"name":1,"html_layout":2,"text_layout":3,"footer_links":[1]}}',
  '{"channel_group":{"channel_rules":[null,1,{}],"name":"\\ud800"},"config":{"rows":[null,{"type":1}]},"data":{"__x":1}}',
  `{"workflow":${"[".repeat(150)}${"]".repeat(150)}}`,
];
const QUERIES = [
  "",
  "?environment=%00",
  "?after=%00",
  "?limit=-1",
  "?commit=maybe",
  "?namespace=%00&tenant=a%2Fb",
  "?environment[]=x&environment[a]=b",
];

forEachKnock((name, open) => {
  test(`${name}: nothing that is sent to the management API is ever the server's fault`, async () => {
    const { call } = await open();
    const routes = allRoutes();
    assert.ok(routes.length > 60, `${routes.length} routes`);
    const wrong: string[] = [];
    const seen = async (method: string, path: string, body?: unknown) => {
      const { status, body: told } = await call(method, path, body);
      // 501 is what is not there yet; SDKs try 408, 409 and 429 again.
      if ((status >= 500 && status !== 501) || [408, 409, 429].includes(status))
        wrong.push(`${status} ${method} ${path} ${body}`);
      if (status >= 400 && (told?.code === undefined || told.status !== status))
        wrong.push(`no error body: ${method} ${path}`);
    };
    for (const route of routes) {
      const [method = "", path = ""] = route.split(" ");
      const keys = path.includes(":")
        ? ["x", "a%00b", "k".repeat(300), "%F0%9F%8E%89", "..%2F..%2Fx", "__proto__"]
        : [""];
      for (const key of keys) await seen(method, path.replace(/:\w+/g, key));
      for (const query of QUERIES) await seen(method, path.replace(/:\w+/g, "x") + query);
      if (method !== "GET" && method !== "DELETE")
        for (const body of BODIES) await seen(method, path.replace(/:\w+/g, "x"), body);
    }
    assert.deepEqual(wrong, []);
  });

  test(`${name}: a public key, no key and another environment's key get nowhere`, async () => {
    const target = await open();
    await target.call("PUT", "/workflows/mine?commit=true", workflow("x"));
    const other = await target.another();
    for (const route of allRoutes()) {
      const [method = "", path = ""] = route.split(" ");
      const at = path.replace(/:\w+/g, "mine");
      const asClient = await target.asClient()(method, at);
      assert.deepEqual([asClient.status, asClient.body.code], [401, "incorrect_token_type"], route);
      assert.equal((await target.call(method, at, undefined, { authorization: undefined })).status, 401, route);
    }
    for (const [method, path] of [
      ["GET", "/workflows/mine"],
      ["PUT", "/workflows/mine/activate"],
      ["PUT", "/workflows/mine/run"],
      ["POST", "/workflows/mine/steps/feed_1/preview_template"],
    ] as const) {
      const body = method === "GET" ? undefined : { recipients: ["u"], recipient: "u" };
      assert.equal((await other.call(method, path, body)).status, 404, path);
    }
    const keys = `${"k".repeat(254)}9`;
    assert.equal((await target.call("PUT", `/workflows/${keys}`, workflow("x"))).status, 200);
    assert.equal((await target.call("PUT", `/workflows/${keys}9`, workflow("x"))).status, 422);
  });
});
