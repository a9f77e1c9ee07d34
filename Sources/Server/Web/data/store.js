// A value that components follow.

import { useEffect, useReducer } from "../parts/html.js";

export function store(first) {
  let value = first;
  const followers = new Set();
  return {
    get value() { return value; },
    set(next) {
      if (next === value) return;
      value = next;
      for (const follower of [...followers]) follower();
    },
    follow(follower) {
      followers.add(follower);
      return () => followers.delete(follower);
    },
  };
}

/** The value of a store; the component is drawn again when it changes. */
export function useStore(of) {
  const [, draw] = useReducer((turn) => turn + 1, 0);
  useEffect(() => {
    const seen = of.value;
    const stop = of.follow(draw);
    if (of.value !== seen) draw();
    return stop;
  }, [of]);
  return of.value;
}
