import { useCallback } from "react";
import { ApiException } from "svix";
import { Content } from "./content.tsx";
import { Loading } from "./parts.tsx";
import { usePortal } from "./portal-context.ts";
import { LoadProblem } from "./problem.tsx";
import { useLoaded } from "./use-loaded.ts";

/** The payload to the letter: as text, since reading it as values would change large numbers. */
export function MessagePayload({ messageId }: { readonly messageId: string }) {
  const { appId, call } = usePortal();
  const { data, error } = useLoaded(
    useCallback(
      () => call<{ readonly payload: string }>("GET", `/app/${appId}/msg/${encodeURIComponent(messageId)}/raw`),
      [call, appId, messageId],
    ),
  );
  if (data !== undefined) return <Content label="Payload" text={data.payload} />;
  if (error === undefined) return <Loading rows={2} />;
  if (error instanceof ApiException && error.code === 404) {
    return <p className="quiet">The payload is no longer kept, so the message cannot be sent again.</p>;
  }
  return <LoadProblem error={error} />;
}
