"""Who may talk to this server by which name: a web page that rebinds its DNS name to our address may not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from typing import Self
from urllib.parse import urlsplit

from ..domain.errors import Forbidden

_PROXY_HEADERS = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-IP", "Via")
_FOREIGN_HOST = (
    "This server does not answer under that name; call it as http://127.0.0.1, or set CLAUDE_MEM_PUBLIC_HOSTS "
    "to the name under which clients call it."
)
_FOREIGN_ORIGIN = "Web pages of another origin may not call this server."
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Authority:
    """A name in lower case and without the final dot, and the port when one is given."""

    name: str
    port: int | None

    @classmethod
    @lru_cache(maxsize=1024)
    def parse(cls, text: str) -> Self | None:
        """Read `name`, `name:port`, `address` or `[address]:port`; None for anything else."""
        try:
            parts = urlsplit(f"//{text}")
            name, port = parts.hostname, parts.port
        except ValueError:
            return None
        if not name or parts.netloc != text or "@" in text:
            return None
        return cls(name.removesuffix("."), port)

    def is_named_by(self, other: Authority, scheme: str) -> bool:
        """Whether a page of `scheme://other` is a page of this name; a port that is left out is the scheme's own."""
        default = _DEFAULT_PORTS[scheme]
        return self.name == other.name and (self.port or default) == (other.port or default)


@dataclass(frozen=True, slots=True)
class OriginRule:
    """Which Host and Origin headers are let in.

    A loopback bind answers to the loopback's names and addresses, and to the public names. A bind that others can
    reach answers to every name, because nobody knows which they use, unless public names are given: then to those and
    to addresses, which no page can rebind.
    """

    loopback_only: bool
    public: frozenset[Authority] = frozenset()

    @classmethod
    def for_bind(cls, host: str, public_hosts: Iterable[str] = ()) -> Self:
        """Make the rule of the address that the server is bound to."""
        public = frozenset(name for text in public_hosts if (name := Authority.parse(text)) is not None)
        return cls(host.lower() == "localhost" or is_loopback(host), public)

    def check(self, headers: Mapping[str, str], target: str = "/") -> None:
        """Raise Forbidden when the Host is no name of ours, or the Origin is not that of the Host.

        A target that names a host itself has to name ours, too: proxies go by the one or by the other.
        """
        if not self.loopback_only and not self.public:
            return
        host = Authority.parse(headers.get("Host", ""))
        if host is None or not self._is_ours(host):
            raise Forbidden(_FOREIGN_HOST)
        if not target.startswith("/") and target != "*":
            named = Authority.parse(_authority_of(target))
            if named is None or not self._is_ours(named):
                raise Forbidden(_FOREIGN_HOST)
        origin = headers.get("Origin")
        if origin is not None and not self._is_own_page(origin, host):
            raise Forbidden(_FOREIGN_ORIGIN)

    def _is_ours(self, asked: Authority) -> bool:
        if asked.name == "localhost" or is_loopback(asked.name):
            return True
        if not self.loopback_only and _is_address(asked.name):
            return True
        return any(asked.name == public.name and public.port in {None, asked.port} for public in self.public)

    def _is_own_page(self, origin: str, host: Authority) -> bool:
        scheme, separator, text = origin.lower().partition("://")
        page = Authority.parse(text)
        if not separator or scheme not in _DEFAULT_PORTS or page is None:
            return False
        # Behind a proxy that sets a Host of its own, the page's name is one of the public ones.
        return any(known.is_named_by(page, scheme) for known in (host, *self.public))


@lru_cache(maxsize=1024)
def is_loopback(address: str) -> bool:
    """Whether the text is an IP literal of the loopback, IPv4 written as IPv6 included."""
    try:
        literal = ip_address(address)
    except ValueError:
        return False
    if isinstance(literal, IPv6Address) and literal.ipv4_mapped is not None:
        return literal.ipv4_mapped.is_loopback
    return literal.is_loopback


def is_proxied(headers: Mapping[str, str]) -> bool:
    """Whether a proxy passed the request on, so that its peer address says nothing about its sender."""
    return any(name in headers for name in _PROXY_HEADERS)


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _authority_of(target: str) -> str:
    _, separator, rest = target.partition("://")
    return rest.partition("/")[0].partition("?")[0] if separator else target
