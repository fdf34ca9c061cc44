/** Schedules: triggers that come by themselves, once or again and again, in the recipient's own time. */
import type { FastifyInstance } from "fastify";
import type { EnvironmentId } from "../../engine/model.ts";
import {
  FREQUENCIES,
  type PartyRef,
  type RepeatRule,
  type Schedule,
  type ScheduleId,
  WEEKDAYS,
} from "../../engine/workflow/model.ts";
import type { ScheduleDraft } from "../../engine/workflow/workflows.ts";
import type { Millis } from "../../lib/clock.ts";
import { isObject, type Json, type JsonObject } from "../../lib/json.ts";
import { environmentOf, SECRET } from "./auth.ts";
import { recordBulk } from "./bulk-operations.ts";
import { invalid, KnockError } from "./errors.ts";
import { fromUuid, toUuid } from "./ids.ts";
import type { Knock } from "./knock.ts";
import { type AskedPage, entriesOf, pageOf } from "./paging.ts";
import { PartyRequests } from "./party-requests.ts";
import { partyViews } from "./party-views.ts";
import { objectOf, userOf } from "./path.ts";
import { queryOf } from "./query.ts";
import { Fields, parseIso, toIso } from "./wire.ts";

const MAX_AT_ONCE = 100;
const MAX_BULK = 1_000;
const MAX_RULES = 100;
const MAX_INTERVAL = 1_000;
const WEEKDAYS_ONLY = WEEKDAYS.slice(0, 5);
const WEEKENDS = WEEKDAYS.slice(5);

type Filter = Parameters<Knock["engine"]["workflows"]["schedules"]["list"]>[1];

