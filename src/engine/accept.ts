import type { Logger } from "pino";
import { newId, withPrefix } from "../lib/ids.ts";
import { TimeSlice } from "../lib/time-slice.ts";
import { TurnBatcher } from "../lib/turn-batcher.ts";
import type { Delivery, EnvironmentId, InboxItem, MessageId, Request, RequestId, SendSpec } from "./model.ts";
import { type PlanningDeps, planMessage, requestContext } from "./plan.ts";
import type {
  Acceptance,
  Accepted,
  Bus,
  InboxEvent,
  Planned,
  RecipientFacts,
  Store,
  StoredAnswer,
  TenantChange,
} from "./ports.ts";
import { isUnavailable, Refusal } from "./refusal.ts";
import type { Target } from "./target.ts";
import { targetOfUser } from "./target.ts";
import { TENANT } from "./templates.ts";
import { type PartyRef, partyKey } from "./workflow/model.ts";
import { partiesOf, type TriggerSurroundings } from "./workflow/plan-run.ts";
import type { PartyFacts } from "./workflow/ports.ts";
import type { RunPlanner } from "./workflow/run-planner.ts";

/** A request with at most so many recipients, all of them named, is expanded in the commit that accepts it. */
export const INLINE_RECIPIENTS = 100;
/**
 * A request that takes longer to plan is planned after its answer, too: 100 recipients of heavy content would keep
 * everyone who came in the same turn waiting for half a minute.
 */
const INLINE_PLANNING_MS = 200;
/** How long planning keeps sockets and other requests waiting at a stretch. */
const SLICE_MS = 50;

interface Call {
  readonly request: Request;
  readonly targets: readonly Target[];
  readonly idempotency: Acceptance["idempotency"];
  readonly tenants: readonly TenantChange[];
}

/** What is known of those whom the calls of a turn are about. An Error for whom the database cannot look up. */
interface TurnFacts {
  readonly users: ReadonlyMap<string, RecipientFacts | Error>;
  /** Of triggers. */
  readonly parties: ReadonlyMap<string, PartyFacts | Error>;
  readonly surroundings: Map<string, TriggerSurroundings>;
}

/** Takes requests in. Callers who come in one turn of the event loop share their reads and their commit. */
export class Acceptor {
  readonly #store: Store;
  readonly #deps: PlanningDeps;
  readonly #runs: RunPlanner;
  readonly #bus: Bus;
  readonly #log: Logger;
  readonly #batcher: TurnBatcher<Call, Accepted | Error>;

  constructor(
    store: Store,
    deps: PlanningDeps,
    runs: RunPlanner,
    bus: Bus,
    log: Logger,
    limits: { readonly maxBatch: number },
  ) {
    this.#store = store;
    this.#deps = deps;
    this.#runs = runs;
    this.#bus = bus;
    this.#log = log;
    this.#batcher = new TurnBatcher((calls) => this.#acceptAll(calls), limits.maxBatch);
  }

