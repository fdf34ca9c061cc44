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

alter table deliveries add column app_id text;

alter table deliveries add column manual bigint not null default 0;

create unique index deliveries_pair on deliveries (provider_id, message_id)
  where app_id is not null and manual = 0;

create index deliveries_unsent on deliveries (provider_id, message_id, state)
  where app_id is not null and manual < 1 and started_at is not null and state <> 'sent';

create index deliveries_parked on deliveries (provider_id, due_at)
  where app_id is not null and lease_until is null and ready_at > due_at;

create table app_messages (
  env_id text not null, app_id text not null, id text not null, event_id text, event_type text not null,
  channels text, tags text, deliver_at bigint, payload_until bigint, created_at bigint not null,
  parameters text, payload text, raw text, primary key (app_id, id));

create unique index app_messages_event on app_messages (app_id, event_id) where event_id is not null;

create index app_messages_content on app_messages (payload_until) where payload_until is not null;

create index app_messages_age on app_messages (created_at);

create table endpoint_attempts (
  env_id text not null, app_id text not null, endpoint_id text not null, message_id text not null,
  delivery_id text not null, id text not null, event_type text not null,
  outcome text not null check (outcome = 'sent' or outcome = 'failed' or outcome = 'canceled'),
  manual bigint not null, url text not null, status_code bigint not null, started_at bigint not null,
  ended_at bigint not null, next_at bigint, sent_headers text not null, response_headers text, response text,
  primary key (message_id, id));

create index endpoint_attempts_endpoint on endpoint_attempts (endpoint_id, id, outcome, status_code);

create index endpoint_attempts_failed on endpoint_attempts (endpoint_id, id) where outcome = 'failed';

create index endpoint_attempts_app on endpoint_attempts (app_id, id, event_type, outcome);

create table endpoint_health (
  env_id text not null, endpoint_id text not null, failing_since bigint not null,
  primary key (env_id, endpoint_id)) without rowid;

create table tasks (
  env_id text not null, id text not null, kind text not null,
  state text not null check (state = 'running' or state = 'finished' or state = 'failed'),
  spec text not null, cursor text, data text not null, lease_until bigint, ready_at bigint,
  created_at bigint not null, updated_at bigint not null, primary key (env_id, id),
  check ((ready_at is not null) = (state = 'running')));

create index tasks_ready on tasks (ready_at, id) where ready_at is not null;

create index tasks_ended on tasks (updated_at) where ready_at is null;

alter table messages add column run text;

alter table messages add column run_status text;

alter table messages add column run_errors bigint not null default 0;

alter table deliveries add column origin text;

alter table deliveries add column via text not null default 'courier';

create index messages_runs on messages (env_id, id) where run is not null;

create index messages_runs_of on messages (env_id, event, id) where run is not null;

create index messages_run_errors on messages (env_id, id) where run_errors > 0;

create index messages_runs_cancelled on messages (env_id, id) where run_status = 'cancelled';

create table message_events_made_anew (
  message_id text not null, id text not null, env_id text not null, delivery_id text,
  kind text not null check (kind = 'delivered' or kind = 'opened' or kind = 'clicked' or kind = 'read' or kind = 'unread' or kind = 'archived' or kind = 'unarchived' or kind = 'canceled' or kind = 'bounced' or kind = 'seen' or kind = 'unseen' or kind = 'interacted'),
  happened_at bigint not null, data text, primary key (message_id, id)) without rowid;

insert into message_events_made_anew (message_id, id, env_id, delivery_id, kind, happened_at, data) select message_id, id, env_id, delivery_id, kind, happened_at, data from message_events;

drop table message_events;

alter table message_events_made_anew rename to message_events;

create table runs (
  env_id text not null, message_id text not null, request_id text not null, workflow text not null,
  recipient text not null, tenant_id text not null, cancellation_key text, cancels text,
  status text not null check (status = 'queued' or status = 'paused'),
  state text not null, due_at bigint not null, lease_until bigint, ready_at bigint not null,
  created_at bigint not null, primary key (env_id, message_id));

create index runs_ready on runs (ready_at, message_id);

create index runs_cancels on runs (env_id, cancels, message_id) where cancels is not null;

create table gates (
  env_id text not null, key text not null, window_until bigint not null, passed bigint not null, batch_id text,
  over_at bigint not null, primary key (env_id, key)) without rowid;

create index gates_over on gates (over_at);

