"""package.sh builds files for available targets, lists the others, and rejects programs that Lambda cannot run.
reproduce.sh fails if another clone results in other bytes. Scripts replace the compilers."""

import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
import unittest
from pathlib import Path

import elf
from template import ROOT

SCRIPT = ROOT / "cloudformation" / "package.sh"
VERSION = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]["version"]
REQUIREMENTS = ROOT / "cloudformation" / "requirements.txt"
TRIPLES = [f"{architecture}-unknown-linux-{library}" for architecture in ["aarch64", "x86_64"]
           for library in ["gnu", "musl"]]

# Prints the folders of the standard libraries.
RUSTC = """\
case "$*" in
"--print sysroot") echo "$WORLD/sysroot" ;;
"-vV") echo "commit-hash: 0123456789" ;;
"--print target-libdir --target "*) echo "$WORLD/libraries/$4" ;;
*) exit 1 ;;
esac
"""
# Logs its arguments, and installs the targets unless offline.
RUSTUP = """\
echo "$*" >>"$WORLD/requested"
[ ! -e "$WORLD/offline" ] || exit 1
shift 2
for triple in "$@"; do mkdir -p "$WORLD/libraries/$triple"; done
"""
# Writes the prepared programs to the output folder.
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
    """A folder with replacements of the compilers and the output of the scripts."""

    def setUp(self):
        self.world = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.packages = self.world / "package"
        builders = self.world / "package-environment"
        self.commands = builders / "bin"
        self.commands.mkdir(parents=True)
        # The scripts install nothing if this file is up to date.
        (builders / "requirements.txt").write_bytes(REQUIREMENTS.read_bytes())
        for name, script in {"rustc": RUSTC, "rustup": RUSTUP, "cargo": CARGO, "uname": "echo x86_64\n"}.items():
            self.add_command(name, script)
        (self.world / "function").write_bytes(elf.with_versions(libc=["GLIBC_2.17", "GLIBC_2.34"]))
        (self.world / "command").write_bytes(elf.with_headers(elf.PT_LOAD))

    def add_command(self, name: str, script: str):
        path = self.commands / name
        path.write_text(f"#!/bin/sh\n{script}")
        path.chmod(0o755)

    def add_libraries(self, *triples: str):
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
        """Checks that exactly these files exist, with their checksums."""
        found = {path.name for path in self.packages.iterdir() if path.is_file()}
        self.assertEqual(found, {"Dockerfile", "SHA256SUMS", "VERSION", *names})
        self.assertEqual([line.split()[1] for line in self.lines("package/SHA256SUMS")], sorted(names))
        for name in names:
            if name.startswith("bootstrap-"):
                program = self.packages / name.removeprefix("bootstrap-").removesuffix(".zip") / "bootstrap"
                self.assertTrue(program.is_file(), program)

    def test_builds_everything_if_all_libraries_exist(self):
        self.add_libraries(*TRIPLES)
        done = self.package(STRICT="1")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.check_packaged("bootstrap-arm64.zip", "bootstrap-x86_64.zip", "container-image-arm64",
                            "container-image-x86_64")
        self.assertIn("needs glibc 2.34 (limit 2.34)", done.stdout)
        self.assertEqual(self.lines("requested"), [])
        self.assertEqual(self.lines("package/VERSION"), [VERSION])
        programs = [f"{program} for {name}." for name in ["arm64", "x86_64"] for program in ["function", "command line"]]
        announced = [line for line in done.stdout.splitlines() if line.startswith("Builds ")]
        self.assertEqual(announced, [f"Builds the {program}" for program in programs])
        built = [line.split()[:2] for line in self.lines("built")]
        self.assertEqual(built, [["lambda", "aarch64-unknown-linux-gnu.2.34"], ["zigbuild", TRIPLES[1]],
                                 ["lambda", "x86_64-unknown-linux-gnu.2.34"], ["zigbuild", TRIPLES[3]]])

    def test_installs_all_missing_libraries_with_one_command(self):
        self.add_libraries(TRIPLES[2])
        self.assertEqual(self.package(STRICT="1").returncode, 0)
        self.assertEqual(self.lines("requested"), [f"target add {TRIPLES[0]} {TRIPLES[1]} {TRIPLES[3]}"])

    def test_prints_files_that_it_cannot_build_and_builds_the_rest(self):
        self.add_libraries(*TRIPLES[2:])
        (self.world / "offline").touch()
        done = self.package()
        self.assertEqual(done.returncode, 0, done.stderr)
        self.check_packaged("bootstrap-x86_64.zip", "container-image-x86_64")
        self.assertEqual([line.split(":")[:2] for line in done.stderr.splitlines()],
                         [["NOT BUILT", " bootstrap-arm64.zip"], ["NOT BUILT", " container-image for arm64"]])
        for line, triple in zip(done.stderr.splitlines(), TRIPLES):
            self.assertIn(f"rustup target add {triple}", line)
        self.assertEqual(len(self.lines("requested")), 1)
        strict = self.package(STRICT="1")
        self.assertEqual(strict.returncode, 1)
        self.assertIn("2 of the packages could not be built", strict.stderr)

    def test_builds_only_the_programs_that_it_is_given(self):
        for programs, names, targets in [
            ("function", ["bootstrap-x86_64.zip"], TRIPLES[2:3]),
            ("command-line", ["container-image-x86_64"], TRIPLES[3:]),
        ]:
            with self.subTest(programs):
                done = self.package(PROGRAMS=programs, ARCHITECTURES="x86_64", STRICT="1")
                self.assertEqual(done.returncode, 0, done.stderr)
                self.check_packaged(*names)
                self.assertEqual(self.lines("requested")[-1], f"target add {targets[0]}")

    def test_rejects_unknown_programs_and_architectures(self):
        for variables, message in [
            ({"PROGRAMS": "functions"}, "PROGRAMS has functions; expected one or both of: function command-line"),
            ({"ARCHITECTURES": "amd64"}, "ARCHITECTURES has amd64; expected one or both of: arm64 x86_64"),
        ]:
            done = self.package(**variables)
            self.assertEqual(done.returncode, 1, done.stdout)
            self.assertIn(message, done.stderr)
        self.assertEqual(self.lines("built"), [])

    def test_deletes_only_the_files_of_an_earlier_run(self):
        self.add_libraries(*TRIPLES)
        folder = self.world / "documents"
        (folder / "arm64").mkdir(parents=True)
        kept = {"letter.txt", "arm64/photo"}
        for name in [*kept, "bootstrap-arm64.zip", "container-image-arm64", "arm64/bootstrap"]:
            (folder / name).touch()
        done = self.package(PACKAGES=str(folder), ARCHITECTURES="x86_64")
        self.assertEqual(done.returncode, 0, done.stderr)
        found = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
        packaged = {"bootstrap-x86_64.zip", "container-image-x86_64", "x86_64/bootstrap"}
        self.assertEqual(found, kept | packaged | {"Dockerfile", "SHA256SUMS", "VERSION"})

    def test_fails_if_it_can_build_nothing(self):
        (self.commands / "rustup").unlink()
        done = self.package()
        self.assertEqual(done.returncode, 1)
        self.assertIn("nothing could be built", done.stderr)

    def test_builds_a_static_command_line_with_a_suitable_glibc(self):
        self.add_libraries(TRIPLES[2])
        (self.world / "offline").touch()
        library = self.world / "libc.a"
        library.touch()
        self.add_command("cc", f"echo {library}\n")
        for version, built in {"2.36": True, "2.34": True, "2.31": False}.items():
            self.add_command("getconf", f"echo glibc {version}\n")
            done = self.package(ARCHITECTURES="x86_64")
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual("NOT BUILT" not in done.stderr, built, version)
            self.check_packaged("bootstrap-x86_64.zip", *["container-image-x86_64"] * built)
        kind, triple, flags = self.lines("built")[1].split(maxsplit=2)
        self.assertEqual((kind, triple), ("build", TRIPLES[2]))
        self.assertIn("+crt-static", flags)

    def test_rejects_programs_that_need_a_newer_glibc_are_too_large_or_not_static(self):
        self.add_libraries(*TRIPLES)
        (self.world / "function").write_bytes(elf.with_versions(libc=["GLIBC_2.35"]))
        done = self.package()
        self.assertEqual(done.returncode, 1)
        self.assertIn("arm64 needs glibc 2.35, which provided.al2023 does not have", done.stderr)
        (self.world / "function").write_bytes(elf.with_versions(libc=["GLIBC_2.34"]) + os.urandom(6_600_000))
        done = self.package()
        self.assertEqual(done.returncode, 1)
        self.assertIn("bootstrap-arm64.zip is too large", done.stderr)
        (self.world / "function").write_bytes(elf.with_versions(libc=["GLIBC_2.34"]))
        (self.world / "command").write_bytes(elf.with_headers(elf.PT_INTERP))
        self.assertIn("is not static", self.package().stderr)


