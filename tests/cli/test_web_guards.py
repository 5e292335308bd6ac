"""Who may send a request to our servers: hosts, origins, tokens, JSON bodies."""

from http import HTTPStatus

import pytest
from reportgen_cli.web.bodies import Refused, is_text, json_object, short
from reportgen_cli.web.guards import is_local, local_hosts, new_token, own_origin, same_token
from reportgen_cli.web.secure_page import secure_page

HOSTS = {"127.0.0.1:8000", "localhost:8000"}


@pytest.mark.parametrize(
    ("origin", "site", "own"),
    [
        (None, None, True),  # a program
        (None, "same-origin", True),
        (None, "none", True),  # typed into the address bar
        (None, "cross-site", False),
        (None, "same-site", False),  # another port of this machine
        ("http://127.0.0.1:8000", "same-origin", True),
        ("http://localhost:8000", None, True),
        ("http://localhost:9000", "same-site", False),
        ("http://evil.example", "cross-site", False),
        ("null", None, False),
        ("file://127.0.0.1:8000", None, False),
        ("", None, False),
    ],
)
def test_requests_come_from_own_pages_or_from_programs(origin: str | None, site: str | None, own: bool) -> None:
    assert own_origin(origin, site, HOSTS) is own


@pytest.mark.parametrize(
    ("host", "local"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("::", False),
     ("192.168.1.5", False), ("pacs.example", False), ("localhost.example", False)],
)  # fmt: skip
def test_addresses_of_this_machine_are_known(host: str, local: bool) -> None:
    assert is_local(host) is local


def test_hosts_have_the_port_unless_it_is_80() -> None:
    assert local_hosts(8000) == {"127.0.0.1:8000", "localhost:8000", "[::1]:8000"}
    assert "localhost" in local_hosts(80)


def test_tokens_differ_and_are_compared_whole() -> None:
    token = new_token()
    assert len(token) >= 22 and token != new_token()
    assert same_token(token, token)
    assert not same_token(token[:-1], token) and not same_token("é\ud800", token)


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{", b'{"a": NaN}', b"\xff", b"[" * 100_000, b'{"a": ' + b"9" * 9999 + b"}"]
)
def test_a_body_that_is_no_json_object_is_refused(body: bytes) -> None:
    with pytest.raises(Refused) as refused:
        json_object(body)
    assert refused.value.status == HTTPStatus.BAD_REQUEST


def test_texts_and_values_of_requests() -> None:
    assert is_text("ähnlich 日本") and not is_text("\ud83d")
    assert short("x" * 500).count("x") < 110 and short([1]) == "a list"


def test_a_page_runs_its_own_script_alone() -> None:
    html, policy = secure_page("<title>t</title><style></style><script></script><script id='data'></script>", "abc")
    assert html.count('nonce="abc"') == 2
    assert "default-src 'none'" in policy and "unsafe" not in policy and "script-src 'nonce-abc'" in policy
