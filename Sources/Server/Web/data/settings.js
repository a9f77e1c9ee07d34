// What somebody has chosen for this browser: theme, zone, whether single keys are commands.

import { store, useStore } from "./store.js";

const names = { theme: "pulse.theme", zone: "pulse.zone", keys: "pulse.keys" };
const defaults = { theme: "system", zone: "local", keys: "on" };

function stored(name) {
  try { return localStorage.getItem(names[name]); } catch (refused) { return null; }
}

const settings = Object.fromEntries(Object.keys(names).map((name) => [name, store(stored(name) ?? defaults[name])]));

export const setting = (name) => settings[name].value;
export const useSetting = (name) => useStore(settings[name]);

export function choose(name, value) {
  settings[name].set(value);
  try { localStorage.setItem(names[name], value); } catch (refused) { /* it holds for this page then */ }
}

/** Paints in the theme of the address, else in the chosen one, else in the system's. */
export function applyTheme(ofAddress) {
  const theme = ofAddress || setting("theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
  else delete document.documentElement.dataset.theme;
}
