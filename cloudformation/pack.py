"""The steps of package.sh for which the shell has no means.

Usage: pack.py zip PROGRAM ZIP    packs it for Lambda, always to the same bytes
       pack.py glibc PROGRAM      prints the version of glibc that it needs
       pack.py static PROGRAM     fails unless it needs neither a loader nor libraries
"""

import struct
import sys
import zipfile
from pathlib import Path

# The type of the header that names the loader (https://refspecs.linuxfoundation.org/elf/gabi4+/ch5.pheader.html).
PT_INTERP = 3
# The type of the section that lists the versions of symbols that libraries must have
# (https://refspecs.linuxfoundation.org/LSB_5.0.0/LSB-Core-generic/LSB-Core-generic/symversion.html).
SHT_GNU_VERNEED = 0x6FFFFFFE


def pack(program: Path, archive: Path):
    """The program as `bootstrap`, executable, with no time of its own."""
    entry = zipfile.ZipInfo("bootstrap", (1980, 1, 1, 0, 0, 0))
    entry.create_system = 3
    entry.external_attr = 0o100755 << 16
    entry.compress_type = zipfile.ZIP_DEFLATED
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr(entry, program.read_bytes(), compresslevel=9)


def read(program: Path) -> bytes:
    content = program.read_bytes()
    # Of 64 bits, the lower byte first.
    if content[:6] != b"\x7fELF\x02\x01":
        raise SystemExit(f"{program} is not a program for Linux of 64 bits")
    return content


def print_glibc(program: Path):
    """Reads the versions that the loader will insist on, wherever else their names occur."""
    needed = [name for name in needed_versions(read(program)) if name.startswith("GLIBC_")]
    versions = []
    for name in needed:
        # Others, such as GLIBC_ABI_DT_RELR, are as binding, and tell no version.
        if not name.removeprefix("GLIBC_").replace(".", "").isdecimal():
            raise SystemExit(f"{program} needs {name}, which is not a version of glibc")
        versions.append([int(part) for part in name.removeprefix("GLIBC_").split(".")])
    if not versions:
        raise SystemExit(f"{program} does not say which glibc it needs")
    print(".".join(map(str, max(versions))))


def needed_versions(content: bytes):
    """The names of all versions of symbols that the program needs, of any library."""
    headers, = struct.unpack_from("<Q", content, 40)
    size, count = struct.unpack_from("<HH", content, 58)
    sections = [struct.unpack_from("<IIQQQQII", content, headers + index * size) for index in range(count)]
    for _, kind, _, _, library, _, link, libraries in sections:
        if kind != SHT_GNU_VERNEED:
            continue
        names = sections[link][4]
        for _ in range(libraries):
            _, versions, _, first, following = struct.unpack_from("<HHIII", content, library)
            entry = library + first
            for _ in range(versions):
                name, next_entry = struct.unpack_from("<II", content, entry + 8)
                start = names + name
                yield content[start:content.index(b"\0", start)].decode()
                entry += next_entry
            library += following


def require_static(program: Path):
    """Reads the program headers, one of which would name a loader."""
    content = read(program)
    offset, = struct.unpack_from("<Q", content, 32)
    size, count = struct.unpack_from("<HH", content, 54)
    for index in range(count):
        kind, = struct.unpack_from("<I", content, offset + index * size)
        if kind == PT_INTERP:
            raise SystemExit(f"{program} needs a loader, and is not static")


match sys.argv[1:]:
    case ["zip", program, archive]:
        pack(Path(program), Path(archive))
    case ["glibc", program]:
        print_glibc(Path(program))
    case ["static", program]:
        require_static(Path(program))
    case _:
        raise SystemExit(__doc__)
