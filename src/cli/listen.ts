import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import type { WebhookSettings } from "../engine/webhooks/settings.ts";
import { publicPart } from "../engine/webhooks/signing.ts";
import { type Millis, systemClock } from "../lib/clock.ts";
import { type Forwarded, type Forwarder, forwarder } from "./listen-forward.ts";
import { LISTEN_HELP, type ListenOptions, readListenOptions, UsageError } from "./listen-options.ts";
import { type HeardMessage, nextMessages, type Opened, openListening, Refused, Unreachable } from "./listen-server.ts";

/** A handler that hangs, in a debugger for example, must not keep the other messages. */
const AT_ONCE = 8;
const FIRST_PAUSE_MS: Millis = 500;
const LONGEST_PAUSE_MS: Millis = 10_000;
/** After Ctrl-C, for what is under way. */
const FINISH_MS: Millis = 2_000;

/**
 * Forwards an application's messages to a local address until Ctrl-C.
 * @returns the exit code: 0, 1 when the server refuses or was never reached, 2 when the call itself was wrong.
 */
export async function listen(args: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  let options: ListenOptions | null;
  try {
    options = readListenOptions(args, env);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    process.stderr.write(`carillon: ${error.message}; try \`carillon listen --help\`\n`);
    return 2;
  }
  if (options === null) {
    process.stdout.write(LISTEN_HELP);
    return 0;
  }
  const stop = new AbortController();
  const end = (): void => {
    // Whoever presses it twice does not want to wait.
    if (stop.signal.aborted) process.exit(0);
    stop.abort();
  };
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, end);
  const forward = forwarder({ ...options, version: version(), clock: systemClock });
  const listener = new Listener(options, forward, stop.signal);
  try {
    await listener.run();
    return 0;
  } catch (error) {
    if (stop.signal.aborted) return 0;
    if (!(error instanceof Refused || error instanceof Unreachable)) throw error;
    const where = error instanceof Unreachable ? `${options.server} cannot be reached: ` : "";
    process.stderr.write(`carillon: ${where}${plain(error.message)}\n`);
    return 1;
  } finally {
    await listener.finish();
    await forward.close();
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.off(signal, end);
  }
}

class Listener {
  readonly #options: ListenOptions;
  readonly #forwarder: Forwarder;
  readonly #stop: AbortSignal;
  readonly #underWay = new Set<Promise<void>>();
  /** What is not to be sent yet, by the message's id. */
  readonly #held = new Map<string, () => void>();
  #isListening = false;
  #delivered = 0;
  #failed = 0;

  constructor(options: ListenOptions, forwarder: Forwarder, stop: AbortSignal) {
    this.#options = options;
    this.#forwarder = forwarder;
    this.#stop = stop;
  }

  /** Ends only by rejecting: with what the server refused, or because of the stop. */
  async run(): Promise<never> {
    const opened = await openListening(this.#options, this.#options.app, this.#stop);
    this.#isListening = true;
    this.#greet(opened);
    for (let place = opened.place; ; ) {
      const heard = await this.#persist(() => nextMessages(this.#options, opened.app.id, place, this.#stop));
      for (const message of heard.items) await this.#take(message, heard.header_names);
      // Only now: what is behind the place is in our hands.
      place = heard.place;
    }
  }

  /** Waits a moment for what is under way, then says what has been. */
  async finish(): Promise<void> {
    for (const callOff of this.#held.values()) callOff();
    const soon = new AbortController();
    await Promise.race([
      Promise.allSettled(this.#underWay),
      sleep(FINISH_MS, undefined, { signal: soon.signal }).catch(() => {}),
    ]);
    soon.abort();
    if (!this.#isListening) return;
    const failed = this.#failed === 0 ? "" : `, ${this.#failed} of them in vain`;
    const held = this.#held.size === 0 ? "" : `; ${this.#held.size} were not due yet`;
    print(`\nforwarded ${this.#delivered + this.#failed} messages${failed}${held}`);
  }

  #greet({ app }: Opened): void {
    const { server, url, secret } = this.#options;
    const name = app.name === app.uid || app.name === "" ? "" : `${plain(app.name).replace(/\s+/g, " ")} – `;
    print(`listening to   ${name}${app.uid === null ? "" : `${app.uid}, `}${app.id} at ${server}`);
    print(`forwarding to  ${url}`);
    print(`verify with    ${publicPart(secret)}`);
    print("Ctrl-C ends it\n");
  }

  /** Tries until the server answers. @throws Refused, and the stop. */
  async #persist<T>(ask: () => Promise<T>): Promise<T> {
    for (let pauseMs = FIRST_PAUSE_MS, tries = 0; ; pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS), tries++) {
      try {
        const answer = await ask();
        if (tries > 0) print(`${clockTime()}  connected again`);
        return answer;
      } catch (error) {
        if (!(error instanceof Unreachable)) throw error;
        print(`${clockTime()}  no connection to the server (${plain(error.message)}); next try in ${pauseMs / 1000} s`);
        await sleep(pauseMs, undefined, { signal: this.#stop });
      }
    }
  }

  async #take(message: HeardMessage, headerNames: WebhookSettings["headerNames"]): Promise<void> {
    const dueAt = message.deliver_at === null ? 0 : Date.parse(message.deliver_at);
    if (dueAt > systemClock.now()) {
      print(`${clockTime()}  ${message.event_type}  ${message.id}  is due at ${clockTime(dueAt)}`);
      const callOff = systemClock.wakeAt(dueAt, () => {
        this.#held.delete(message.id);
        this.#start(message, headerNames);
      });
      this.#held.set(message.id, callOff);
      return;
    }
    while (this.#underWay.size >= AT_ONCE) await Promise.race(this.#underWay);
    this.#stop.throwIfAborted();
    this.#start(message, headerNames);
  }

  #start(message: HeardMessage, headerNames: WebhookSettings["headerNames"]): void {
    const work = this.#forwarder.forward(message, headerNames).then((forwarded) => {
      this.#underWay.delete(work);
      this.#tell(message, forwarded);
    });
    this.#underWay.add(work);
  }

  #tell({ event_type, id }: HeardMessage, forwarded: Forwarded | null): void {
    const head = `${clockTime()}  ${event_type}  ${id}`;
    if (forwarded === null) {
      print(`${head}  its content is no longer kept`);
      return;
    }
    const { status, error, tookMs, sent, answer } = forwarded;
    if (status >= 200 && status < 300) this.#delivered++;
    else this.#failed++;
    print(`${head}  ${error === null ? status : `failed: ${plain(error)}`}  ${tookMs} ms`);
    if (!this.#options.printBodies) return;
    print(`  → ${indented(sent)}`);
    if (answer !== "") print(`  ← ${indented(answer)}`);
  }
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** Local time, as a developer's other logs have it. */
function clockTime(at: Millis = systemClock.now()): string {
  const time = new Date(at);
  const two = (value: number): string => String(value).padStart(2, "0");
  return `${two(time.getHours())}:${two(time.getMinutes())}:${two(time.getSeconds())}`;
}

/** Without what a terminal would obey: names, errors and bodies are other people's text. */
function plain(text: string): string {
  return text.replace(/[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu, (character) =>
    character === "\n" || character === "\t"
      ? character
      : `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

function indented(text: string): string {
  return plain(text.replaceAll("\r\n", "\n")).replaceAll("\n", "\n    ");
}

function version(): string {
  const text = readFileSync(new URL("../../package.json", import.meta.url), "utf8");
  return (JSON.parse(text) as { version: string }).version;
}
