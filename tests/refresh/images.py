"""The 200 images of the tests: their sources, their repositories in ECR, and the five that are broken."""

from world import World

# Hosts of the sources. Docker Hub's limit of 100 anonymous pulls is for 50 images, with two manifests each.
HOSTS = ["docker.io", "ghcr.io", "quay.io", "registry.example.com", "registry.example.org"]
PREFIX = "mirror"
ECR = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"

# References that can be copied.
GOOD = [f"{HOSTS[number % len(HOSTS)]}/acme/app-{number}:1.0" for number in range(195)]
MISSING_TAG = "docker.io/acme/missing-tag:1.0"
MISSING_SOURCE = "ghcr.io/acme/missing-source:1.0"
PRIVATE = "quay.io/acme/private:1.0"
OTHER_PLATFORM = "registry.example.com/acme/other-platform:1.0"
MISSING_REPOSITORY = "registry.example.org/acme/missing-repository:1.0"
# References that fail, with the class and a part of the message.
BROKEN = {
    MISSING_TAG: ("NotFound", "was not found: Docker Hub"),
    MISSING_SOURCE: ("AccessDenied", 'ghcr.io returned 403 DENIED "requested access to the resource is denied"'),
    PRIVATE: ("AccessDenied", "quay.io returned 401 UNAUTHORIZED"),
    OTHER_PLATFORM: ("NotFound", "is not available for linux/amd64. Available: linux/arm64."),
    MISSING_REPOSITORY: ("NotFound", "The repository with name 'mirror/acme/missing-repository' does not exist"),
}

# Effects on the sources and on ECR. Each one ends after a number of requests. A wait of ten minutes is longer
# than an invocation, so the function fails and Step Functions repeats it.
BURSTS = [
    {
        "match": {"host": "registry.example.com", "operation": "manifest.head", "skip": 20, "times": 12},
        "effect": "status", "code": 429, "headers": {"retry-after": "600"},
    },
    {
        "match": {"host": "registry.example.org", "operation": "manifest.get", "skip": 10, "times": 12},
        "effect": "status", "code": 429,
    },
    {
        "match": {"operation": "ecr:BatchGetImage", "skip": 100, "times": 12},
        "effect": "api-error", "error": "ThrottlingException", "message": "Rate exceeded",
    },
    {
        "match": {"host": ECR, "operation": "manifest.put", "skip": 50, "times": 12},
        "effect": "status", "code": 429,
        "body": '{"errors": [{"code": "TOOMANYREQUESTS", "message": "Rate exceeded"}]}',
    },
]


def source(reference: str) -> str:
    """Returns the repository of a reference, as the sources log it."""
    return reference.split("/", 1)[1].split(":")[0]


def name(reference: str) -> str:
    """Returns the repository and tag of a copy: the path of the source below the prefix."""
    return f"{PREFIX}/{reference.split('/', 1)[1]}"


def list_text() -> str:
    """Returns the list of all images."""
    return "images:\n" + "".join(f"  - source: {reference}\n" for reference in [*GOOD, *BROKEN])


def publish(world: World):
    """Stores the images in their source registries, and creates the repositories in ECR."""
    for seed, reference in enumerate([*GOOD, PRIVATE, OTHER_PLATFORM, MISSING_REPOSITORY]):
        platforms = ["linux/arm64"] if reference == OTHER_PLATFORM else ["linux/amd64", "linux/arm64"]
        world.run("image", reference=reference, seed=seed, platforms=platforms)
    world.run("image", reference=MISSING_TAG.replace(":1.0", ":2.0"), seed=1000)
    world.run("private", reference=PRIVATE)
    existing = {*GOOD, *BROKEN} - {MISSING_REPOSITORY}
    world.run("repositories", names=[f"{PREFIX}/{source(reference)}" for reference in sorted(existing)])
