import { useEffect, useState } from "react";
import { type DemoSession, openSession, type UserKey } from "./server.ts";

const RETRY_MS = 2_000;

/** Asks until the server answers; null until then. */
export function useSession(user: UserKey): DemoSession | null {
  const [session, setSession] = useState<DemoSession | null>(null);
  useEffect(() => {
    let timer: number | undefined;
    let stopped = false;
    const open = (): void => {
      openSession(user).then(
        (opened) => {
          if (!stopped) setSession(opened);
        },
        () => {
          if (!stopped) timer = window.setTimeout(open, RETRY_MS);
        },
      );
    };
    open();
    return () => {
      stopped = true;
      window.clearTimeout(timer);
    };
  }, [user]);
  return session;
}
