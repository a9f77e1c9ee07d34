// Reasons of the engine in the units of their fields, cut into what matters and what follows from it.

import { factor, quantity, roundQuantity } from "./numbers.js";

const number = "-?\\d+(?:\\.\\d+)?(?:e[+-]?\\d+)?";

/** Numbers that stand before a unit, or behind the name of a field that has one. */
export function inUnits(text, units) {
  let shown = text.replace(new RegExp(`(${number}) (ms|MB)\\b`, "g"), (_, value, unit) => quantity(Number(value), unit));
  shown = shown.replace(new RegExp(`\\b([a-z_][a-z0-9_.]*) = (${number})\\b`, "g"), (whole, field, value) =>
    units[field] ? `${field} = ${quantity(Number(value), units[field])}` : whole);
  return shown;
}

/**
 * What a row says. Columns beside it have the actual and the expected value, so they are cut from the text.
 * @returns {[string, string]} what matters, and the rest.
 */
export function inRow(reason, units) {
  const expected = reason.match(new RegExp(`^([a-z_][a-z0-9_.]*) = ${number}, expected ${number}: (.*)$`, "s"));
  if (!expected) {
    const [head, ...rest] = inUnits(reason, units).replace(new RegExp(`: score ${number}, threshold ${number}`), "").split("; ");
    return [head, rest.join("; ")];
  }
  const [, field, why] = expected;
  const [clause, ...rest] = why.split("; ");
  return [`${field} ${inClause(clause, units[field])}`, inUnits(rest.join("; "), units)];
}

const times = (value) => (value >= 100 ? factor(value) : value.toFixed(1));

/** "54.254 times as much (ratio 10)", "163190.5 more (delta 120000)" */
function inClause(clause, unit) {
  return clause
    .replace(new RegExp(`(${number}) times`), (_, value) => `${times(Number(value))} times`)
    .replace(new RegExp(`(${number}) more`), (_, value) => `${quantity(Number(value), unit)} more`)
    .replace(new RegExp(`\\b(delta|floor) (${number})`), (_, name, value) => `${name} ${roundQuantity(Number(value), unit)}`);
}

/** Units of fields by name, as the use case describes them. */
export function unitsOf(described) {
  return Object.fromEntries((described?.fields ?? []).filter(({ unit }) => unit).map(({ name, unit }) => [name, unit]));
}
