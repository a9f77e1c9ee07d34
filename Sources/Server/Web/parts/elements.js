// Small parts that several views use: menus, dialogs, tabs, copying, times, panels with their states.

import { html, useEffect, useLayoutEffect, useRef, useState } from "./html.js";
import { Chevron, Light, Search } from "./icons.js";
import { exact } from "../text/times.js";
import { parts } from "../text/numbers.js";

/** A point in time as `show` writes it, with the exact one in UTC at hand. */
export const Time = ({ at, show }) => html`<time datetime=${at} title=${exact(at)}>${show(at)}</time>`;

/** A value with small units: 1 h 46 min. */
export const Value = ({ of, unit }) => parts(of, unit).map(([number, name], place) => html`
  ${place ? " " : ""}
  ${number}
  ${ name && html`<span class="unit">${"\u202f"}${name}</span>`}
`);

export function Tabs({ label, of, chosen, onChoose }) {
  return html`
    <div class="tabs" role="group" aria-label=${label}>
      ${of.map(([value, text]) => html`
        <button class="tab" key=${value} aria-pressed=${value === chosen} onClick=${() => onChoose(value)}>
          ${text}
        </button>
      `)}
    </div>
  `;
}

/** A button with what it opens. Esc and a click elsewhere close it. */
export function Menu({ label, text, style = "chip", right, children }) {
  const [open, setOpen] = useState(false);
  const box = useRef();
  useEffect(() => {
    if (!open) return;
    const outside = (event) => { if (!box.current.contains(event.target)) setOpen(false); };
    addEventListener("pointerdown", outside);
    box.current.querySelector(".pop input, .pop button")?.focus();
    return () => removeEventListener("pointerdown", outside);
  }, [open]);
  const onKey = (event) => {
    if (!open) return;
    if (event.key === "Escape") { setOpen(false); box.current.querySelector("button").focus(); event.stopPropagation(); }
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      const all = [...box.current.querySelectorAll(".pop input, .pop button")];
      const next = all.indexOf(document.activeElement) + (event.key === "ArrowDown" ? 1 : -1);
      all[(next + all.length) % all.length]?.focus();
      event.preventDefault();
    }
  };
  return html`
    <div class="menu" ref=${box} onKeyDown=${onKey}>
      <button class=${style} aria-expanded=${open} aria-label=${label} onClick=${() => setOpen(!open)}>
        ${text}
        <${Chevron} class="chevron" />
      </button>
      ${open && html`
        <div class="pop ${right ? "to-right" : ""}">
          ${typeof children === "function" ? children(() => setOpen(false)) : children}
        </div>
      `}
    </div>
  `;
}

/** A choice of one in a menu. `options` are [value, text, count]. */
export function Choice({ label, options, chosen, onChoose }) {
  const text = options.find(([value]) => value === chosen)?.[1] ?? options[0][1];
  return html`
    <${Menu} label=${`${label}: ${text}`} text=${text}>
      ${(close) => options.map(([value, name, number]) => html`
        <button class="item" key=${value} aria-pressed=${value === chosen}
          onClick=${() => { onChoose(value); close(); }}>
          ${name}
          ${number !== undefined && html`<span class="count">${number}</span>`}
        </button>
      `)}
    <//>
  `;
}

/** A dialog that stands before everything until it is answered. */
export function Dialog({ title, wide, onClose, children, foot }) {
  const box = useRef();
  useLayoutEffect(() => { box.current.showModal(); }, []);
  return html`
    <dialog ref=${box} class=${wide ? "wide" : ""} aria-label=${title} onClose=${onClose}
      onClick=${(event) => { if (event.target === box.current) onClose(); }}>
      <div class="dialog-head"><h2 class="grow">${title}</h2><kbd>Esc</kbd></div>
      <div class="dialog-body">${children}</div>
      ${foot && html`<div class="dialog-foot">${foot}</div>`}
    </dialog>
  `;
}

/** Copies a text, and says so on the button. */
export function Copy({ text, children, style = "button", label }) {
  const [done, setDone] = useState(false);
  useEffect(() => {
    if (!done) return;
    const timer = setTimeout(() => setDone(false), 1600);
    return () => clearTimeout(timer);
  }, [done]);
  const copy = async () => { setDone(await copied(typeof text === "function" ? text() : text)); };
  return html`
    <button class=${style} onClick=${copy} aria-label=${label}>
      <span aria-live="polite">${done ? "Copied" : children}</span>
    </button>
  `;
}

/** Copies a text; the clipboard of browsers works on secure origins and loopback only, so there is the old way too. */
export async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch (refused) {
    const area = document.createElement("textarea");
    area.value = text;
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}

/** What a server says in a sentence of its own, within another one. */
const clause = (sentence) => sentence.replace(/\.$/, "").replace(/^[A-Z](?=[a-z ])/, (letter) => letter.toLowerCase());

/** Something that failed by itself, while the rest is live. */
export function Failure({ of, error, onRetry }) {
  return html`
    <div class="failure" role="alert">
      <${Light} state="warning" />
      <p class="grow">
        <strong>${of}</strong> could not be read: ${clause(error.message)}
        ${error.status ? ` (${error.status})` : ""}
        . The rest is live.
      </p>
      <button class="button small" onClick=${onRetry}>Try again</button>
    </div>
  `;
}

/** A field to search with: typed text goes into the address a moment after the last letter. */
export function SearchField({ input, value, name, onText }) {
  const timer = useRef();
  const onInput = (event) => {
    const text = event.target.value;
    clearTimeout(timer.current);
    timer.current = setTimeout(() => onText(text.trim() || undefined), 250);
  };
  useEffect(() => () => clearTimeout(timer.current), []);
  return html`
    <div class="search">
      <${Search} />
      <input ref=${input} type="search" placeholder=${name} aria-label=${name} value=${value} onInput=${onInput} />
      <kbd aria-hidden="true">/</kbd>
    </div>
  `;
}

/** Width of an element, followed: charts are drawn for it. */
export function useWidth(first = 0) {
  const element = useRef();
  const [width, setWidth] = useState(first);
  useLayoutEffect(() => {
    if (!element.current) return;
    const observer = new ResizeObserver(([entry]) => setWidth(Math.floor(entry.contentRect.width)));
    observer.observe(element.current);
    setWidth(Math.floor(element.current.getBoundingClientRect().width));
    return () => observer.disconnect();
  }, []);
  return [element, width];
}
