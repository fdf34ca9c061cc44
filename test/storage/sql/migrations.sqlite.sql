-- What src/storage/migrations.ts has SQLite run, written by test/storage/sql.test.ts.

create table environments (
  id text not null primary key, name text not null, signing_secret text not null, public_key text not null,
  app_code text not null, feed_id text not null, created_at bigint not null);

create table api_keys (
  id text not null primary key, env_id text not null,
  mode text not null check (mode = 'published' or mode = 'draft' or mode = 'mock'),
  hash text not null unique, hint text not null, created_at bigint not null, revoked_at bigint);

create index api_keys_env on api_keys (env_id, id);

create table requests (
  env_id text not null, id text not null,
  state text not null check (state = 'expanding' or state = 'expanded'),
  spec text not null, cursor text, lease_until bigint, ready_at bigint, archived_at bigint,
  created_at bigint not null, has_messages bigint not null, primary key (env_id, id));

create index requests_ready on requests (ready_at, id) where ready_at is not null;

create index requests_empty on requests (created_at) where has_messages = 0;

create index requests_archived on requests (env_id, id) where archived_at is not null;

create table messages (
  env_id text not null, id text not null, request_id text not null,
  state text not null check (state = 'enqueued' or state = 'delayed' or state = 'routed' or state = 'sent' or state = 'simulated' or state = 'delivered' or state = 'opened' or state = 'clicked' or state = 'canceled' or state = 'undeliverable' or state = 'unroutable' or state = 'unmapped' or state = 'filtered'),
  reason text, error text, user_id text, recipient text not null, tenant_id text not null,
  entry bigint not null, via_tenant bigint not null, list_id text, event text not null, template_id text not null,
  tags text not null, trace_id text, preferences text, stored_profile text, plan text,
  due_at bigint, lease_until bigint, ready_at bigint, created_at bigint not null, planned_at bigint,
  sent_at bigint, delivered_at bigint, opened_at bigint, clicked_at bigint, canceled_at bigint,
  deadline_at bigint not null, in_inbox bigint not null, to_endpoints bigint not null, primary key (env_id, id));

create index messages_age on messages (in_inbox, created_at);

create index messages_request on messages (request_id, id);

create index messages_recipient on messages (env_id, recipient, id);

create index messages_list on messages (env_id, list_id, id) where list_id is not null;

create index messages_trace on messages (env_id, trace_id, id) where trace_id is not null;

create index messages_ready on messages (ready_at, id) where ready_at is not null;

create table message_tags (
  env_id text not null, tag text not null, message_id text not null,
  primary key (env_id, tag, message_id)) without rowid;

create table message_events (
  message_id text not null, id text not null, env_id text not null, delivery_id text,
  kind text not null check (kind = 'delivered' or kind = 'opened' or kind = 'clicked' or kind = 'read' or kind = 'unread' or kind = 'archived' or kind = 'unarchived' or kind = 'canceled' or kind = 'bounced'),
  happened_at bigint not null, data text, primary key (message_id, id)) without rowid;

create table deliveries (
  id text not null primary key, env_id text not null, message_id text not null, user_id text,
  tenant_id text not null,
  channel text not null check (channel = 'inbox' or channel = 'email' or channel = 'sms' or channel = 'push' or channel = 'chat' or channel = 'webhook'),
  provider text not null, provider_id text not null, leaf text not null,
  state text not null check (state = 'pending' or state = 'sent' or state = 'delivered' or state = 'failed' or state = 'canceled' or state = 'simulated'),
  due_at bigint not null, lease_until bigint, ready_at bigint, attempts bigint not null, started_at bigint,
  timeout_ms bigint not null, address text not null, content text not null, override text, error text,
  reference text, created_at bigint not null, sent_at bigint, delivered_at bigint, seen_at bigint, read_at bigint,
  interacted_at bigint, archived_at bigint, deleted_at bigint, expires_at bigint, bucket bigint,
  tags text not null, data text not null, via_tenant bigint not null, request_id text not null,
  check ((ready_at is not null) = (state = 'pending')));

create index deliveries_message on deliveries (message_id, id);

create index deliveries_ready on deliveries (ready_at, id) where ready_at is not null;

create index deliveries_inbox on deliveries (env_id, user_id, tenant_id, bucket, id) where bucket is not null;

