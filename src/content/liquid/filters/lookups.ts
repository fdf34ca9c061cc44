/** Filters that look something up: parties, and texts in the recipient's language. */
import { RenderError } from "../../../engine/ports.ts";
import { TENANTS, USERS } from "../../../engine/workflow/model.ts";
import { asWritten, lookUp, type Session } from "../context.ts";
import type { Steps } from "../drive.ts";
import type { Texts } from "../tags.ts";
import { numberOf, propertyOf, textOf } from "../values.ts";
import type { Call, Filter, Filters } from "./filter.ts";

const MAX_SUBSCRIPTIONS = 25;
/** The id itself, or that of a party that was handed in whole. */
function idOf(value: unknown, { budget }: Call): string {
  const id = typeof value === "object" ? propertyOf(value, "id") : value;
  return textOf(id, budget);
}

function partyIn(collection: string): Filter {
  return function* (value, _args, call): Steps<unknown> {
    const id = idOf(value, call);
    if (id === "") return null;
    const key = JSON.stringify(["party", collection, id]);
    return yield* lookUp(call.context.session, key, (sources) => sources.party({ collection, id }));
  };
}

export const PARTY_FILTERS: Filters = {
  user: partyIn(USERS),
  tenant: partyIn(TENANTS),
  object: (value, [collection], call) => {
    const name = textOf(collection ?? propertyOf(value, "collection"), call.budget);
    if (name === "") throw new RenderError("object: which collection it is in has to be said");
    return partyIn(name)(value, [], call);
  },
  subscriptions: function* (value, [collection], call): Steps<unknown> {
    const id = idOf(value, call);
    if (id === "") return [];
    const ref = { collection: textOf(collection ?? propertyOf(value, "collection"), call.budget) || USERS, id };
    const key = JSON.stringify(["subscriptions", ref.collection, id]);
    return yield* lookUp(call.context.session, key, (sources) => sources.subscriptions(ref, MAX_SUBSCRIPTIONS));
  },
};

/** The text for a key in the recipient's language. @param count picks a plural form. */
export function translation(session: Session, key: string, count: number | null): Steps<string | null> {
  return lookUp(session, JSON.stringify(["translation", key, count]), (sources) => sources.translate(key, count));
}

/** A key that no locale has stands for itself, so that somebody sees what is missing. */
export function translateFilter(texts: Texts): Filter {
  return function* (value, _args, call): Steps<unknown> {
    const key = textOf(value, call.budget);
    const { count } = call.named;
    const number = count === undefined || count === null ? null : numberOf(count);
    const found = yield* translation(call.context.session, key, number);
    if (found === null) return key;
    const inner = call.context.inner(call.named, { shares: true });
    return asWritten(yield* texts.print(texts.compile(found), inner), inner);
  };
}
