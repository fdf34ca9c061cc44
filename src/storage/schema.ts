/**
 * Every table and column, as data: the types of the query builder and the array types that Postgres needs are both
 * derived from it. The DDL is in migrations.ts.
 *
 * The same on both databases: times are integers in milliseconds, truth values are 0 and 1, JSON is text, enumerated
 * states are text with a CHECK, and a `tenant_id` of `''` means "none".
 *
 * Some columns are worked out by the storage and mean nothing outside it:
 *   `ready_at`  when a row may be claimed: its due time, or the end of the present lease if that is later. Null when
 *               there is nothing to do. So the queue, the lapsed leases and the next wake-up are one index range.
 *   `bucket`    which of the eight piles of an inbox an item lies on (see inbox-counts.ts); null for what is not, or no
 *               longer, in an inbox.
 *   `in_inbox`  of a message: 1 while an item of it lies in an inbox. `has_messages` of a request: 1 once it has had
 *               one. Both so that what is past its retention is found without looking at what is kept.
 *   `channels` and `tags` of an application's message lie between commas, `,a,b,`, which none of them contains.
 *   `payload_until` of one is null once there is nothing left to throw away. Its texts are its last columns: SQLite
 *               reads a row up to the last column it is asked for, so that lists without content stay cheap.
 *   `tags` of a message are repeated in `message_tags`, to be searched.
 *   `run_status` and `run_errors` of a message are read off its `run`, to be searched.
 *   `key` of a gate and `cancels` are hashes of texts that callers choose (run-rows.ts): short, and the same on both
 *               databases whatever is in the text. A `cancellation_key` is a JSON text for the same reason.
 *   `over_at`   of a gate: from then on it lets everybody pass as if it were not there.
 *   `joined` of a batch counts who ever joined and gives each a `position`; `n` counts who is in it.
 *   `scalars` of an activity: what is left of `data` when batches are merged; null when that is all of it.
 *   `stamp`   of a pile is another with every change of what lies on it (inbox-counts.ts).
 *   `token_key` of a device is a hash of its token, which may be longer than an index can hold.
 *   `until` of a recall and of what it took back: from then on nobody needs to be told of it any more.
 */
export type ColumnKind = "text" | "text?" | "int" | "int?";

