#!/usr/bin/env python3
"""Looks at a report of the lab with a real browser.

    tests/browser/report.py PAGE [--out DIR]

PAGE is an index.html that the lab has written. One with invented figures and every kind of plot:

    LAB_EXAMPLE=/tmp/example cargo test --features lab --lib report::example -- --ignored

Checks what only a browser can tell: that the style gets past the page's own policy, that nothing is
fetched, that neither page nor plot overflows on a desk or on a telephone, that text is legible.
With --out, screenshots and the printed page are kept there. Without a Chromium: prints
"skipped: no chromium" and exits 0.
"""

import argparse
import base64
import os
import pathlib
import shutil
import sys
import tempfile

from look import BACKGROUND, BROWSERS, Browser, Failed, check

TEXT_MIN_PX = 12
# A plot's own units: its text has 14 of them.
PLOT_TEXT = ("Math.min(99, ...[...document.querySelectorAll('.plot > svg')].map("
             "s => s.getBoundingClientRect().width / s.viewBox.baseVal.width * 14))")
PAGE_TEXT = ("Math.min(...[...document.querySelectorAll('body *:not(svg *)')].filter("
             "e => e.textContent.trim()).map(e => parseFloat(getComputedStyle(e).fontSize)))")
SPILLED = """[...document.querySelectorAll('.plot > svg')].flatMap(s => {
    const all = s.getBoundingClientRect();
    return [...s.querySelectorAll('text')].filter(t => {
        const box = t.getBoundingClientRect();
        return box.left < all.left - 1 || box.right > all.right + 1 || box.bottom > all.bottom + 1;
    }).map(t => t.textContent);
})"""
# Headings go down by one level at a time.
HEADINGS = """[...document.querySelectorAll('h1, h2, h3, h4')].map(h => +h.tagName[1]).every(
    (level, i, all) => level <= (i ? all[i - 1] + 1 : 1))"""
LOST_LINKS = """[...document.querySelectorAll('a[href^="#"]')].map(a => a.hash.slice(1)).filter(
    id => !document.getElementById(id))"""


def look(browser, url, out):
    backgrounds = set()
    for scheme, width in [("light", 1280), ("dark", 1280), ("light", 390), ("dark", 390)]:
        print(f"{scheme}, {width} px:", flush=True)
        browser.dress(scheme, width=width, height=900)
        browser.open(url)
        backgrounds.add(browser.ask(BACKGROUND))
        check(browser.ask("document.documentElement.scrollWidth <= innerWidth"), "the page fits")
        spilled = browser.ask(SPILLED)
        check(not spilled, f"texts keep within their plots {spilled or ''}".strip())
        for what, size in [("plots", browser.ask(PLOT_TEXT)), ("the page", browser.ask(PAGE_TEXT))]:
            check(size >= TEXT_MIN_PX, f"the text of {what} has at least {size:.1f} px")
        browser.keep(out, f"report-{scheme}-{width}")
    check(len(backgrounds) == 2, "it has a light and a dark dress")
    check(browser.ask(HEADINGS), "headings are in order")
    lost = browser.ask(LOST_LINKS)
    check(not lost, f"links lead to places of the page {lost or ''}".strip())
    check(not browser.complaints, f"the console is empty {browser.complaints or ''}".strip())
    elsewhere = [u for u in browser.fetched if u != url and not u.startswith(("data:", "about:"))]
    check(not elsewhere, f"nothing is fetched {elsewhere or ''}".strip())
    if out:
        printed = browser.call("Page.printToPDF", paperWidth=8.27, paperHeight=11.69)
        (out / "report.pdf").write_bytes(base64.b64decode(printed["data"]))


def main():
    options = argparse.ArgumentParser(description="Looks at a report of the lab with a browser.")
    options.add_argument("page", type=pathlib.Path, help="the report's index.html")
    options.add_argument("--out", type=pathlib.Path, help="keep screenshots in this folder")
    options = options.parse_args()
    chromium = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), None)
    if chromium is None:
        print("skipped: no chromium")
        return 0
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
    browser = None
    try:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
            try:
                browser = Browser(chromium, profile)
                look(browser, options.page.resolve(strict=True).as_uri(), options.out)
            finally:
                if browser:
                    browser.close()
    except (Failed, OSError) as failure:
        print(f"failed: {failure!r}", file=sys.stderr)
        return 1
    print("all looks well")
    return 0


if __name__ == "__main__":
    sys.exit(main())
