/** Which wording of a text a reader gets. */

/** A value that other locales may replace. Locales are spelled as `normalLocale` does. */
export interface Localized<T> {
  readonly base: T | null;
  readonly byLocale: ReadonlyMap<string, T> | null;
}

/** Locales are compared without regard to case and to how their parts are joined: `fr_CA` is `fr-ca`. */
export function normalLocale(locale: string): string {
  return locale.toLowerCase().replaceAll("_", "-");
}

/** The spellings to look for, best first: `fr-ca`, `fr`. */
export function localeChain(locale: string | null): readonly string[] {
  if (locale === null || locale === "") return [];
  const exact = normalLocale(locale);
  const dash = exact.indexOf("-");
  return dash < 0 ? [exact] : [exact, exact.slice(0, dash)];
}

export function pick<T>(localized: Localized<T>, chain: readonly string[]): T | null {
  if (localized.byLocale !== null) {
    for (const locale of chain) {
      const value = localized.byLocale.get(locale);
      if (value !== undefined) return value;
    }
  }
  return localized.base;
}
