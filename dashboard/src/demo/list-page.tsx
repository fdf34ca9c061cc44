import { useCallback, useEffect, useState } from "react";
import { Frame } from "./frame.tsx";
import { openLink } from "./open-link.ts";
import {
  DELETED,
  linkOf,
  OPENED,
  type PushwooshInbox,
  type PushwooshMessage,
  READ,
  readInbox,
  setStatus,
} from "./pushwoosh.ts";
import type { DemoSession, UserKey } from "./server.ts";
import { useSession } from "./use-session.ts";

/** The protocol has no push to pages: its clients ask. */
const LOOK_EVERY_MS = 1_000;
const STATUS: { readonly [status: number]: string } = { 1: "delivered", 2: "read", 3: "opened" };

/** One user's inbox as a client of Pushwoosh's API reads it. */
export function ListPage({ user }: { readonly user: UserKey }) {
  const session = useSession(user);
  if (session === null) return <Frame name=" " userId="" live={null} bodyClass="list-body" />;
  return <LiveList session={session} />;
}

function LiveList({ session }: { readonly session: DemoSession }) {
  const { pushwoosh, userId, name } = session;
  const [inbox, setInbox] = useState<PushwooshInbox | null>(null);
  const [live, setLive] = useState<boolean | null>(null);

  const look = useCallback(async (): Promise<void> => {
    try {
      setInbox(await readInbox(pushwoosh, userId));
      setLive(true);
    } catch {
      setLive(false);
    }
  }, [pushwoosh, userId]);

  useEffect(() => {
    void look();
    const timer = window.setInterval(() => void look(), LOOK_EVERY_MS);
    return () => window.clearInterval(timer);
  }, [look]);

  const mark = async (message: PushwooshMessage, status: number): Promise<void> => {
    // What fails is seen at the next look: the list then still says what it said.
    await setStatus(pushwoosh, userId, message.order, status).catch(() => setLive(false));
    await look();
  };

  return (
    <Frame name={name} userId={userId} live={live} bodyClass="list-body">
      {inbox !== null && (
        <>
          <p className="list-count">
            {inbox.new_inbox === 0 ? "Nothing new" : `${inbox.new_inbox} new`} · {inbox.messages.length} in all
          </p>
          <ul className="list">
            {inbox.messages.map((message) => (
              <li key={message.inbox_id} data-status={message.status}>
                <div className="list-text">
                  <strong>{message.title || message.text}</strong>
                  {message.title !== "" && <p>{message.text}</p>}
                </div>
                <span className="list-status">
                  {message.status} {STATUS[message.status]}
                </span>
                <div className="list-actions">
                  <button type="button" onClick={() => void mark(message, READ)} disabled={message.status >= READ}>
                    Read
                  </button>
                  <button
                    type="button"
                    onClick={() => {
                      void mark(message, OPENED);
                      openLink(linkOf(message));
                    }}
                  >
                    Open
                  </button>
                  <button type="button" onClick={() => void mark(message, DELETED)}>
                    Remove
                  </button>
                </div>
              </li>
            ))}
          </ul>
        </>
      )}
    </Frame>
  );
}
