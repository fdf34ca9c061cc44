/** Who makes a call, as far as its credential tells. */
import type { Environment, KeyMode } from "../engine/model.ts";

export type Principal =
  /** The environment's secret key: may do everything. */
  | { readonly kind: "secret"; readonly environment: Environment; readonly mode: KeyMode; readonly keyId: string }
  /** A token minted for certain users; `scopes` as in the claim. */
  | {
      readonly kind: "user";
      readonly environment: Environment;
      readonly userIds: readonly string[];
      readonly scopes: readonly string[];
      /** Epoch milliseconds. */
      readonly expiresAt: number;
    }
  /** The publishable key; proves nothing but which environment is meant. */
  | { readonly kind: "public"; readonly environment: Environment };
