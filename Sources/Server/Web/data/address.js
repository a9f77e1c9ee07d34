// The address says all of what is shown, so that it can be shared: /redset/overview?window=24h&entities=3,10

import { store, useStore } from "./store.js";

const current = store(parse());

function parse() {
  const [useCase = "", view = "", ...rest] = location.pathname.split("/").filter(Boolean).map(decoded);
  return { useCase, view, subject: rest.join("/"), params: Object.fromEntries(new URLSearchParams(location.search)) };
}

function decoded(part) {
  try { return decodeURIComponent(part); } catch (malformed) { return part; }
}

addEventListener("popstate", () => current.set(parse()));

export const address = () => current.value;
export const useAddress = () => useStore(current);

/** Parameters that go along from view to view. */
const kept = ["window", "entities", "critical", "from", "to", "theme", "wall"];

function query(params) {
  const pairs = Object.entries(params).filter(([, value]) => value !== undefined && value !== null && value !== "");
  // Commas and colons are readable in a query and mean nothing there.
  const encoded = (value) => encodeURIComponent(value).replace(/%2C/g, ",").replace(/%3A/g, ":");
  const text = pairs.map(([name, value]) => `${name}=${encoded(value)}`).join("&");
  return text ? `?${text}` : "";
}

/** The address of a view of the use case. */
export function to(view, subject, params = {}) {
  const { useCase, params: now } = current.value;
  const along = Object.fromEntries(kept.filter((name) => name in now).map((name) => [name, now[name]]));
  const path = [useCase, view, subject].filter((part) => part !== undefined && part !== "").map(encodeURIComponent).join("/");
  return `/${path}${query({ ...along, ...params })}`;
}

export function go(where, { replace = false } = {}) {
  if (where === location.pathname + location.search) return;
  history[replace ? "replaceState" : "pushState"](null, "", where);
  current.set(parse());
  if (!replace) scrollTo(0, 0);
}

/** Changes parameters of the view that is shown; undefined takes one out. */
export function change(params, { replace = true } = {}) {
  const where = location.pathname + query({ ...current.value.params, ...params });
  if (where === location.pathname + location.search) return;
  history[replace ? "replaceState" : "pushState"](null, "", where);
  current.set(parse());
}

/** Links within the page change the address without loading it anew. */
export function onClick(event) {
  const link = event.target.closest?.("a[href]");
  if (!link || event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  const url = new URL(link.href);
  const isOurs = url.origin === location.origin && !link.target && !link.hasAttribute("download");
  if (!isOurs || /^\/(api|assets|docs|openapi\.json|metrics|healthz|readyz)(\/|$)/.test(url.pathname) || link.hash) return;
  event.preventDefault();
  go(url.pathname + url.search);
}

/** Keys of entities as a parameter; a comma within one is escaped. */
export const joined = (keys) => keys.map((key) => key.replace(/[%,]/g, encodeURIComponent)).join(",");
export const split = (text) => (text ? text.split(",").map(decoded) : []);
