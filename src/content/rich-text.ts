/** Text with markup, read once and filled with values for each message. */
import type { Rendering } from "./handlebars/evaluate.ts";
import { parseTemplate, type Template, VALUE_CLOSE, VALUE_OPEN } from "./handlebars/parse.ts";
import { type Block, parseMarkdown } from "./markdown/parse.ts";

export interface FilledText {
  readonly blocks: readonly Block[];
  /** What the numbers in the pieces of `blocks` stand for. */
  readonly values: readonly string[];
}

export interface RichText {
  /** True when it says the same to everyone. */
  readonly constant: boolean;
  /** @throws RenderError */
  fill(rendering: Rendering): FilledText;
}

/** How many wordings of a text with blocks are remembered as read; `{{#if}}…{{else}}…` has two. */
const REMEMBERED = 16;
const REMEMBERED_LENGTH = 10_000;
const NO_VALUES: readonly string[] = [];

/** Markdown in which values are never taken for markup. */
export function markdownText(source: string): RichText {
  const template = parseTemplate(source);
  return template.flat ? flatText(template) : changingText(template);
}

const CACHE_LIMIT = 200;
const cache = new Map<string, RichText>();

/** As `markdownText`, remembering short texts: for those that come with the context, such as a brand's footer. */
export function cachedMarkdownText(source: string): RichText {
  if (source.length > REMEMBERED_LENGTH) return markdownText(source);
  let text = cache.get(source);
  if (text === undefined) {
    text = markdownText(source);
    if (cache.size >= CACHE_LIMIT) cache.delete(cache.keys().next().value as string);
    cache.set(source, text);
  }
  return text;
}

function flatText(template: Template): RichText {
  let count = 0;
  const marked = template.parts.map((part) => (typeof part === "string" ? part : VALUE_OPEN + count++ + VALUE_CLOSE));
  const blocks = parseMarkdown(marked.join(""));
  const constant = count === 0 && template.fault === null;
  return {
    constant,
    fill: (rendering) => {
      const values = rendering.values(template);
      return { blocks, values: constant ? NO_VALUES : values };
    },
  };
}

/** Blocks and snippets decide what the text is, so it can be read as markdown only when they have decided. */
function changingText(template: Template): RichText {
  const read = new Map<string, readonly Block[]>();
  return {
    constant: false,
    fill: (rendering) => {
      const values: string[] = [];
      const marked = rendering.printMarked(template, values);
      let blocks = read.get(marked);
      if (blocks === undefined) {
        blocks = parseMarkdown(marked);
        if (read.size < REMEMBERED && marked.length <= REMEMBERED_LENGTH) read.set(marked, blocks);
      }
      return { blocks, values };
    },
  };
}
