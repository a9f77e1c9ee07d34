// A list of the server, page after page behind a cursor.

import { useCallback, useEffect, useRef, useState } from "../parts/html.js";
import { get, returns, withQuery } from "./api.js";
import { revision } from "./resource.js";
import { useStore } from "./store.js";

const none = { rows: [], next: null, total: null, of: null, error: null };

/**
 * @param {string|null} where path below /api/v1; null for nothing yet.
 * @param {{first: number, hold: boolean}} options `first`: rows of the first page; `hold`: what is shown stays as it is while
 *   somebody is at it, and new rows wait.
 */
export function useList(where, params, { first = 12, more = 50, hold = false } = {}) {
  const [state, setState] = useState(none);
  const [turn, setTurn] = useState(0);
  const [late, setLate] = useState(false);
  const back = useStore(returns);
  const changes = useStore(revision);
  const held = useRef(0);
  const key = where === null ? null : withQuery(where, params);
  // New figures are a reason to read again, unless the list is held.
  if (!hold) held.current = changes;

  useEffect(() => {
    const timer = setTimeout(() => setLate(true), 300);
    if (key === null) return () => clearTimeout(timer);
    const request = new AbortController();
    get(withQuery(where, { ...params, limit: first }), request.signal).then(
      (page) => setState({ rows: page.items, next: page.next, total: page.total, of: key, error: null }),
      (error) => {
        if (error.name === "AbortError") return;
        if (error.status === 0) return; // The banner says so.
        setState({ ...none, of: key, error });
      },
    ).finally(() => { clearTimeout(timer); if (!request.signal.aborted) setLate(false); });
    return () => { clearTimeout(timer); request.abort(); };
  }, [key, turn, back, held.current]);

  const loadMore = useCallback(async () => {
    if (!state.next) return;
    try {
      const page = await get(withQuery(where, { ...params, limit: more, cursor: state.next }));
      setState((now) => (now.of === key ? { ...now, rows: [...now.rows, ...page.items], next: page.next } : now));
    } catch (error) {
      setState((now) => ({ ...now, error: error.status === 0 ? now.error : error }));
    }
  }, [key, state.next]);

  const reload = useCallback(() => setTurn((now) => now + 1), []);
  /** Changes a row that is shown, before the server is asked again. */
  const patch = useCallback((id, changes) => {
    setState((now) => ({ ...now, rows: now.rows.map((row) => (row.id === id ? { ...row, ...changes } : row)) }));
  }, []);
  return { ...state, late, isCurrent: state.of === key, loadMore, reload, patch };
}
