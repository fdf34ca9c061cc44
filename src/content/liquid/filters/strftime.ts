/** Times by a pattern, as in C and Ruby: `%Y-%m-%d`, `%-I:%M %p`. Names are English. */
import { offsetText, type WallTime } from "./instants.ts";

const DAYS = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const MONTHS = "January February March April May June July August September October November December".split(" ");

const DIRECTIVE = /%([-_0^#]*)(\d{0,3})(:{0,2})([a-zA-Z%+])/g;
const MAX_WIDTH = 100;

interface Piece {
  readonly text: string;
  readonly width: number;
  readonly fill: "0" | " ";
}

/** @param zoneName what `%Z` prints. Directives nobody knows stay as they are. */
export function strftime(pattern: string, at: number, time: WallTime, zoneName: string): string {
  return pattern.replace(DIRECTIVE, (whole, flags: string, width: string, colons: string, directive: string) => {
    const piece = pieceOf(directive, colons, at, time, zoneName);
    if (piece === null) return whole;
    let { text } = piece;
    if (flags.includes("^")) text = text.toUpperCase();
    else if (flags.includes("#")) text = text === text.toUpperCase() ? text.toLowerCase() : text.toUpperCase();
    if (flags.includes("-")) return text;
    const fill = flags.includes("_") ? " " : flags.includes("0") ? "0" : piece.fill;
    const to = width === "" ? piece.width : Math.min(Number(width), MAX_WIDTH);
    return text.startsWith("-") && fill === "0" ? `-${text.slice(1).padStart(to - 1, fill)}` : text.padStart(to, fill);
  });
}

function pieceOf(directive: string, colons: string, at: number, time: WallTime, zoneName: string): Piece | null {
  const number = (value: number, width: number, fill: Piece["fill"] = "0"): Piece => ({
    text: String(value),
    width,
    fill,
  });
  const text = (value: string): Piece => ({ text: value, width: 0, fill: " " });
  const both = (pattern: string): Piece => text(strftime(pattern, at, time, zoneName));
  const { year, month, day, hour, minute, second, weekday } = time;
  switch (directive) {
    case "Y":
      return number(year, year < 0 ? 5 : 4);
    case "C":
      return number(Math.floor(year / 100), 2);
    case "y":
      return number(((year % 100) + 100) % 100, 2);
    case "m":
      return number(month, 2);
    case "B":
      return text(MONTHS[month - 1] as string);
    case "b":
    case "h":
      return text((MONTHS[month - 1] as string).slice(0, 3));
    case "d":
      return number(day, 2);
    case "e":
      return number(day, 2, " ");
    case "j":
      return number(dayOfYear(time), 3);
    case "H":
      return number(hour, 2);
    case "k":
      return number(hour, 2, " ");
    case "I":
      return number(hour % 12 || 12, 2);
    case "l":
      return number(hour % 12 || 12, 2, " ");
    case "P":
      return text(hour < 12 ? "am" : "pm");
    case "p":
      return text(hour < 12 ? "AM" : "PM");
    case "M":
      return number(minute, 2);
    case "S":
      return number(second, 2);
    case "L":
      return number(time.millisecond, 3);
    case "N":
      return text(`${String(time.millisecond).padStart(3, "0")}000000`);
    case "z":
      return text(offsetText(time.offsetMinutes, colons === "" ? "" : ":"));
    case "Z":
      return text(zoneName);
    case "A":
      return text(DAYS[weekday] as string);
    case "a":
      return text((DAYS[weekday] as string).slice(0, 3));
    case "u":
      return number(weekday || 7, 0);
    case "w":
      return number(weekday, 0);
    case "G":
      return number(isoWeek(time).year, 4);
    case "g":
      return number(isoWeek(time).year % 100, 2);
    case "V":
      return number(isoWeek(time).week, 2);
    case "U":
      return number(Math.floor((dayOfYear(time) + 6 - weekday) / 7), 2);
    case "W":
      return number(Math.floor((dayOfYear(time) + 6 - ((weekday + 6) % 7)) / 7), 2);
    case "s":
      return number(Math.floor(at / 1000), 0);
    case "q":
      return text(day % 100 > 10 && day % 100 < 14 ? "th" : (["th", "st", "nd", "rd"][day % 10] ?? "th"));
    case "n":
      return text("\n");
    case "t":
      return text("\t");
    case "%":
      return text("%");
    case "c":
      return both("%a %b %e %H:%M:%S %Y");
    case "D":
    case "x":
      return both("%m/%d/%y");
    case "F":
      return both("%Y-%m-%d");
    case "T":
    case "X":
      return both("%H:%M:%S");
    case "R":
      return both("%H:%M");
    case "r":
      return both("%I:%M:%S %p");
    case "v":
      return both("%e-%^b-%Y");
    default:
      return null;
  }
}

function dayOfYear({ year, month, day }: WallTime): number {
  return Math.round((utc(year, month, day) - utc(year, 1, 1)) / 86_400_000) + 1;
}

/** Weeks begin on Monday and belong to the year that has their Thursday. */
function isoWeek(time: WallTime): { readonly year: number; readonly week: number } {
  const thursday = new Date(utc(time.year, time.month, time.day) + (3 - ((time.weekday + 6) % 7)) * 86_400_000);
  const year = thursday.getUTCFullYear();
  return { year, week: Math.floor((thursday.getTime() - utc(year, 1, 1)) / (7 * 86_400_000)) + 1 };
}

function utc(year: number, month: number, day: number): number {
  const date = new Date(0);
  return date.setUTCFullYear(year, month - 1, day);
}
