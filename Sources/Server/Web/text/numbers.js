// Numbers with their units, as people read them: "4 min 23 s", "16.8 TB", "92.59 %".

/** Stands between a number and its unit; it is narrow and does not break. */
export const NARROW = "\u202f";
export const MINUS = "\u2212";

const grouped = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

/** A whole number with its thousands set apart. Counts beyond 2^53 come as text and stay exact. */
export function count(value) {
  if (value === null || value === undefined) return "–";
  return grouped.format(typeof value === "string" && /^-?\d+$/.test(value) ? BigInt(value) : Math.round(Number(value)));
}

/** With as many digits as say something: 5.43, 67.9, 0.784, 1,204. */
export function plain(value, digits = 3) {
  if (typeof value !== "number") return value === null || value === undefined ? "–" : String(value);
  if (Number.isInteger(value)) return count(value).replace("-", MINUS);
  const size = Math.abs(value);
  if (size >= 1000) return count(value).replace("-", MINUS);
  const decimals = size >= 100 ? Math.max(0, digits - 3) : size >= 10 ? Math.max(0, digits - 2) : size >= 1 ? digits - 1 : digits;
  return value.toFixed(decimals).replace("-", MINUS);
}

/** A change with its sign. */
export function signed(value, show = count) {
  if (value === 0) return "0";
  return (value > 0 ? "+" : MINUS) + show(Math.abs(value));
}

/** A factor: 54×, 1.13×, ×4.01 by choice of the caller. */
export function factor(value) {
  if (!Number.isFinite(value)) return "–";
  if (value >= 10) return count(value);
  return value.toFixed(2);
}

export function percent(share, decimals) {
  if (share === null || share === undefined || !Number.isFinite(share)) return "–";
  const value = share * 100;
  const digits = decimals ?? (Math.abs(value) < 1 && value !== 0 ? 2 : 1);
  return value.toFixed(digits) + NARROW + "%";
}

const pad = (value) => String(value).padStart(2, "0");

/** A length of time as pairs of a number and a unit, at most two. */
export function durationParts(milliseconds) {
  const size = Math.abs(milliseconds);
  if (size < 1) return [[size === 0 ? "0" : size.toFixed(2), "ms"]];
  if (size < 999.5) return [[size < 10 && !Number.isInteger(size) ? size.toFixed(1) : String(Math.round(size)), "ms"]];
  if (size < 9950) return [[(size / 1000).toFixed(1), "s"]];
  const seconds = Math.round(size / 1000);
  if (seconds < 60) return [[String(seconds), "s"]];
  if (seconds < 3600) {
    return [[String(Math.floor(seconds / 60)), "min"], [pad(seconds % 60), "s"]];
  }
  const minutes = Math.round(seconds / 60);
  if (minutes < 48 * 60) return [[String(Math.floor(minutes / 60)), "h"], [pad(minutes % 60), "min"]];
  const hours = Math.round(minutes / 60);
  return [[String(Math.floor(hours / 24)), "d"], [String(hours % 24), "h"]];
}

function scaled(value, base, units) {
  let place = 0;
  let size = Math.abs(value);
  while (size >= 999.5 && place < units.length - 1) [size, place] = [size / base, place + 1];
  const number = Number.isInteger(size) && size < 1000 ? String(size) : size >= 100 && place === 0 ? size.toFixed(0) : size.toFixed(1);
  return [[number, units[place]]];
}

/** A value of a unit as pairs of a number and a unit. Units: ms, s, bytes, MB, share, count, or a word that is shown as it is. */
export function parts(value, unit) {
  if (value === null || value === undefined || typeof value !== "number" || !Number.isFinite(value)) {
    return [[value === null || value === undefined ? "–" : String(value), ""]];
  }
  const sign = value < 0 ? MINUS : "";
  let found;
  if (unit === "ms") found = durationParts(value);
  else if (unit === "s") found = durationParts(value * 1000);
  else if (unit === "MB") found = scaled(value, 1000, ["MB", "GB", "TB", "PB", "EB"]);
  else if (unit === "bytes") found = scaled(value, 1000, ["B", "kB", "MB", "GB", "TB"]);
  else if (unit === "share") found = [[(Math.abs(value) * 100).toFixed(2), "%"]];
  else if (unit === "count") found = [[count(Math.abs(value)), ""]];
  else found = [[plain(Math.abs(value)), unit ?? ""]];
  return sign ? [[sign + found[0][0], found[0][1]], ...found.slice(1)] : found;
}

/** A value that was chosen round, as ticks and bounds are: 60 s, 2 min, 10 GB. */
export function roundQuantity(value, unit) {
  if (unit === "s") return roundQuantity(value * 1000, "ms");
  if (unit === "ms" && value >= 1000 && value % 1000 === 0) {
    const names = [[86_400_000, "d"], [3_600_000, "h"], [60_000, "min"]];
    const found = names.find(([size]) => value % size === 0 && value > (size === 60_000 ? size : 0));
    if (found) return value / found[0] + NARROW + found[1];
    if (value <= 60_000) return value / 1000 + NARROW + "s";
  }
  return quantity(value, unit).replace(/\.0(?=\u202f)/, "");
}

/** The same as one text. */
export function quantity(value, unit) {
  return parts(value, unit).map(([number, of]) => (of ? number + NARROW + of : number)).join(" ");
}

/** "3.5 in 1,000", "38 ms": a rate in the unit of the figure. */
export function rate(value, unit) {
  if (unit === "per_thousand") return `${plain(value * 1000, 2)} in 1,000`;
  return quantity(value, unit);
}

/** A count and its noun. */
export function some(number, one, many) {
  return `${count(number)} ${Number(number) === 1 ? one : many}`;
}

/** "10, 3 and 16" */
export function listed(names) {
  if (names.length < 2) return names.join("");
  return `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`;
}

export function capital(text) {
  return text ? text[0].toUpperCase() + text.slice(1) : text;
}
