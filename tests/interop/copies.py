"""Checks of copies from and to every kind of registry."""

import json
import re
import subprocess

import comparison
import images
from registries import Registry
from stall import StallingProxy
from world import CREDENTIALS, TIMEOUT, World


def check_formats(world: World, destination: Registry, *options):
    """Copies images and indexes of every format, and compares them."""
    for name in ["oci:amd64", "v2s2:arm64", "oci:all", "v2s2:all", "oci:by-hand"]:
        world.check_copy(f"{world.source.host}/{name}", f"{destination.host}/copies/{name}", *options)
        comparison.check_same(world.source, name, destination, f"copies/{name}")


def check_plain_http(world: World):
    """every format over plain HTTP"""
    check_formats(world, world.plain)


def check_tls(world: World):
    """every format to a registry with its own CA certificate"""
    check_formats(world, world.tls, "--ca-file", world.ca.certificate)


def check_plain_http_elsewhere(world: World):
    """plain HTTP to another machine only with --plain-http"""
    proxy = StallingProxy(world.source)
    proxy.resume.set()
    try:
        proxies = {"HTTP_PROXY": f"http://{proxy.host}", "HTTPS_PROXY": f"http://{proxy.host}"}
        environment = {**world.environment(), **proxies, "NO_PROXY": "127.0.0.1"}
        command = world.command("registry.example/oci:amd64", f"{world.plain.host}/elsewhere:1")
        options = {"env": environment, "capture_output": True, "text": True, "timeout": TIMEOUT}
        done = subprocess.run(command, **options)
        assert done.returncode == 1 and done.stderr.count("\n") == 1, done
        assert not proxy.stalled.is_set() and not world.plain.has("elsewhere", "1")
        done = subprocess.run([*command, "--plain-http", "registry.example"], **options)
        assert done.returncode == 0, done.stderr
        comparison.check_same(world.source, "oci:amd64", world.plain, "elsewhere:1")
    finally:
        proxy.stop()


def check_credentials(world: World):
    """every format to a registry that requires credentials, and from there to another"""
    trusted = ["--ca-file", world.ca.certificate]
    check_formats(world, world.private, *trusted)
    world.check_copy(f"{world.private.host}/copies/oci:all", f"{world.plain.host}/from/private:all", *trusted)
    comparison.check_same(world.private, "copies/oci:all", world.plain, "from/private:all")


def check_newest(world: World):
    """every format to Distribution 3 with credentials, and from there to another"""
    trusted = ["--ca-file", world.ca.certificate]
    check_formats(world, world.newest, *trusted)
    world.check_copy(f"{world.newest.host}/copies/oci:all", f"{world.private.host}/from/newest:all", *trusted)
    comparison.check_same(world.newest, "copies/oci:all", world.private, "from/newest:all")
    world.check_failure("Log in again", f"{world.source.host}/oci:all", f"{world.newest.host}/oci:1", *trusted,
                  credentials=world.wrong_credentials)


def check_api_of_referrers(world: World):
    """every format to a registry with the referrers API, and from there to another"""
    check_formats(world, world.referring)
    world.check_copy(f"{world.referring.host}/copies/oci:all", f"{world.plain.host}/from/referring:all")
    comparison.check_same(world.referring, "copies/oci:all", world.plain, "from/referring:all")


def check_referrers(world: World):
    """referrers are copied with --include-referrers"""
    source, destination = world.referring, f"{world.referring.host}/signed/copy"
    world.check_copy(f"{world.source.host}/oci:amd64", f"{source.host}/signed/original:1")
    headers, subject = source.get("/v2/signed/original/manifests/1")
    digest = headers["Docker-Content-Digest"]
    artifact = images.push_referrer(source, "signed/original", digest, len(subject))
    world.check_copy(f"{source.host}/signed/original:1", f"{destination}:without")
    assert not world.referring.referrers("signed/copy", digest)
    line = world.check_copy(f"{source.host}/signed/original:1", f"{destination}:with", "--include-referrers")
    assert world.referring.referrers("signed/copy", digest) == [artifact], line
    assert source.get(f"/v2/signed/copy/manifests/{artifact}")[1] == source.get(
        f"/v2/signed/original/manifests/{artifact}")[1]


