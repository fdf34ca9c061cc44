/** Triggering a workflow, and canceling what a trigger began. */
import { createHash } from "node:crypto";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { EnvironmentId, Recipient } from "../../engine/model.ts";
import { isUser, type PartyRef, partyKey } from "../../engine/workflow/model.ts";
import type { Trigger } from "../../engine/workflow/workflows.ts";
import type { JsonObject } from "../../lib/json.ts";
import { environmentOf, SECRET } from "./auth.ts";
import { invalidParams, KnockError } from "./errors.ts";
import { toUuid } from "./ids.ts";
import type { Knock } from "./knock.ts";
import { type Identified, PartyRequests } from "./party-requests.ts";
import { partyViews } from "./party-views.ts";
import { TriggerDataCheck } from "./trigger-data.ts";
import { Fields, readParty } from "./wire.ts";

const MAX_RECIPIENTS = 1_000;
const MAX_KEY_LENGTH = 255;
const MAX_CANCELLATION_KEY_LENGTH = 255;
const IDEMPOTENT_FOR_MS = 24 * 3_600_000;

/** What is kept with an idempotency key: enough to answer again, and to tell another body from this one. */
interface Kept {
  readonly id: string;
  readonly body: string;
  readonly requestId: string;
}

export function triggerRoutes(scope: FastifyInstance, knock: Knock): void {
  const dataCheck = new TriggerDataCheck();
  const triggering = { ...SECRET, bodyLimit: knock.settings.maxTriggerBytes };

  scope.post("/workflows/:key/trigger", triggering, async (request, reply) => {
    const { key } = request.params as { key: string };
    return { workflow_run_id: await triggered(request, reply, key, key) };
  });

  scope.post("/notify", triggering, async (request, reply) => {
    const fields = new Fields(request.body);
    const key = fields.text("name", { required: true });
    fields.required("actor");
    fields.done();
    return { result_id: await triggered(request, reply, key as string, "notify") };
  });

  for (const path of ["/workflows/:key/cancel", "/notify/cancel"]) {
    scope.post(path, SECRET, async (request, reply) => {
      const fields = new Fields(request.body);
      const { key = fields.text("name", { required: true }) } = request.params as { key?: string };
      const cancellationKey = fields.text("cancellation_key", { required: true, max: MAX_CANCELLATION_KEY_LENGTH });
      const recipients = fields.list("recipients", { max: MAX_RECIPIENTS }, (item, at) => readParty(at, item));
      fields.done();
      const { id } = environmentOf(request);
      const canceled = await knock.engine.workflows.cancel(
        id,
        key as string,
        cancellationKey as string,
        recipients ?? null,
      );
      knock.log.info({ environmentId: id, workflow: key, canceled }, "workflow.canceled");
      return reply.code(204).send();
    });
  }

  /** @param idempotencyScope an idempotency key counts for one workflow. @returns the id of the workflow run. */
  async function triggered(
    request: FastifyRequest,
    reply: FastifyReply,
    key: string,
    idempotencyScope: string,
  ): Promise<string> {
    const { id: environmentId } = environmentOf(request);
    const found = await knock.engine.workflows.find(environmentId, key);
    if (found === null)
      throw new KnockError("workflow_missing", 404, `There is no committed workflow ${JSON.stringify(key)}`);
    if (!found.active) throw inactive(key);
    const asked = readTrigger(request.body);
    dataCheck.check(found.versionId, found.workflow, asked.data);

    const { engine, clock } = knock;
    const taken = idempotencyOf(request, `knock ${idempotencyScope}`, clock.now());
    if (taken === null) {
      await requireActor(environmentId, asked);
      await asked.requests.writeWithoutTenants(knock, environmentId);
      const trigger = triggerOf(key, asked);
      const { body } = await engine.workflows.trigger(environmentId, trigger, null, (id) => ({
        status: 200,
        body: id,
      }));
      return toUuid(body);
    }
    const body = createHash("sha256").update(JSON.stringify(request.body)).digest("base64url");
    // Asked before anyone is identified: a call that is refused must leave nothing behind.
    const earlier = await engine.idempotency.find(environmentId, taken.scope, taken.key, clock.now());
    if (earlier !== null) return again(reply, JSON.parse(earlier.body) as Kept, body);
    await requireActor(environmentId, asked);
    await asked.requests.writeWithoutTenants(knock, environmentId);
    const answer = await engine.workflows.trigger(environmentId, triggerOf(key, asked), taken, (requestId) => ({
      status: 200,
      body: JSON.stringify({ id: toUuid(requestId), body, requestId: request.id } satisfies Kept),
    }));
    const kept = JSON.parse(answer.body) as Kept;
    // Somebody with the same key was quicker.
    return kept.requestId === request.id ? kept.id : again(reply, kept, body);
  }

  /** Whoever is only named as the actor has to be known: templates speak of it. @throws KnockError 422. */
  async function requireActor(environmentId: EnvironmentId, { actor, requests }: AskedTrigger): Promise<void> {
    if (actor === null || requests.describes(actor)) return;
    const view = (await partyViews(knock, environmentId, [actor]))(actor);
    if (view.updated_at !== null) return;
    const message = `The actor ${JSON.stringify(actor.id)} is not known; identify it first, or with the trigger`;
    throw invalidParams([{ field: "actor", type: "missing", message }], "actor_missing");
  }
}

