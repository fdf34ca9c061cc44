/** Pages of things that may be large: cut short before they hold more than a page ought to, whatever was asked for. */
import type { Walk, Walked } from "../../engine/webhooks/ports.ts";

/** A page ends with the item that reaches this. In UTF-16 units of content. */
const MAX_PAGE_CHARACTERS = 8_000_000;
/** So many items are read at first; four times as many with each further step while they turn out to be small. */
const FIRST_STEP = 10;

/**
 * Reads a page in steps, so that 250 payloads of megabytes are not in memory at once. A page that is cut short is
 * followed by another, which is all a client needs to know.
 * @param key of an item, as walks have it. @param size of an item, in characters of content.
 */
export async function contentPage<T>(
  walk: Walk,
  key: (item: T) => string,
  size: (item: T) => number,
  read: (walk: Walk) => Promise<Walked<T>>,
): Promise<Walked<T>> {
  const back = walk.from?.back ?? false;
  const pages: (readonly T[])[] = [];
  let { from } = walk;
  let left = walk.limit;
  let characters = 0;
  let step = FIRST_STEP;
  for (;;) {
    const page = await read({ ...walk, from, limit: Math.min(step, left) });
    pages.push(page.items);
    left -= page.items.length;
    for (const item of page.items) characters += size(item);
    // Against the order of the list, the page's first item is the one that was reached last.
    const reached = back ? page.items[0] : page.items.at(-1);
    if (!page.more || left <= 0 || reached === undefined || characters >= MAX_PAGE_CHARACTERS) {
      return { items: back ? pages.reverse().flat() : pages.flat(), more: page.more };
    }
    from = { key: key(reached), back };
    step = characters > MAX_PAGE_CHARACTERS / 16 ? FIRST_STEP : step * 4;
  }
}