def check_credential_helper(world: World):
    """credentials from a credential helper"""
    folder, programs = world.folder / "docker-helper", world.folder / "programs"
    folder.mkdir(), programs.mkdir()
    (folder / "config.json").write_text(json.dumps({"credHelpers": {world.private.host: "interop"}}))
    helper = programs / "docker-credential-interop"
    response = json.dumps({"ServerURL": "", "Username": CREDENTIALS[0], "Secret": CREDENTIALS[1]})
    helper.write_text(f"#!/bin/sh\n[ \"$1\" = get ] && cat <<'END'\n{response}\nEND\n")
    helper.chmod(0o755)
    environment = world.environment(folder)
    environment["PATH"] = f"{programs}:{environment['PATH']}"
    command = world.command(f"{world.source.host}/oci:arm64", f"{world.private.host}/helped:1",
                            "--ca-file", world.ca.certificate)
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=TIMEOUT)
    assert done.returncode == 0, done.stderr
    comparison.check_same(world.source, "oci:arm64", world.private, "helped:1")


def check_platform(world: World):
    """one platform of an index, with the tag of the source"""
    for manifest_format in ["oci", "v2s2"]:
        world.check_copy(f"{world.source.host}/{manifest_format}:all", f"{world.plain.host}/one/{manifest_format}",
                     "--platform", "linux/arm64")
        comparison.check_same(world.source, f"{manifest_format}:arm64", world.plain, f"one/{manifest_format}:all")
        inspected = images.run("skopeo", "--insecure-policy", "inspect", "--config", "--tls-verify=false",
                               f"docker://{world.plain.host}/one/{manifest_format}:all")
        assert json.loads(inspected)["architecture"] == "arm64"


def check_digest(world: World):
    """a digest in the reference is copied even if the tag names another image"""
    headers, _ = world.source.get("/v2/oci/manifests/amd64")
    pinned = f"{world.source.host}/oci:all@{headers['Docker-Content-Digest']}"
    line = world.check_copy(pinned, f"{world.plain.host}/pinned")
    assert headers["Docker-Content-Digest"] in line, line
    comparison.check_same(world.source, "oci:amd64", world.plain, "pinned:all")


def check_second_copy(world: World):
    """the second copy writes nothing"""
    arguments = [f"{world.source.host}/oci:all", f"{world.plain.host}/twice:all"]
    assert re.search(r": [1-9]\d* blobs copied", world.check_copy(*arguments))
    before = [(registry, len(registry.requests())) for registry in [world.source, world.plain]]
    line = world.check_copy(*arguments)
    assert "nothing to do" in line, line
    (from_source, to_destination) = [registry.requests()[seen:] for registry, seen in before]
    assert all(method == "HEAD" or path == "/v2/" for method, path in from_source), from_source
    assert all(method in ["GET", "HEAD"] for method, _ in to_destination), to_destination


def check_mount(world: World):
    """blobs are mounted between repositories of one registry"""
    world.check_copy(f"{world.source.host}/oci:all", f"{world.plain.host}/here:all")
    before = len(world.plain.requests())
    world.check_copy(f"{world.plain.host}/here:all", f"{world.plain.host}/there:all")
    requests = world.plain.requests()[before:]
    moved = [request for request in requests if request[0] in ["PATCH", "PUT"] and "/blobs/" in request[1]]
    assert not moved, moved
    comparison.check_same(world.source, "oci:all", world.plain, "there:all")


def check_failures(world: World):
    """failures cause one line and exit code 1"""
    source, plain = world.source.host, world.plain.host
    trusted = ["--ca-file", world.ca.certificate]
    private = f"{world.private.host}/oci:1"
    world.check_failure("Log in again", f"{source}/oci:all", private, *trusted, credentials=world.wrong_credentials)
    none = world.folder / "none"
    world.check_failure("log in: docker login", f"{source}/oci:all", private, *trusted, credentials=none)
    world.check_failure("log in: docker login", private, f"{plain}/x:1", *trusted, credentials=none)
    missing = "Check the repository, the tag and the digest in SOURCE"
    world.check_failure(missing, f"{source}/oci:missing", f"{plain}/x:1")
    world.check_failure(missing, f"{source}/missing:1", f"{plain}/x:1")
    world.check_failure("Change --platform", f"{source}/oci:all", f"{plain}/x:1", "--platform", "linux/s390x")
    world.check_failure("Change --platform", f"{source}/oci:amd64", f"{plain}/x:1", "--platform", "linux/arm64")
    world.check_failure("--ca-file", f"{source}/oci:all", f"{world.tls.host}/x:1")
    # Because the host is given, TLS is not tried.
    world.check_failure(f"Remove --plain-http {world.tls.host}", f"{source}/oci:all", f"{world.tls.host}/x:1",
                  "--plain-http", world.tls.host, *trusted)
    assert not world.plain.has("x", "1")


CHECKS = [
    check_plain_http, check_plain_http_elsewhere, check_tls, check_credentials, check_newest, check_api_of_referrers,
    check_referrers, check_credential_helper, check_platform, check_digest, check_second_copy, check_mount, check_failures,
]
