/**
 * How the documents of a template change. Draft and published copy are separate; a draft that says nothing new is none:
 *
 *   created ──▶ draft only ──publish──▶ published ──write──▶ published, with a draft ──publish──▶ published (next version)
 *
 * Pure, but for reading.
 */
import { isDeepStrictEqual } from "node:util";
import type { Engine } from "../../engine/engine.ts";
import type { Document, EnvironmentId } from "../../engine/model.ts";
import type { ContentLanguage, DocumentWrite } from "../../engine/ports.ts";
import { Refusal } from "../../engine/refusal.ts";
import { TEMPLATE, TEMPLATE_VERSION, type TemplateBody, type TemplateContent } from "../../engine/templates.ts";
import { newId } from "../../lib/ids.ts";
import type { Json, JsonObject } from "../../lib/json.ts";
import { identified } from "./element-tree.ts";
import { notFound, under } from "./errors.ts";

export type TemplateState = "DRAFT" | "PUBLISHED";

/** What is written by clients that leave it out. */
const CONTENT_VERSION = "2022-01-01";
const VERSION_NAME = /^v(\d{3,9})$/;

/** @throws Refusal 404 when there is no template, or only an archived one. */
export function templateIn(document: Document | null, id: string): TemplateBody {
  const body = document?.body as TemplateBody | undefined;
  if (body === undefined || body.archivedAt !== null) throw notFound("Notification template", id);
  return body;
}

/** What the next write starts from. */
export function headOf(body: TemplateBody): TemplateContent {
  // A template has at least one of the two from its first write on.
  return (body.draft ?? body.published) as TemplateContent;
}

export function versionName(number: number): string {
  return `v${String(number).padStart(3, "0")}`;
}

/** @returns null for what is no name of a version. */
export function versionNumber(name: string): number | null {
  const match = VERSION_NAME.exec(name);
  return match === null || Number(match[1]) === 0 ? null : Number(match[1]);
}

export function versionKey(templateId: string, number: number): { kind: string; id: string } {
  return { kind: TEMPLATE_VERSION, id: `${templateId}/${versionName(number)}` };
}

/** @throws Refusal when it is given and neither of the two, in any case. */
export function stateOf(text: string | null | undefined): TemplateState {
  const state = (text ?? "DRAFT").toUpperCase();
  if (state === "DRAFT" || state === "PUBLISHED") return state;
  throw new Refusal("invalid", `state: Expected DRAFT or PUBLISHED, got ${JSON.stringify(text?.slice(0, 60))}`, {
    field: "state",
  });
}

/**
 * The template with new content, as draft or published at once.
 * @returns the new body, and the documents to write with it: the template itself and, if one came to be, its version.
 */
export function withContent(
  id: string,
  old: { readonly body: TemplateBody; readonly version: number | "absent" },
  content: TemplateContent,
  state: TemplateState,
  updater: string,
): { readonly body: TemplateBody; readonly writes: readonly DocumentWrite[] } {
  const nothingNew = isDeepStrictEqual(plain(content), plain(old.body.published));
  if (state === "DRAFT" || nothingNew) {
    const body = { ...old.body, draft: nothingNew ? null : content, updater };
    return { body, writes: [templateWrite(id, body, old.version)] };
  }
  const number = old.body.latestVersion + 1;
  const body = {
    ...old.body,
    draft: null,
    published: content,
    publishedVersion: number,
    latestVersion: number,
    updater,
  };
  const version = { ...versionKey(id, number), body: { number, content, creator: updater }, expect: "absent" as const };
  return { body, writes: [templateWrite(id, body, old.version), version as unknown as DocumentWrite] };
}

/** Contents that were stored have lost their prototypes and undefined fields; new ones have not. */
function plain(content: TemplateContent | null): unknown {
  return JSON.parse(JSON.stringify(content));
}

export function templateWrite(id: string, body: TemplateBody, expect: number | "absent"): DocumentWrite {
  return { kind: TEMPLATE, id, body: body as unknown as JsonObject, expect };
}

/**
 * Elements as they are stored: each with an id, in a document that the content language has accepted.
 * @param field where the elements stand in the body, for messages.
 * @throws Refusal naming the element at fault.
 */
export function soundSource(
  engine: Engine,
  content: { readonly elements: readonly Json[]; readonly version?: string | null },
  field: string,
): JsonObject {
  const newElementId = () => newId("elem", engine.clock.now());
  const elements = identified(content.elements, newElementId, `${field}.elements`);
  const source = { version: content.version ?? CONTENT_VERSION, elements };
  // Wired by app.ts together with the engine.
  const language = engine.languages.get("elemental") as ContentLanguage;
  try {
    language.compile(source);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    throw field === "content" ? error : under(field.slice(0, -".content".length), error);
  }
  return source;
}

/** The elements of a stored source. */
export function elementsOf(content: TemplateContent): readonly Json[] {
  return (content.source as { readonly elements: readonly Json[] }).elements;
}

export interface Shown {
  readonly document: Document;
  readonly body: TemplateBody;
  readonly content: TemplateContent;
  readonly state: TemplateState;
}

/**
 * A template as of one of its versions: `published` (when nothing is said), `draft`, or `v001` and so on.
 * @throws Refusal 404 when there is no such template or version, 400 for what is no version.
 */
export async function readVersion(
  engine: Engine,
  environmentId: EnvironmentId,
  id: string,
  version: string | undefined,
): Promise<Shown> {
  const document = await engine.documents.read(environmentId, TEMPLATE, id);
  const body = templateIn(document, id);
  const found = { document: document as Document, body };
  if (version === "draft") {
    return { ...found, content: headOf(body), state: body.draft === null ? "PUBLISHED" : "DRAFT" };
  }
  if (version === undefined || version === "published") {
    if (body.published === null) throw notFound("Notification template", id);
    return { ...found, content: body.published, state: "PUBLISHED" };
  }
  const number = versionNumber(version.replace(/^published:/, ""));
  if (number === null) {
    throw new Refusal("invalid", 'version: Expected "published", "draft" or a version such as "v001"', {
      field: "version",
    });
  }
  return { ...found, content: await contentOfVersion(engine, environmentId, id, number), state: "PUBLISHED" };
}

/** @throws Refusal 404 when there is no such version. */
export async function contentOfVersion(
  engine: Engine,
  environmentId: EnvironmentId,
  id: string,
  number: number,
): Promise<TemplateContent> {
  const key = versionKey(id, number);
  const content = (await engine.documents.read(environmentId, key.kind, key.id))?.body.content;
  if (content === undefined) throw notFound("Notification template", `${id} ${versionName(number)}`);
  return content as unknown as TemplateContent;
}
