import type { Sender } from "../engine/ports.ts";

/**
 * A sender that is opened with the first thing it has to send.
 * @param open is called once; when it rejects, so does every send, and `Senders` counts them as failures.
 */
export function lateSender(open: () => Promise<Sender>): Sender {
  let opened: Promise<Sender> | null = null;
  return {
    async send(outgoing) {
      opened ??= open();
      return await (await opened).send(outgoing);
    },
    async close() {
      if (opened !== null) await (await opened).close?.();
    },
  };
}
