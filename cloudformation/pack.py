"""The two steps of package.sh for which the shell has no means.

Usage: pack.py zip PROGRAM ZIP    packs it for Lambda, always to the same bytes
       pack.py static PROGRAM     fails unless it needs neither a loader nor libraries
"""

import struct
import sys
import zipfile
from pathlib import Path

# The type of the header that names the loader (https://refspecs.linuxfoundation.org/elf/gabi4+/ch5.pheader.html).
PT_INTERP = 3


def pack(program: Path, archive: Path):
    """The program as `bootstrap`, executable, with no time of its own."""
    entry = zipfile.ZipInfo("bootstrap", (1980, 1, 1, 0, 0, 0))
    entry.create_system = 3
    entry.external_attr = 0o100755 << 16
    entry.compress_type = zipfile.ZIP_DEFLATED
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr(entry, program.read_bytes(), compresslevel=9)


def require_static(program: Path):
    """Reads the program headers of an ELF file of 64 bits."""
    content = program.read_bytes()
    if content[:5] != b"\x7fELF\x02":
        raise SystemExit(f"{program} is not a program for Linux of 64 bits")
    offset, = struct.unpack_from("<Q", content, 32)
    size, count = struct.unpack_from("<HH", content, 54)
    for index in range(count):
        kind, = struct.unpack_from("<I", content, offset + index * size)
        if kind == PT_INTERP:
            raise SystemExit(f"{program} needs a loader, and is not static")


match sys.argv[1:]:
    case ["zip", program, archive]:
        pack(Path(program), Path(archive))
    case ["static", program]:
        require_static(Path(program))
    case _:
        raise SystemExit(__doc__)
