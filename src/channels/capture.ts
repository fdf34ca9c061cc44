import type { Channel, Delivery, Provider } from "../engine/model.ts";
import type { CaptureStore, Sender } from "../engine/ports.ts";
import { Refusal } from "../engine/refusal.ts";
import type { Clock } from "../lib/clock.ts";
import { newId } from "../lib/ids.ts";
import type { JsonObject } from "../lib/json.ts";
import { chatPayload, emailPayload, pushPayload, smsPayload } from "./payload.ts";

export type CapturedChannel = Extract<Channel, "email" | "sms" | "push" | "chat">;

const PAYLOADS: {
  readonly [channel in CapturedChannel]: (delivery: Delivery, settings: JsonObject) => JsonObject;
} = { email: emailPayload, sms: smsPayload, push: pushPayload, chat: chatPayload };

/** A sender that keeps what it was to send; `sent` means that it is kept and survives a power cut. */
export function openCapture(
  channel: CapturedChannel,
  provider: Provider,
  deps: { readonly captured: CaptureStore; readonly clock: Clock },
): Sender {
  return {
    async send({ delivery }) {
      try {
        const now = deps.clock.now();
        const id = newId("cap", now);
        await deps.captured.add([
          {
            id,
            environmentId: delivery.environmentId,
            messageId: delivery.messageId,
            deliveryId: delivery.id,
            channel,
            provider: provider.provider,
            address: delivery.address,
            payload: PAYLOADS[channel](delivery, provider.settings),
            at: now,
          },
        ]);
        return { kind: "sent", reference: { captured: id } };
      } catch (error) {
        if (!(error instanceof Refusal)) throw error;
        return { kind: error.code === "invalid" ? "rejected" : "failed", reason: error.message };
      }
    },
  };
}
