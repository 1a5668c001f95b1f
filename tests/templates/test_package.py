"""pack.py writes reproducible zip files, and reads the glibc version and the loader of a program."""

import os
import subprocess
import sys
import tempfile
import unittest
import zipfile
from pathlib import Path

import elf
from elf import PT_INTERP, PT_LOAD
from template import ROOT

PACK = ROOT / "cloudformation" / "pack.py"


class Pack(unittest.TestCase):
    def setUp(self):
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))

    def pack(self, *arguments) -> subprocess.CompletedProcess:
        return subprocess.run([sys.executable, PACK, *arguments], capture_output=True, text=True)

    def zip_of(self, name: str, modified: float) -> Path:
        """Packs a program with this modification time."""
        program = self.folder / name / "bootstrap"
        program.parent.mkdir()
        program.write_bytes(b"program" * 1000)
        os.utime(program, (modified, modified))
        archive = self.folder / f"{name}.zip"
        self.assertEqual(self.pack("zip", program, archive).stderr, "")
        return archive

    def test_a_zip_depends_only_on_its_content(self):
        first, second = self.zip_of("first", 1e9), self.zip_of("second", 1.7e9)
        self.assertEqual(first.read_bytes(), second.read_bytes())
        (entry,) = zipfile.ZipFile(first).infolist()
        self.assertEqual((entry.filename, entry.external_attr >> 16), ("bootstrap", 0o100755))
        self.assertLess(entry.compress_size, entry.file_size)

    def inspect(self, command: str, content: bytes) -> subprocess.CompletedProcess:
        """Runs a command of pack.py with a program."""
        path = self.folder / "program"
        path.write_bytes(content)
        return self.pack(command, path)

    def test_a_program_that_names_a_loader_is_not_static(self):
        self.assertEqual(self.inspect("static", elf.with_headers(PT_LOAD, PT_LOAD, 4)).returncode, 0)
        rejected = self.inspect("static", elf.with_headers(PT_LOAD, PT_INTERP, PT_LOAD))
        self.assertEqual(rejected.returncode, 1)
        self.assertIn("needs a loader, so it is not static", rejected.stderr)
        self.assertIn("is not a 64-bit program for Linux", self.inspect("static", b"#!/bin/sh\n").stderr)

    def test_prints_the_newest_glibc_version_that_the_loader_requires(self):
        program = elf.with_versions(libgcc=["GCC_4.2"], libc=["GLIBC_2.9", "GLIBC_2.34", "GLIBC_2.3.4"])
        self.assertEqual(self.inspect("glibc", program).stdout, "2.34\n")
        program = elf.with_versions(libm=["GLIBC_2.17"], libc=["GLIBC_2.2.5"])
        self.assertEqual(self.inspect("glibc", program).stdout, "2.17\n")

    def test_rejects_names_that_are_not_glibc_versions(self):
        program = elf.with_versions(libc=["GLIBC_2.17", "GLIBC_ABI_DT_RELR"])
        self.assertIn("needs GLIBC_ABI_DT_RELR", self.inspect("glibc", program).stderr)
        rejected = self.inspect("glibc", elf.with_versions(libgcc=["GCC_4.2"]))
        self.assertEqual(rejected.returncode, 1)
        self.assertIn("names no glibc version", rejected.stderr)


if __name__ == "__main__":
    unittest.main()
