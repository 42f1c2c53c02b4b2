"""Which names a caller may use for this server, and which pages may call it."""

from __future__ import annotations

import pytest

from server_beta.domain.errors import Forbidden
from server_beta.http.origins import OriginRule

LOOPBACK = OriginRule.for_bind("127.0.0.1")
PROXIED = OriginRule.for_bind("127.0.0.1", ("Mem.Example.org", "other.example:8443"))
OPEN = OriginRule.for_bind("0.0.0.0")
NAMED = OriginRule.for_bind("0.0.0.0", ("mem.example.org",))

REBOUND = (
    "",
    "evil.example",
    "localhost.evil.example",
    "127.0.0.1.evil.example:37877",
    "localhost@evil.example",
    "evil.example@localhost",
    "localhost/x",
    "localhost:port",
    "localhost:99999",
    "localhost evil.example",
    "localhost,evil.example",
    "[::1",
    "::1",
    "127.0.0.1#",
    "127.0.0.1?",
    "127.1",
    "2130706433",
    "0x7f000001",
    "localhost..",
    ".",
    "mem.example.org.evil.example",
    "xmem.example.org",
)


@pytest.mark.parametrize("rule", [LOOPBACK, PROXIED], ids=["loopback", "proxied"])
@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "localhost.",
        "LocalHost:37877",
        "127.0.0.1",
        "127.0.0.1:1",
        "127.8.8.8:37877",
        "[::1]:37877",
        "[::ffff:127.0.0.1]",
        "[0:0:0:0:0:0:0:1]",
    ],
)
def test_a_loopback_name_is_let_in(rule: OriginRule, host: str) -> None:
    rule.check({"Host": host})
    rule.check({"Host": host, "Origin": f"http://{host}"})
    rule.check({"Host": host, "Origin": f"HTTPS://{host.upper()}"})


@pytest.mark.parametrize("rule", [LOOPBACK, PROXIED, NAMED], ids=["loopback", "proxied", "named"])
@pytest.mark.parametrize("host", REBOUND)
def test_any_other_name_is_refused(rule: OriginRule, host: str) -> None:
    with pytest.raises(Forbidden):
        rule.check({"Host": host})


@pytest.mark.parametrize("host", ["192.168.1.1", "0.0.0.0", "[::]", "[fe80::1]"])
def test_an_address_that_is_not_bound_is_refused_on_the_loopback(host: str) -> None:
    with pytest.raises(Forbidden):
        LOOPBACK.check({"Host": host})
    # No page can rebind an address, and who binds all of them answers to all of them.
    NAMED.check({"Host": host})


def test_an_operator_is_told_how_to_let_a_name_in() -> None:
    with pytest.raises(Forbidden, match="set CLAUDE_MEM_PUBLIC_HOSTS to the name"):
        LOOPBACK.check({"Host": "mem.example.org"})


def test_a_caller_that_names_no_host_is_refused() -> None:
    with pytest.raises(Forbidden):
        LOOPBACK.check({})


@pytest.mark.parametrize("host", ["mem.example.org", "MEM.example.ORG.", "mem.example.org:37877", "other.example:8443"])
def test_a_public_name_is_let_in_behind_a_proxy(host: str) -> None:
    PROXIED.check({"Host": host})
    PROXIED.check({"Host": host, "Origin": f"https://{host}"})
    with pytest.raises(Forbidden):
        LOOPBACK.check({"Host": host})


@pytest.mark.parametrize("host", ["other.example", "other.example:443"])
def test_a_public_name_with_a_port_is_that_port_s(host: str) -> None:
    with pytest.raises(Forbidden):
        PROXIED.check({"Host": host})


@pytest.mark.parametrize(
    "origin",
    [
        "null",
        "",
        "http://evil.example",
        "http://127.0.0.1:3000",
        "https://127.0.0.1",
        "http://127.0.0.1",
        "http://localhost:37877",
        "http://127.0.0.1:37877/",
        "http://127.0.0.1:37877 http://evil.example",
        "http://evil.example@127.0.0.1:37877",
        "http://mem.example.org:8080",
        "chrome-extension://127.0.0.1:37877",
        "ftp://127.0.0.1:37877",
        "127.0.0.1:37877",
        "file://",
    ],
)
@pytest.mark.parametrize("rule", [LOOPBACK, PROXIED], ids=["loopback", "proxied"])
def test_a_page_of_another_origin_is_refused(rule: OriginRule, origin: str) -> None:
    with pytest.raises(Forbidden):
        rule.check({"Host": "127.0.0.1:37877", "Origin": origin})


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("127.0.0.1", "http://127.0.0.1:80"),
        ("127.0.0.1:443", "https://127.0.0.1"),
        # A proxy that sets a Host of its own leaves the page's name in the Origin.
        ("127.0.0.1:37877", "https://mem.example.org"),
        ("127.0.0.1:37877", "https://other.example:8443"),
    ],
)
def test_a_page_of_ours_is_let_in(host: str, origin: str) -> None:
    PROXIED.check({"Host": host, "Origin": origin})


@pytest.mark.parametrize("target", ["http://evil.example/healthz", "https://evil.example", "evil.example:443", "*x"])
def test_a_target_that_names_another_host_is_refused(target: str) -> None:
    with pytest.raises(Forbidden):
        LOOPBACK.check({"Host": "127.0.0.1"}, target)


@pytest.mark.parametrize(
    "target", ["http://127.0.0.1:37877/healthz?x", "http://localhost", "/x", "//evil.example", "*"]
)
def test_a_target_that_names_us_or_nobody_is_let_in(target: str) -> None:
    LOOPBACK.check({"Host": "127.0.0.1"}, target)


@pytest.mark.parametrize(
    ("host", "loopback_only"),
    [
        ("127.0.0.1", True),
        ("127.0.0.2", True),
        ("localhost", True),
        ("::1", True),
        ("0.0.0.0", False),
        ("::", False),
        ("10.0.0.5", False),
    ],
)
def test_a_bind_decides_whether_names_matter(host: str, loopback_only: bool) -> None:
    assert OriginRule.for_bind(host).loopback_only == loopback_only


def test_a_bind_that_others_reach_answers_to_every_name_until_they_are_given() -> None:
    OPEN.check({"Host": "mem.example", "Origin": "https://else.example"}, "http://else.example/x")
    OPEN.check({})
    NAMED.check({"Host": "mem.example.org", "Origin": "https://mem.example.org"})
    with pytest.raises(Forbidden):
        NAMED.check({"Host": "mem.example.org", "Origin": "https://else.example"})
