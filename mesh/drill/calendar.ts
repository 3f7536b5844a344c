// When a drill runs by itself: every day or on some weekdays, at a time, a little later by chance,
// and only inside windows that are allowed. Pure; all times are UTC, so that no hour comes twice.
import { createRandom } from "./random.ts";
import type { Fields } from "./fields.ts";

export const WEEKDAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"] as const;
export type Weekday = (typeof WEEKDAYS)[number];

export interface Window {
  readonly days: readonly Weekday[];
  /** Minutes after midnight; `to` before `from` means the next day. */
  readonly fromMinute: number;
  readonly toMinute: number;
}

export interface Schedule {
  readonly days: readonly Weekday[];
  /** Minutes after midnight. */
  readonly atMinute: number;
  /** At most so much later, by chance. */
  readonly jitterMs: number;
  /** Empty: always allowed. */
  readonly windows: readonly Window[];
}

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;
/** So far ahead a start is looked for; each weekday comes many times. */
const DAYS_AHEAD = 60;

export function parseSchedule(parent: Fields): Schedule {
  const fields = parent.child("schedule", ["every", "days", "at", "jitter", "windows"]);
  const every = fields.oneOf("every", ["day", "week"]);
  if (every === undefined) throw fields.wrong("every", "is missing: want day or week");
  const days = fields.texts("days").map((day) => {
    const found = WEEKDAYS.find((weekday) => weekday === day);
    if (found === undefined) {
      throw fields.wrong("days", `names "${day}": want ${WEEKDAYS.join(", ")}`);
    }
    return found;
  });
  if (every === "day" && days.length > 0) {
    throw fields.wrong("days", "does not belong to a drill of every day: leave it out");
  }
  const at = parseMinute(fields.requiredText("at"));
  if (at === undefined) throw fields.wrong("at", 'is no time: want "HH:MM", in UTC');
  const windows = fields.texts("windows").map((text) => {
    const window = parseWindow(text);
    if (window !== undefined) return window;
    throw fields.wrong("windows", `holds "${text}": want "mon-fri 02:00-05:00", in UTC`);
  });
  return {
    days: every === "day" ? WEEKDAYS : days.length === 0 ? ["mon"] : days,
    atMinute: at,
    jitterMs: fields.duration("jitter", { min: 0, max: DAY_MS / 2 }) ?? 0,
    windows,
  };
}

/**
 * The first start after `afterMs`; undefined if no start falls into a window. `name` makes the
 * chance: whoever asks again gets the same answer, also after a restart.
 */
export function nextStart(schedule: Schedule, name: string, afterMs: number): number | undefined {
  const today = Math.floor(afterMs / DAY_MS);
  // A start of yesterday may be late enough to lie ahead.
  for (let day = today - 1; day < today + DAYS_AHEAD; day++) {
    if (!schedule.days.includes(weekdayOf(day * DAY_MS))) continue;
    const jitter = createRandom(hash(`${name} ${day}`))() * schedule.jitterMs;
    const startMs = Math.round(day * DAY_MS + schedule.atMinute * MINUTE_MS + jitter);
    if (startMs > afterMs && isAllowed(schedule.windows, startMs)) return startMs;
  }
  return undefined;
}

export function isAllowed(windows: readonly Window[], atMs: number): boolean {
  if (windows.length === 0) return true;
  const minute = (atMs % DAY_MS) / MINUTE_MS;
  return windows.some(({ days, fromMinute, toMinute }) => {
    const today = days.includes(weekdayOf(atMs));
    if (fromMinute <= toMinute) return today && minute >= fromMinute && minute < toMinute;
    const yesterday = days.includes(weekdayOf(atMs - DAY_MS));
    return (today && minute >= fromMinute) || (yesterday && minute < toMinute);
  });
}

/** "mon-fri 02:00-05:00", "sat,sun 00:00-06:00", or without days for all of them. */
export function parseWindow(text: string): Window | undefined {
  const [, daysText, from = "", to = ""] =
    /^(?:(\S+) )?(\d\d:\d\d)-(\d\d:\d\d)$/.exec(text.trim()) ?? [];
  const fromMinute = parseMinute(from);
  const toMinute = parseMinute(to);
  const days = daysText === undefined ? [...WEEKDAYS] : parseDays(daysText);
  if (fromMinute === undefined || toMinute === undefined || days === undefined) return undefined;
  return fromMinute === toMinute ? undefined : { days, fromMinute, toMinute };
}

function parseDays(text: string): Weekday[] | undefined {
  const days: Weekday[] = [];
  for (const part of text.split(",")) {
    const [first = "", last = first, ...more] = part.split("-");
    const from = WEEKDAYS.findIndex((day) => day === first);
    const to = WEEKDAYS.findIndex((day) => day === last);
    if (from < 0 || to < 0 || more.length > 0) return undefined;
    for (let day = from; ; day = (day + 1) % 7) {
      const name = WEEKDAYS[day];
      if (name !== undefined) days.push(name);
      if (day === to) break;
    }
  }
  return days;
}

function parseMinute(text: string): number | undefined {
  const [, hours, minutes] = /^(\d\d):(\d\d)$/.exec(text) ?? [];
  const [hour, minute] = [Number(hours), Number(minutes)];
  return hour < 24 && minute < 60 ? hour * 60 + minute : undefined;
}

/** 1970-01-01 was a Thursday. */
function weekdayOf(atMs: number): Weekday {
  return WEEKDAYS[(Math.floor(atMs / DAY_MS) + 4) % 7] ?? "sun";
}

/** FNV-1a. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (const char of text) value = Math.imul(value ^ (char.codePointAt(0) ?? 0), 0x01000193);
  return value >>> 0;
}
