// Classes, detectors and entities over one axis of event time, crossed by one line.

import { html, useEffect, useMemo, useRef, useState } from "../../parts/html.js";
import { Failure, useWidth } from "../../parts/elements.js";
import { change } from "../../data/address.js";
import { stepCount, stepOf, stepStart } from "../../data/range.js";
import { useKeys } from "../frame/keys.js";
import { Axis } from "./axis.js";
import { Classes } from "./classes.js";
import { Lanes } from "./lanes.js";
import { Heat } from "./heat.js";
import { iso } from "../../text/times.js";

export function Timeline({ range, params, described, classes, detectors, entities, activations, problem, onProblem, wall }) {
  const [plot, width] = useWidth();
  const steps = range ? stepCount(range) : 1;
  const stepWidth = width / steps;
  const [hovered, setHovered] = useState(null);
  const pinned = range && params.at && Number.isFinite(Date.parse(params.at)) ? stepOf(range, Date.parse(params.at)) : null;
  const index = hovered ?? pinned;

  const move = (by) => {
    if (!range) return;
    const next = Math.max(0, Math.min(steps - 1, (index ?? (by > 0 ? -1 : steps)) + by));
    setHovered(null);
    change({ at: iso(stepStart(range, next)) });
  };
  useKeys({
    ArrowLeft: () => move(-1), ArrowRight: () => move(1),
    ...(pinned !== null ? { Escape: () => change({ at: undefined }) } : {}),
  });

  // Of few entities there is room for more of the classes.
  const extra = entities.data && !wall ? Math.max(0, 8 - Math.max(1, entities.data.series.length)) * 20 : 0;
  const shape = useMemo(() => ({ range, width, stepWidth, steps }), [width, steps, range?.from, range?.to, range?.step]);
  return html`
    <section class="panel timeline" aria-label="Time line">
      <div class="measure" aria-hidden="true"><div></div><div ref=${plot}></div><div></div></div>
      ${classes.error
        ? html`<${Failure} of="Classes" error=${classes.error} onRetry=${classes.reload} />`
        : html`
          <${Classes} shape=${shape} data=${classes.data} late=${classes.late} described=${described} index=${index}
            extra=${extra} problem=${problem} onProblem=${onProblem} />
        `}
      ${detectors.error
        ? html`<${Failure} of="Anomalies" error=${detectors.error} onRetry=${detectors.reload} />`
        : html`
          <${Lanes} shape=${shape} data=${detectors.data} late=${detectors.late} index=${index} problem=${problem}
            onProblem=${onProblem} />
        `}
      ${entities.error
        ? html`
          <${Failure} of=${described?.entity.many ?? "Entities"} error=${entities.error} onRetry=${entities.reload} />
        `
        : html`
          <${Heat} shape=${shape} data=${entities.data} late=${entities.late} described=${described} index=${index}
            criticalOnly=${params.critical === "1"} wall=${wall} />
        `}
      ${range
        ? html`
          <${Axis} shape=${shape} index=${index} marks=${activations.data?.items ?? []} />
          <${Crosshair} shape=${shape} index=${index} onHover=${setHovered} />
        `
        : html`<div class="axis"></div>`}
    </section>
  `;
}

/** The line through all plots, and what the pointer does there: it points, pins with a click, and zooms where it is dragged. */
function Crosshair({ shape, index, onHover }) {
  const { range, stepWidth, steps } = shape;
  const [drag, setDrag] = useState(null);
  const layer = useRef();
  const at = (event) => {
    const box = layer.current.getBoundingClientRect();
    const share = (event.clientX - box.left) / box.width;
    return Math.max(0, Math.min(steps - 1, Math.floor(share * steps)));
  };
  useEffect(() => {
    if (!drag) return;
    const cancel = (event) => { if (event.key === "Escape") { setDrag(null); event.stopPropagation(); } };
    addEventListener("keydown", cancel, true);
    return () => removeEventListener("keydown", cancel, true);
  }, [drag !== null]);
  const onUp = (event) => {
    if (!drag) return;
    const [first, last] = [Math.min(drag.from, at(event)), Math.max(drag.from, at(event))];
    setDrag(null);
    if (first === last) change({ at: iso(stepStart(range, first)) });
    else {
      const [from, to] = [stepStart(range, first), Math.min(range.to, stepStart(range, last + 1))];
      change({ from: iso(from), to: iso(to), window: undefined, at: undefined }, { replace: false });
    }
  };
  const onDown = (event) => {
    // A finger scrolls the page.
    if (event.button !== 0 || event.pointerType === "touch") return;
    layer.current.setPointerCapture(event.pointerId);
    setDrag({ from: at(event), to: at(event) });
  };
  const onMove = (event) => {
    const step = at(event);
    onHover(step);
    if (drag) setDrag({ ...drag, to: step });
  };
  return html`
    <div class="crosshair-layer" ref=${layer} onPointerMove=${onMove}
      onPointerLeave=${() => { if (!drag) onHover(null); }}
      onPointerDown=${onDown}
      onClick=${(event) => { if (event.pointerType === "touch") change({ at: iso(stepStart(range, at(event))) }); }}
      onPointerUp=${onUp} onPointerCancel=${() => setDrag(null)}>
      ${drag && drag.from !== drag.to && html`
        <div class="selection"
          style=${{ left: `${Math.min(drag.from, drag.to) * stepWidth}px`, width: `${(Math.abs(drag.to - drag.from) + 1) * stepWidth}px` }}>
        </div>
      `}
      ${index !== null && html`<div class="crosshair" style=${{ left: `${(index + 0.5) * stepWidth}px` }}></div>`}
    </div>
  `;
}
