/** Arithmetic, and numbers as people of a locale write them. */
import { RenderError } from "../../../engine/ports.ts";
import { Lru } from "../../../lib/lru.ts";
import { numberOf, textOf } from "../values.ts";
import type { Call, Filter, Filters } from "./filter.ts";

function binary(body: (a: number, b: number) => number): Filter {
  return (value, [other]) => finite(body(numberOf(value), numberOf(other)));
}

function unary(body: (a: number) => number): Filter {
  return (value) => finite(body(numberOf(value)));
}

function finite(number: number): number {
  if (!Number.isFinite(number)) throw new RenderError("a calculation of the template has no result");
  // 0.1 + 0.2 is to be 0.3 for everybody who reads it.
  return Number.isInteger(number) ? number : Number(number.toPrecision(15));
}

function divisor(number: number): number {
  if (number === 0) throw new RenderError("the template divides by 0");
  return number;
}

const formats = new Lru<string, Intl.NumberFormat>(300);

/** Making one takes 20 µs and more. A locale nobody knows is English, a currency nobody knows is null. */
function formatOf(locale: string, options: Intl.NumberFormatOptions): Intl.NumberFormat | null {
  const key = `${locale}\n${options.currency}\n${options.maximumFractionDigits}`;
  let format = formats.get(key);
  if (format !== undefined) return format;
  for (const candidate of [locale, "en"]) {
    try {
      format = new Intl.NumberFormat(candidate, options);
      formats.set(key, format);
      return format;
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
    }
  }
  return null;
}

/** A locale as it was given (`pt_BR` too), else the recipient's, else English. */
export function localeOf(given: unknown, { context, budget }: Call): string {
  const text = textOf(given, budget) || context.session.sources.locale || "en";
  return text.slice(0, 100).replaceAll("_", "-");
}

function money(digits: number): Filter {
  return (value, [currency, locale], call) => {
    const code = (textOf(currency, call.budget) || "USD").toUpperCase().slice(0, 20);
    const options = { minimumFractionDigits: digits, maximumFractionDigits: digits };
    const number = numberOf(value);
    // Amounts without a locale are written as Americans do, whoever reads them: so does the vendor.
    const where = localeOf(locale ?? "en", call);
    const format = formatOf(where, { ...options, style: "currency", currency: code });
    return format?.format(number) ?? `${code} ${formatOf(where, options)?.format(number) ?? number}`;
  };
}

export const NUMBER_FILTERS: Filters = {
  abs: unary(Math.abs),
  ceil: unary(Math.ceil),
  floor: unary(Math.floor),
  to_integer: unary(Math.trunc),
  round: (value, [digits]) => {
    const places = Math.min(Math.max(Math.trunc(numberOf(digits)), 0), 15);
    const number = numberOf(value);
    // By way of the decimal text: 1.005 is to become 1.01.
    const shifted = Math.round(Number(`${Math.abs(number)}e${places}`));
    const rounded = Number.isFinite(shifted) ? Number(`${shifted}e-${places}`) : Math.abs(number);
    return finite(number < 0 ? -rounded : rounded);
  },
  plus: binary((a, b) => a + b),
  minus: binary((a, b) => a - b),
  times: binary((a, b) => a * b),
  // Whole numbers give whole numbers when the divisor is one, as everywhere in Liquid.
  divided_by: binary((a, b) => (Number.isInteger(divisor(b)) ? Math.floor(a / b) : a / b)),
  modulo: binary((a, b) => a - b * Math.floor(a / divisor(b))),
  at_least: binary(Math.max),
  at_most: binary(Math.min),
  format_number: (value, [locale], call) =>
    formatOf(localeOf(locale, call), { maximumFractionDigits: 20 })?.format(numberOf(value)),
  currency: money(2),
  rounded_currency: money(0),
};
