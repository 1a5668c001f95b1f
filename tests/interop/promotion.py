"""Checks of promotion: an image is copied from one repository of a registry to another, with tokens."""

import json
from base64 import b64encode
from pathlib import Path

import comparison
from mount_rejection import MountRejection
from registries import Registry
from token_service import CHECKER, TokenService
from world import World

BOTH = {"team/app": {"pull", "push"}, "prod/app": {"pull", "push"}}
USERS = {
    CHECKER[0]: (CHECKER[1], BOTH),
    "promoter": ("promoter: password", BOTH),
    "reader": ("reader-password", {"team/app": {"pull"}}),
    "writer": ("writer-password", {"prod/app": {"pull", "push"}}),
}


class Promotion:
    """A registry with a token service, and an image in `team/app`."""

    def __init__(self, world: World, name: str, one_scope=False, **options):
        self.world, self.name = world, name
        self.tokens = TokenService(world.ca, USERS, one_scope)
        self.registry: Registry = world.registry(f"tokens-{name}", world.ca, CHECKER, tokens=self.tokens,
                                                 **options)

    def __enter__(self):
        self.copy(f"{self.world.source.host}/oci:all", f"{self.registry.host}/team/app:1",
                  self.config_folder({self.registry.host: "promoter"}))
        return self

    def __exit__(self, *_):
        self.registry.stop()
        self.tokens.stop()

    def config_folder(self, users: dict[str, str]) -> Path:
        """Creates a folder with a `config.json` that has a user for each host or repository prefix."""
        folder = self.world.folder / f"config-{self.name}-{len(list(self.world.folder.iterdir()))}"
        folder.mkdir()
        auths = {key: {"auth": b64encode(f"{user}:{USERS[user][0]}".encode()).decode()}
                 for key, user in users.items()}
        (folder / "config.json").write_text(json.dumps({"auths": auths}))
        return folder

    def copy(self, source: str, destination: str, credentials: Path) -> str:
        done = self.world.copy(source, destination, "--ca-file", self.world.ca.certificate,
                               credentials=credentials)
        assert done.returncode == 0, f"exit {done.returncode}: {done.stderr}"
        return done.stdout

    def promote(self, users: dict[str, str], host: str | None = None) -> tuple[list[str], list[str]]:
        """Promotes the image. Returns the paths of the requested mounts and of the uploads with content."""
        host = host or self.registry.host
        before = len(self.registry.requests())
        self.copy(f"{host}/team/app:1", f"{host}/prod/app:1", self.config_folder(users))
        comparison.check_same(self.world.source, "oci:all", self.registry, "prod/app:1")
        requests = self.registry.requests()[before:]
        return ([path for method, path in requests if method == "POST" and "mount=" in path],
                [path for method, path in requests if method in ["PATCH", "PUT"] and "/blobs/" in path])

    def combined_requests(self) -> int:
        """Returns the number of token requests for both pull from the source and push to the destination."""
        return sum("pull" in grant.requested.get("team/app", ()) and "push" in grant.requested.get("prod/app", ())
                   for grant in self.tokens.grants)


def check_mount(promotion: Promotion):
    mounts, uploads = promotion.promote({promotion.registry.host: "promoter"})
    assert promotion.combined_requests(), promotion.tokens.grants
    assert mounts and not uploads, f"uploaded although the token allows mounts: {uploads}"


def check_promotion_2(world: World):
    """promotion within Distribution 2: the token covers both repositories, and every blob is mounted"""
    with Promotion(world, "2") as promotion:
        check_mount(promotion)


def check_promotion_3(world: World):
    """promotion within Distribution 3: the token covers both repositories, and every blob is mounted"""
    with Promotion(world, "3", program=world.built / "distribution-3") as promotion:
        check_mount(promotion)


def check_source_not_granted(world: World):
    """without access to the source for the user who pushes, blobs are uploaded"""
    for name, program in [("2-apart", "docker-registry"), ("3-apart", world.built / "distribution-3")]:
        with Promotion(world, name, program=program) as promotion:
            host = promotion.registry.host
            _, uploads = promotion.promote({f"{host}/team": "reader", f"{host}/prod": "writer"})
            assert uploads, "the blobs were neither mounted nor uploaded"
            users = {grant.user for grant in promotion.tokens.grants if "prod/app" in grant.requested}
            users.discard(CHECKER[0])
            assert users == {"writer"}, f"credentials of another repository prefix were sent: {users}"


def check_one_scope(world: World):
    """if the token service rejects a token for two repositories, blobs are uploaded with a token for one"""
    with Promotion(world, "2-single", one_scope=True) as promotion:
        _, uploads = promotion.promote({promotion.registry.host: "promoter"})
        assert uploads, "the blobs were neither mounted nor uploaded"


def check_mount_rejected(world: World):
    """if the registry rejects mounts with any status, blobs are uploaded"""
    for status in [401, 403, 404, 405, 501]:
        with Promotion(world, f"2-{status}") as promotion:
            front = MountRejection(promotion.registry, status)
            try:
                _, uploads = promotion.promote({front.host: "promoter"}, front.host)
                assert front.rejected and uploads, (front.rejected, uploads)
            finally:
                front.stop()


CHECKS = [check_promotion_2, check_promotion_3, check_source_not_granted, check_one_scope, check_mount_rejected]
