/** Text of any size that somebody else wrote: laid out if it is JSON, and no more of it at once than can be looked at. */
import { useMemo, useState } from "react";
import { layOutJson } from "./json-layout.ts";
import { Copy } from "./parts.tsx";

/** More of it in one element makes browsers slow. */
const SHOWN_AT_ONCE = 40_000;
const MAX_SHOWN = 400_000;

export function Content({ label, text }: { readonly label: string; readonly text: string }) {
  const [shown, setShown] = useState(SHOWN_AT_ONCE);
  const visible = useMemo(() => layOutJson(text, shown), [text, shown]);
  const whole = visible.length < shown;
  return (
    <figure className="content">
      <figcaption>
        <span>
          {label} <span className="quiet">{sizeOf(text)}</span>
        </span>
        <Copy text={text} what={label.toLowerCase()} />
      </figcaption>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, so the keyboard has to get there */}
      <section className="scroll" tabIndex={0} aria-label={label}>
        <pre>{visible}</pre>
      </section>
      {!whole && (
        <p className="hint">
          Only the beginning is shown.{" "}
          {shown < MAX_SHOWN ? (
            <button type="button" className="button small" onClick={() => setShown(MAX_SHOWN)}>
              Show more
            </button>
          ) : (
            "Copy it to see the rest."
          )}
        </p>
      )}
    </figure>
  );
}

function sizeOf(text: string): string {
  const bytes = new Blob([text]).size;
  if (bytes < 1_000) return `${bytes} B`;
  return bytes < 1_000_000 ? `${(bytes / 1_000).toFixed(1)} kB` : `${(bytes / 1_000_000).toFixed(2)} MB`;
}
