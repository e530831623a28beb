#!/usr/bin/env python3
"""Looks at the welcome page and the status page with a real browser.

    tests/browser/look.py [--sped PATH] [--out DIR]

Starts the built `sped` on a free port and a headless Chromium, and checks what only a browser can
tell: that the style and the script get past the pages' own Content-Security-Policy, that the picture
is drawn, that the numbers move (with a script and without), that nothing is fetched from elsewhere,
that the console stays empty. With --out, screenshots and the DOM of each look are kept there.

Chromium is spoken to through its DevTools pipe (descriptors 3 and 4), so nothing but Python's
standard library is needed. Without a Chromium: prints "skipped: no chromium" and exits 0.
"""

import argparse
import base64
import fcntl
import http.client
import json
import os
import pathlib
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
BROWSERS = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"]
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--hide-scrollbars", "--remote-debugging-pipe",
]
PATIENCE_S = 30
DEMO_LINKS = ["/plaintext", "/json", "/echo", "/work", "/sleep", "/bytes"]
STATUS_LINKS = ["/status", "/status.json", "/metrics"]


class Failed(Exception):
    """A check that did not hold."""


def check(holds, what):
    print(("ok      " if holds else "FAILED  ") + what, flush=True)
    if not holds:
        raise Failed(what)


class Server:
    """The built binary on a free port."""

    def __init__(self, binary):
        environment = {k: v for k, v in os.environ.items() if not k.startswith("STAMPEDE_")}
        self.process = subprocess.Popen(
            [binary, "--listen", "127.0.0.1:0"], stderr=subprocess.PIPE, env=environment)
        self.url = self._listening()

    def _listening(self):
        """The address, from the line that the server prints when it is ready."""
        pipe, text, end = self.process.stderr.fileno(), b"", time.monotonic() + PATIENCE_S
        while select.select([pipe], [], [], max(0, end - time.monotonic()))[0]:
            piece = os.read(pipe, 4096)
            text += piece
            if found := re.search(rb"listening on (http://\S+)\n", text):
                return found[1].decode()
            if not piece:
                break
        self.process.kill()
        raise Failed(f"the server did not say that it listens: {text.decode(errors='replace')}")

    def stop(self):
        """Asks it to stop; its exit code."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()


class Browser:
    """One page of a headless Chromium."""

    def __init__(self, binary, profile):
        # Above 9, so that the child's 3 and 4 cannot be among them.
        theirs_in, self.out = map(high, os.pipe())
        self.inp, theirs_out = map(high, os.pipe())
        self.pid = os.posix_spawn(
            binary,
            [binary, *FLAGS, f"--user-data-dir={profile}", "about:blank"],
            {**os.environ, "HOME": profile},
            file_actions=[
                (os.POSIX_SPAWN_DUP2, theirs_in, 3),
                (os.POSIX_SPAWN_DUP2, theirs_out, 4),
                (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
                (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
            ],
            setpgroup=0,
        )
        os.close(theirs_in)
        os.close(theirs_out)
        self.buffer, self.number, self.session = b"", 0, None
        self.complaints, self.fetched, self.loads = [], [], 0
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self.session = attached["sessionId"]
        for domain in ["Page", "Runtime", "Log", "Network"]:
            self.call(domain + ".enable")

    def call(self, method, **parameters):
        """One command; its result."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.out, json.dumps(message).encode() + b"\0")
        end = time.monotonic() + PATIENCE_S
        while True:
            answer = self._next(end)
            if answer is None:
                raise Failed(f"the browser did not answer {method}")
            if answer.get("id") == self.number:
                if "error" in answer:
                    raise Failed(f"{method}: {answer['error']['message']}")
                return answer["result"]

    def _next(self, end):
        """The next message, events noted on the way; None at `end`."""
        while b"\0" not in self.buffer:
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.inp], [], [], left)[0]:
                return None
            piece = os.read(self.inp, 1 << 16)
            if not piece:
                raise Failed("the browser has gone away")
            self.buffer += piece
        raw, self.buffer = self.buffer.split(b"\0", 1)
        message = json.loads(raw)
        self._note(message.get("method"), message.get("params", {}))
        return message

    def _note(self, event, about):
        if event == "Runtime.exceptionThrown":
            self.complaints.append(about["exceptionDetails"].get("text", "an exception"))
        elif event == "Runtime.consoleAPICalled" and about["type"] in ("error", "warning", "assert"):
            self.complaints.append(str([a.get("value") for a in about["args"]]))
        elif event == "Log.entryAdded" and about["entry"]["level"] in ("error", "warning"):
            self.complaints.append(about["entry"]["text"])
        elif event == "Network.requestWillBeSent":
            self.fetched.append(about["request"]["url"])
        elif event == "Page.loadEventFired":
            self.loads += 1

    def open(self, url):
        """Loads a page, to its load event."""
        before = self.loads
        answer = self.call("Page.navigate", url=url)
        if "errorText" in answer:
            raise Failed(f"{url}: {answer['errorText']}")
        end = time.monotonic() + PATIENCE_S
        while self.loads == before:
            if self._next(end) is None:
                raise Failed(f"{url} did not finish loading")

    def ask(self, expression):
        """The value of a JavaScript expression in the page (also when its own scripts are off)."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        if "exceptionDetails" in answer:
            raise Failed(f"{expression}: {answer['exceptionDetails']['text']}")
        return answer["result"].get("value")

    def until(self, expression, what):
        """Waits for an expression to become true."""
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            try:
                if self.ask(expression):
                    return check(True, what)
            except Failed:
                pass  # the page is just being replaced by its next load
            self._next(time.monotonic() + 0.1)
        check(False, what)

    def dress(self, scheme, width=1100, height=1400):
        """Sets light or dark, and the window's size."""
        self.call("Emulation.setEmulatedMedia",
                  features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.call("Emulation.setDeviceMetricsOverride",
                  width=width, height=height, deviceScaleFactor=1, mobile=width < 600)

    def keep(self, folder, name):
        """Keeps what is seen now: a screenshot of the whole page and its DOM."""
        if folder is None:
            return
        shot = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        (folder / f"{name}.png").write_bytes(base64.b64decode(shot["data"]))
        (folder / f"{name}.html").write_text(self.ask("document.documentElement.outerHTML"))

    def close(self):
        """Ends it and everything it started."""
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        os.waitpid(self.pid, 0)
        os.close(self.inp)
        os.close(self.out)


def high(descriptor):
    """The same descriptor with a number above 9."""
    moved = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 10)
    os.close(descriptor)
    return moved