# Creates virtual environments whose pip does nothing.
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
        self.add_libraries(*TRIPLES)
        self.add_command("python3", PYTHON)
        self.source = self.world / "source"
        shutil.copytree(SCRIPT.parent, self.source / "cloudformation")
        shutil.copy(ROOT / "Cargo.toml", self.source)
        (self.source / ".gitignore").write_text("__pycache__\n")
        self.git("init", "--quiet")
        self.git("add", ".")
        self.git("commit", "--quiet", "--message", "all files")

    def git(self, *arguments: str):
        author = ["-c", "user.name=test", "-c", "user.email=test@example.com"]
        subprocess.run(["git", "-C", self.source, *author, *arguments], check=True)

    def reproduce(self) -> subprocess.CompletedProcess:
        scripts = self.source / "cloudformation"
        self.assertEqual(self.run_script(scripts / "package.sh", PYTHON=sys.executable).returncode, 0)
        return self.run_script(scripts / "reproduce.sh", PYTHON=sys.executable, ARCHITECTURES="x86_64")

    def test_succeeds_if_the_bytes_are_the_same(self):
        done = self.reproduce()
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn("Identical: 2 files of two clones.", done.stdout)

    def test_fails_if_a_program_contains_the_path_of_its_folder(self):
        self.add_command("cargo", CARGO + '[ "$kind" != lambda ] || pwd >>"$folder/bootstrap/bootstrap"\n')
        done = self.reproduce()
        self.assertEqual(done.returncode, 1)
        self.assertIn("bootstrap-x86_64.zip", done.stderr)
        self.assertIn("differ", done.stderr)

    def test_rejects_uncommitted_changes(self):
        (self.source / "Cargo.toml").write_text("changed")
        done = self.reproduce()
        self.assertEqual(done.returncode, 1)
        self.assertIn("commit them", done.stderr)


if __name__ == "__main__":
    unittest.main()
