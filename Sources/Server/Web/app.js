// The page: which view the address asks for, and what stands around every view.

import { html, render, useEffect, useRef, useState } from "./parts/html.js";
import { change, go, onClick, to, useAddress } from "./data/address.js";
import { get, path, wantsToken } from "./data/api.js";
import { follow, learn, status } from "./data/live.js";
import { useResource } from "./data/resource.js";
import { useStore } from "./data/store.js";
import { applyTheme, choose, setting, useSetting } from "./data/settings.js";
import { useZone } from "./text/times.js";
import { Header } from "./views/frame/header.js";
import { Banner } from "./views/frame/banner.js";
import { Help } from "./views/frame/help.js";
import { listenToKeys, useKeys } from "./views/frame/keys.js";
import { Token } from "./views/frame/token.js";
import { Empty } from "./views/frame/empty.js";
import { Overview } from "./views/overview/overview.js";
import { AnomalyView } from "./views/anomaly/anomaly.js";
import { Models } from "./views/models/models.js";
import { DeadLetters } from "./views/dead-letters/dead-letters.js";

const views = { overview: Overview, entities: Overview, anomalies: AnomalyView, models: Models, "dead-letters": DeadLetters };
const titles = { overview: "Overview", entities: "Overview", anomalies: "Anomaly", models: "Models", "dead-letters": "Dead letters" };

function Page() {
  const { useCase, view, subject, params } = useAddress();
  const [help, setHelp] = useState(false);
  const [served, setServed] = useState(null);
  const tokenWanted = useStore(wantsToken);
  const theme = useSetting("theme");
  const zone = useSetting("zone");
  useZone(zone);

  useEffect(() => applyTheme(params.theme), [theme, params.theme]);
  useEffect(() => {
    document.documentElement.classList.toggle("wall", params.wall === "1");
  }, [params.wall]);

  // The bare address leads to the first use case.
  useEffect(() => {
    if (useCase && view) return;
    if (useCase) { go(`/${encodeURIComponent(useCase)}/overview`, { replace: true }); return; }
    get("/use-cases").then(({ items }) => {
      setServed(items.length);
      if (items.length) go(`/${encodeURIComponent(items[0].name)}/overview`, { replace: true });
    }, () => {});
  }, [useCase, view]);

  useEffect(() => (useCase ? follow(useCase) : undefined), [useCase]);
  const described = useResource(useCase ? path(useCase) : null, { fixed: true });
  const asked = useResource(useCase ? path(useCase, "status") : null, { fixed: true });
  useEffect(() => { if (asked.data) learn(asked.data); }, [asked.data]);
  const now = useStore(status);

  useKeys({
    "g o": () => go(to("overview")),
    "g m": () => go(to("models")),
    "g d": () => go(to("dead-letters")),
    y: () => document.querySelector("[data-key=y]")?.click(),
    "?": () => setHelp(true),
  });

  // Who listens to the page or goes through it by the tab key begins at the content of a new view.
  const isFirst = useRef(true);
  useEffect(() => {
    if (!isFirst.current) document.getElementById("main").focus({ preventScroll: true });
    isFirst.current = false;
  }, [view, subject]);

  useEffect(() => {
    document.title = [titles[view], useCase, "pulse"].filter(Boolean).join(" · ");
  }, [view, useCase]);

  const View = views[view];
  const isEmpty = now && now.data_until === null && (view === "overview" || view === "entities");
  return html`
    <a class="skip" href="#main"
      onClick=${(event) => { event.preventDefault(); document.getElementById("main").focus(); }}>Skip to the content</a>
    <${Header} useCase=${useCase} view=${view} described=${described.data} status=${now} onHelp=${() => setHelp(true)}
      onTheme=${() => { choose("theme", nextTheme()); if (params.theme) change({ theme: undefined }); }} />
    <${Banner} status=${now} described=${described.data} />
    <main id="main" tabindex="-1" class="view-${view}">
      ${described.error
        ? html`<${Missing} error=${described.error} onRetry=${described.reload} />`
        : isEmpty
        ? html`<${Empty} status=${now} described=${described.data} />`
        : View
        ? html`
          <${View} key=${`${useCase}/${view === "entities" ? "overview" : view}`} useCase=${useCase} subject=${subject}
            params=${params} described=${described.data} status=${now} zone=${zone} />
        `
        : useCase && view
        ? html`
          <div class="alone">
            <h1>There is no view ${view}.</h1>
            <p class="quiet">There is an <a href=${to("overview")}>overview</a>.</p>
          </div>
        `
        : served === 0
        ? html`
          <div class="alone">
            <h1>No use case is served.</h1>
            <p class="quiet">Name a data directory that something has run on: <code>pulse serve --data data</code></p>
          </div>
        `
        : null}
    </main>
    ${tokenWanted && html`<${Token} />`}
    ${help && html`<${Help} onClose=${() => setHelp(false)} />`}
  `;
}

function nextTheme() {
  const shown = document.documentElement.dataset.theme ?? setting("theme");
  const isDark = shown === "dark" || (shown !== "light" && matchMedia("(prefers-color-scheme: dark)").matches);
  return isDark ? "light" : "dark";
}

function Missing({ error, onRetry }) {
  return html`
    <div class="alone">
      <h1>${error.status === 404 ? "This use case is not served here." : "The use case could not be read."}</h1>
      <p class="quiet">${error.message}</p>
      <div class="buttons">
        <button class="button" onClick=${onRetry}>Try again</button>
        <a class="button" href="/">Use cases</a>
      </div>
    </div>
  `;
}

document.addEventListener("click", onClick);
listenToKeys();
render(html`<${Page} />`, document.body);
