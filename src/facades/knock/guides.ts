/** Guides for those who are to see them: which there are, and what their users do with them. */
import type { FastifyRequest } from "fastify";
import type { EnvironmentId } from "../../engine/model.ts";
import { newId } from "../../lib/ids.ts";
import type { JsonObject } from "../../lib/json.ts";
import { client, environmentOf } from "./auth.ts";
import { missing } from "./errors.ts";
import { type GuideMark, markGuide, resetGuide, unarchiveGuide } from "./guide-messages.ts";
import { type Guide, guideChannelId } from "./guide-shelf.ts";
import { seenBy, shelfView, type Viewer } from "./guide-views.ts";
import type { Knock, Routes } from "./knock.ts";
import { channelInvalid } from "./party-requests.ts";
import { paramOf, userOf } from "./path.ts";
import { queryOf } from "./query.ts";
import { checkId, Fields } from "./wire.ts";

const READING = client("user/guide_read");
const WRITING = client("user/guide_write");
const MARKS: readonly GuideMark[] = ["seen", "interacted", "archived"];
const OK = { status: "ok" } as const;

export const guideRoutes: Routes = (app, knock) => {
  const { parties } = knock.engine.workflows;

  app.get("/users/:user_id/guides/:channel_id", READING, async (request) => {
    const environment = environmentOf(request);
    const query = queryOf(request);
    const channelId = guideChannelId(environment);
    requireChannel(channelId, paramOf(request, "channel_id"));
    const tenant = query.text("tenant");
    const viewer: Viewer = {
      environmentId: environment.id,
      channelId,
      userId: userOf(request).id,
      tenantId: tenant === undefined ? null : checkId("tenant", tenant),
      data: query.map("data") ?? {},
    };
    const seen = await seenBy(knock, viewer, await knock.shelves.of(environment.id));
    return shelfView(seen, { type: query.text("type"), force: query.flag("force_all_guides") === true });
  });

  for (const mark of MARKS) {
    const handler = async (request: FastifyRequest): Promise<JsonObject> => {
      const environment = environmentOf(request);
      const user = userOf(request);
      const { body, channelId, guideId, guideKey, ref, tenantId } = markingIn(request, mark);
      requireChannel(guideChannelId(environment), channelId);
      const guide = await guideOf(knock, environment.id, guideKey);
      if (guide.id !== guideId.toLowerCase()) throw missing("Guide", guideId);
      if (!guide.source.steps.some((step) => step.ref === ref)) throw missing("Guide step", ref);
      const at = knock.clock.now();
      const throttled = !(body.flag("unthrottled") ?? guide.unthrottled);
      const isFinal = body.flag("is_final") ?? false;
      const marking = { guide, ref, mark, at, id: newId("dlv", at), isFinal, throttled };
      await markGuide(parties, environment.id, user, tenantId, marking);
      return OK;
    };
    app.put(`/users/:user_id/guides/messages/${mark}`, WRITING, handler);
    // Former SDKs name a message in the path; the body says what is meant.
    app.put(`/users/:user_id/guides/messages/:message_id/${mark}`, WRITING, handler);
  }

  app.delete("/users/:user_id/guides/messages/archived", WRITING, async (request) => {
    const { id: environmentId } = environmentOf(request);
    const { guideKey, tenantId } = guideIn(request);
    const guide = await guideOf(knock, environmentId, guideKey);
    await unarchiveGuide(parties, environmentId, userOf(request), tenantId, guide, knock.clock.now());
    return OK;
  });

  app.put("/users/:user_id/guides/engagements/reset", WRITING, async (request) => {
    const { id: environmentId } = environmentOf(request);
    const { guideKey, tenantId } = guideIn(request);
    const guide = await guideOf(knock, environmentId, guideKey);
    await resetGuide(parties, environmentId, userOf(request), tenantId, guide.key, knock.clock.now());
    return OK;
  });
};

/** @throws KnockError 422: guides are on one channel only. */
function requireChannel(guideChannel: string, asked: string): void {
  if (asked.toLowerCase() !== guideChannel) throw channelInvalid("channel_id", asked);
}

/** @throws KnockError 404 for one that was never committed, or that is gone. */
async function guideOf(knock: Knock, environmentId: EnvironmentId, key: string): Promise<Guide> {
  const { guides } = await knock.shelves.of(environmentId);
  const found = guides.find((guide) => guide.key === key);
  if (found === undefined) throw missing("Guide", key);
  return found;
}

interface Named {
  readonly guideKey: string;
  readonly tenantId: string | null;
}

interface MarkingBody extends Named {
  readonly body: Fields;
  readonly channelId: string;
  readonly guideId: string;
  readonly ref: string;
}

/** @throws KnockError 422 with all faults. */
function markingIn(request: FastifyRequest, mark: GuideMark): MarkingBody {
  const body = new Fields(request.body);
  const text = (name: string): string => body.text(name, { max: 255, required: true }) ?? "";
  const channelId = text("channel_id");
  const guideId = text("guide_id");
  const ref = text("guide_step_ref");
  const named = namedIn(body);
  if (mark === "seen") {
    body.required("content");
    body.object("content");
    body.object("data");
  }
  if (mark === "interacted") body.object("metadata");
  if (mark === "archived") {
    body.flag("unthrottled");
    body.flag("is_final");
  }
  body.done();
  return { body, channelId, guideId, ref, ...named };
}

function guideIn(request: FastifyRequest): Named {
  const body = new Fields(request.body);
  const named = namedIn(body);
  body.done();
  return named;
}

function namedIn(body: Fields): Named {
  const guideKey = body.text("guide_key", { max: 255, required: true }) ?? "";
  const tenantId = body.raw("tenant") === undefined ? null : body.id("tenant");
  return { guideKey, tenantId };
}
