import type { useCourier } from "@trycourier/courier-react";
import { useEffect, useState } from "react";
import { type DemoSession, openSession, type UserKey } from "./server.ts";

/**
 *   connecting ──(socket opens)──▶ live ──(socket closes)──▶ lost ──(signed in again)──▶ connecting
 *        └──(no socket in time, or the server does not answer)──▶ lost
 */
export type Connection = "connecting" | "live" | "lost";

/** The SDK's one client of this page, as its React package hands it out. */
type SharedCourier = ReturnType<typeof useCourier>["shared"];

const LOOK_EVERY_MS = 500;
/** How long a sign-in may take to bring up its socket before it is tried anew. */
const PATIENCE_MS = 10_000;
const LONGEST_PAUSE_MS = 15_000;

/**
 * Signs the page's one Courier client in and keeps it signed in.
 *
 * When a socket closes, the SDK forgets all its listeners; it reconnects by itself, but inbox and toast stay deaf.
 * Signing in again, with a fresh token, is what makes them listen and load what they missed. So this watches the
 * socket and signs in sooner than the SDK would retry (30 s).
 *
 * @param ready false until the components are mounted: a toast that mounts late would miss the first message.
 */
export function useLiveSession(
  courier: SharedCourier,
  user: UserKey,
  ready: boolean,
): { readonly connection: Connection; readonly session: DemoSession | null } {
  const [connection, setConnection] = useState<Connection>("connecting");
  const [session, setSession] = useState<DemoSession | null>(null);

  useEffect(() => {
    if (!ready) return;
    let stopped = false;
    let timer: number | undefined;
    let failures = 0;

    const signIn = async (): Promise<void> => {
      try {
        const opened = await openSession(user);
        if (stopped) return;
        setSession(opened);
        courier.signIn({ userId: opened.userId, jwt: opened.jwt, apiUrls: opened.apiUrls });
        watch(Date.now() + PATIENCE_MS, false);
      } catch {
        // Whatever it was, trying again is all there is to do; the page says meanwhile that it is not live.
        if (!stopped) retry();
      }
    };

    const watch = (deadline: number, wasOpen: boolean): void => {
      const open = courier.client?.inbox.socket?.isOpen === true;
      if (open && !wasOpen) {
        failures = 0;
        setConnection("live");
      }
      if (!open && (wasOpen || Date.now() > deadline)) retry();
      else timer = window.setTimeout(() => watch(deadline, open), LOOK_EVERY_MS);
    };

    const retry = (): void => {
      setConnection("lost");
      const pauseMs = Math.min(LONGEST_PAUSE_MS, 1_000 * 2 ** failures++);
      timer = window.setTimeout(() => void signIn(), pauseMs);
    };

    void signIn();
    return () => {
      stopped = true;
      window.clearTimeout(timer);
      courier.signOut();
    };
  }, [courier, user, ready]);

  return { connection, session };
}
