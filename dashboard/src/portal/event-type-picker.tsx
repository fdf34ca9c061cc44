/** Ticking event types, in their groups; none ticked by the choice of "all". */
import { useEffect, useId, useMemo, useRef, useState } from "react";
import type { EventTypeOut } from "svix";
import { useAllEventTypes } from "./event-types.tsx";

interface Listed {
  readonly name: string;
  readonly description: string;
  readonly deprecated: boolean;
}

interface EventTypePickerProps {
  /** Empty: all of them, whichever come later too. */
  readonly value: readonly string[];
  readonly onChange: (names: readonly string[]) => void;
}

export function EventTypePicker({ value, onChange }: EventTypePickerProps) {
  const { data, error } = useAllEventTypes();
  const [some, setSome] = useState(value.length > 0);
  const [sought, setSought] = useState("");
  const name = useId();
  const chosen = useMemo(() => new Set(value), [value]);
  const groups = useMemo(() => groupsOf(data ?? [], value, sought), [data, value, sought]);

  const choose = (names: readonly string[], on: boolean): void => {
    const next = new Set(chosen);
    for (const one of names) on ? next.add(one) : next.delete(one);
    onChange([...next].sort());
  };
  return (
    <fieldset className="field">
      <legend>Event types</legend>
      <label className="choice">
        <input
          type="radio"
          name={name}
          checked={!some}
          onChange={() => {
            setSome(false);
            onChange([]);
          }}
        />
        All events, also of types that are added later
      </label>
      <label className="choice">
        <input type="radio" name={name} checked={some} onChange={() => setSome(true)} />
        Only these{some && value.length > 0 ? ` (${value.length})` : ""}
      </label>
      {some && (
        <div className="picker">
          <input
            type="search"
            aria-label="Search event types"
            placeholder="Search event types"
            value={sought}
            onChange={(event) => setSought(event.target.value)}
          />
          <div className="picker-list">
            {error !== undefined && <p className="quiet">The event types could not be loaded.</p>}
            {data !== undefined && groups.length === 0 && (
              <p className="quiet">{sought === "" ? "There are no event types yet." : "None of that name."}</p>
            )}
            {groups.map(([group, types]) => (
              <Group key={group} group={group} types={types} chosen={chosen} choose={choose} />
            ))}
          </div>
          {value.length === 0 && <p className="hint">Tick at least one, or choose all events.</p>}
        </div>
      )}
    </fieldset>
  );
}

function Group(props: {
  readonly group: string;
  readonly types: readonly Listed[];
  readonly chosen: ReadonlySet<string>;
  readonly choose: (names: readonly string[], on: boolean) => void;
}) {
  const { group, types, chosen, choose } = props;
  const box = useRef<HTMLInputElement>(null);
  const ticked = types.filter(({ name }) => chosen.has(name)).length;
  useEffect(() => {
    if (box.current !== null) box.current.indeterminate = ticked > 0 && ticked < types.length;
  }, [ticked, types.length]);
  return (
    <div className="picker-group">
      {types.length > 1 && (
        <label className="choice group">
          <input
            ref={box}
            type="checkbox"
            checked={ticked === types.length}
            onChange={(event) =>
              choose(
                types.map(({ name }) => name),
                event.target.checked,
              )
            }
          />
          {group}
        </label>
      )}
      {types.map(({ name, description, deprecated }) => (
        <label key={name} className="choice type" title={description}>
          <input
            type="checkbox"
            checked={chosen.has(name)}
            onChange={(event) => choose([name], event.target.checked)}
          />
          <code>{name}</code>
          <span className="quiet cut">{deprecated ? `deprecated · ${description}` : description}</span>
        </label>
      ))}
    </div>
  );
}

/** By the group they say they are of, otherwise by what stands before the first dot. What is ticked is always listed. */
function groupsOf(
  all: readonly EventTypeOut[],
  ticked: readonly string[],
  sought: string,
): readonly (readonly [string, readonly Listed[]])[] {
  const known = new Set(all.map(({ name }) => name));
  const gone = ticked
    .filter((name) => !known.has(name))
    .map((name) => ({ name, description: "no longer offered", deprecated: false, groupName: null }));
  const text = sought.trim().toLowerCase();
  const groups = new Map<string, Listed[]>();
  for (const one of [...all, ...gone]) {
    const { name, description, groupName, deprecated } = one;
    if (!`${name} ${description}`.toLowerCase().includes(text)) continue;
    const group = groupName ?? name.split(".", 1)[0] ?? name;
    const list = groups.get(group) ?? [];
    list.push({ name, description, deprecated });
    groups.set(group, list);
  }
  return [...groups].sort(([a], [b]) => (a < b ? -1 : 1));
}
