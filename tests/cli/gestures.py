"""What fingers do on a page, by touch events of the DevTools protocol, and what axe-core finds wrong with a page."""

import base64
import json
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from browser import Browser

Point = tuple[float, float]
AXE = Path(__file__).parents[2] / ".venv" / "axe" / "node_modules" / "axe-core" / "axe.min.js"
RULES = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa")


def phone(browser: Browser, width: int = 390, height: int = 844) -> None:
    """Make the page that of a telephone."""
    browser.send("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=True)
    browser.send("Emulation.setTouchEmulationEnabled", enabled=True, maxTouchPoints=5)


def desktop(browser: Browser, width: int = 1440, height: int = 900) -> None:
    """Make the page that of a computer with a mouse."""
    browser.send("Emulation.setTouchEmulationEnabled", enabled=False)
    browser.send("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)


def touch(browser: Browser, *steps: Sequence[Point]) -> None:
    """Put fingers down at the points of the first step, move them to those of the others, and lift them."""
    for i, points in enumerate(steps):
        fingers = [{"x": x, "y": y, "id": n} for n, (x, y) in enumerate(points)]
        # Nobody waits in between: a finger that rests for half a second is no tap but a long press.
        browser.post("Input.dispatchTouchEvent", type="touchMove" if i else "touchStart", touchPoints=fingers)
    browser.send("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])


def centre(browser: Browser, selector: str) -> Point:
    """Return the middle of an element, after it was brought into view and drawn there: a touch meets what is drawn."""
    x, y = browser.run(
        f"""(async () => {{ const e = document.querySelector({json.dumps(selector)}); e.scrollIntoView({{block: 'nearest'}});
        for (let frame = 0; frame < 2; frame++) await new Promise(requestAnimationFrame);
        const r = e.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2] }})()"""
    )
    return x, y


def tap(browser: Browser, selector: str) -> None:
    """Tap the middle of an element with one finger."""
    touch(browser, [centre(browser, selector)])


def pinch(browser: Browser, selector: str, start: float, end: float) -> None:
    """Move two fingers from `start` to `end` pixels apart, about the middle of an element."""
    x, y = centre(browser, selector)
    apart = [start + (end - start) * i / 4 for i in range(5)]
    touch(browser, *([(x - d / 2, y), (x + d / 2, y)] for d in apart))


def visible(browser: Browser, selector: str) -> list[list[float]]:
    """Return the width and height of every element that is wholly in the window, with nothing over it."""
    boxes: list[list[float]] = browser.run(
        f"""[...document.querySelectorAll({json.dumps(selector)})].map(e => [e, e.getBoundingClientRect()])
        .filter(([e, r]) => r.top >= 0 && r.left >= 0 && r.bottom <= innerHeight + .5 && r.right <= innerWidth + .5 &&
          [[5, 5], [r.width - 5, r.height - 5]].every(([x, y]) => {{
            const top = document.elementFromPoint(r.x + x, r.y + y); return top && (e === top || e.contains(top)) }}))
        .map(([, r]) => [r.width, r.height])"""
    )
    return boxes


def scheme(browser: Browser, name: str) -> None:
    """Show the page in the scheme "light" or "dark"."""
    browser.send("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": name}])


def faults(browser: Browser, bypass: bool = False) -> list[str]:
    """Return what axe-core finds wrong with the page, by the rules of WCAG 2.2 AA: contrast, names, labels, roles.

    `bypass` lets the script past the security policy of a page from a server.
    """
    if bypass:
        browser.send("Page.setBypassCSP", enabled=True)
    file = Path(os.environ.get("AXE", AXE))
    if not file.is_file():
        pytest.skip("wants axe-core: npm install --prefix .venv/axe axe-core, or name its axe.min.js in AXE")
    browser.run(file.read_text(encoding="utf-8") + "; 0")
    found: list[dict[str, Any]] = browser.run(
        f"axe.run(document, {{runOnly: {json.dumps(RULES)}}}).then(r => r.violations.map("
        "v => ({id: v.id, nodes: v.nodes.map(n => n.html.slice(0, 160) + ' ' + n.failureSummary)})))"
    )
    return [f"{v['id']}: {v['nodes'][:3]}" for v in found]


def printed(browser: Browser) -> bytes:
    """Return the page as a PDF."""
    return base64.b64decode(browser.send("Page.printToPDF", printBackground=True)["data"])


def pages_of(pdf: bytes) -> int:
    """Return the number of pages of a PDF that Chromium wrote."""
    assert pdf.startswith(b"%PDF")
    return len(re.findall(rb"/Type\s*/Page\b(?!s)", pdf))


def paper(browser: Browser) -> list[str]:
    """Lay the page out for A4 paper, and return the elements with text that reach beyond its right edge."""
    desktop(browser, 718, 1000)  # 190 mm between the margins
    browser.send("Emulation.setEmulatedMedia", media="print")
    cut: list[str] = browser.run(
        """[...document.querySelectorAll('body *')].filter(e => e.checkVisibility() && e.textContent.trim() &&
        !e.classList.contains('aside') && e.getBoundingClientRect().right > innerWidth + 1)
        .map(e => e.tagName + '.' + e.className + ' ' + e.textContent.trim().slice(0, 60))"""
    )
    desktop(browser)
    return cut
