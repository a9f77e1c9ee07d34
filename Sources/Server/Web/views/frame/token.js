// Asks for a token where the server wants one. It is kept for this tab only.

import { html, useState } from "../../parts/html.js";
import { Dialog } from "../../parts/elements.js";
import { rememberToken, wantsToken } from "../../data/api.js";

export function Token() {
  const [text, setText] = useState("");
  const close = () => wantsToken.set(false);
  return html`
    <${Dialog} title="The server wants a token" onClose=${close}
      foot=${html`
        <button class="button primary" disabled=${!text.trim()} onClick=${() => rememberToken(text.trim())}>
          Use it
        </button>
        <button class="button" onClick=${close}>Cancel</button>
      `}>
      <p>Reading or changing this needs a bearer token. It is kept until this tab is closed.</p>
      <input class="field" type="password" autocomplete="off" aria-label="Token" value=${text}
        onInput=${(event) => setText(event.target.value)} />
    <//>
  `;
}
