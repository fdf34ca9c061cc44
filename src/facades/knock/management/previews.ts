/**
 * Previews: templates, layouts and partials rendered as a run would, with nothing kept. What the author's text is at fault
 * for is an answer, `{result: "error"}`, and no refusal.
 */
import { randomBytes } from "node:crypto";
import type { Environment, Rendered } from "../../../engine/model.ts";
import { RenderError } from "../../../engine/ports.ts";
import { Refusal } from "../../../engine/refusal.ts";
import {
  CHANNEL_TYPES,
  type ChannelType,
  type PartyRef,
  type Step,
  USERS,
  type Workflow,
} from "../../../engine/workflow/model.ts";
import { isObject, type JsonObject } from "../../../lib/json.ts";
import { MANAGEMENT } from "../auth.ts";
import { type FieldError, invalidParams, missing } from "../errors.ts";
import type { Knock, Routes } from "../knock.ts";
import { checkId, checkText, readParty } from "../wire.ts";
import { readAuthored } from "./authored.ts";
import { templateOf } from "./check-channel-step.ts";
import { checkLayout } from "./layouts.ts";
import { checkPartial } from "./partials.ts";
import { showRendered } from "./preview-views.ts";
import { cleaned, given, MAX_NAME, Reader } from "./reader.ts";
import { environmentIn } from "./scope.ts";

/** For whom something is rendered, and with what. */
interface PreviewScope {
  readonly recipient: PartyRef;
  readonly actor: PartyRef | null;
  readonly tenantId: string | null;
  readonly data: JsonObject;
  readonly workflow: { readonly key: string; readonly categories: readonly string[] } | null;
}

const MAX_LAYOUT = 500_000;
/** A partial is rendered for nobody. */
const NOBODY: PartyRef = { collection: USERS, id: "preview" };

export const previewRoutes: Routes = (app, knock) => {
  const { language } = knock.engine.workflows;
  const deps = { documents: knock.engine.documents, clock: knock.clock };

  app.post<{ Params: { key: string; ref: string } }>(
    "/workflows/:key/steps/:ref/preview_template",
    MANAGEMENT,
    async (request) => {
      const environment = environmentIn(request);
      const { ref } = request.params;
      const key = checkText("key", request.params.key);
      const found = await readAuthored(deps, environment.id, "workflow", key);
      const source = found?.draft ?? found?.committed ?? null;
      if (source === null) throw missing("workflow", key);
      const workflow = source as unknown as Workflow;
      const step = stepNamed(workflow.steps, ref);
      if (step?.type !== "channel") throw missing("Channel step", ref);
      const errors: FieldError[] = [];
      const scope = scopeIn(new Reader(request.body ?? {}, "", errors), { key, categories: workflow.categories ?? [] });
      done(errors);
      return await preview(knock, environment, step.channel_type, step.template, scope);
    },
  );

  app.post("/templates/preview", MANAGEMENT, async (request) => {
    const environment = environmentIn(request);
    const { errors, body } = bodyIn(request.body);
    const type = body.required("channel_type") === undefined ? undefined : body.oneOf("channel_type", CHANNEL_TYPES);
    const scope = scopeIn(body, null);
    const t = body.inside("template");
    if (t === undefined && body.raw("template") === undefined) body.required("template");
    const template = t === undefined || type === undefined ? {} : templateOf(type, t);
    const layout = layoutIn(body);
    done(errors);
    if (type !== "email" || layout === null) {
      return await preview(knock, environment, type as ChannelType, template, scope);
    }
    if (!("key" in layout)) return await previewInLayout(knock, environment, template, layout, scope);
    const settings = { ...(isObject(template.settings) ? template.settings : {}), layout_key: layout.key };
    return await preview(knock, environment, type, { ...template, settings }, scope);
  });

  app.post("/email_layouts/preview", MANAGEMENT, async (request) => {
    const environment = environmentIn(request);
    const { errors, body } = bodyIn(request.body);
    const scope = scopeIn(body, null);
    done(errors);
    const layout = checkLayout(body.raw("email_layout"), language);
    const links = layout.footer_links ?? [];
    const data = { content: "", footer_links: links, ...scope.data };
    const shown = await preview(knock, environment, "email", layoutTemplate(layout), { ...scope, data });
    if (!isObject(shown.template)) return { result: shown.result, errors: shown.errors };
    const { html_body, text_body } = shown.template;
    return { result: shown.result, layout: { html_body, text_body } };
  });

  app.post("/partials/preview", MANAGEMENT, async (request) => {
    const environment = environmentIn(request);
    const { errors, body } = bodyIn(request.body);
    const data = body.object("data") ?? {};
    const layout = body.inside("layout")?.filled("key", MAX_NAME);
    done(errors);
    const partial = checkPartial(body.raw("partial"), language);
    requireInputs(partial, data);
    const scope: PreviewScope = { recipient: NOBODY, actor: null, tenantId: null, data, workflow: null };
    const html = partial.type === "html";
    const template: JsonObject = html
      ? {
          subject: "-",
          html_body: partial.content,
          ...(layout === undefined ? {} : { settings: { layout_key: layout } }),
        }
      : { text_body: partial.content };
    const shown = await preview(knock, environment, html ? "email" : "sms", template, scope);
    if (!isObject(shown.template)) return { result: shown.result, type: partial.type, errors: shown.errors };
    const { html_body, text_body } = shown.template;
    return { result: shown.result, type: partial.type, content: html ? html_body : text_body };
  });
};

