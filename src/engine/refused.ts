/**
 * What stands in the place of a message that the database refuses although it was accepted long ago: a text that cannot
 * be stored, a name too long for an index. Nobody is left to be told, and made again it would be refused again.
 */
import type { Millis } from "../lib/clock.ts";
import type { Message } from "./model.ts";
import { Refusal } from "./refusal.ts";
import { RunLog } from "./workflow/record.ts";

/** Of a name that takes a page nobody reads the end. */
const SHOWN_NAME = 200;

/** The message as it ended, without deliveries; what follows is to be tried if the database refuses that, too. Pure. */
export function refusedMessages(message: Message, cause: unknown, at: Millis): readonly Message[] {
  // Other errors are ours, and not for the eyes of callers.
  const why = cause instanceof Refusal ? cause.message : "internal error";
  const error = `the database refuses the message: ${why}`;
  const { run } = message;
  const ended: Message = {
    ...message,
    state: "undeliverable",
    reason: "failed",
    error,
    plan: null,
    dueAt: null,
    sentAt: null,
    deliveredAt: null,
    ...(run === undefined
      ? {}
      : {
          run: new RunLog(run).record("completed", {
            at,
            event: "run_completed",
            ok: false,
            attempt: 1,
            data: { error },
          }),
        }),
  };
  const name = JSON.stringify(message.recipient);
  const nameless: Message = {
    ...ended,
    error: `${error}; it was for ${name.length > SHOWN_NAME ? `${name.slice(0, SHOWN_NAME)}…` : name}`,
    userId: null,
    recipient: message.id,
    tenantId: null,
    viaTenant: false,
    listId: null,
    event: "",
    templateId: "",
    tags: [],
    traceId: null,
  };
  return [ended, nameless];
}
