/** One message to every application of the environment. */
import { callerOf, ORGANISATION } from "./access.ts";
import { askedBroadcast } from "./message-fields.ts";
import type { Routes } from "./svix.ts";
import { taskStarted } from "./tasks.ts";

export const broadcastRoutes: Routes = (app, svix) => {
  app.post("/msg/broadcast", ORGANISATION, async (request, reply) => {
    const { environment } = callerOf(request);
    const { eventId, eventType, payload, channels, keepMs } = askedBroadcast(request);
    const spec = { eventId, eventType, payload, channels, keepMs };
    return reply.code(202).send(taskStarted(await svix.webhooks.tasks.start(environment.id, "broadcast", spec)));
  });
};
