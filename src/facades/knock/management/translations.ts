/** Translations: texts by key for one locale, of a namespace and of a tenant if they are for these only. */
import type { FastifyRequest } from "fastify";
import type { StepLanguage } from "../../../engine/workflow/ports.ts";
import { isObject, type Json, type JsonObject } from "../../../lib/json.ts";
import { type FieldError, invalid, invalidParams } from "../errors.ts";
import type { Routes } from "../knock.ts";
import { queryOf } from "../query.ts";
import { checkId, toIso } from "../wire.ts";
import { annotated } from "./annotate.ts";
import { authoredRoutes } from "./authored-routes.ts";
import { readPo, writePo } from "./po-text.ts";
import { cleaned, MAX_NAME, Reader } from "./reader.ts";

const FORMATS = ["json", "po"] as const;
const MAX_CONTENT = 500_000;
const MAX_LEVELS = 20;
const LOCALE = /^[a-z]{2,3}(?:[-_][a-z0-9]{2,8}){0,3}$/i;
/** No slash: ids are made of it. */
const NAMESPACE = /^[\w.-]{0,255}$/;

export const translationRoutes: Routes = (app, knock) => {
  authoredRoutes(app, knock, {
    type: "translation",
    path: "/translations",
    mark: "mt",
    idOf: idIn,
    wanted(request, id) {
      const query = queryOf(request);
      const [namespace, tenant, locale] = partsOf(id);
      const is = (name: string, value: string): boolean => (query.text(name) ?? value) === value;
      return is("namespace", namespace) && is("tenant", tenant) && is("locale_code", locale);
    },
    check: (_environment, _id, source) => checkTranslation(source, knock.engine.workflows.language),
    show: (id, source, of, request) => {
      const [namespace, tenant, locale] = partsOf(id);
      const format = queryOf(request).oneOf("format", FORMATS) ?? "json";
      return {
        locale_code: locale,
        namespace,
        ...(tenant === "" ? {} : { tenant }),
        format,
        content: format === "json" ? (source.content as string) : poOf(source),
        inserted_at: toIso(of?.document.createdAt ?? null),
        // The same, as the CLI reads it.
        created_at: toIso(of?.document.createdAt ?? null),
        updated_at: toIso(of?.document.updatedAt ?? null),
      };
    },
    annotate: (translation) => annotated(translation, {}, ["inserted_at"]),
    wrapped: true,
  });
};

/** `<namespace>/<tenant>/<locale>`. @throws KnockError 422. */
function idIn(request: FastifyRequest, locale: string): string {
  const query = queryOf(request);
  const namespace = query.text("namespace") ?? "";
  const tenant = query.text("tenant") ?? "";
  if (!LOCALE.test(locale)) throw invalid("locale_code", "Expected a locale such as en or pt-BR");
  if (!NAMESPACE.test(namespace)) throw invalid("namespace", `Expected up to ${MAX_NAME} letters, digits, _, - and .`);
  if (tenant !== "") checkId("tenant", tenant);
  return `${namespace}/${tenant}/${locale}`;
}

function partsOf(id: string): readonly [string, string, string] {
  return id.split("/") as [string, string, string];
}

/**
 * What is kept is JSON, whatever format it came in, and beside it the PO file that it came as: translators' comments and
 * the header are theirs to keep.
 * @throws KnockError 422 with all faults.
 */
export function checkTranslation(source: unknown, language: Pick<StepLanguage, "checkText">): JsonObject {
  const errors: FieldError[] = [];
  const t = new Reader(cleaned(source, "translation", errors), "", errors);
  if (errors.length > 0) throw invalidParams(errors);
  const format = t.oneOf("format", FORMATS) ?? "json";
  const given = t.required("content");
  let content = "{}";
  let po: string | undefined;
  if (typeof given === "string" && given.length > MAX_CONTENT) {
    t.error("content", `Expected at most ${MAX_CONTENT} characters`, "too_long");
  } else if (format === "po" && typeof given === "string") {
    const table = t.try("content", () => readPo(given)) ?? {};
    checkTable(table, language, t);
    content = JSON.stringify(table);
    po = given;
  } else if (given !== undefined) {
    // Texts stay as they were written, with their order and their blanks; an object is a client's shortcut for its text.
    content = typeof given === "string" ? given : JSON.stringify(given);
    const table = parsed(content);
    if (!isObject(table)) t.error("content", `Expected the text of a JSON object${faultIn(content)}`);
    else checkTable(table, language, t);
  }
  if (errors.length > 0) throw invalidParams(errors);
  return po === undefined ? { content, format } : { content, format, po };
}

function poOf(source: JsonObject): string {
  return typeof source.po === "string" ? source.po : writePo(tableIn(source));
}

/** Texts are Liquid: a fault in one would be that of every step that shows it. */
function checkTable(table: JsonObject, language: Pick<StepLanguage, "checkText">, t: Reader): void {
  const { errors } = t;
  const check = (value: Json | undefined, at: string, level: number): void => {
    if (errors.length >= 20) return;
    const fault = (message: string): void => {
      errors.push({ field: at, type: "invalid", message });
    };
    if (typeof value === "string") {
      if (value.includes("\0") || !value.isWellFormed()) fault("Expected text without NUL and broken surrogate pairs");
      else t.try("content", () => language.checkText(value, at));
    } else if (isObject(value)) {
      if (level > MAX_LEVELS) fault(`Expected at most ${MAX_LEVELS} levels`);
      else for (const [key, one] of Object.entries(value)) check(one, `${at}.${key}`, level + 1);
    } else if (typeof value !== "number") fault("Expected text, or an object of texts");
  };
  check(table, "content", 0);
}

function tableIn(source: JsonObject): JsonObject {
  const table = parsed(source.content as string);
  return isObject(table) ? table : {};
}

/** Where a text stops being JSON, as the parser tells it; nothing for JSON of something else. */
function faultIn(text: string): string {
  try {
    JSON.parse(text);
    return "";
  } catch (error) {
    return `: ${(error as Error).message}`;
  }
}

function parsed(text: string): Json | undefined {
  try {
    return JSON.parse(text, (key, value) => (key === "__proto__" ? undefined : value)) as Json;
  } catch {
    return undefined;
  }
}
