/** Email layouts: what e-mails are wrapped in. */
import type { StepLanguage } from "../../../engine/workflow/ports.ts";
import type { JsonObject } from "../../../lib/json.ts";
import { type FieldError, invalidParams } from "../errors.ts";
import type { Routes } from "../knock.ts";
import { toIso } from "../wire.ts";
import { annotated, LAYOUT_FIELDS } from "./annotate.ts";
import { shaOf } from "./authored.ts";
import { authoredRoutes } from "./authored-routes.ts";
import { cleaned, given, MAX_NAME, Reader } from "./reader.ts";
import { DEVELOPMENT } from "./scope.ts";

const MAX_LAYOUT = 500_000;
const MAX_LINKS = 50;
const MAX_URL = 2_000;
const CONTENT = /\{\{-?\s*content\b/;
const BRANDING = [
  "icon_url",
  "logo_url",
  "primary_color",
  "primary_color_contrast",
  "primary_text_color",
  "secondary_text_color",
  "dark_icon_url",
  "dark_logo_url",
  "dark_primary_color",
  "dark_primary_color_contrast",
];

export const layoutRoutes: Routes = (app, knock) => {
  authoredRoutes(app, knock, {
    type: "email_layout",
    path: "/email_layouts",
    mark: "ml",
    idOf: (_request, key) => key,
    check: (_environment, _key, source) => checkLayout(source, knock.engine.workflows.language),
    show: (key, source, of) => ({
      ...source,
      key,
      environment: DEVELOPMENT,
      sha: shaOf(source),
      created_at: toIso(of?.document.createdAt ?? null),
      updated_at: toIso(of?.document.updatedAt ?? null),
    }),
    annotate: (layout) => annotated(layout, LAYOUT_FIELDS),
  });
};

/** @throws KnockError 422 with all faults. */
export function checkLayout(source: unknown, language: Pick<StepLanguage, "checkText">): JsonObject {
  const errors: FieldError[] = [];
  const l = new Reader(cleaned(source, "email_layout", errors), "", errors);
  if (errors.length > 0) throw invalidParams(errors);
  const layout = (name: string): string => {
    const text = l.text(name, { max: MAX_LAYOUT, required: true }) ?? "";
    if (text !== "" && !CONTENT.test(text)) l.error(name, "Expected {{ content }} in it, where the e-mail goes");
    l.try(name, () => language.checkText(text, name));
    return text;
  };
  if (l.flag("is_mjml") === true) l.error("is_mjml", "MJML is not supported by this server", "not_supported");
  const branding = l.inside("branding_overrides");
  const checked = given({
    name: l.text("name", { max: MAX_NAME, required: true }),
    html_layout: layout("html_layout"),
    text_layout: layout("text_layout"),
    footer_links: l.objects("footer_links", { max: MAX_LINKS }, (link) => ({
      text: link.text("text", { max: MAX_NAME, required: true }) ?? "",
      url: link.text("url", { max: MAX_URL, required: true }) ?? "",
    })),
    is_mjml: l.flag("is_mjml"),
    branding_overrides:
      branding === undefined
        ? undefined
        : given(Object.fromEntries(BRANDING.map((name) => [name, branding.text(name, { max: MAX_URL })]))),
  });
  if (errors.length > 0) throw invalidParams(errors);
  return checked as JsonObject;
}
