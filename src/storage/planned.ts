/** Writing messages with the deliveries they start with: the part that accepting and expanding share. */
import type { Delivery } from "../engine/model.ts";
import type { Planned } from "../engine/ports.ts";
import { noteBorn } from "./change-notes.ts";
import type { Dialect, Operation, Value } from "./database.ts";
import { noteBegun } from "./happening-notes.ts";
import { bucketOf, CountChanges } from "./inbox-counts.ts";
import { DELIVERY_COLUMNS, deliveryValues, MESSAGE_COLUMNS, messageValues } from "./rows.ts";
import { insertRuns } from "./run-rows.ts";
import { columnsOf } from "./schema.ts";
import { among, text, textList } from "./text.ts";

const TAG_COLUMNS = columnsOf("message_tags");

/** Inserts new messages, their tags, deliveries and runs, puts inbox items on their piles and notes the messages. */
export function* insertPlanned(dialect: Dialect, planned: readonly Planned[]): Operation<void> {
  if (planned.length === 0) return;
  yield {
    kind: "insert",
    table: "messages",
    columns: MESSAGE_COLUMNS,
    rows: planned.map(({ message, deliveries }) => messageValues(message, deliveries)),
  };
  yield* insertTags(planned);
  const deliveries = planned.length === 1 ? planned[0]?.deliveries : planned.flatMap((p) => p.deliveries);
  yield* insertDeliveries(deliveries ?? []);
  yield* insertRuns(planned);
  yield* noteBorn(
    dialect,
    planned.map((p) => p.message),
  );
  yield* noteBegun(dialect, planned);
}

/** Most messages have no tags, and then no statement is run. Repeating a tag does no harm. */
export function* insertTags(planned: readonly Planned[]): Operation<void> {
  const rows: Value[][] = [];
  for (const { message } of planned) {
    for (const tag of new Set(message.tags)) rows.push([message.environmentId, tag.toWellFormed(), message.id]);
  }
  if (rows.length === 0) return;
  yield { kind: "insert", table: "message_tags", columns: TAG_COLUMNS, rows, suffix: "on conflict do nothing" };
}

/** An inbox delivery is stored as delivered: storing it is delivering it. */
export function* insertDeliveries(deliveries: readonly Delivery[]): Operation<void> {
  if (deliveries.length === 0) return;
  yield { kind: "insert", table: "deliveries", columns: DELIVERY_COLUMNS, rows: deliveries.map(deliveryValues) };
  const counts = new CountChanges();
  for (const delivery of deliveries) counts.move(delivery, null, bucketOf(delivery));
  yield* counts.write();
}

/** Notes on messages that were stored before that they now have an item in an inbox. */
export function* markInInbox(dialect: Dialect, items: readonly Delivery[]): Operation<void> {
  if (items.length === 0) return;
  const ids = textList(
    dialect,
    items.map((item) => item.messageId),
  );
  yield text(dialect, `update messages set in_inbox = 1 where ${inEnvironments(dialect)} and ${among(dialect, "id")}`, [
    environmentsOf(dialect, items),
    ids,
  ]);
}

/** Notes on messages that the items which just left an inbox were their last there. */
export function* markLeftInbox(dialect: Dialect, items: readonly Delivery[]): Operation<void> {
  if (items.length === 0) return;
  const ids = textList(
    dialect,
    items.map((item) => item.messageId),
  );
  yield text(
    dialect,
    `update messages set in_inbox = 0 where ${inEnvironments(dialect)} and ${among(dialect, "id")}
     and not exists (select 1 from deliveries as d where d.message_id = messages.id and d.bucket is not null)`,
    [environmentsOf(dialect, items), ids],
  );
}

/** The key of messages begins with the environment; without it, every message would be looked at. */
function inEnvironments(dialect: Dialect): string {
  return among(dialect, "env_id");
}

function environmentsOf(dialect: Dialect, items: readonly Delivery[]): string {
  return textList(dialect, [...new Set(items.map((item) => item.environmentId))]);
}
