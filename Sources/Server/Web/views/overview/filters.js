// Which window, which entities, critical ones only, the range in event time, and a link to all of that.

import { html, useRef, useState } from "../../parts/html.js";
import { Left, Link, Right } from "../../parts/icons.js";
import { copied, Menu, Tabs } from "../../parts/elements.js";
import { change, joined } from "../../data/address.js";
import { useKeys } from "../frame/keys.js";
import { capital, count } from "../../text/numbers.js";
import { dayMinute, exact, iso, zoneName } from "../../text/times.js";

const windows = [["live", "Live"], ["24h", "24\u202fh"], ["7d", "7\u202fd"]];

export function Filters({ params, range, entities, chosen, onChoose, entity }) {
  const isCritical = params.critical === "1";
  const critical = entities?.filter((one) => one.critical).length;
  const choose = (window) => {
    change({ window: window === "24h" ? undefined : window, from: undefined, to: undefined, at: undefined }, { replace: false });
  };
  const bar = useRef();
  useKeys({
    1: () => choose("live"), 2: () => choose("24h"), 3: () => choose("7d"),
    c: () => change({ critical: isCritical ? undefined : "1" }, { replace: false }),
    e: () => bar.current.querySelector(".entities button")?.click(),
  });
  const move = (direction) => {
    const end = range.to + direction * range.length;
    const isLast = end >= range.until;
    if (range.name) change({ to: isLast ? undefined : iso(end), from: undefined, at: undefined }, { replace: false });
    else change({ from: iso(end - range.length), to: iso(end), at: undefined }, { replace: false });
  };
  return html`
    <div class="filters" ref=${bar}>
      <${Tabs} label="Window" of=${windows} chosen=${range?.name ?? params.window ?? "24h"} onChoose=${choose} />
      <${Entities} entity=${entity} all=${entities} chosen=${chosen} onChoose=${onChoose} />
      <label class="check critical-only">
        <input type="checkbox" checked=${isCritical}
          onChange=${(event) => change({ critical: event.target.checked ? "1" : undefined }, { replace: false })} />
        Critical only <span class="faint">${critical ?? ""}</span>
      </label>
      <div class="range">
        ${range && html`
          <button class="button icon plain" aria-label="Earlier" onClick=${() => move(-1)}><${Left} /></button>
          <span class="range-text">
            <time datetime=${iso(range.from)} title=${exact(range.from)}>${dayMinute(range.from)}</time> to ${" "}
            <time datetime=${iso(range.to)} title=${exact(range.to)}>${dayMinute(range.to)}</time> <span class="zone">
              ${zoneName()}
              <span class="of-events">, event time</span>
            </span>
          </span>
          <button class="button icon plain" aria-label="Later" disabled=${range.to >= range.until}
            onClick=${() => move(1)}><${Right} /></button>
          ${range.name === "live" && html`
            <button class="link" onClick=${() => change({ to: range.follows ? iso(range.to) : undefined })}>
              ${range.follows ? "Pause" : "Go on"}
            </button>
          `}
          ${range.name === null && html`<button class="link" onClick=${() => choose("24h")}>Zoom out</button>`}
        `}
      </div>
      <${CopyLink} />
    </div>
  `;
}

function CopyLink() {
  const [done, setDone] = useState(false);
  const copy = async () => { setDone(await copied(location.href)); setTimeout(() => setDone(false), 1600); };
  return html`
    <button class="button copy-link" data-key="y" aria-label="Copy link" onClick=${copy}>
      <${Link} />
      <span aria-live="polite">${done ? "Copied" : "Copy link"}</span>
    </button>
  `;
}

/** Which entities: all or some. Of very many, those that match what is typed. */
function Entities({ entity, all, chosen, onChoose }) {
  const [search, setSearch] = useState("");
  const names = all?.map((one) => one.name) ?? [];
  const found = names.filter((name) => name.toLowerCase().includes(search.toLowerCase()));
  const set = new Set(chosen);
  const text = html`
    <span>
      ${entity ? capital(entity.many) : "Entities"} <strong>
        ${ set.size === 0 ? `all ${all ? count(all.length) : ""}` : set.size <= 3 ? chosen.join(", ") : count(set.size)}
      </strong>
    </span>
  `;
  const toggle = (name) => {
    const next = new Set(set);
    if (!next.delete(name)) next.add(name);
    onChoose(next.size === names.length ? [] : [...next]);
  };
  return html`
    <div class="entities">
      <${Menu} label=${`${entity?.many ?? "Entities"}: ${set.size ? joined(chosen) : "all"}`} style="button"
        text=${text}>
        <div class="entity-search">
          <input class="field" type="search" placeholder=${`Find ${entity?.one ?? "one"}`} aria-label="Find"
            value=${search} onInput=${(event) => setSearch(event.target.value)} />
        </div>
        <button class="item" aria-pressed=${set.size === 0} onClick=${() => onChoose([])}>
          All ${count(names.length)}
        </button>
        <button class="item" onClick=${() => onChoose(all.filter((one) => one.critical).map((one) => one.name))}
          disabled=${!all?.some((one) => one.critical)}>Critical ones</button>
        <div class="pop-list">
          ${found.slice(0, 200).map((name) => html`
            <label class="item check" key=${name}>
              <input type="checkbox" checked=${set.has(name)} onChange=${() => toggle(name)} />
              ${name}
              <span class="count">${count(all.find((one) => one.name === name).total)}</span>
            </label>
          `)}
        </div>
        ${found.length === 0 && html`<p class="note none">None is called that.</p>`}
      <//>
    </div>
  `;
}
