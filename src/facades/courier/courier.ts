/** What every file of the Courier facade works with. */
import type { FastifyInstance } from "fastify";
import type { Logger } from "pino";
import type { Engine } from "../../engine/engine.ts";
import type { Environment } from "../../engine/model.ts";
import type { ShownItems } from "../../http/inbox-visibility.ts";
import type { Principal } from "../../http/principal.ts";
import type { Hub } from "../../realtime/hub.ts";

export interface Courier {
  readonly engine: Engine;
  readonly hub: Hub;
  readonly log: Logger;
  readonly settings: CourierSettings;
  readonly visibility: ShownItems;
  /** Every environment there is, by id; kept fresh by app.ts. */
  readonly environmentById: (id: string) => Environment | undefined;
  /** Who a secret key, a publishable key or a user token stands for; null for anything unknown, revoked or expired. */
  readonly findPrincipal: (credential: string) => Promise<Principal | null>;
  /** The same at once, for a secret key that was found a moment ago; undefined when it has to be looked for. */
  readonly recallPrincipal: (credential: string | undefined) => Principal | undefined;
}

export interface CourierSettings {
  /** Where clients reach this server, without a trailing slash: links in mails and tracking URLs begin with it. */
  readonly publicUrl: string;
  /** What a publishable key alone may do with a user's inbox. */
  readonly clientKeyAuth: "off" | "signed" | "open";
  /** The secret key of the first environment if it is known, to check signatures made with it; null otherwise. */
  readonly signatureKey: string | null;
}

/** Each resource file exports one function of this type, which registers its routes. */
export type Routes = (app: FastifyInstance, courier: Courier) => void;
