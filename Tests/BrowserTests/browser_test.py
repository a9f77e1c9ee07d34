#!/usr/bin/env python3
"""Drives the page in Chromium as somebody would. See README.md beside it."""

import argparse
import datetime
import pathlib
import re
import sqlite3
import subprocess
import sys
import time
from urllib.parse import urlsplit

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect, sync_playwright

SIZES = [(1440, 900), (800, 900), (390, 844)]
THEMES = ["light", "dark"]


class Walk:
    """One page with what it must not do, and what was found."""

    def __init__(self, browser, base, use_case, **context):
        self.base, self.use_case = base, use_case
        self.problems = []
        self.expects_errors = False
        self.context = browser.new_context(**context)
        self.page = self.context.new_page()
        self.page.on("console", self.on_console)
        self.page.on("pageerror", lambda error: self.problems.append(f"error in the page: {error}"))
        self.page.on("request", self.on_request)

    def on_console(self, message):
        # While the server is stopped on purpose the browser reports each request that found nobody.
        if message.type in ("error", "warning") and not self.expects_errors:
            self.problems.append(f"console: {message.text} {message.location.get('url')}")

    def on_request(self, request):
        if urlsplit(request.url).netloc != urlsplit(self.base).netloc and not request.url.startswith(("data:", "blob:")):
            self.problems.append(f"foreign request: {request.url}")

    def open(self, path):
        self.page.goto(self.base + path.replace("USE_CASE", self.use_case))
        self.ready()

    def ready(self):
        """Waits until what the view asks for is there."""
        self.page.locator("main h1, main h2").first.wait_for()
        self.page.wait_for_function("() => !document.querySelector('main [aria-busy=true], main .block')", timeout=20_000)
        self.page.wait_for_timeout(150)

    def check_accessibility(self, where):
        found = Axe().run(self.page).response["violations"]
        for one in found:
            if one["impact"] in ("serious", "critical"):
                nodes = "; ".join(f"{node['target']} {(node.get('failureSummary') or '')[:160]}" for node in one["nodes"][:4])
                self.problems.append(f"axe, {where}: {one['id']} ({one['impact']}): {nodes}")

    def check_width(self, where):
        wide, inner = self.page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        if wide > inner:
            self.problems.append(f"{where} scrolls sideways: {wide} in {inner} px")

    def close(self):
        self.context.close()


def first_anomaly(walk):
    link = walk.page.locator("#anomalies tbody tr[data-id]").first
    link.wait_for()
    return link.get_attribute("data-id")


def walk_overview(walk):
    page = walk.page
    with page.expect_response(re.compile(r"/metrics/summary\?")) as summary:
        walk.open("/USE_CASE/overview")
    before = page.locator(".figures .value").all_inner_texts()
    title = page.locator(".verdict h1").inner_text()
    assert re.search(r"\d", title), f"the verdict has no number: {title}"
    assert title == summary.value.json()["headline"]["title"], "the page says something else than the server"

    # Entities: the second of the menu alone.
    page.locator(".entities button").first.click()
    name = page.locator(".pop-list label").nth(1).inner_text().split()[0]
    page.locator(".pop-list input").nth(1).check()
    page.keyboard.press("Escape")
    page.wait_for_url(re.compile(r"entities="))
    walk.ready()
    expect(page.locator(".figures .value").nth(1)).not_to_have_text(before[1])
    keys = set(page.locator("#anomalies tbody td.c-key").all_inner_texts())
    assert all(key.split()[-1] == name for key in keys), f"rows of {keys}, chosen was {name}"
    page.go_back()
    walk.ready()

    # Windows, by the mouse and by keys.
    page.get_by_role("button", name="Live").click()
    page.wait_for_url(re.compile(r"window=live"))
    walk.ready()
    page.keyboard.press("3")
    page.wait_for_url(re.compile(r"window=7d"))
    walk.ready()
    page.keyboard.press("2")
    page.wait_for_function("() => !location.search.includes('window=')")
    walk.ready()
    expect(page.locator(".figures .value").first).to_have_text(before[0])

    # The crosshair turns the figures at the right into those of a moment; Esc lets go of it.
    total = page.locator(".lanes .figures-column li").first.inner_text()
    page.keyboard.press("ArrowLeft")
    page.wait_for_url(re.compile(r"at="))
    expect(page.locator(".axis-label")).to_be_visible()
    assert page.locator(".lanes .figures-column li").first.inner_text() != total
    page.keyboard.press("Escape")
    page.wait_for_function("() => !location.search.includes('at=')")

    # Dragging zooms, and back.
    box = page.locator(".crosshair-layer").bounding_box()
    y = box["y"] + 60
    page.mouse.move(box["x"] + box["width"] * 0.4, y)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.6, y, steps=5)
    page.mouse.up()
    page.wait_for_url(re.compile(r"from=.*to="))
    walk.ready()
    page.get_by_role("button", name="Zoom out").click()
    walk.ready()

    # A filter without a match says what it hides.
    page.keyboard.press("/")
    page.keyboard.type("nothing is called that")
    expect(page.locator(".nothing-found")).to_contain_text("hidden by the filter")
    page.get_by_role("button", name=re.compile("^Show all")).last.click()
    first_anomaly(walk)

    # Advice follows the lane that is chosen.
    page.locator(".lane-name").nth(1).click()
    expect(page.locator(".advice h3")).to_contain_text(page.locator(".lane-name").nth(1).inner_text())


