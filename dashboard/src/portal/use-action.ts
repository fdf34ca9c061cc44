import { useCallback, useRef, useState } from "react";

export interface Action<A extends unknown[]> {
  readonly busy: boolean;
  /** Of the last run; undefined while it runs. */
  readonly error: unknown;
  readonly done: boolean;
  /** Never rejects. @returns whether it worked; a run while another is under way does nothing. */
  run(...args: A): Promise<boolean>;
  reset(): void;
}

/** Something a button does: once at a time, and what went wrong is shown beside it. */
export function useAction<A extends unknown[]>(work: (...args: A) => Promise<unknown>): Action<A> {
  const [state, setState] = useState<Pick<Action<A>, "busy" | "error" | "done">>(IDLE);
  const busy = useRef(false);
  const latest = useRef(work);
  latest.current = work;

  const run = useCallback(async (...args: A) => {
    if (busy.current) return false;
    busy.current = true;
    setState({ ...IDLE, busy: true });
    try {
      await latest.current(...args);
      setState({ ...IDLE, done: true });
      return true;
    } catch (error) {
      setState({ ...IDLE, error });
      return false;
    } finally {
      busy.current = false;
    }
  }, []);
  const reset = useCallback(() => setState(IDLE), []);
  return { ...state, run, reset };
}

const IDLE = { busy: false, error: undefined, done: false };
