/** What is told of happenings: the names of events, and what they are about as it was when they happened. */
import type { Delivery, Message } from "../../engine/model.ts";
import type { DeliverySignal } from "../../engine/ports.ts";
import type { HappeningFacts } from "../../engine/workflow/happenings.ts";
import type { DeliveryHappening, Happening, RunHappening } from "../../engine/workflow/model.ts";
import type { JsonObject } from "../../lib/json.ts";
import { MAX_ATTEMPTS } from "./message-events.ts";
import type { DeliveryStatus } from "./message-status.ts";
import { messageView } from "./message-views.ts";
import { showRun } from "./workflow-runs.ts";

/** One event: its type, what it is about, and what else there is to say. */
export interface EventView {
  readonly type: string;
  readonly data: JsonObject;
  readonly eventData: JsonObject | null;
}

/** @returns null for what is gone, and for what nobody is told. */
export function eventView(happening: Happening, facts: HappeningFacts): EventView | null {
  switch (happening.of) {
    case "delivery":
      return messageEvent(happening, facts);
    case "run":
      return runEvent(happening, facts);
    case "resource": {
      const { type, what, body, detail } = happening;
      return { type: `${type}.${what}`, data: body, eventData: detail };
    }
  }
}

/** The words of message-events.ts. Null: not told. */
const MESSAGE_EVENT: { readonly [what in DeliveryHappening]: string | null } = {
  sent: "sent",
  delivered: "delivered",
  attempted: "delivery_attempted",
  failed: "undelivered",
  bounced: "bounced",
  opened: "seen",
  clicked: "interacted",
  seen: "seen",
  unseen: "unseen",
  read: "read",
  unread: "unread",
  archived: "archived",
  unarchived: "unarchived",
  interacted: "interacted",
  canceled: null,
};
/** Events that are states of the message, too: it had that state then, whatever else happened in the same commit. */
const STATUS: { readonly [event: string]: DeliveryStatus } = {
  sent: "sent",
  delivered: "delivered",
  delivery_attempted: "delivery_attempted",
  undelivered: "undelivered",
  bounced: "bounced",
};

function messageEvent(happening: Happening & { readonly of: "delivery" }, facts: HappeningFacts): EventView | null {
  const { what, subject, detail, at } = happening;
  const delivery = facts.deliveries.get(subject);
  const followed = what === "clicked" && typeof detail?.href === "string" ? detail.href : null;
  const event = followed === null ? MESSAGE_EVENT[what] : "link_clicked";
  if (delivery === undefined || event === null) return null;
  const wasThen: Delivery = { ...delivery, ...happening.delivery };
  const message = facts.messages.get(delivery.messageId) ?? null;
  const signals = (facts.signals.get(delivery.id) ?? []).filter((signal) => signal.at <= at);
  const data = messageView(
    { delivery: wasThen, message, signals: heardWith(happening, signals, event) },
    facts.channels,
  );
  const status = STATUS[event] ?? data.status;
  return {
    type: `message.${event}`,
    data: { ...data, status },
    eventData: detailOf(event, followed, detail),
  };
}

/** Of a link that was followed again only the last time is known by now; it was followed at this one, too. */
function heardWith(
  { at, subject }: Happening,
  signals: readonly DeliverySignal[],
  event: string,
): readonly DeliverySignal[] {
  if (event !== "link_clicked" || signals.some(({ kind }) => kind === "link-clicked")) return signals;
  return [...signals, { deliveryId: subject as Delivery["id"], kind: "link-clicked", at }];
}

function detailOf(event: string, followed: string | null, detail: JsonObject | null): JsonObject | null {
  if (followed !== null) return { url: followed };
  if (detail === null) return null;
  switch (event) {
    case "delivery_attempted":
      return { attempt: detail.attempt, max_attempts: MAX_ATTEMPTS, retryable: detail.retryable };
    case "undelivered":
      return {
        failure_reason: detail.fatal === true ? "fatal_error" : "retries_exhausted",
        failure_details: detail.error ?? "",
      };
    default:
      // Ids of links are nobody's business.
      return Object.hasOwn(detail, "trackingId") ? null : detail;
  }
}

const RUN_EVENT: { readonly [what in RunHappening]: string } = {
  started: "started",
  failed: "error",
  completed: "completed",
};

function runEvent({ what, subject, at, detail }: Happening & { readonly of: "run" }, facts: HappeningFacts) {
  const message = facts.messages.get(subject);
  if (message?.run === undefined) return null;
  return {
    type: `workflow_recipient_run.${RUN_EVENT[what]}`,
    data: showRun(runThen(message, what, at)),
    eventData: detail,
  };
}

/** A run that is over by now had then only begun. */
function runThen(message: Message, what: RunHappening, at: number): Message {
  const { run } = message;
  if (run === undefined || what !== "started") return message;
  return { ...message, run: { ...run, status: "queued", log: run.log.filter((entry) => entry.at <= at && entry.ok) } };
}