def walk_anomaly(walk):
    page = walk.page
    walk.open("/USE_CASE/overview?detector=slow_query")
    first_anomaly(walk)
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/anomalies/"))
    walk.ready()
    first = page.url
    page.keyboard.press("j")
    page.wait_for_function("first => location.href !== first", arg=first)
    page.keyboard.press("k")
    page.wait_for_function("first => location.href === first", arg=first)
    walk.ready()
    expect(page.locator(".proof")).to_contain_text("the same to the last bit", timeout=15_000)

    # Feedback: acknowledge, take it back, then a false alarm of this one, and bring it back.
    page.keyboard.press("a")
    expect(page.locator(".facts")).to_contain_text("acknowledged by")
    page.keyboard.press("a")
    expect(page.locator(".facts")).to_contain_text("not acknowledged")
    page.keyboard.press("f")
    expect(page.locator(".false-alarm")).to_be_visible()
    page.locator(".false-alarm .radio").nth(1).click()
    page.get_by_role("button", name=re.compile(r"^Mark \d")).click()
    expect(page.locator(".facts")).to_contain_text("false alarm")
    page.get_by_role("button", name="Bring back").click()
    expect(page.locator(".facts")).to_contain_text("not acknowledged")

    # Taken along as SQL and as a test.
    page.keyboard.press("s")
    expect(page.locator("pre.code").last).to_contain_text("SELECT")
    page.keyboard.press("t")
    expect(page.locator("pre.code").last).to_contain_text("detector: slow_query")
    page.keyboard.press("Escape")
    page.wait_for_url(re.compile(r"/overview"))


def walk_models(walk, command):
    page = walk.page
    page.keyboard.press("g")
    page.keyboard.press("m")
    page.wait_for_url(re.compile(r"/models"))
    walk.ready()
    model = page.locator(".model").first
    promote = model.get_by_role("button", name=re.compile(r"^Promote \d"))
    roll_back = model.get_by_role("button", name=re.compile(r"^Roll back to"))
    version = promote.inner_text().split()[1].rstrip("…")
    promote.click()
    expect(page.locator("dialog")).to_contain_text(version)
    page.locator("dialog").get_by_role("button", name="Cancel").click()
    expect(page.locator("dialog")).to_have_count(0)
    promote.click()
    page.locator("dialog .confirm").click()
    roll_back.click()
    page.locator("dialog .confirm").click()
    expect(promote).to_contain_text(version)
    page.get_by_role("button", name="Train now…").click()
    expect(page.locator("dialog")).to_contain_text("in a process of its own")
    page.locator("dialog .confirm").click()
    if not command:
        return
    # It goes on until it is given up, however little there is to learn.
    subprocess.run([*command, "hold"], check=True)
    expect(page.locator(".training progress")).to_be_visible()
    page.locator(".training").get_by_role("button", name="Give up").click()
    expect(page.locator(".training")).to_contain_text("was given up")


