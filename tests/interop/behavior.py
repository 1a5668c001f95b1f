"""Checks of the output and the exit codes of the program."""

import os
import pty
import select
import signal
import subprocess

import comparison
from stall import StallingProxy
from world import TIMEOUT, World, check_no_secrets


def check_dry_run(world: World):
    """a dry run prints the plan and writes nothing"""
    before = len(world.plain.requests())
    done = world.copy(f"{world.source.host}/oci:all", f"{world.plain.host}/dry:1", "--dry-run")
    quiet = world.copy(f"{world.source.host}/oci:all", f"{world.plain.host}/dry:1", "--dry-run", "--quiet")
    assert quiet.stdout == done.stdout, quiet
    assert done.returncode == 0 and "linux/amd64, linux/arm64" in done.stdout, done
    assert all(method in ["GET", "HEAD"] for method, _ in world.plain.requests()[before:])
    assert not world.plain.has("dry", "1")


def check_lost_output(world: World):
    """output that cannot be written causes exit code 1 and one line"""
    references = [f"{world.source.host}/oci:amd64", f"{world.plain.host}/lost:1"]
    for command in [[world.program, "--help"], [world.program, "copy", "--help"], [world.program, "--version"],
                    world.command(*references, "--dry-run"), world.command(*references)]:
        with open("/dev/full", "w") as full:
            done = subprocess.run(command, env=world.environment(), stdout=full, stderr=subprocess.PIPE,
                                  text=True, timeout=TIMEOUT)
        assert done.returncode == 1 and done.stderr.count("\n") == 1, done
        assert "standard output cannot be written" in done.stderr, done
    assert "the image was copied" in done.stderr and world.plain.has("lost", "1"), done


def check_verbose(world: World):
    """--verbose prints details and no secrets"""
    arguments = [f"{world.source.host}/oci:arm64", f"{world.private.host}/verbose:1", "--verbose",
                 "--ca-file", world.ca.certificate]
    failed = world.copy(*arguments, credentials=world.wrong_credentials)
    assert failed.returncode == 1 and "step: " in failed.stderr and "request: " in failed.stderr, failed.stderr
    done = world.copy(*arguments)
    assert done.returncode == 0 and "tag moved" in done.stderr, done.stderr
    assert 0 < done.stderr.count("blob to copy") == done.stderr.count("blob copied"), done.stderr
    check_no_secrets(failed.stderr + done.stderr)
    quiet = world.copy(*arguments[:2], "--quiet", *arguments[3:])
    assert quiet.returncode == 0 and not quiet.stdout + quiet.stderr, quiet


def check_usage(world: World):
    """invalid arguments cause exit code 2"""
    invalid = [["a", "--to", "https://b"], ["a"], ["a", "--to", "b", "--platform", "linux"], ["A", "--to", "b"]]
    for arguments in invalid:
        done = subprocess.run([world.program, "copy", *arguments], capture_output=True, text=True, timeout=TIMEOUT)
        assert done.returncode == 2 and done.stderr.startswith("error:"), done


def check_interrupt(world: World):
    """Ctrl-C or SIGTERM during a blob: progress bar, one line, no tag; the next copy succeeds"""
    for signal_sent, code, word in [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")]:
        check_signal(world, signal_sent, code, word)


def check_signal(world: World, signal_sent: int, code: int, word: str):
    proxy = StallingProxy(world.source)
    arguments = [f"{proxy.host}/oci:all", f"{world.plain.host}/{word}:1"]
    master, terminal = pty.openpty()
    try:
        child = subprocess.Popen(world.command(*arguments), env={**world.environment(), "TERM": "xterm"},
                                 stdout=subprocess.PIPE, stderr=terminal)
        os.close(terminal)
        assert proxy.stalled.wait(TIMEOUT), "no blob was requested"
        bar = read_until(master, "blobs")
        assert "MiB" in bar, bar
        child.send_signal(signal_sent)
        output, _ = child.communicate(timeout=TIMEOUT)
        output_text = read_until(master, word)
        assert child.returncode == code and not output, (child.returncode, output, output_text)
        assert f"{word}: the tag" in output_text and "was not written" in output_text, output_text
        assert not world.plain.has(word, "1")
        proxy.resume.set()
        world.check_copy(*arguments)
        comparison.check_same(world.source, "oci:all", world.plain, f"{word}:1")
    finally:
        os.close(master)
        proxy.stop()


def read_until(terminal: int, expected: str) -> str:
    """Reads the output of a terminal until it contains `expected`."""
    shown = ""
    while expected not in shown and select.select([terminal], [], [], TIMEOUT)[0]:
        shown += os.read(terminal, 65536).decode()
    assert expected in shown, f"{expected!r} is missing: {shown!r}"
    return shown


CHECKS = [check_dry_run, check_lost_output, check_verbose, check_usage, check_interrupt]
