// What is read from the server by components: kept while the next answer is on its way, so that nothing jumps.

import { useCallback, useEffect, useRef, useState } from "../parts/html.js";
import { get, returns } from "./api.js";
import { store, useStore } from "./store.js";

/** Counts up when there are new figures: everything that was read is read again. */
export const revision = store(0);

/**
 * @param {string|null} where the path below /api/v1; null for nothing yet.
 * @param {{fixed?: boolean}} options `fixed`: it does not change with new events, as an explanation does not.
 * @returns `data`, `error`, whether it is `loading`, and whether that has taken so `late` that it should be said.
 */
export function useResource(where, { fixed = false } = {}) {
  const [state, setState] = useState({ data: null, error: null, loading: true, of: null });
  const [late, setLate] = useState(false);
  const [turn, setTurn] = useState(0);
  const back = useStore(returns);
  const changes = useStore(revision);
  const last = useRef(null);

  useEffect(() => {
    const timer = setTimeout(() => setLate(true), 300);
    // What the path depends on is on its way as well.
    if (where === null) return () => clearTimeout(timer);
    const request = new AbortController();
    const isOther = last.current !== where;
    last.current = where;
    if (isOther) setState((now) => ({ ...now, loading: true }));
    get(where, request.signal).then(
      (data) => setState({ data, error: null, loading: false, of: where }),
      (error) => {
        if (error.name === "AbortError") return;
        // Without an answer the banner says so, and what was known stays.
        if (error.status === 0) setState((now) => ({ ...now, error: null, loading: !now.data }));
        else setState((now) => ({ ...now, data: null, error, loading: false }));
      },
    ).finally(() => { clearTimeout(timer); if (!request.signal.aborted) setLate(false); });
    return () => { clearTimeout(timer); request.abort(); };
  }, [where, turn, back, fixed ? 0 : changes]);

  const reload = useCallback(() => setTurn((now) => now + 1), []);
  return { ...state, late, reload, isCurrent: state.of === where };
}
