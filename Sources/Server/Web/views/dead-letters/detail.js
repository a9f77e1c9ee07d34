// One record as it came: as text, with what is wrong marked, or as bytes.

import { html, useState } from "../../parts/html.js";
import { Copy, copied, Tabs } from "../../parts/elements.js";
import { useKeys } from "../frame/keys.js";
import { count } from "../../text/numbers.js";

const mostShown = 4096;

function bytesOf(letter) {
  if (letter.raw !== null) return new TextEncoder().encode(letter.raw);
  return Uint8Array.from(atob(letter.raw_base64 ?? ""), (one) => one.charCodeAt(0));
}

/** Lines of sixteen bytes: place, bytes, and the letters among them. */
function hex(bytes) {
  const lines = [];
  for (let at = 0; at < Math.min(bytes.length, mostShown); at += 16) {
    const part = [...bytes.slice(at, at + 16)];
    const numbers = part.map((one) => one.toString(16).padStart(2, "0"));
    const text = part.map((one) => (one >= 32 && one < 127 ? String.fromCharCode(one) : "·")).join("");
    lines.push(`${at.toString(16).padStart(4, "0")}  ${numbers.slice(0, 8).join(" ").padEnd(23)}  ${numbers.slice(8).join(" ").padEnd(23)}  ${text}`);
  }
  return lines.join("\n");
}

/** A flat JSON object with a member a line. It is the text itself, broken between members, whatever is wrong with it. */
function broken(text) {
  let depth = 0, inText = false, result = "";
  for (let at = 0; at < text.length; at += 1) {
    const one = text[at];
    if (inText) {
      result += one;
      if (one === "\\") { result += text[at + 1] ?? ""; at += 1; } else if (one === '"') inText = false;
      continue;
    }
    if (one === '"') inText = true;
    if (one === "{" || one === "[") depth += 1;
    if (one === "}" || one === "]") { depth -= 1; result += depth === 0 ? `\n${one}` : one; continue; }
    result += one;
    if ((one === "{" && depth === 1) || (one === "," && depth === 1)) result += "\n ";
  }
  return result;
}

/** As YAML: in double quotes where there is what single ones cannot hold, as line ends. */
function quoted(text) {
  return /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/.test(text) ? JSON.stringify(text) : `'${text.replace(/'/g, "''")}'`;
}

function scenario(letter, described) {
  const raw = letter.raw ?? "";
  return `# scenarios/dead_letters.yaml: pulse test ${described?.name ?? letter.use_case}
name: ${JSON.stringify(`record ${letter.position.row} is refused: ${letter.reason}`)}
given:
  events:
    - {raw: ${quoted(raw)}}
expect:
  dead_letters:
    - {event: 0, stage: ${letter.stage}, reason: ${letter.reason}${letter.field ? `, field: ${JSON.stringify(letter.field)}` : ""}}`;
}

export function Detail({ letter, described }) {
  const [as, setAs] = useState(letter.raw === null ? "hex" : "text");
  const shownAs = letter.raw === null ? "hex" : as;
  useKeys({ t: () => letter.raw !== null && copied(scenario(letter, described)) });
  const { position } = letter;
  const text = shownAs === "hex" ? hex(bytesOf(letter)) : broken(letter.raw.slice(0, mostShown));
  const size = bytesOf(letter).length;
  return html`
    <section class="panel record" aria-label="Record">
      <div class="panel-head take">
        <h2>Record ${count(position.row)}</h2>
        <span class="note">
          ${position.source}
          /
          ${position.partition}
          ${letter.envelope ? `, offset ${position.offset}` : ""}
          , ${count(letter.length)} bytes ${size < letter.length ? `of which ${count(size)} are kept` : "as they came"}
        </span>
        <${Tabs} label="As" of=${letter.raw === null ? [["hex", "Hex"]] : [["text", "Text"], ["hex", "Hex"]]}
          chosen=${shownAs} onChoose=${setAs} />
      </div>
      <div class="panel-body">
        <p>${letter.message}</p>
        <pre class="code" tabindex="0">${shownAs === "text" ? marked(text, letter.field) : text}</pre>
        ${letter.envelope && html`<${Envelope} of=${letter.envelope} />`}
        <div class="buttons">
          <${Copy} style="button" text=${letter.raw ?? letter.raw_base64 ?? ""}>
            ${letter.raw === null ? "Copy as Base64" : "Copy bytes"}
          <//>
          ${letter.raw !== null && html`
            <${Copy} style="button" text=${() => scenario(letter, described)}>
              Copy as test <kbd aria-hidden="true">t</kbd>
            <//>
          `}
        </div>
      </div>
    </section>
  `;
}

/** Key, time and headers of a record of a log. */
function Envelope({ of: envelope }) {
  const said = (named, name) => named[name] ?? (`${name}_base64` in named ? `${named[`${name}_base64`]} (Base64)` : "none");
  const rows = [["Key", said(envelope, "key")]];
  if (envelope.timestamp) rows.push(["Time in the log", envelope.timestamp]);
  for (const header of envelope.headers) rows.push([`Header ${header.name}`, said(header, "value")]);
  return html`
    <table class="table" aria-label="Kept beside the record">
      ${rows.map(([name, value]) => html`<tr><th scope="row">${name}</th><td>${value}</td></tr>`)}
    </table>
  `;
}

/** The member that is wrong is underlined. */
function marked(text, field) {
  if (!field) return text;
  const name = JSON.stringify(field.split(".").at(-1));
  return text.split("\n").map((line, place) => {
    const start = line.indexOf(`${name}:`);
    const end = "\n";
    if (start < 0) return (place ? end : "") + line;
    const comma = line.endsWith(",") ? line.length - 1 : line.length;
    return html`${place ? end : ""}${line.slice(0, start)}<mark>${line.slice(start, comma)}</mark>${line.slice(comma)}`;
  });
}
