/** Counting: attempts of an endpoint and of an application at once; what takes longer becomes a task. */
import type { AppId } from "../../engine/webhooks/model.ts";
import type { AttemptCounts } from "../../engine/webhooks/ports.ts";
import type { Millis } from "../../lib/clock.ts";
import { applicationOf, callerOf, endpointOf, may, ORGANISATION } from "./access.ts";
import { badRequest, invalid } from "./errors.ts";
import { fromKsuid, MAX_UID_LENGTH, UID } from "./ids.ts";
import type { Routes } from "./svix.ts";
import { taskStarted } from "./tasks.ts";
import { EVENT_NAME, fields, query, timestamp } from "./wire.ts";

const DAY_MS = 86_400_000;
const DEFAULT_SPAN_MS = 28 * DAY_MS;
/** What an application's attempts may be counted over: as far as lists look back. */
const LONGEST_APP_SPAN_MS = 90 * DAY_MS;
/** Clocks differ, and a span of days is computed by callers before it is checked here. */
const SPAN_SLACK_MS = 5 * 60_000;
const CLOCK_SLACK_MS = 5_000;
const MAX_APPS = 1_000;

export const statisticsRoutes: Routes = (app, svix) => {
  const { webhooks, clock } = svix;

  app.get("/app/:app_id/endpoint/:endpoint_id/stats", may("ViewBase"), async (request) => {
    const f = query(request);
    const now = clock.now();
    const until = f.time("until", { nullable: true }) ?? now;
    const since = f.time("since", { nullable: true }) ?? until - DEFAULT_SPAN_MS;
    f.done();
    checkRange(since, until, DEFAULT_SPAN_MS, now);
    const { caller, application } = await applicationOf(svix, request);
    const { endpoint_id } = request.params as { readonly endpoint_id: string };
    const endpoint = await endpointOf(svix, caller, application, endpoint_id);
    const counts = await webhooks.messages.attemptCounts(
      caller.environment.id,
      application.id,
      endpoint.id,
      since,
      // The last millisecond belongs to it.
      until + 1,
    );
    return { success: counts.sent, pending: 0, sending: 0, fail: counts.failed, canceled: counts.canceled };
  });

  app.get("/app/:app_id/stats/attempts", may("ViewBase"), async (request) => {
    const f = query(request);
    const since = f.time("since");
    const until = f.time("until");
    const eventTypes = f.list("event_types", { pattern: EVENT_NAME, max: 500 });
    f.done();
    checkRange(since, until, LONGEST_APP_SPAN_MS, null);
    const { caller, application } = await applicationOf(svix, request);
    const byType = await webhooks.messages.attemptCountsByType(
      caller.environment.id,
      application.id,
      since,
      until + 1,
      eventTypes,
    );
    const total = (of: keyof AttemptCounts): number =>
      [...byType.values()].reduce((sum, counts) => sum + counts[of], 0);
    return {
      by_event_type: Object.fromEntries(
        [...byType].map(([type, { sent, failed, canceled }]) => [type, { success: sent, failure: failed, canceled }]),
      ),
      total_success: total("sent"),
      total_failure: total("failed"),
      total_canceled: total("canceled"),
      since: timestamp(since),
      until: timestamp(until),
    };
  });

  app.put("/stats/usage/event-types", ORGANISATION, async (request, reply) => {
    const task = await webhooks.tasks.start(callerOf(request).environment.id, "event-type-usage", {});
    return reply.code(202).send(taskStarted(task));
  });

  app.post("/stats/usage/app", ORGANISATION, async (request, reply) => {
    const f = fields(request.body);
    const since = f.time("since");
    const until = f.time("until");
    const keys = f.names("appIds", { nullable: true, max: MAX_APPS, pattern: UID, maxLength: MAX_UID_LENGTH });
    if (since > until) f.issue(["since"], "Expected a time that is not after `until`");
    f.done();
    const environmentId = callerOf(request).environment.id;
    const appIds: AppId[] = [];
    const unresolved: string[] = [];
    for (const key of keys ?? []) {
      const id = fromKsuid("app", "app", key);
      const found = await webhooks.applications.read(environmentId, id === null ? { uid: key } : { id });
      if (found === null) unresolved.push(key);
      // One may be named twice, by its id and by its uid.
      else if (!appIds.includes(found.id)) appIds.push(found.id);
    }
    if (keys !== null && appIds.length === 0) {
      throw invalid(["body", "appIds"], "Expected at least one application that there is");
    }
    const spec = { appIds: keys === null ? null : appIds, from: since, to: until + 1 };
    const task = await webhooks.tasks.start(environmentId, "app-usage", spec);
    return reply.code(202).send({ ...taskStarted(task), unresolvedAppIds: unresolved });
  });
};

/** @param now nothing may be asked about what is later; null: it may. @throws SvixError 400 `invalid_range` */
function checkRange(since: Millis, until: Millis, longestMs: Millis, now: Millis | null): void {
  if (now !== null && until > now + CLOCK_SLACK_MS) throw badRange("`until` is in the future");
  if (since > until) throw badRange("`since` is after `until`");
  if (until - since > longestMs + SPAN_SLACK_MS) {
    throw badRange(`Expected at most ${longestMs / DAY_MS} days between \`since\` and \`until\``);
  }
}

function badRange(detail: string): Error {
  return badRequest(detail, "invalid_range");
}
