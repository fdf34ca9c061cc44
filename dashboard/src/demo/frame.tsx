import type { ReactNode } from "react";

/** One person's notifications, and whether they are up to date. @param props.live null while the first look is on its way. */
export function Frame(props: {
  readonly name: string;
  readonly userId: string;
  readonly live: boolean | null;
  readonly bodyClass: string;
  readonly children?: ReactNode;
}) {
  const connection = props.live === null ? "connecting" : props.live ? "live" : "lost";
  return (
    <div className="inbox-page">
      <header className="inbox-bar">
        <span className="avatar" aria-hidden="true">
          {props.name.slice(0, 1)}
        </span>
        <h1>{props.name}</h1>
        <code>{props.userId}</code>
        <output className="status" data-connection={connection}>
          {props.live === null ? "Connecting…" : props.live ? "Live" : "Reconnecting…"}
        </output>
      </header>
      <main className={`inbox-body ${props.bodyClass}`}>{props.children}</main>
    </div>
  );
}