create table batches (
  env_id text not null, id text not null, carrier_id text not null, opened_at bigint not null,
  closes_at bigint not null, version bigint not null, joined bigint not null, n bigint not null,
  closed bigint not null, primary key (env_id, id)) without rowid;

create index batches_closed on batches (env_id, id) where closed = 1;

create table batch_items (
  env_id text not null, batch_id text not null, position bigint not null, message_id text not null,
  recipient text not null, cancels text, actor text, at bigint not null, scalars text, data text not null,
  primary key (env_id, batch_id, position));

create index batch_items_cancels on batch_items (env_id, cancels, message_id) where cancels is not null;

create table schedules (
  env_id text not null, id text not null, workflow text not null, recipient text not null, actor text,
  tenant_id text not null, data text, repeats text not null, scheduled_at bigint, ending_at bigint,
  next_at bigint, last_at bigint, lease_until bigint, ready_at bigint, created_at bigint not null,
  updated_at bigint not null, primary key (env_id, id));

create index schedules_workflow on schedules (env_id, workflow, id);

create index schedules_recipient on schedules (env_id, recipient, id);

create index schedules_ready on schedules (ready_at, id) where ready_at is not null;

create index users_created on users (env_id, created_at, user_id);

create table objects (
  env_id text not null, collection text not null, id text not null, properties text not null,
  created_at bigint not null, updated_at bigint not null, primary key (env_id, collection, id));

create index objects_created on objects (env_id, collection, created_at, id);

create table object_subscriptions (
  env_id text not null, object text not null, recipient text not null, properties text,
  created_at bigint not null, updated_at bigint not null, primary key (env_id, object, recipient)) without rowid;

create index object_subscriptions_created on object_subscriptions (env_id, object, created_at, recipient);

create index object_subscriptions_recipient on object_subscriptions (env_id, recipient, created_at, object);

create table party_documents (
  env_id text not null, party text not null, kind text not null check (kind = 'preferences' or kind = 'channel' or kind = 'guide'),
  name text not null, body text not null, created_at bigint not null, updated_at bigint not null,
  primary key (env_id, party, kind, name)) without rowid;

create table audience_members (
  env_id text not null, audience text not null, user_id text not null, tenant_id text not null,
  added_at bigint not null, primary key (env_id, audience, user_id, tenant_id)) without rowid;

create index audience_members_added on audience_members (env_id, audience, added_at, user_id, tenant_id);

create index audience_members_user on audience_members (env_id, user_id, audience, tenant_id);

create table bulk_operations (
  env_id text not null, id text not null, body text not null, created_at bigint not null,
  primary key (env_id, id));

create index bulk_operations_age on bulk_operations (created_at);

create index deliveries_origin on deliveries (env_id, id) where origin is not null;

create index deliveries_origin_user on deliveries (env_id, user_id, id) where origin is not null;

alter table inbox_counts add column stamp bigint not null default 0;

create table devices (
  env_id text not null, id text not null, user_id text not null, registered bigint not null, token text,
  token_key text, language text, info text not null, tags text not null, created_at bigint not null,
  updated_at bigint not null, primary key (env_id, id));

create index devices_user on devices (env_id, user_id, registered, id);

create index devices_token on devices (env_id, token_key) where token_key is not null;

create table recalls (
  env_id text not null, request_id text not null, cursor text, recalled_at bigint not null, until bigint not null,
  ready_at bigint, primary key (env_id, request_id)) without rowid;

create index recalls_ready on recalls (ready_at, request_id) where ready_at is not null;

create index recalls_over on recalls (until) where ready_at is null;

create table recalled_items (
  env_id text not null, user_id text not null, request_id text not null, until bigint not null,
  primary key (env_id, user_id, request_id)) without rowid;

create index recalled_items_over on recalled_items (until);

create table happenings (
  env_id text not null, id text not null, subject text not null, happened_at bigint not null, note text not null,
  state text, attempts bigint, sent_at bigint, delivered_at bigint, seen_at bigint, read_at bigint,
  interacted_at bigint, archived_at bigint, lease_until bigint, ready_at bigint not null, primary key (env_id, id));

create index happenings_ready on happenings (ready_at, id);

create index documents_event_webhooks on documents (env_id) where kind = 'knock-webhook';

drop index deliveries_origin_user;

create index deliveries_off_piles on deliveries (env_id, user_id, id) where origin is not null and bucket is null;
