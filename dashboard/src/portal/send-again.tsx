/** Sending many messages again: those that failed, those that were missed, or all of a time. */
import { type FormEvent, useId, useState } from "react";
import type { BackgroundTaskOut, EndpointOut } from "svix";
import { useSvix } from "svix-react";
import { EventTypeSelect } from "./event-types.tsx";
import { Field } from "./parts.tsx";
import { ActionProblem } from "./problem.tsx";
import { useTasks } from "./tasks.tsx";
import { useAction } from "./use-action.ts";

type Kind = "failed" | "missing" | "all";

const KINDS: readonly (readonly [kind: Kind, words: string, help: string])[] = [
  ["failed", "Recover failed messages", "Messages that failed here and never succeeded are tried once more."],
  ["missing", "Replay missing messages", "Messages that were never tried here, such as those from before it existed."],
  ["all", "Replay everything", "Every message once more, also those that arrived. Your receiver will see them twice."],
];

const HOUR_MS = 3_600_000;
const SINCE: readonly (readonly [hours: number, words: string])[] = [
  [1, "the last hour"],
  [6, "the last 6 hours"],
  [24, "the last 24 hours"],
  [72, "the last 3 days"],
  [168, "the last 7 days"],
  [336, "the last 14 days"],
];
const OTHER = "other";

export function SendAgain({ endpoint }: { readonly endpoint: EndpointOut }) {
  const [open, setOpen] = useState(false);
  const id = useId();
  return (
    <section className="send-again">
      <button type="button" className="button" aria-expanded={open} aria-controls={id} onClick={() => setOpen(!open)}>
        Recover or replay…
      </button>
      <div id={id} hidden={!open}>
        {open && <SendAgainForm endpoint={endpoint} started={() => setOpen(false)} />}
      </div>
    </section>
  );
}

function SendAgainForm({ endpoint, started }: { readonly endpoint: EndpointOut; readonly started: () => void }) {
  const { svix, appId } = useSvix();
  const { follow } = useTasks();
  const [kind, setKind] = useState<Kind>("failed");
  const [hours, setHours] = useState("24");
  const [from, setFrom] = useState("");
  const [until, setUntil] = useState("");
  const [eventType, setEventType] = useState("");
  const name = useId();

  const start = useAction(async () => {
    const since = hours === OTHER ? new Date(from) : new Date(Date.now() - Number(hours) * HOUR_MS);
    const range = { since, ...(until === "" || hours !== OTHER ? {} : { until: new Date(until) }) };
    const task = await begin(range);
    follow(task, { endpointId: endpoint.id, label: labelOf(kind) });
    started();
  });

  // The hook for the first of these does not tell which task it started.
  function begin(range: { since: Date; until?: Date }): Promise<Pick<BackgroundTaskOut, "id" | "status">> {
    switch (kind) {
      case "failed":
        return svix.endpoint.recover(appId, endpoint.id, range);
      case "missing":
        return svix.endpoint.replayMissing(appId, endpoint.id, range);
      case "all":
        return svix.endpoint.bulkReplay(appId, endpoint.id, {
          ...range,
          ...(eventType === "" ? {} : { eventTypes: [eventType] }),
        });
    }
  }

  return (
    <form
      className="card pad form"
      onSubmit={(event: FormEvent) => {
        event.preventDefault();
        void start.run();
      }}
    >
      <fieldset className="field">
        <legend>What is to be sent again?</legend>
        {KINDS.map(([one, words, help]) => (
          <label key={one} className="choice tall">
            <input type="radio" name={name} checked={kind === one} onChange={() => setKind(one)} />
            <span>
              {words}
              <span className="hint">{help}</span>
            </span>
          </label>
        ))}
      </fieldset>
      <div className="side-by-side">
        <Field label="Messages of">
          {(ids) => (
            <select {...ids} value={hours} onChange={(event) => setHours(event.target.value)}>
              {SINCE.map(([value, words]) => (
                <option key={value} value={value}>
                  {words}
                </option>
              ))}
              <option value={OTHER}>another time…</option>
            </select>
          )}
        </Field>
        {hours === OTHER && (
          <>
            <Field label="From">
              {(ids) => (
                <input
                  {...ids}
                  type="datetime-local"
                  required
                  value={from}
                  onChange={(event) => setFrom(event.target.value)}
                />
              )}
            </Field>
            <Field label="To" optional>
              {(ids) => (
                <input
                  {...ids}
                  type="datetime-local"
                  value={until}
                  onChange={(event) => setUntil(event.target.value)}
                />
              )}
            </Field>
          </>
        )}
        {kind === "all" && (
          <Field label="Event type">
            {({ id }) => (
              <EventTypeSelect id={id} value={eventType} onChange={setEventType} anyLabel="All event types" />
            )}
          </Field>
        )}
      </div>
      {endpoint.disabled && <p className="notice">The endpoint is disabled: nothing arrives before it is enabled.</p>}
      <ActionProblem error={start.error} />
      <div className="actions">
        <button type="submit" className="button primary" disabled={start.busy}>
          {start.busy ? "Starting…" : labelOf(kind)}
        </button>
      </div>
    </form>
  );
}

function labelOf(kind: Kind): string {
  return KINDS.find(([one]) => one === kind)?.[1] ?? kind;
}