BACKGROUND = "getComputedStyle(document.body).backgroundColor"
REQUESTS = "document.querySelector('[data-counter=requests]').textContent.replaceAll(',', '')"


def look_at_welcome(browser, server, out):
    browser.dress("light")
    browser.open(server.url + "/")
    check(browser.ask("document.querySelector('h1').textContent") == "sped", "it names the model")
    check(browser.ask("document.querySelector('pre').textContent.trim().length") > 50,
          "the model's own picture is there")
    boxes = browser.ask(
        "[...document.querySelectorAll('svg.picture rect')].map(r => r.getBoundingClientRect().width)")
    check(len(boxes) == 3 and min(boxes) > 50, "the picture of the three tasks is drawn")
    spilled = browser.ask(
        "[...document.querySelectorAll('svg.picture .task')].filter(g => "
        "g.getBBox().width > g.querySelector('rect').getBBox().width).length")
    check(spilled == 0, "its texts keep within their boxes")
    links = browser.ask("[...document.querySelectorAll('a')].map(a => new URL(a.href).pathname)")
    for path in DEMO_LINKS + STATUS_LINKS:
        check(path in links, f"it links to {path}")
    # None is read to its end: the next answer must not begin with what one client left unread.
    for link in browser.ask("[...document.querySelectorAll('td a, th a')].map(a => a.href)"):
        with urllib.request.urlopen(link, timeout=PATIENCE_S) as answer:
            check(answer.status == 200, f"{link.removeprefix(server.url)} answers")
    look_around(browser, out, "welcome")


