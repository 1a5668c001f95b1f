"""What is packaged is the same each time, and what is called static is."""

import os
import struct
import subprocess
import sys
import tempfile
import unittest
import zipfile
from pathlib import Path

from template import ROOT

PACK = ROOT / "cloudformation" / "pack.py"


class Pack(unittest.TestCase):
    def setUp(self):
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))

    def pack(self, *arguments) -> subprocess.CompletedProcess:
        return subprocess.run([sys.executable, PACK, *arguments], capture_output=True, text=True)

    def zip_of(self, name: str, modified: float) -> Path:
        """The zip of a program in a folder of its own, changed at another time."""
        program = self.folder / name / "bootstrap"
        program.parent.mkdir()
        program.write_bytes(b"program" * 1000)
        os.utime(program, (modified, modified))
        archive = self.folder / f"{name}.zip"
        self.assertEqual(self.pack("zip", program, archive).stderr, "")
        return archive

    def test_a_zip_depends_on_its_content_alone(self):
        first, second = self.zip_of("first", 1e9), self.zip_of("second", 1.7e9)
        self.assertEqual(first.read_bytes(), second.read_bytes())
        (entry,) = zipfile.ZipFile(first).infolist()
        self.assertEqual((entry.filename, entry.external_attr >> 16), ("bootstrap", 0o100755))
        self.assertLess(entry.compress_size, entry.file_size)

    def program(self, *kinds: int) -> Path:
        """The head of an ELF file whose program headers are of these kinds."""
        head = b"\x7fELF\x02" + bytes(27) + struct.pack("<Q", 64) + bytes(14) + struct.pack("<HH", 56, len(kinds))
        path = self.folder / "program"
        path.write_bytes(head.ljust(64, b"\0") + b"".join(struct.pack("<I", kind).ljust(56, b"\0") for kind in kinds))
        return path

    def test_a_program_that_names_a_loader_is_not_static(self):
        self.assertEqual(self.pack("static", self.program(1, 1, 4)).returncode, 0)
        refused = self.pack("static", self.program(1, 3, 1))
        self.assertEqual(refused.returncode, 1)
        self.assertIn("needs a loader, and is not static", refused.stderr)
        script = self.folder / "script"
        script.write_text("#!/bin/sh\n")
        self.assertIn("is not a program for Linux", self.pack("static", script).stderr)


if __name__ == "__main__":
    unittest.main()
