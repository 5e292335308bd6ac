"""A local server of the chat completions protocol, with the faults that real ones have."""

from __future__ import annotations

import base64
import io
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from PIL import Image

Answer = Callable[[dict[str, Any]], str]


class ChatServer:
    """Answers with the words of `answer`; `faults` are used up first, one for each request of a report."""

    def __init__(self, answer: Answer, faults: list[str], model: str = "tiny") -> None:
        self.answer, self.faults, self.model = answer, faults, model
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.at_once = self.most = 0
        self.lock = threading.Lock()
        self.stop = threading.Event()
        self.url = ""

    def images(self, body: dict[str, Any]) -> list[Image.Image]:
        """Return the images in a request, in order."""
        parts = [p for m in body["messages"] if isinstance(m["content"], list) for p in m["content"]]
        urls = [p["image_url"]["url"] for p in parts if p["type"] == "image_url"]
        return [Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))) for url in urls]

    def completion(self, text: str | None, **more: Any) -> dict[str, Any]:
        message = {"role": "assistant", "content": text, **more.pop("message", {})}
        choice = {"index": 0, "message": message, "finish_reason": "stop", **more.pop("choice", {})}
        return {"id": "1", "object": "chat.completion", "model": self.model, "choices": [choice], **more}


def reply(server: ChatServer, handler: BaseHTTPRequestHandler, body: dict[str, Any], fault: str) -> None:
    """Send an answer, or the fault of this name."""
    done: dict[str, Any] = {
        "": lambda: server.completion(server.answer(body)),
        "refusal": lambda: server.completion(None, message={"refusal": "I cannot read radiographs."}),
        "filter": lambda: server.completion("", choice={"finish_reason": "content_filter"}),
        "empty": lambda: server.completion(""),
        "markdown": lambda: server.completion(
            "Sure!\n\n**FINDINGS:**\n- The heart is *enlarged*\n\n## Impression\nfine"
        ),
        "cut": lambda: server.completion("The heart is", choice={"finish_reason": "length"}),
        "other model": lambda: server.completion(server.answer(body), model="tiny-2"),
        "no choices": lambda: {"error": "busy"},
    }
    if fault in done:
        send(handler, 200, json.dumps(done[fault]()).encode())
    elif fault == "no json":
        send(handler, 200, b"<html>It works!</html>", "text/html")
    elif fault == "stall":
        server.stop.wait(20)
    elif fault == "cut body":
        send(handler, 200, json.dumps(server.completion("The heart")).encode()[:40], length=400)
    elif fault in ("stream", "half a stream"):
        words = server.answer(body).split(" ")
        events = [
            {"model": server.model, "choices": [{"delta": {"content": w + " " * (i + 1 < len(words))}}]}
            for i, w in enumerate(words)
        ]
        lines = [f"data: {json.dumps(event)}\n\n" for event in events]
        sent = [*lines, "data: [DONE]\n\n"] if fault == "stream" else lines[: len(lines) // 2]
        send(handler, 200, "".join(sent).encode(), "text/event-stream")
    elif fault.startswith("redirect"):
        send(handler, 307, b"", location=fault.partition(" ")[2])
    else:
        key = handler.headers.get("Authorization", "").removeprefix("Bearer ")
        error = {"error": {"message": f"fault {fault} for key {key}", "type": "x"}}
        send(handler, int(fault), json.dumps(error).encode())


def send(
    handler: BaseHTTPRequestHandler, status: int, content: bytes, kind: str = "application/json", length: int = 0,
    location: str = "",
) -> None:  # fmt: skip
    handler.send_response(status)
    handler.send_header("Content-Type", kind)
    handler.send_header("Content-Length", str(length or len(content)))
    if location:
        handler.send_header("Location", location)
    handler.end_headers()
    handler.wfile.write(content)


@contextmanager
def chat_server(answer: Answer = lambda body: "The heart is normal.", *faults: str) -> Iterator[ChatServer]:
    """Run a server until the end of the block."""
    server = ChatServer(answer, list(faults))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            send(self, 200, json.dumps({"data": [{"id": server.model}]}).encode())

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with server.lock:
                server.bodies.append(body)
                server.headers.append(dict(self.headers))
                server.at_once += 1
                server.most = max(server.most, server.at_once)
                fault = server.faults.pop(0) if server.faults else ""
            try:
                reply(server, self, body, fault)
            except (BrokenPipeError, ConnectionResetError):
                pass
            finally:
                with server.lock:
                    server.at_once -= 1
            self.close_connection = True

        def log_message(self, *args: Any) -> None:
            pass

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    httpd.daemon_threads = True
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    server.url = f"http://127.0.0.1:{httpd.server_port}/v1"
    try:
        yield server
    finally:
        server.stop.set()
        httpd.shutdown()
        httpd.server_close()
        thread.join()


def slow(seconds: float) -> Answer:
    def answer(body: dict[str, Any]) -> str:
        time.sleep(seconds)
        return "The heart is normal."

    return answer
