/** The event types there are, asked for once: several parts let one choose among them. */
import { createContext, type ReactNode, useCallback, useContext } from "react";
import type { EventTypeOut } from "svix";
import { useSvix } from "svix-react";
import { usePortal } from "./portal-context.ts";
import { type Loaded, useLoaded } from "./use-loaded.ts";

const PAGE = 250;
/** More than a list to tick can be of use for. */
const MAX_PAGES = 8;

const EventTypes = createContext<Loaded<readonly EventTypeOut[]> | null>(null);

/** Ascending by name, without schemas. */
export function useAllEventTypes(): Loaded<readonly EventTypeOut[]> {
  const loaded = useContext(EventTypes);
  if (loaded === null) throw new Error("useAllEventTypes needs an EventTypesProvider around it");
  return loaded;
}

export function EventTypesProvider({ children }: { readonly children: ReactNode }) {
  const { svix } = useSvix();
  const { may } = usePortal();
  const readable = may("ViewBase");
  const load = useCallback(async () => {
    const all: EventTypeOut[] = [];
    if (!readable) return all;
    let iterator: string | null = null;
    for (let page = 0; page < MAX_PAGES; page++) {
      // svix-react's hook asks for the schemas as well, which are the bulk of it.
      const listed = await svix.eventType.list({ limit: PAGE, iterator, withContent: false });
      all.push(...listed.data);
      if (listed.done || listed.iterator === null) break;
      iterator = listed.iterator;
    }
    return all;
  }, [svix, readable]);
  return <EventTypes value={useLoaded(load)}>{children}</EventTypes>;
}

/** One event type, or with `anyLabel` none. */
export function EventTypeSelect(props: {
  readonly id: string;
  readonly value: string;
  readonly onChange: (name: string) => void;
  readonly anyLabel?: string;
  /** Names beside those of the environment. */
  readonly extra?: readonly string[];
}) {
  const names = [...(props.extra ?? []), ...(useAllEventTypes().data ?? []).map(({ name }) => name)];
  return (
    <select id={props.id} value={props.value} onChange={(event) => props.onChange(event.target.value)}>
      {props.anyLabel !== undefined && <option value="">{props.anyLabel}</option>}
      {names.map((name) => (
        <option key={name} value={name}>
          {name}
        </option>
      ))}
    </select>
  );
}
