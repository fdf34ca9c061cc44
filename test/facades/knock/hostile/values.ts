/** Random input of the kinds that break servers, by a seed. */

const NAMES =
  "id collection name email timezone locale recipients recipient actor tenant tenants data settings preferences channel_data " +
  "users user user_ids objects object_ids subscriptions members properties message_ids schedules schedule_ids workflow " +
  "workflows repeats frequency interval days hours minutes day_of_month scheduled_at ending_at cancellation_key " +
  "from_user_id categories channel_types channels conditions variable operator argument metadata engagement_status " +
  "archived trigger_data template markdown_body html_body subject text_body partial email_layout html_layout translation " +
  "content format channel_group channel_rules config rows enabled status key type ref steps branches cohort_branches " +
  "percentage batch_window batch_key delay_for unit value throttle_limit url method headers query_params tokens devices " +
  "connections access_token branding preference_set __strategy__ __persistence_strategy__ commercial_subscribed " +
  "guide guides channel_id guide_id guide_key guide_step_ref unthrottled is_final audience message_type broadcast variants " +
  "$trigger_data skip_delay sandbox_mode subscribed has_tenant newer_than older_than delivery_status recipient_ids";
const KEYS = [...NAMES.split(" "), "__proto__", "constructor", "toString", "", "a.b", "a[]", "\u0000", "\ud800", "x@"];

const TEXTS = [
  "",
  "x",
  "default",
  "true",
  "0",
  "-1",
  "a\u0000b",
  "\ud800",
  "\udc00\ud800",
  "🙂".repeat(90),
  "e\u0301\u202e",
  "$users",
  "$tenants",
  "{{ x }}",
  "{% for i in (1..1000000000) %}{{ i }}{% endfor %}",
  "{{",
  "{% if %}",
  "gid://Object/a/b",
  "2026-02-30T25:61:00Z",
  "+275760-09-13T00:00:00.001Z",
  "0000-01-01",
  "00000000-0000-4000-8000-000000000002",
  "2w3YAAAAAAAAAAAAAAAAAAAAAAA",
  "' or 1=1 --",
  "%00",
  "../../etc/passwd",
  "Europe/Atlantis",
  "daily",
  "replace",
  "merge",
  "channel",
  "batch",
  "https://127.0.0.1:1/",
  "javascript:alert(1)",
  "x".repeat(70_000),
];
const NUMBERS = [0, -1, 1, 0.5, 1e21, -1e308, 2 ** 31, 2 ** 53, 5e-324, 1001];

export type Roll = () => number;

export function pick<T>(roll: Roll, from: readonly T[]): T {
  return from[Math.floor(roll() * from.length)] as T;
}

/** Any JSON, of names that the API knows. */
export function anything(roll: Roll, levels = 4): unknown {
  const kind = roll();
  if (levels === 0 || kind < 0.3) return pick(roll, TEXTS);
  if (kind < 0.4) return pick(roll, NUMBERS);
  if (kind < 0.5) return pick(roll, [null, true, false]);
  const count = Math.floor(roll() * 5);
  if (kind < 0.65) return Array.from({ length: count }, () => anything(roll, levels - 1));
  return fields(roll, count + 1, levels);
}

/** An object with so many fields of names that the API knows. */
export function fields(roll: Roll, count: number, levels = 4): object {
  return Object.fromEntries(Array.from({ length: count }, () => [pick(roll, KEYS), anything(roll, levels - 1)]));
}

/** For a path, escaped as a client would, or not quite. */
export function segment(roll: Roll): string {
  const text = pick(roll, TEXTS).slice(0, 600);
  return pick(roll, [
    encodeURIComponent(text.toWellFormed()),
    "%",
    "%zz",
    "%00",
    "%ff%fe",
    "a%2Fb",
    "..%2F..",
    "a;b",
    "$users",
    "x",
  ]);
}

/** A query in any of the styles, whole or broken. */
export function query(roll: Roll): string {
  const pairs = Array.from({ length: Math.floor(roll() * 6) }, () => {
    const name = pick(roll, [
      ...KEYS,
      "page_size",
      "after",
      "before",
      "limit",
      "include",
      "environment",
      "inserted_at.gte",
    ]);
    const style = pick(roll, [
      "",
      "[]",
      "[0]",
      "[0][id]",
      "[][id]",
      "[id]",
      ".gte",
      "[[",
      "]",
      "[a][b][c][d][e][f][g][h]",
    ]);
    const value = pick(roll, [...TEXTS, '{"a":1}', "{", "[1", "null", "1e999"]).slice(0, 300);
    return `${encodeURIComponent(name.toWellFormed())}${style}=${roll() < 0.1 ? "%ff%zz" : encodeURIComponent(value.toWellFormed())}`;
  });
  return pairs.length === 0 ? "" : `?${pairs.join("&")}`;
}

/** Headers that a server looks at, with what nobody should send. */
export function headers(roll: Roll): { readonly [name: string]: string } {
  const some: [string, readonly string[]][] = [
    ["x-knock-user-token", ["", "a", "a.b.c", "e30.e30.", "x".repeat(5_000), "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ1MSJ9."]],
    ["x-knock-branch", ["", "no such branch", "%00"]],
    ["idempotency-key", ["", "k".repeat(256), "k".repeat(255), "é", "same"]],
    [
      "content-type",
      ["text/plain", "application/json; charset=utf-16", "application/xml", "x", "application/x-www-form-urlencoded"],
    ],
    ["accept", ["text/html", "*/*;q=x", ""]],
    ["accept-language", ["zz-ZZ,*", "\t"]],
    ["content-encoding", ["gzip", "identity"]],
    ["x-request-id", ["r".repeat(3_000)]],
    ["prefer", ["respond-async"]],
    ["expect", ["x"]],
  ];
  const chosen = some.filter(() => roll() < 0.12).filter(([name]) => name !== "expect");
  return Object.fromEntries(chosen.map(([name, values]) => [name, pick(roll, values)]));
}