create index deliveries_expiry on deliveries (expires_at, id)
  where bucket is not null and expires_at is not null;

create index deliveries_expiry_of_user on deliveries (env_id, user_id, expires_at)
  where bucket is not null and expires_at is not null;

create table inbox_counts (
  env_id text not null, user_id text not null, tenant_id text not null, bucket bigint not null, n bigint not null,
  primary key (env_id, user_id, tenant_id, bucket)) without rowid;

create table attempts (
  message_id text not null, id text not null, env_id text not null, delivery_id text not null,
  number bigint not null, started_at bigint not null, ended_at bigint not null,
  outcome text not null check (outcome = 'sent' or outcome = 'failed' or outcome = 'rejected'),
  reason text, status_code bigint, primary key (message_id, id)) without rowid;

create table users (
  env_id text not null, user_id text not null, profile text not null, created_at bigint not null,
  updated_at bigint not null, primary key (env_id, user_id));

create table lists (
  env_id text not null, id text not null, name text not null, preferences text, created_at bigint not null,
  updated_at bigint not null, deleted_at bigint, primary key (env_id, id));

create table list_subscriptions (
  env_id text not null, list_id text not null, user_id text not null, preferences text,
  created_at bigint not null, primary key (env_id, list_id, user_id)) without rowid;

create index list_subscriptions_user on list_subscriptions (env_id, user_id, list_id);

create table device_tokens (
  env_id text not null, token text not null, user_id text not null, provider text not null,
  state text not null check (state = 'active' or state = 'unknown' or state = 'failed' or state = 'revoked'),
  state_reason text, expires_at bigint, device text, properties text, tracking text,
  created_at bigint not null, updated_at bigint not null, primary key (env_id, token));

create index device_tokens_user on device_tokens (env_id, user_id, token);

create table memberships (
  env_id text not null, tenant_id text not null, user_id text not null, profile text, created_at bigint not null,
  primary key (env_id, tenant_id, user_id)) without rowid;

create index memberships_user on memberships (env_id, user_id, tenant_id);

create table documents (
  env_id text not null, kind text not null, id text not null, body text not null, version bigint not null,
  created_at bigint not null, updated_at bigint not null, primary key (env_id, kind, id));

create table idempotency_keys (
  env_id text not null, scope text not null, key text not null,
  state text not null check (state = 'begun' or state = 'done'),
  status bigint, body text, begun_at bigint not null, expires_at bigint not null,
  primary key (env_id, scope, key)) without rowid;

create index idempotency_keys_expiry on idempotency_keys (expires_at);

create table captured (
  env_id text not null, id text not null, message_id text not null, delivery_id text not null,
  channel text not null, provider text not null, address text not null, payload text not null,
  at bigint not null, primary key (env_id, id));

create index captured_message on captured (env_id, message_id, id);

create index captured_at on captured (at);

create table message_changes (
  env_id text not null, message_id text not null, state text not null, reason text, error text,
  sent_at bigint, delivered_at bigint, opened_at bigint, clicked_at bigint, canceled_at bigint,
  lease_until bigint, ready_at bigint not null, revision bigint not null,
  primary key (env_id, message_id, state)) without rowid;

create index message_changes_ready on message_changes (ready_at, message_id);

create index documents_endpoints on documents (env_id) where kind = 'outbound-webhook';

create trigger messages_updated after update of state on messages
  when new.state <> old.state and new.to_endpoints = 0 and exists (select 1 from documents as d where d.env_id = new.env_id and d.kind = 'outbound-webhook') begin insert into message_changes (env_id, message_id, state, reason, error, sent_at, delivered_at, opened_at, clicked_at, canceled_at,
  lease_until, ready_at, revision) values (new.env_id, new.id, new.state, new.reason, new.error, new.sent_at, new.delivered_at, new.opened_at,
  new.clicked_at, new.canceled_at, null, 0, 1) on conflict (env_id, message_id, state) do update set reason = excluded.reason, error = excluded.error,
  sent_at = excluded.sent_at, delivered_at = excluded.delivered_at, opened_at = excluded.opened_at,
  clicked_at = excluded.clicked_at, canceled_at = excluded.canceled_at, lease_until = null,
  ready_at = excluded.ready_at, revision = message_changes.revision + 1; end;
