"""The server of a reading study: what it tells, whom it refuses, and what a crash leaves."""

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from reading import reading
from reportgen_cli.study.answers import Answer, add, read_answers, undo
from reportgen_cli.study.folder import ReadingStudy
from reportgen_cli.study.serve import Server

from reportgen_core import DataError


@contextmanager
def serving(study: ReadingStudy) -> Iterator[Server]:
    with Server(study) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def ask(server: Server, path: str, row: Any = None, **headers: str) -> tuple[int, bytes, dict[str, str]]:
    """One request under the server's own address, unless `path` begins with a slash."""
    connection = HTTPConnection("127.0.0.1", server.server_port, timeout=20)
    address = path if path.startswith("/") else urlsplit(server.url).path + path
    body = row if isinstance(row, bytes) else None if row is None else json.dumps(row).encode()
    sent = ({"Content-Type": "application/json"} if row is not None else {}) | {
        k.replace("_", "-"): v for k, v in headers.items()
    }
    connection.request("GET" if row is None else "POST", address, body, sent)
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, content, dict(answer.getheaders())


def answer_of(server: Server, path: str, row: Any = None, raw: bool = False) -> Any:
    status, content, _ = ask(server, path, row)
    assert status == 200, content
    return content if raw else json.loads(content)


def test_a_reader_goes_through_all_cases_in_their_order(tmp_path: Path) -> None:
    study, _ = reading(tmp_path, count=2)
    with serving(study) as server:
        state, seen = answer_of(server, "next?reader=anna"), []
        while state["case"]:
            seen.append(state["case"]["id"])
            state = answer_of(
                server, "answer", {"reader": "anna", "case": seen[-1], "score": 3, "comment": "ähnlich", "seconds": 1.5}
            )
        assert seen == [c.id for c in study.order("anna")]
        assert (state["done"], state["total"]) == (4, 4)
        assert answer_of(server, "next?reader=ben")["done"] == 0
    assert read_answers(study.answers_of("anna"))[seen[0]] == Answer(seen[0], 3, "ähnlich", 1.5)


def test_a_new_server_goes_on_where_the_old_one_stopped(tmp_path: Path) -> None:
    study, _ = reading(tmp_path, count=2)
    first, second = (c.id for c in study.order("anna")[:2])
    with serving(study) as server:
        answer_of(server, "answer", {"reader": "anna", "case": first, "score": 5})
    with serving(study) as server:
        state = answer_of(server, "next?reader=anna")
    assert (state["case"]["id"], state["done"], state["last"]) == (second, 1, {"score": 5})


def test_undo_gives_the_last_case_again_with_what_was_said(tmp_path: Path) -> None:
    study, _ = reading(tmp_path, count=2)
    first = study.order("anna")[0].id
    with serving(study) as server:
        answer_of(server, "answer", {"reader": "anna", "case": first, "score": 5, "comment": "hm"})
        state = answer_of(server, "undo", {"reader": "anna"})
        assert (state["case"]["id"], state["taken"], state["done"]) == (first, {"score": 5, "comment": "hm"}, 0)
        assert "taken" not in answer_of(server, "undo", {"reader": "anna"})
    assert read_answers(study.answers_of("anna")) == {}


def test_nothing_that_is_served_tells_who_wrote(tmp_path: Path) -> None:
    study, key = reading(tmp_path)
    with serving(study) as server:
        pages = [ask(server, p)[1].decode() for p in ("", "study", "next?reader=anna")]
    for secret in (*key.cases.values(), ("secret-name", study.key_sha256), ("salt", "source")):
        assert not any(f'"{word}"' in page for word in secret for page in pages)


def test_the_page_may_load_nothing_from_elsewhere(tmp_path: Path) -> None:
    study, _ = reading(tmp_path, count=1)
    with serving(study) as server:
        _, page, headers = ask(server, "")
        nonces = [
            headers["Content-Security-Policy"].split("'nonce-")[1].split("'")[0]
            for headers in (headers, ask(server, "")[2])
        ]
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert b"http" not in page.replace(b"http-equiv", b"").replace(b"http://www.w3.org/2000/svg", b"")
    assert nonces[0] != nonces[1]
    assert nonces[0].encode() in page


def test_it_listens_on_this_machine_only(tmp_path: Path) -> None:
    study, _ = reading(tmp_path, count=1)
    with serving(study) as server:
        assert server.server_address[0] == "127.0.0.1"
        assert ask(server, "", Host="evil.example")[0] == 403


