"""A connection to a remote server-beta over https; the only place that pays for importing ssl."""

from __future__ import annotations

import socket
import ssl

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .deadline import Deadline


def connect_with_tls(host: str, port: int, deadline: Deadline) -> socket.socket:
    """Connect and verify the server's certificate; raises OSError (ssl.SSLError is one)."""
    from .names import resolve

    connection = socket.create_connection((resolve(host, deadline), port), deadline.remaining())
    try:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.settimeout(deadline.remaining())
        return ssl.create_default_context().wrap_socket(connection, server_hostname=host)
    except BaseException:
        connection.close()
        raise
