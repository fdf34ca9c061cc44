/** Guides as authors see them: written, committed, switched on and off, removed. */
import type { FastifyRequest } from "fastify";
import type { Document, Environment } from "../../../engine/model.ts";
import { untilWritten } from "../../../engine/webhooks/app-documents.ts";
import type { Millis } from "../../../lib/clock.ts";
import { isObject, type JsonObject } from "../../../lib/json.ts";
import { MANAGEMENT } from "../auth.ts";
import { invalid, missing } from "../errors.ts";
import { bodyOf, GUIDE_CHANNEL, type GuideSource, isShown, KNOCK_GUIDE, MAX_GUIDES, timesOf } from "../guide-shelf.ts";
import { typeOf } from "../guide-views.ts";
import type { Knock, Routes } from "../knock.ts";
import { queryOf } from "../query.ts";
import { Fields, parseIso, toIso } from "../wire.ts";
import { annotated } from "./annotate.ts";
import { loadAuthored, shaOf } from "./authored.ts";
import { type AuthoredSpec, authoredRoutes } from "./authored-routes.ts";
import { checkGuide } from "./check-guide.ts";
import { FIRST_VERSION, variantsOf } from "./message-types.ts";
import { DEVELOPMENT, environmentIn } from "./scope.ts";

const READONLY = ["type", "archived_at", "deleted_at"];

export const guideDefinitionRoutes: Routes = (app, knock) => {
  const { documents, workflows } = knock.engine;

  const spec: AuthoredSpec = {
    type: "guide",
    path: "/guides",
    mark: "mu",
    idOf: (_request, key) => key,
    check: async (environment, key, source) => {
      const checked = checkGuide(source, {
        language: workflows.language,
        variants: await variantsOf(knock, environment),
      });
      await requireRoom(knock, environment, key);
      return checked;
    },
    show: (key, source, of) => ({
      ...source,
      key,
      channel_key: GUIDE_CHANNEL.key,
      type: typeOf(source as unknown as GuideSource),
      semver: source.semver ?? FIRST_VERSION,
      active: of !== null && isObject(of.document.body.committed) && isOn(of.document, knock.clock.now()),
      // Nothing else is ever kept.
      valid: true,
      environment: DEVELOPMENT,
      sha: shaOf(source),
      archived_at: null,
      deleted_at: null,
      created_at: toIso(of?.document.createdAt ?? null),
      updated_at: toIso(of?.document.updatedAt ?? null),
    }),
    annotate: (guide) => annotated(guide, {}, READONLY),
  };
  authoredRoutes(app, knock, spec);

  app.put<{ Params: { key: string } }>("/guides/:key/activate", MANAGEMENT, async (request) => {
    const environment = environmentIn(request);
    const { key } = request.params;
    const times = activationIn(request);
    const written = await untilWritten("guide", async () => {
      const old = await documents.read(environment.id, KNOCK_GUIDE, key);
      if (old === null) throw missing("guide", key);
      const body = { ...old.body, ...times };
      const now = knock.clock.now();
      const write = { kind: KNOCK_GUIDE, id: key, body, expect: old.version };
      return (await documents.write(environment.id, [write], now)) === null
        ? "again"
        : { ...old, body, updatedAt: now };
    });
    const [authored] = await loadAuthored({ documents, clock: knock.clock }, environment.id, "guide", [written]);
    const source = authored?.draft ?? authored?.committed ?? {};
    return { guide: spec.show(key, source, authored ?? null, request) };
  });

  app.delete<{ Params: { key: string } }>("/guides/:key", MANAGEMENT, async (request) => {
    const environment = environmentIn(request);
    const { key } = request.params;
    if ((await documents.read(environment.id, KNOCK_GUIDE, key)) === null) throw missing("guide", key);
    const write = { kind: KNOCK_GUIDE, id: key, body: null, expect: "any" } as const;
    await documents.write(environment.id, [write], knock.clock.now());
    return { result: "success" };
  });
};

function isOn(document: Document, now: Millis): boolean {
  return isShown(timesOf(bodyOf(document)), now);
}

/** @throws KnockError 422 when there are as many guides as anybody could be shown. */
async function requireRoom({ engine }: Knock, environment: Environment, key: string): Promise<void> {
  const { items } = await engine.documents.list(environment.id, KNOCK_GUIDE, { limit: MAX_GUIDES });
  if (items.length < MAX_GUIDES || items.some(({ id }) => id === key)) return;
  throw invalid("guide", `There are ${MAX_GUIDES} guides already`);
}

/**
 * `status`, or the times from and until which the guide is to be shown; the CLI sends them in the query.
 * @throws KnockError 422.
 */
function activationIn(request: FastifyRequest): JsonObject {
  const query = queryOf(request);
  const body = new Fields(request.body);
  const time = (name: "from" | "until"): Millis | null => {
    const text = body.text(name) ?? query.text(name);
    if (text === undefined) return null;
    const at = parseIso(text);
    if (at === null) body.error(name, "Expected a time in ISO 8601");
    return at;
  };
  const status = body.flag("status") ?? query.flag("status");
  const from = time("from");
  const until = time("until");
  if (from !== null && until !== null && until <= from) body.error("until", "Expected a time after from");
  body.done();
  if (status !== undefined) return { active: status, from: null, until: null };
  if (from === null && until === null) throw invalid("status", "Expected status, or from and until", "required");
  return { active: true, from, until };
}