export function scheduleRoutes(scope: FastifyInstance, knock: Knock): void {
  const { workflows } = knock.engine;

  const show = async (environmentId: EnvironmentId, schedules: readonly Schedule[]): Promise<readonly JsonObject[]> => {
    const parties = schedules.flatMap(({ recipient, actor }) => (actor === null ? [recipient] : [recipient, actor]));
    const viewOf = await partyViews(knock, environmentId, parties);
    return schedules.map((schedule) => showSchedule(schedule, viewOf));
  };

  const list = async (environmentId: EnvironmentId, filter: Filter, asked: AskedPage): Promise<JsonObject> => {
    const page = await workflows.schedules.list(environmentId, filter, asked);
    return entriesOf(asked, page, await show(environmentId, page.items), ({ id }) => id);
  };

  scope.get("/schedules", SECRET, async (request) => {
    const query = queryOf(request);
    const workflow = query.text("workflow");
    if (workflow === undefined) throw invalid("workflow", "is required", "required");
    const recipients = query.parties("recipients");
    const tenantId = query.text("tenant");
    const filter = {
      workflow,
      ...(recipients.length === 0 ? {} : { recipients }),
      ...(tenantId === undefined ? {} : { tenantId }),
    };
    return await list(environmentOf(request).id, filter, pageOf(query, "sc"));
  });

  for (const [path, partyOf] of [
    ["/users/:user_id/schedules", userOf],
    ["/objects/:collection/:object_id/schedules", objectOf],
  ] as const) {
    scope.get(path, SECRET, async (request) => {
      const query = queryOf(request);
      const workflow = query.text("workflow");
      const tenantId = query.text("tenant");
      const filter = {
        recipients: [partyOf(request)],
        ...(workflow === undefined ? {} : { workflow }),
        ...(tenantId === undefined ? {} : { tenantId }),
      };
      return await list(environmentOf(request).id, filter, pageOf(query, "sc"));
    });
  }

  scope.post("/schedules", SECRET, async (request) => {
    const environmentId = environmentOf(request).id;
    const fields = new Fields(request.body);
    const requests = new PartyRequests();
    const recipients = fields.list("recipients", { min: 1, max: MAX_AT_ONCE, required: true }, (item, at) =>
      requests.recipient(at, item),
    );
    const workflow = fields.text("workflow", { required: true }) ?? "";
    const change = readChange(fields, requests);
    fields.done();
    const drafts = (recipients ?? []).map(({ party, data }) => draftOf(workflow, party, change, data));
    await checkWorkflows(environmentId, [workflow]);
    await requests.write(knock, environmentId);
    return await show(environmentId, await workflows.schedule(environmentId, drafts));
  });

  scope.post("/schedules/bulk/create", SECRET, async (request) => {
    const environmentId = environmentOf(request).id;
    const fields = new Fields(request.body);
    const requests = new PartyRequests();
    const drafts = fields.list("schedules", { min: 1, max: MAX_BULK, required: true }, (item, at) => {
      const one = new Fields(item, at);
      const recipient = one.try("recipient", () =>
        requests.recipient(one.path("recipient"), one.required("recipient")),
      );
      const workflow = one.text("workflow", { required: true }) ?? "";
      const change = readChange(one, requests);
      one.done();
      return draftOf(workflow, recipient?.party as PartyRef, change, recipient?.data);
    });
    fields.done();
    const all = drafts ?? [];
    await checkWorkflows(environmentId, [...new Set(all.map(({ workflow }) => workflow))]);
    await requests.write(knock, environmentId);
    await workflows.schedule(environmentId, all);
    return await recordBulk(knock, environmentId, "schedules.create", all.length);
  });

  scope.put("/schedules", SECRET, async (request) => {
    const environmentId = environmentOf(request).id;
    const fields = new Fields(request.body);
    const requests = new PartyRequests();
    const ids = readIds(fields);
    const change = readChange(fields, requests);
    fields.done();
    await requests.write(knock, environmentId);
    return await show(environmentId, await workflows.reschedule(environmentId, ids, change));
  });

  scope.delete("/schedules", SECRET, async (request) => {
    const environmentId = environmentOf(request).id;
    const fields = new Fields(request.body);
    const ids = readIds(fields);
    fields.done();
    return await show(environmentId, await workflows.schedules.delete(environmentId, ids));
  });

  async function checkWorkflows(environmentId: EnvironmentId, keys: readonly string[]): Promise<void> {
    for (const key of keys) {
      if ((await workflows.find(environmentId, key)) !== null) continue;
      throw new KnockError("workflow_missing", 404, `There is no committed workflow ${JSON.stringify(key)}`);
    }
  }
}

// ——— what is asked for ———————————————————————————————————————————————————————————————————————————————————————————————

type Change = Partial<Omit<ScheduleDraft, "workflow" | "recipient">>;

/** What a call says of a schedule beside whose it is. What it does not mention is not in the answer. */
function readChange(fields: Fields, requests: PartyRequests): Change {
  const given = (name: string): boolean => Object.hasOwn(fields.value, name);
  const actor = fields.raw("actor");
  const tenant = fields.raw("tenant");
  return {
    ...(given("actor")
      ? {
          actor:
            actor === undefined
              ? null
              : (fields.try("actor", () => requests.recipient(fields.path("actor"), actor).party) ?? null),
        }
      : {}),
    ...(given("tenant")
      ? {
          tenantId:
            tenant === undefined
              ? null
              : (fields.try("tenant", () => requests.tenant(fields.path("tenant"), tenant)) ?? null),
        }
      : {}),
    ...(given("data") ? { data: fields.object("data") ?? null } : {}),
    ...(given("repeats")
      ? { repeats: fields.list("repeats", { max: MAX_RULES }, (item, at) => readRule(item, at)) ?? [] }
      : {}),
    ...(given("scheduled_at") ? { scheduledAt: readMoment(fields, "scheduled_at") } : {}),
    ...(given("ending_at") ? { endingAt: readMoment(fields, "ending_at") } : {}),
  };
}

