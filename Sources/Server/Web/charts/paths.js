// Shapes of charts as SVG paths: one path for many marks, so that a week of 200 entities stays smooth.

const round = (value) => Math.round(value * 10) / 10;

/** A round number at or above the largest value, and the ticks up to it. */
export function niceTop(largest) {
  if (!(largest > 0)) return { top: 1, ticks: [0, 1] };
  const power = 10 ** Math.floor(Math.log10(largest));
  const top = [1, 1.5, 2, 3, 4, 5, 6, 8, 10].map((step) => step * power).find((step) => step >= largest * 0.999);
  return { top, ticks: [0, top / 2, top] };
}

/** The centre of each step; the outer ones are drawn out to the edges. */
const centre = (index, stepWidth) => (index + 0.5) * stepWidth;

/** Stretches without a gap, as [first, last]. */
function stretches(values) {
  const found = [];
  let first = null;
  values.forEach((value, index) => {
    if (value !== null && first === null) first = index;
    if ((value === null || index === values.length - 1) && first !== null) {
      found.push([first, value === null ? index - 1 : index]);
      first = null;
    }
  });
  return found;
}

function points(values, [first, last], stepWidth, y) {
  const line = [[first * stepWidth, y(values[first])]];
  for (let index = first; index <= last; index += 1) line.push([centre(index, stepWidth), y(values[index])]);
  line.push([(last + 1) * stepWidth, y(values[last])]);
  return line;
}

const lineOf = (line) => line.map(([x, y], index) => `${index ? "L" : "M"}${round(x)} ${round(y)}`).join("");

/** A line through values; null is a gap and stays one. */
export function linePath(values, stepWidth, y) {
  return stretches(values).map((stretch) => lineOf(points(values, stretch, stepWidth, y))).join("");
}

/** The area between two lines over the same steps. */
export function areaPath(upper, lower, stepWidth, y) {
  return stretches(upper).map((stretch) => {
    const back = points(lower, stretch, stepWidth, y).reverse();
    return `${lineOf(points(upper, stretch, stepWidth, y))}L${lineOf(back).slice(1)}Z`;
  }).join("");
}

/** Bars from a base line up. A value above zero is at least a pixel high. */
export function barsPath(values, stepWidth, base, height, largest, gap = 1) {
  const width = Math.max(1, stepWidth - gap);
  return values.map((value, index) => {
    if (!value) return "";
    const size = Math.max(1.5, (value / largest) * height);
    return `M${round(index * stepWidth)} ${round(base)}v${-round(size)}h${round(width)}v${round(size)}z`;
  }).join("");
}

/** Values as a line of steps, as bars without their sides would be. */
export function stepsPath(values, stepWidth, base, height, largest) {
  let path = "";
  values.forEach((value, index) => {
    if (value === null) return;
    const y = round(base - (value / largest) * height);
    const joins = index > 0 && values[index - 1] !== null;
    path += `${joins ? "L" : "M"}${round(index * stepWidth)} ${y}H${round((index + 1) * stepWidth)}`;
  });
  return path;
}

/** Cells of a row in which `has` holds. */
export function cellsPath(values, has, stepWidth, top, height, gap = 1) {
  const width = Math.max(1, stepWidth - gap);
  let path = "";
  values.forEach((value, index) => {
    if (has(value)) path += `M${round(index * stepWidth)} ${top}h${round(width)}v${height}h${-round(width)}z`;
  });
  return path;
}

/** Puts labels where their lines end, pushed apart where they would overlap, within 0 and `bottom`. */
export function spread(places, least, bottom) {
  const order = places.map((place, index) => ({ place, index })).sort((a, b) => a.place - b.place);
  for (let turn = 1; turn < order.length; turn += 1) {
    order[turn].place = Math.max(order[turn].place, order[turn - 1].place + least);
  }
  let limit = bottom;
  for (const one of [...order].reverse()) {
    one.place = Math.min(one.place, limit);
    limit = one.place - least;
  }
  const result = [];
  for (const { place, index } of order) result[index] = place;
  return result;
}
