#!/usr/bin/env python3
"""Writes a source tree for measurements of `container-image list`: tree.py FOLDER [FILES]

The mix of files is that of a large repository. The same arguments always produce the same bytes.
"""

import json
import random
import sys
from pathlib import Path

# Suffix, share of the files in percent, and mean number of lines.
KINDS = [
    (".go", 30, 220),
    (".py", 15, 160),
    (".yaml", 20, 60),
    (".json", 8, 120),
    (".md", 12, 90),
    (".tf", 5, 70),
    (".sh", 4, 50),
    ("Dockerfile", 3, 20),
    (".template", 3, 150),
]

WORDS = "the client reads every value of a request and returns an error if its context ends before the result".split()
HOSTS = ["docker.io/library", "ghcr.io/acme", "quay.io/acme", "registry.k8s.io", "public.ecr.aws/acme"]


def image(rng):
    return f"{rng.choice(HOSTS)}/app{rng.randrange(50)}:{rng.randrange(9)}.{rng.randrange(30)}"


def sentence(rng):
    return " ".join(rng.choice(WORDS) for _ in range(rng.randrange(4, 14)))


def source(rng, comment):
    choice = rng.randrange(20)
    if choice == 0:
        return f'{comment} See https://example.com/{rng.choice(WORDS)}/{rng.randrange(999)}#L{rng.randrange(99)}.'
    if choice == 1:
        return f'    path := "internal/{rng.choice(WORDS)}/{rng.choice(WORDS)}.go:{rng.randrange(99)}"'
    if choice < 6:
        return f"{comment} {sentence(rng)}"
    return f"    {rng.choice(WORDS)}{rng.randrange(99)} = {rng.choice(WORDS)}({rng.randrange(999)}, \"{sentence(rng)}\")"


def kubernetes(rng, lines):
    text = f"apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: app{rng.randrange(99)}\nspec:\n  template:\n    spec:\n      containers:\n"
    for number in range(max(1, lines // 8)):
        text += f"      - name: c{number}\n        image: {image(rng)}\n        args: [\"--level={number}\"]\n        env:\n"
        text += "".join(f"        - {{name: V{at}, value: \"{rng.choice(WORDS)}\"}}\n" for at in range(4))
    return text


def chart(rng, lines):
    text = "".join(f"# {sentence(rng)}\nkey{at}: {{{{ .Values.{rng.choice(WORDS)} }}}}\n" for at in range(lines // 2))
    return text + 'image: "{{ .Values.image.repository }}:{{ .Values.image.tag }}"\n'


def values(rng, lines):
    text = f"image:\n  repository: {rng.choice(HOSTS)}/app\n  tag: \"{rng.randrange(9)}.1\"\n"
    return text + "".join(f"# {sentence(rng)}\noption{at}:\n  enabled: true\n" for at in range(lines // 3))


def template(rng, lines):
    text = "AWSTemplateFormatVersion: '2010-09-09'\nResources:\n"
    for number in range(max(1, lines // 10)):
        text += f"  R{number}:\n    Type: AWS::Lambda::Function\n    Properties:\n      Description: {sentence(rng)}\n"
        text += f"      Code: {{ImageUri: {image(rng)}}}\n      Environment:\n        Variables:\n"
        text += "".join(f"          V{at}: !Sub '${{AWS::StackName}}-{at}'\n" for at in range(4))
    return text


def document(rng, lines):
    entries = [{"id": at, "name": sentence(rng), "url": f"https://example.com/{at}"} for at in range(lines // 5)]
    return json.dumps({"name": "data", "entries": entries}, indent=2) + "\n"


def content(rng, suffix, lines):
    if suffix == ".yaml":
        return rng.choice([kubernetes, chart, values])(rng, lines)
    if suffix == ".json":
        return document(rng, lines)
    if suffix == ".template":
        return template(rng, lines)
    if suffix == "Dockerfile":
        steps = "".join(f"RUN {rng.choice(WORDS)} --option={at} && \\\n    {sentence(rng)}\n" for at in range(lines // 2))
        return f"FROM {image(rng)} AS build\n{steps}FROM {image(rng)}\nCOPY --from=build /app /app\n"
    if suffix == ".md":
        return "".join(f"{sentence(rng)}.\n\n" if at % 9 else f"```sh\ndocker pull {image(rng)}\n```\n" for at in range(lines))
    comment = "//" if suffix == ".go" else "#"
    return "".join(source(rng, comment) + "\n" for _ in range(lines))


def main():
    folder, files = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 20_000
    rng = random.Random(files)
    suffixes = [suffix for suffix, share, _ in KINDS for _ in range(share)]
    mean_lines = {suffix: mean for suffix, _, mean in KINDS}
    for number in range(files):
        suffix = rng.choice(suffixes)
        # Folders have about 12 files and are two or three levels deep.
        place = folder / f"area{number // 400}" / f"part{number // 60}" / f"module{number // 12}"
        place.mkdir(parents=True, exist_ok=True)
        name = suffix if not suffix.startswith(".") else f"file{number}{suffix}"
        name = f"{name}.{number}" if name == "Dockerfile" else name
        lines = max(3, int(rng.expovariate(1 / mean_lines[suffix])))
        (place / name).write_text(content(rng, suffix, lines), encoding="utf-8")


main()
