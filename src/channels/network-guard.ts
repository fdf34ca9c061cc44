import { connect, isIP, type LookupFunction, type Socket } from "node:net";
import ipaddr from "ipaddr.js";
import { Refusal } from "../engine/refusal.ts";
import type { Millis } from "../lib/clock.ts";
import { NameResolver, type Resolve, type ResolvedAddress } from "./name-resolver.ts";

/** The policy forbids the address. Not a fault of the network: another try cannot help. */
export class AddressRefused extends Error {
  override name = "AddressRefused";
}

type Address = ipaddr.IPv4 | ipaddr.IPv6;
type Network = readonly [Address, number];

/** Answers DNS and instance metadata inside Azure, although it looks like any public address. */
const PUBLIC_LOOKING_METADATA = new Set(["168.63.129.16"]);

/** The part of IPv6 that is routed between networks; the rest is local, unassigned or a wrapping of something else. */
const GLOBAL_UNICAST = ipaddr.parseCIDR("2000::/3");
const NAT64 = ipaddr.parseCIDR("64:ff9b::/96");

/**
 * Decides which addresses this server may connect to on somebody else's word. Everything that is not plainly public
 * is forbidden, unless the operator allowed its network.
 */
export class NetworkGuard {
  readonly #allowed: readonly Network[];
  readonly #resolve: Resolve;
  readonly #underWay = new Map<string, Promise<readonly ResolvedAddress[]>>();

  /**
   * @param allowNetworks CIDRs or single addresses that may be reached although they are private.
   * @throws Refusal("invalid") when one of them is neither.
   */
  constructor({
    allowNetworks = [],
    resolve = new NameResolver().resolve,
  }: {
    readonly allowNetworks?: readonly string[];
    readonly resolve?: Resolve;
  }) {
    this.#allowed = allowNetworks.map(parseNetwork);
    this.#resolve = resolve;
  }

  /** @returns why the address must not be reached, null when it may be. */
  objection(text: string): string | null {
    if (!ipaddr.isValid(text)) return `${text} is not an address`;
    const address = ipaddr.parse(text);
    const carried = carriedIPv4(address);
    if (this.#isAllowed(address) || (carried !== null && this.#isAllowed(carried))) return null;
    const kind = kindOf(carried ?? address);
    return kind === "public" ? null : `${text} is not a public address (${kind})`;
  }

  /**
   * The addresses of a host name or address literal, every one of them checked: a name that also points inwards is
   * refused as a whole, because nobody serves the public from there. Callers must connect to one of these and never
   * resolve again, or the next answer may be another one (DNS rebinding).
   * Nothing is cached; only callers who come while a name is being resolved share the answer.
   * Rejects with AddressRefused, or with the resolver's error.
   */
  async resolve(hostname: string): Promise<readonly ResolvedAddress[]> {
    const host = hostname.startsWith("[") ? hostname.slice(1, -1) : hostname;
    const family = isIP(host);
    const addresses = family === 0 ? await this.#resolveName(host) : [{ address: host, family }];
    for (const { address } of addresses) {
      const objection = this.objection(address);
      if (objection !== null) throw new AddressRefused(objection);
    }
    return addresses;
  }

  /** For `net.connect`. Node skips the lookup for address literals: those must go through `resolve` first. */
  readonly lookup: LookupFunction = (hostname, options, callback) => {
    this.resolve(hostname).then(
      (addresses) => {
        const first = addresses[0] as ResolvedAddress;
        if (options.all) callback(null, [...addresses]);
        else callback(null, first.address, first.family);
      },
      (error: NodeJS.ErrnoException) => callback(error, []),
    );
  };

  /**
   * Opens a TCP connection to a checked address of the host.
   * Rejects with AddressRefused, or an error of the network.
   */
  async connect(host: string, port: number, timeoutMs: Millis): Promise<Socket> {
    if (isIP(host) !== 0) await this.resolve(host);
    return await new Promise((resolve, reject) => {
      const socket = connect({ host, port, lookup: this.lookup, autoSelectFamily: true });
      const timer = setTimeout(() => socket.destroy(new Error(`no connection within ${timeoutMs} ms`)), timeoutMs);
      // Stays for the socket's life: an error between here and the owner's own listener must not end the process.
      socket.on("error", (error) => {
        clearTimeout(timer);
        reject(error);
      });
      socket.once("connect", () => {
        clearTimeout(timer);
        resolve(socket);
      });
    });
  }

  #resolveName(hostname: string): Promise<readonly ResolvedAddress[]> {
    const shared = this.#underWay.get(hostname);
    if (shared !== undefined) return shared;
    const asked = this.#resolve(hostname)
      .then((addresses) => {
        if (addresses.length === 0) throw new Error(`${hostname} has no address`);
        return addresses;
      })
      .finally(() => this.#underWay.delete(hostname));
    this.#underWay.set(hostname, asked);
    return asked;
  }

  #isAllowed(address: Address): boolean {
    return this.#allowed.some(([network, bits]) => isWithin(address, network, bits));
  }
}

/** `public`, or the name of what the address is instead. */
function kindOf(address: Address): string {
  const range = address.range();
  if (range !== "unicast") return range;
  if (isIPv6(address)) {
    return isWithin(address, ...GLOBAL_UNICAST) ? "public" : "not globally routed";
  }
  return PUBLIC_LOOKING_METADATA.has(address.toString()) ? "instance metadata" : "public";
}

/**
 * The IPv4 address that such an IPv6 address really leads to: mapped addresses go there directly, NAT64 is how
 * IPv6-only networks reach every IPv4 host. The other wrappings (6to4, Teredo, IPv4-compatible, …) are obsolete; they
 * stay IPv6 here and are refused by their range.
 */
function carriedIPv4(address: Address): ipaddr.IPv4 | null {
  if (!isIPv6(address)) return null;
  if (!address.isIPv4MappedAddress() && !isWithin(address, ...NAT64)) return null;
  return new ipaddr.IPv4(address.toByteArray().slice(12));
}

function isIPv6(address: Address): address is ipaddr.IPv6 {
  return address.kind() === "ipv6";
}

function isWithin(address: Address, network: Address, bits: number): boolean {
  return address.kind() === network.kind() && address.match(network, bits);
}

function parseNetwork(text: string): Network {
  if (ipaddr.isValidCIDR(text)) return ipaddr.parseCIDR(text);
  if (ipaddr.isValid(text)) {
    const address = ipaddr.parse(text);
    return [address, isIPv6(address) ? 128 : 32];
  }
  throw new Refusal("invalid", `expected a network such as 10.0.0.0/8, got ${JSON.stringify(text)}`, {
    field: "allowNetworks",
  });
}
