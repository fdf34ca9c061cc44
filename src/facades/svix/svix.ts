/** What every file of the Svix facade works with. */
import type { FastifyInstance } from "fastify";
import type { Logger } from "pino";
import type { Engine } from "../../engine/engine.ts";
import type { Environment, EnvironmentId } from "../../engine/model.ts";
import type { Webhooks } from "../../engine/webhooks/webhooks.ts";
import type { Principal } from "../../http/principal.ts";
import type { Clock } from "../../lib/clock.ts";
import type { AccessTokens } from "./tokens.ts";

export interface Svix {
  readonly engine: Engine;
  readonly webhooks: Webhooks;
  readonly log: Logger;
  readonly clock: Clock;
  /** Every environment there is, by id; kept fresh by app.ts. */
  readonly environmentById: (id: string) => Environment | undefined;
  /** Finds or makes the environment of this id: organisations of signed tokens need no registration. */
  readonly openEnvironment: (id: EnvironmentId, name: string) => Promise<Environment>;
  /** Who a secret key stands for; null for anything unknown or revoked. */
  readonly findPrincipal: (credential: string) => Promise<Principal | null>;
  /** The same at once, for a secret key that was found a moment ago; undefined when it has to be looked for. */
  readonly recallPrincipal: (credential: string | undefined) => Principal | undefined;
  readonly tokens: AccessTokens;
  readonly settings: SvixSettings;
}

export interface SvixSettings {
  /** Where clients reach this server, without a trailing slash. */
  readonly publicUrl: string;
  /** Signs tokens that other programs mint (HS256); null: such tokens are refused. */
  readonly jwtSecret: string | null;
  /** Kind of the signing secrets that are generated. */
  readonly secretKind: "symmetric" | "asymmetric";
  /** Largest body of a request. */
  readonly maxPayloadBytes: number;
}

/**
 * Each resource file exports one function of this type, which registers its routes: paths without `/api/v1`, and for
 * each its callers (see access.ts).
 */
export type Routes = (app: FastifyInstance, svix: Svix) => void;