function again(reply: FastifyReply, kept: Kept, body: string): string {
  if (kept.body !== body) {
    throw new KnockError("idempotency_error", 400, "This idempotency key was used before, with another body");
  }
  reply.header("idempotent-replayed", "true").header("original-x-request-id", kept.requestId);
  return kept.id;
}

export function inactive(key: string): KnockError {
  return new KnockError("workflow_inactive", 422, `The workflow ${JSON.stringify(key)} is not active`);
}

function idempotencyOf(
  request: FastifyRequest,
  scope: string,
  now: number,
): { readonly scope: string; readonly key: string; readonly expiresAt: number } | null {
  const key = request.headers["idempotency-key"];
  if (typeof key !== "string" || key === "") return null;
  if (key.length > MAX_KEY_LENGTH) {
    throw new KnockError("idempotency_error", 400, `Idempotency-Key: Expected at most ${MAX_KEY_LENGTH} characters`);
  }
  return { scope, key, expiresAt: now + IDEMPOTENT_FOR_MS };
}

interface AskedTrigger {
  readonly requests: PartyRequests;
  readonly recipients: readonly Identified[];
  readonly actor: PartyRef | null;
  readonly tenantId: string | null;
  readonly data: JsonObject;
  readonly cancellationKey: string | null;
  readonly sandbox: boolean;
  readonly skipDelay: boolean;
}

/** @throws KnockError 422 with all that is wrong. */
export function readTrigger(body: unknown): AskedTrigger {
  const fields = new Fields(body);
  const requests = new PartyRequests();
  const recipients = fields.list("recipients", { min: 1, max: MAX_RECIPIENTS, required: true }, (item, at) =>
    requests.recipient(at, item),
  );
  const actor = fields.raw("actor");
  const tenant = fields.raw("tenant");
  const asked = {
    requests,
    recipients: recipients ?? [],
    actor: actor === undefined ? null : (fields.try("actor", () => requests.recipient("actor", actor).party) ?? null),
    tenantId: tenant === undefined ? null : (fields.try("tenant", () => requests.tenant("tenant", tenant)) ?? null),
    data: fields.object("data") ?? {},
    cancellationKey: fields.text("cancellation_key", { max: MAX_CANCELLATION_KEY_LENGTH }) || null,
    ...readSettings(fields),
  };
  fields.done();
  return asked;
}

function readSettings(fields: Fields): { readonly sandbox: boolean; readonly skipDelay: boolean } {
  const settings = new Fields(fields.object("settings") ?? {}, "settings");
  const read = { sandbox: settings.flag("sandbox_mode") ?? false, skipDelay: settings.flag("skip_delay") ?? false };
  fields.try("settings", () => settings.done());
  return read;
}

/** A recipient that is named twice is one recipient; what was said of it last counts. */
export function triggerOf(key: string, asked: AskedTrigger): Trigger {
  const distinct = new Map(asked.recipients.map((one) => [partyKey(one.party), one]));
  const recipients = [...distinct.values()].map(({ party, data }): Recipient => {
    const given = data === undefined ? {} : { data };
    return isUser(party)
      ? { kind: "user", userId: party.id, profile: {}, ...given }
      : { kind: "object", collection: party.collection, id: party.id, ...given };
  });
  const { actor, tenantId, data, cancellationKey, sandbox, skipDelay, requests } = asked;
  return {
    key,
    recipients,
    actor,
    tenantId,
    tenants: requests.tenants,
    data,
    cancellationKey,
    sandbox,
    skipDelay,
    source: { type: "api" },
    via: "knock",
  };
}
