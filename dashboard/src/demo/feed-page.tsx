import { KnockFeedProvider, KnockProvider, NotificationFeed, useKnockFeed } from "@knocklabs/react";
import { useEffect, useState, useSyncExternalStore } from "react";
import { Frame } from "./frame.tsx";
import { openLink } from "./open-link.ts";
import type { DemoSession, UserKey } from "./server.ts";
import { useSession } from "./use-session.ts";

const LOOK_EVERY_MS = 500;

/** One user's feed: Knock's components as they are published, pointed at this server. */
export function FeedPage({ user }: { readonly user: UserKey }) {
  const session = useSession(user);
  const colorMode = useColorMode();
  if (session === null) return <Frame name=" " userId="" live={null} bodyClass="feed-body" />;
  const { feed } = session;
  return (
    <KnockProvider apiKey={feed.publicKey} host={feed.host} userId={session.userId}>
      <KnockFeedProvider feedId={feed.channelId} colorMode={colorMode}>
        <LiveFrame session={session} />
      </KnockFeedProvider>
    </KnockProvider>
  );
}

function LiveFrame({ session }: { readonly session: DemoSession }) {
  const { feedClient } = useKnockFeed();
  const [live, setLive] = useState<boolean | null>(null);
  useEffect(() => {
    const look = (): void => {
      const isLive = feedClient.knock.client().socket?.isConnected() ?? false;
      setLive((before) => (isLive ? true : before === null ? null : false));
    };
    const timer = window.setInterval(look, LOOK_EVERY_MS);
    return () => window.clearInterval(timer);
  }, [feedClient]);
  return (
    <Frame name={session.name} userId={session.userId} live={live} bodyClass="feed-body">
      <NotificationFeed onNotificationClick={(item) => openLink(actionUrlOf(item.blocks))} />
    </Frame>
  );
}

function actionUrlOf(blocks: readonly { readonly name: string; readonly rendered?: string }[]): string | undefined {
  return blocks.find(({ name }) => name === "action_url")?.rendered;
}

const DARK = window.matchMedia("(prefers-color-scheme: dark)");

function useColorMode(): "dark" | "light" {
  return useSyncExternalStore(
    (changed) => {
      DARK.addEventListener("change", changed);
      return () => DARK.removeEventListener("change", changed);
    },
    () => (DARK.matches ? "dark" : "light"),
  );
}
