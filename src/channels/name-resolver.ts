import { lookup, Resolver } from "node:dns/promises";
import { readFile } from "node:fs/promises";
import type { Millis } from "../lib/clock.ts";

export interface ResolvedAddress {
  readonly address: string;
  readonly family: number;
}

/** Finds the addresses of a name. Rejects when there are none. */
export type Resolve = (hostname: string) => Promise<readonly ResolvedAddress[]>;

/** The servers and the hosts file of the machine are looked at anew after this time. */
const REMEMBER_MS: Millis = 60_000;
const QUERY_MS: Millis = 2_000;
const QUERIES = 2;
/** How long an answer with IPv4 addresses waits for one with IPv6 addresses, as RFC 8305 §3 has it. */
const OTHER_FAMILY_MS: Millis = 50;

const HOSTS_FILE = "/etc/hosts";
/** The DNS does not know them, or there is none: what else the machine knows of names may. */
const UNKNOWN_TO_DNS = new Set(["ENOTFOUND", "ENODATA", "ECONNREFUSED"]);

interface Machine {
  readonly resolver: Resolver;
  /** Lower-case names of the hosts file. */
  readonly hosts: ReadonlySet<string>;
}

/**
 * Asks the DNS itself, and the machine (hosts file, search domains, mDNS) only for names that the DNS does not know.
 * The machine's own function, getaddrinfo, holds a thread until it has an answer, and there are two for it: two names
 * whose servers never answer would hold up every other name for tens of seconds.
 */
export class NameResolver {
  readonly #now: () => Millis;
  readonly #servers: readonly string[] | null;
  readonly #bySystem: Resolve;
  readonly #queryMs: Millis;
  #machine: Promise<Machine> | null = null;
  #readAt = 0;

  constructor({
    now = () => performance.now(),
    servers = null,
    bySystem = askSystem,
    queryMs = QUERY_MS,
  }: {
    readonly now?: () => Millis;
    /** Of the DNS, as `192.0.2.1:53`; null: those of the machine. */
    readonly servers?: readonly string[] | null;
    readonly bySystem?: Resolve;
    /** For the first answer of a server. */
    readonly queryMs?: Millis;
  } = {}) {
    this.#now = now;
    this.#servers = servers;
    this.#bySystem = bySystem;
    this.#queryMs = queryMs;
  }

  readonly resolve: Resolve = async (hostname) => {
    // Names without a dot are the machine's own, or its network's.
    if (!hostname.slice(0, -1).includes(".")) return await this.#bySystem(hostname);
    const { resolver, hosts } = await this.#look();
    if (hosts.has(hostname.toLowerCase())) return await this.#bySystem(hostname);
    try {
      return await ask(resolver, hostname);
    } catch (error) {
      if (!UNKNOWN_TO_DNS.has((error as NodeJS.ErrnoException).code ?? "")) throw error;
      return await this.#bySystem(hostname);
    }
  };

  #look(): Promise<Machine> {
    const now = this.#now();
    if (this.#machine === null || now - this.#readAt > REMEMBER_MS) {
      this.#readAt = now;
      this.#machine = this.#readMachine();
    }
    return this.#machine;
  }

  async #readMachine(): Promise<Machine> {
    const resolver = new Resolver({ timeout: this.#queryMs, tries: QUERIES });
    if (this.#servers !== null) resolver.setServers(this.#servers);
    return { resolver, hosts: await readHosts() };
  }
}

const askSystem: Resolve = (hostname) => lookup(hostname, { all: true, order: "verbatim" });

async function ask(resolver: Resolver, hostname: string): Promise<readonly ResolvedAddress[]> {
  const v4 = resolver.resolve4(hostname).then((found) => found.map((address) => ({ address, family: 4 })));
  const v6 = resolver.resolve6(hostname).then((found) => found.map((address) => ({ address, family: 6 })));
  // One family may have no addresses, or no answer, as long as the other one has.
  const late = v6.catch(() => []);
  const first = await v4.catch(async (error) => {
    const other = await late;
    if (other.length === 0) throw error;
    return other;
  });
  if (first[0]?.family !== 4) return first;
  return [...first, ...(await within(late, OTHER_FAMILY_MS))];
}

async function within<T>(promise: Promise<readonly T[]>, ms: Millis): Promise<readonly T[]> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<readonly T[]>((resolve) => {
    timer = setTimeout(() => resolve([]), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

async function readHosts(): Promise<ReadonlySet<string>> {
  // Without the file there are no names in it.
  const text = await readFile(HOSTS_FILE, "utf8").catch(() => "");
  const names = text
    .split("\n")
    .flatMap((line) => (line.split("#")[0] ?? "").trim().toLowerCase().split(/\s+/).slice(1));
  return new Set(names);
}
