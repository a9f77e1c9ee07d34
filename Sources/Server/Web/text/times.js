// Points in time, in the viewer's zone or in UTC, whichever was chosen.

import { durationParts, NARROW } from "./numbers.js";

const MINUTE = 60_000, HOUR = 60 * MINUTE, DAY = 24 * HOUR;
const own = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
let zone = "local";

/** @param {"local"|"utc"} chosen */
export function useZone(chosen) { zone = chosen; formats.clear(); }
export const zoneName = () => (zone === "utc" || own === "UTC" ? "UTC" : shortName());
/** Whether the two differ, so that there is something to choose. */
export const hasOwnZone = own !== "UTC";

const formats = new Map();
function format(name, options) {
  let found = formats.get(name);
  if (!found) {
    found = new Intl.DateTimeFormat("en-GB", { ...options, hourCycle: "h23", timeZone: zone === "utc" ? "UTC" : own });
    formats.set(name, found);
  }
  return found;
}
const in_ = (name, options, time) => format(name, options).format(milliseconds(time));

function shortName() {
  const parts = format("zone", { timeZoneName: "short" }).formatToParts(Date.now());
  return parts.find((part) => part.type === "timeZoneName")?.value ?? own;
}

/** Times come as RFC 3339, or already as milliseconds. */
export function milliseconds(time) {
  return typeof time === "number" ? time : Date.parse(time);
}
export const iso = (time) => new Date(milliseconds(time)).toISOString().replace(".000Z", "Z");

export const clock = (time) => in_("clock", { hour: "2-digit", minute: "2-digit", second: "2-digit" }, time);
/** To the millisecond. */
export const fineClock = (time) => `${clock(time)}.${String(new Date(milliseconds(time)).getUTCMilliseconds()).padStart(3, "0")}`;
const minute = (time) => in_("minute", { hour: "2-digit", minute: "2-digit" }, time);
export const day = (time) => in_("day", { day: "numeric", month: "short" }, time);
export const dayInFull = (time) => in_("dayInFull", { day: "numeric", month: "short", year: "numeric" }, time);
export const dayMinute = (time) => `${day(time)} ${minute(time)}`;
export const dayClock = (time) => `${day(time)} ${clock(time)}`;
/** In UTC whatever was chosen, as models see it. */
export const weekday = (time) => new Date(milliseconds(time)).toLocaleDateString("en-GB", { weekday: "long", timeZone: "UTC" });

/** Whole to the millisecond, in UTC whatever was chosen: what a title says where a time is shown in short. */
export function exact(time) {
  const text = new Date(milliseconds(time)).toISOString();
  return `${text.slice(0, 10)} ${text.slice(11, 23)} UTC`;
}

/** "7 Mar 07:50 to 08:20": the day once where it is the same. */
export function span(from, to) {
  const sameDay = day(from) === day(to);
  return `${dayMinute(from)} to ${sameDay ? minute(to) : dayMinute(to)}`;
}

/** "2 min 10 s" */
export function lasting(length) {
  return durationParts(length).map(([number, unit]) => number + NARROW + unit).join(" ");
}

/** "24 h", "3 h", "7 d", "30 min": a length without rests. */
export function round(length) {
  if (length % DAY === 0 && length > DAY) return length / DAY + NARROW + "d";
  if (length % HOUR === 0) return length / HOUR + NARROW + "h";
  return Math.round(length / MINUTE) + NARROW + "min";
}

/** What the window before is called. */
export function before(length) {
  if (length === DAY) return "the day before";
  if (length === 7 * DAY) return "the week before";
  return `the ${round(length)} before`;
}

/** Ticks of an axis of time: round ones of the chosen zone, at most so many; `isDay` where a day begins. */
export function ticks(from, to, most) {
  const steps = [5, 10, 15, 30, 60, 120, 180, 360, 720, 1440, 2880, 10_080].map((minutes) => minutes * MINUTE);
  const step = steps.find((length) => (to - from) / length <= most) ?? 30 * DAY;
  // Offset of the zone at the beginning, so that ticks lie at round hours there.
  const offset = zone === "utc" ? 0 : -new Date(from).getTimezoneOffset() * MINUTE;
  const found = [];
  for (let time = Math.ceil((from + offset) / step) * step - offset; time <= to; time += step) {
    const isDay = (time + offset) % DAY === 0;
    found.push({ time, isDay, label: isDay ? day(time) : step >= DAY ? day(time) : minute(time) });
  }
  return found;
}