def walk_dead_letters(walk):
    page = walk.page
    page.keyboard.press("g")
    page.keyboard.press("d")
    page.wait_for_url(re.compile(r"/dead-letters"))
    walk.ready()
    page.locator(".reasons .lane-name").first.click()
    page.wait_for_url(re.compile(r"reason="))
    walk.ready()
    page.keyboard.press("j")
    page.wait_for_url(re.compile(r"record="))
    page.get_by_role("button", name="Hex").click()
    expect(page.locator(".record pre")).to_contain_text("0000  ")
    expect(page.locator(".replay a[download]")).to_contain_text("as NDJSON")
    expect(page.locator(".replay")).to_contain_text("would pass")
    page.get_by_role("button", name="Try another configuration…").click()
    page.locator("dialog textarea").fill("name: x")
    # The browser reports the refusal, which is what is asked for.
    walk.expects_errors = True
    page.locator("dialog").get_by_role("button", name="Try", exact=True).click()
    expect(page.locator("dialog pre")).to_contain_text("error:")
    page.locator("dialog").get_by_role("button", name="Cancel").click()
    walk.expects_errors = False
    page.keyboard.press("g")
    page.keyboard.press("o")
    page.wait_for_url(re.compile(r"/overview"))
    walk.ready()
    page.keyboard.press("?")
    expect(page.locator("dialog")).to_contain_text("crosshair")
    page.keyboard.press("Escape")
    expect(page.locator("dialog")).to_have_count(0)


def walk_restart(walk, command, folder):
    """The server goes away and comes back underneath; the page says so, keeps what it knew, and goes on by itself."""
    page = walk.page
    walk.open("/USE_CASE/overview")
    title = page.locator(".verdict h1").inner_text()
    walk.expects_errors = True
    subprocess.run([*command, "stop"], check=True)
    expect(page.locator(".banner")).to_contain_text("No answer from the server", timeout=30_000)
    expect(page.locator(".verdict h1")).to_have_text(title)
    expect(page.locator(".lights")).to_contain_text("unknown")
    for theme in THEMES:
        for width, height in SIZES:
            page.emulate_media(color_scheme=theme)
            page.set_viewport_size({"width": width, "height": height})
            page.wait_for_timeout(200)
            page.screenshot(path=folder / f"state-disconnected-{theme}-{width}.png")
    page.set_viewport_size({"width": 1440, "height": 900})
    subprocess.run([*command, "start"], check=True)
    expect(page.locator(".banner")).to_have_count(0, timeout=40_000)
    expect(page.locator(".verdict h1")).to_have_text(title)
    page.wait_for_timeout(500)
    walk.expects_errors = False


def views(anomaly):
    return {
        "overview": "/USE_CASE/overview", "anomaly": f"/USE_CASE/anomalies/{anomaly}", "models": "/USE_CASE/models",
        "dead-letters": "/USE_CASE/dead-letters", "crosshair": None,
    }


def take_screenshots(browser, arguments, anomaly, folder):
    problems = []
    for theme in THEMES:
        for width, height in SIZES:
            size = {"width": width, "height": height}
            walk = Walk(browser, arguments.base, arguments.use_case, viewport=size, color_scheme=theme)
            for name, path in views(anomaly).items():
                if path:
                    walk.open(path)
                else:
                    walk.open("/USE_CASE/overview")
                    walk.page.keyboard.press("ArrowLeft")
                    walk.page.wait_for_timeout(200)
                walk.page.screenshot(path=folder / f"{name}-{theme}-{width}.png", full_page=True)
                walk.check_width(f"{name} at {width} px")
                if width != 800:
                    walk.check_accessibility(f"{name}, {theme}, {width} px")
            problems += walk.problems
            walk.close()
    return problems