  /** See `Engine.send`. @param tenants are changed in the same commit, and seen so by what is planned in it. */
  async send(
    environmentId: EnvironmentId,
    spec: SendSpec,
    idempotency: { readonly scope: string; readonly key: string; readonly expiresAt: number } | null,
    answer: (requestId: RequestId) => StoredAnswer,
    tenants: readonly TenantChange[] = [],
  ): Promise<StoredAnswer> {
    const now = this.#deps.clock.now();
    const id = newId("req", now);
    const few =
      spec.recipients.length <= INLINE_RECIPIENTS && spec.recipients.every((recipient) => recipient.kind === "user");
    const request: Request = {
      id,
      environmentId,
      state: few ? "expanded" : "expanding",
      spec,
      cursor: null,
      archivedAt: null,
      createdAt: now,
    };
    const targets = few
      ? spec.recipients.map((recipient, entry) =>
          targetOfUser(entry, recipient as Extract<typeof recipient, { kind: "user" }>, request),
        )
      : [];
    const own = answer(id);
    const accepted = await this.#batcher.add({
      request,
      targets,
      idempotency: idempotency === null ? null : { ...idempotency, answer: own },
      tenants,
    });
    if (accepted instanceof Error) throw accepted;
    if (accepted.kind === "busy") throw new Refusal("busy", "a request with this idempotency key is still under way");
    return accepted.kind === "replayed" ? accepted.answer : own;
  }

  async #acceptAll(calls: readonly Call[]): Promise<readonly (Accepted | Error)[]> {
    const triggers = calls.filter(isTrigger);
    const sends = triggers.length === 0 ? calls : calls.filter((call) => !isTrigger(call));
    const facts: TurnFacts = {
      users: await readFacts(this.#store, sends),
      parties: await readParties(this.#runs, triggers),
      surroundings: new Map(),
    };
    const acceptances: (Acceptance | Error)[] = [];
    const slice = new TimeSlice(SLICE_MS);
    for (const call of calls) {
      acceptances.push(await this.#plan(call, facts));
      if (slice.over) await slice.rest();
    }

    const good = acceptances.filter((acceptance): acceptance is Acceptance => !(acceptance instanceof Error));
    const results = await untilAlone(good, (batch) => this.#store.pipeline.accept(batch));
    let i = 0;
    const answers = acceptances.map((acceptance) =>
      acceptance instanceof Error ? acceptance : (results[i++] as Accepted | Error),
    );
    this.#tell(acceptances.filter((a, n): a is Acceptance => !(a instanceof Error) && isAccepted(answers[n])));
    return answers;
  }

  /** A request that cannot be planned fails alone; those that came in the same turn go on. */
  async #plan(call: Call, facts: TurnFacts): Promise<Acceptance | Error> {
    const { request, targets, idempotency, tenants } = call;
    try {
      const planned: Planned[] = [];
      if (targets.length > 0) {
        const plan = isTrigger(call) ? await this.#planRuns(call, facts) : await this.#planMessages(call, facts);
        const slice = new TimeSlice(INLINE_PLANNING_MS);
        for (const target of targets) {
          if (planned.length > 0 && slice.over) {
            return { request: { ...request, state: "expanding" }, planned: [], idempotency, tenants };
          }
          const id: MessageId = targets.length === 1 ? withPrefix("msg", request.id) : newId("msg", request.createdAt);
          planned.push(await plan(target, id));
        }
      }
      return { request, planned, idempotency, tenants };
    } catch (error) {
      return error instanceof Error ? error : new Error("planning failed", { cause: error });
    }
  }

  async #planMessages({ request }: Call, { users }: TurnFacts): Promise<PlanOne> {
    const context = await requestContext(request, this.#deps);
    return (target, id) => {
      const known = target.userId === null ? null : (users.get(factsKey(request.environmentId, target.userId)) ?? null);
      if (known instanceof Error) throw known;
      return planMessage(context, target, known, id, null, this.#deps);
    };
  }

  async #planRuns({ request, targets, tenants }: Call, facts: TurnFacts): Promise<PlanOne> {
    const context = await this.#runs.contextInTurn(request, facts.surroundings, tenants);
    const parties = new Map<string, PartyFacts>();
    for (const party of partiesOf(request, targets)) {
      const known = facts.parties.get(`${request.environmentId} ${partyKey(party)}`);
      if (known instanceof Error) throw known;
      if (known !== undefined) parties.set(partyKey(party), known);
    }
    return (target, id) => this.#runs.plan(context, target, parties, id);
  }

  #tell(acceptances: readonly Acceptance[]): void {
    const planned = acceptances.flatMap((acceptance) => acceptance.planned);
    const changing = acceptances.filter(({ tenants = [] }) => tenants.length > 0);
    for (const environmentId of new Set(changing.map(({ request }) => request.environmentId))) {
      this.#bus.changed(environmentId, TENANT);
    }
    tellPlanned(this.#bus, planned);
    if (acceptances.some((acceptance) => acceptance.request.state === "expanding")) this.#bus.lookNow("requests");
    if (!this.#log.isLevelEnabled("info")) return;
    for (const { request, planned } of acceptances) {
      this.#log.info(
        {
          requestId: request.id,
          environmentId: request.environmentId,
          via: request.spec.via,
          state: request.state,
          messages: planned.length,
          messageId: planned.length === 1 ? planned[0]?.message.id : undefined,
        },
        "request.accepted",
      );
    }
  }
}

type PlanOne = (target: Target, id: MessageId) => Promise<Planned>;

function isTrigger({ request }: Call): boolean {
  return request.spec.content.kind === "workflow";
}

function isAccepted(answer: Accepted | Error | undefined): boolean {
  return answer !== undefined && !(answer instanceof Error) && answer.kind === "accepted";
}

/** After the commit of planned messages: tells of their deliveries, and of messages that wait to be planned. */
export function tellPlanned(bus: Bus, planned: readonly Planned[]): void {
  tellDeliveries(
    bus,
    planned.flatMap(({ deliveries }) => deliveries),
  );
  if (planned.some(({ message }) => message.state === "delayed")) bus.lookNow("messages");
  if (planned.some(({ run }) => run !== undefined)) bus.lookNow("runs");
}

/** After the commit: new inbox items are told to sockets, and the queue is looked at if it grew. */
export function tellDeliveries(bus: Bus, deliveries: readonly Delivery[]): void {
  const events: InboxEvent[] = [];
  let due = false;
  for (const delivery of deliveries) {
    if (delivery.state === "pending") due = true;
    else if (delivery.channel === "inbox" && delivery.state === "delivered" && delivery.userId !== null) {
      const item = delivery as InboxItem;
      events.push({ kind: "added", environmentId: delivery.environmentId, userId: delivery.userId, item });
    }
  }
  if (events.length > 0) bus.publish(events);
  if (due) bus.lookNow("deliveries");
}

function factsKey(environmentId: EnvironmentId, userId: string): string {
  return `${environmentId} ${userId}`;
}

/** What is known of every user in the batch: one read per environment. An Error for whom the database cannot look up. */
async function readFacts(store: Store, calls: readonly Call[]): Promise<ReadonlyMap<string, RecipientFacts | Error>> {
  const users = new Map<EnvironmentId, Set<string>>();
  for (const { request, targets } of calls) {
    for (const { userId } of targets) {
      if (userId === null) continue;
      const known = users.get(request.environmentId);
      if (known === undefined) users.set(request.environmentId, new Set([userId]));
      else known.add(userId);
    }
  }
  const facts = new Map<string, RecipientFacts | Error>();
  for (const [environmentId, ids] of users) {
    const asked = [...ids];
    const found = await untilAlone(asked, (batch) => store.directory.facts(environmentId, batch));
    asked.forEach((userId, i) => {
      facts.set(factsKey(environmentId, userId), found[i] as RecipientFacts | Error);
    });
  }
  return facts;
}

/** As `readFacts`, of everybody that triggers ask of. */
async function readParties(runs: RunPlanner, calls: readonly Call[]): Promise<ReadonlyMap<string, PartyFacts | Error>> {
  const facts = new Map<string, PartyFacts | Error>();
  if (calls.length === 0) return facts;
  const wanted = new Map<EnvironmentId, Map<string, PartyRef>>();
  for (const { request, targets } of calls) {
    const known = wanted.get(request.environmentId) ?? new Map<string, PartyRef>();
    wanted.set(request.environmentId, known);
    if (targets.length > 0) for (const party of partiesOf(request, targets)) known.set(partyKey(party), party);
  }
  for (const [environmentId, parties] of wanted) {
    const asked = [...parties.values()];
    const found = await untilAlone(asked, (batch) => runs.facts(environmentId, batch));
    asked.forEach((party, i) => {
      facts.set(`${environmentId} ${partyKey(party)}`, found[i] as PartyFacts | Error);
    });
  }
  return facts;
}

/**
 * Runs a batch that is done as a whole or not at all. When it fails, its halves are run, down to single items, so that
 * one which the database cannot take fails alone and not with all who came in the same turn; it costs the batch some
 * 2 log2(n) runs. While the database cannot be reached nobody is to blame: then all who are left fail at once.
 * @returns for each item its result, or why it failed. Never rejects: part of a batch may have been done.
 */
export async function untilAlone<T, R>(
  items: readonly T[],
  run: (batch: readonly T[]) => Promise<readonly R[]>,
): Promise<readonly (R | Error)[]> {
  if (items.length === 0) return [];
  try {
    return await run(items);
  } catch (error) {
    const failure = error instanceof Error ? error : new Error("a batch failed", { cause: error });
    if (items.length === 1 || isUnavailable(failure)) return items.map(() => failure);
    const middle = items.length >> 1;
    const first = await untilAlone(items.slice(0, middle), run);
    return [...first, ...(await untilAlone(items.slice(middle), run))];
  }
}

/**
 * As `untilAlone`, for looking up what nobody waits for: of whom the database cannot look up nothing is known.
 * Rejects while it is away.
 */
export async function lookUpAll<T, R>(
  items: readonly T[],
  run: (batch: readonly T[]) => Promise<readonly R[]>,
): Promise<readonly R[]> {
  const found = await untilAlone(items, run);
  const away = found.find(isUnavailable);
  if (away !== undefined) throw away;
  return found.filter((one): one is R => !(one instanceof Error));
}
