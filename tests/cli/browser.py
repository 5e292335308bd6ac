"""Headless Chromium for tests, driven by its DevTools protocol over a pipe: nothing to install but the browser."""

import base64
import json
import os
import select
import shutil
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")


CODES = {
    "Backspace": 8, "Tab": 9, "Enter": 13, "Escape": 27, "End": 35, "Home": 36, "ArrowLeft": 37, "ArrowUp": 38,
    "ArrowRight": 39, "ArrowDown": 40,
}  # fmt: skip


class Browser:
    """One page of a fresh profile. `log` gathers what the page complained of."""

    def __init__(self, profile: Path, size: tuple[int, int] = (1440, 900)) -> None:
        program = os.environ.get("CHROME") or next(filter(None, map(shutil.which, NAMES)), None)
        assert program, "these tests want a browser: apt-get install chromium, or name one in CHROME"
        ours_in, theirs_out = os.pipe()
        theirs_in, ours_out = os.pipe()
        flags = f"--headless=new --no-sandbox --disable-gpu --disable-dev-shm-usage --no-first-run --hide-scrollbars --disable-extensions --window-size={size[0]},{size[1]} --remote-debugging-pipe"
        start = f'exec "$0" {flags} --user-data-dir="$1" about:blank 3<&{theirs_in} 4>&{theirs_out}'
        self.process = subprocess.Popen(
            ["bash", "-c", start, program, str(profile)],
            pass_fds=(theirs_in, theirs_out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(theirs_in)
        os.close(theirs_out)
        self.reads, self.writes, self.buffer, self.number = ours_in, ours_out, b"", 0
        self.log: list[str] = []
        self.loads = 0
        self.session = ""
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.send(f"{domain}.enable")
        self.send(
            "Emulation.setDeviceMetricsOverride", width=size[0], height=size[1], deviceScaleFactor=1, mobile=False
        )

    def post(self, method: str, **params: Any) -> int:
        """One command whose result nobody waits for. Return its number."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": params} | (
            {"sessionId": self.session} if self.session else {}
        )
        os.write(self.writes, json.dumps(message).encode() + b"\0")
        return self.number

    def send(self, method: str, **params: Any) -> Any:
        """One command and its result."""
        self.post(method, **params)
        while True:
            answer = self._next(30)
            if answer.get("id") == self.number:
                assert "error" not in answer, f"{method}: {answer['error']}"
                return answer["result"]

    def _next(self, seconds: float) -> dict[str, Any]:
        end = time.monotonic() + seconds
        while b"\0" not in self.buffer:
            ready, _, _ = select.select([self.reads], [], [], max(0, end - time.monotonic()))
            chunk = os.read(self.reads, 1 << 16) if ready else b""
            assert chunk, "the browser says nothing more"
            self.buffer += chunk
        line, self.buffer = self.buffer.split(b"\0", 1)
        message: dict[str, Any] = json.loads(line)
        if message.get("method") == "Runtime.exceptionThrown":
            self.log.append(json.dumps(message["params"]["exceptionDetails"]))
        self.loads += message.get("method") == "Page.loadEventFired"
        if message.get("method") == "Log.entryAdded":
            self.log.append(message["params"]["entry"]["text"])
        return message

    def open(self, url: str) -> None:
        self._load("Page.navigate", url=url)

    def reload(self) -> None:
        self._load("Page.reload")

    def _load(self, method: str, **params: Any) -> None:
        """Until the new document is there with all that it loads; a script before that may meet the old one."""
        before = self.loads
        self.send(method, **params)
        while self.loads == before:
            self._next(30)

    def run(self, script: str) -> Any:
        """The value of a JavaScript expression, a promise's when it is one."""
        answer = self.send("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, f"{script}: {answer['exceptionDetails']}"
        return answer["result"].get("value")

    def wait(self, condition: str, seconds: float = 20) -> None:
        """Until a JavaScript expression is true; asked in the page itself, frame by frame."""
        script = f"""new Promise(done => {{ const end = performance.now() + {seconds * 1000};
            (function look() {{ let ok = false; try {{ ok = {condition} }} catch {{}}
              if (ok || performance.now() > end) done(!!ok); else setTimeout(look, 20); }})(); }})"""
        assert self.run(script), (
            f"never true: {condition}; the page says {self.run('document.body.innerText')!r}; {self.log}"
        )

    def press(self, key: str) -> None:
        """A key as a person presses it."""
        code = CODES.get(key, ord(key.upper()) if len(key) == 1 else 0)
        text = {"text": "\r" if key == "Enter" else key} if len(key) == 1 or key == "Enter" else {}
        self.send("Input.dispatchKeyEvent", type="keyDown", key=key, windowsVirtualKeyCode=code, **text)
        self.send("Input.dispatchKeyEvent", type="keyUp", key=key, windowsVirtualKeyCode=code)

    def write(self, text: str) -> None:
        self.send("Input.insertText", text=text)

    def screenshot(self, path: Path) -> None:
        path.write_bytes(base64.b64decode(self.send("Page.captureScreenshot", format="png")["data"]))

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.reads)
        os.close(self.writes)

    def __enter__(self) -> "Browser":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
