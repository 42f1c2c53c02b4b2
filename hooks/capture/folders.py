"""Folders and files that only their owner reads."""

from __future__ import annotations

import os


def make_private(data_dir: str, *names: str) -> str:
    """Make a folder below the data folder, each level with mode 0700, and give its path; raises OSError."""
    os.makedirs(os.path.dirname(data_dir), exist_ok=True)
    path = data_dir
    for name in ("", *names):
        path = os.path.join(path, name) if name else path
        try:
            os.mkdir(path, 0o700)
        except FileExistsError:
            continue
    return path


def write_private(path: str, content: bytes, durable: bool = False) -> None:
    """Put a file of mode 0600 in place all at once; when `durable`, its bytes reach the disk first. Raises OSError."""
    folder, name = os.path.split(path)
    temporary = os.path.join(folder, f".tmp-{os.getpid()}-{name.lstrip('.')}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        try:
            view = memoryview(content)
            while view:
                view = view[os.write(descriptor, view) :]
            if durable:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def read_small(path: str, limit: int = 4096) -> str:
    """Read a short text file; "" when it cannot be read."""
    try:
        with open(path, "rb", 0) as file:
            return file.read(limit).decode("utf-8", "replace").strip()
    except OSError:
        return ""
