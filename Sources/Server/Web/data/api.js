// Requests to the server, and whether it answers.

import { store } from "./store.js";

/** asking, ok or lost; `since` is when that began, `known` when the last answer came. */
export const connection = store({ state: "asking", since: Date.now(), known: null });
/** Whether the server wants a token that it was not given. */
export const wantsToken = store(false);
/** Counts up when the server is back: what failed is asked for again. */
export const returns = store(0);

class ServerError extends Error {
  constructor(message, status, problem) {
    super(message);
    this.status = status;
    this.problem = problem;
  }
}

export function answered() {
  const { state } = connection.value;
  connection.set({ state: "ok", since: state === "ok" ? connection.value.since : Date.now(), known: Date.now() });
  document.documentElement.dataset.connection = "ok";
  if (state === "lost") returns.set(returns.value + 1);
}

export function unanswered() {
  const { state, known } = connection.value;
  if (state === "lost") return;
  connection.set({ state: "lost", since: known ?? Date.now(), known });
  document.documentElement.dataset.connection = "lost";
}

function token() {
  try { return sessionStorage.getItem("pulse.token"); } catch (refused) { return null; }
}
export function rememberToken(text) {
  try { sessionStorage.setItem("pulse.token", text); } catch (refused) { /* it is asked for again then */ }
  wantsToken.set(false);
  returns.set(returns.value + 1);
}

export function headers(more = {}) {
  const known = token();
  return known ? { authorization: `Bearer ${known}`, ...more } : more;
}

const base = "/api/v1";
export const path = (useCase, ...rest) => `/use-cases/${[useCase, ...rest].map(encodeURIComponent).join("/")}`;

/** A path with its parameters; those that are undefined or empty are left out. */
export function withQuery(where, params) {
  const pairs = Object.entries(params).filter(([, value]) => value !== undefined && value !== null && value !== "");
  return pairs.length ? `${where}?${pairs.map(([name, value]) => `${name}=${encodeURIComponent(value)}`).join("&")}` : where;
}

async function ask(where, options) {
  let response;
  try {
    response = await fetch(base + where, options);
  } catch (failure) {
    if (failure.name === "AbortError") throw failure;
    unanswered();
    throw new ServerError("no answer from the server", 0);
  }
  answered();
  if (response.ok) return response.status === 204 ? null : response.json();
  const problem = await response.json().catch(() => ({}));
  if (response.status === 401) wantsToken.set(true);
  throw new ServerError(problem.detail ?? problem.title ?? response.statusText, response.status, problem);
}

export const get = (where, signal) => ask(where, { headers: headers(), signal });

export const send = (method, where, body) => ask(where, {
  method,
  headers: headers({ "content-type": "application/json" }),
  body: body === undefined ? undefined : JSON.stringify(body),
});

/** The address of something that is downloaded rather than shown. */
export const download = (where) => base + where;
