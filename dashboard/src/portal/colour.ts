/** Colours that others chose, made legible. */

export interface Colour {
  /** `#rrggbb`. */
  readonly css: string;
  readonly rgb: readonly [number, number, number];
}

const BARE_HEX = /^(?:[0-9a-f]{3}|[0-9a-f]{6})$/i;
/** What WCAG asks of text against its ground. */
const CONTRAST = 4.5;

/** Any colour that CSS knows, and hexadecimal digits without the `#`. Null for everything else. */
export function readColour(text: string | null | undefined): Colour | null {
  if (text === null || text === undefined || text.length > 64) return null;
  const css = BARE_HEX.test(text) ? `#${text}` : text;
  // `currentcolor` and the like are none of their own.
  if (!CSS.supports("color", css) || /^(?:currentcolor|inherit|initial|unset|revert|var)/i.test(css)) return null;
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 1;
  const context = canvas.getContext("2d");
  if (context === null) return null;
  context.fillStyle = css;
  context.fillRect(0, 0, 1, 1);
  const [r = 0, g = 0, b = 0] = context.getImageData(0, 0, 1, 1).data;
  return colourOf([r, g, b]);
}

/** Black or white, whichever is easier to read on the colour. */
export function onAccent(colour: Colour): string {
  const light = luminance(colour.rgb);
  return 1.05 / (light + 0.05) >= (light + 0.05) / 0.05 ? "#ffffff" : "#16130f";
}

/** The colour, moved towards black or white until it can be read on the ground. */
export function readable(colour: Colour, ground: Colour): string {
  const target = luminance(ground.rgb) > 0.4 ? 0 : 255;
  let { rgb } = colour;
  for (let step = 0; step < 20 && contrast(rgb, ground.rgb) < CONTRAST; step++) {
    rgb = rgb.map((part) => Math.round(part + (target - part) * 0.12)) as [number, number, number];
  }
  return colourOf(rgb).css;
}

function contrast(a: Colour["rgb"], b: Colour["rgb"]): number {
  const [light, dark] = [luminance(a), luminance(b)].sort((x, y) => y - x) as [number, number];
  return (light + 0.05) / (dark + 0.05);
}

/** Relative luminance as WCAG defines it. */
function luminance(rgb: Colour["rgb"]): number {
  const [r, g, b] = rgb.map((part) => {
    const share = part / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  }) as [number, number, number];
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

function colourOf(rgb: readonly [number, number, number]): Colour {
  return { rgb, css: `#${rgb.map((part) => part.toString(16).padStart(2, "0")).join("")}` };
}
