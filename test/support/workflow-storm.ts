/**
 * Storms: many short stories of triggers and cancellations at once, over workflows that batch and throttle, or come but once, worked on by
 * two processes that crash and stall. What must be true afterwards is in workflow-laws.ts.
 */
import type { Store } from "../../src/engine/ports.ts";
import { Refusal } from "../../src/engine/refusal.ts";
import {
  type BatchStep,
  type PartyRef,
  partyKey,
  type Step,
  type ThrottleStep,
  USERS,
  type Workflow,
} from "../../src/engine/workflow/model.ts";
import type { RunStore } from "../../src/engine/workflow/ports.ts";
import type { FakeClock } from "../../src/lib/clock.ts";
import type { JsonObject } from "../../src/lib/json.ts";
import type { Dialect } from "../../src/storage/database.ts";
import { dice } from "./dice.ts";
import { inApp, startWorkflowEngine, type WorkflowEngine } from "./workflow-engine.ts";

/** A trigger of a story, and what became of the attempt to cancel it. */
export interface Ask {
  /** In the data of the trigger, so that it is found again where it was rendered. */
  readonly n: number;
  readonly kind: Kind;
  readonly users: readonly string[];
  readonly page: string;
  readonly key: string | null;
  requestId: string;
  /** What cancelling said it canceled; null when nobody tried. */
  canceled: number | null;
}

/** A run that came to a throttle, in the order of the commits. */
export interface Passage {
  /** Of the throttle, with whose it is. */
  readonly key: string;
  readonly windowMs: number;
  readonly limit: number;
  readonly messageId: string;
  /** When it was let through or not, which may be long after it asked. */
  readonly at: number;
}

export interface Kind {
  readonly name: string;
  readonly steps: readonly Step[];
  /** A recipient gets it but once. */
  readonly once: boolean;
}

/** What is left of a storm. */
export interface Aftermath {
  readonly asks: readonly Ask[];
  readonly passages: readonly Passage[];
  readonly users: readonly string[];
  readonly startedAt: number;
  /** Nothing went wrong in it, and whoever had work did it on time. */
  readonly calm: boolean;
  readonly faults: number;
}

type Fault = "drop" | "die" | "stall" | "lose";
interface Process {
  world: WorkflowEngine;
  /** Befalls it at the next opportunity. */
  fault: Fault | null;
  /** Ends its stall. */
  stalled: (() => void) | null;
  /** Called when it begins. */
  stalling: () => void;
}

const KINDS = 60;
const PAGES = ["a", "b"];
const SECOND = 1000;
const LEASE_MS = 60 * SECOND;
/** Longer than any window with its retries under lapsed leases; whoever waits longer waits for ever. */
const PATIENCE_MS = 3_600 * SECOND;

export class Storms {
  readonly store: Store;
  readonly clock: FakeClock;
  readonly #processes: readonly Process[];
  readonly #kinds: readonly Kind[];
  /** Of all processes, in the order of their commits. */
  readonly #passages: Passage[];
  #made = 0;
  faults = 0;

  private constructor(processes: readonly Process[], kinds: readonly Kind[], passages: Passage[]) {
    const { world } = processes[0] as Process;
    this.#processes = processes;
    this.#kinds = kinds;
    this.#passages = passages;
    this.store = world.store;
    this.clock = world.clock;
  }

  static async open(dialect: Dialect): Promise<Storms> {
    const processes: Process[] = [];
    const passages: Passage[] = [];
    for (const _ of ["one", "other"]) {
      const process: Process = { world: null as never, fault: null, stalled: null, stalling: () => {} };
      const world = await startWorkflowEngine(processes[0]?.world ?? dialect, (real) => ({
        ...real,
        runs: { ...real.runs, ...faulty(process, real.runs, passages) },
      }));
      processes.push(Object.assign(process, { world }));
    }
    const kinds = someKinds(dice(1));
    for (const { name, steps, once } of kinds) {
      const more: Partial<Workflow> = once ? { trigger_frequency: "once_per_recipient" } : {};
      await (processes[0] as Process).world.put(name, steps, more);
    }
    // By then the second process has heard of them, too.
    (processes[0] as Process).world.clock.advance(5 * SECOND);
    return new Storms(processes, kinds, passages);
  }

  get env(): WorkflowEngine["env"] {
    return this.#first.world.env;
  }

