-- What src/storage/migrations.ts has Postgres run, written by test/storage/sql.test.ts.

create table environments (
  id text collate "C" not null primary key, name text collate "C" not null, signing_secret text collate "C" not null, public_key text collate "C" not null,
  app_code text collate "C" not null, feed_id text collate "C" not null, created_at bigint not null);

create table api_keys (
  id text collate "C" not null primary key, env_id text collate "C" not null,
  mode text collate "C" not null check (mode in ('published', 'draft', 'mock')),
  hash text collate "C" not null unique, hint text collate "C" not null, created_at bigint not null, revoked_at bigint);

create index api_keys_env on api_keys (env_id, id);

create table requests (
  env_id text collate "C" not null, id text collate "C" not null,
  state text collate "C" not null check (state in ('expanding', 'expanded')),
  spec text collate "C" not null, cursor text collate "C", lease_until bigint, ready_at bigint, archived_at bigint,
  created_at bigint not null, has_messages bigint not null, primary key (env_id, id));

create index requests_ready on requests (ready_at, id) where ready_at is not null;

create index requests_empty on requests (created_at) where has_messages = 0;

create index requests_archived on requests (env_id, id) where archived_at is not null;

create table messages (
  env_id text collate "C" not null, id text collate "C" not null, request_id text collate "C" not null,
  state text collate "C" not null check (state in ('enqueued', 'delayed', 'routed', 'sent', 'simulated', 'delivered', 'opened',
  'clicked', 'canceled', 'undeliverable', 'unroutable', 'unmapped', 'filtered')),
  reason text collate "C", error text collate "C", user_id text collate "C", recipient text collate "C" not null, tenant_id text collate "C" not null,
  entry bigint not null, via_tenant bigint not null, list_id text collate "C", event text collate "C" not null, template_id text collate "C" not null,
  tags text collate "C" not null, trace_id text collate "C", preferences text collate "C", stored_profile text collate "C", plan text collate "C",
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
  env_id text collate "C" not null, tag text collate "C" not null, message_id text collate "C" not null,
  primary key (env_id, tag, message_id));

create table message_events (
  message_id text collate "C" not null, id text collate "C" not null, env_id text collate "C" not null, delivery_id text collate "C",
  kind text collate "C" not null check (kind in ('delivered', 'opened', 'clicked', 'read', 'unread', 'archived', 'unarchived',
  'canceled', 'bounced')),
  happened_at bigint not null, data text collate "C", primary key (message_id, id));

create table deliveries (
  id text collate "C" not null primary key, env_id text collate "C" not null, message_id text collate "C" not null, user_id text collate "C",
  tenant_id text collate "C" not null,
  channel text collate "C" not null check (channel in ('inbox', 'email', 'sms', 'push', 'chat', 'webhook')),
  provider text collate "C" not null, provider_id text collate "C" not null, leaf text collate "C" not null,
  state text collate "C" not null check (state in ('pending', 'sent', 'delivered', 'failed', 'canceled', 'simulated')),
  due_at bigint not null, lease_until bigint, ready_at bigint, attempts bigint not null, started_at bigint,
  timeout_ms bigint not null, address text collate "C" not null, content text collate "C" not null, override text collate "C", error text collate "C",
  reference text collate "C", created_at bigint not null, sent_at bigint, delivered_at bigint, seen_at bigint, read_at bigint,
  interacted_at bigint, archived_at bigint, deleted_at bigint, expires_at bigint, bucket bigint,
  tags text collate "C" not null, data text collate "C" not null, via_tenant bigint not null, request_id text collate "C" not null,
  check ((ready_at is not null) = (state = 'pending')));

create index deliveries_message on deliveries (message_id, id);

create index deliveries_ready on deliveries (ready_at, id) where ready_at is not null;

create index deliveries_inbox on deliveries (env_id, user_id, tenant_id, bucket, id) where bucket is not null;

create index deliveries_expiry on deliveries (expires_at, id)
  where bucket is not null and expires_at is not null;

create index deliveries_expiry_of_user on deliveries (env_id, user_id, expires_at)
  where bucket is not null and expires_at is not null;

create table inbox_counts (
  env_id text collate "C" not null, user_id text collate "C" not null, tenant_id text collate "C" not null, bucket bigint not null, n bigint not null,
  primary key (env_id, user_id, tenant_id, bucket));

create table attempts (
  message_id text collate "C" not null, id text collate "C" not null, env_id text collate "C" not null, delivery_id text collate "C" not null,
  number bigint not null, started_at bigint not null, ended_at bigint not null,
  outcome text collate "C" not null check (outcome in ('sent', 'failed', 'rejected')),
  reason text collate "C", status_code bigint, primary key (message_id, id));

