/** What every file of the Knock facade works with. */
import type { FastifyInstance } from "fastify";
import type { Logger } from "pino";
import type { Engine } from "../../engine/engine.ts";
import type { Environment, EnvironmentId } from "../../engine/model.ts";
import type { Bus } from "../../engine/ports.ts";
import type { ShownItems } from "../../http/inbox-visibility.ts";
import type { Principal } from "../../http/principal.ts";
import type { Clock } from "../../lib/clock.ts";
import type { Hub } from "../../realtime/hub.ts";
import type { Shelves } from "./guide-shelf.ts";
import type { UserTokens } from "./user-tokens.ts";

export interface Knock {
  readonly engine: Engine;
  readonly hub: Hub;
  readonly log: Logger;
  readonly clock: Clock;
  /** Every environment there is, by id; kept fresh by app.ts. */
  readonly environmentById: (id: string) => Environment | undefined;
  /** Who a secret key or a public key stands for; null for anything unknown or revoked. */
  readonly findPrincipal: (credential: string) => Promise<Principal | null>;
  /** The same at once, for a secret key that was found a moment ago; undefined when it has to be looked for. */
  readonly recallPrincipal: (credential: string | undefined) => Principal | undefined;
  /** Makes another secret key. @returns its text, which cannot be had again. */
  readonly createKey: (environmentId: EnvironmentId) => Promise<string>;
  readonly tokens: UserTokens;
  readonly shelves: Shelves;
  /** Hears which kinds of documents are written; see `Bus`. */
  readonly onChanged: Bus["onChanged"];
  readonly visibility: ShownItems;
  readonly settings: KnockSettings;
}

export interface KnockSettings {
  /** Where clients reach this server, without a trailing slash. */
  readonly publicUrl: string;
  /** Whether the vendor's rate limits are kept. */
  readonly rateLimits: boolean;
  /** Of the body of a trigger. */
  readonly maxTriggerBytes: number;
}

/**
 * Each resource file exports one function of this type, which registers its routes: paths without `/v1`, and for each
 * its access (see auth.ts).
 */
export type Routes = (app: FastifyInstance, knock: Knock) => void;
