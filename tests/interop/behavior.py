"""Checks of how the program behaves: what it prints, how it ends."""

import os
import pty
import select
import signal
import subprocess

import comparison
from stall import StallingFront
from world import TIMEOUT, World, no_secret_in


def check_dry_run(world: World):
    """a dry run says what it would do, and does nothing"""
    before = len(world.plain.requests())
    done = world.copy(f"{world.source.host}/oci:all", f"{world.plain.host}/dry:1", "--dry-run")
    quiet = world.copy(f"{world.source.host}/oci:all", f"{world.plain.host}/dry:1", "--dry-run", "--quiet")
    assert quiet.stdout == done.stdout, quiet
    assert done.returncode == 0 and "linux/amd64, linux/arm64" in done.stdout, done
    assert all(method in ["GET", "HEAD"] for method, _ in world.plain.requests()[before:])
    assert not world.plain.has("dry", "1")


def check_lost_output(world: World):
    """a result that cannot be written is exit code 1 and one line"""
    images_named = [f"{world.source.host}/oci:amd64", f"{world.plain.host}/lost:1"]
    for command in [[world.program, "--help"], [world.program, "copy", "--help"], [world.program, "--version"],
                    world.command(*images_named, "--dry-run"), world.command(*images_named)]:
        with open("/dev/full", "w") as full:
            done = subprocess.run(command, env=world.environment(), stdout=full, stderr=subprocess.PIPE,
                                  text=True, timeout=TIMEOUT)
        assert done.returncode == 1 and done.stderr.count("\n") == 1, done
        assert "standard output cannot be written" in done.stderr, done
    assert "the image was copied" in done.stderr and world.plain.has("lost", "1"), done


def check_verbose(world: World):
    """--verbose tells more, and no secret"""
    arguments = [f"{world.source.host}/oci:arm64", f"{world.private.host}/verbose:1", "--verbose",
                 "--certificate-authority", world.authority.certificate]
    failed = world.copy(*arguments, logins=world.wrong_logins)
    assert failed.returncode == 1 and "while" in failed.stderr and "request: " in failed.stderr, failed.stderr
    done = world.copy(*arguments)
    assert done.returncode == 0 and "tag moved" in done.stderr, done.stderr
    assert 0 < done.stderr.count("blob to copy") == done.stderr.count("blob copied"), done.stderr
    no_secret_in(failed.stderr + done.stderr)
    quiet = world.copy(*arguments[:2], "--quiet", *arguments[3:])
    assert quiet.returncode == 0 and not quiet.stdout + quiet.stderr, quiet


def check_usage(world: World):
    """what was typed wrongly is exit code 2"""
    wrong = [["a", "--to", "https://b"], ["a"], ["a", "--to", "b", "--platform", "linux"], ["A", "--to", "b"]]
    for arguments in wrong:
        done = subprocess.run([world.program, "copy", *arguments], capture_output=True, text=True, timeout=TIMEOUT)
        assert done.returncode == 2 and done.stderr.startswith("error:"), done


def check_interrupt(world: World):
    """Ctrl-C or SIGTERM in the middle of a blob: a bar until then, one line, no tag; then again"""
    for signal_sent, code, word in [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")]:
        ended_by(world, signal_sent, code, word)


def ended_by(world: World, signal_sent: int, code: int, word: str):
    front = StallingFront(world.source)
    arguments = [f"{front.host}/oci:all", f"{world.plain.host}/{word}:1"]
    master, terminal = pty.openpty()
    try:
        child = subprocess.Popen(world.command(*arguments), env={**world.environment(), "TERM": "xterm"},
                                 stdout=subprocess.PIPE, stderr=terminal)
        os.close(terminal)
        assert front.stalled.wait(TIMEOUT), "no blob was asked for"
        bar = read_until(master, "blobs")
        assert "MiB" in bar, bar
        child.send_signal(signal_sent)
        output, _ = child.communicate(timeout=TIMEOUT)
        said = read_until(master, word)
        assert child.returncode == code and not output, (child.returncode, output, said)
        assert f"{word}: the tag" in said and "was not written" in said, said
        assert not world.plain.has(word, "1")
        front.may_go_on.set()
        world.copied(*arguments)
        comparison.check_same(world.source, "oci:all", world.plain, f"{word}:1")
    finally:
        os.close(master)
        front.stop()


def read_until(terminal: int, expected: str) -> str:
    """What a terminal shows until `expected` is among it."""
    shown = ""
    while expected not in shown and select.select([terminal], [], [], TIMEOUT)[0]:
        shown += os.read(terminal, 65536).decode()
    assert expected in shown, f"{expected!r} does not show: {shown!r}"
    return shown


CHECKS = [check_dry_run, check_lost_output, check_verbose, check_usage, check_interrupt]
