/** What templates are rendered with in tests: a recipient, some data, and sources that answer from tables. */
import type { StepRendering, StepScope, StepSources } from "../../engine/workflow/ports.ts";
import type { JsonObject } from "../../lib/json.ts";

export interface Given {
  readonly data?: JsonObject;
  readonly scope?: Partial<StepScope>;
  readonly sources?: Partial<StepSources>;
  readonly partials?: { readonly [key: string]: string | { readonly type: string; readonly content: string } };
  readonly layouts?: { readonly [key: string]: { readonly html: string; readonly text: string } };
  readonly translations?: { readonly [key: string]: string };
  readonly tracks?: boolean;
  readonly openPixel?: string;
}

export function renderingOf(given: Given = {}): StepRendering & { readonly asked: string[] } {
  const asked: string[] = [];
  const scope: StepScope = {
    data: given.data ?? {},
    recipient: { id: "ann", name: "Ann", email: "ann@example.com" },
    actor: { id: "bob", name: "Bob" },
    actors: [{ id: "bob", name: "Bob" }],
    activities: [],
    total_activities: 1,
    total_actors: 1,
    tenant: null,
    vars: { app_url: "https://app.example", branding: { primary_color: "#123456" } },
    workflow: { key: "wf", categories: ["a"] },
    run: {},
    refs: {},
    timestamp: "2024-01-01T00:30:00.000Z",
    ...given.scope,
  };
  const sources: StepSources = {
    locale: null,
    timezone: "Europe/Berlin",
    partial: async (key) => {
      asked.push(`partial ${key}`);
      const partial = given.partials?.[key];
      return partial === undefined ? null : typeof partial === "string" ? { type: "html", content: partial } : partial;
    },
    layout: async (key) => {
      const layout = given.layouts?.[key];
      return layout === undefined ? null : { ...layout, footerLinks: [{ text: "Help", url: "https://help.example/" }] };
    },
    translate: async (key, count) => {
      asked.push(`translate ${key}`);
      const plural = count === null ? "" : count === 0 ? ".zero" : count === 1 ? ".one" : ".other";
      return given.translations?.[key + plural] ?? null;
    },
    party: async ({ collection, id }) => {
      asked.push(`party ${collection}/${id}`);
      return id === "nobody" ? null : { id, collection, name: `${id} of ${collection}` };
    },
    subscriptions: async ({ id }, limit) => [{ object: { id: "doc" }, recipient: id, limit }],
    ...given.sources,
  };
  const trackLink = given.tracks === true ? (i: number): string => `https://track.example/${i}` : null;
  return { scope, sources, trackLink, openPixel: given.openPixel ?? null, asked };
}
