/** How far a message is and what was done with it, in Knock's words. Neither is stored: both are read off the delivery. */
import type { Delivery } from "../../engine/model.ts";
import type { DeliverySignal, DeliveryStage } from "../../engine/ports.ts";
import type { Millis } from "../../lib/clock.ts";

export const DELIVERY_STATUSES = [
  "queued",
  "sent",
  "delivered",
  "delivery_attempted",
  "undelivered",
  "not_sent",
  "bounced",
] as const;
export type DeliveryStatus = (typeof DELIVERY_STATUSES)[number];

export const STAGE_OF: { readonly [status in DeliveryStatus]: DeliveryStage } = {
  queued: "waiting",
  delivery_attempted: "tried",
  sent: "sent",
  delivered: "delivered",
  undelivered: "failed",
  bounced: "bounced",
  not_sent: "withheld",
};

/** As lists filter by it, see `STAGE_OF`. @param signals of this delivery. */
export function statusOf(
  { state, attempts, channel }: Pick<Delivery, "state" | "attempts" | "channel">,
  signals: readonly DeliverySignal[],
): DeliveryStatus {
  const heard = (kind: DeliverySignal["kind"]): boolean => signals.some((signal) => signal.kind === kind);
  switch (state) {
    case "pending":
      return attempts === 0 ? "queued" : "delivery_attempted";
    case "canceled":
    case "simulated":
      return "not_sent";
    case "failed":
      return heard("bounced") ? "bounced" : "undelivered";
    case "sent":
      if (heard("bounced")) return "bounced";
      // A webhook's answer is its receipt.
      return channel === "webhook" || heard("delivered") ? "delivered" : "sent";
    case "delivered":
      return heard("bounced") ? "bounced" : "delivered";
  }
}

export function linkClickedAt(signals: readonly DeliverySignal[]): Millis | null {
  return signals.find(({ kind }) => kind === "link-clicked")?.at ?? null;
}

export function engagementOf(delivery: Delivery, signals: readonly DeliverySignal[]): readonly string[] {
  const statuses: readonly [string, Millis | null][] = [
    ["seen", delivery.seenAt],
    ["read", delivery.readAt],
    ["interacted", delivery.interactedAt],
    ["link_clicked", linkClickedAt(signals)],
    ["archived", delivery.archivedAt],
  ];
  return statuses.filter(([, at]) => at !== null).map(([status]) => status);
}

/** The last time anything of it changed that can still be told. */
export function changedAt(delivery: Delivery, signals: readonly DeliverySignal[]): Millis {
  const { createdAt, sentAt, deliveredAt, seenAt, readAt, interactedAt, archivedAt } = delivery;
  const times = [sentAt, deliveredAt, seenAt, readAt, interactedAt, archivedAt, ...signals.map(({ at }) => at)];
  return times.reduce<Millis>((latest, at) => Math.max(latest, at ?? 0), createdAt);
}