@pytest.mark.parametrize("path", ["/", "/study", "/wrong/study", "//study", "/wrong"])
def test_without_the_token_there_is_nothing(tmp_path: Path, path: str) -> None:
    study, _ = reading(tmp_path, count=1)
    with serving(study) as server:
        assert ask(server, path)[0] == 404


@pytest.mark.parametrize(
    "name", ["../study.json", "..%2f..%2freading.key.json", "study.json", "c0001-9.png", "", "%00"]
)
def test_only_images_of_the_study_are_served(tmp_path: Path, name: str) -> None:
    study, _ = reading(tmp_path, count=1)
    with serving(study) as server:
        assert ask(server, f"image/{name}")[0] == 404
        assert ask(server, "image/c0001-0.png")[1].startswith(b"\x89PNG")


@pytest.mark.parametrize(
    "row",
    [
        {"reader": "anna", "case": "c0001", "score": 6},
        {"reader": "anna", "case": "c0001", "score": "5"},
        {"reader": "anna", "case": "c0001", "score": True},
        {"reader": "anna", "case": "c9999", "score": 5},
        {"reader": "anna", "case": ["c0001"], "score": 5},
        {"reader": "../anna", "case": "c0001", "score": 5},
        {"reader": "", "case": "c0001", "score": 5},
        {"case": "c0001", "score": 5},
        {"reader": "anna", "case": "c0001", "score": 5, "comment": 3},
        {"reader": ["anna"], "case": "c0001", "score": 5},
        {"reader": "\ud800", "case": "c0001", "score": 5},
        {"reader": "anna", "case": "\ud800", "score": 5},
        {"reader": "anna", "case": "c0001", "score": 5, "comment": "\ud800"},
        {"reader": "anna", "case": "c0001", "score": 5, "comment": "a\udfff"},
        {"reader": "anna", "case": "c0001", "score": 5, "seconds": True},
        {"reader": "anna", "case": "c0001", "score": 5, "seconds": -1},
        {"reader": "anna", "case": "c0001", "score": 5, "seconds": 10**400},
        {"reader": "anna", "case": "c0001", "score": 10**400},
        {"reader": "anna", "case": "c0001", "score": 5.0},
        {"reader": "anna", "case": "c0001", "score": float("nan")},
        {"reader": "anna", "case": "c0001", "score": 5, "seconds": float("nan")},
        {"reader": "anna", "case": "c0001", "score": 5, "seconds": float("inf")},
        {"reader": "anna", "case": "c0001", "score": 5, "more": float("-inf")},
        b'{"reader": "anna", "case": "c0001", "score": 5, "seconds": 1e999}',
        b'{"reader": "anna", "case": "c0001", "score": ' + b"5" * 5000 + b"}",
        b'{"reader": "anna", "case": "c0001", "score": 5, "seconds": ' + b"9" * 400 + b"}",
        b'{"reader": "anna", "case": "c0001", "score": 5, "comment": "\xff"}',
        b'{"reader": "anna", "case": "c0001", "score": 5}'.decode().encode("utf-16"),
        b"[" * 60000,
        b'{"a":' * 10000 + b"1" + b"}" * 10000,
        b'{"reader": "anna", "case": ' + b"[" * 30000 + b"]" * 30000 + b', "score": 5}',
        b"",
        [1],
        b"{",
    ],
    ids=lambda row: ascii(row)[:60],
)
def test_an_answer_that_makes_no_sense_is_refused_and_not_kept(
    tmp_path: Path, row: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    study, _ = reading(tmp_path, count=1)
    with serving(study) as server:
        assert ask(server, "answer", row)[0] == 400
        assert ask(server, "undo", row)[0] in (200, 400)
        assert answer_of(server, "study")["total"] == 2
    assert study.readers() == []
    assert capfd.readouterr().err == ""


def test_a_form_of_another_page_cannot_answer(tmp_path: Path) -> None:
    study, _ = reading(tmp_path, count=1)
    row = {"reader": "anna", "case": "c0001", "score": 5}
    with serving(study) as server:
        assert ask(server, "answer", row, Content_Type="text/plain")[0] == 415
        assert ask(server, "answer", b" " * 70000)[0] == 413


def test_a_disk_that_fails_is_told_to_the_page(tmp_path: Path) -> None:
    study, _ = reading(tmp_path, count=1)
    (study.root / "answers").rmdir()
    (study.root / "answers").write_text("in the way")
    with serving(study) as server:
        assert ask(server, "answer", {"reader": "anna", "case": "c0001", "score": 5})[0] == 500


def test_a_line_cut_off_by_a_crash_does_not_spoil_the_next(tmp_path: Path) -> None:
    log = tmp_path / "anna.jsonl"
    add(log, Answer("c1", 4))
    with log.open("ab") as file:
        file.write(b'{"case": "c2", "sco')
    assert list(read_answers(log)) == ["c1"]
    add(log, Answer("c3", 2))
    assert {c: a.score for c, a in read_answers(log).items()} == {"c1": 4, "c3": 2}


def test_an_answer_is_on_the_disk_when_it_is_accepted(tmp_path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path; from reportgen_cli.study.answers import Answer, add\n"
        "add(Path(sys.argv[1]), Answer('c1', 4)); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "a.jsonl")], check=False)
    assert read_answers(tmp_path / "a.jsonl")["c1"].score == 4


def test_a_later_answer_replaces_and_undo_takes_back_in_turn(tmp_path: Path) -> None:
    log = tmp_path / "anna.jsonl"
    assert undo(log) is None
    for case, value in (("c1", 1), ("c2", 2), ("c1", 3)):
        add(log, Answer(case, value))
    assert {c: a.score for c, a in read_answers(log).items()} == {"c2": 2, "c1": 3}
    assert [undo(log), undo(log), undo(log)] == ["c1", "c2", None]


def test_a_damaged_line_is_named(tmp_path: Path) -> None:
    log = tmp_path / "anna.jsonl"
    log.write_text('{"case": "c1"}\n')
    with pytest.raises(DataError, match=r"anna\.jsonl: line 1"):
        read_answers(log)


def test_two_readers_at_once_do_not_mix(tmp_path: Path) -> None:
    study, _ = reading(tmp_path)
    cases = list(study.cases)
    with serving(study) as server:

        def read(name: str, value: int) -> None:
            for case in cases:
                answer_of(server, "answer", {"reader": name, "case": case, "score": value})

        threads = [threading.Thread(target=read, args=pair) for pair in (("anna", 1), ("ben", 5))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert {a.score for a in read_answers(study.answers_of("anna")).values()} == {1}
    assert len(read_answers(study.answers_of("ben"))) == len(cases)


def test_a_silent_caller_does_not_hold_up_the_others(tmp_path: Path) -> None:
    study, _ = reading(tmp_path, count=1)
    with serving(study) as server, socket.create_connection(("127.0.0.1", server.server_port)):
        assert answer_of(server, "study")["total"] == 2


def test_a_program_that_is_killed_leaves_every_answer_to_the_next(tmp_path: Path) -> None:
    study, _ = reading(tmp_path, count=2)
    command = [sys.executable, "-m", "reportgen_cli", "study", "serve", str(study.root)]
    for done in (0, 1):
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout
            url = urlsplit(process.stdout.readline().split()[0])
            connection = HTTPConnection(url.netloc, timeout=20)
            connection.request("GET", url.path + "next?reader=anna")
            state = json.loads(connection.getresponse().read())
            row = {"reader": "anna", "case": state["case"]["id"], "score": 4}
            connection.request("POST", url.path + "answer", json.dumps(row), {"Content-Type": "application/json"})
            assert connection.getresponse().status == 200
            process.kill()
        assert state["done"] == done
    assert len(read_answers(study.answers_of("anna"))) == 2


@pytest.mark.parametrize("length", ["9" * 5000, "-1", "1e3", "", "70000", "٣" * 20])
def test_a_length_that_is_no_small_number_is_refused(tmp_path: Path, length: str) -> None:
    study, _ = reading(tmp_path, count=1)
    with serving(study) as server, socket.create_connection(("127.0.0.1", server.server_port)) as connection:
        head = f"POST {urlsplit(server.url).path}answer HTTP/1.1\r\nHost: 127.0.0.1:{server.server_port}\r\n"
        lines = f"Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
        connection.sendall((head + lines).encode())
        assert b" 413 " in connection.makefile("rb").readline()


def test_twenty_readers_at_once_are_served_and_every_answer_is_on_the_disk(tmp_path: Path) -> None:
    study, _ = reading(tmp_path, count=3)
    readers = [f"reader{i}" for i in range(20)]
    begin = threading.Barrier(len(readers))
    failed: list[str] = []
    with serving(study) as server:

        def read(name: str) -> None:
            try:
                begin.wait(timeout=20)
                state = answer_of(server, f"next?reader={name}")
                while state["case"]:
                    answer_of(server, f"image/{state['case']['images'][0]}", raw=True)
                    state = answer_of(server, "answer", {"reader": name, "case": state["case"]["id"], "score": 3})
            except Exception as e:
                failed.append(f"{name}: {e!r}")

        threads = [threading.Thread(target=read, args=(name,)) for name in readers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert failed == []
    assert study.readers() == sorted(readers)
    assert {len(read_answers(study.answers_of(name))) for name in readers} == {len(study.cases)}


def test_connections_that_wait_are_not_refused(tmp_path: Path) -> None:
    study, _ = reading(tmp_path, count=1)
    with Server(study) as server:  # nobody accepts yet
        waiting = [socket.create_connection(("127.0.0.1", server.server_port), timeout=5) for _ in range(60)]
        for connection in waiting:
            connection.close()


def test_a_reader_who_closes_the_page_leaves_no_traceback(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    study, _ = reading(tmp_path, count=1)
    with Server(study) as server:
        for error in (BrokenPipeError(), ConnectionResetError(), TimeoutError()):
            try:
                raise error
            except OSError:
                server.handle_error(None, ("127.0.0.1", 1))
        assert capfd.readouterr().err == ""


@pytest.mark.parametrize("line", ["[" * 30000, '{"case": "c1", "score": 1e999, "comment": "", "seconds": 0}'])
def test_a_line_that_python_cannot_take_is_named(tmp_path: Path, line: str) -> None:
    log = tmp_path / "anna.jsonl"
    log.write_text(line + "\n")
    with pytest.raises(DataError, match=r"anna\.jsonl: line 1"):
        read_answers(log)


def test_a_reader_sees_their_own_scores_and_can_change_each(tmp_path: Path) -> None:
    study, _ = reading(tmp_path, count=2)
    first, second = (c.id for c in study.order("anna")[:2])
    with serving(study) as server:
        answer_of(server, "answer", {"reader": "anna", "case": first, "score": 5, "comment": "sure"})
        answer_of(server, "answer", {"reader": "anna", "case": second, "score": 2})
        assert answer_of(server, "scores?reader=anna") == [
            {"case": first, "number": 1, "score": 5, "comment": "sure"},
            {"case": second, "number": 2, "score": 2, "comment": ""},
        ]
        assert answer_of(server, "scores?reader=ben") == []
        again = answer_of(server, f"again?reader=anna&case={first}")
        assert (again["case"]["id"], again["taken"], again["done"]) == (first, {"score": 5, "comment": "sure"}, 2)
        answer_of(server, "answer", {"reader": "anna", "case": first, "score": 3})
        assert ask(server, f"again?reader=ben&case={first}")[0] == 400, "a case that this reader has not answered"
    assert {k: a.score for k, a in read_answers(study.answers_of("anna")).items()} == {first: 3, second: 2}


def test_the_expected_time_is_the_median_of_the_answers(tmp_path: Path) -> None:
    study, _ = reading(tmp_path, count=2)
    cases = [c.id for c in study.order("anna")]
    with serving(study) as server:
        assert answer_of(server, "study")["measured"] is False
        for case, seconds in zip(cases, (10, 20, 90), strict=False):
            answer_of(server, "answer", {"reader": "anna", "case": case, "score": 3, "seconds": seconds})
        facts = answer_of(server, "study")
    assert (facts["seconds"], facts["measured"], facts["total"]) == (20, True, 4)


def test_the_practice_case_is_served_and_is_no_case_of_the_study(tmp_path: Path) -> None:
    study, _ = reading(tmp_path, count=1)
    with serving(study) as server:
        practice = answer_of(server, "study")["practice"]
        status, image, headers = ask(server, f"image/{practice['images'][0]}")
        assert (status, headers["Content-Type"]) == (200, "image/jpeg") and image.startswith(b"\xff\xd8")
        assert ask(server, "answer", {"reader": "anna", "case": practice["id"], "score": 3})[0] == 400
    assert study.readers() == []


def test_answers_of_earlier_releases_stay_readable(tmp_path: Path) -> None:
    study, _ = reading(tmp_path, count=1)
    first, second = (c.id for c in study.order("anna"))
    study.answers_of("anna").write_text(
        f'{{"case": "{first}", "score": 4, "comment": "", "seconds": 3.1, "time": 1700000000.0}}\n'
        f'{{"case": "{second}", "score": 1, "comment": "", "seconds": 2.0, "time": 1700000001.0}}\n'
        f'{{"undo": "{second}", "time": 1700000002.0}}\n'
    )
    with serving(study) as server:
        assert answer_of(server, "next?reader=anna")["case"]["id"] == second
        assert [row["score"] for row in answer_of(server, "scores?reader=anna")] == [4]
