/**
 * What a user token allows beside naming its user:
 *
 *   { "https://…/v1/users/u1": { "user/feed_read": [] }, "https://…/v1/tenants/acme": { "feed/read": [{}] } }
 *
 * Of an entity's address only the path counts, because the vendor's helper writes the vendor's own host. Without
 * `explicit_grants` the user's own endpoints are open, and grants add objects and tenants; with it, only what is listed
 * is. As soon as a tenant has a capability for feeds, feeds are limited to such tenants; the same holds for preferences.
 */
import { type PartyRef, partyKey, TENANTS } from "../../engine/workflow/model.ts";
import { isObject, type JsonObject } from "../../lib/json.ts";

export const CAPABILITIES = [
  "user/read",
  "user/write",
  "user/feed_read",
  "user/feed_write",
  "user/guide_read",
  "user/guide_write",
  "preferences/read",
  "preferences/write",
  "channel_data/read",
  "channel_data/write",
  "slack/channels_read",
  "ms_teams/channels_read",
] as const;
export type Capability = (typeof CAPABILITIES)[number];

/** Feeds' capabilities are spelled in three ways. */
const SPELLINGS: ReadonlyMap<string, Capability> = new Map<string, Capability>([
  ...CAPABILITIES.map((one): [string, Capability] => [one, one]),
  ["user_feed/read", "user/feed_read"],
  ["feed/read", "user/feed_read"],
  ["user_feed/write", "user/feed_write"],
  ["feed/write", "user/feed_write"],
]);

/** Capabilities that tenants divide. */
const FAMILIES: readonly (readonly Capability[])[] = [
  ["user/feed_read", "user/feed_write"],
  ["preferences/read", "preferences/write"],
];

export interface Grants {
  /** Only what is listed. */
  readonly explicit: boolean;
  /** Of the user itself. */
  readonly own: ReadonlySet<Capability>;
  readonly tenants: ReadonlyMap<string, ReadonlySet<Capability>>;
  /** By party key; tenants are not among them. */
  readonly objects: ReadonlyMap<string, ReadonlySet<Capability>>;
}

const NONE: ReadonlySet<Capability> = new Set();
/** Of a token, and of an entity in it. */
const MAX_ENTITIES = 1_000;

/** @param userId the token's user; grants on others count for nothing. @returns null for what is no set of grants. */
export function readGrants(claims: JsonObject, userId: string): Grants | null {
  const tenants = new Map<string, Set<Capability>>();
  const objects = new Map<string, Set<Capability>>();
  const own = new Set<Capability>();
  const { grants, explicit_grants } = claims;
  if (grants !== undefined && grants !== null) {
    if (!isObject(grants)) return null;
    const entries = Object.entries(grants);
    if (entries.length > MAX_ENTITIES) return null;
    for (const [address, allowed] of entries) {
      if (!isObject(allowed)) return null;
      const entity = entityAt(address, userId);
      if (entity === null) continue;
      const set =
        entity === "own"
          ? own
          : entity.collection === TENANTS
            ? setAt(tenants, entity.id)
            : setAt(objects, partyKey(entity));
      for (const [name, exceptions] of Object.entries(allowed)) {
        const capability = SPELLINGS.get(name);
        // `[]` and `[{}]` both say that it is granted; exceptions are not looked at.
        if (capability !== undefined && exceptions !== false && exceptions !== null) set.add(capability);
      }
    }
  }
  return { explicit: explicit_grants === true, own, tenants, objects };
}

function setAt(map: Map<string, Set<Capability>>, key: string): Set<Capability> {
  const set = map.get(key) ?? new Set();
  map.set(key, set);
  return set;
}

function entityAt(address: string, userId: string): "own" | PartyRef | null {
  const path = address.replace(/^[a-z][a-z0-9+.-]*:\/\/[^/]*/i, "");
  const match = /^\/v1\/(?:users\/(.+)|tenants\/(.+)|objects\/([^/]+)\/(.+))$/.exec(path);
  if (match === null) return null;
  const [, user, tenant, collection, id] = match;
  // The helper puts ids into addresses as they are; people may have encoded them.
  if (user !== undefined) return user === userId || user === encodeURIComponent(userId) ? "own" : null;
  if (tenant !== undefined) return { collection: TENANTS, id: tenant };
  return { collection: collection as string, id: id as string };
}

/**
 * Whether the token's user may do this with what is its own.
 * @param tenantId the tenant it is asked for, null for none. Undefined where tenants play no part, or are not known yet:
 *   then one way of being allowed is enough.
 */
export function allowsOwn(grants: Grants, capability: Capability, tenantId: string | null | undefined): boolean {
  const limits = tenantsWith(grants, capability);
  const own = grants.own.has(capability);
  if (limits === null) return !grants.explicit || own;
  if (tenantId === undefined) return own || limits.length > 0;
  return tenantId === null ? own : limits.includes(tenantId);
}

/**
 * The tenants that feeds or preferences are limited to; null when they are not.
 *
 * A tenant that has any capability of the family divides it for all: a token that lets read the feed of one tenant must
 * not let write in another. Unless grants are explicit, reading a tenant then includes writing in it: the user's own
 * endpoints are open, and marking as read is one of them.
 */
export function tenantsWith(grants: Grants, capability: Capability): readonly string[] | null {
  const family = FAMILIES.find((one) => one.includes(capability));
  if (family === undefined) return null;
  const divided = [...grants.tenants].filter(([, set]) => family.some((one) => set.has(one)));
  if (divided.length === 0) return null;
  return divided.filter(([, set]) => !grants.explicit || set.has(capability)).map(([id]) => id);
}

/** Whether the token grants this on an object or a tenant; without a grant there is no access to either. */
export function allowsObject(grants: Grants, party: PartyRef, capability: Capability): boolean {
  const set = party.collection === TENANTS ? grants.tenants.get(party.id) : grants.objects.get(partyKey(party));
  return (set ?? NONE).has(capability);
}
