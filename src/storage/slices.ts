import { TimeSlice } from "../lib/time-slice.ts";

/** How long reading keeps sockets and other requests waiting at a stretch. */
const SLICE_MS = 20;

/**
 * Reads what may be long in slices, one read each: the embedded database answers within our own thread.
 * @param read is given the key to go on after, and returns the next one, or null at the end.
 */
export async function inSlices(first: string, read: (after: string) => Promise<string | null>): Promise<void> {
  const slice = new TimeSlice(SLICE_MS);
  for (let after: string | null = first; after !== null; ) {
    after = await read(after);
    if (after !== null && slice.over) await slice.rest();
  }
}
