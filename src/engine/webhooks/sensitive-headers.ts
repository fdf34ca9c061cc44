/** Headers whose values are shown to nobody, and so are not kept with what was sent and answered either. */

const SENSITIVE: ReadonlySet<string> = new Set([
  "x-auth-token",
  "x-api-key",
  "www-authenticate",
  "authorization",
  "proxy-authenticate",
  "proxy-authorization",
]);

export function isSensitive(name: string): boolean {
  return SENSITIVE.has(name.toLowerCase());
}

/** The same headers; those that are sensitive without their values. */
export function withoutSecrets(headers: { readonly [name: string]: string }): { readonly [name: string]: string } {
  const kept: { [name: string]: string } = {};
  for (const name of Object.keys(headers)) kept[name] = isSensitive(name) ? "" : (headers[name] as string);
  return kept;
}
