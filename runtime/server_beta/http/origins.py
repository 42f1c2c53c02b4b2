"""Who may talk to a loopback bind: a web page that rebinds its DNS name to 127.0.0.1 may not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from typing import Self
from urllib.parse import urlsplit

from ..domain.errors import Forbidden

_PROXY_HEADERS = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-IP", "Via")
_FOREIGN_HOST = "This server answers on loopback names only; call it as http://127.0.0.1."
_FOREIGN_ORIGIN = "Web pages of another origin may not call this server."


@dataclass(frozen=True, slots=True)
class OriginRule:
    """Which Host and Origin headers are let in; a bind that others can reach lets every Host in."""

    loopback_only: bool

    @classmethod
    def for_bind(cls, host: str) -> Self:
        """Make the rule of the address that the server is bound to."""
        return cls(loopback_only=host.lower() == "localhost" or is_loopback(host))

    def check(self, headers: Mapping[str, str]) -> None:
        """Raise Forbidden when the Host is not a loopback name, or the Origin is not that of the Host."""
        if not self.loopback_only:
            return
        host = headers.get("Host", "")
        if not _names_loopback(host):
            raise Forbidden(_FOREIGN_HOST)
        origin = headers.get("Origin")
        if origin is not None and origin.lower() not in {f"http://{host.lower()}", f"https://{host.lower()}"}:
            raise Forbidden(_FOREIGN_ORIGIN)


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


@lru_cache(maxsize=1024)
def _names_loopback(host: str) -> bool:
    try:
        parts = urlsplit(f"//{host}")
        name, _ = parts.hostname, parts.port
    except ValueError:
        return False
    if name is None or parts.netloc != host or "@" in host:
        return False
    return name == "localhost" or is_loopback(name)
