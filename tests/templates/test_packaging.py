"""package.sh builds what it can, lists what it cannot, and rejects programs that would not run.
reproduce.sh fails if another clone gives other bytes. Scripts replace the compilers."""

import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import elf
from template import ROOT

SCRIPT = ROOT / "cloudformation" / "package.sh"
REQUIREMENTS = ROOT / "cloudformation" / "requirements.txt"
TRIPLES = [f"{processor}-unknown-linux-{library}" for processor in ["aarch64", "x86_64"]
           for library in ["gnu", "musl"]]

# Knows where libraries would be.
RUSTC = """\
case "$*" in
"--print sysroot") echo "$WORLD/sysroot" ;;
"-vV") echo "commit-hash: 0123456789" ;;
"--print target-libdir --target "*) echo "$WORLD/libraries/$4" ;;
*) exit 1 ;;
esac
"""
# Notes what it is asked for, and installs it unless there is no network.
RUSTUP = """\
echo "$*" >>"$WORLD/asked"
[ ! -e "$WORLD/offline" ] || exit 1
shift 2
for triple in "$@"; do mkdir -p "$WORLD/libraries/$triple"; done
"""
# Writes the programs that were laid out, to where the real one does.
CARGO = """\
kind=$1
while [ $# -gt 0 ]; do
    case $1 in
    --target) triple=$2 ;;
    --lambda-dir) folder=$2 ;;
    esac
    shift
done
echo "$kind $triple $RUSTFLAGS" >>"$WORLD/built"
if [ "$kind" = lambda ]; then
    mkdir -p "$folder/bootstrap" && cp "$WORLD/function" "$folder/bootstrap/bootstrap"
else
    folder=$CARGO_TARGET_DIR/$triple/release
    mkdir -p "$folder" && cp "$WORLD/command" "$folder/container-image"
fi
"""


class Workplace(unittest.TestCase):
    """A folder with stand-ins for the compilers, and what the scripts leave in it."""

    def setUp(self):
        self.world = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.packages = self.world / "package"
        builders = self.world / "package-environment"
        self.commands = builders / "bin"
        self.commands.mkdir(parents=True)
        # So that it is not installed.
        (builders / "requirements.txt").write_bytes(REQUIREMENTS.read_bytes())
        for name, script in {"rustc": RUSTC, "rustup": RUSTUP, "cargo": CARGO, "uname": "echo x86_64\n"}.items():
            self.command(name, script)
        (self.world / "function").write_bytes(elf.that_needs(libc=["GLIBC_2.17", "GLIBC_2.34"]))
        (self.world / "command").write_bytes(elf.with_headers(elf.PT_LOAD))

    def command(self, name: str, script: str):
        path = self.commands / name
        path.write_text(f"#!/bin/sh\n{script}")
        path.chmod(0o755)

    def has(self, *triples: str):
        for triple in triples:
            (self.world / "libraries" / triple).mkdir(parents=True)

    def run_script(self, script: Path, **environment: str) -> subprocess.CompletedProcess:
        environment |= {
            "PATH": f"{self.commands}:{Path(sys.executable).parent}:/usr/bin:/bin",
            "HOME": str(self.world), "WORLD": str(self.world), "CARGO_TARGET_DIR": str(self.world),
        }
        return subprocess.run([script], env=environment, capture_output=True, text=True, timeout=60)

    def lines(self, name: str) -> list[str]:
        path = self.world / name
        return path.read_text().splitlines() if path.exists() else []