async function preview(
  knock: Knock,
  environment: Environment,
  type: ChannelType,
  template: JsonObject,
  scope: PreviewScope,
): Promise<JsonObject> {
  const rendered = await rendering(() => knock.engine.workflows.preview(environment.id, type, template, scope));
  if ("errors" in rendered) return { result: "error", content_type: type, errors: rendered.errors };
  return { result: "success", content_type: type, template: showRendered(type, template, rendered.rendered) };
}

/** A mail in a layout that is not kept: each by itself, then the one put into the other. */
async function previewInLayout(
  knock: Knock,
  environment: Environment,
  template: JsonObject,
  layout: { readonly html: string; readonly text: string },
  scope: PreviewScope,
): Promise<JsonObject> {
  const settings = isObject(template.settings) ? given({ ...template.settings, layout_key: undefined }) : undefined;
  const inner = await preview(knock, environment, "email", given({ ...template, settings }), scope);
  if (!isObject(inner.template)) return inner;
  // Rendered content is no data: it must not be escaped, nor be read as Liquid once more.
  const content = `content${randomBytes(12).toString("hex")}`;
  const around = {
    subject: "-",
    html_body: layout.html,
    text_body: layout.text === "" ? "{{ content }}" : layout.text,
  };
  const data = { footer_links: [], ...scope.data, content };
  const outer = await preview(knock, environment, "email", around, { ...scope, data });
  if (!isObject(outer.template)) return outer;
  const filled = (name: "html_body" | "text_body"): string => {
    const [text, part] = [
      (outer.template as JsonObject)[name] as string,
      (inner.template as JsonObject)[name] as string,
    ];
    return text.replaceAll(content, () => part);
  };
  const html_body = filled("html_body");
  const shown = { ...inner.template, html_body, html_content: html_body, text_body: filled("text_body") };
  return { ...inner, template: shown };
}

/** What the author's text is at fault for, as a list. */
async function rendering(
  render: () => Promise<Rendered>,
): Promise<{ readonly rendered: Rendered } | { readonly errors: readonly JsonObject[] }> {
  try {
    return { rendered: await render() };
  } catch (error) {
    if (error instanceof RenderError) return { errors: [fault(error.message, error.field, error.line)] };
    if (error instanceof Refusal && error.code === "invalid") {
      return { errors: [fault(error.message, error.field?.replace(/^template\./, "") ?? null, error.line ?? null)] };
    }
    throw error;
  }
}

function fault(message: string, field: string | null, line: number | null): JsonObject {
  const named = `${field}: `;
  return { message: message.startsWith(named) ? message.slice(named.length) : message, field, line };
}

// ——— what is asked for ———————————————————————————————————————————————————————————————————————————————————————————

function bodyIn(value: unknown): { readonly errors: FieldError[]; readonly body: Reader } {
  const errors: FieldError[] = [];
  const body = new Reader(cleaned(value ?? {}, "body", errors, ["data"]), "", errors);
  done(errors);
  return { errors, body };
}

function done(errors: readonly FieldError[]): void {
  if (errors.length > 0) throw invalidParams(errors);
}

/** @param preset the workflow that a body need not name. */
function scopeIn(body: Reader, preset: PreviewScope["workflow"]): PreviewScope {
  const recipient = body.required("recipient");
  const actor = body.raw("actor");
  const tenant = body.raw("tenant");
  const w = body.inside("workflow");
  const workflow =
    w === undefined
      ? preset
      : { key: w.text("key", { max: MAX_NAME }) ?? "", categories: w.texts("categories", 100) ?? [] };
  return {
    recipient:
      recipient === undefined ? NOBODY : (body.try("recipient", () => readParty("recipient", recipient)) ?? NOBODY),
    actor: actor === undefined ? null : (body.try("actor", () => readParty("actor", actor)) ?? null),
    tenantId:
      tenant === undefined || tenant === "" ? null : (body.try("tenant", () => checkId("tenant", tenant)) ?? null),
    data: body.object("data") ?? {},
    workflow,
  };
}

/** A layout whose text is given, or the key of one that is kept. */
function layoutIn(body: Reader): { readonly html: string; readonly text: string } | { readonly key: string } | null {
  const layout = body.inside("layout");
  if (layout === undefined) return null;
  const html = layout.filled("html_content", MAX_LAYOUT);
  const text = layout.filled("text_content", MAX_LAYOUT);
  const key = layout.filled("key", MAX_NAME);
  if (html !== undefined) return { html, text: text ?? "" };
  return key === undefined ? null : { key };
}

function layoutTemplate(layout: JsonObject): JsonObject {
  return { subject: "-", html_body: layout.html_layout, text_body: layout.text_layout };
}

/** A partial may say what it has to be given. @throws KnockError 422. */
function requireInputs(partial: JsonObject, data: JsonObject): void {
  const schema = Array.isArray(partial.input_schema) ? (partial.input_schema as readonly JsonObject[]) : [];
  const absent = schema.map(({ key }) => key as string).filter((key) => !Object.hasOwn(data, key));
  if (absent.length > 0) {
    throw invalidParams(
      absent.map((key) => ({ field: `data.${key}`, type: "required", message: `${key}: is required` })),
    );
  }
}

/** Steps of branches are steps, too. */
function stepNamed(steps: readonly Step[], ref: string): Step | undefined {
  for (const step of steps) {
    if (step.ref === ref) return step;
    const branches = step.type === "branch" ? step.branches : step.type === "random_cohort" ? step.cohort_branches : [];
    for (const branch of branches) {
      const found = stepNamed(branch.steps, ref);
      if (found !== undefined) return found;
    }
  }
  return undefined;
}
