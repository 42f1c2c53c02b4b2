"""Host names, looked up without giving the resolver more time than there is."""

from __future__ import annotations

import _thread

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket as _socket

    from .deadline import Deadline
else:
    try:
        import _socket
    except ImportError:
        import socket as _socket


def resolve(host: str, deadline: Deadline) -> str:
    """Find an address of `host`; raises OSError when there is none in time.

    The C library's resolver heeds neither signals nor time limits, so it works on a thread that may be left behind.
    """
    addresses: list[str] = []
    done = _thread.allocate_lock()
    done.acquire()

    def look_up() -> None:
        try:
            for *_, address in _socket.getaddrinfo(host, 0, 0, _socket.SOCK_STREAM):
                addresses.append(str(address[0]))
        except (OSError, UnicodeError):
            pass
        finally:
            done.release()

    _thread.start_new_thread(look_up, ())
    if not done.acquire(timeout=deadline.remaining()):
        raise TimeoutError(0, "the host name was not resolved in time")
    if not addresses:
        raise OSError(0, "the host name is not known")
    return next((address for address in addresses if ":" not in address), addresses[0])
