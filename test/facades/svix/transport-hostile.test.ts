/** Nothing that a caller can send is a fault of ours: every operation, with ids that exist and values that are wrong. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { forEachSvix, type SvixTarget } from "./svix-target.ts";

/** Every field that any body has. */
const NAMES = [
  "after appIds application archived before body capabilities channel channels code connectors createdAt data deleteHeaders",
  "deliverAt deprecated description disabled dryRun enabled endpointIds enforceHttps eventId eventType eventTypes event_types",
  "exampleIndex expiry featureFlag featureFlags filterTypes gracePeriodSeconds groupName headers ids instructions iterator",
  "key kind limit logo metadata name offset oldTokenExpiry oneTimeToken payload payloadRetentionHours payloadRetentionPeriod",
  "productType rateLimit readOnly replaceAll retryPolicy schemas secret sessionId sessionIds settings since spec specRaw",
  "status statusCodeClass tag tags throttleRate transformation transformationsParams uid until url variables version with_content",
  "customColor displayName customThemeOverride colorPaletteDark enableTransformations requireEndpointChannel",
]
  .join(" ")
  .split(" ");

const QUERY =
  "limit iterator order before after channel tag event_types status status_code_class with_content with_msg " +
  "endpoint_id since until include_archived get_if_exists expunge lease_duration_ms starting_position event_type " +
  "expanded_statuses task product_type";

/** JSON texts of values, none of which is right for most fields. */
const VALUES: readonly string[] = [
  "null",
  "true",
  "0",
  "-1",
  "1e308",
  "99999999999999999999",
  "1.5",
  '""',
  '"\\u0000"',
  '"\\ud800"',
  '"toString"',
  '"2026-01-01T00:00:00Z"',
  '"9999-12-31T23:59:59Z"',
  '"0001-01-01T00:00:00Z"',
  '"https://example.com/\\u0000"',
  `"${"x".repeat(70_000)}"`,
  "[]",
  '["__proto__"]',
  "[null]",
  '["\\u0000"]',
  '[[[["a"]]]]',
  "{}",
  '{"constructor":{"prototype":{"a":1}}}',
  '{"\\u0000":"a"}',
  '{"a":{"b":["c"]}}',
  '{"$ref":"#"}',
];

/** All at once, and a few at a time, so that one that is refused does not hide the others. */
const QUERIES: readonly (readonly string[])[] = [
  QUERY.split(" "),
  ...QUERY.split(" ").flatMap((_, i, all) => (i % 4 === 0 ? [all.slice(i, i + 4)] : [])),
];

const TEXTS = [
  "",
  "\0",
  "%",
  "-1",
  "250",
  "99999999999999999999",
  "true",
  "x".repeat(300),
  "💥",
  "-",
  "=",
  "2026-01-01",
];

async function place(target: SvixTarget): Promise<{ readonly [param: string]: string }> {
  const { svix, call } = target;
  const app = await svix.application.create({ name: "hostile" });
  await svix.eventType.create({ name: "hostile.type", description: "x" }).catch(() => {});
  const endpoint = await svix.endpoint.create(app.id, { url: "http://127.0.0.1:9/", disabled: true });
  const poller = (await call("POST", `/app/${app.id}/polling-endpoint`, { uid: "p" })).body.id as string;
  const message = await svix.message.create(app.id, { eventType: "hostile.type", payload: { a: 1 } });
  const connector = (
    await call("POST", "/connector", { name: "x", transformation: "function handler(w) { return w }" })
  ).body.id as string;
  const integration = await svix.integration.create(app.id, { name: "x" });
  return {
    app_id: app.id,
    endpoint_id: endpoint.id,
    sink_id: poller,
    consumer_id: "c",
    msg_id: message.id,
    attempt_id: message.id.replace("msg_", "atmpt_"),
    event_type_name: "hostile.type",
    connector_id: connector,
    integ_id: integration.id,
    task_id: message.id.replace("msg_", "qtask_"),
  };
}

interface Operation {
  readonly method: string;
  readonly path: string;
}

async function operations(target: SvixTarget): Promise<readonly Operation[]> {
  const { paths } = (await target.call("GET", "/openapi.json")).body;
  return Object.entries<Record<string, Record<string, unknown>>>(paths).flatMap(([path, methods]) =>
    Object.entries(methods)
      .filter(([, operation]) => operation["x-not-implemented"] !== true)
      .map(([method]) => ({ method: method.toUpperCase(), path })),
  );
}

/** Deleting what the other calls are about would leave nothing to try them on. */
const DESTROYS = new Set(["DELETE"]);

forEachSvix((name, open) => {
  test(`${name}: wrong values in every field of every body are never our fault`, async () => {
    const target = await open();
    const ids = await place(target);
    const faults: string[] = [];
    for (const { method, path } of await operations(target)) {
      if (DESTROYS.has(method) || method === "GET") continue;
      const url = target.url + path.replace(/\{(\w+)\}/g, (_, param: string) => ids[param] ?? "x");
      const bodies = VALUES.flatMap((value) => [
        value,
        `{${NAMES.map((field) => `"${field}":${value.length > 1_000 ? '"x"' : value}`).join(",")}}`,
        ...(value.length > 1_000 ? [`{"name":${value},"uid":${value},"url":${value},"payload":{"a":${value}}}`] : []),
      ]);
      const answers = await Promise.all(
        bodies.map(async (sent) => ({ ...(await target.call(method, url, sent)), sent })),
      );
      for (const { sent, status, text } of answers) {
        if (status >= 500) faults.push(`${method} ${path} ${sent.slice(0, 100)} → ${status} ${text.slice(0, 200)}`);
      }
    }
    assert.deepEqual(faults, []);
  });

  test(`${name}: wrong values in every query and path are never our fault`, async () => {
    const target = await open();
    const ids = await place(target);
    const faults: string[] = [];
    for (const { method, path } of await operations(target)) {
      if (method !== "GET") continue;
      const filled = path.replace(/\{(\w+)\}/g, (_, param: string) => ids[param] ?? "x");
      const urls = TEXTS.flatMap((text) => [
        ...QUERIES.map((fields) => `${filled}?${new URLSearchParams(fields.map((field) => [field, text]))}`),
        path
          .replace(/\{\w+\}(?!.*\{)/, encodeURIComponent(text))
          .replace(/\{(\w+)\}/g, (_, p: string) => ids[p] ?? "x"),
      ]);
      const answers = await Promise.all(
        urls.map(async (url) => ({ ...(await target.call(method, target.url + url)), url })),
      );
      for (const { url, status, text } of answers) {
        if (status >= 500) faults.push(`${method} ${url.slice(0, 200)} → ${status} ${text.slice(0, 200)}`);
      }
    }
    assert.deepEqual(faults, []);
  });
});
