// A small part of Markdown as elements of the page: headings, paragraphs, lists, strong, code, links within the page. Whatever
// else a text holds stays text; nothing of it becomes markup.

import { html } from "../parts/html.js";

function inline(text) {
  const parts = text.split(/(\*\*[^*]+\*\*|`[^`]+`|\[[^\]]+\]\([^)\s]+\))/g);
  return parts.map((part) => {
    if (/^\*\*.+\*\*$/.test(part)) return html`<strong>${part.slice(2, -2)}</strong>`;
    if (/^`.+`$/.test(part)) return html`<code>${part.slice(1, -1)}</code>`;
    const link = part.match(/^\[([^\]]+)\]\(([^)\s]+)\)$/);
    // Only addresses of this page: a text cannot lead anywhere else.
    if (link && /^\/(?!\/)/.test(link[2])) return html`<a href=${link[2]}>${link[1]}</a>`;
    return link ? link[1] : part;
  });
}

/** Blocks of a text, as [kind, content]. */
function blocks(text) {
  const found = [];
  let list = null;
  for (const line of text.split("\n")) {
    const item = line.match(/^\s*(?:\d+\.|[-*])\s+(.*)$/);
    const heading = line.match(/^#{1,6}\s+(.*)$/);
    if (heading) { list = null; found.push(["heading", heading[1]]); }
    else if (item) {
      if (!list) { list = []; found.push([/^\s*\d/.test(line) ? "steps" : "list", list]); }
      list.push(item[1]);
    } else if (!line.trim()) { list = null; found.push(["end"]); }
    else if (list) list[list.length - 1] += ` ${line.trim()}`;
    else if (found.at(-1)?.[0] === "paragraph") found.at(-1)[1] += ` ${line.trim()}`;
    else found.push(["paragraph", line.trim()]);
  }
  return found.filter(([kind]) => kind !== "end");
}

export function Markdown({ text }) {
  return blocks(text).map(([kind, content]) => {
    if (kind === "heading") return html`<h4>${inline(content)}</h4>`;
    if (kind === "paragraph") return html`<p>${inline(content)}</p>`;
    if (kind === "steps") return html`<ol class="steps">${content.map((item) => html`<li>${inline(item)}</li>`)}</ol>`;
    return html`<ul class="bullets">${content.map((item) => html`<li>${inline(item)}</li>`)}</ul>`;
  });
}
