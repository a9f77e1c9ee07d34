// The dead letters of a filter as a file: what can be mended is read again like any other input.

import { html } from "../../parts/html.js";
import { download, path, withQuery } from "../../data/api.js";
import { count } from "../../text/numbers.js";

export function TakeAlong({ useCase, filter, total }) {
  return html`
    <section class="panel take-along" aria-label="Take along">
      <div class="panel-head"><h2>Take along</h2></div>
      <div class="panel-body">
        <div class="buttons">
          <a class="button" download href=${download(withQuery(path(useCase, "dead-letters.ndjson"), filter))}>
            Download ${total === null ? "these" : count(total)} as NDJSON
          </a>
        </div>
        <p class="quiet">The records as they came, a line each; 16 MiB at most. Mended, they are read like any other file.</p>
      </div>
    </section>
  `;
}
