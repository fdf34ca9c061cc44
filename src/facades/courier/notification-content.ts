/** The content of templates, element by element. Every write changes the draft, or publishes at once when told to. */
import type { FastifyRequest } from "fastify";
import Type from "typebox";
import { Refusal } from "../../engine/refusal.ts";
import { TEMPLATE, type TemplateContent } from "../../engine/templates.ts";
import { bodyOf } from "../../http/body.ts";
import { isObject, type Json, type JsonObject } from "../../lib/json.ts";
import { environmentOf, requireSecret } from "./auth.ts";
import type { Courier, Routes } from "./courier.ts";
import { rewrite } from "./document-rewrite.ts";
import { changed, checksums, withChecksums } from "./element-tree.ts";
import { notFound } from "./errors.ts";
import {
  elementsOf,
  headOf,
  readVersion,
  soundSource,
  stateOf,
  type TemplateState,
  templateIn,
  withContent,
} from "./template-documents.ts";
import { AnyObject, checkId, Maybe, queryText } from "./wire.ts";

/** Begins with a letter, so that it is no key with a meaning of its own. */
const LOCALE = /^[A-Za-z][\w-]{0,63}$/;

const contentBody = bodyOf(
  Type.Object({
    content: Type.Object({ version: Maybe(Type.String()), elements: Type.Array(AnyObject) }),
    state: Maybe(Type.String()),
  }),
);
const elementBody = bodyOf(Type.Object({ type: Type.String(), state: Maybe(Type.String()) }));
const localeBody = bodyOf(
  Type.Object({ elements: Type.Array(Type.Object({ id: Type.String() })), state: Maybe(Type.String()) }),
);

export const notificationContentRoutes: Routes = (app, courier) => {
  const { engine } = courier;

  app.get("/notifications/:id/content", async (request) => {
    return await content(request, courier, queryText(request.query, "version"));
  });

  app.get("/notifications/:id/draft/content", async (request) => await content(request, courier, "draft"));

  app.put("/notifications/:id/content", async (request) => {
    const { content, state } = contentBody(request.body);
    return await write(request, courier, stateOf(state), () => soundSource(engine, content, "content"));
  });

  app.put("/notifications/:id/elements/:element_id", async (request) => {
    const { element_id: elementId } = request.params as { element_id: string };
    const { state, ...element } = elementBody(request.body) as JsonObject & { state?: string | null };
    return await write(request, courier, stateOf(state), (old) => {
      const elements = changed(elementsOf(old), checkId("element_id", elementId), () => ({
        ...element,
        id: elementId,
      }));
      if (elements === null) throw notFound("Element", elementId);
      return soundSource(engine, { ...versionOf(old), elements }, "content");
    });
  });

  app.put("/notifications/:id/locales/:locale_id", async (request) => {
    const { locale_id: locale } = request.params as { locale_id: string };
    if (!LOCALE.test(locale)) {
      throw new Refusal("invalid", 'locale_id: Expected a locale such as "fr" or "fr_CA"', { field: "locale_id" });
    }
    const body = localeBody(request.body);
    return await write(request, courier, stateOf(body.state), (old) => {
      let elements = elementsOf(old);
      for (const [i, { id, ...fields }] of body.elements.entries()) {
        const next = changed(elements, id, (element) => localized(element, locale, fields));
        if (next === null) {
          const field = `elements.${i}.id`;
          throw new Refusal("invalid", `${field}: The template has no element ${JSON.stringify(id)}`, { field });
        }
        elements = next;
      }
      return soundSource(engine, { ...versionOf(old), elements }, "content");
    });
  });
};

function localized(element: JsonObject, locale: string, fields: JsonObject): JsonObject {
  const locales = isObject(element.locales) ? element.locales : {};
  const old = Object.hasOwn(locales, locale) ? locales[locale] : undefined;
  return { ...element, locales: { ...locales, [locale]: isObject(old) ? { ...old, ...fields } : fields } };
}

async function content(request: FastifyRequest, { engine }: Courier, version: string | undefined) {
  const found = await readVersion(engine, environmentOf(request).id, idOf(request), version);
  return { ...versionOf(found.content), elements: withChecksums(elementsOf(found.content)) };
}

/** Changes the source of the head and nothing else; answers with what its elements then are. */
async function write(
  request: FastifyRequest,
  { engine }: Courier,
  state: TemplateState,
  change: (old: TemplateContent) => JsonObject,
) {
  const id = idOf(request);
  const { environment, keyId } = requireSecret(request);
  return await rewrite(engine, environment.id, { kind: TEMPLATE, id }, (document) => {
    const body = templateIn(document, id);
    const head = headOf(body);
    const next: TemplateContent = { ...head, source: change(head) };
    const at = { body, version: document?.version ?? ("absent" as const) };
    const { writes } = withContent(id, at, next, state, keyId);
    return { writes, result: { id, ...versionOf(next), elements: checksums(elementsOf(next)), state } };
  });
}

function idOf(request: FastifyRequest): string {
  return checkId("id", (request.params as { id: string }).id);
}

function versionOf(content: TemplateContent): { readonly version: string } {
  const version: Json | undefined = (content.source as JsonObject).version;
  return { version: typeof version === "string" ? version : "" };
}
