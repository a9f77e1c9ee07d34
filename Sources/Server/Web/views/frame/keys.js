// Single keys as commands: "g o" is two of them within a second. They can be turned off, and rest while somebody types.

import { useEffect, useRef } from "../../parts/html.js";
import { setting } from "../../data/settings.js";

const layers = []; // The last one that knows a key answers it: a detail above its list.
let before = null;

/** Commands by key, for as long as the component is shown. */
export function useKeys(commands) {
  const layer = useRef({});
  layer.current.commands = commands;
  useEffect(() => {
    layers.push(layer.current);
    return () => { layers.splice(layers.indexOf(layer.current), 1); };
  }, []);
}

const typesText = (element) => element?.closest?.("input:not([type=checkbox]):not([type=radio]), textarea, select, [contenteditable]");
/** What acts on these keys itself. */
const usesEnter = (element) => element?.closest?.("a, button, input, summary, [role=button]");

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  const { key, target } = event;
  if (document.querySelector("dialog[open]")) return;
  if (key === "Escape" && typesText(target)) { target.blur(); return; }
  if (typesText(target)) return;
  const isCharacter = key.length === 1;
  if (isCharacter && setting("keys") === "off" && key !== "?") return;
  if (key === "Enter" && usesEnter(target)) return;
  const pair = before && performance.now() - before.time < 1000 ? `${before.key} ${key}` : null;
  before = null;
  for (const name of [pair, key]) {
    if (!name) continue;
    for (const { commands } of [...layers].reverse()) {
      if (!commands[name]) continue;
      event.preventDefault();
      commands[name](event);
      return;
    }
  }
  if (key === "g") before = { key, time: performance.now() };
}

export function listenToKeys() { document.addEventListener("keydown", onKey); }
