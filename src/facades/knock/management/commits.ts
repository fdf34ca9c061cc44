/** What was committed, and committing all that is drafted. */
import type { FastifyRequest } from "fastify";
import type { Document, Environment } from "../../../engine/model.ts";
import { untilWritten } from "../../../engine/webhooks/app-documents.ts";
import { isObject, type JsonObject } from "../../../lib/json.ts";
import { MANAGEMENT } from "../auth.ts";
import { missing, notImplemented } from "../errors.ts";
import { fromUuid } from "../ids.ts";
import type { Knock, Routes } from "../knock.ts";
import { queryOf } from "../query.ts";
import { commitTogether, loadAuthored, RESOURCE_TYPES, RESOURCES, type ResourceType } from "./authored.ts";
import { messageIn } from "./authored-routes.ts";
import { identifierOf, KNOCK_COMMIT, recordIn, showCommit } from "./commit-records.ts";
import { documentPage, environmentIn, environmentToChange, isCalled, pageIn, shownPage } from "./scope.ts";

/** Those of the vendor that this server has none of are known, too: nothing of them is ever committed. */
const TYPES = [...RESOURCE_TYPES, "audience", "broadcast"] as const;
const PAGE = 100;

export const commitRoutes: Routes = (app, knock) => {
  const { documents } = knock.engine;

  app.get("/commits", MANAGEMENT, async (request) => {
    const environment = environmentIn(request);
    const asked = pageIn(request, "mc");
    const wanted = filterIn(request);
    // What was committed here was never promoted from elsewhere.
    const none = queryOf(request).flag("promoted") === true;
    const page = none
      ? { items: [], next: null }
      : await documentPage(documents, environment, KNOCK_COMMIT, asked, "descending", (document) => {
          const { type, id } = recordIn(document);
          return wanted(type, id);
        });
    const shown = page.items.map((document) => showCommit(document, environment));
    return shownPage(asked, page, shown, ({ id }) => id);
  });

  app.put("/commits", MANAGEMENT, async (request) => {
    const environment = environmentToChange(request);
    const wanted = filterIn(request);
    const message = messageIn(request);
    // Of everything at once it would say nothing: only what is named is committed anew.
    const query = queryOf(request);
    const allowsEmpty = query.flag("allow_empty") === true && query.text("resource_id") !== undefined;
    await untilWritten("resources", async () => {
      const pending = await pendingIn(knock, environment, wanted, allowsEmpty);
      return (await commitTogether({ documents, clock: knock.clock }, environment.id, pending, message))
        ? true
        : "again";
    });
    return { result: "success" };
  });

  app.get<{ Params: { id: string } }>("/commits/:id", MANAGEMENT, async (request) => {
    const environment = environmentIn(request);
    return showCommit(await commitNamed(knock, environment, request.params.id), environment);
  });

  app.put("/commits/promote", MANAGEMENT, async (request) => {
    const environment = environmentIn(request, "to_environment");
    requireSelf(environment, queryOf(request).text("to_environment"));
    return { result: "success" };
  });

  app.put<{ Params: { id: string } }>("/commits/:id/promote", MANAGEMENT, async (request) => {
    await commitNamed(knock, environmentIn(request), request.params.id);
    throw notImplemented("Promoting to another environment");
  });
};

/** What is committed in an environment is in force there; to promote it to itself is to do nothing. */
function requireSelf(environment: Environment, slug: string | undefined): void {
  if (slug === undefined || !isCalled(environment, slug)) throw notImplemented("Promoting to another environment");
}

async function commitNamed(knock: Knock, environment: Environment, uuid: string): Promise<Document> {
  const id = fromUuid("cmt", uuid);
  const found = id === null ? null : await knock.engine.documents.read(environment.id, KNOCK_COMMIT, id);
  if (found === null) throw missing("Commit", uuid);
  return found;
}

function filterIn(request: FastifyRequest): (type: string, id: string) => boolean {
  const query = queryOf(request);
  const types = query.wordsOf("resource_type", TYPES);
  const identifier = query.text("resource_id");
  return (type, id) =>
    (types.length === 0 || types.some((one) => one === type)) &&
    (identifier === undefined || identifierOf({ type, id }) === identifier);
}

interface Pending {
  readonly type: ResourceType;
  readonly document: Document;
  readonly source: JsonObject;
}

/** All resources with changes that are not committed; with `allowsEmpty` also those without. */
async function pendingIn(
  knock: Knock,
  environment: Environment,
  wanted: (type: string, id: string) => boolean,
  allowsEmpty: boolean,
): Promise<readonly Pending[]> {
  const { documents } = knock.engine;
  const pending: Pending[] = [];
  for (const type of RESOURCE_TYPES) {
    let after: string | null = null;
    do {
      const page: { readonly items: readonly Document[]; readonly next: string | null } = await documents.list(
        environment.id,
        RESOURCES[type],
        { after, limit: PAGE },
      );
      const found = page.items.filter(({ id, body }) => wanted(type, id) && (allowsEmpty || isObject(body.draft)));
      const all = await loadAuthored({ documents, clock: knock.clock }, environment.id, type, found);
      for (const { draft, committed, document } of all) {
        const source = draft ?? committed;
        if (source !== null) pending.push({ type, document, source });
      }
      after = page.next;
    } while (after !== null);
  }
  return pending;
}
