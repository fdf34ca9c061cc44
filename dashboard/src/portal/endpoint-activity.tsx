/** What an endpoint was sent, what came of it, and sending it again. */
import { useEffect, useState } from "react";
import type { EndpointOut } from "svix";
import { useEndpointStats } from "svix-react";
import { EndpointAttempts } from "./endpoint-attempts.tsx";
import { usePortal } from "./portal-context.ts";
import { LoadProblem, Retryable } from "./problem.tsx";
import { SendAgain } from "./send-again.tsx";
import { TaskList, useTasks } from "./tasks.tsx";

export function EndpointActivity({ endpoint }: { readonly endpoint: EndpointOut }) {
  const { may } = usePortal();
  const { tasks } = useTasks();
  // Whenever a task has got further there is something new to see.
  const progress = tasks
    .filter(({ endpointId }) => endpointId === endpoint.id)
    .map(({ id, sent, state, echoes }) => `${id} ${sent} ${state} ${echoes}`)
    .join();
  const [looked, setLooked] = useState(0);
  return (
    <>
      <Retryable>
        <Stats endpointId={endpoint.id} news={`${progress} ${looked}`} />
      </Retryable>
      {may("CreateAttempts") && <SendAgain endpoint={endpoint} />}
      <TaskList endpointId={endpoint.id} />
      <EndpointAttempts endpointId={endpoint.id} news={progress} looked={() => setLooked((count) => count + 1)} />
    </>
  );
}

/** Calls `reload` whenever `news` is other than it was. */
export function useNews(news: string, reload: () => void): void {
  const [heard, setHeard] = useState(news);
  useEffect(() => {
    if (heard === news) return;
    setHeard(news);
    reload();
  }, [heard, news, reload]);
}

function Stats({ endpointId, news }: { readonly endpointId: string; readonly news: string }) {
  const { data, error, reload } = useEndpointStats(endpointId);
  useNews(news, reload);
  if (data === undefined)
    return error === undefined ? <div className="stats card" aria-busy /> : <LoadProblem error={error} />;
  const { success, fail } = data;
  const tried = success + fail;
  const share = tried === 0 ? null : (100 * success) / tried;
  return (
    <section className="stats card" aria-label="Attempts of the last 28 days">
      <Figure label="Attempts, 28 days" value={tried} />
      <Figure label="Succeeded" value={success} tone="good" />
      <Figure label="Failed" value={fail} tone={fail > 0 ? "bad" : undefined} />
      <div className="figure wide">
        <span className="label">Success rate</span>
        <span className="value">
          {share === null ? "–" : `${share.toLocaleString(undefined, { maximumFractionDigits: 1 })} %`}
        </span>
        <span className="meter" aria-hidden="true">
          {share !== null && <span className="fill" style={{ width: `${share}%` }} />}
        </span>
      </div>
    </section>
  );
}

function Figure({ label, value, tone }: { readonly label: string; readonly value: number; readonly tone?: string }) {
  return (
    <div className="figure">
      <span className="label">{label}</span>
      <span className="value" data-tone={tone}>
        {value.toLocaleString()}
      </span>
    </div>
  );
}