create table users (
  env_id text collate "C" not null, user_id text collate "C" not null, profile text collate "C" not null, created_at bigint not null,
  updated_at bigint not null, primary key (env_id, user_id));

create table lists (
  env_id text collate "C" not null, id text collate "C" not null, name text collate "C" not null, preferences text collate "C", created_at bigint not null,
  updated_at bigint not null, deleted_at bigint, primary key (env_id, id));

create table list_subscriptions (
  env_id text collate "C" not null, list_id text collate "C" not null, user_id text collate "C" not null, preferences text collate "C",
  created_at bigint not null, primary key (env_id, list_id, user_id));

create index list_subscriptions_user on list_subscriptions (env_id, user_id, list_id);

create table device_tokens (
  env_id text collate "C" not null, token text collate "C" not null, user_id text collate "C" not null, provider text collate "C" not null,
  state text collate "C" not null check (state in ('active', 'unknown', 'failed', 'revoked')),
  state_reason text collate "C", expires_at bigint, device text collate "C", properties text collate "C", tracking text collate "C",
  created_at bigint not null, updated_at bigint not null, primary key (env_id, token));

create index device_tokens_user on device_tokens (env_id, user_id, token);

create table memberships (
  env_id text collate "C" not null, tenant_id text collate "C" not null, user_id text collate "C" not null, profile text collate "C", created_at bigint not null,
  primary key (env_id, tenant_id, user_id));

create index memberships_user on memberships (env_id, user_id, tenant_id);

create table documents (
  env_id text collate "C" not null, kind text collate "C" not null, id text collate "C" not null, body text collate "C" not null, version bigint not null,
  created_at bigint not null, updated_at bigint not null, primary key (env_id, kind, id));

create table idempotency_keys (
  env_id text collate "C" not null, scope text collate "C" not null, key text collate "C" not null,
  state text collate "C" not null check (state in ('begun', 'done')),
  status bigint, body text collate "C", begun_at bigint not null, expires_at bigint not null,
  primary key (env_id, scope, key));

create index idempotency_keys_expiry on idempotency_keys (expires_at);

create table captured (
  env_id text collate "C" not null, id text collate "C" not null, message_id text collate "C" not null, delivery_id text collate "C" not null,
  channel text collate "C" not null, provider text collate "C" not null, address text collate "C" not null, payload text collate "C" not null,
  at bigint not null, primary key (env_id, id));

create index captured_message on captured (env_id, message_id, id);

create index captured_at on captured (at);

create table message_changes (
  env_id text collate "C" not null, message_id text collate "C" not null, state text collate "C" not null, reason text collate "C", error text collate "C",
  sent_at bigint, delivered_at bigint, opened_at bigint, clicked_at bigint, canceled_at bigint,
  lease_until bigint, ready_at bigint not null, revision bigint not null,
  primary key (env_id, message_id, state));

create index message_changes_ready on message_changes (ready_at, message_id);

create index documents_endpoints on documents (env_id) where kind = 'outbound-webhook';

create function note_inserted_messages() returns trigger language plpgsql as $$ begin
  insert into message_changes (env_id, message_id, state, reason, error, sent_at, delivered_at, opened_at, clicked_at, canceled_at,
  lease_until, ready_at, revision) select m.env_id, m.id, m.state, m.reason, m.error, m.sent_at, m.delivered_at, m.opened_at,
  m.clicked_at, m.canceled_at, null, 0, 1 from inserted as m
  where m.to_endpoints = 0 and exists (select 1 from documents as d where d.env_id = m.env_id and d.kind = 'outbound-webhook'); return null; end $$;

create trigger messages_inserted after insert on messages referencing new table as inserted
  for each statement execute function note_inserted_messages();

create function note_updated_message() returns trigger language plpgsql as $$ begin
  if exists (select 1 from documents as d where d.env_id = new.env_id and d.kind = 'outbound-webhook') then insert into message_changes (env_id, message_id, state, reason, error, sent_at, delivered_at, opened_at, clicked_at, canceled_at,
  lease_until, ready_at, revision) values (new.env_id, new.id, new.state, new.reason, new.error, new.sent_at, new.delivered_at, new.opened_at,
  new.clicked_at, new.canceled_at, null, 0, 1) on conflict (env_id, message_id, state) do update set reason = excluded.reason, error = excluded.error,
  sent_at = excluded.sent_at, delivered_at = excluded.delivered_at, opened_at = excluded.opened_at,
  clicked_at = excluded.clicked_at, canceled_at = excluded.canceled_at, lease_until = null,
  ready_at = excluded.ready_at, revision = message_changes.revision + 1; end if; return null; end $$;

create trigger messages_updated after update of state on messages for each row
  when (new.state <> old.state and new.to_endpoints = 0) execute function note_updated_message();

