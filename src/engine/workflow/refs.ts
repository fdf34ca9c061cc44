/** How far the messages of earlier steps are, as later conditions and texts ask: `refs.<step>.delivery_status`. Pure. */
import type { JsonObject } from "../../lib/json.ts";
import type { Delivery, DeliveryId } from "../model.ts";
import { type MessageStatus, stepStatus } from "./message-status.ts";
import type { RunState } from "./model.ts";

/**
 * @param made ids of what each step sent; `[]` for a step that was skipped.
 * @param delivered those deliveries as they are now; what is missing was thrown away.
 */
export function refsOf(made: RunState["deliveries"], delivered: ReadonlyMap<DeliveryId, Delivery>): JsonObject {
  return Object.fromEntries(
    Object.entries(made).map(([ref, ids]) => [ref, stepStatus(ids.flatMap((id) => statusOf(delivered.get(id))))]),
  );
}

function statusOf(delivery: Delivery | undefined): readonly MessageStatus[] {
  if (delivery === undefined) return [];
  const { seenAt, readAt, interactedAt, archivedAt } = delivery;
  return [
    {
      delivery: deliveryStatus(delivery),
      engagement: [
        ...(seenAt === null ? [] : ["seen"]),
        ...(readAt === null ? [] : ["read"]),
        ...(interactedAt === null ? [] : ["interacted"]),
        ...(archivedAt === null ? [] : ["archived"]),
      ],
    },
  ];
}

function deliveryStatus({ state, attempts }: Delivery): string {
  switch (state) {
    case "pending":
      return attempts > 0 ? "delivery_attempted" : "queued";
    case "simulated":
      return "not_sent";
    case "failed":
    case "canceled":
      return "undelivered";
    case "sent":
    case "delivered":
      return state;
  }
}
