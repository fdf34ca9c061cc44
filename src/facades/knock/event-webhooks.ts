/** The text that endpoints are told of an event, and the headers that go with it. The signature is added with each try. */
import type { DescribeHappening } from "../../engine/workflow/happenings.ts";
import { eventView } from "./event-views.ts";
import { toUuid } from "./ids.ts";
import { toIso } from "./wire.ts";

export const describeHappening: DescribeHappening = (happening, facts) => {
  const view = eventView(happening, facts);
  if (view === null) return null;
  const { type, data, eventData } = view;
  const body = JSON.stringify({
    __typename: "Event",
    type,
    created_at: toIso(happening.at),
    data,
    event_data: eventData === null ? null : { __typename: "EventData", ...eventData },
  });
  const headers = { "x-knock-event": type, "x-knock-environment-id": toUuid(happening.environmentId) };
  return { event: type, content: { body, headers } };
};
