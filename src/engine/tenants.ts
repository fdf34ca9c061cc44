/**
 * Changing tenants so that their hierarchy stays whole: a parent exists, and no chain of parents is a circle. A tenant is
 * one document among others, so a write names the versions it has seen, and one that loses a race is done again. What is
 * only said of a tenant changes under a lock, in the commit of what said it (`TenantChange`), and leaves its parent alone.
 * Whoever hangs a tenant below another also writes that other, unchanged: deleting it at that moment then loses.
 */
import type { Clock } from "../lib/clock.ts";
import { deepMerge, type JsonObject } from "../lib/json.ts";
import type { Document, EnvironmentId } from "./model.ts";
import type { DirectoryStore, DocumentStore, DocumentWrite, Page, TenantChange } from "./ports.ts";
import { Refusal } from "./refusal.ts";
import { TENANT, type TenantBody } from "./templates.ts";

interface TenantDeps {
  readonly documents: DocumentStore;
  readonly clock: Clock;
}

/** Of optimistic writes; each lost round means that another write to the same tenants succeeded. */
const MAX_ROUNDS = 20;
const SCAN_LIMIT = 500;
/** Children that lose their parent in the commit that deletes it; of more, most lose it before. */
const MAX_WRITES = 500;

/** What a tenant is before anyone said anything of it but its id. */
export const BLANK_TENANT: TenantBody = {
  name: "",
  parentId: null,
  brandId: null,
  properties: {},
  userProfile: {},
  extra: {},
};

/** Repeats an optimistic write until it goes through. @throws Refusal("busy") when it loses every race. */
export async function untilWritten<T>(attempt: () => Promise<T | null>): Promise<T> {
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const written = await attempt();
    if (written !== null) return written;
  }
  throw new Refusal("busy", "Others are changing the same tenants; try again", { retryAfterMs: 250 });
}

/** Those that would change anything: a tenant that is only named, and is there, need not be locked in a commit. */
export async function changesThatMatter(
  documents: Pick<DocumentStore, "readMany">,
  environmentId: EnvironmentId,
  changes: readonly TenantChange[],
): Promise<readonly TenantChange[]> {
  if (changes.length === 0) return changes;
  const found = await documents.readMany(
    environmentId,
    changes.map(({ id }) => keyOf(id)),
  );
  return changes.filter(({ change }, i) => change((found[i]?.body ?? null) as TenantBody | null) !== null);
}

/** Properties merged deeply into a tenant; name and settings have their own places in its document. */
export function tenantMerge(id: string, { name, settings, ...more }: JsonObject): TenantChange {
  return {
    id,
    change: (old) => {
      const body = old ?? BLANK_TENANT;
      return {
        ...body,
        name: typeof name === "string" ? name : body.name,
        properties: deepMerge(body.properties, more),
        extra: settings === undefined ? body.extra : deepMerge(body.extra, { settings }),
      };
    },
  };
}

/** Deletes tenants with their memberships. Those below them lose their parent. @returns for each whether it was there. */
export async function deleteTenants(
  deps: TenantDeps & { readonly directory: Pick<DirectoryStore, "deleteMembershipsOfTenant"> },
  environmentId: EnvironmentId,
  ids: readonly string[],
): Promise<readonly boolean[]> {
  const { documents, clock, directory } = deps;
  const doomed = new Set(ids);
  const there = await untilWritten(async () => {
    const found = (await documents.readMany(environmentId, [...doomed].map(keyOf))).filter((one) => one !== null);
    if (found.length === 0) return new Set<string>();
    const children = await childrenOf(documents, environmentId, doomed);
    if (children.length > MAX_WRITES) {
      for (let from = 0; from < children.length; from += MAX_WRITES) {
        const orphans = children.slice(from, from + MAX_WRITES).map(orphaned);
        await documents.write(environmentId, orphans, clock.now());
      }
      return null;
    }
    const writes = [
      ...children.map(orphaned),
      // A child that came after we had looked has raised the version of its parent.
      ...found.map(({ id, version }) => ({ ...keyOf(id), body: null, expect: version })),
    ];
    const written = await documents.write(environmentId, writes, clock.now());
    return written === null ? null : new Set(found.map(({ id }) => id));
  });
  for (const id of doomed) await directory.deleteMembershipsOfTenant(environmentId, id);
  return ids.map((id) => there.has(id));
}

/** Children of any of them that are none of them. Reads through all tenants: there are few, and they are rarely deleted. */
async function childrenOf(
  documents: DocumentStore,
  environmentId: EnvironmentId,
  parents: ReadonlySet<string>,
): Promise<readonly Document[]> {
  const children: Document[] = [];
  for (let after: string | null = null; ; ) {
    const page: Page<Document> = await documents.list(environmentId, TENANT, { after, limit: SCAN_LIMIT });
    for (const document of page.items) {
      const { parentId } = document.body as unknown as TenantBody;
      if (parentId !== null && parents.has(parentId) && !parents.has(document.id)) children.push(document);
    }
    if (page.next === null) return children;
    after = page.next;
  }
}

function orphaned({ id, body, version }: Document): DocumentWrite {
  return { ...keyOf(id), body: { ...body, parentId: null }, expect: version };
}

function keyOf(id: string): { readonly kind: string; readonly id: string } {
  return { kind: TENANT, id };
}