def look_at_status(browser, server, out):
    browser.dress("light")
    browser.open(server.url + "/status")
    check(browser.ask("document.querySelector('h1').textContent") == "sped", "it names the model")
    browser.until("document.querySelector('.pulse.live') !== null", "its script polls")
    first = int(browser.ask(REQUESTS))
    browser.until(f"Number({REQUESTS}) > {first}", "the numbers move between two looks")
    browser.until("document.querySelector('#curve').points.length > 2", "the rate is drawn")
    check(browser.ask("document.querySelectorAll('[data-tile] .value').length") > 8,
          "the tiles are there")
    check(browser.ask("[...document.querySelectorAll('[data-tile]')].every("
                      "t => !/NaN|undefined|Infinity/.test(t.textContent))"),
          "every tile shows a number")
    with urllib.request.urlopen(server.url + "/status.json", timeout=PATIENCE_S) as answer:
        status = json.load(answer)
    check(status["model"]["name"] == "sped" and status["counters"]["requests"] > first,
          "its JSON is JSON and says the same")
    look_around(browser, out, "status")


def look_without_script(browser, server, out):
    browser.call("Emulation.setScriptExecutionDisabled", value=True)
    browser.dress("light")
    browser.open(server.url + "/status")
    first = int(browser.ask(REQUESTS))
    check(first > 0, "without a script the numbers are there")
    browser.until(f"Number({REQUESTS}) > {first}", "without a script the page loads itself again")
    browser.keep(out, "status-without-script")
    browser.call("Emulation.setScriptExecutionDisabled", value=False)


def look_around(browser, out, name):
    """The same page in light, in dark, and on a phone."""
    light = browser.ask(BACKGROUND)
    browser.keep(out, f"{name}-light")
    browser.dress("dark")
    dark = browser.ask(BACKGROUND)
    check(len({light, dark, "rgba(0, 0, 0, 0)"}) == 3, "it has a light and a dark dress")
    browser.keep(out, f"{name}-dark")
    browser.dress("light", width=390, height=800)
    check(browser.ask("document.documentElement.scrollWidth <= innerWidth"),
          "it fits a telephone's width")
    browser.keep(out, f"{name}-phone")


def look(browser, server, out):
    for page, looks in [("/", look_at_welcome), ("/status", look_at_status),
                        ("/status without a script", look_without_script)]:
        print(f"{page}:", flush=True)
        looks(browser, server, out)
        check(not browser.complaints, f"the console is empty {browser.complaints or ''}".strip())
    elsewhere = [u for u in browser.fetched
                 if not u.startswith((server.url + "/", "data:", "about:"))]
    check(not elsewhere, f"nothing is fetched from elsewhere {elsewhere or ''}".strip())


def built():
    """The most recently built `sped`."""
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    found = [p for p in (target / "release" / "sped", target / "debug" / "sped") if p.exists()]
    if not found:
        sys.exit(f"no sped in {target}: build it first (cargo build --bin sped), or name one by --sped")
    return max(found, key=lambda p: p.stat().st_mtime)


def main():
    options = argparse.ArgumentParser(description="Looks at the server's pages with a browser.")
    options.add_argument("--sped", type=pathlib.Path, help="the binary (default: the last one built)")
    options.add_argument("--out", type=pathlib.Path, help="keep screenshots and DOM in this folder")
    options = options.parse_args()
    chromium = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), None)
    if chromium is None:
        print("skipped: no chromium")
        return 0
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
    server, browser = None, None
    try:
        server = Server(options.sped or built())
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
            try:
                browser = Browser(chromium, profile)
                look(browser, server, options.out)
            finally:
                if browser:
                    browser.close()
    except (Failed, OSError, http.client.HTTPException) as failure:
        print(f"failed: {failure!r}", file=sys.stderr)
        return 1
    finally:
        stopped = server is not None and server.stop() == 0
    print("all looks well" if stopped else "failed: the server did not stop when told to")
    return 0 if stopped else 1


if __name__ == "__main__":
    sys.exit(main())
