/** What every part of the portal needs beside the svix client: who is signed in, what they may, how the place looks. */
import { createContext, useContext } from "react";
import type { Capability } from "./session.ts";
import type { PortalSettings } from "./settings.ts";

export interface Portal {
  readonly appId: string;
  readonly settings: PortalSettings;
  /** Whether the token allows it. What it does not allow is not offered; the server refuses it anyway. */
  may(capability: Capability): boolean;
  /**
   * Calls of the API that the svix client has no word for. Paths begin after `/api/v1`.
   * @throws ApiException as the client does.
   */
  call<T>(method: "GET" | "POST", path: string, body?: unknown): Promise<T>;
}

export const PortalContext = createContext<Portal | null>(null);

export function usePortal(): Portal {
  const portal = useContext(PortalContext);
  if (portal === null) throw new Error("usePortal needs a PortalContext around it");
  return portal;
}
