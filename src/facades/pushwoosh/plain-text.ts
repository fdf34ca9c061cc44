/**
 * Widgets of this vendor put titles, texts and pictures into a page without escaping them, so that no markup may leave
 * here. Entities are not used in its place: phones would show them as they are.
 */

const BEGINS_TAG = /[a-zA-Z/!?]/;
// Quotes, brackets, blanks and control characters end an attribute, quoted or not.
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it is about
const UNSAFE_IN_ATTRIBUTE = /["'<>`\s\u0000-\u001f\u007f]/;
const SCHEME = /^([a-z][a-z0-9+.-]*):/i;
const RUNS_SCRIPT = /^(?:javascript|vbscript|data):/i;
// What browsers drop from an address before they look at its scheme.
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it is about
const IGNORED = /[\u0000-\u0020\u007f\u00ad\u200b-\u200f\u2028\u2029\ufeff]/g;

/**
 * The text without HTML tags; a `<` that begins none stays. What is left of a tag that is taken out of another does not
 * become a tag again, and one that never ends is taken out to the end of the text.
 */
export function withoutTags(text: string): string {
  let at = text.indexOf("<");
  if (at < 0) return text;
  // Every `<` is a piece of its own, so that one which turns out to begin a tag is taken back without looking again.
  const left = [text.slice(0, at)];
  while (at < text.length) {
    const next = text[at] as string;
    if (left.at(-1) === "<" && BEGINS_TAG.test(next)) {
      left.pop();
      const end = text.indexOf(">", at);
      if (end < 0) break;
      at = end + 1;
      continue;
    }
    const end = next === "<" ? at + 1 : endOfPlain(text, at);
    left.push(text.slice(at, end));
    at = end;
  }
  return left.join("");
}

function endOfPlain(text: string, from: number): number {
  const bracket = text.indexOf("<", from);
  return bracket < 0 ? text.length : bracket;
}

/** The address of a picture from the web or beside the page; `""` for any other. */
export function safeImage(address: string): string {
  if (address === "" || UNSAFE_IN_ATTRIBUTE.test(address)) return "";
  const scheme = SCHEME.exec(address)?.[1]?.toLowerCase();
  return scheme === undefined || scheme === "http" || scheme === "https" ? address : "";
}

/** Whether following the link would run a script. Apps' own schemes are fine. */
export function runsScript(link: string): boolean {
  return RUNS_SCRIPT.test(link.replace(IGNORED, ""));
}
