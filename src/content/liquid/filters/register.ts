import type { Liquid } from "liquidjs";
import type { TemplateContext } from "../context.ts";
import { rangeTo } from "../ranges.ts";
import type { Texts } from "../tags.ts";
import { Markup, plain } from "../values.ts";
import { CODE_FILTERS } from "./codes.ts";
import { DATE_FILTERS } from "./dates.ts";
import type { Filter, Filters } from "./filter.ts";
import { HTML_FILTERS } from "./html.ts";
import { LIST_FILTERS } from "./lists.ts";
import { PARTY_FILTERS, translateFilter } from "./lookups.ts";
import { NUMBER_FILTERS } from "./numbers.ts";
import { TEXT_FILTERS } from "./texts.ts";

const ALL: Filters = {
  ...TEXT_FILTERS,
  ...LIST_FILTERS,
  ...NUMBER_FILTERS,
  ...DATE_FILTERS,
  ...CODE_FILTERS,
  ...HTML_FILTERS,
  ...PARTY_FILTERS,
};
/** They hand on what they get, so markup stays markup. */
const KEEPS_MARKUP = new Set(["default", "raw"]);

/** Replaces the library's filters by ours, so that nothing runs that does not pay. */
export function registerFilters(liquid: Liquid, texts: Texts): void {
  for (const name of Object.keys(liquid.filters)) liquid.unregisterFilter(name);
  const all: Filters = { ...ALL, t: translateFilter(texts), range_to: rangeTo };
  for (const [name, filter] of Object.entries(all)) liquid.registerFilter(name, adapted(name, filter));
}

function adapted(name: string, filter: Filter) {
  const keepsMarkup = KEEPS_MARKUP.has(name);
  return function (
    this: { readonly context: unknown; readonly token: { readonly args: readonly unknown[] } },
    value: unknown,
    ...given: readonly unknown[]
  ): unknown {
    // The library hands on the context we rendered with.
    const context = this.context as TemplateContext;
    context.budget.step();
    const args: unknown[] = [];
    const named: Record<string, unknown> = Object.create(null);
    given.forEach((arg, i) => {
      // The value of an argument may be a list, too; only the token tells which have names.
      if (Array.isArray(this.token.args[i])) {
        const [key, inner] = arg as [string, unknown];
        named[key] = plain(inner);
      } else args.push(plain(arg));
    });
    const bare = keepsMarkup && value instanceof Markup ? value : plain(value);
    return filter(bare, args, { context, budget: context.budget, named });
  };
}
