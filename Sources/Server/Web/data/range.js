// Which stretch of event time is shown, and in which steps.

import { iso, milliseconds } from "../text/times.js";

const MINUTE = 60_000, HOUR = 60 * MINUTE, DAY = 24 * HOUR;
const lengths = { live: 3 * HOUR, "24h": DAY, "7d": 7 * DAY };
const steps = { live: 10 * MINUTE, "24h": 30 * MINUTE, "7d": 3 * HOUR };
const choices = [10, 20, 30, 60, 120, 180, 360, 720, 1440].map((minutes) => minutes * MINUTE);

/**
 * @param params of the address: `window`, or `from` and `to`, or `to` alone with a window.
 * @param {string|null} until up to when there are figures.
 * @returns null as long as that is not known. `follows`: the range goes along with new events.
 */
export function rangeOf(params, until) {
  const name = params.window in lengths ? params.window : "24h";
  const [from, to] = [params.from, params.to].map((time) => (time && Number.isFinite(Date.parse(time)) ? Date.parse(time) : null));
  if (from !== null && to !== null && from < to) {
    const length = to - from;
    const step = choices.find((choice) => length / choice <= 56) ?? DAY;
    return { name: null, from, to, length, step, follows: false, until: milliseconds(until ?? to) };
  }
  const end = to ?? (until ? milliseconds(until) : null);
  if (end === null) return null;
  const length = lengths[name];
  return { name, from: end - length, to: end, length, step: steps[name], follows: to === null, until: milliseconds(until ?? end) };
}

/** The parameters that the server takes for it. */
export const rangeParams = (range) => ({ from: iso(range.from), to: iso(range.to), step: range.step / 1000 });

export const stepCount = (range) => Math.max(1, Math.ceil((range.to - range.from) / range.step));
export const stepStart = (range, index) => range.from + index * range.step;
export const stepOf = (range, time) => Math.max(0, Math.min(stepCount(range) - 1, Math.floor((time - range.from) / range.step)));