def take_states(browser, arguments, folder):
    """What is shown where there is nothing, or something fails beside what is live."""
    failure = '{"type":"about:blank","title":"What is asked for cannot be read now","status":503,"detail":"The store is busy."}'
    refused = lambda route: route.fulfill(status=503, content_type="application/problem+json", body=failure)
    nothing = lambda route: route.fulfill(status=200, content_type="application/json", body='{"items":[],"total":0,"next":null}')
    empty_series = '{"from":null,"to":null,"step":10800,"series":[],"days":[]}'
    no_series = lambda route: route.fulfill(status=200, content_type="application/json", body=empty_series)
    # Not answered as long as somebody looks: what is asked for stays on its way.
    waiting = []
    held = lambda route: waiting.append(route)

    def changed(change):
        def answer(route):
            response = route.fetch()
            content = response.json()
            change(content)
            route.fulfill(response=response, json=content)
        return answer

    def answered_with(change):
        return {r"/status$": changed(change), r"/stream$": held}

    def untrained(models):
        for one in models["items"]:
            one.update(champion=None, candidate=None, previous=None, versions=[], scores_from=[], drift=None, record=[])

    def before_first_event(status):
        status.update(data_until=None, records=0, dead_letters=0)

    def stalled(status):
        since = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(seconds=130)
        stream = next(one for one in status["components"] if one["name"] == "stream")
        stream.update(state="warning", stalled=True, text="nothing read", why="No record came for two minutes.",
                      since=f"{since:%Y-%m-%dT%H:%M:%SZ}", usual_per_second=1.7)

    states = {
        "loading": ("/USE_CASE/overview", {r"/(summary|series|entities|anomalies|problems|recommendations|activations)(/|\?)": held}),
        "loading-models": ("/USE_CASE/models", {r"/models$": held}),
        "empty": ("/USE_CASE/overview", answered_with(before_first_event)),
        "stalled": ("/USE_CASE/overview", answered_with(stalled)),
        "no-dead-letters": ("/USE_CASE/dead-letters", {r"/dead-letters(\?|$)": nothing, r"/dead-letters/series$": no_series}),
        "failed": ("/USE_CASE/overview", {r"/classification/series": refused, r"/anomalies\?": refused}),
        "failed-models": ("/USE_CASE/models", {r"/models$": refused}),
        "no-match": ("/USE_CASE/overview?q=nothingatall", {}),
        "no-model": ("/USE_CASE/models", {r"/models$": changed(untrained)}),
        "no-detector": ("/USE_CASE/models", {r"/models$": nothing}),
        "no-use-case": ("/", {r"use-cases$": nothing}),
    }
    problems = []
    for theme in THEMES:
        # Between the two they look like the wide one: time goes where something differs.
        for width, height in (SIZES[0], SIZES[-1]):
            for name, (path, answers) in states.items():
                walk = Walk(browser, arguments.base, arguments.use_case, viewport={"width": width, "height": height}, color_scheme=theme)
                walk.expects_errors = True
                # What the page asks for, and never the page itself, whose address may end in the same.
                for pattern, answer in answers.items():
                    walk.page.route(re.compile(f"/api/v1/.*{pattern}"), answer)
                walk.page.goto(arguments.base + path.replace("USE_CASE", arguments.use_case))
                walk.page.wait_for_timeout(1200)
                walk.page.screenshot(path=folder / f"state-{name}-{theme}-{width}.png")
                walk.check_width(f"{name} at {width} px")
                problems += walk.problems
                while waiting:
                    waiting.pop().abort()
                walk.close()
    return problems


def check_narrow(browser, arguments, anomaly):
    walk = Walk(browser, arguments.base, arguments.use_case, viewport={"width": 360, "height": 740})
    for name, path in views(anomaly).items():
        if path:
            walk.open(path)
            walk.check_width(f"{name} at 360 px")
    walk.close()
    return walk.problems


HOSTILE = "<img src=/nowhere.png onerror=document.title=1><script>1</script>](javascript:1)"

FREE_TEXTS = {
    "reason", "key", "headline", "markdown", "message", "raw", "field", "clause", "feature", "text", "query_type", "label", "source",
}


def made_hostile(value, name=""):
    """An answer of the server with markup in every text that may come from events or from people."""
    if isinstance(value, dict):
        return {key: made_hostile(one, key) for key, one in value.items()}
    if isinstance(value, list):
        return [made_hostile(one, name) for one in value]
    return HOSTILE if name in FREE_TEXTS and isinstance(value, str) else value