alter table deliveries add column app_id text collate "C";

alter table deliveries add column manual bigint not null default 0;

create unique index deliveries_pair on deliveries (provider_id, message_id)
  where app_id is not null and manual = 0;

create index deliveries_unsent on deliveries (provider_id, message_id, state)
  where app_id is not null and manual < 1 and started_at is not null and state <> 'sent';

create index deliveries_parked on deliveries (provider_id, due_at)
  where app_id is not null and lease_until is null and ready_at > due_at;

create table app_messages (
  env_id text collate "C" not null, app_id text collate "C" not null, id text collate "C" not null, event_id text collate "C", event_type text collate "C" not null,
  channels text collate "C", tags text collate "C", deliver_at bigint, payload_until bigint, created_at bigint not null,
  parameters text collate "C", payload text collate "C", raw text collate "C", primary key (app_id, id));

create unique index app_messages_event on app_messages (app_id, event_id) where event_id is not null;

create index app_messages_content on app_messages (payload_until) where payload_until is not null;

create index app_messages_age on app_messages (created_at);

create table endpoint_attempts (
  env_id text collate "C" not null, app_id text collate "C" not null, endpoint_id text collate "C" not null, message_id text collate "C" not null,
  delivery_id text collate "C" not null, id text collate "C" not null, event_type text collate "C" not null,
  outcome text collate "C" not null check (outcome in ('sent', 'failed', 'canceled')),
  manual bigint not null, url text collate "C" not null, status_code bigint not null, started_at bigint not null,
  ended_at bigint not null, next_at bigint, sent_headers text collate "C" not null, response_headers text collate "C", response text collate "C",
  primary key (message_id, id));

create index endpoint_attempts_endpoint on endpoint_attempts (endpoint_id, id, outcome, status_code);

create index endpoint_attempts_failed on endpoint_attempts (endpoint_id, id) where outcome = 'failed';

create index endpoint_attempts_app on endpoint_attempts (app_id, id, event_type, outcome);

create table endpoint_health (
  env_id text collate "C" not null, endpoint_id text collate "C" not null, failing_since bigint not null,
  primary key (env_id, endpoint_id));

create table tasks (
  env_id text collate "C" not null, id text collate "C" not null, kind text collate "C" not null,
  state text collate "C" not null check (state in ('running', 'finished', 'failed')),
  spec text collate "C" not null, cursor text collate "C", data text collate "C" not null, lease_until bigint, ready_at bigint,
  created_at bigint not null, updated_at bigint not null, primary key (env_id, id),
  check ((ready_at is not null) = (state = 'running')));

create index tasks_ready on tasks (ready_at, id) where ready_at is not null;

create index tasks_ended on tasks (updated_at) where ready_at is null;

alter table messages add column run text collate "C";

alter table messages add column run_status text collate "C";

alter table messages add column run_errors bigint not null default 0;

alter table deliveries add column origin text collate "C";

alter table deliveries add column via text collate "C" not null default 'courier';

create index messages_runs on messages (env_id, id) where run is not null;

create index messages_runs_of on messages (env_id, event, id) where run is not null;

create index messages_run_errors on messages (env_id, id) where run_errors > 0;

create index messages_runs_cancelled on messages (env_id, id) where run_status = 'cancelled';

alter table message_events drop constraint message_events_kind_check;

alter table message_events add constraint message_events_kind_check check (kind = 'delivered' or kind = 'opened' or kind = 'clicked' or kind = 'read' or kind = 'unread' or kind = 'archived' or kind = 'unarchived' or kind = 'canceled' or kind = 'bounced' or kind = 'seen' or kind = 'unseen' or kind = 'interacted') not valid;

create table runs (
  env_id text collate "C" not null, message_id text collate "C" not null, request_id text collate "C" not null, workflow text collate "C" not null,
  recipient text collate "C" not null, tenant_id text collate "C" not null, cancellation_key text collate "C", cancels text collate "C",
  status text collate "C" not null check (status in ('queued', 'paused')),
  state text collate "C" not null, due_at bigint not null, lease_until bigint, ready_at bigint not null,
  created_at bigint not null, primary key (env_id, message_id));

create index runs_ready on runs (ready_at, message_id);

create index runs_cancels on runs (env_id, cancels, message_id) where cancels is not null;

create table gates (
  env_id text collate "C" not null, key text collate "C" not null, window_until bigint not null, passed bigint not null, batch_id text collate "C",
  over_at bigint not null, primary key (env_id, key));

create index gates_over on gates (over_at);

create table batches (
  env_id text collate "C" not null, id text collate "C" not null, carrier_id text collate "C" not null, opened_at bigint not null,
  closes_at bigint not null, version bigint not null, joined bigint not null, n bigint not null,
  closed bigint not null, primary key (env_id, id));

