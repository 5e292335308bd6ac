"""Whom `rg serve` answers, how much it takes, and how it ends."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path

import pytest
from reportgen_cli.serve.gate import Gate
from reportgen_cli.serve.settings import ServeSettings
from reportgen_cli.serve.state import State
from running import Rg
from serving import Served, Waits, answer_of, form, picture, served, serving

PNG = [("images", "DOE_JANE.png", picture(1))]


def wait(condition: object, seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end
        time.sleep(0.01)


def raw(server: Served, content: bytes, seconds: float = 20) -> bytes:
    """Send bytes and return all that comes until the server closes."""
    with socket.create_connection(("127.0.0.1", server.port), seconds) as sent:
        sent.sendall(content)
        parts = []
        while part := sent.recv(65536):
            parts.append(part)
    return b"".join(parts)


def test_other_hosts_and_other_pages_are_refused() -> None:
    with serving(allowed_hosts=frozenset({"pacs.example"})) as server:
        ask = server.ask
        assert ask("GET", "/v1/models").status == 200
        assert ask("GET", "/v1/models", Host="evil.example").status == 403
        assert ask("GET", "/v1/models", Host=f"127.0.0.1:{server.port + 1}").status == 403
        assert ask("GET", "/v1/models", Host="pacs.example").status == 200
        assert ask("GET", "/v1/models", Origin=server.url.rstrip("/")).status == 200
        assert ask("GET", "/v1/models", Origin="http://evil.example").status == 403
        assert ask("GET", "/v1/models", Origin="null").status == 403
        assert ask("POST", "/v1/label", {"text": "a"}, Sec_Fetch_Site="cross-site").status == 403
        assert ask("GET", "/", Sec_Fetch_Site="cross-site").status == 200  # a link to the page
        assert ask("GET", "/healthz", Host="evil.example").json == {"status": "ok"}


def test_a_token_is_wanted_for_all_but_the_pages() -> None:
    with serving(token="t" * 20) as server:
        for path in ("/v1/models", "/metrics", "/v1/sample"):
            refused = server.ask("GET", path)
            assert refused.status == 401 and refused.headers["www-authenticate"] == "Bearer"
            assert server.ask("GET", path, Authorization="Bearer " + "t" * 19).status == 401
            assert server.ask("GET", path, Authorization="Bearer " + "t" * 20).status == 200
        assert [server.ask("GET", path).status for path in ("/", "/docs", "/openapi.json", "/healthz")] == [200] * 4


@pytest.mark.parametrize(
    ("host", "known"),
    [
        ("10.0.0.5:8000", True),
        ("[fe80::1]:8000", True),
        ("evil.example", False),
        ("me.example:8000", True),
        ("", False),
    ],
)
def test_a_server_for_other_machines_knows_addresses_and_its_names(host: str, known: bool) -> None:
    state = State(ServeSettings(host="0.0.0.0", allowed_hosts=frozenset({"me.example"})), [served()])
    state.worker.close()
    assert Gate(None, state, 8000)._knows(host) is known  # type: ignore[arg-type]


def test_every_answer_has_the_headers_and_no_cookie() -> None:
    with serving() as server:
        answers = [server.ask("GET", path) for path in ("/", "/docs", "/v1/models", "/none", "/healthz", "/metrics")]
        answers.append(server.ask("GET", "/", Host="evil.example"))
    for answer in answers:
        assert answer.headers["x-content-type-options"] == "nosniff" and answer.headers["x-frame-options"] == "DENY"
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert "unsafe" not in answer.headers["content-security-policy"]
        assert answer.headers["cache-control"] == "no-store" and "set-cookie" not in answer.headers
        assert "server" not in answer.headers and "access-control-allow-origin" not in answer.headers


def test_the_pages_load_nothing_from_elsewhere() -> None:
    with serving() as server:
        for path in ("/", "/docs"):
            page = server.ask("GET", path).body.decode()
            assert not re.findall(r'(?:src|href)="(?!#|data:|/)[^"]*"|url\((?!data:)', page)
            assert "https://" not in page and "Not a medical device" in page


def test_a_body_above_the_limit_is_refused_while_it_comes() -> None:
    kind, body = form([("images", "a.png", b"x" * 300_000)], {})
    with serving(max_bytes=100_000) as server:
        by_length = server.ask("POST", "/v1/reports", body, **{"Content-Type": kind})
        connection = HTTPConnection("127.0.0.1", server.port, timeout=20)
        parts = (body[i : i + 10_000] for i in range(0, len(body), 10_000))
        connection.request("POST", "/v1/reports", parts, {"Content-Type": kind}, encode_chunked=True)
        in_parts = answer_of(connection)
        text = server.ask("POST", "/v1/label", b"x" * 200_000, **{"Content-Type": "application/json"})
        assert [a.status for a in (by_length, in_parts, text)] == [413] * 3
        assert "0.1 MB" in in_parts.json["error"]
        assert server.state.in_hand == 0


def test_a_client_that_waits_for_100_is_refused_before_it_sends() -> None:
    with serving(max_bytes=1000) as server:
        head = f"POST /v1/reports HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nContent-Length: 999999\r\nExpect: 100-continue\r\n\r\n"
        assert raw(server, head.encode(), 5).startswith(b"HTTP/1.1 413")


def test_a_full_queue_answers_429_and_health_is_never_blocked() -> None:
    reporter = Waits()
    with serving(served(reporter), queue=3) as server, ThreadPoolExecutor(3) as pool:
        waiting = [pool.submit(server.send, "/v1/reports", PNG) for _ in range(3)]
        wait(lambda: server.state.in_hand == 3)
        refused = server.send("/v1/reports", PNG)
        assert refused.status == 429 and int(refused.headers["retry-after"]) >= 1
        begin = time.monotonic()
        assert server.ask("GET", "/healthz").status == server.ask("GET", "/metrics").status == 200
        assert time.monotonic() - begin < 2
        reporter.go.set()
        assert [one.result().status for one in waiting] == [200] * 3
        assert server.send("/v1/reports", PNG).status == 200


def test_a_request_that_takes_too_long_is_ended_and_its_study_is_not_written() -> None:
    reporter = Waits()
    with serving(served(reporter), seconds=0.4) as server:
        with ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(lambda _: server.send("/v1/reports", PNG), range(4)))
        assert [a.status for a in answers] == [504] * 4 and "longer than 0.4 s" in answers[0].json["error"]
        reporter.go.set()
        wait(lambda: not server.state.worker.waiting)
        assert server.send("/v1/reports", PNG).status == 200
        assert reporter.calls < 5


def test_slow_writers_get_408(tmp_path: Path) -> None:
    with serving(seconds=0.4) as server:
        head = f"POST /v1/reports HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n"
        body = "Content-Type: multipart/form-data; boundary=XX\r\nContent-Length: 500\r\n\r\n--XX"
        assert raw(server, (head + body).encode()).startswith(b"HTTP/1.1 408")
        assert raw(server, head.encode()).startswith(b"HTTP/1.1 408")
        assert raw(server, b"").startswith(b"HTTP/1.1 408")
        assert raw(server, b"nonsense\r\n\r\n").startswith(b"HTTP/1.1 400")


def test_a_fault_in_the_model_is_that_studys_alone_and_says_nothing_of_it(capfd: pytest.CaptureFixture[str]) -> None:
    class Breaks(Waits):
        def stream_reports(self, studies, settings=None, **more):  # type: ignore[no-untyped-def]
            return self.iter_reports(studies, settings)  # unguarded: an error in our own code

    reporter = Breaks()
    reporter.go.set()
    with serving(served(reporter), log=True) as server:
        answer = server.send("/v1/reports", [("images", "bad.png", picture(1))])
        assert answer.status == 500 and b"DOE" not in answer.body and b"Traceback" not in answer.body
        assert server.send("/v1/reports", [("images", "good.png", picture(1))]).status == 200
    log = capfd.readouterr().err
    assert "ValueError at " in log and "DOE" not in log


def test_the_log_is_json_and_names_no_file(capfd: pytest.CaptureFixture[str]) -> None:
    with serving(log=True) as server:
        server.send("/v1/reports", PNG)
        server.ask("GET", "/v1/DOE_JANE")
    lines = [json.loads(line) for line in capfd.readouterr().err.splitlines() if line.startswith("{")]
    assert lines[0] | {"ms": 0, "time": ""} == {
        "time": "", "route": "/v1/reports", "method": "POST", "status": 200, "ms": 0, "bytes": lines[0]["bytes"],
        "model": "tiny", "studies": 1,
    }  # fmt: skip
    assert lines[1]["route"] == "other" and "DOE" not in json.dumps(lines)


def test_metrics_count_requests_by_route() -> None:
    with serving() as server:
        server.send("/v1/reports", PNG)
        server.ask("GET", "/v1/DOE_JANE")
        text = server.ask("GET", "/metrics").body.decode()
    assert 'reportgen_requests_total{route="/v1/reports",status="200"} 1.0' in text
    assert 'reportgen_requests_total{route="other",status="404"} 1.0' in text
    assert 'reportgen_studies_total{model="tiny",outcome="report"} 1.0' in text and "DOE" not in text


def test_nothing_of_a_request_stays_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with serving(max_bytes=200_000) as server:
        assert server.send("/v1/reports", PNG).status == 200
        assert server.send("/v1/reports", [("images", "x.png", b"no image")]).status == 422
        assert server.send("/v1/reports", PNG, {"model": "none"}).status == 422
        assert server.send("/v1/reports", [("images", "x.png", b"x" * 300_000)]).status == 413
        wait(lambda: not list(tmp_path.iterdir()))


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("--host", "0.0.0.0"), "--host 0.0.0.0 lets other machines in, which needs a token: --new-token makes one"),
        (("--host", "none.invalid"), "lets other machines in"),
        (("--host", "192.0.2.1", "--new-token", "--port", "0"), "cannot listen on port 0 of 192.0.2.1"),
    ],
)
def test_what_cannot_be_served_is_one_line(rg: Rg, arguments: tuple[str, ...], why: str) -> None:
    done = rg("serve", *arguments)
    assert done.code == 1 and why in done.err and done.err.count("\n") == 1


def test_a_port_that_is_taken_is_one_line(rg: Rg) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        done = rg("serve", "--port", port)
    assert (done.code, done.err) == (1, f"rg: port {port} of 127.0.0.1 is taken; --port 0 takes a free one\n")


def test_without_the_extra_a_line_says_what_to_install(rg: Rg, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert rg("serve").err == "rg: rg serve needs fastapi: pip install 'reportgen[serve]'\n"


def test_a_token_of_the_users_is_checked(rg: Rg, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REPORTGEN_TOKEN", "short")
    assert "REPORTGEN_TOKEN has 5 characters" in rg("serve").err


@pytest.mark.slow
def test_sigterm_lets_the_requests_in_hand_finish(model: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "reportgen_cli", "serve", "--model", str(model), "--port", "0", "--device", "cpu"]
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env) as process:
        assert process.stdout is not None and process.stderr is not None
        address = process.stdout.readline()
        port = int(re.search(r"http://127.0.0.1:(\d+)/  \(", address)[1])  # type: ignore[index]
        kind, body = form(PNG, {})
        with socket.create_connection(("127.0.0.1", port), 20) as sent:
            head = f"POST /v1/reports HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
            sent.sendall(head.encode() + body[:100])
            time.sleep(0.3)  # it has begun to read
            process.send_signal(signal.SIGTERM)
            time.sleep(0.3)
            sent.sendall(body[100:])
            answer = b""
            while part := sent.recv(65536):
                answer += part
        assert answer.startswith(b"HTTP/1.1 200") and b'"study": "DOE_JANE"' in answer
        assert process.wait(20) == 0
        last = process.stderr.read().splitlines()[-1]
    assert last == "stopped; every request in hand was answered"


def test_the_threads_of_a_server_end_with_it() -> None:
    before = threading.active_count()
    with serving() as server:
        server.send("/v1/reports", PNG)
    wait(lambda: threading.active_count() <= before + 8)  # the pool of the framework stays
    assert not any(thread.name.startswith("reportgen-") for thread in threading.enumerate())
