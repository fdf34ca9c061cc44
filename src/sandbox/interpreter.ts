/** One run of somebody's code in QuickJS. Everything here runs in a thread of its own (worker.ts). */
import packaged from "@jitl/quickjs-wasmfile-release-sync";
import {
  newQuickJSWASMModuleFromVariant,
  newVariant,
  type QuickJSContext,
  type QuickJSHandle,
  type QuickJSRuntime,
  type QuickJSSyncVariant,
  type QuickJSWASMModule,
  Scope,
} from "quickjs-emscripten-core";
import type { TransformationInput } from "../engine/webhooks/webhooks.ts";
import { type Ran, readAnswer } from "./answer.ts";
import { CODE_NAME, DESCRIBE, GUEST, type GuestInput } from "./guest.ts";
import type { RunLimits } from "./limits.ts";

/** Its types describe the package as `require` would load it; as a module its default export is the variant itself. */
const variant = packaged as unknown as QuickJSSyncVariant;

/** Node has it; the types that come with TypeScript count it among what browsers have. */
declare const WebAssembly: {
  readonly Memory: new (pages: { readonly initial: number; readonly maximum: number }) => unknown;
};

/** A handler that never stops making promises is ended by its time, so this only bounds one look at the clock. */
const JOBS_AT_ONCE = 1_000;
/** What an instance begins with. Its memory grows and never shrinks, so one that has grown much is replaced. */
const INSTANCE_BYTES = 16 * 1024 * 1024;
const GROWN_BYTES = 2 * INSTANCE_BYTES;
const PAGE_BYTES = 64 * 1024;

const MAX_REASON_CHARS = 1_000;
const LOOKUP = "typeof handler === 'undefined' ? undefined : handler";
const TOO_MUCH_MEMORY = "the code used more memory or stack than it may";
/** JSON writes one character as six at most, and the answer holds the payload as a text in a text. */
const ESCAPED = 6;
const ANSWER_EXTRA_CHARS = 1024 * 1024;

/** A runtime with nothing but the guest in it, made before it is needed: making one takes 0.3 ms. */
interface Fresh {
  readonly runtime: QuickJSRuntime;
  readonly context: QuickJSContext;
  readonly guest: QuickJSHandle;
}

/**
 * Runs code, each time in a runtime of its own: nothing of one run can be found in the next. One instance of the engine
 * serves many runs; after one that hurt or blew it up it is replaced.
 */
export class Interpreter {
  readonly #limits: RunLimits;
  #module: QuickJSWASMModule | null = null;
  #fresh: Fresh | null = null;

  constructor(limits: RunLimits) {
    this.#limits = limits;
  }

