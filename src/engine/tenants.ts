/**
 * Changing tenants so that their hierarchy stays whole: a parent exists, and no chain of parents is a circle. A tenant is
 * one document among others, so every write names the versions it has seen, and one that loses a race is done again.
 * Whoever hangs a tenant below another also writes that other, unchanged: deleting it at that moment then loses.
 */
import type { Clock } from "../lib/clock.ts";
import type { JsonObject } from "../lib/json.ts";
import type { Document, EnvironmentId } from "./model.ts";
import type { DirectoryStore, DocumentStore, DocumentWrite, Page } from "./ports.ts";
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

/**
 * Makes or changes tenants, all in one commit.
 * @param change gets null for one that is not there; what it returns has the same parent. May be called several times.
 *   Null leaves the tenant as it is.
 * @returns each as it is afterwards, in order; null for one that is not there and was not made.
 */
export async function writeTenants(
  { documents, clock }: TenantDeps,
  environmentId: EnvironmentId,
  ids: readonly string[],
  change: (id: string, old: TenantBody | null) => TenantBody | null,
): Promise<readonly (Document | null)[]> {
  const distinct = [...new Set(ids)];
  const written = await untilWritten(async () => {
    const old = await documents.readMany(environmentId, distinct.map(keyOf));
    const now = clock.now();
    const writes: DocumentWrite[] = [];
    const made = old.map((document, i): Document | null => {
      const id = distinct[i] as string;
      const body = change(id, document === null ? null : (document.body as unknown as TenantBody));
      if (body === null) return document;
      const plain = body as unknown as JsonObject;
      writes.push({ kind: TENANT, id, body: plain, expect: document?.version ?? "absent" });
      return { kind: TENANT, id, body: plain, version: 0, createdAt: document?.createdAt ?? now, updatedAt: now };
    });
    if (writes.length > 0 && (await documents.write(environmentId, writes, now)) === null) return null;
    return new Map(distinct.map((id, i) => [id, made[i] ?? null]));
  });
  return ids.map((id) => written.get(id) ?? null);
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
