"""Where the server is that commands ask: the one that the settings name, else the local one."""

from __future__ import annotations

from urllib.parse import urlsplit

from ..domain.errors import InvalidSettings
from ..settings import Settings
from .client import Address, local_address
from .command import Context


def server_address(context: Context) -> Address:
    """Find the server; raises InvalidSettings for an address that cannot be used, NotRunning without a local one."""
    settings = Settings.from_env(context.env)
    if settings.remote_url is None:
        return local_address(context.runtime, context.folder, settings.remote_api_key or "")
    return _address(settings.remote_url, settings.remote_api_key or "")


def _address(url: str, key: str) -> Address:
    refusal = InvalidSettings("CLAUDE_MEM_SERVER_URL cannot be used; write it as https://host or http://host:port.")
    if not all(text.isascii() and text.isprintable() and " " not in text for text in (url, key)):
        raise refusal
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise refusal from None
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise refusal
    is_tls = parts.scheme == "https"
    return Address(
        name="server-beta",
        host=parts.hostname,
        port=port or (443 if is_tls else 80),
        key=key,
        key_source="CLAUDE_MEM_SERVER_API_KEY",
        path=parts.path.rstrip("/"),
        is_tls=is_tls,
    )
