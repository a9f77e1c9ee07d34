// A logarithmic axis of a value with a unit.

const durations = [1, 10, 100, 1e3, 1e4, 6e4, 6e5, 3.6e6, 3.6e7, 8.64e7, 8.64e8];

/** @returns a function from a value to a place between 0 and `width`, with `ticks` at round values. */
export function logScale(least, most, width, unit) {
  const low = Math.log10(Math.max(least, 1e-9));
  const high = Math.max(Math.log10(Math.max(most, 1e-9)), low + 0.1);
  const place = (value) => ((Math.log10(Math.max(value, 10 ** low)) - low) / (high - low)) * width;
  const rounds = unit === "ms" ? durations : Array.from({ length: 24 }, (_, power) => 10 ** (power - 6));
  place.ticks = rounds.filter((value) => Math.log10(value) >= low - 1e-9 && Math.log10(value) <= high + 1e-9);
  return place;
}
