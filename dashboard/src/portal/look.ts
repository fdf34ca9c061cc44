/** The colours, letters and corners that the environment or the embedding page asks for, put into the style sheet. */
import { onAccent, readable, readColour } from "./colour.ts";
import type { Scheme } from "./scheme.ts";
import type { Palette, PortalSettings } from "./settings.ts";

/** The environment's names for colours, and which of ours they are. */
const TOKENS: { readonly [part: string]: string } = {
  backgroundPrimary: "--surface",
  backgroundSecondary: "--ground",
  backgroundHover: "--hover",
  textPrimary: "--text",
  textSecondary: "--muted",
  textDanger: "--bad",
  borderPrimary: "--line",
};

const RADII: { readonly [name: string]: string } = { none: "0", sm: "3px", md: "6px", lg: "12px", full: "999px" };
/** A card with half circles for ends is no card. */
const MAX_CARD_RADIUS = { full: "20px" };
const SURFACES: { readonly [scheme in Scheme]: string } = { light: "#ffffff", dark: "#1a1b1e" };
const FONT_FAMILY = /^[a-zA-Z0-9\-_ ]{1,100}$/;
const FONT_SIZES = { min: 10, max: 22 };

/**
 * Every custom property that differs from the style sheet's own, by name. What is no colour, no name of a font and so
 * on is left out: whatever it is, nothing of it reaches the style sheet.
 * @param query of the page; it counts more than the settings.
 */
export function customProperties(
  settings: PortalSettings,
  query: URLSearchParams,
  scheme: Scheme,
): ReadonlyMap<string, string> {
  const palette: Palette = (scheme === "dark" ? settings.colorPaletteDark : settings.colorPaletteLight) ?? {};
  const found = new Map<string, string>();
  for (const [part, token] of Object.entries(TOKENS)) {
    const colour = readColour(palette[part]);
    if (colour !== null) found.set(token, colour.css);
  }
  const surface = readColour(palette.backgroundPrimary) ?? readColour(SURFACES[scheme]);
  const primary =
    readColour(query.get("primaryColor")) ?? readColour(palette.primary) ?? readColour(settings.customColor);
  const button = readColour(palette.buttonPrimary) ?? primary;
  const link = readColour(palette.interactiveAccent) ?? primary;
  const navigation = readColour(palette.navigationAccent) ?? primary;
  if (primary !== null) found.set("--accent", primary.css);
  if (button !== null) {
    found.set("--button", button.css);
    found.set("--on-button", onAccent(button));
  }
  if (link !== null && surface !== null) found.set("--link", readable(link, surface));
  if (navigation !== null) found.set("--navigation", navigation.css);

  const font = query.get("fontFamily") ?? settings.customFontFamily;
  if (font !== null && FONT_FAMILY.test(font)) found.set("--font", `"${font}", system-ui, sans-serif`);
  const size = settings.customThemeOverride?.fontSize?.base;
  if (typeof size === "number") {
    found.set("--base-size", `${Math.min(FONT_SIZES.max, Math.max(FONT_SIZES.min, size))}px`);
  }
  const corners = settings.customThemeOverride?.borderRadius ?? {};
  for (const part of ["button", "card", "input"]) {
    const name = corners[part] ?? "";
    const radius = part === "card" && name === "full" ? MAX_CARD_RADIUS.full : RADII[name];
    if (radius !== undefined) found.set(`--radius-${part}`, radius);
  }
  return found;
}

/**
 * A picture for the head of the page: one that this server has or that stands in the address itself. Pictures of other
 * hosts are not asked for: nobody but this server learns who looks at a portal.
 */
export function ownPicture(...addresses: readonly (string | null)[]): string | null {
  for (const address of addresses) {
    if (address === null || !URL.canParse(address, window.location.href)) continue;
    const url = new URL(address, window.location.href);
    if (/^data:image\//i.test(url.href) || url.origin === window.location.origin) return url.href;
  }
  return null;
}
