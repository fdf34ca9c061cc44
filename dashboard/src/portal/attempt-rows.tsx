/** Attempts in a list; each opens in its place and shows what was sent and what came back. */
import { useId, useState } from "react";
import { type MessageAttemptOut, MessageStatus } from "svix";
import { AttemptDetail } from "./attempt-detail.tsx";
import { answerOf, Badge, StatusBadge, Time } from "./parts.tsx";

interface AttemptRowsProps {
  readonly attempts: readonly MessageAttemptOut[];
  readonly busy: boolean;
  /** One was sent again, and its answer is there. */
  readonly resent: () => void;
  /** Names of endpoints by id, where attempts are at several. */
  readonly endpoints?: ReadonlyMap<string, string>;
}

export function AttemptRows({ attempts, busy, resent, endpoints }: AttemptRowsProps) {
  const [open, setOpen] = useState<string | null>(null);
  return (
    <ul className="rows" aria-busy={busy}>
      {attempts.map((attempt) => (
        <AttemptRow
          key={attempt.id}
          attempt={attempt}
          open={open === attempt.id}
          toggle={() => setOpen(open === attempt.id ? null : attempt.id)}
          resent={resent}
          what={attempt.msg?.eventType ?? endpoints?.get(attempt.endpointId) ?? attempt.url}
        />
      ))}
    </ul>
  );
}

interface AttemptRowProps {
  readonly attempt: MessageAttemptOut;
  readonly open: boolean;
  readonly toggle: () => void;
  readonly resent: () => void;
  readonly what: string;
}

function AttemptRow({ attempt, open, toggle, resent, what }: AttemptRowProps) {
  const id = useId();
  // Zero milliseconds and no answer: a transformation decided before anything was sent.
  const unsent = attempt.responseStatusCode === 0 && attempt.status === MessageStatus.Success;
  return (
    <li>
      <button type="button" className="row attempt-row" aria-expanded={open} aria-controls={id} onClick={toggle}>
        <StatusBadge status={unsent ? MessageStatus.Canceled : attempt.status} />
        <code className="cut attempt-what">{what}</code>
        <span className="attempt-answer">{unsent ? "not sent" : answerOf(attempt.responseStatusCode)}</span>
        <span className="quiet attempt-took">{attempt.responseDurationMs.toLocaleString()} ms</span>
        <span className="attempt-trigger">{attempt.triggerType === 1 && <Badge tone="neutral">manual</Badge>}</span>
        <span className="quiet attempt-time">
          <Time at={attempt.timestamp} />
        </span>
      </button>
      <div id={id} className="row-detail" hidden={!open}>
        {open && <AttemptDetail attempt={attempt} resent={resent} />}
      </div>
    </li>
  );
}