create index batches_closed on batches (env_id, id) where closed = 1;

create table batch_items (
  env_id text collate "C" not null, batch_id text collate "C" not null, position bigint not null, message_id text collate "C" not null,
  recipient text collate "C" not null, cancels text collate "C", actor text collate "C", at bigint not null, scalars text collate "C", data text collate "C" not null,
  primary key (env_id, batch_id, position));

create index batch_items_cancels on batch_items (env_id, cancels, message_id) where cancels is not null;

create table schedules (
  env_id text collate "C" not null, id text collate "C" not null, workflow text collate "C" not null, recipient text collate "C" not null, actor text collate "C",
  tenant_id text collate "C" not null, data text collate "C", repeats text collate "C" not null, scheduled_at bigint, ending_at bigint,
  next_at bigint, last_at bigint, lease_until bigint, ready_at bigint, created_at bigint not null,
  updated_at bigint not null, primary key (env_id, id));

create index schedules_workflow on schedules (env_id, workflow, id);

create index schedules_recipient on schedules (env_id, recipient, id);

create index schedules_ready on schedules (ready_at, id) where ready_at is not null;

create index users_created on users (env_id, created_at, user_id);

create table objects (
  env_id text collate "C" not null, collection text collate "C" not null, id text collate "C" not null, properties text collate "C" not null,
  created_at bigint not null, updated_at bigint not null, primary key (env_id, collection, id));

create index objects_created on objects (env_id, collection, created_at, id);

create table object_subscriptions (
  env_id text collate "C" not null, object text collate "C" not null, recipient text collate "C" not null, properties text collate "C",
  created_at bigint not null, updated_at bigint not null, primary key (env_id, object, recipient));

create index object_subscriptions_created on object_subscriptions (env_id, object, created_at, recipient);

create index object_subscriptions_recipient on object_subscriptions (env_id, recipient, created_at, object);

create table party_documents (
  env_id text collate "C" not null, party text collate "C" not null, kind text collate "C" not null check (kind in ('preferences', 'channel', 'guide')),
  name text collate "C" not null, body text collate "C" not null, created_at bigint not null, updated_at bigint not null,
  primary key (env_id, party, kind, name));

create table audience_members (
  env_id text collate "C" not null, audience text collate "C" not null, user_id text collate "C" not null, tenant_id text collate "C" not null,
  added_at bigint not null, primary key (env_id, audience, user_id, tenant_id));

create index audience_members_added on audience_members (env_id, audience, added_at, user_id, tenant_id);

create index audience_members_user on audience_members (env_id, user_id, audience, tenant_id);

create table bulk_operations (
  env_id text collate "C" not null, id text collate "C" not null, body text collate "C" not null, created_at bigint not null,
  primary key (env_id, id));

create index bulk_operations_age on bulk_operations (created_at);

create index deliveries_origin on deliveries (env_id, id) where origin is not null;

create index deliveries_origin_user on deliveries (env_id, user_id, id) where origin is not null;

alter table inbox_counts add column stamp bigint not null default 0;

create table devices (
  env_id text collate "C" not null, id text collate "C" not null, user_id text collate "C" not null, registered bigint not null, token text collate "C",
  token_key text collate "C", language text collate "C", info text collate "C" not null, tags text collate "C" not null, created_at bigint not null,
  updated_at bigint not null, primary key (env_id, id));

create index devices_user on devices (env_id, user_id, registered, id);

create index devices_token on devices (env_id, token_key) where token_key is not null;

create table recalls (
  env_id text collate "C" not null, request_id text collate "C" not null, cursor text collate "C", recalled_at bigint not null, until bigint not null,
  ready_at bigint, primary key (env_id, request_id));

create index recalls_ready on recalls (ready_at, request_id) where ready_at is not null;

create index recalls_over on recalls (until) where ready_at is null;

create table recalled_items (
  env_id text collate "C" not null, user_id text collate "C" not null, request_id text collate "C" not null, until bigint not null,
  primary key (env_id, user_id, request_id));

create index recalled_items_over on recalled_items (until);

create table happenings (
  env_id text collate "C" not null, id text collate "C" not null, subject text collate "C" not null, happened_at bigint not null, note text collate "C" not null,
  state text collate "C", attempts bigint, sent_at bigint, delivered_at bigint, seen_at bigint, read_at bigint,
  interacted_at bigint, archived_at bigint, lease_until bigint, ready_at bigint not null, primary key (env_id, id));

create index happenings_ready on happenings (ready_at, id);

create index documents_event_webhooks on documents (env_id) where kind = 'knock-webhook';

drop index deliveries_origin_user;

create index deliveries_off_piles on deliveries (env_id, user_id, id) where origin is not null and bucket is null;