function draftOf(workflow: string, recipient: PartyRef, change: Change, own: JsonObject | undefined): ScheduleDraft {
  const data = own === undefined ? (change.data ?? null) : { ...change.data, ...own };
  return {
    workflow,
    recipient,
    actor: change.actor ?? null,
    tenantId: change.tenantId ?? null,
    data,
    repeats: change.repeats ?? [],
    scheduledAt: change.scheduledAt ?? null,
    endingAt: change.endingAt ?? null,
  };
}

/** Those that are no ids of ours name no schedule, and are passed over like any that is not there. */
function readIds(fields: Fields): readonly ScheduleId[] {
  const ids = fields.list("schedule_ids", { min: 1, max: MAX_AT_ONCE, required: true }, (item, at) => {
    if (typeof item !== "string") throw invalid(at, "Expected the id of a schedule");
    return fromUuid("sch", item);
  });
  return (ids ?? []).filter((id) => id !== null);
}

function readMoment(fields: Fields, name: string): Millis | null {
  const text = fields.text(name);
  if (text === undefined || text === "") return null;
  const at = parseIso(text);
  if (at === null) fields.error(name, "Expected an ISO 8601 date and time");
  return at;
}

function readRule(value: Json, at: string): RepeatRule {
  if (!isObject(value)) throw invalid(at, "Expected an object");
  const fields = new Fields(value, at);
  const named = fields.required("frequency");
  const frequency = FREQUENCIES.find((one) => one === named);
  if (named !== undefined && frequency === undefined) fields.error("frequency", `Expected ${FREQUENCIES.join(", ")}`);
  const rule = {
    frequency: frequency ?? "daily",
    interval: integer(fields, "interval", 1, MAX_INTERVAL) ?? 1,
    days: readDays(fields),
    dayOfMonth: integer(fields, "day_of_month", 1, 31),
    hours: integer(fields, "hours", 0, 23),
    minutes: integer(fields, "minutes", 0, 59),
  };
  if (rule.minutes !== null && rule.minutes % 5 !== 0) fields.error("minutes", "Expected a multiple of 5");
  fields.done();
  return rule;
}

function readDays(fields: Fields): RepeatRule["days"] {
  const value = fields.raw("days");
  if (value === "weekdays") return WEEKDAYS_ONLY;
  if (value === "weekends") return WEEKENDS;
  const days = fields.list("days", { max: WEEKDAYS.length }, (item, at) => {
    const day = WEEKDAYS.find((one) => one === item);
    if (day === undefined) throw invalid(at, `Expected ${WEEKDAYS.join(", ")}`);
    return day;
  });
  return days === undefined || days.length === 0 ? null : days;
}

function integer(fields: Fields, name: string, least: number, most: number): number | null {
  const value = fields.raw(name);
  if (value === undefined) return null;
  if (typeof value === "number" && Number.isInteger(value) && value >= least && value <= most) return value;
  fields.error(name, `Expected an integer from ${least} to ${most}`);
  return null;
}

// ——— what is answered ————————————————————————————————————————————————————————————————————————————————————————————————

function showSchedule(schedule: Schedule, viewOf: (party: PartyRef) => JsonObject): JsonObject {
  return {
    __typename: "Schedule",
    id: toUuid(schedule.id),
    workflow: schedule.workflow,
    recipient: viewOf(schedule.recipient),
    actor: schedule.actor === null ? null : viewOf(schedule.actor),
    tenant: schedule.tenantId,
    data: schedule.data,
    repeats: schedule.repeats.map((rule) => ({
      __typename: "ScheduleRepeat",
      frequency: rule.frequency,
      interval: rule.interval,
      days: rule.days,
      day_of_month: rule.dayOfMonth,
      hours: rule.hours,
      minutes: rule.minutes,
    })),
    scheduled_at: toIso(schedule.scheduledAt),
    ending_at: toIso(schedule.endingAt),
    next_occurrence_at: toIso(schedule.nextAt),
    last_occurrence_at: toIso(schedule.lastAt),
    inserted_at: toIso(schedule.createdAt),
    updated_at: toIso(schedule.updatedAt),
  };
}
