/** The routes that all drafted resources have: list, show, write (and commit), validate. */
import type { FastifyInstance, FastifyRequest } from "fastify";
import type { Environment } from "../../../engine/model.ts";
import { isObject, type JsonObject } from "../../../lib/json.ts";
import { MANAGEMENT } from "../auth.ts";
import { invalid, missing } from "../errors.ts";
import type { Knock } from "../knock.ts";
import { queryOf } from "../query.ts";
import { checkText } from "../wire.ts";
import {
  type Authored,
  type Commit,
  loadAuthored,
  RESOURCES,
  type ResourceType,
  readAuthored,
  writeAuthored,
} from "./authored.ts";
import { documentPage, environmentIn, environmentToChange, pageIn, shownPage } from "./scope.ts";

export interface AuthoredSpec {
  readonly type: ResourceType;
  /** As in `/workflows`. */
  readonly path: string;
  /** Of the list in its cursors. */
  readonly mark: string;
  /** The document's id that a request is about; null where there can be none of that name. */
  idOf(request: FastifyRequest, key: string): string;
  /** Whether an entry is wanted in the list that a request asks for. */
  wanted?(request: FastifyRequest, id: string): boolean;
  /** @returns what is kept of what an author wrote. @throws KnockError 422 with all faults. */
  check(
    environment: Environment,
    id: string,
    source: unknown,
    request: FastifyRequest,
  ): Promise<JsonObject> | JsonObject;
  /** @param of null for what is only validated. */
  show(id: string, source: JsonObject, of: Authored | null, request: FastifyRequest): JsonObject;
  annotate(shown: JsonObject): JsonObject;
  /** Whether showing one gives it twice: wrapped as writing it does, for the SDK, and as it is, for the CLI. */
  readonly wrapped?: boolean;
}

interface Keyed {
  readonly key: string;
}

const MAX_MESSAGE = 1_000;

export function authoredRoutes(app: FastifyInstance, knock: Knock, spec: AuthoredSpec): void {
  const { type, path } = spec;
  const deps = { documents: knock.engine.documents, clock: knock.clock };

  const shown = (id: string, source: JsonObject, of: Authored | null, request: FastifyRequest): JsonObject => {
    const resource = spec.show(id, source, of, request);
    return queryOf(request).flag("annotate") === true ? spec.annotate(resource) : resource;
  };
  const keyIn = (request: FastifyRequest): string => checkText("key", (request.params as Keyed).key);

  app.get(path, MANAGEMENT, async (request) => {
    const environment = environmentIn(request);
    const asked = pageIn(request, spec.mark);
    const hides = queryOf(request).flag("hide_uncommitted_changes") === true;
    const page = await documentPage(deps.documents, environment, RESOURCES[type], asked, "ascending", (document) => {
      if (spec.wanted?.(request, document.id) === false) return false;
      return !hides || isCommitted(document.body);
    });
    const all = await loadAuthored(deps, environment.id, type, page.items);
    const entries = all.map((one) => shown(one.id, sourceOf(one, hides) ?? {}, one, request));
    return shownPage(asked, page, entries, ({ id }) => id);
  });

  app.get(`${path}/:key`, MANAGEMENT, async (request) => {
    const environment = environmentIn(request);
    const id = spec.idOf(request, keyIn(request));
    const found = await readAuthored(deps, environment.id, type, id);
    const source = found === null ? null : sourceOf(found, queryOf(request).flag("hide_uncommitted_changes") === true);
    if (found === null || source === null) throw missing(type, (request.params as Keyed).key);
    const resource = shown(id, source, found, request);
    return spec.wrapped === true ? { ...resource, [type]: resource } : resource;
  });

  app.put(`${path}/:key`, MANAGEMENT, async (request) => {
    const environment = environmentToChange(request);
    const id = spec.idOf(request, checkKey(keyIn(request)));
    const commit = commitIn(request);
    const source = await spec.check(environment, id, sourceIn(request.body, type), request);
    const written = await writeAuthored(deps, environment.id, type, id, source, commit);
    return { [type]: shown(id, source, written, request) };
  });

  app.put(`${path}/:key/validate`, MANAGEMENT, async (request) => {
    const environment = environmentIn(request);
    const id = spec.idOf(request, checkKey(keyIn(request)));
    const source = await spec.check(environment, id, sourceIn(request.body, type), request);
    return { [type]: shown(id, source, await readAuthored(deps, environment.id, type, id), request) };
  });
}

/** What authors see: the draft, unless it is hidden or there is none. Null before the first commit. */
function sourceOf({ draft, committed }: Authored, hides: boolean): JsonObject | null {
  return hides ? committed : (draft ?? committed);
}

function isCommitted(body: JsonObject): boolean {
  return isObject(body.committed) || typeof body.versionId === "string";
}

/** How a write is to be committed; null when it is not. */
export function commitIn(request: FastifyRequest): Commit | null {
  const query = queryOf(request);
  if (query.flag("commit") !== true) return null;
  return { message: messageIn(request), allowEmpty: query.flag("allow_empty") === true };
}

export function messageIn(request: FastifyRequest): string | null {
  const message = queryOf(request).text("commit_message") ?? null;
  if (message !== null && message.length > MAX_MESSAGE) {
    throw invalid("commit_message", `Expected at most ${MAX_MESSAGE} characters`, "too_long");
  }
  return message;
}

function sourceIn(body: unknown, type: ResourceType): unknown {
  const source = isObject(body) ? body[type] : undefined;
  if (!isObject(source)) throw invalid(type, "Expected an object", "required");
  return source;
}

/** The vendor asks for three characters; a shorter key does no harm. @throws KnockError 422. */
export function checkKey(key: string): string {
  if (/^[a-z0-9_-]{1,255}$/i.test(key)) return key;
  throw invalid("key", "Expected up to 255 letters, digits, _ and -");
}
