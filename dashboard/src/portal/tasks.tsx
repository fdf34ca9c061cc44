/** Work that goes on in the background: followed from wherever it was started until it has ended, also over a reload. */
import { createContext, type ReactNode, useCallback, useContext, useEffect, useMemo, useState } from "react";
import type { BackgroundTaskOut } from "svix";
import { useSvix } from "svix-react";
import { usePortal } from "./portal-context.ts";
import { keep, kept } from "./session.ts";

export interface FollowedTask {
  readonly id: string;
  readonly endpointId: string;
  readonly label: string;
  /** `unseen`: it goes on, but this token is not told how far it is. */
  readonly state: "running" | "finished" | "failed" | "unseen";
  /** Messages sent so far. */
  readonly sent: number;
  /** How often it was time, since its end, to look for what came of what it sent. */
  readonly echoes: number;
}

interface Tasks {
  readonly tasks: readonly FollowedTask[];
  follow(task: Pick<BackgroundTaskOut, "id" | "status">, about: Pick<FollowedTask, "endpointId" | "label">): void;
  forget(id: string): void;
}

const LOOK_EVERY_MS = 1_000;
/** A task ends when all is handed over; the tries themselves come after that. */
const ECHOES_MS: readonly number[] = [700, 1_500, 3_000, 6_000];
const MAX_FOLLOWED = 20;
const STORED = "carillon.portal.tasks.";

const TasksContext = createContext<Tasks | null>(null);

export function useTasks(): Tasks {
  const tasks = useContext(TasksContext);
  if (tasks === null) throw new Error("useTasks needs a TasksProvider around it");
  return tasks;
}

export function TasksProvider({ children }: { readonly children: ReactNode }) {
  const { appId } = usePortal();
  const [tasks, setTasks] = useState<readonly FollowedTask[]>(() => kept(STORED + appId) ?? []);
  useEffect(() => keep(STORED + appId, tasks), [appId, tasks]);

  const update = useCallback((id: string, change: Partial<FollowedTask>) => {
    setTasks((all) => all.map((task) => (task.id === id ? { ...task, ...change } : task)));
  }, []);
  const follow = useCallback<Tasks["follow"]>(({ id, status }, about) => {
    const state = status === "running" ? "running" : (status as FollowedTask["state"]);
    setTasks((all) =>
      [{ id, ...about, state, sent: 0, echoes: 0 }, ...all.filter((task) => task.id !== id)].slice(0, MAX_FOLLOWED),
    );
  }, []);
  const forget = useCallback((id: string) => setTasks((all) => all.filter((task) => task.id !== id)), []);

  const value = useMemo(() => ({ tasks, follow, forget }), [tasks, follow, forget]);
  return (
    <TasksContext value={value}>
      {tasks.map(
        ({ id, state, echoes }) =>
          (state === "running" || echoes < ECHOES_MS.length) && <Watch key={id} id={id} update={update} />,
      )}
      {children}
    </TasksContext>
  );
}

/** Asks how far a task is until it has ended, and a little longer; shows nothing. */
function Watch({
  id,
  update,
}: {
  readonly id: string;
  readonly update: (id: string, to: Partial<FollowedTask>) => void;
}) {
  const { svix } = useSvix();
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    let wanted = true;
    const look = async (): Promise<void> => {
      try {
        const { status, data } = await svix.backgroundTask.get(id);
        if (!wanted) return;
        const sent = Number((data as { readonly messagesSent?: unknown } | null)?.messagesSent ?? 0);
        update(id, { sent, state: status as FollowedTask["state"] });
        if (status !== "running") return echo(0);
      } catch (error) {
        if (!wanted) return;
        const code = (error as { readonly code?: unknown }).code;
        if (code === 403 || code === 404) {
          update(id, { state: "unseen" });
          return echo(0);
        }
        // Anything else passes: the next look may tell more.
      }
      timer = setTimeout(look, LOOK_EVERY_MS);
    };
    const echo = (heard: number): void => {
      timer = setTimeout(() => {
        update(id, { echoes: heard + 1 });
        if (heard + 1 < ECHOES_MS.length) echo(heard + 1);
      }, ECHOES_MS[heard]);
    };
    void look();
    return () => {
      wanted = false;
      clearTimeout(timer);
    };
  }, [svix, id, update]);
  return null;
}

const WORDS: { readonly [state in FollowedTask["state"]]: string } = {
  running: "Running",
  finished: "Finished",
  failed: "Stopped by an error",
  unseen: "Started",
};

export function TaskList({ endpointId }: { readonly endpointId: string }) {
  const { tasks, forget } = useTasks();
  const here = tasks.filter((task) => task.endpointId === endpointId);
  return (
    <ul className="tasks" aria-label="Recoveries and replays">
      {here.map(({ id, label, state, sent }) => (
        <li key={id} className="card task" data-state={state}>
          <div className="task-line">
            <strong>{label}</strong>
            <span role="status">
              {WORDS[state]}
              {state !== "unseen" && ` · ${sent.toLocaleString()} ${sent === 1 ? "message" : "messages"} sent again`}
            </span>
            {state !== "running" && (
              <button type="button" className="button small" onClick={() => forget(id)}>
                Dismiss
              </button>
            )}
          </div>
          {state === "running" && <div className="progress" role="progressbar" aria-label={label} />}
        </li>
      ))}
    </ul>
  );
}
