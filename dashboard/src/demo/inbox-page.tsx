import { CourierInbox, CourierToast, useCourier } from "@trycourier/courier-react";
import { useState } from "react";
import { openLink } from "./open-link.ts";
import type { UserKey } from "./server.ts";
import { type Connection, useLiveSession } from "./use-live-session.ts";

const STATUS: { readonly [connection in Connection]: string } = {
  connecting: "Connecting…",
  live: "Live",
  lost: "Reconnecting…",
};

/** One user's inbox and toast: the vendor's components as they are published, pointed at this server. */
export function InboxPage({ user }: { readonly user: UserKey }) {
  const [toastReady, setToastReady] = useState(false);
  const { shared, inbox } = useCourier();
  const { connection, session } = useLiveSession(shared, user, toastReady);

  return (
    <div className="inbox-page">
      <header className="inbox-bar">
        <span className="avatar" aria-hidden="true">
          {session?.name.slice(0, 1) ?? " "}
        </span>
        <h1>{session?.name ?? " "}</h1>
        <code>{session?.userId}</code>
        <output className="status" data-connection={connection}>
          {STATUS[connection]}
        </output>
      </header>
      <main className="inbox-body">
        <CourierInbox
          height="100%"
          mode="system"
          onMessageClick={({ message }) => {
            if (!message.read) void inbox.readMessage(message);
          }}
          onMessageActionClick={({ action }) => openLink(action.href)}
        />
      </main>
      <CourierToast
        mode="system"
        autoDismiss={true}
        autoDismissTimeoutMs={6_000}
        style={{ top: "auto", bottom: "40px", right: "16px", width: "min(340px, calc(100% - 32px))" }}
        onToastItemActionClick={({ action }) => openLink(action.href)}
        onReady={setToastReady}
      />
    </div>
  );
}
