import type { Document, EnvironmentId } from "../../engine/model.ts";
import type { DocumentStore, Page } from "../../engine/ports.ts";
import { TENANT, type TenantBody } from "../../engine/templates.ts";
import type { AskedPage } from "./paging.ts";

const SCAN_LIMIT = 500;

/**
 * A page of tenants by id. Filters read through all tenants: there are few, and they are asked for by people.
 * @param filter the very id, or the very name.
 */
export async function tenantPage(
  documents: DocumentStore,
  environmentId: EnvironmentId,
  asked: AskedPage,
  filter: { readonly id?: string | undefined; readonly name?: string | undefined },
): Promise<Page<Document>> {
  const { id, name } = filter;
  if (id !== undefined) {
    const found = await documents.read(environmentId, TENANT, id);
    const isMeant = found !== null && matches(found, name) && asked.after === null && asked.before === null;
    return { items: isMeant ? [found] : [], next: null };
  }
  // Walked backwards, the list is read from its other end.
  const backwards = asked.before !== null;
  const items: Document[] = [];
  let after = backwards ? asked.before : asked.after;
  for (;;) {
    const limit = name === undefined ? asked.limit + 1 - items.length : SCAN_LIMIT;
    const page: Page<Document> = await documents.list(environmentId, TENANT, { after, limit, newestFirst: backwards });
    for (const document of page.items) if (matches(document, name)) items.push(document);
    if (items.length > asked.limit || page.next === null) break;
    after = page.next;
  }
  const kept = items.slice(0, asked.limit);
  const next = items.length > asked.limit ? (kept.at(-1)?.id ?? null) : null;
  return { items: backwards ? kept.reverse() : kept, next };
}

function matches({ body }: Document, name: string | undefined): boolean {
  return name === undefined || (body as unknown as TenantBody).name === name;
}
