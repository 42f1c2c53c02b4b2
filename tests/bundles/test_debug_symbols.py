from __future__ import annotations

import runpy
from collections.abc import Callable

import pytest

from tests.bundles.zipapps import ROOT


@pytest.fixture
def without_debug_symbols() -> Callable[[bytes], bytes]:
    function: Callable[[bytes], bytes] = runpy.run_path(str(ROOT / "build" / "debug_symbols.py"))[
        "without_debug_symbols"
    ]
    return function


@pytest.mark.parametrize(
    "content", [b"", b"print()", b"\x7fELF\x02\x01 but no debug symbols", b"\xcf\xfa\xed\xfe\0.debug_info\0"]
)
def test_anything_else_stays_as_it_is(without_debug_symbols: Callable[[bytes], bytes], content: bytes) -> None:
    assert without_debug_symbols(content) == content
