"""Silent hosts, dead sources, broken records: the rest is used, nobody waits long, and a message names the fault."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from reportgen_zoo.manifest.addresses import ZooError
from reportgen_zoo.manifest.models import Models, RawRecord
from reportgen_zoo.manifest.records import Record
from reportgen_zoo.manifest.schema import plain
from reportgen_zoo.pull import asking, cache, fetch
from reportgen_zoo.pull import catalogue as manifests
from zoo_server import Shelf, record_of, serve

from reportgen_core import UnknownName, load
from reportgen_core.testing.parts import tiny_model

GOOD = plain(record_of({"config.json": b"{}"}, "https://example.org/m", name="good.v1"))


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "PATIENCE", 0.3)
    monkeypatch.setattr(asking, "TELL_AFTER", 0.05)


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of a host that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def dead() -> str:
    """The address of a host that refuses every connection."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"http://127.0.0.1:{server.getsockname()[1]}"


def named(monkeypatch: pytest.MonkeyPatch, *places: object) -> None:
    monkeypatch.setenv("REPORTGEN_MANIFESTS", ",".join(map(str, places)))


def text_of(*records: object) -> str:
    return json.dumps({"format": 1, "models": list(records)})


WRONG: list[Any] = [
    3, None, "x", [], {}, {"name": 3}, {"name": "bad.v1"}, {"name": "../bad"},
    *(GOOD | {"name": "bad.v1", key: value} for key in GOOD if key != "name" for value in (None, 7, True, 1e300, "x", [1], [[]], {"a": [[1]]})),
    GOOD | {"name": "bad.v1", "files": [{"path": "a.json", "bytes": 10**400, "sha256": "0" * 64}]},
    GOOD | {"name": "bad.v1", "image": {"height": [[1]]}},
    GOOD | {"name": "bad.v1", "sources": ["http://[::1/x"]},
    GOOD | {"name": "bad.v1", "sources": ["https:///x"]},
]  # fmt: skip


def test_one_broken_record_leaves_the_others_in_every_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number, wrong in enumerate(WRONG):
        place = tmp_path / f"{number}.json"
        place.write_text(text_of(wrong, GOOD))
        named(monkeypatch, place)
        manifests._catalogue.cache_clear()
        listed = manifests.catalogue()
        assert "good.v1" in listed.models, wrong
        fetch.present_names(listed.models)
        for name in listed.models:
            listed.models.brief(name)
            listed.models.text(name)
        good = [record.name for name in listed.models if (record := listed.models.find(name)) is not None]
        assert "good.v1" in good, wrong
        bad = "bad.v1" in good  # a value that is right for its key, as a text for the summary
        assert bad or listed.problems or listed.models.faults, wrong


def test_a_broken_record_does_not_hold_its_name() -> None:
    models = Models()
    models.add(RawRecord(GOOD | {"files": [{"path": "a.py", "bytes": 1, "sha256": "0" * 64}]}, 0, "first.json", None))
    models.add(RawRecord(GOOD, 0, "second.json", None))
    assert models.origin("good.v1") == "second.json"
    assert models.find("good.v1") is not None


def test_many_broken_records_are_a_few_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "m.json").write_text(text_of(*({"name": 3} for _ in range(500)), GOOD))
    named(monkeypatch, tmp_path / "m.json")
    assert len(manifests.catalogue().problems) == 6
    assert "495 more records are left out" in manifests.catalogue().problems[-1]


def test_a_folder_and_our_own_models_need_no_manifest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, silent: str
) -> None:
    named(monkeypatch, f"{silent}/manifest.json")
    monkeypatch.setattr(asking, "ask_all", None)
    monkeypatch.setattr(manifests, "ask_all", None)  # whoever asks the network fails
    load(tiny_model().save(tmp_path / "model"))
    own = manifests.builtin().models[0].name
    assert manifests.find_record(own) is not None
    assert manifests.origin(own) == manifests.OURS
    assert manifests.find_record("no/name") is None
    with pytest.raises(UnknownName, match="no model or model folder"):
        load(tmp_path / "none")


def test_silent_hosts_cost_their_time_once_and_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], silent: str
) -> None:
    (tmp_path / "m.json").write_text(text_of(GOOD))
    named(monkeypatch, *(f"{silent}/{n}/manifest.json" for n in range(20)), tmp_path / "m.json")
    started = time.monotonic()
    listed = manifests.catalogue()
    assert time.monotonic() - started < 20 * asking.PATIENCE / 2
    assert "good.v1" in listed.models
    assert len(listed.problems) == 20
    assert "no answer in 0.3 seconds" in listed.problems[0]
    told = capsys.readouterr().err
    assert told == f"waiting for {silent}/0/manifest.json and 19 more, at most 0.3 seconds\n"


