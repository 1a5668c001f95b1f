use super::*;

#[track_caller]
fn check(text: &str, expected: &[&str]) {
    let found = find(text.as_bytes());
    let range = |found: &ImageMatch| found.range();
    let texts: Vec<&str> = found.iter().map(|found| &text[range(found)]).collect();
    assert_eq!(texts, expected, "{text}");
    let digest = format!("sha256:{}", "a".repeat(64));
    let pinned: Vec<String> = found.iter().map(|one| one.image.with_digest(&digest).to_string()).collect();
    let changes: Vec<_> = found.iter().flat_map(|one| one.changes(&one.image.with_digest(&digest))).collect();
    let after = crate::edit::apply(text.as_bytes(), &changes);
    let again: Vec<String> = find(&after).iter().map(|found| found.image.to_string()).collect();
    assert_eq!(again, pinned, "{text}");
}

#[test]
fn recognizes_names_of_dockerfiles() {
    for name in [
        "Dockerfile",
        "a/dockerfile",
        "Containerfile.dev",
        "app.Dockerfile",
        "Dockerfile-alpine",
        "Dockerfile.j2",
    ] {
        assert!(is_dockerfile(Path::new(name)), "{name}");
    }
    for name in
        ["Dockerfile.dockerignore", "dockerfiles", "dockerfile_linter.py.txt/x", "a.txt", "MyDockerfile"]
    {
        assert!(!is_dockerfile(Path::new(name)), "{name}");
    }
}

#[test]
fn reads_images_of_stages() {
    check("FROM nginx", &["nginx"]);
    check("from node:20 as build\nFROM build\nFROM BUILD AS x\nFROM scratch\nFROM x", &["node:20"]);
    check("FROM --platform=$BUILDPLATFORM golang:1.23 AS build", &["golang:1.23"]);
    check("FROM \\\n  # comment\n\n  golang:1.23 \\\n  AS build\nCOPY --from=build /a /b", &["golang:1.23"]);
    check("FROM \"acme/app:1\"\r\nFROM node AS node\r\nFROM node\r\n", &["acme/app:1", "node"]);
    check("FROM ${X}/a:1\nFROM a:$V\nFROM a:{{ v }}\nFROM <image>\nFROM\nFROM a:1-${V}\n", &[]);
    check("# escape=`\nFROM a:1 `\n AS b\nFROM b\nRUN docker pull `\n c:1", &["a:1", "c:1"]);
    check("ONBUILD FROM a:1\nONBUILD COPY --from=b:1 / /", &["a:1", "b:1"]);
}

#[test]
fn reads_defaults_of_used_arguments() {
    check("ARG BASE=node:20\nFROM ${BASE}", &["node:20"]);
    check("ARG BASE=\"node\"\nFROM $BASE AS x", &["node"]);
    check("ARG A=node:20\nARG B=$A C=d:1\nFROM ${B}", &["node:20"]);
    check("ARG BASE=node:20\nFROM ${BASE:-python:3}", &["node:20", "python:3"]);
    check("FROM ${BASE-python}", &["python"]);
    check("ARG BASE=node:20\nFROM alpine\nARG BASE=x:1", &["alpine"]);
    check(
        "ARG V=20\nFROM node:$V\nARG BASE=ghcr.io/a/b:1\nARG NODE_IMAGE=node:20",
        &["ghcr.io/a/b:1", "node:20"],
    );
    check("ARG BASE=build\nFROM a:1 AS build\nFROM $BASE\nARG BASE", &["a:1"]);
}

#[test]
fn reads_sources_of_files() {
    check(
        "FROM a:1 AS s\nCOPY --chown=1:1 --from=b:1 /x /y\nCOPY --from=s / /\nCOPY --from=0 / /",
        &["a:1", "b:1"],
    );
    check("COPY --from=composer /usr/bin/composer /bin/\nADD --from=$X / /", &["composer"]);
    check(
        "FROM a:1 AS s\nRUN --mount=type=bind,from=b:1,target=/x --mount=type=cache,from=s x",
        &["a:1", "b:1"],
    );
    check(
        "RUN --mount=from=ghcr.io/a/uv:1,source=/uv,target=/uv docker pull c:1",
        &["ghcr.io/a/uv:1", "c:1"],
    );
}

#[test]
fn reads_directives_comments_and_scripts() {
    check("# syntax=docker/dockerfile:1\nFROM a", &["docker/dockerfile:1", "a"]);
    check(
        "#check=skip=all\n# Syntax = docker.io/docker/dockerfile:1.7\n",
        &["docker.io/docker/dockerfile:1.7"],
    );
    check("\u{feff}# syntax=docker/dockerfile:1", &["docker/dockerfile:1"]);
    check("# a comment\n# syntax=docker/dockerfile:1\n# FROM b:1\n# see ghcr.io/a/b:1", &["ghcr.io/a/b:1"]);
    check("RUN <<EOF\nFROM x:1\ndocker pull a:1\nEOF\nFROM b:1", &["a:1", "b:1"]);
    check("COPY <<-\"A\" <<B /x/\nimage: c:1\n\tA\nFROM d:1\nB\nFROM b:1 AS d", &["c:1", "b:1"]);
    check("RUN cat <<EOF\nFROM b:1", &["b:1"]);
    check(
        "RUN echo it's && docker run a:1 \\\n # comment \\\n && docker build -t b:1 .\nLABEL x=\"ghcr.io/a/b:1\"",
        &["a:1", "ghcr.io/a/b:1"],
    );
    check(
        "HEALTHCHECK CMD curl http://localhost:80/a:1\nEXPOSE 80/tcp\n{% if x %}\nFROM a:1\n{% endif %}",
        &["a:1"],
    );
    check("FROM image or from another:tag.\nRUN psql -c \"SELECT id \\\nFROM users:archive\"", &[]);
    find(b"FROM \xff\nARG \xe9=\\");
    find("RUN <<A\n".repeat(1000).as_bytes());
    find("ONBUILD ".repeat(100_000).as_bytes());
}
