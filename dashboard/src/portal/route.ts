/** Which part of the portal is shown. It stands in the fragment, so that "back" and reloading work wherever it is embedded. */
import { useSyncExternalStore } from "react";

export type EndpointTab = "activity" | "test" | "transformation" | "settings";

export type Route =
  | { readonly page: "endpoints" }
  | { readonly page: "new-endpoint" }
  | { readonly page: "endpoint"; readonly id: string; readonly tab: EndpointTab }
  | { readonly page: "messages" }
  | { readonly page: "message"; readonly id: string }
  | { readonly page: "event-types" };

const TABS: readonly string[] = ["activity", "test", "transformation", "settings"];

/** @returns the application's id and its part; null for a fragment that is no route. */
export function readRoute(hash: string): { readonly appId: string; readonly route: Route } | null {
  const [, appId = "", ...parts] = hash.replace(/^#/, "").split("/").map(decoded);
  if (!appId.startsWith("app_")) return null;
  return { appId, route: routeOf(parts) };
}

function routeOf([page, id, tab]: readonly string[]): Route {
  if (page === "messages") return id ? { page: "message", id } : { page: "messages" };
  if (page === "event-types") return { page: "event-types" };
  if (page !== "endpoints" || !id) return { page: "endpoints" };
  if (id === "new") return { page: "new-endpoint" };
  return { page: "endpoint", id, tab: TABS.includes(tab ?? "") ? (tab as EndpointTab) : "activity" };
}

/** For `href`. */
export function linkTo(appId: string, ...parts: readonly string[]): string {
  return `#/${[appId, ...parts].map(encodeURIComponent).join("/")}`;
}

export function useHash(): string {
  return useSyncExternalStore(
    (changed) => {
      window.addEventListener("hashchange", changed);
      return () => window.removeEventListener("hashchange", changed);
    },
    () => window.location.hash,
  );
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return "";
  }
}
