/** Waiting for what comes of something that was just sent. */
import { useCallback, useEffect, useRef, useState } from "react";
import { type MessageAttemptOut, MessageStatus } from "svix";
import { useSvix } from "svix-react";
import { answerOf } from "./parts.tsx";

const LOOK_EVERY_MS = 700;
/** A receiver has some seconds for its answer; whoever waits longer finds it in the list. */
const LOOK_FOR_MS = 20_000;

export interface AwaitedAnswer {
  readonly state: "idle" | "waiting" | "here" | "late";
  readonly attempt: MessageAttemptOut | null;
  /**
   * Sends, and waits for an attempt that was not there before. Ends after some time without one.
   * @param send tells the message's id when that becomes known with the sending, otherwise null.
   */
  await(send: () => Promise<string | null>): Promise<void>;
}

/**
 * @param messageId null when there is no message before it is sent.
 * @param came told when the answer is there.
 */
export function useAnswer(messageId: string | null, endpointId: string, came: () => void): AwaitedAnswer {
  const { svix, appId } = useSvix();
  const [state, setState] = useState<Omit<AwaitedAnswer, "await">>({ state: "idle", attempt: null });
  const round = useRef(0);
  const latest = useRef(came);
  latest.current = came;
  useEffect(() => {
    return () => {
      round.current++;
    };
  }, []);

  const start = useCallback(
    async (send: () => Promise<string | null>) => {
      const mine = ++round.current;
      const newest = async (id: string): Promise<MessageAttemptOut | null> =>
        (await svix.messageAttempt.listByMsg(appId, id, { endpointId, limit: 1 })).data[0] ?? null;
      const before = messageId === null ? null : await newest(messageId);
      const id = (await send()) ?? messageId;
      if (id === null) throw new Error("There is no message to wait for");
      setState({ state: "waiting", attempt: null });
      const until = Date.now() + LOOK_FOR_MS;
      const look = async (): Promise<void> => {
        // What goes wrong here went wrong with the looking; the sending is done.
        const attempt = await newest(id).catch(() => null);
        if (mine !== round.current) return;
        if (attempt !== null && attempt.id !== before?.id) {
          setState({ state: "here", attempt });
          latest.current();
        } else if (Date.now() > until) setState({ state: "late", attempt: null });
        else setTimeout(look, LOOK_EVERY_MS);
      };
      void look();
    },
    [svix, appId, messageId, endpointId],
  );
  return { ...state, await: start };
}

export function Answer({ answer: { state, attempt } }: { readonly answer: AwaitedAnswer }) {
  return (
    <span className="answer" role="status" data-tone={attempt === null ? undefined : toneOf(attempt)}>
      {state === "waiting" && "Sent. Waiting for the answer…"}
      {state === "late" && "Sent. There is no attempt yet; it will be listed when there is."}
      {attempt !== null && `${wordOf(attempt)} in ${attempt.responseDurationMs.toLocaleString()} ms`}
    </span>
  );
}

function toneOf({ status }: MessageAttemptOut): string {
  return status === MessageStatus.Success ? "good" : "bad";
}

function wordOf({ status, responseStatusCode }: MessageAttemptOut): string {
  const answer = answerOf(responseStatusCode);
  return status === MessageStatus.Success ? `Succeeded: ${answer}` : `Failed: ${answer}`;
}
