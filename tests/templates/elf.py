"""Creates minimal ELF files."""

import struct

PT_LOAD = 1
PT_INTERP = 3
SHT_STRTAB = 3
SHT_GNU_VERNEED = 0x6FFFFFFE

MAGIC = b"\x7fELF\x02\x01"


def with_headers(*kinds: int) -> bytes:
    """Returns an ELF file with program headers of these kinds."""
    head = MAGIC.ljust(32, b"\0") + struct.pack("<Q", 64) + bytes(14) + struct.pack("<HH", 56, len(kinds))
    return head.ljust(64, b"\0") + b"".join(struct.pack("<I", kind).ljust(56, b"\0") for kind in kinds)


def with_versions(**libraries: list[str]) -> bytes:
    """Returns an ELF file that needs these symbol versions. Its names also contain an unused version."""
    names = b"\0GLIBC_2.99\0"
    needs = b""
    for left, versions in enumerate(libraries.values(), start=1 - len(libraries)):
        following = 16 + 16 * len(versions) if left else 0
        needs += struct.pack("<HHIII", 1, len(versions), 0, 16, following)
        for rest, version in enumerate(versions, start=1 - len(versions)):
            needs += struct.pack("<IHHII", 0, 0, 0, len(names), 16 if rest else 0)
            names += version.encode() + b"\0"
    sections = [(0, 0, 0, 0), (SHT_GNU_VERNEED, 64, 2, len(libraries)), (SHT_STRTAB, 64 + len(needs), 0, 0)]
    head = MAGIC.ljust(40, b"\0") + struct.pack("<Q", 64 + len(needs) + len(names))
    head = head.ljust(58, b"\0") + struct.pack("<HHH", 64, len(sections), 0)
    table = [struct.pack("<IIQQQQII", 0, kind, 0, 0, offset, 0, link, info).ljust(64, b"\0")
             for kind, offset, link, info in sections]
    return head + needs + names + b"".join(table)
