"""Cut the debugger's part off ELF files: most of what some extension modules weigh, and no run reads it."""

from __future__ import annotations

import struct

_ELF64_LITTLE_ENDIAN = b"\x7fELF\x02\x01"
_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_PROGRAM_HEADER = struct.Struct("<IIQQQQQQ")


def without_debug_symbols(content: bytes) -> bytes:
    """Return the file up to the end of what is loaded; any other kind of file, and one without debug symbols, as it is.

    The sections that only debuggers read come last, and so does the section table that names them. The loader goes by
    the program headers alone.
    """
    if not content.startswith(_ELF64_LITTLE_ENDIAN) or b"\0.debug_info\0" not in content:
        return content
    header = list(_HEADER.unpack_from(content))
    programs_at, size, count = header[5], header[9], header[10]
    end = programs_at + size * count
    for index in range(count):
        _, _, offset, _, _, in_file, _, _ = _PROGRAM_HEADER.unpack_from(content, programs_at + index * size)
        end = max(end, offset + in_file)
    header[6] = header[12] = header[13] = 0  # no section table: where it is, how long, which part names the sections
    return _HEADER.pack(*header) + content[_HEADER.size : end]