class Package(Workplace):
    def package(self, **environment: str) -> subprocess.CompletedProcess:
        return self.run_script(SCRIPT, **environment)

    def check_packaged(self, *names: str):
        """These and no others are there, with their checksums."""
        found = {path.name for path in self.packages.iterdir() if path.is_file()}
        self.assertEqual(found, {"Dockerfile", "SHA256SUMS", *names})
        self.assertEqual([line.split()[1] for line in self.lines("package/SHA256SUMS")], sorted(names))
        for name in names:
            if name.startswith("bootstrap-"):
                program = self.packages / name.removeprefix("bootstrap-").removesuffix(".zip") / "bootstrap"
                self.assertTrue(program.is_file(), program)

    def test_builds_everything_where_everything_is_there(self):
        self.has(*TRIPLES)
        done = self.package(STRICT="1")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.check_packaged("bootstrap-arm64.zip", "bootstrap-x86_64.zip", "container-image-arm64",
                            "container-image-x86_64")
        self.assertIn("needs glibc 2.34 (limit 2.34)", done.stdout)
        self.assertEqual(self.lines("asked"), [])
        built = [line.split()[:2] for line in self.lines("built")]
        self.assertEqual(built, [["lambda", "aarch64-unknown-linux-gnu.2.34"], ["zigbuild", TRIPLES[1]],
                                 ["lambda", "x86_64-unknown-linux-gnu.2.34"], ["zigbuild", TRIPLES[3]]])

    def test_asks_once_for_all_that_is_missing(self):
        self.has(TRIPLES[2])
        self.assertEqual(self.package(STRICT="1").returncode, 0)
        self.assertEqual(self.lines("asked"), [f"target add {TRIPLES[0]} {TRIPLES[1]} {TRIPLES[3]}"])

    def test_names_what_it_cannot_build_and_builds_the_rest(self):
        self.has(*TRIPLES[2:])
        (self.world / "offline").touch()
        done = self.package()
        self.assertEqual(done.returncode, 0, done.stderr)
        self.check_packaged("bootstrap-x86_64.zip", "container-image-x86_64")
        self.assertEqual([line.split(":")[:2] for line in done.stderr.splitlines()],
                         [["NOT BUILT", " bootstrap-arm64.zip"], ["NOT BUILT", " container-image for arm64"]])
        for line, triple in zip(done.stderr.splitlines(), TRIPLES):
            self.assertIn(f"rustup target add {triple}", line)
        self.assertEqual(len(self.lines("asked")), 1)
        strict = self.package(STRICT="1")
        self.assertEqual(strict.returncode, 1)
        self.assertIn("2 of the packages could not be built", strict.stderr)

    def test_fails_where_nothing_can_be_built(self):
        (self.commands / "rustup").unlink()
        done = self.package()
        self.assertEqual(done.returncode, 1)
        self.assertIn("nothing could be built", done.stderr)

    def test_builds_a_static_command_without_musl_from_a_library_that_suffices(self):
        self.has(TRIPLES[2])
        (self.world / "offline").touch()
        library = self.world / "libc.a"
        library.touch()
        self.command("cc", f"echo {library}\n")
        for version, built in {"2.36": True, "2.34": True, "2.31": False}.items():
            self.command("getconf", f"echo glibc {version}\n")
            done = self.package(ARCHITECTURES="x86_64")
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual("NOT BUILT" not in done.stderr, built, version)
            self.check_packaged("bootstrap-x86_64.zip", *["container-image-x86_64"] * built)
        kind, triple, flags = self.lines("built")[1].split(maxsplit=2)
        self.assertEqual((kind, triple), ("build", TRIPLES[2]))
        self.assertIn("+crt-static", flags)

    def test_refuses_what_provided_al2023_could_not_run_or_lambda_would_load_slowly(self):
        self.has(*TRIPLES)
        (self.world / "function").write_bytes(elf.that_needs(libc=["GLIBC_2.35"]))
        done = self.package()
        self.assertEqual(done.returncode, 1)
        self.assertIn("arm64 needs glibc 2.35, which provided.al2023 does not have", done.stderr)
        (self.world / "function").write_bytes(elf.that_needs(libc=["GLIBC_2.34"]) + os.urandom(6_000_000))
        done = self.package()
        self.assertEqual(done.returncode, 1)
        self.assertIn("bootstrap-arm64.zip is too large", done.stderr)
        (self.world / "function").write_bytes(elf.that_needs(libc=["GLIBC_2.34"]))
        (self.world / "command").write_bytes(elf.with_headers(elf.PT_INTERP))
        self.assertIn("is not static", self.package().stderr)


# Makes virtual environments that have nothing but an installer with nothing to do.
PYTHON = """\
if [ "$1 $2" = "-m venv" ]; then
    mkdir -p "$3/bin" && printf '#!/bin/sh\\n' >"$3/bin/pip" && chmod +x "$3/bin/pip"
else
    exec "$PYTHON" "$@"
fi
"""


class Reproduce(Workplace):
    def setUp(self):
        super().setUp()
        self.has(*TRIPLES)
        self.command("python3", PYTHON)
        self.source = self.world / "source"
        shutil.copytree(SCRIPT.parent, self.source / "cloudformation")
        shutil.copy(ROOT / "Cargo.toml", self.source)
        (self.source / ".gitignore").write_text("__pycache__\n")
        self.git("init", "--quiet")
        self.git("add", ".")
        self.git("commit", "--quiet", "--message", "All of it")

    def git(self, *arguments: str):
        author = ["-c", "user.name=somebody", "-c", "user.email=somebody@example.com"]
        subprocess.run(["git", "-C", self.source, *author, *arguments], check=True)

    def reproduce(self) -> subprocess.CompletedProcess:
        scripts = self.source / "cloudformation"
        self.assertEqual(self.run_script(scripts / "package.sh", PYTHON=sys.executable).returncode, 0)
        return self.run_script(scripts / "reproduce.sh", PYTHON=sys.executable, ARCHITECTURES="x86_64")

    def test_says_so_when_the_bytes_are_the_same(self):
        done = self.reproduce()
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn("Identical: 2 files of two clones.", done.stdout)

    def test_fails_when_a_folder_shows_in_a_program(self):
        self.command("cargo", CARGO + '[ "$kind" != lambda ] || pwd >>"$folder/bootstrap/bootstrap"\n')
        done = self.reproduce()
        self.assertEqual(done.returncode, 1)
        self.assertIn("bootstrap-x86_64.zip", done.stderr)
        self.assertIn("differ", done.stderr)

    def test_refuses_what_a_clone_would_not_have(self):
        (self.source / "Cargo.toml").write_text("changed")
        done = self.reproduce()
        self.assertEqual(done.returncode, 1)
        self.assertIn("commit them", done.stderr)


if __name__ == "__main__":
    unittest.main()
