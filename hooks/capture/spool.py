"""`<data>/spool/<runtime>`: events that the runtime did not take, a file each; bounded, the oldest dropped."""

from __future__ import annotations

import os
import time

from .folders import make_private, read_small, write_private

SPOOL_MAX_BYTES = 64 * 1024 * 1024
_REJECTED_MAX_FILES = 100
_ABANDONED_AFTER_SECONDS = 3600.0


def store(data_dir: str, runtime: str, name: str, content: bytes, limit: int) -> None:
    """Put one event on the disk, so that it is there after a crash; raises OSError."""
    folder = make_private(data_dir, "spool", runtime)
    write_private(os.path.join(folder, name), content, durable=True)
    _account(folder, len(content), limit)


def waiting(folder: str) -> list[str]:
    """List the events that wait, oldest first."""
    try:
        return sorted(name for name in os.listdir(folder) if name.endswith(".http") and not name.startswith("."))
    except OSError:
        return []


def dropped_count(folder: str) -> int:
    """Count the events that had to be dropped so far to stay below the bound."""
    text = read_small(os.path.join(folder, ".dropped"), 32)
    return int(text) if text.isascii() and text.isdigit() else 0


def remove(path: str) -> bool:
    """Delete one file and say whether it was there; another hook or the runtime may have been faster."""
    try:
        os.unlink(path)
    except OSError:
        return False
    return True


def reject(folder: str, name: str) -> None:
    """Put aside an event that the runtime will never take; the latest hundred are kept for who wants to know why."""
    try:
        os.makedirs(os.path.join(folder, "rejected"), 0o700, exist_ok=True)
        os.replace(os.path.join(folder, name), os.path.join(folder, "rejected", name))
    except OSError:
        return
    for old in waiting(os.path.join(folder, "rejected"))[:-_REJECTED_MAX_FILES]:
        remove(os.path.join(folder, "rejected", old))


def adopt(data_dir: str, source: str, runtime: str, limit: int) -> None:
    """Give the events of one spool folder to another runtime."""
    old = os.path.join(data_dir, "spool", source)
    names = waiting(old)
    if not names:
        return
    try:
        folder = make_private(data_dir, "spool", runtime)
        for name in names:
            os.replace(os.path.join(old, name), os.path.join(folder, name))
        _account(folder, limit, limit)
    except OSError:
        return


def _account(folder: str, added: int, limit: int) -> None:
    """Keep the sum of bytes in `.bytes`, and count afresh only when it says that the bound is reached.

    The runtime takes files away without telling, so the sum errs upwards only, which costs a count and never an event.
    """
    path = os.path.join(folder, ".bytes")
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if not _locked(descriptor):
            remove(path)  # the hook that counts now cannot hear of this event any more: count afresh next time
            return
        known = os.read(descriptor, 32)
        total = int(known) + added if known.isdigit() else limit + 1
        if total > limit:
            total = _drop_oldest(folder, limit)
        os.ftruncate(descriptor, 0)
        os.lseek(descriptor, 0, os.SEEK_SET)
        os.write(descriptor, b"%d" % total)
    finally:
        os.close(descriptor)


def _locked(descriptor: int) -> bool:
    try:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except ImportError:  # Windows: the sum may be a little off there
        return True
    except OSError:
        return False
    return True


def _drop_oldest(folder: str, limit: int) -> int:
    sizes: dict[str, int] = {}
    with os.scandir(folder) as entries:
        for entry in entries:
            try:
                facts = entry.stat(follow_symlinks=False)
            except OSError:
                continue
            if entry.name.startswith(".tmp-"):
                if time.time() - facts.st_mtime > _ABANDONED_AFTER_SECONDS:
                    remove(entry.path)
            elif entry.name.endswith(".http"):
                sizes[entry.name] = facts.st_size
    total = sum(sizes.values())
    if total <= limit:
        return total
    dropped = 0
    for name in sorted(sizes):
        # An eighth of room, so that a full spool is not counted again for every event.
        if total <= limit - limit // 8:
            break
        dropped += remove(os.path.join(folder, name))
        total -= sizes[name]
    count = dropped_count(folder) + dropped
    write_private(os.path.join(folder, ".dropped"), b"%d" % count)
    return total