  /** Gets ready for the next run; may be left out, then the run does it. */
  async prepare(): Promise<void> {
    if (this.#module !== null && this.#module.getWasmMemory().buffer.byteLength > GROWN_BYTES) this.#drop();
    this.#module ??= await newQuickJSWASMModuleFromVariant(
      newVariant(variant, { wasmMemory: this.#memory() as never }),
    );
    this.#fresh ??= this.#open(this.#module);
  }

  /** Never rejects for what the code does. */
  async run(code: string, input: TransformationInput): Promise<Ran> {
    // C text ends at NUL, and code that is not read to its end is other code.
    if (code.includes("\0")) return { kind: "failed", reason: "the code has a NUL character" };
    await this.prepare();
    const fresh = this.#fresh as Fresh;
    this.#fresh = null;
    const budget = new Budget(this.#limits.cpuMs);
    fresh.runtime.setInterruptHandler(() => budget.isSpent());
    try {
      const ran = this.#transform(fresh, code, input, budget);
      fresh.guest.dispose();
      fresh.context.dispose();
      fresh.runtime.dispose();
      return ran;
    } catch {
      // The engine itself has stumbled (its own stack or memory): who knows in what state it is.
      this.#drop();
      return { kind: "failed", reason: budget.spent ? this.#tooSlow() : TOO_MUCH_MEMORY };
    }
  }

  /**
   * The limit lies on the instance: `setMemoryLimit` of a runtime counts nothing but 8 bytes for each allocation in this
   * build, and let 80 MB through where 64 were allowed.
   */
  #memory(): unknown {
    const pages = (bytes: number): number => Math.floor(bytes / PAGE_BYTES);
    return new WebAssembly.Memory({ initial: pages(INSTANCE_BYTES), maximum: pages(this.#limits.memoryBytes) });
  }

  /** The last step may be too small to be taken. */
  #isFull(): boolean {
    const used = this.#module?.getWasmMemory().buffer.byteLength ?? 0;
    return used > this.#limits.memoryBytes * 0.9;
  }

  #drop(): void {
    this.#module = null;
    this.#fresh = null;
  }

  #open(module: QuickJSWASMModule): Fresh {
    const runtime = module.newRuntime();
    runtime.setMaxStackSize(this.#limits.stackBytes);
    const context = runtime.newContext();
    return { runtime, context, guest: context.evalCode(GUEST, "guest.js", { type: "global" }).unwrap() };
  }

  #transform({ runtime, context, guest }: Fresh, code: string, input: TransformationInput, budget: Budget): Ran {
    return Scope.withScope((scope): Ran => {
      const failed = (error: QuickJSHandle): Ran => {
        const told = budget.spent ? null : this.#describe(scope, context, error);
        return { kind: "failed", reason: budget.spent ? this.#tooSlow() : (told ?? TOO_MUCH_MEMORY) };
      };
      const ask = (what: "answer" | "thrown"): QuickJSHandle =>
        scope.manage(context.callFunction(scope.manage(context.getProp(guest, what)), context.undefined).unwrap());

      const read = context.evalCode(code, CODE_NAME, { type: "global" });
      if (read.error !== undefined) return failed(scope.manage(read.error));
      read.value.dispose();
      // `const handler = …` is no property of the global object, so it is asked for by its name.
      const found = context.evalCode(LOOKUP, "lookup.js", { type: "global" });
      if (found.error !== undefined) return failed(scope.manage(found.error));
      const handler = scope.manage(found.value);
      const kind = context.typeof(handler);
      if (kind === "undefined") return { kind: "failed", reason: "the code must define a function named handler" };
      if (kind !== "function") return { kind: "failed", reason: `handler must be a function, not a ${kind}` };

      // One text for all of it: a text on its own would end at a NUL.
      const about: GuestInput = {
        method: input.method,
        url: input.url,
        payload: input.payload,
        eventType: input.eventType,
        channels: input.channels,
        variables: input.variables,
        transformationsParams: input.parameters,
      };
      const started = context.callFunction(scope.manage(context.getProp(guest, "start")), context.undefined, [
        handler,
        scope.manage(context.newString(JSON.stringify(about))),
      ]);
      if (started.error !== undefined) return failed(scope.manage(started.error));
      started.value.dispose();

      while (runtime.hasPendingJob()) {
        const { error } = runtime.executePendingJobs(JOBS_AT_ONCE);
        if (error !== undefined) return failed(scope.manage(error));
        if (budget.isSpent()) return { kind: "failed", reason: this.#tooSlow() };
      }
      const answer = ask("answer");
      if (context.typeof(answer) === "string") {
        if (lengthOf(scope, context, answer) > this.#limits.outputBytes * ESCAPED + ANSWER_EXTRA_CHARS) {
          return { kind: "failed", reason: "what handler returned is too large" };
        }
        return readAnswer(context.getString(answer), input, this.#limits.outputBytes);
      }
      const thrown = ask("thrown");
      if (context.typeof(thrown) === "object") return failed(scope.manage(context.getProp(thrown, 0)));
      return { kind: "failed", reason: "handler returned a promise that never settles" };
    });
  }

  /** Words for what was thrown; null for what is thrown when there is no memory left, not even for an error. */
  #describe(scope: Scope, context: QuickJSContext, error: QuickJSHandle): string | null {
    if (context.sameValue(error, context.null) && this.#isFull()) return null;
    const describe = context.evalCode(DESCRIBE, "describe.js", { type: "global" });
    if (describe.error !== undefined) {
      describe.error.dispose();
      return null;
    }
    const told = context.callFunction(scope.manage(describe.value), context.undefined, error);
    if (told.error !== undefined) {
      told.error.dispose();
      return "threw something that cannot be shown";
    }
    const text = scope.manage(told.value);
    return context.typeof(text) === "string" && lengthOf(scope, context, text) <= MAX_REASON_CHARS
      ? context.getString(text)
      : "threw something that cannot be shown";
  }

  #tooSlow(): string {
    return `the code took longer than ${this.#limits.cpuMs} ms`;
  }
}

/** Of a text inside: looked at before the text is copied out. */
function lengthOf(scope: Scope, context: QuickJSContext, text: QuickJSHandle): number {
  return context.getNumber(scope.manage(context.getProp(text, "length")));
}

/** Time of computing of this thread, so that a busy machine does not make somebody's code too slow. */
class Budget {
  readonly #endsAt: number;
  spent = false;

  constructor(ms: number) {
    this.#endsAt = usedMs() + ms;
  }

  isSpent(): boolean {
    this.spent ||= usedMs() > this.#endsAt;
    return this.spent;
  }
}

function usedMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}
