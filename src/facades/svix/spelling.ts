/** How receivers are told ids, whatever they are of. */
import { ksuid, type SvixPrefix } from "./ids.ts";

const PREFIXES: { readonly [own: string]: SvixPrefix } = {
  app: "app",
  ep: "ep",
  msg: "msg",
  att: "atmpt",
  task: "qtask",
  env: "org",
};

/** Any id of ours in the vendor's spelling. @throws Error for a kind of id that the vendor has no word for. */
export function spellId(id: string): string {
  const own = id.slice(0, id.indexOf("_"));
  const prefix = PREFIXES[own];
  if (prefix === undefined) throw new Error(`ids like ${own}_… have no spelling here`);
  return ksuid(prefix, id);
}
