import { useEffect, useState } from "react";
import { ConnectCard } from "./connect-card.tsx";
import { SendCard } from "./send-card.tsx";
import { type DemoSetup, type DemoUser, readSetup } from "./server.ts";

/**
 * One person's notifications through three vendors' protocols, and another's beside them. Each in a frame of its own,
 * because the Courier SDK knows one signed-in user per page.
 */
export function DemoPage() {
  const [setup, setSetup] = useState<DemoSetup | null>(null);
  const [failure, setFailure] = useState<string | null>(null);

  useEffect(() => {
    readSetup().then(setSetup, (error: unknown) => setFailure(error instanceof Error ? error.message : String(error)));
  }, []);

  return (
    <div className="demo-page">
      <header className="masthead">
        <Bell />
        <div>
          <h1>Carillon</h1>
          <p>
            Courier’s own inbox and toast and Knock’s own feed, unmodified, and a list that speaks Pushwoosh’s API, all
            talking to this server. Send a message, read it in one, and see it read in the others.
          </p>
        </div>
      </header>

      {failure !== null && (
        <p className="notice" role="alert">
          The server did not answer: {failure}
        </p>
      )}

      {setup !== null && (
        <main className="board">
          <SendCard users={setup.users} />
          {framesOf(setup.users).map(({ title, src, vendor }) => (
            <figure className="card frame" key={src}>
              <figcaption>{vendor}</figcaption>
              <iframe className="inbox-frame" title={title} src={src} />
            </figure>
          ))}
          <ConnectCard apiUrls={setup.apiUrls} users={setup.users} />
        </main>
      )}
    </div>
  );
}

interface Shown {
  readonly vendor: string;
  readonly title: string;
  readonly src: string;
}

/** All of the first person's, then the inbox of everybody else. */
function framesOf(users: readonly DemoUser[]): readonly Shown[] {
  const inbox = ({ key, name }: DemoUser): Shown => {
    return { vendor: "Courier inbox", title: `Inbox of ${name}`, src: `/demo/inbox?user=${key}` };
  };
  const feed = ({ key, name }: DemoUser): Shown => {
    return { vendor: "Knock feed", title: `Feed of ${name}`, src: `/demo/feed?user=${key}` };
  };
  const list = ({ key, name }: DemoUser): Shown => {
    return { vendor: "Pushwoosh list (a client of our own)", title: `List of ${name}`, src: `/demo/list?user=${key}` };
  };
  return users.flatMap((user, i) => (i === 0 ? [inbox(user), feed(user), list(user)] : [inbox(user)]));
}

function Bell() {
  return (
    <svg className="bell" viewBox="0 0 48 48" aria-hidden="true" focusable="false">
      <path
        d="M24 5a3 3 0 0 1 3 3v1.2c5.6 1.4 9.5 6.3 9.5 12.3 0 7.4 1.6 10.2 4 12.6.7.7.2 1.9-.8 1.9H8.3c-1 0-1.5-1.2-.8-1.9 2.4-2.4 4-5.200 4-12.600 0-6 3.9-10.9 9.5-12.3V8a3 3 0 0 1 3-3Z"
        fill="currentColor"
      />
      <path d="M19 39h10a5 5 0 0 1-10 0Z" fill="currentColor" opacity="0.6" />
    </svg>
  );
}
