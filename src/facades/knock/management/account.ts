/**
 * What is known of the account: who the key stands for, its environment, its variables, its keys. This server has one
 * environment for a key, and no members, branches, sources or definitions of audiences; their lists are empty.
 */
import type { Document, Environment } from "../../../engine/model.ts";
import { VARIABLE } from "../../../engine/workflow/model.ts";
import type { Json, JsonObject } from "../../../lib/json.ts";
import { environmentOf, MANAGEMENT } from "../auth.ts";
import { missing } from "../errors.ts";
import type { Knock, Routes } from "../knock.ts";
import { queryOf } from "../query.ts";
import { checkText, toIso } from "../wire.ts";
import { KNOCK_COMMIT } from "./commit-records.ts";
import { DEVELOPMENT, documentPage, environmentIn, isCalled, pageIn, shownPage, slugOf } from "./scope.ts";

const TYPES = ["public", "secret"] as const;

export const accountRoutes: Routes = (app, knock) => {
  const { documents } = knock.engine;

  app.get("/whoami", MANAGEMENT, (request) => {
    const { name } = environmentOf(request);
    return {
      type: "service_token",
      account_name: name,
      account_slug: slugOf(name),
      service_token_name: name,
      user_id: null,
      account_features: {
        translations_allowed: true,
        tenant_preferences_allowed: true,
        custom_branding_allowed: true,
        batch_items_render_limit_allowed: true,
        knock_branding_required: false,
      },
    };
  });

  app.get("/environments", MANAGEMENT, async (request) => {
    const environment = environmentOf(request);
    const asked = pageIn(request, "me");
    // Past the only one there is nothing, on either side.
    const items = asked.after === null && asked.before === null ? [environment] : [];
    const shown = items.length === 0 ? [] : [await showEnvironment(knock, environment)];
    return shownPage(asked, { items, next: null }, shown, ({ id }) => id);
  });

  app.get<{ Params: { slug: string } }>("/environments/:slug", MANAGEMENT, async (request) => {
    const environment = environmentOf(request);
    if (!isCalled(environment, request.params.slug)) throw missing("Environment", request.params.slug);
    return await showEnvironment(knock, environment);
  });

  app.get("/variables", MANAGEMENT, async (request) => {
    const environment = environmentIn(request);
    const asked = pageIn(request, "mv");
    const type = queryOf(request).oneOf("type", TYPES);
    const page = await documentPage(documents, environment, VARIABLE, asked, "ascending", ({ body }) => {
      return type === undefined || (body.secret === true) === (type === "secret");
    });
    return shownPage(asked, page, page.items.map(showVariable), ({ id }) => id);
  });

  app.get<{ Params: { key: string } }>("/variables/:key", MANAGEMENT, async (request) => {
    const key = checkText("key", request.params.key);
    const found = await documents.read(environmentIn(request).id, VARIABLE, key);
    if (found === null) throw missing("Variable", key);
    return showVariable(found);
  });

  app.post("/api_keys/exchange", MANAGEMENT, async (request) => {
    return { api_key: await knock.createKey(environmentIn(request).id) };
  });

  // A CLI that pulls all there is asks for audiences, too.
  for (const name of [
    "audiences",
    "branches",
    "members",
    "sources",
    "source_providers",
    "goals",
    "schemas",
    "tags",
    "assets",
  ]) {
    app.get(`/${name}`, MANAGEMENT, (request) => {
      environmentIn(request);
      return shownPage(pageIn(request, "mn"), { items: [], next: null }, [], () => "");
    });
    app.get<{ Params: { key: string } }>(`/${name}/:key`, MANAGEMENT, (request) => {
      throw missing(name, request.params.key);
    });
  }
};

async function showEnvironment({ engine }: Knock, environment: Environment): Promise<JsonObject> {
  const last = await engine.documents.list(environment.id, KNOCK_COMMIT, { limit: 1, newestFirst: true });
  return {
    slug: DEVELOPMENT,
    name: environment.name,
    order: 0,
    owner: "system",
    hide_pii_data: false,
    label_color: null,
    last_commit_at: toIso(last.items[0]?.createdAt ?? null),
    created_at: toIso(environment.createdAt),
    updated_at: toIso(environment.createdAt),
    deleted_at: null,
  };
}

/** Of a secret as many dots whatever it is: its length says something, too. */
const OBSCURED = "••••••••";

function showVariable({ id, body, createdAt, updatedAt }: Document): JsonObject {
  const secret = body.secret === true;
  const value = secret ? OBSCURED : textOf(body.value);
  return {
    key: id,
    type: secret ? "secret" : "public",
    value,
    environment_values: { [DEVELOPMENT]: value },
    description: typeof body.description === "string" ? body.description : null,
    inserted_at: toIso(createdAt),
    updated_at: toIso(updatedAt),
  };
}

function textOf(value: Json | undefined): string | null {
  if (value === undefined || value === null) return null;
  return typeof value === "string" ? value : JSON.stringify(value);
}
