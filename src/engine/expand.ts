import type { Millis } from "../lib/clock.ts";
import { newId } from "../lib/ids.ts";
import { TimeSlice } from "../lib/time-slice.ts";
import { lookUpAll, untilAlone } from "./accept.ts";
import { matchesPattern, patternPrefix } from "./list-pattern.ts";
import type { EnvironmentId, ExpandingCursor, Message, Recipient, Request } from "./model.ts";
import { type PlanningDeps, planUnattended, type RequestContext, requestContext } from "./plan.ts";
import type { Planned, Store } from "./ports.ts";
import { isUnavailable } from "./refusal.ts";
import { refusedMessages } from "./refused.ts";
import type { Target } from "./target.ts";
import { targetOfUser } from "./target.ts";
import { TENANT } from "./templates.ts";
import type { RunPlanner } from "./workflow/run-planner.ts";

/** Recipients looked at per commit: enough to make the commit cheap, few enough to hold in memory. */
export const PAGE_SIZE = 1000;
/**
 * A page that takes longer to plan is cut short, and the next one goes on from there. It has to be committed under the
 * lease: 1,000 recipients of heavy content take minutes, and pages lost at their end would be begun again for ever.
 */
const PAGE_MS = 200;
const MAX_LISTS = 100_000;
const TENANT_PAGE = 1000;

/** Requests in the middle of expanding keep what their pages share, so that it is looked up once. */
export class Expander {
  readonly #store: Store;
  readonly #deps: PlanningDeps;
  readonly #runs: RunPlanner;

  constructor(store: Store, deps: PlanningDeps, runs: RunPlanner) {
    this.#store = store;
    this.#deps = deps;
    this.#runs = runs;
  }