export const TABLES = {
  environments: {
    id: "text",
    name: "text",
    signing_secret: "text",
    public_key: "text",
    app_code: "text",
    feed_id: "text",
    created_at: "int",
  },
  api_keys: {
    id: "text",
    env_id: "text",
    mode: "text",
    hash: "text",
    hint: "text",
    created_at: "int",
    revoked_at: "int?",
  },
  requests: {
    env_id: "text",
    id: "text",
    state: "text",
    spec: "text",
    cursor: "text?",
    lease_until: "int?",
    ready_at: "int?",
    archived_at: "int?",
    created_at: "int",
    has_messages: "int",
  },
  messages: {
    env_id: "text",
    id: "text",
    request_id: "text",
    state: "text",
    reason: "text?",
    error: "text?",
    user_id: "text?",
    recipient: "text",
    tenant_id: "text",
    entry: "int",
    via_tenant: "int",
    list_id: "text?",
    event: "text",
    template_id: "text",
    tags: "text",
    trace_id: "text?",
    preferences: "text?",
    stored_profile: "text?",
    plan: "text?",
    due_at: "int?",
    lease_until: "int?",
    ready_at: "int?",
    created_at: "int",
    planned_at: "int?",
    sent_at: "int?",
    delivered_at: "int?",
    opened_at: "int?",
    clicked_at: "int?",
    canceled_at: "int?",
    deadline_at: "int",
    in_inbox: "int",
    to_endpoints: "int",
    run: "text?",
    run_status: "text?",
    run_errors: "int",
  },
  message_tags: { env_id: "text", tag: "text", message_id: "text" },
  message_events: {
    message_id: "text",
    id: "text",
    env_id: "text",
    delivery_id: "text?",
    kind: "text",
    happened_at: "int",
    data: "text?",
  },
  deliveries: {
    id: "text",
    env_id: "text",
    message_id: "text",
    user_id: "text?",
    tenant_id: "text",
    channel: "text",
    provider: "text",
    provider_id: "text",
    leaf: "text",
    state: "text",
    due_at: "int",
    lease_until: "int?",
    ready_at: "int?",
    attempts: "int",
    started_at: "int?",
    timeout_ms: "int",
    address: "text",
    content: "text",
    override: "text?",
    error: "text?",
    reference: "text?",
    created_at: "int",
    sent_at: "int?",
    delivered_at: "int?",
    seen_at: "int?",
    read_at: "int?",
    interacted_at: "int?",
    archived_at: "int?",
    deleted_at: "int?",
    expires_at: "int?",
    bucket: "int?",
    tags: "text",
    data: "text",
    via_tenant: "int",
    request_id: "text",
    app_id: "text?",
    manual: "int",
    origin: "text?",
    via: "text",
  },
  inbox_counts: { env_id: "text", user_id: "text", tenant_id: "text", bucket: "int", n: "int", stamp: "int" },
  attempts: {
    message_id: "text",
    id: "text",
    env_id: "text",
    delivery_id: "text",
    number: "int",
    started_at: "int",
    ended_at: "int",
    outcome: "text",
    reason: "text?",
    status_code: "int?",
  },
  users: { env_id: "text", user_id: "text", profile: "text", created_at: "int", updated_at: "int" },
  lists: {
    env_id: "text",
    id: "text",
    name: "text",
    preferences: "text?",
    created_at: "int",
    updated_at: "int",
    deleted_at: "int?",
  },
  list_subscriptions: { env_id: "text", list_id: "text", user_id: "text", preferences: "text?", created_at: "int" },
  device_tokens: {
    env_id: "text",
    token: "text",
    user_id: "text",
    provider: "text",
    state: "text",
    state_reason: "text?",
    expires_at: "int?",
    device: "text?",
    properties: "text?",
    tracking: "text?",
    created_at: "int",
    updated_at: "int",
  },
  memberships: { env_id: "text", tenant_id: "text", user_id: "text", profile: "text?", created_at: "int" },
  documents: {
    env_id: "text",
    kind: "text",
    id: "text",
    body: "text",
    version: "int",
    created_at: "int",
    updated_at: "int",
  },
  idempotency_keys: {
    env_id: "text",
    scope: "text",
    key: "text",
    state: "text",
    status: "int?",
    body: "text?",
    begun_at: "int",
    expires_at: "int",
  },
  captured: {
    env_id: "text",
    id: "text",
    message_id: "text",
    delivery_id: "text",
    channel: "text",
    provider: "text",
    address: "text",
    payload: "text",
    at: "int",
  },
  message_changes: {
    env_id: "text",
    message_id: "text",
    state: "text",
    reason: "text?",
    error: "text?",
    sent_at: "int?",
    delivered_at: "int?",
    opened_at: "int?",
    clicked_at: "int?",
    canceled_at: "int?",
    lease_until: "int?",
    ready_at: "int",
    revision: "int",
  },
  app_messages: {
    env_id: "text",
    app_id: "text",
    id: "text",
    event_id: "text?",
    event_type: "text",
    channels: "text?",
    tags: "text?",
    deliver_at: "int?",
    payload_until: "int?",
    created_at: "int",
    parameters: "text?",
    payload: "text?",
    raw: "text?",
  },
  endpoint_attempts: {
    env_id: "text",
    app_id: "text",
    endpoint_id: "text",
    message_id: "text",
    delivery_id: "text",
    id: "text",
    event_type: "text",
    outcome: "text",
    manual: "int",
    url: "text",
    status_code: "int",
    started_at: "int",
    ended_at: "int",
    next_at: "int?",
    sent_headers: "text",
    response_headers: "text?",
    response: "text?",
  },
  endpoint_health: { env_id: "text", endpoint_id: "text", failing_since: "int" },
  tasks: {
    env_id: "text",
    id: "text",
    kind: "text",
    state: "text",
    spec: "text",
    cursor: "text?",
    data: "text",
    lease_until: "int?",
    ready_at: "int?",
    created_at: "int",
    updated_at: "int",
  },
  runs: {
    env_id: "text",
    message_id: "text",
    request_id: "text",
    workflow: "text",
    recipient: "text",
    tenant_id: "text",
    cancellation_key: "text?",
    cancels: "text?",
    status: "text",
    state: "text",
    due_at: "int",
    lease_until: "int?",
    ready_at: "int",
    created_at: "int",
  },
  gates: { env_id: "text", key: "text", window_until: "int", passed: "int", batch_id: "text?", over_at: "int" },
  batches: {
    env_id: "text",
    id: "text",
    carrier_id: "text",
    opened_at: "int",
    closes_at: "int",
    version: "int",
    joined: "int",
    n: "int",
    closed: "int",
  },
  batch_items: {
    env_id: "text",
    batch_id: "text",
    position: "int",
    message_id: "text",
    recipient: "text",
    cancels: "text?",
    actor: "text?",
    at: "int",
    scalars: "text?",
    data: "text",
  },
  happenings: {
    env_id: "text",
    id: "text",
    subject: "text",
    happened_at: "int",
    note: "text",
    state: "text?",
    attempts: "int?",
    sent_at: "int?",
    delivered_at: "int?",
    seen_at: "int?",
    read_at: "int?",
    interacted_at: "int?",
    archived_at: "int?",
    lease_until: "int?",
    ready_at: "int",
  },
  schedules: {
    env_id: "text",
    id: "text",
    workflow: "text",
    recipient: "text",
    actor: "text?",
    tenant_id: "text",
    data: "text?",
    repeats: "text",
    scheduled_at: "int?",
    ending_at: "int?",
    next_at: "int?",
    last_at: "int?",
    lease_until: "int?",
    ready_at: "int?",
    created_at: "int",
    updated_at: "int",
  },
  objects: {
    env_id: "text",
    collection: "text",
    id: "text",
    properties: "text",
    created_at: "int",
    updated_at: "int",
  },
  object_subscriptions: {
    env_id: "text",
    object: "text",
    recipient: "text",
    properties: "text?",
    created_at: "int",
    updated_at: "int",
  },
  party_documents: {
    env_id: "text",
    party: "text",
    kind: "text",
    name: "text",
    body: "text",
    created_at: "int",
    updated_at: "int",
  },
  audience_members: { env_id: "text", audience: "text", user_id: "text", tenant_id: "text", added_at: "int" },
  bulk_operations: { env_id: "text", id: "text", body: "text", created_at: "int" },
  devices: {
    env_id: "text",
    id: "text",
    user_id: "text",
    registered: "int",
    token: "text?",
    token_key: "text?",
    language: "text?",
    info: "text",
    tags: "text",
    created_at: "int",
    updated_at: "int",
  },
  recalls: {
    env_id: "text",
    request_id: "text",
    cursor: "text?",
    recalled_at: "int",
    until: "int",
    ready_at: "int?",
  },
  recalled_items: { env_id: "text", user_id: "text", request_id: "text", until: "int" },
} as const satisfies { readonly [table: string]: { readonly [column: string]: ColumnKind } };

