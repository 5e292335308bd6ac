"""Use the page of `rg serve` in a browser as a person does."""

import base64
import json

from browser import Browser
from serving import Served, picture

DONE = "document.documentElement.dataset.ready === 'yes' && !byId('results').hidden && !byId('app').hasAttribute('aria-busy')"


def opened(browser: Browser, server: Served, fragment: str = "") -> None:
    browser.log.clear()
    browser.open("about:blank")
    browser.open(server.url + fragment)
    browser.wait("models.length && !byId('app').hasAttribute('aria-busy')")


def drop(browser: Browser, *files: tuple[str, bytes]) -> None:
    """Drop files on the page, as a person does from a folder."""
    given = json.dumps([[name, base64.b64encode(content).decode()] for name, content in files])
    browser.run(
        f"""(() => {{ const transfer = new DataTransfer();
        for (const [name, text] of {given}) transfer.items.add(new File([Uint8Array.from(atob(text), c => c.charCodeAt(0))], name));
        byId('drop').dispatchEvent(new DragEvent('drop', {{ dataTransfer: transfer, bubbles: true, cancelable: true }})); }})()"""
    )


def report(browser: Browser, server: Served, *files: tuple[str, bytes], all_models: bool = False) -> None:
    opened(browser, server)
    drop(browser, *files)
    if all_models:
        browser.run("document.querySelectorAll('#models input:not(:checked)').forEach(box => box.click())")
    browser.run("byId('go').click()")
    browser.wait(DONE)


CHEST = ("chest.png", picture(7, (300, 260)))


def downloads(browser: Browser, script: str) -> str:
    """Return what a click downloads: the content of the blob of the link."""
    return str(
        browser.run(
            f"""(async () => {{ const made = URL.createObjectURL; let kept;
            URL.createObjectURL = (blob) => {{ kept = blob; return made.call(URL, blob); }};
            {script}; await new Promise(r => setTimeout(r, 50)); URL.createObjectURL = made; return kept.text(); }})()"""
        )
    )
