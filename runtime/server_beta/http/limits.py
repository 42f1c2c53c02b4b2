"""How much a key may ask in a minute, and how much an address may that has not shown one.

One token bucket each: a minute's requests may come at once, then they come back evenly. Held by this process alone.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ipaddress import IPv6Address, ip_address

from ..domain.errors import Forbidden, TooManyRequests, Unauthorized

# About 3 MB. A bucket that is forgotten is a full one again.
_MOST_BUCKETS = 10_000
# What one household, or one machine that changes its address at will, is given of IPv6.
_IPV6_PREFIX_BYTES = 8


class Buckets:
    """A token bucket for each name, those of the least recent askers forgotten when there are too many."""

    def __init__(self, per_minute: int, most: int = _MOST_BUCKETS, now: Callable[[], float] = time.monotonic) -> None:
        self._capacity = float(per_minute)
        self._per_second = per_minute / 60
        self._most = most
        self._now = now
        self._buckets: OrderedDict[bytes, tuple[float, float]] = OrderedDict()

    def __contains__(self, name: bytes) -> bool:
        return name in self._buckets

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, name: bytes) -> None:
        """Take a token; raises TooManyRequests, saying when the next one is there, and takes none then."""
        tokens = self._tokens(name)
        self._put(name, tokens - 1 if tokens >= 1 else tokens)
        if tokens < 1:
            raise TooManyRequests(retry_after_seconds=max(1, math.ceil((1 - tokens) / self._per_second)))

    def give_back(self, name: bytes) -> None:
        """Return a token that was taken for nothing."""
        self._put(name, min(self._capacity, self._tokens(name) + 1))

    def forget(self, name: bytes) -> None:
        """Drop a bucket."""
        self._buckets.pop(name, None)

    def _tokens(self, name: bytes) -> float:
        tokens, at = self._buckets.get(name, (self._capacity, 0.0))
        return min(self._capacity, tokens + (self._now() - at) * self._per_second)

    def _put(self, name: bytes, tokens: float) -> None:
        self._buckets[name] = tokens, self._now()
        self._buckets.move_to_end(name)
        if len(self._buckets) > self._most:
            self._buckets.popitem(last=False)


class Limits:
    """The limits of `CLAUDE_MEM_RATE_LIMIT_PER_MIN`; with 0 there are none.

    The address is that of the connection's other end: behind a proxy it is the proxy's, whose own limit has to tell
    strangers apart. Keys are told apart all the same.
    """

    def __init__(self, per_minute: int, now: Callable[[], float] = time.monotonic) -> None:
        self._is_on = per_minute > 0
        self._keys = Buckets(per_minute, now=now)
        self._strangers = Buckets(per_minute, now=now)

    def admit_stranger(self, address: str | None) -> None:
        """Count a request that needs no key; raises TooManyRequests."""
        if self._is_on:
            self._strangers.take(_source(address))

    @contextmanager
    def authenticating(self, address: str | None, key: str | None) -> Iterator[None]:
        """Hold a block that looks up the key; raises TooManyRequests before it is entered.

        A key that was good a moment ago is counted by itself, so that others at its address cannot lock it out; any
        other is one of a stranger until the lookup says that it is good.
        """
        if not self._is_on:
            yield
            return
        name = hashlib.sha256((key or "").encode()).digest()
        if name in self._keys:
            with self._while_good(name):
                yield
            return
        source = _source(address)
        self._strangers.take(source)
        try:
            yield
        except (Unauthorized, Forbidden):
            raise
        except BaseException:
            self._strangers.give_back(source)
            raise
        if key:
            self._strangers.give_back(source)
            self._keys.take(name)

    @contextmanager
    def _while_good(self, name: bytes) -> Iterator[None]:
        self._keys.take(name)
        try:
            yield
        except (Unauthorized, Forbidden):
            self._keys.forget(name)
            raise


def _source(address: str | None) -> bytes:
    try:
        parsed = ip_address((address or "").partition("%")[0])
    except ValueError:
        return (address or "").encode()
    if not isinstance(parsed, IPv6Address):
        return parsed.packed
    return parsed.ipv4_mapped.packed if parsed.ipv4_mapped is not None else parsed.packed[:_IPV6_PREFIX_BYTES]
