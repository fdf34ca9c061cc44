/** Lists of applications that leave some out for the endpoints they have, or have not. */
import type { EnvironmentId } from "../../engine/model.ts";
import type { Application } from "../../engine/webhooks/model.ts";
import type { Walk } from "../../engine/webhooks/ports.ts";
import { ksuid } from "./ids.ts";
import type { ListResponse } from "./paging.ts";
import type { Svix } from "./svix.ts";
import type { Fields } from "./wire.ts";

/** Applications looked at for one page. What is beyond is the business of the next page. */
const MOST_LOOKED_AT = 1_000;
const AT_ONCE = 25;
const ENDPOINTS_AT_ONCE = 100;
/** Where the vendor's own trial receivers are. */
const PLAY_HOST = "play.svix.com";

export interface Restriction {
  readonly noneWithoutEndpoints: boolean;
  readonly noneWithOnlyDisabled: boolean;
  readonly noneWithOnlyPlay: boolean;
}

export function readRestriction(f: Fields): Restriction {
  return {
    noneWithoutEndpoints: f.bool("exclude_apps_with_no_endpoints"),
    noneWithOnlyDisabled: f.bool("exclude_apps_with_disabled_endpoints"),
    noneWithOnlyPlay: f.bool("exclude_apps_with_svix_play_endpoints"),
  };
}

export function isRestricted(restriction: Restriction): boolean {
  return Object.values(restriction).some((asked) => asked);
}

/**
 * One page. It may be short, and even empty, without being the last one, when many applications in a row are left out:
 * its iterator then is the last application that was looked at.
 */
export async function filteredApplications<V>(
  svix: Pick<Svix, "webhooks">,
  environmentId: EnvironmentId,
  walk: Walk,
  restriction: Restriction,
  show: (application: Application) => V,
): Promise<ListResponse<V>> {
  const back = walk.from?.back ?? false;
  const kept: Application[] = [];
  let { from } = walk;
  let looked = 0;
  let more = true;
  // One more than asked for tells whether there is more.
  while (more && kept.length <= walk.limit && looked < MOST_LOOKED_AT) {
    const page = await svix.webhooks.applications.list(environmentId, { ...walk, from, limit: AT_ONCE });
    const verdicts = await Promise.all(page.items.map((application) => isKept(svix, application, restriction)));
    const passing = page.items.filter((_application, i) => verdicts[i]);
    const edge = back ? page.items[0] : page.items.at(-1);
    kept.push(...(back ? passing.reverse() : passing));
    looked += page.items.length;
    more = page.more && edge !== undefined;
    if (edge !== undefined) from = { key: edge.id, back };
  }
  const beyond = kept.length > walk.limit;
  if (beyond) kept.length = walk.limit;
  // Where the next page goes on, in the direction of the walk.
  const last = kept.at(-1)?.id ?? null;
  const onward = more && !beyond ? (from?.key ?? null) : last;
  const start = kept[0]?.id ?? null;
  const [low, high] = back ? [onward, start] : [start, onward];
  return {
    data: (back ? kept.reverse() : kept).map(show),
    iterator: high === null ? null : ksuid("app", high),
    prevIterator: low === null ? null : `-${ksuid("app", low)}`,
    done: !more && !beyond,
  };
}

async function isKept(svix: Pick<Svix, "webhooks">, application: Application, asked: Restriction): Promise<boolean> {
  let any = false;
  let anyEnabled = !asked.noneWithOnlyDisabled;
  let anyElsewhere = !asked.noneWithOnlyPlay;
  let from: Walk["from"] = null;
  for (;;) {
    const walk: Walk = { limit: ENDPOINTS_AT_ONCE, from, order: "descending" };
    const { items, more } = await svix.webhooks.endpoints.list(application.environmentId, application.id, walk);
    for (const { disabled, url } of items) {
      any = true;
      anyEnabled ||= !disabled;
      anyElsewhere ||= URL.parse(url)?.hostname !== PLAY_HOST;
    }
    if (any && anyEnabled && anyElsewhere) return true;
    const last = items.at(-1);
    if (!more || last === undefined) break;
    from = { key: last.id, back: false };
  }
  // One without endpoints has none that are disabled either.
  return any ? false : !asked.noneWithoutEndpoints;
}
