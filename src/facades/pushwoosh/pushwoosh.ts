/** What every file of the Pushwoosh facade works with. */
import type { Logger } from "pino";
import type { Engine } from "../../engine/engine.ts";
import type { Environment } from "../../engine/model.ts";
import type { Bus } from "../../engine/ports.ts";
import type { ShownItems } from "../../http/inbox-visibility.ts";
import type { Principal } from "../../http/principal.ts";
import type { Clock } from "../../lib/clock.ts";
import type { Json } from "../../lib/json.ts";
import type { Call } from "./call.ts";
import type { Settings } from "./settings.ts";

export interface Pushwoosh {
  readonly engine: Engine;
  readonly log: Logger;
  readonly clock: Clock;
  /** Tells of changed settings. */
  readonly bus: Pick<Bus, "onChanged">;
  /** The environment behind an application code; null for an unknown one. */
  readonly environmentByAppCode: (code: string) => Promise<Environment | null>;
  /** Who a secret key or a publishable key stands for; null for anything unknown or revoked. */
  readonly findPrincipal: (credential: string) => Promise<Principal | null>;
  readonly visibility: ShownItems;
}

/** What methods get: the above and what the facade keeps for itself. */
export interface World extends Pushwoosh {
  readonly settings: Settings;
}

/** An answer that is JSON text already, the whole envelope. */
export class Ready {
  readonly body: string | Buffer;

  constructor(body: string | Buffer) {
    this.body = body;
  }
}

/**
 * Who may call: `device` everybody who knows the application, with a device token if the operator wants it; `server`
 * whoever has the secret key; `either` is a device method in which a secret key, if there is one, has to be right.
 */
export type Access = "device" | "server" | "either";

export interface Method {
  readonly name: string;
  readonly access: Access;
  /** @returns what stands under `response`. */
  readonly run: (call: Call, world: World) => Json | Ready | Promise<Json | Ready>;
  /** What stands under `response` when the call is refused; null when absent. */
  readonly refused?: Json;
  /** Of the body; 1 MB when absent. */
  readonly maxBodyBytes?: number;
}