  get #first(): Process {
    return this.#processes[0] as Process;
  }

  async close(): Promise<void> {
    for (const { world } of this.#processes.toReversed()) await world.close();
  }

  /** One storm, from its first trigger to the end of its last run. */
  async rage(seed: number, stories: number): Promise<Aftermath> {
    const roll = dice(seed);
    const calm = roll() < 0.3;
    const startedAt = this.clock.now();
    const { asks, events } = this.#stories(roll, startedAt, stories);
    const users = [...new Set(asks.flatMap((ask) => ask.users))];
    await this.store.parties.write(
      this.env,
      users.map((id) => ({ party: { collection: USERS, id }, properties: {}, documents: [] })),
      startedAt,
    );
    this.#passages.length = 0;
    if (!calm) events.push(...this.#weather(roll, startedAt, stories));
    for (const [at, together] of [...Map.groupBy(events, (event) => event.at)].sort(([a], [b]) => a - b)) {
      await this.#until(at, roll);
      await Promise.all(together.map(({ act }) => act(roll)));
      // Now and then, more happens before anybody has worked on this.
      if (calm || roll() < 0.7) await this.#settle(roll);
    }
    for (const process of this.#processes) process.fault = null;
    for (const process of this.#processes) process.stalled?.();
    await this.#until(this.clock.now() + PATIENCE_MS, roll);
    return { asks, passages: this.#passages, users, startedAt, calm, faults: this.faults };
  }

  #stories(roll: () => number, from: number, count: number): { readonly asks: Ask[]; readonly events: StormEvent[] } {
    const asks: Ask[] = [];
    const events: StormEvent[] = [];
    const upTo = (many: number): number => Math.floor(roll() * many);
    const soon = (seconds: number): number => upTo(seconds * 4) * (SECOND / 4);
    for (let story = 0; story < count; story++) {
      const kind = this.#kinds[upTo(this.#kinds.length)] as Kind;
      const own = Array.from({ length: 1 + upTo(2) }, (_, i) => `u${this.#made}-${i}`);
      const span = 1 + upTo(roll() < 0.5 ? 8 : 45);
      for (let i = 1 + upTo(9); i > 0; i--) {
        const n = ++this.#made;
        const users = own.length > 1 && roll() < 0.3 ? own : [own[upTo(own.length)] as string];
        const isCanceled = users.length === 1 && roll() < 0.25;
        const page = PAGES[upTo(PAGES.length)] as string;
        const key = isCanceled ? `k${n}` : null;
        const ask: Ask = { n, kind, users, page, key, requestId: "", canceled: null };
        asks.push(ask);
        const at = from + soon(span);
        events.push({ at, act: (r) => this.#trigger(ask, r) });
        if (isCanceled) events.push({ at: at + SECOND / 4 + soon(span + 20), act: (r) => this.#cancel(ask, r) });
      }
    }
    return { asks, events };
  }

  #weather(roll: () => number, from: number, stories: number): StormEvent[] {
    const events: StormEvent[] = [];
    for (let i = 2 + Math.floor((roll() * stories) / 8); i > 0; i--) {
      const process = this.#any(roll);
      const fault = (["drop", "die", "stall", "lose"] as const)[Math.floor(roll() * 4)] as Fault;
      const at = from + Math.floor(roll() * 100) * SECOND;
      events.push({
        at,
        act: async () => {
          process.fault ??= fault;
          this.faults++;
        },
      });
      // It wakes up again before its leases are over, or after, or when others have long done its work.
      const wakesAt = at + Math.floor(roll() * 3 * LEASE_MS);
      events.push({ at: wakesAt, act: async () => process.stalled?.() });
    }
    return events;
  }

  async #trigger(ask: Ask, roll: () => number): Promise<void> {
    const { n, kind, page, key, users } = ask;
    const actor: PartyRef = { collection: USERS, id: `actor-${n % 3}` };
    const over = { to: users, actor, cancellationKey: key, data: { n, page } satisfies JsonObject };
    ask.requestId = await this.#any(roll).world.trigger(kind.name, over);
  }

  async #cancel(ask: Ask, roll: () => number): Promise<void> {
    const { workflows } = this.#any(roll).world.engine;
    const [user] = ask.users as [string];
    const recipients = roll() < 0.5 ? null : [{ collection: USERS, id: user }];
    ask.canceled = await workflows.cancel(this.env, ask.kind.name, ask.key as string, recipients);
  }

  #any(roll: () => number): Process {
    return this.#processes[Math.floor(roll() * this.#processes.length)] as Process;
  }

  /** Goes there by way of everything that is due before. */
  async #until(at: number, roll: () => number): Promise<void> {
    for (;;) {
      await this.#settle(roll);
      const due = await this.store.pipeline.nextDueAt();
      // What is due already, nobody does: they all stand still.
      if (due === null || due >= at || due <= this.clock.now()) break;
      this.clock.advance(due - this.clock.now());
    }
    this.clock.advance(Math.max(0, at - this.clock.now()));
  }

  async #settle(roll: () => number): Promise<void> {
    for (let round = 0; round < 100; round++) {
      const order = roll() < 0.5 ? this.#processes : this.#processes.toReversed();
      for (const process of order) if (process.stalled === null) await idleOrStalled(process);
      const due = await this.store.pipeline.nextDueAt();
      if (due === null || due > this.clock.now()) return;
      if (this.#processes.every((process) => process.stalled !== null)) return;
    }
    throw new Error("the processes did not come to rest");
  }
}

interface StormEvent {
  readonly at: number;
  readonly act: (roll: () => number) => Promise<void>;
}

/** A process may fall into its stall while we wait for it. */
async function idleOrStalled(process: Process): Promise<void> {
  const idle = process.world.engine.dispatcher.idle();
  await Promise.race([
    idle,
    new Promise<void>((resolve) => {
      process.stalling = resolve;
    }),
  ]);
}

/** The store of runs as a process has it that dies or stands still at the worst moments. */
function faulty(process: Process, runs: RunStore, passages: Passage[]): Partial<RunStore> {
  const take = (...kinds: readonly Fault[]): Fault | null => {
    const { fault } = process;
    if (fault === null || !kinds.includes(fault)) return null;
    process.fault = null;
    return fault;
  };
  const commit: RunStore["commit"] = async (legs, ...rest) => {
    const results = await runs.commit(legs, ...rest);
    legs.forEach(({ run, gate }, i) => {
      if (results[i] === "written" && gate?.kind === "throttle") {
        const { now, until, limit } = gate;
        const at = process.world.clock.now();
        const key = `${partyKey(run.recipient)} ${gate.key}`;
        passages.push({ key, windowMs: until - now, limit, messageId: run.messageId, at });
      }
    });
    return results;
  };
  return {
    async claim(...args) {
      const claimed = await runs.claim(...args);
      if (claimed.length > 0 && take("lose") !== null) throw dead("killed after claiming");
      return claimed;
    },
    async commit(...args) {
      const fault = take("drop", "die", "stall");
      if (fault === "drop") throw dead("killed before the commit");
      if (fault === "stall") {
        await new Promise<void>((resolve) => {
          process.stalled = () => {
            process.stalled = null;
            resolve();
          };
          process.stalling();
        });
      }
      const results = await commit(...args);
      if (fault === "die") throw dead("killed after the commit");
      return results;
    },
    // Whoever stands still renews nothing.
    renew: async (...args) => (process.stalled === null ? await runs.renew(...args) : undefined),
  };
}

/** To its own work, a process that dies is one whose database is gone. */
const dead = (why: string): Refusal => new Refusal("unavailable", why);

// ——— workflows ———————————————————————————————————————————————————————————————————————————————————————————————————

function someKinds(roll: () => number): readonly Kind[] {
  const upTo = (count: number): number => Math.floor(roll() * count);
  const seconds = (count: number) => ({ unit: "seconds", value: count }) as const;
  const batch = (): BatchStep => {
    const sliding = roll() < 0.4;
    return {
      type: "batch",
      ref: "batch",
      settings: {
        batch_window: seconds(2 + upTo(15)),
        batch_window_type: sliding ? "sliding" : "fixed",
        ...(sliding && roll() < 0.6 ? { batch_window_extension_limit: seconds(5 + upTo(30)) } : {}),
        ...(roll() < 0.35 ? { batch_items_max_limit: 2 + upTo(3) } : {}),
        ...(roll() < 0.4 ? { batch_key: "data.page" } : {}),
        batch_execution_mode: roll() < 0.3 ? "flush_leading" : "accumulate",
        batch_order: roll() < 0.5 ? "asc" : "desc",
        batch_items_render_limit: 100,
      },
    };
  };
  const throttle = (): ThrottleStep => ({
    type: "throttle",
    ref: "throttle",
    settings: {
      throttle_window: seconds(5 + upTo(30)),
      throttle_limit: 1 + upTo(3),
      ...(roll() < 0.4 ? { throttle_key: "{{ data.page }}" } : {}),
    },
  });
  const delay = (): Step => ({ type: "delay", ref: "delay", settings: { delay_for: seconds(1 + upTo(10)) } });
  const shapes: readonly (() => readonly Step[])[] = [
    () => [batch()],
    () => [batch()],
    () => [throttle()],
    () => [throttle(), batch()],
    () => [delay(), batch()],
    () => [batch(), delay()],
    () => [batch(), throttle()],
    () => [delay()],
  ];
  return Array.from({ length: KINDS }, (_, i) => {
    const steps = (shapes[i % shapes.length] as () => readonly Step[])();
    const once = steps.every(({ type }) => type === "delay");
    return { name: `kind-${i}`, steps: [...steps, inApp("feed", "{{ total_activities }}")], once };
  });
}