def check_markup(browser, arguments, anomaly):
    """Texts of events stay texts: no element, no request comes of them."""
    walk = Walk(browser, arguments.base, arguments.use_case, viewport={"width": 1440, "height": 900})

    def answer(route):
        response = route.fetch()
        route.fulfill(response=response, json=made_hostile(response.json()))

    def on_request(request):
        if "nowhere" in request.url:
            walk.problems.append(f"markup of an event was loaded: {request.url}")

    answers = "anomalies|recommendations|problems|dead-letters|activations"
    walk.page.route(re.compile(rf"/api/v1/use-cases/[^/]+/({answers})(/|\?|$)"), answer)
    walk.page.on("request", on_request)
    made = "document.querySelectorAll('main img, main script, main iframe, a[href^=javascript]').length"
    for path in ("/USE_CASE/overview", f"/USE_CASE/anomalies/{anomaly}", "/USE_CASE/dead-letters"):
        walk.open(path)
        walk.page.wait_for_timeout(500)
        found = walk.page.evaluate(made)
        if found or walk.page.title() == "1":
            walk.problems.append(f"markup of an event became {found} elements on {path}")
        if HOSTILE[:20] not in walk.page.locator("main").inner_text():
            walk.problems.append(f"the hostile text is not to be seen on {path}: the test looks at nothing")
    walk.close()
    return walk.problems


def check_figures(browser, arguments):
    """What the page says of a day, against SQL over the store. The day ends two hours before the last window that has
    closed, so that no open one, which SQL cannot see, is in it."""
    store = sqlite3.connect(f"file:{arguments.store}?mode=ro", uri=True)
    name = arguments.use_case
    last = store.execute("SELECT max(end) FROM windows WHERE use_case = ?", [name]).fetchone()[0]
    end = last - 7200 * 1_000_000
    begin = end - 86_400 * 1_000_000
    rows = lambda sql, *more: store.execute(sql, [name, begin, end, *more]).fetchall()
    found = "FROM anomalies WHERE use_case = ? AND event_time >= ? AND event_time < ?"
    windows = "FROM windows WHERE use_case = ? AND start >= ? AND start < ?"

    moment = lambda time: f"{datetime.datetime.fromtimestamp(time / 1e6, datetime.timezone.utc):%Y-%m-%dT%H:%M:%SZ}"
    walk = Walk(browser, arguments.base, name, viewport={"width": 1440, "height": 900})
    walk.open(f"/USE_CASE/overview?from={moment(begin)}&to={moment(end)}&state=all")
    page = walk.page
    number = lambda text: int(re.sub(r"[^0-9]", "", text) or 0)

    def compare(what, shown, stored):
        if shown != stored:
            walk.problems.append(f"{what}: the page says {shown}, the store {stored}")

    labels = page.locator(".lanes .labels li").all_inner_texts()
    counts = page.locator(".lanes .figures-column li span:first-child").all_inner_texts()
    shown = {label.strip(): number(text) for label, text in zip(labels, counts) if number(text)}
    compare("anomalies by detector", shown, dict(rows(f"SELECT detector, count(*) {found} GROUP BY 1")))
    lines = [text.split("\n") for text in page.locator(".severities li").all_inner_texts()]
    shown = {what.split(",")[0]: number(count) for count, what in lines if number(count)}
    compare("anomalies by severity", shown, dict(rows(f"SELECT severity, count(*) {found} GROUP BY 1")))
    total = rows(f"SELECT count(*) {found}")[0][0]
    # A server that has just started counts once it has read its figures.
    expect(page.locator(".table-foot span").first).to_contain_text(" of ", timeout=20_000)
    compare("rows of the table", number(page.locator(".table-foot span").first.inner_text().split(" of ")[1]), total)
    more = page.locator(".heat").locator("xpath=..").get_by_role("button", name=re.compile("^Show all"))
    if more.count():
        more.click()
    keys = [text.split()[-1] for text in page.locator(".heat .labels li").all_inner_texts()]
    counts = page.locator(".heat .figures-column li span:first-child").all_inner_texts()
    shown = {key: number(text) for key, text in zip(keys, counts) if number(text)}
    compare("anomalies by entity", shown, dict(rows(f"SELECT key, count(*) {found} GROUP BY 1")))

    if name == "redset":
        sums = "sum(events), sum(classes ->> 'normal'), sum(aggregates ->> 'spilled_mb')"
        queries, normal, spilled = rows(f"SELECT {sums} {windows} AND window = ?", "instance_stats")[0]
        values = [re.sub(r"\s", "", text) for text in page.locator(".figures .value").all_inner_texts()]
        compare("score", values[0], f"{100 * normal / queries:.2f}%")
        compare("spill", values[2], f"{spilled / 1e6:.1f}TB" if spilled >= 1e6 else f"{spilled / 1e3:.1f}GB")
        compare("anomalies", number(values[3]), total)

    walk.open("/USE_CASE/dead-letters")
    labels = [text.split()[0] for text in page.locator(".reasons .labels code").all_inner_texts()]
    counts = map(number, page.locator(".reasons .figures-column li").all_inner_texts())
    letters = "SELECT stage || '/' || reason, count(*) FROM dead_letters WHERE use_case = ? GROUP BY 1"
    stored = store.execute(letters, [name])
    compare("dead letters by reason", dict(zip(labels, counts)), dict(stored))
    walk.close()
    return walk.problems


