import type { Logger } from "pino";
import type { Outcome, Provider, ProviderId, ProviderKindName } from "../engine/model.ts";
import type { Outgoing, ProviderKind, Sender } from "../engine/ports.ts";
import { Refusal } from "../engine/refusal.ts";

interface Opened {
  readonly provider: Provider;
  readonly sender: Sender;
  inFlight: number;
  /** `retired` was replaced or pushed out, and closes with the end of its last try. */
  state: "open" | "retired" | "closed";
}

/** A sender holds a handful of connections at most, so this many are some thousand sockets. */
const DEFAULT_LIMIT = 500;

/**
 * Opens senders when they are first needed and keeps them, the most recently used ones. A provider whose settings
 * changed gets a new sender; the old one first finishes what it has begun.
 */
export class Senders {
  readonly #kinds: ReadonlyMap<ProviderKindName, ProviderKind>;
  readonly #log: Pick<Logger, "error">;
  readonly #limit: number;
  /** In the order of their last use. */
  readonly #opened = new Map<ProviderId, Opened>();
  readonly #closing = new Set<Promise<void>>();

  constructor({
    kinds,
    log,
    limit = DEFAULT_LIMIT,
  }: {
    readonly kinds: ReadonlyMap<ProviderKindName, ProviderKind>;
    readonly log: Pick<Logger, "error">;
    readonly limit?: number;
  }) {
    this.#kinds = kinds;
    this.#log = log;
    this.#limit = limit;
  }

  /** Makes one try. Never rejects: a mistake of ours is logged and counts as a failure worth another try. */
  async send(outgoing: Outgoing): Promise<Outcome> {
    let opened: Opened | undefined;
    try {
      opened = this.#open(outgoing.provider);
      opened.inFlight++;
      return await opened.sender.send(outgoing);
    } catch (error) {
      if (error instanceof Refusal && error.code === "invalid") return { kind: "rejected", reason: error.message };
      this.#log.error(
        { err: error, deliveryId: outgoing.delivery.id, provider: outgoing.provider.provider },
        "channel.failed",
      );
      return { kind: "failed", reason: "internal error" };
    } finally {
      if (opened !== undefined) {
        opened.inFlight--;
        this.#closeIfDone(opened);
      }
    }
  }

  /** Closes all senders, also those in the middle of a try. */
  async close(): Promise<void> {
    for (const opened of this.#opened.values()) {
      this.#close(opened);
    }
    this.#opened.clear();
    await Promise.all(this.#closing);
  }

  /** @throws Refusal("invalid") when there is nothing that could send for this provider. */
  #open(provider: Provider): Opened {
    const known = this.#opened.get(provider.id);
    if (known !== undefined && isSame(known.provider, provider)) {
      this.#opened.delete(provider.id);
      this.#opened.set(provider.id, known);
      return known;
    }
    const open = this.#kinds.get(provider.provider)?.open;
    if (open === undefined || open === null) {
      throw new Refusal("invalid", `nothing can be sent through a provider of the kind ${provider.provider}`);
    }
    const opened: Opened = { provider, sender: open(provider), inFlight: 0, state: "open" };
    if (known !== undefined) this.#retire(known);
    this.#opened.set(provider.id, opened);
    if (this.#opened.size > this.#limit) this.#retire(this.#opened.values().next().value as Opened);
    return opened;
  }

  #retire(opened: Opened): void {
    this.#opened.delete(opened.provider.id);
    opened.state = "retired";
    this.#closeIfDone(opened);
  }

  #closeIfDone(opened: Opened): void {
    if (opened.state === "retired" && opened.inFlight === 0) this.#close(opened);
  }

  #close(opened: Opened): void {
    opened.state = "closed";
    if (opened.sender.close === undefined) return;
    const closing = opened.sender
      .close()
      .catch((error: unknown) =>
        this.#log.error({ err: error, provider: opened.provider.provider }, "channel.close-failed"),
      )
      .finally(() => this.#closing.delete(closing));
    this.#closing.add(closing);
  }
}

/** The time alone would not do: two changes may fall into one millisecond. */
function isSame(a: Provider, b: Provider): boolean {
  return (
    a === b ||
    (a.updatedAt === b.updatedAt &&
      a.provider === b.provider &&
      (a.settings === b.settings || JSON.stringify(a.settings) === JSON.stringify(b.settings)))
  );
}
