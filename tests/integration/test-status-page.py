"""The status page in a browser: on a desk and on a phone, by day and by night, read aloud, and without scripts."""

import os
import sys

from harness import browser, daemon, sandbox, tap

suite = tap.Suite()

URL = "http://127.0.0.1:9768/"
ARTEFACTS = os.environ.get("K8SHSVC_TEST_ARTEFACTS", sandbox.HOME)
HEAD = "[daemon]\nmetrics-listen = 127.0.0.1:9768\n"
SERVICES = "".join(f"[service {name}]\nsource = static\nendpoints = {addresses}\n" for name, addresses in (
    ("user-svc.default", "10.1.0.1 10.1.0.2 fd00::1"), ("cart.shop", "10.1.1.1"), ("empty.shop", ""),
    ("a-service-with-a-very-long-name-that-does-not-fit-on-a-phone.a-namespace-with-a-very-long-name-too", "10.1.2.1")))
MORE = "[service late.default]\nsource = static\nendpoints = 10.1.3.1\n"
PENDING = "[service nobody.default]\n"  # nobody answers for it

# The least contrast of a text and what is behind it, by WCAG 2.
CONTRAST = """(() => {
  const light = rgb => rgb.map(c => c / 255).map(c => c <= .03928 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [.2126, .7152, .0722][i], 0);
  const rgb = text => text.match(/[\\d.]+/g).slice(0, 3).map(Number);
  const back = light(rgb(getComputedStyle(document.body).backgroundColor));
  return Math.min(...[...document.querySelectorAll('body *')].filter(e => e.innerText).map(e => {
    const text = light(rgb(getComputedStyle(e).color));
    return (Math.max(text, back) + .05) / (Math.min(text, back) + .05);
  }));
})()"""


# What is short stands in one line.
ONE_LINE = """[...document.querySelectorAll('td')].every(e => {
  const range = document.createRange();
  range.selectNodeContents(e);
  return new Set([...range.getClientRects()].map(r => Math.round(r.bottom))).size <= 1;
})"""


def start(services=SERVICES):
    if not browser.PROGRAM:
        raise tap.Skip("there is no Chromium")
    sandbox.remove_table()
    daemon.configure(HEAD + services)
    started = daemon.Daemon()
    started.wait_log("listening on")
    return started


@suite.each("{0}: all is there and readable, nothing runs over, nothing is refused or from elsewhere", [
    ("a desk by day", 1200, 800, "light"), ("a desk by night", 1200, 800, "dark"),
    ("a phone by day", 360, 740, "light"), ("a phone by night", 360, 740, "dark"),
])
def readable(title, width, height, scheme):
    with start(SERVICES + PENDING), browser.Browser() as page:
        page.screen(width, height, scheme)
        page.open(URL)
        page.screenshot(f"{ARTEFACTS}/status-page-{title.replace(' ', '-')}.png")
        text = page.evaluate("document.body.innerText")
        for wanted in "user-svc.default", "cart.shop", "empty", "nodata", "Not ready", "nobody.default", "static":
            assert wanted in text, text
        assert page.evaluate("document.documentElement.scrollWidth") <= width, "it runs over"
        assert page.evaluate(ONE_LINE), "a cell is broken"
        dark = page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(22, 22, 22)"
        assert dark == (scheme == "dark")
        contrast = page.evaluate(CONTRAST)
        assert contrast >= 4.5, contrast
        tap.comment(f"contrast at least {contrast:.1f}")
        page.wait("document.body.dataset.refreshed", "it is refreshed")
        assert not page.said("Log.entryAdded") and not page.said("Runtime.exceptionThrown"), page.events
        asked = {e["request"]["url"] for e in page.said("Network.requestWillBeSent")}
        assert asked == {URL, URL + "status.css", URL + "status.js", "data:,"} or \
            asked == {URL, URL + "status.css", URL + "status.js"}, asked


@suite.each("a screen reader meets a table with heads of columns and rows ({0} pixels wide)", [(1200,), (360,)])
def read_aloud(width):
    with start(), browser.Browser() as page:
        page.screen(width, 800, "light")
        page.open(URL)
        roles = page.roles()
        assert ("heading", "k8shsvcd " + roles[0][1].split()[-1]) in roles or any(r == "heading" for r, _ in roles), roles
        assert ("table", "Services") in roles, roles
        assert [name for role, name in roles if role == "columnheader"] == [
            "Service", "Endpoints", "State", "For", "Source", "Reason"], roles
        heads = [name for role, name in roles if role == "rowheader"]
        assert len(heads) == 4 and "cart.shop" in heads, roles
        assert sum(role == "row" for role, _ in roles) == 5 and sum(role == "cell" for role, _ in roles) == 20, roles
        assert any(role == "status" for role, _ in roles) and any(role == "main" for role, _ in roles), roles


@suite.test("it keeps itself up to date; when the daemon is gone it says so, and when it is back it goes on")
def live():
    with start() as running, browser.Browser() as page:
        page.open(URL)
        page.evaluate("window.here = true")
        daemon.configure(HEAD + SERVICES + MORE)
        page.wait("document.body.innerText.includes('late.default')", "the new service is shown", 6)
        running.kill()
        page.wait("document.querySelector('[role=status]').innerText === 'The daemon does not answer.'", "it says so", 6)
        with daemon.Daemon() as again:
            again.wait_log("listening on")
            page.wait("document.querySelector('[role=status]').innerText === 'Ready.'", "it goes on", 6)
        assert page.evaluate("window.here"), "it was loaded anew"


@suite.test("without scripts it is the same page, which loads itself anew")
def without_scripts():
    with start(), browser.Browser() as page:
        page.call("Emulation.setScriptExecutionDisabled", value=True)
        page.open(URL)
        assert "user-svc.default" in page.evaluate("document.body.innerText")
        daemon.configure(HEAD + SERVICES + MORE)
        page.wait("document.body?.innerText.includes('late.default')", "the new service is shown", 15)


if __name__ == "__main__":
    sandbox.enter()
    os.environ["HOME"] = f"{sandbox.HOME}/browser"
    os.makedirs(os.environ["HOME"])
    os.makedirs(ARTEFACTS, exist_ok=True)
    sys.exit(suite.run())
