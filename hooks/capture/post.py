"""One POST over a raw socket: HTTP/1.1, one connection, every wait cut off by the deadline."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket as _socket

    from .deadline import Deadline
else:
    try:
        import _socket  # `socket` adds enums and selectors that nothing here needs; it takes 8 ms to import
    except ImportError:
        import socket as _socket

_HEAD_MAX_BYTES = 64 * 1024
_ANSWER_MAX_BYTES = 1024 * 1024
_CHUNK_BYTES = 64 * 1024


class NoAnswer(Exception):
    """The other side gave no complete HTTP answer; `connected` tells whether somebody listened at all."""

    def __init__(self, reason: str, connected: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.connected = connected


class Target:
    """Where events go, and the secret that opens the door."""

    __slots__ = ("host", "key", "port", "prefix", "tls")

    def __init__(self, host: str, port: int, key: str, prefix: str = "", tls: bool = False) -> None:
        self.host = host
        self.port = port
        self.key = key
        self.prefix = prefix
        self.tls = tls

    def request(self, path: str, header_lines: bytes, body: bytes) -> bytes:
        """Write the whole request, so that it leaves in one piece."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        head = f"POST {self.prefix}{path} HTTP/1.1\r\nHost: {host}:{self.port}\r\nConnection: close\r\n"
        if self.key:
            head += f"Authorization: Bearer {self.key}\r\n"
        return b"%sContent-Length: %d\r\n%s\r\n%s" % (head.encode("utf-8"), len(body), header_lines, body)


def post(target: Target, path: str, header_lines: bytes, body: bytes, deadline: Deadline) -> tuple[int, bytes]:
    """Send one event and give the answer's status and body; raises NoAnswer."""
    connection = _connect(target, deadline)
    try:
        try:
            connection.settimeout(deadline.remaining())
            connection.sendall(target.request(path, header_lines, body))
        except (BrokenPipeError, ConnectionResetError):
            pass  # a server may refuse a large body before it has read it; its answer is still to be had
        return _Answer(connection, deadline).read()
    except (OSError, ValueError) as error:
        raise NoAnswer(_reason(error), connected=True) from None
    finally:
        connection.close()


def _connect(target: Target, deadline: Deadline) -> _socket.socket:
    try:
        if target.tls:
            from .tls import connect_with_tls

            return connect_with_tls(target.host, target.port, deadline)
        address = _numeric(target.host)
        if address is None:
            from .names import resolve

            address = resolve(target.host, deadline)
        family = _socket.AF_INET6 if ":" in address else _socket.AF_INET
        connection = _socket.socket(family, _socket.SOCK_STREAM)
        try:
            connection.settimeout(deadline.remaining())
            connection.connect((address, target.port))
            connection.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_NODELAY, 1)
        except BaseException:
            connection.close()
            raise
        return connection
    except ConnectionError as error:
        raise NoAnswer(_reason(error), connected=False) from None
    except (OSError, ValueError) as error:
        raise NoAnswer(_reason(error), connected=_is_timeout(error)) from None


def _numeric(host: str) -> str | None:
    for family in (_socket.AF_INET, _socket.AF_INET6):
        try:
            _socket.inet_pton(family, host)
        except OSError:
            continue
        return host
    return None


def _is_timeout(error: Exception) -> bool:
    return isinstance(error, (TimeoutError, _socket.timeout))


def _reason(error: Exception) -> str:
    if _is_timeout(error):
        return "no answer in time"
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return str(error)


class _Answer:
    """Reads one HTTP answer; what does not look like one is a ValueError."""

    __slots__ = ("_buffer", "_connection", "_deadline")

    def __init__(self, connection: _socket.socket, deadline: Deadline) -> None:
        self._connection = connection
        self._deadline = deadline
        self._buffer = b""

    def read(self) -> tuple[int, bytes]:
        status, headers = self._head()
        while 100 <= status < 200:
            status, headers = self._head()
        if status in (204, 304):
            return status, b""
        if b"chunked" in headers.get(b"transfer-encoding", b"").lower():
            return status, self._chunks()
        if b"content-length" not in headers:
            return status, self._until_close()
        length = headers[b"content-length"]
        if not length.isdigit():
            raise ValueError("the answer's length is not a number")
        return status, self._exactly(int(length[:20]))

    def _head(self) -> tuple[int, dict[bytes, bytes]]:
        head = self._until(b"\r\n\r\n", _HEAD_MAX_BYTES)
        status_line, *lines = head.split(b"\r\n")
        protocol, _, rest = status_line.partition(b" ")
        if not protocol.startswith(b"HTTP/1.") or not rest[:3].isdigit() or len(rest[:3]) < 3:
            raise ValueError("the answer is not HTTP")
        fields = (line.partition(b":") for line in lines)
        return int(rest[:3]), {name.strip().lower(): value.strip() for name, _, value in fields}

    def _chunks(self) -> bytes:
        body = b""
        while True:
            size = int(self._until(b"\r\n", 1024).partition(b";")[0], 16)
            if size == 0:
                return body
            if size < 0 or len(body) + size > _ANSWER_MAX_BYTES:
                raise ValueError("the answer is too large")
            body += self._exactly(size)
            self._exactly(2)

    def _until_close(self) -> bytes:
        while len(self._buffer) <= _ANSWER_MAX_BYTES:
            if not self._receive():
                return self._buffer
        raise ValueError("the answer is too large")

    def _until(self, end: bytes, limit: int) -> bytes:
        while end not in self._buffer:
            if len(self._buffer) > limit:
                raise ValueError("the answer's head is too large")
            if not self._receive():
                raise ValueError("the answer ended early")
        found, _, self._buffer = self._buffer.partition(end)
        return found

    def _exactly(self, size: int) -> bytes:
        if size > _ANSWER_MAX_BYTES:
            raise ValueError("the answer is too large")
        while len(self._buffer) < size:
            if not self._receive():
                raise ValueError("the answer ended early")
        taken, self._buffer = self._buffer[:size], self._buffer[size:]
        return taken

    def _receive(self) -> bool:
        if self._deadline.has_passed():
            raise ValueError("no answer in time")
        self._connection.settimeout(self._deadline.remaining())
        received = self._connection.recv(_CHUNK_BYTES)
        self._buffer += received
        return bool(received)
