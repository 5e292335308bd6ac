"""A hub on this machine: the endpoints that huggingface_hub and our own reader ask, over repositories in memory.

Create, preupload, the large files' batch and upload, commit, and resolve at a branch or a commit. Writing needs a token.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

TOKEN = "hf_token_of_a_test"


@dataclass
class Hub:
    """Repositories: revision, as "main" or a commit, to files."""

    repositories: dict[str, dict[str, dict[str, bytes]]] = field(default_factory=dict)
    stored: dict[str, bytes] = field(default_factory=dict)  # large files by sha256
    url: str = ""

    def commit(self, repo: str, branch: str, lines: list[dict]) -> str:
        """Apply the lines of a commit; its id."""
        files = dict(self.repositories[repo].get(branch, {}))
        for line in lines:
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                files[value["path"]] = self.stored[value["oid"]]
        oid = hashlib.sha1(repr(sorted(files.items())).encode()).hexdigest()
        self.repositories[repo] |= {branch: files, oid: files}
        return oid


@contextmanager
def serve_hub() -> Iterator[Hub]:
    """A hub without repositories on a port of this machine."""
    hub = Hub()

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            match = re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", unquote(self.path))
            files = hub.repositories.get(match[1], {}).get(match[2]) if match else None
            if match is None or files is None or match[3] not in files:
                self.send_response(404)
                self.send_header("X-Error-Code", "EntryNotFound" if files is not None else "RepoNotFound")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            body = files[match[3]]
            commits = [rev for rev, held in hub.repositories[match[1]].items() if held is files and len(rev) == 40]
            self.answer(body, {"ETag": f'"{hashlib.sha256(body).hexdigest()}"', "X-Repo-Commit": commits[0]})

        def do_PUT(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            hub.stored[hashlib.sha256(body).hexdigest()] = body
            self.answer(b"")

        def do_POST(self) -> None:
            if self.headers.get("Transfer-Encoding") == "chunked":
                body = b""
                while size := int(self.rfile.readline(), 16):
                    body += self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()
            else:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.headers.get("Authorization") != f"Bearer {TOKEN}":
                self.send_error(401)
                return
            self.answer(json.dumps(self.said(body)).encode(), {"Content-Type": "application/json"})

        def said(self, body: bytes) -> dict:
            if self.path == "/api/repos/create":
                asked = json.loads(body)
                repo = f"{asked['organization']}/{asked['name']}"
                hub.repositories.setdefault(repo, {})
                return {"url": f"{hub.url}/{repo}"}
            if match := re.fullmatch(r"/api/models/(.+)/preupload/.+", self.path):
                large = (".safetensors",)
                paths = [f["path"] for f in json.loads(body)["files"]]
                modes = {p: "lfs" if p.endswith(large) else "regular" for p in paths}
                return {"files": [{"path": p, "uploadMode": m, "shouldIgnore": False} for p, m in modes.items()]}
            if self.path.endswith("/info/lfs/objects/batch"):
                objects = json.loads(body)["objects"]
                actions = [{**o, "actions": {"upload": {"href": f"{hub.url}/store/{o['oid']}"}}} for o in objects]
                return {"transfer": "basic", "objects": actions}
            match = re.fullmatch(r"/api/models/([^/]+/[^/]+)/commit/([^/?]+).*", self.path)
            assert match, self.path
            oid = hub.commit(match[1], unquote(match[2]), [json.loads(line) for line in body.splitlines() if line])
            return {"commitUrl": f"{hub.url}/{match[1]}/commit/{oid}", "commitOid": oid}

        def answer(self, body: bytes, headers: dict[str, str] | None = None) -> None:
            self.send_response(200)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    hub.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
