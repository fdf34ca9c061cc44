/** The fields of an endpoint that may be changed, new or old. */
import type { FormEvent, ReactNode } from "react";
import type { EndpointOut, EndpointPatch } from "svix";
import { EventTypePicker } from "./event-type-picker.tsx";
import { Field } from "./parts.tsx";
import { usePortal } from "./portal-context.ts";
import { channelWords } from "./settings.ts";

export interface EndpointFields {
  readonly url: string;
  readonly description: string;
  /** Empty: all. */
  readonly eventTypes: readonly string[];
  /** As typed: with commas or blanks between them. */
  readonly channels: string;
  readonly rate: number | undefined;
}

export function fieldsOf(endpoint: EndpointOut): EndpointFields {
  return {
    url: endpoint.url,
    description: endpoint.description,
    eventTypes: endpoint.filterTypes ?? [],
    channels: (endpoint.channels ?? []).join(", "),
    rate: endpoint.throttleRate ?? endpoint.rateLimit ?? undefined,
  };
}

/** Only what differs from what was there before: whatever else somebody changes meanwhile stays. */
export function changesOf(before: EndpointFields, after: EndpointFields): EndpointPatch {
  const differs = (name: keyof EndpointFields): boolean => JSON.stringify(before[name]) !== JSON.stringify(after[name]);
  return {
    ...(differs("url") && { url: after.url.trim() }),
    ...(differs("description") && { description: after.description }),
    ...(differs("eventTypes") && { filterTypes: after.eventTypes.length === 0 ? null : [...after.eventTypes] }),
    ...(differs("channels") && { channels: channelList(after.channels) }),
    ...(differs("rate") && { throttleRate: after.rate ?? null }),
  };
}

/** Null: of whatever channel. */
export function channelList(text: string): string[] | null {
  const channels = [...new Set(text.split(/[\s,]+/).filter((one) => one !== ""))];
  return channels.length === 0 ? null : channels;
}

interface EndpointFormProps {
  readonly value: EndpointFields;
  readonly onChange: (change: Partial<EndpointFields>) => void;
  readonly onSubmit: () => void;
  /** Beside the fields that are always there. */
  readonly advanced?: ReactNode;
  /** What is under the fields: buttons, and what went wrong. */
  readonly children: ReactNode;
}

export function EndpointForm({ value, onChange, onSubmit, advanced, children }: EndpointFormProps) {
  const { settings } = usePortal();
  const words = channelWords(settings);
  const withChannels = settings.enableChannels || value.channels !== "";
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    onSubmit();
  };
  return (
    <form className="form" onSubmit={submit}>
      <Field label="Address" hint="Called by POST for every event. It should answer with a 2xx within some seconds.">
        {(ids) => (
          <input
            {...ids}
            type="url"
            required
            maxLength={65_536}
            placeholder="https://example.com/webhooks"
            autoComplete="off"
            spellCheck={false}
            value={value.url}
            onChange={(event) => onChange({ url: event.target.value })}
          />
        )}
      </Field>
      <Field label="Description" optional>
        {(ids) => (
          <input
            {...ids}
            maxLength={10_000}
            value={value.description}
            onChange={(event) => onChange({ description: event.target.value })}
          />
        )}
      </Field>
      <EventTypePicker value={value.eventTypes} onChange={(eventTypes) => onChange({ eventTypes })} />
      {withChannels && (
        <Field label={words.many} optional hint={words.help}>
          {(ids) => (
            <input
              {...ids}
              spellCheck={false}
              placeholder="project_123, team:billing"
              value={value.channels}
              onChange={(event) => onChange({ channels: event.target.value })}
            />
          )}
        </Field>
      )}
      <Field label="Rate limit" optional hint="Messages per second; the rest wait their turn and are not lost.">
        {(ids) => (
          <input
            {...ids}
            className="narrow"
            type="number"
            min={1}
            max={65_535}
            step={1}
            value={value.rate ?? ""}
            onChange={(event) => onChange({ rate: event.target.value === "" ? undefined : event.target.valueAsNumber })}
          />
        )}
      </Field>
      {advanced}
      {children}
    </form>
  );
}