def test_a_manifest_that_drips_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def drip() -> None:
            connection, _ = server.accept()
            with connection:
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
                try:
                    for _ in range(2000):
                        connection.sendall(b" ")
                        time.sleep(0.01)
                except OSError:
                    return

        threading.Thread(target=drip, daemon=True).start()
        named(monkeypatch, f"http://127.0.0.1:{server.getsockname()[1]}/manifest.json")
        started = time.monotonic()
        assert "no answer in" in manifests.catalogue().problems[0]
        assert time.monotonic() - started < 5


def test_a_large_manifest_that_gets_on_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each part is STEP bytes and comes after more than half of the time that a silent host has."""
    body = (text_of(GOOD) + " " * 4 * asking.STEP).encode()
    answers: list[bytes] = []

    def read(arrived: asking.Arrived) -> bytes:
        for start in range(0, len(body), asking.STEP):
            time.sleep(0.2)
            answers.append(body[start : start + asking.STEP])
            arrived(len(answers[-1]))
        return b"".join(answers)

    assert asking.ask_all({"m": read}) == {"m": body}


def test_ten_thousand_manifests_are_not_all_asked(monkeypatch: pytest.MonkeyPatch, dead: str) -> None:
    asked: list[int] = []

    def ask(readers: Any) -> dict[str, Exception]:
        asked.append(len(readers))
        return dict.fromkeys(readers, OSError("refused"))

    monkeypatch.setattr(manifests, "ask_all", ask)
    named(monkeypatch, *(f"{dead}/{n}.json" for n in range(10_000)))
    problems = manifests.catalogue().problems
    assert asked == [manifests.MAX_REMOTE]
    assert "10000 manifests of the network are named, and only the first 32 are read" in problems


@pytest.mark.parametrize("many", [20, 10_000])
def test_many_dead_sources_end_soon_and_in_a_short_line(dead: str, many: int) -> None:
    record = record_of({"config.json": b"{}"}, *(f"{dead}/{n}" for n in range(many)))
    started = time.monotonic()
    with pytest.raises(
        ZooError, match=rf"Connection refused.*{many - fetch.MAX_SOURCES} further sources were not"
    ) as e:
        fetch.pull(record)
    assert time.monotonic() - started < 5
    assert len(str(e.value)) < 1000
    assert "\n" not in str(e.value)


def test_silent_sources_are_asked_at_the_same_time(silent: str) -> None:
    files = {"config.json": b"{}", "model.safetensors": b"x" * 1000}
    with serve(Shelf({f"/m/{path}": body for path, body in files.items()})) as served:
        sources = [*(f"{silent}/{n}" for n in range(fetch.MAX_SOURCES - 1)), f"{served.url}/m"]
        started = time.monotonic()
        folder = fetch.pull(record_of(files, *sources))
        assert time.monotonic() - started < 5 * asking.PATIENCE
    assert (folder / "config.json").read_bytes() == b"{}"


def test_two_sources_that_are_in_trouble_for_a_moment_are_asked_again() -> None:
    with serve(Shelf({"/m/config.json": b"{}"}, errors=[503, 503, 503])) as served:
        folder = fetch.pull(record_of({"config.json": b"{}"}, f"{served.url}/none", f"{served.url}/m"))
    assert (folder / "config.json").read_bytes() == b"{}"


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://h/x", "//[::1/x", "https://u:p@h/x", "http://h:x/y"])
def test_a_refused_redirect_is_not_tried_again(target: str) -> None:
    with serve(Shelf({}, redirects={"/m/config.json": target})) as served:
        with pytest.raises(ZooError, match=r"refused|not used|no address|nonnumeric|not allowed") as e:
            fetch.pull(record_of({"config.json": b"{}"}, f"{served.url}/m"))
        assert len(served.asked) == 1
    assert "u:p" not in str(e.value)


@pytest.mark.parametrize("code", [400, 401, 403, 404, 405, 410, 451])
def test_an_answer_that_stays_the_same_is_not_asked_for_again(code: int) -> None:
    with serve(Shelf({}, errors=[code] * 9)) as served:
        with pytest.raises(ZooError, match=str(code)):
            fetch.pull(record_of({"config.json": b"{}"}, f"{served.url}/m"))
        assert len(served.asked) == 1


@pytest.mark.parametrize("code", [401, 403])
def test_a_refusal_speaks_of_a_token(monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    with serve(Shelf({}, errors=[code] * 9)) as served:
        with pytest.raises(ZooError, match=f"{code}.*wants a token"):
            fetch.pull(record_of({"config.json": b"{}"}, f"{served.url}/m"))
        named(monkeypatch, f"{served.url}/manifest.json")
        assert "wants a token" in manifests.catalogue().problems[0]
        monkeypatch.setenv("HF_ENDPOINT", served.url)
        with pytest.raises(ZooError, match=f"{code}.*set HF_TOKEN where hf://o/r is private"):
            fetch.pull(record_of({"config.json": b"{}"}, "hf://o/r"))


PASSWORDS = [
    "https://user:secret@h/m", "https://:secret@h/m", "https://secret@h/m", "https://user:secret%40x@h:8443/m",
    "HTTPS://user:secret@h/m", "file://user:secret@h/m", "ftp://user:secret@h/m", "hf://user:secret@o/r",
    "https://user:sec:secret@@h/m", "http://user:secret@[::1]/m",
]  # fmt: skip


@pytest.mark.parametrize("source", PASSWORDS)
def test_an_address_with_a_password_is_refused_and_never_written_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    bad = GOOD | {"name": "bad.v1", "sources": [source]}
    with serve(Shelf({"/m.json": text_of(bad, GOOD).encode()})) as served:
        named(monkeypatch, f"{served.url}/m.json", f"{source}/manifest.json")
        listed = manifests.catalogue()
    assert listed.models.find("bad.v1") is None
    messages = [*listed.problems, *listed.models.faults.values()]
    assert any("bad.v1" in message for message in messages)
    assert any("/manifest.json has a user or a password in it" in message for message in listed.problems)
    for refused in ((source,), ("https://h/m", source)):
        with pytest.raises(ZooError, match="has a user or a password in it") as e:
            fetch.pull(record_of({"config.json": b"{}"}, *refused))
        messages.append(str(e.value))
    monkeypatch.setenv("REPORTGEN_MIRROR", source)
    with pytest.raises(ZooError, match="has a user or a password in it") as e:
        fetch.pull(record_of({"config.json": b"{}"}, "https://h/m"))
    messages.append(str(e.value))
    assert not any("secret" in message for message in messages), messages
    written = [path for path in cache.folder().rglob("*") if path.is_file() and b"secret" in path.read_bytes()]
    assert not written


def test_a_password_in_a_wrong_place_is_not_printed() -> None:
    text = text_of(GOOD | {"sources": "https://user:secret@h/m"})
    with pytest.raises(Exception, match="wants a list") as e:
        manifests.read_manifest(text, "m")
    assert "secret" not in str(e.value)


@pytest.mark.parametrize(
    "source", ["https://user:se/cret@h", "https://user:sec?ret@h/m", "https://[secret@h", "https:/u:secret@h"]
)
def test_a_password_in_what_is_no_address_is_not_printed(source: str) -> None:
    with pytest.raises(ZooError, match=r"is no address|has a user or a password") as e:
        fetch.pull(record_of({"config.json": b"{}"}, source))
    assert not any(part in str(e.value) for part in ("secret", "cret@"))


def test_an_at_sign_in_a_path_is_no_password() -> None:
    record = record_of({"config.json": b"{}"}, "https://h/a@b//c@d", "hf://o/r@v1/x", "/srv/a@b", "models/a@b")
    assert manifests.read_manifest(text_of(plain(record)), "m").models == (record,)


@pytest.mark.parametrize("key", ["name", "sources", "licence"])
def test_a_doubled_key_is_refused(key: str) -> None:
    text = text_of(GOOD).replace(f'"{key}":', f'"{key}": "other", "{key}":')
    with pytest.raises(Exception, match=f"the key '{key}' occurs twice"):
        manifests.read_manifest(text, "m")


def test_a_manifest_of_format_true_is_refused() -> None:
    for value in (True, 1.0, "1", [1]):
        with pytest.raises(ZooError, match="manifest of format"):
            manifests.read_manifest(json.dumps({"format": value, "models": []}), "m")


def test_the_record_of_a_plugin_is_checked_before_a_pull(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("")
    with pytest.raises(ZooError, match=r"sitecustomize.py.*a model has files with the suffixes"):
        fetch.pull(record_of({"sitecustomize.py": b""}, str(tmp_path)))
    bad = Record("bad.v1", "s", "l", (), (str(tmp_path),))
    with pytest.raises(ZooError, match="has no files"):
        fetch.pull(bad)
