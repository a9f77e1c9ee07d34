// The list that an anomaly was opened from, so that the next one is a key away.

let list = { rows: [], total: null };

export function remember(of) { list = of; }

/** @returns `place` from 1 on, `of` how many, and the ids before and behind; null where it came from no list. */
export function neighbours(id) {
  const at = list.rows.indexOf(id);
  if (at < 0) return null;
  return { place: at + 1, of: list.total ?? list.rows.length, earlier: list.rows[at - 1] ?? null, later: list.rows[at + 1] ?? null };
}
