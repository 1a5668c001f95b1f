"""Steps of package.sh that a shell script cannot do.

Usage: pack.py zip PROGRAM ZIP    packs the program for Lambda, reproducibly
       pack.py glibc PROGRAM      prints the glibc version that the program needs
       pack.py static PROGRAM     fails if the program needs a loader
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
    """Writes the program as the executable `bootstrap` with a fixed time."""
    entry = zipfile.ZipInfo("bootstrap", (1980, 1, 1, 0, 0, 0))
    entry.create_system = 3
    entry.external_attr = 0o100755 << 16
    entry.compress_type = zipfile.ZIP_DEFLATED
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr(entry, program.read_bytes(), compresslevel=9)


def read(program: Path) -> bytes:
    content = program.read_bytes()
    # 64 bits, little-endian.
    if content[:6] != b"\x7fELF\x02\x01":
        raise SystemExit(f"{program} is not a 64-bit program for Linux")
    return content


def print_glibc(program: Path):
    """Prints the newest glibc version that the loader will require."""
    needed = [name for name in needed_versions(read(program)) if name.startswith("GLIBC_")]
    versions = []
    for name in needed:
        # The loader also requires other names, such as GLIBC_ABI_DT_RELR, which contain no version.
        if not name.removeprefix("GLIBC_").replace(".", "").isdecimal():
            raise SystemExit(f"{program} needs {name}, which is not a glibc version")
        versions.append([int(part) for part in name.removeprefix("GLIBC_").split(".")])
    if not versions:
        raise SystemExit(f"{program} names no glibc version")
    print(".".join(map(str, max(versions))))


def needed_versions(content: bytes):
    """Yields the names of all symbol versions that the program needs from any library."""
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
    """Fails if one of the program headers names a loader."""
    content = read(program)
    offset, = struct.unpack_from("<Q", content, 32)
    size, count = struct.unpack_from("<HH", content, 54)
    for index in range(count):
        kind, = struct.unpack_from("<I", content, offset + index * size)
        if kind == PT_INTERP:
            raise SystemExit(f"{program} needs a loader, so it is not static")


match sys.argv[1:]:
    case ["zip", program, archive]:
        pack(Path(program), Path(archive))
    case ["glibc", program]:
        print_glibc(Path(program))
    case ["static", program]:
        require_static(Path(program))
    case _:
        raise SystemExit(__doc__)
