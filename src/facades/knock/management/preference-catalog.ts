/** What users may choose from: the names of categories, and what the page for preferences shows. */
import type { Document } from "../../../engine/model.ts";
import { untilWritten } from "../../../engine/webhooks/app-documents.ts";
import { CHANNEL_TYPES } from "../../../engine/workflow/model.ts";
import { KNOCK_PREFERENCE_CATEGORY, KNOCK_PREFERENCE_CENTER } from "../../../http/facade-documents.ts";
import type { JsonObject } from "../../../lib/json.ts";
import { MANAGEMENT } from "../auth.ts";
import { type FieldError, invalid, invalidParams, missing } from "../errors.ts";
import type { Routes } from "../knock.ts";
import { checkText, toIso } from "../wire.ts";
import { cleaned, given, MAX_NAME, Reader } from "./reader.ts";
import { environmentIn } from "./scope.ts";

const CENTER_ID = "default";
const MAX_CATEGORIES = 1_000;
const MAX_ROWS = 200;
const MAX_BODY = 10_000;
const ROW_TYPES = ["workflow", "category", "channel", "channel_types", "commercial_subscribed"] as const;

/** What is shown until somebody says otherwise. */
export const PRESET_CENTER: JsonObject = {
  title: "Notification preferences",
  body: "Choose what you would like to hear about, and how.",
  show_account_name: true,
  rows: [],
};

interface Named {
  readonly name: string;
}

export const preferenceCatalogRoutes: Routes = (app, knock) => {
  const { documents } = knock.engine;

  app.get("/preference_categories", MANAGEMENT, async (request) => {
    const { id } = environmentIn(request);
    const { items } = await documents.list(id, KNOCK_PREFERENCE_CATEGORY, { limit: MAX_CATEGORIES });
    return { entries: items.map(showCategory) };
  });

  const put = async (environmentId: Parameters<typeof documents.read>[0], name: string): Promise<Document> => {
    return await untilWritten("preference category", async () => {
      const old = await documents.read(environmentId, KNOCK_PREFERENCE_CATEGORY, name);
      if (old !== null) return old;
      const now = knock.clock.now();
      const write = { kind: KNOCK_PREFERENCE_CATEGORY, id: name, body: {}, expect: "absent" } as const;
      if ((await documents.write(environmentId, [write], now)) === null) return "again";
      return { ...write, version: 1, createdAt: now, updatedAt: now };
    });
  };

  app.put<{ Params: Named }>("/preference_categories/:name", MANAGEMENT, async (request) => {
    const name = checkText("name", request.params.name);
    if (name.length > MAX_NAME) throw invalid("name", `Expected at most ${MAX_NAME} characters`, "too_long");
    return { preference_category: showCategory(await put(environmentIn(request).id, name)) };
  });

  app.get<{ Params: Named }>("/preference_categories/:name", MANAGEMENT, async (request) => {
    const name = checkText("name", request.params.name);
    const found = await documents.read(environmentIn(request).id, KNOCK_PREFERENCE_CATEGORY, name);
    if (found === null) throw missing("Preference category", name);
    return showCategory(found);
  });

  app.delete<{ Params: Named }>("/preference_categories/:name", MANAGEMENT, async (request, reply) => {
    const { id } = environmentIn(request);
    const name = checkText("name", request.params.name);
    if ((await documents.read(id, KNOCK_PREFERENCE_CATEGORY, name)) === null)
      throw missing("Preference category", name);
    await documents.write(
      id,
      [{ kind: KNOCK_PREFERENCE_CATEGORY, id: name, body: null, expect: "any" }],
      knock.clock.now(),
    );
    return reply.code(204).send();
  });

  app.get("/preference_center", MANAGEMENT, async (request) => {
    return showCenter(await documents.read(environmentIn(request).id, KNOCK_PREFERENCE_CENTER, CENTER_ID));
  });

  /** @param change pure. */
  const changeCenter = (environmentId: Parameters<typeof documents.read>[0], change: (old: JsonObject) => JsonObject) =>
    untilWritten("preference center", async () => {
      const old = await documents.read(environmentId, KNOCK_PREFERENCE_CENTER, CENTER_ID);
      const body = change(showCenter(old));
      const expect = old?.version ?? "absent";
      const write = { kind: KNOCK_PREFERENCE_CENTER, id: CENTER_ID, body, expect } as const;
      return (await documents.write(environmentId, [write], knock.clock.now())) === null ? "again" : body;
    });

  app.put("/preference_center", MANAGEMENT, async (request) => {
    const { config, enabled } = checkCenter(request.body);
    const { id } = environmentIn(request);
    return await changeCenter(id, (old) => ({ enabled: enabled ?? old.enabled, config: config ?? old.config }));
  });

  app.put("/preference_center/reset", MANAGEMENT, async (request) => {
    return await changeCenter(environmentIn(request).id, ({ enabled }) => ({ enabled, config: PRESET_CENTER }));
  });
};

function showCategory({ id, createdAt, updatedAt }: Document): JsonObject {
  return { name: id, created_at: toIso(createdAt), updated_at: toIso(updatedAt), archived_at: null };
}

function showCenter(document: Document | null): JsonObject {
  return document === null ? { enabled: false, config: PRESET_CENTER } : document.body;
}

/** @throws KnockError 422 with all faults. */
function checkCenter(body: unknown): {
  readonly enabled: boolean | undefined;
  readonly config: JsonObject | undefined;
} {
  const errors: FieldError[] = [];
  const b = new Reader(cleaned(body ?? {}, "body", errors), "", errors);
  const c = b.inside("config");
  const enabled = b.flag("enabled");
  const config =
    c === undefined
      ? undefined
      : ({
          title: c.text("title", { max: MAX_NAME }) ?? (PRESET_CENTER.title as string),
          body: c.text("body", { max: MAX_BODY }) ?? "",
          show_account_name: c.flag("show_account_name") ?? true,
          rows: c.objects("rows", { max: MAX_ROWS }, rowOf) ?? [],
        } as JsonObject);
  if (c === undefined && enabled === undefined) b.required("config");
  if (errors.length > 0) throw invalidParams(errors);
  return { enabled, config };
}

function rowOf(row: Reader): JsonObject {
  const type = row.required("type") === undefined ? undefined : row.oneOf("type", ROW_TYPES);
  if (type === "workflow" || type === "category" || type === "channel") row.required("identifier");
  return given({
    type,
    identifier: row.text("identifier", { max: MAX_NAME }),
    name: row.text("name", { max: MAX_NAME, required: true }),
    description: row.text("description", { max: MAX_BODY }) ?? "",
    channel_types: row.list("channel_types", { max: CHANNEL_TYPES.length }, (item, at) => {
      const known = CHANNEL_TYPES.find((one) => one === item);
      if (known === undefined)
        row.errors.push({ field: at, type: "invalid", message: `Expected ${CHANNEL_TYPES.join(", ")}` });
      return known ?? "email";
    }),
  }) as JsonObject;
}
