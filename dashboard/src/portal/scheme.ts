/** Light or dark: what the query says, otherwise what the visitor's system prefers. */
import { isEmbedded } from "./frame.ts";

export type Scheme = "light" | "dark";

/** Sets `data-scheme` on the document and keeps it right when the system changes its mind. */
export function applyScheme(): void {
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const asked = new URLSearchParams(window.location.search).get("darkMode");
  const apply = (): void => {
    document.documentElement.dataset.scheme = schemeFor(asked, isEmbedded, dark.matches);
  };
  dark.addEventListener("change", apply);
  apply();
}

/**
 * @param asked `darkMode` of the query. svix-react leaves it out for light, so its absence inside of a frame means that;
 * a page that stands for itself follows the system.
 */
export function schemeFor(asked: string | null, embedded: boolean, systemIsDark: boolean): Scheme {
  if (asked === "true") return "dark";
  if (asked === "false" || (asked === null && embedded)) return "light";
  return systemIsDark ? "dark" : "light";
}

/** Calls back with each change of the scheme. @returns how to stop that. */
export function onScheme(changed: (scheme: Scheme) => void): () => void {
  const observer = new MutationObserver(() => changed(currentScheme()));
  observer.observe(document.documentElement, { attributeFilter: ["data-scheme"] });
  return () => observer.disconnect();
}

export function currentScheme(): Scheme {
  return document.documentElement.dataset.scheme === "dark" ? "dark" : "light";
}
