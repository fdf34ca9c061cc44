import { useCallback, useEffect, useRef, useState } from "react";

export interface Loaded<T> {
  readonly data: T | undefined;
  readonly error: unknown;
  readonly loading: boolean;
  reload(): void;
}

/**
 * For what svix-react has no hook for, in the shape of its hooks.
 * @param load asked anew whenever it is another function, so it has to be memoised.
 */
export function useLoaded<T>(load: () => Promise<T>): Loaded<T> {
  const [state, setState] = useState<Omit<Loaded<T>, "reload">>({ data: undefined, error: undefined, loading: true });
  const asked = useRef(0);

  const reload = useCallback(() => {
    const mine = ++asked.current;
    setState((before) => ({ ...before, loading: true }));
    load().then(
      (data) => mine === asked.current && setState({ data, error: undefined, loading: false }),
      (error: unknown) => mine === asked.current && setState(({ data }) => ({ data, error, loading: false })),
    );
  }, [load]);

  useEffect(() => {
    reload();
    // Whatever is still under way is of no interest any more.
    return () => {
      asked.current++;
    };
  }, [reload]);

  return { ...state, reload };
}
