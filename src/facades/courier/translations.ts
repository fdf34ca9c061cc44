/** Translations of an application's texts: gettext files, one for each locale. */
import type { FastifyRequest } from "fastify";
import { Refusal } from "../../engine/refusal.ts";
import { TRANSLATION } from "../../engine/templates.ts";
import { parsePo } from "../../engine/translations.ts";
import { environmentOf } from "./auth.ts";
import type { Routes } from "./courier.ts";
import { notFound } from "./errors.ts";

/** The one domain there is. */
const DOMAIN = "default";
const LOCALE = /^[A-Za-z]{2,8}(?:[-_][A-Za-z0-9]{1,8}){0,3}$/;

export const translationRoutes: Routes = (app, { engine }) => {
  const { clock, documents } = engine;

  app.get("/translations/:domain/:locale", async (request, reply) => {
    const { id, shown } = fileOf(request);
    const source = (await documents.read(environmentOf(request).id, TRANSLATION, id))?.body.source;
    if (typeof source !== "string") throw notFound("Translation", shown);
    return reply.type("application/json; charset=utf-8").send(JSON.stringify(source));
  });

  app.put("/translations/:domain/:locale", async (request, reply) => {
    const { id } = fileOf(request);
    const source = request.body;
    if (typeof source !== "string") {
      throw new Refusal("invalid", "body: Expected the text of a .po file, as a JSON string or as text/plain");
    }
    const body = { source, entries: parsePo(source).entries };
    await documents.write(environmentOf(request).id, [{ kind: TRANSLATION, id, body, expect: "any" }], clock.now());
    return reply.code(204).send();
  });
};

/** @throws Refusal 404 for another domain, 400 for what is no locale. */
function fileOf(request: FastifyRequest): { readonly id: string; readonly shown: string } {
  const { domain, locale } = request.params as { domain: string; locale: string };
  const shown = `${domain}/${locale}`;
  if (domain !== DOMAIN) throw notFound("Translation domain", domain);
  if (!LOCALE.test(locale)) {
    throw new Refusal("invalid", 'locale: Expected a locale such as "en" or "fr_CA"', { field: "locale" });
  }
  return { id: `${domain}/${filed(locale)}`, shown };
}

/** One spelling for each locale, so that `fr-ca` and `fr_CA` are one file; it is the one the engine looks under. */
function filed(locale: string): string {
  const [language = "", ...rest] = locale.split(/[-_]/);
  return [language.toLowerCase(), ...rest.map((part) => part.toUpperCase())].join("_");
}