type ColumnValue<K extends ColumnKind> = K extends "text"
  ? string
  : K extends "text?"
    ? string | null
    : K extends "int"
      ? number
      : number | null;

type TableTypes = typeof TABLES;

/** The tables with the types of their columns. */
export type Tables = {
  [T in keyof TableTypes]: {
    [C in keyof TableTypes[T]]: TableTypes[T][C] extends ColumnKind ? ColumnValue<TableTypes[T][C]> : never;
  };
};

/** One row as it is read, with every column. */
export type RowOf<T extends keyof Tables> = Tables[T];

/** The names of a table's columns, in the order of the table. */
export function columnsOf<T extends keyof Tables>(table: T): readonly (keyof Tables[T] & string)[] {
  return Object.keys(TABLES[table]) as (keyof Tables[T] & string)[];
}

/** @throws Error for a table or column that does not exist: a mistake of ours. */
export function kindOf(table: string, column: string): ColumnKind {
  const kind = (TABLES as { readonly [table: string]: { readonly [column: string]: ColumnKind } })[table]?.[column];
  if (kind === undefined) throw new Error(`no column ${table}.${column}`);
  return kind;
}

/** "No tenant" is `''` in the database, because null neither equals itself nor takes part in a primary key. */
export function tenantColumn(tenantId: string | null): string {
  return tenantId ?? "";
}

/** The other way around. */
export function tenantOf(column: string): string | null {
  return column === "" ? null : column;
}
