// Follows the server's stream of events. It is read with fetch rather than EventSource, which cannot send a token.

import { answered, get, headers, path } from "./api.js";
import { revision } from "./resource.js";
import { store } from "./store.js";

/** How the use case stands: lights, records a second, lag, up to when there are figures. */
export const status = store(null);
/** Up to when the figures on the page are; it goes along with `status`, at a pace that lets requests end. */
export const figuresUntil = store(null);
/** Anomalies that came since the page was opened, the newest first, bounded. */
export const arrivals = store([]);
/** Jobs that somebody asked for, by id: how far a training is. */
export const jobs = store({});
/** When the next attempt to reach the server is made, while it does not answer. */
export const nextAttempt = store(null);

const mostArrivals = 500;
const pace = 4000; // A replay closes windows many times a second; what is shown is read again this often at most.
const silence = 20_000; // The server sends its status every few seconds: longer than this is a dead connection.

const pause = (length, signal) => new Promise((resolve) => {
  const timer = setTimeout(resolve, length);
  signal.addEventListener("abort", () => { clearTimeout(timer); resolve(); }, { once: true });
});

let hurry = new AbortController();
/** Does not wait for the next attempt. */
export function tryNow() { hurry.abort(); }

let due = null;
let last = -Infinity;

/** Reads all figures again, now or as soon as the pace allows. */
function refresh() {
  if (due !== null) return;
  due = setTimeout(() => {
    due = null;
    last = performance.now();
    figuresUntil.set(status.value?.data_until ?? null);
    revision.set(revision.value + 1);
  }, Math.max(0, last + pace - performance.now()));
}

/** Takes in how the use case stands. */
export function learn(now) {
  const isFirst = figuresUntil.value === null;
  status.set(now);
  if (isFirst) figuresUntil.set(now.data_until);
  else if (now.data_until !== figuresUntil.value) refresh();
}

function take({ type, id, data }) {
  if (type === "status") learn(data);
  else if (type === "figures") refresh();
  else if (type === "anomaly") arrivals.set([data, ...arrivals.value.filter((one) => one.id !== data.id)].slice(0, mostArrivals));
  else if (type === "retraction") arrivals.set(arrivals.value.filter((one) => one.id !== data.id));
  else if (type === "progress") jobs.set({ ...jobs.value, [data.id]: data });
  else if (type === "reset") { arrivals.set([]); refresh(); }
  return id;
}

/** Reads events out of the bytes of a stream: fields in lines, an empty line ends an event. */
async function* eventsOf(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "", event = { type: "message", data: "" };
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      rest += value;
      const lines = rest.split("\n");
      rest = lines.pop();
      for (const line of lines.map((text) => text.replace(/\r$/, ""))) {
        if (line === "") {
          if (event.data) yield { ...event, data: JSON.parse(event.data) };
          event = { type: "message", data: "", id: event.id };
        } else if (line.startsWith("event:")) event.type = line.slice(6).trim();
        else if (line.startsWith("data:")) event.data += line.slice(5).trim();
        else if (line.startsWith("id:")) event.id = line.slice(3).trim();
        else yield null; // A comment keeps the connection alive.
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

async function connect(useCase, lastId, signal, onEvent) {
  const response = await fetch(`/api/v1${path(useCase, "stream")}`, {
    headers: headers({ accept: "text/event-stream", ...(lastId ? { "last-event-id": lastId } : {}) }), signal,
  });
  if (!response.ok) throw new Error(`the stream answered ${response.status}`);
  for await (const event of eventsOf(response.body)) onEvent(event);
}

/** Follows a use case until the returned function is called, across restarts of the server. */
export function follow(useCase) {
  status.set(null);
  figuresUntil.set(null);
  arrivals.set([]);
  jobs.set({});
  const end = new AbortController();
  let lastId = null;
  const run = async () => {
    let attempt = 0;
    while (!end.signal.aborted) {
      const attemptEnd = new AbortController();
      end.signal.addEventListener("abort", () => attemptEnd.abort(), { once: true });
      let watchdog = setTimeout(() => attemptEnd.abort(), silence);
      try {
        await connect(useCase, lastId, attemptEnd.signal, (event) => {
          clearTimeout(watchdog);
          watchdog = setTimeout(() => attemptEnd.abort(), silence);
          attempt = 0;
          answered();
          if (event) lastId = take(event) ?? lastId;
        });
      } catch (failure) { /* Whatever it was, the next attempt tells. */ }
      clearTimeout(watchdog);
      if (end.signal.aborted) return;
      // The stream has ended: this request tells whether the server is still there.
      await get(path(useCase, "status")).then(learn, () => {});
      const wait = Math.min(5000, 1000 * 2 ** Math.min(attempt, 3));
      attempt += 1;
      hurry = new AbortController();
      nextAttempt.set(Date.now() + wait);
      await pause(wait, hurry.signal);
      nextAttempt.set(null);
    }
  };
  run();
  return () => { end.abort(); hurry.abort(); };
}