  /**
   * Expands a claimed request to its end, page by page; each page is one commit with the cursor behind it. Stops early
   * when the request is lost to another process, and gives it back when stopping.
   * @param held the lease the request was claimed under. @param nextLease gives the lease for the following page.
   * @param told is called after each commit.
   */
  async expand(
    request: Request,
    held: Millis,
    nextLease: () => Millis,
    told: (planned: readonly Planned[]) => void,
    stopping: () => boolean,
  ): Promise<"expanded" | "lost" | "stopped"> {
    const planPage = await this.#pagePlanner(request);
    const sources = new RecipientPages(this.#store, this.#runs, request);
    const standing = new Standing(this.#store.pipeline, request, held, nextLease);
    while (!standing.isLost) {
      if (stopping()) {
        await standing.giveBack(this.#deps.clock.now());
        return "stopped";
      }
      const page = await sources.read(parseCursor(standing.cursor));
      const planned = await planPage(page.targets);
      await this.#commitPage(standing, planned, told, (count) =>
        count < page.targets.length ? cursorAfter(page.targets[count - 1] as Target, request) : page.next,
      );
      if (standing.isExpanded) return "expanded";
    }
    return "lost";
  }

  /**
   * A page is one commit. Where the database refuses that its halves are, down to single recipients, so that one whom it
   * cannot take is not the others' loss.
   * @param behind where expanding goes on behind so many of them.
   */
  async #commitPage(
    standing: Standing,
    planned: readonly Planned[],
    told: (planned: readonly Planned[]) => void,
    behind: (count: number) => ExpandingCursor | null,
  ): Promise<void> {
    if (planned.length === 0) return void (await standing.moveTo(behind(0), []));
    let done = 0;
    const move = async (written: readonly Planned[], count: number): Promise<void> => {
      if (!(await standing.moveTo(behind(done + count), written))) return;
      done += count;
      told(written);
    };
    const results = await untilAlone(planned, async (some) => {
      if (standing.isLost) return some;
      try {
        await move(some, some.length);
      } catch (error) {
        const [{ message }] = some as [Planned];
        if (some.length > 1 || isUnavailable(error)) throw error;
        this.#deps.report(error, message.id);
        await this.#refuse(message, error, (instead) => move(instead, 1));
      }
      return some;
    });
    const failure = results.find((result) => result instanceof Error);
    if (failure !== undefined) throw failure;
  }

  /** Writes what the database takes in place of a message; if nothing else, that there is none. */
  async #refuse(
    message: Message,
    cause: unknown,
    write: (instead: readonly Planned[]) => Promise<void>,
  ): Promise<void> {
    for (const instead of refusedMessages(message, cause, this.#deps.clock.now())) {
      try {
        return await write([{ message: instead, deliveries: [] }]);
      } catch (error) {
        if (isUnavailable(error)) throw error;
      }
    }
    await write([]);
  }

  /** What the pages of a request share is looked up once. */
  async #pagePlanner(request: Request): Promise<(targets: readonly Target[]) => Promise<readonly Planned[]>> {
    if (request.spec.content.kind === "workflow") {
      const context = await this.#runs.context(request);
      return (targets) => this.#runs.planPage(context, targets, PAGE_MS);
    }
    const context = await requestContext(request, this.#deps);
    return (targets) => this.#planPage(context, targets);
  }

  /** @returns what was planned, in the order of the targets; fewer than these when it takes too long. At least one. */
  async #planPage(context: RequestContext, targets: readonly Target[]): Promise<readonly Planned[]> {
    const { environmentId } = context.request;
    const users = new Set(targets.flatMap((target) => (target.userId === null ? [] : [target.userId])));
    const known = await lookUpAll([...users], (some) => this.#store.directory.facts(environmentId, some));
    const facts = new Map(known.map((each) => [each.userId, each]));
    const planned: Planned[] = [];
    const slice = new TimeSlice(PAGE_MS);
    for (const target of targets) {
      if (slice.over && planned.length > 0) {
        await slice.rest();
        break;
      }
      const ofUser = target.userId === null ? null : (facts.get(target.userId) ?? null);
      const id = newId("msg", this.#deps.clock.now());
      planned.push(await planUnattended(context, target, ofUser, id, null, this.#deps));
    }
    return planned;
  }
}

/** How far a request is expanded, and the lease it is expanded under. Each move is a commit. */
class Standing {
  readonly #pipeline: Pick<Store["pipeline"], "commitPage">;
  readonly #nextLease: () => Millis;
  #request: Request;
  #lease: Millis;
  #end: "expanded" | "lost" | null = null;

  constructor(
    pipeline: Pick<Store["pipeline"], "commitPage">,
    request: Request,
    lease: Millis,
    nextLease: () => Millis,
  ) {
    this.#pipeline = pipeline;
    this.#request = request;
    this.#lease = lease;
    this.#nextLease = nextLease;
  }

  get cursor(): string | null {
    return this.#request.cursor;
  }

  get isExpanded(): boolean {
    return this.#end === "expanded";
  }

  /** Another process has claimed it. */
  get isLost(): boolean {
    return this.#end === "lost";
  }

  /** @param to null at the end. @returns whether it was written; false when the request is lost. */
  async moveTo(to: ExpandingCursor | null, planned: readonly Planned[]): Promise<boolean> {
    const cursor = to === null ? null : JSON.stringify(to);
    const next = this.#nextLease();
    const written = await this.#pipeline.commitPage(this.#request, { held: this.#lease, next }, cursor, planned);
    this.#request = { ...this.#request, cursor };
    this.#lease = next;
    if (!written || cursor === null) this.#end = written ? "expanded" : "lost";
    return written;
  }

  /** Whoever goes on need not wait for the lease to lapse: an empty page is committed under one that is over. */
  async giveBack(now: Millis): Promise<void> {
    const cursor = this.cursor ?? JSON.stringify(parseCursor(null));
    await this.#pipeline.commitPage(this.#request, { held: this.#lease, next: now }, cursor, []);
  }
}

function parseCursor(text: string | null): ExpandingCursor {
  return text === null ? { entry: 0, after: null } : (JSON.parse(text) as ExpandingCursor);
}

/** Where to go on after a target in the middle of a page. Members of a group come in the order of their ids. */
function cursorAfter(target: Target, request: Request): ExpandingCursor {
  if (target.after !== undefined) return { entry: target.entry, after: target.after };
  return request.spec.recipients[target.entry]?.kind === "user"
    ? { entry: target.entry + 1, after: null }
    : { entry: target.entry, after: target.userId };
}

/** Reads the recipients of a request in pages, whatever they are named by. */
class RecipientPages {
  readonly #store: Store;
  readonly #runs: RunPlanner;
  readonly #request: Request;
  /** Lists or tenants an entry stands for, found once per entry. */
  #group: { readonly entry: number; readonly ids: readonly string[] } | null = null;

  constructor(store: Store, runs: RunPlanner, request: Request) {
    this.#store = store;
    this.#runs = runs;
    this.#request = request;
  }

  /** A page may be empty although more follow: members that a filter drops leave no target behind. */
  async read(
    cursor: ExpandingCursor,
  ): Promise<{ readonly targets: readonly Target[]; readonly next: ExpandingCursor | null }> {
    const { recipients } = this.#request.spec;
    const recipient = recipients[cursor.entry];
    if (recipient === undefined) return { targets: [], next: null };
    if (recipient.kind === "user") return this.#users(cursor.entry);
    const { targets, after } = await this.#members(recipient, cursor);
    if (after !== null) return { targets, next: { entry: cursor.entry, after } };
    const entry = cursor.entry + 1;
    return { targets, next: entry < recipients.length ? { entry, after: null } : null };
  }

  /** Users named one by one, as many in a row as fit a page. */
  #users(from: number): { targets: readonly Target[]; next: ExpandingCursor | null } {
    const { recipients } = this.#request.spec;
    const targets: Target[] = [];
    let entry = from;
    for (; entry < recipients.length && targets.length < PAGE_SIZE; entry++) {
      const recipient = recipients[entry] as Recipient;
      if (recipient.kind !== "user") break;
      targets.push(targetOfUser(entry, recipient, this.#request));
    }
    return { targets, next: entry < recipients.length ? { entry, after: null } : null };
  }

  async #members(
    recipient: Exclude<Recipient, { kind: "user" }>,
    cursor: ExpandingCursor,
  ): Promise<{ targets: readonly Target[]; after: string | null }> {
    const { environmentId, spec } = this.#request;
    const directory = this.#store.directory;
    if (recipient.kind === "object") {
      const found = await this.#runs.subscribers(this.#request, cursor.entry, cursor.after, PAGE_SIZE);
      return { targets: found.targets, after: found.next };
    }
    const page = { after: cursor.after, limit: PAGE_SIZE };
    const base = {
      entry: cursor.entry,
      profile: {},
      data: recipient.data,
      preferences: null,
      listId: null,
      viaTenant: false,
      subscriptionPreferences: null,
      tenantId: spec.tenantId ?? null,
    };
    if (recipient.kind === "devices") {
      const users = await this.#store.devices.users(environmentId, page);
      const languages = await this.#store.devices.languages(environmentId, users.items);
      const targets = users.items.map((userId) => {
        const locale = languages.get(userId);
        return { ...base, userId, profile: locale === undefined ? {} : { locale } };
      });
      return { targets, after: users.next };
    }
    if (recipient.kind === "tenant") {
      const tenants = await this.#ids(cursor.entry, () => tenantFamily(this.#store, environmentId, recipient));
      const members = await directory.membersOfAny(environmentId, tenants, page);
      const targets = members.items.map(({ userId }) => ({
        ...base,
        userId,
        tenantId: recipient.tenantId,
        viaTenant: true,
      }));
      return { targets, after: members.next };
    }
    const lists =
      recipient.kind === "list"
        ? [recipient.listId]
        : await this.#ids(cursor.entry, () => matchingLists(this.#store, environmentId, recipient.pattern));
    const subscribers =
      recipient.kind === "list"
        ? await directory.subscribers(environmentId, recipient.listId, page)
        : await directory.subscribersOfAny(environmentId, lists, page);
    let items = subscribers.items;
    if (recipient.kind === "list" && recipient.memberOf !== undefined && recipient.memberOf.length > 0) {
      const userIds = items.map(({ userId }) => userId);
      const members = await directory.filterMembers(environmentId, userIds, recipient.memberOf);
      items = items.filter(({ userId }) => members.has(userId));
    }
    const targets = items.map(({ userId, listId, preferences }) => ({
      ...base,
      userId,
      listId,
      subscriptionPreferences: preferences,
    }));
    return { targets, after: subscribers.next };
  }

  async #ids(entry: number, find: () => Promise<readonly string[]>): Promise<readonly string[]> {
    if (this.#group?.entry !== entry) this.#group = { entry, ids: await find() };
    return this.#group.ids;
  }
}

async function matchingLists(store: Store, environmentId: EnvironmentId, pattern: string): Promise<readonly string[]> {
  const ids: string[] = [];
  let after: string | null = null;
  do {
    const page: Awaited<ReturnType<Store["directory"]["lists"]>> = await store.directory.lists(
      environmentId,
      patternPrefix(pattern),
      (id) => matchesPattern(pattern, id),
      { after, limit: 1000 },
    );
    ids.push(...page.items.map((list) => list.id));
    after = page.next;
  } while (after !== null && ids.length < MAX_LISTS);
  return ids;
}

/** The tenant, and on demand all its descendants. A tenant that does not exist has no members. */
async function tenantFamily(
  store: Store,
  environmentId: EnvironmentId,
  recipient: { readonly tenantId: string; readonly includeChildren: boolean },
): Promise<readonly string[]> {
  if (!recipient.includeChildren) return [recipient.tenantId];
  const children = new Map<string, string[]>();
  let after: string | null = null;
  do {
    const page: Awaited<ReturnType<Store["documents"]["list"]>> = await store.documents.list(environmentId, TENANT, {
      after,
      limit: TENANT_PAGE,
    });
    for (const { id, body } of page.items) {
      const parent = body.parentId;
      if (typeof parent !== "string") continue;
      const siblings = children.get(parent);
      if (siblings === undefined) children.set(parent, [id]);
      else siblings.push(id);
    }
    after = page.next;
  } while (after !== null);
  const family = new Set([recipient.tenantId]);
  for (const id of family) for (const child of children.get(id) ?? []) family.add(child);
  return [...family];
}