def check_documentation(browser, arguments):
    walk = Walk(browser, arguments.base, arguments.use_case, viewport={"width": 1440, "height": 900})
    walk.page.goto(arguments.base + "/docs")
    walk.page.locator(".swagger-ui .opblock").first.wait_for(timeout=15_000)
    walk.close()
    return walk.problems


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("base", help="where the server is: http://127.0.0.1:8507")
    parser.add_argument("--use-case", default="redset")
    parser.add_argument("--screenshots", type=pathlib.Path, default=pathlib.Path("screenshots"))
    parser.add_argument("--browser", default="/usr/bin/chromium")
    parser.add_argument("--server", nargs="+", default=None, metavar="COMMAND", help="run with `hold`, `stop` and `start`")
    parser.add_argument("--store", type=pathlib.Path, default=None, help="pulse.sqlite: figures are compared with SQL over it")
    arguments = parser.parse_args()
    arguments.base = arguments.base.rstrip("/")
    arguments.screenshots.mkdir(parents=True, exist_ok=True)

    problems = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=arguments.browser, args=["--no-sandbox"])
        walk = Walk(browser, arguments.base, arguments.use_case, viewport={"width": 1440, "height": 900})
        walk.page.set_default_timeout(15_000)
        walk.open("/USE_CASE/overview?detector=slow_query")
        anomaly = first_anomaly(walk)
        for step in [walk_overview, walk_anomaly, walk_models, walk_dead_letters]:
            begun = time.monotonic()
            step(*([walk, arguments.server] if step is walk_models else [walk]))
            print(f"ok  {step.__name__[5:].replace('_', ' ')}, {time.monotonic() - begun:.1f} s", flush=True)
        if arguments.server:
            walk_restart(walk, arguments.server, arguments.screenshots)
            print("ok  restart of the server", flush=True)
        else:
            print("--  giving up a training, restart of the server: left out, no --server", flush=True)
        problems += walk.problems
        walk.close()
        if arguments.store:
            problems += check_figures(browser, arguments)
            print("ok  figures were compared with the store", flush=True)
        else:
            print("--  figures against the store: left out, no --store", flush=True)
        problems += check_documentation(browser, arguments)
        problems += check_markup(browser, arguments, anomaly)
        problems += check_narrow(browser, arguments, anomaly)
        problems += take_screenshots(browser, arguments, anomaly, arguments.screenshots)
        problems += take_states(browser, arguments, arguments.screenshots)
        browser.close()

    for problem in dict.fromkeys(problems):
        print(f"FAILED  {problem}")
    count = len(list(arguments.screenshots.glob("*.png")))
    print(f"{count} screenshots in {arguments.screenshots}, {len(set(problems))} problems")
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
