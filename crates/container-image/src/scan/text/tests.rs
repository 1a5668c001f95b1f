//! Tables of texts, each with its references.

mod commands;

use super::*;

const DIGEST: &str = "sha256:70d23423bdb3e4e63255cf62747b5cbfce53210778ca2fc3a2544595a0fce3c6";

/// Checks the references, each with its evidence if it is not a field: `registry:`, `guess:`.
#[track_caller]
fn check(text: &str, expected: &[&str]) {
    let found = find(text.as_bytes());
    let texts: Vec<&str> = found.iter().map(|found| &text[found.range()]).collect();
    assert_eq!(texts, expected, "{text}");
    for one in &found {
        assert_eq!(one.image.to_string(), text[one.range()], "{text}");
    }
    pin_twice(text, &found);
}

/// Checks that pinned references are found again.
#[track_caller]
fn pin_twice(text: &str, found: &[ImageMatch]) {
    let pinned: Vec<RawReference> = found.iter().map(|one| one.image.with_digest(DIGEST)).collect();
    let changes: Vec<_> = found.iter().zip(&pinned).flat_map(|(one, target)| one.changes(target)).collect();
    let after = crate::edit::apply(text.as_bytes(), &changes);
    let again: Vec<RawReference> = find(&after).into_iter().map(|one| one.image).collect();
    assert_eq!(again, pinned, "{}", String::from_utf8_lossy(&after));
}

#[track_caller]
fn none(text: &str) {
    check(text, &[]);
}

#[test]
fn a_host_is_evidence() {
    check("FROM docker.io/library/nginx:1.27-alpine AS x", &["docker.io/library/nginx:1.27-alpine"]);
    check("localhost:5000/app:x registry:443/a/b:1", &["localhost:5000/app:x", "registry:443/a/b:1"]);
    check(&format!("gcr.io/a/b@{DIGEST}?"), &[&format!("gcr.io/a/b@{DIGEST}")]);
    check(&format!("(quay.io/a/b:1@{DIGEST})"), &[&format!("quay.io/a/b:1@{DIGEST}")]);
    check("\"a\\ngcr.io/acme/app:1\\n\"", &["gcr.io/acme/app:1"]);
    check("<p>gcr.io/acme/app:1</p> **gcr.io/a/b:2**", &["gcr.io/acme/app:1", "gcr.io/a/b:2"]);
    check("ghcr.io/foo/bar.baz:1.2", &["ghcr.io/foo/bar.baz:1.2"]);
    check("Use gcr.io/acme/app:1.2. It is", &["gcr.io/acme/app:1.2"]);
    check("Error: gcr.io/a/b:1: not found", &["gcr.io/a/b:1"]);
    check("image:gcr.io/acme/app:1 image:localhost:5000/a:1", &["gcr.io/acme/app:1", "localhost:5000/a:1"]);
    let evidence = |text: &str| find(text.as_bytes())[0].evidence;
    assert_eq!(evidence("registry.acme.example/a:1"), Evidence::Guess);
    assert_eq!(evidence("gcr.io/a:1"), Evidence::Registry);
    assert_eq!(evidence("image: gcr.io/a:1"), Evidence::Field);
    assert_eq!(evidence("docker pull registry.acme.example/a:1"), Evidence::Field);
    assert_eq!(evidence("uses: docker://alpine:3"), Evidence::Field);
    for text in
        ["acme/app:1 b/c/d:2", "nginx:3 python:3.9", "gcr.io/a/b", "registry.acme.example/a", "docker://abc"]
    {
        none(text);
    }
}

#[test]
fn other_syntaxes_are_not_references() {
    for text in [
        "http://foo.com/bar:8080 https://me:pw@foo.com/bar:1 s3://bucket/key:1 ssh://git@h.com/p:1",
        "https://x.com/a?image=ghcr.io/a/b:1",
        "arn:aws:ecr:eu-west-1:123456789012:repository/python:latest",
        "arn:${AWS::Partition}:ecr:${AWS::Region}:${AWS::AccountId}:repository/python:latest",
        "git@github.com:acme/app.git user@host.com:a/b:1 actions/checkout@v4 github.com/a/b@v1.2.3",
        "/usr/bin/x:/usr/local ./data/app:1 ../a/b:2 ~/a/b:3 ./data:/data:ro data/app:/app:ro",
        "github.com/acme/app/main.go:12.34,15.2 github.com/acme/app/main.go:12 10.0.0.1/24:80 12/05:30 2026/11/21:08 C:/foo/bar:1 1:2/3:4",
        "ACCOUNT.dkr.ecr.REGION.amazonaws.com/a:1 123456789012.dkr.ecr.REGION.amazonaws.com/a:1 HOST.acme.io/a:1",
        "gcr.io/acme/App:1 gcr.io/a/b: aws/codebuild/standard:7.0 image: aws/codebuild/standard:7.0",
        "gcr.io/a/b@sha256:123 gcr.io/a/b@sha1:8f4b7f84864484a7bf31766abe9204da3cbe65b3",
        "gcr.io/a/b:v gcr.io/a/b:tag docker pull image:tag gcr.io/a/b:x.y.z gcr.io/a/b:1.2…",
        "kubectl taint nodes --all node-role.kubernetes.io/control-plane:NoSchedule-",
        "acme.io/pool:NoExecute app.kubernetes.io/part-of:shop",
        "skopeo copy oci:acme.io/a:1 docker-daemon:acme.io/b:2 containers-storage:acme.io/c:3",
        "{\"oidc.circleci.com/org/0000-1111:aud\": \"x\", 'acme.io/b:1' : 2}",
        "acme.io/a:1: {x: y}\n- acme.io/b:2:\n  c: d\n{acme.io/c:3: d}",
        "{\"gcr.io/a/b:1\" => 1}\n\"gcr.io/a/b:2\" = 3\n",
        "- !!python/name:material.extensions.emoji.twemoji !acme.io/a:1",
        "[\"github>acme/renovate-config:base\", \"local>acme.io/presets:docker\", \"x->gcr.io/a/b:1\"]",
    ] {
        none(text);
    }
}

#[test]
fn an_expression_continues_a_reference() {
    for text in [
        "$REGISTRY/app:1.0 {{ registry }}/app:1.0 $(REGISTRY)/app:1.0 %REG%/app:1 <registry>/app:1 @REG@/app:1",
        "${AWS::AccountId}.dkr.ecr.${AWS::Region}.amazonaws.com/app:1.0 ${X}gcr.io/a:1 %sgcr.io/a:1",
        "gcr.io/a/b:$TAG gcr.io/a/b:1.0-${SUFFIX} gcr.io/a/b:1.* gcr.io/a/b:1#{x} gcr.io/a/b:1%s gcr.io/a/b:1{x}",
        "gcr.io/a/b:1$(x) gcr.io/a/b:1<ver> gcr.io/a/b:1{{ v }} gcr.io/a/b:1@VERSION@ gcr.io/a/b:1\\(x)",
        "gcr.io/a/b:1- gcr.io/a/b:1_ gcr.io/a/b:1.. gcr.io/a/b:1@ gcr.io/a/b:1+x gcr.io/a/b:1~x",
        "'gcr.io/a/b:v' + $.versions.app, \"gcr.io/a/b:1.2-\" + suffix, \"gcr.io/a/b:1.\" + x",
        "\"gcr.io/a/b:1\" + x; 'gcr.io/a/b:1' .. x; 'gcr.io/a/b:1' . $x; 'gcr.io/a/b:1'.$x; 'gcr.io/a/b:1' ~ x",
        "\"gcr.io/a/b:1\" & x; \"gcr.io/a/b:1\" % x; \"gcr.io/a/b:1\".concat(x); \"gcr.io/a/b:1\"\n  + x",
        "x + \"gcr.io/a/b:1\"; x .. 'gcr.io/a/b:1'; $x . 'gcr.io/a/b:1'; x ~ 'gcr.io/a/b:1'; x & \"gcr.io/a/b:1\"",
        "x +\n  \"gcr.io/a/b:1\"",
        "gcr.io/a/b:1\"$X\" \"$X\"gcr.io/a/b:1 gcr.io/a/b:1'x' \"gcr.io/a/b:1\"$X \"gcr.io/a/b:1\"'x' $X\"gcr.io/a:1\"",
        "sh \"docker build -t HOST.io/team/app:1-#{commit} .\"",
        "image: nginx:1-{{ v }}\nimage: \"nginx:1-\" + v\nimage = \"nginx:1.${v}\"\nimage: f\"nginx:{v}\"",
        "docker run nginx:$TAG; docker run nginx:1-${X}; docker run \"nginx:1\"$X; docker pull nginx:1-`date`",
        "${{ env.X }}gcr.io/a/b:1 ${X:+gcr.io/a/b:1} ${REG:-gcr.io/a/b:1}/c ${A:-gcr.io/a/b:1}-x x${A:-gcr.io/a/b:1}",
    ] {
        none(text);
    }
    // A complete string in a larger expression.
    for text in [
        "\"gcr.io/a/b:1\".to_string()",
        "x ? \"gcr.io/a/b:1\" : y",
        "x || \"gcr.io/a/b:1\"",
        "f(\"gcr.io/a/b:1\")",
        "docker run \"gcr.io/a/b:1\" && y",
        "\"docker run gcr.io/a/b:1 \" + x",
        "+image: \"gcr.io/a/b:1\"\n+x: y",
        "see \"gcr.io/a/b:1\". Then",
        "f\"gcr.io/a/b:1\"",
        "`gcr.io/a/b:1`",
        "\\\"gcr.io/a/b:1\\\"",
        "'\"gcr.io/a/b:1\"'",
        "[\"gcr.io/a/b:1\"]",
        "| gcr.io/a/b:1 |",
        "x == \"gcr.io/a/b:1\"",
        "#gcr.io/a/b:1",
        "\"\"\"gcr.io/a/b:1\"\"\"",
    ] {
        check(text, &["gcr.io/a/b:1"]);
    }
}

#[test]
fn a_default_is_the_reference() {
    let all = ["gcr.io/a/b:1"];
    check("${IMAGE:-gcr.io/a/b:1}", &all);
    check("${MY_IMAGE-gcr.io/a/b:1} ", &all);
    check("x: \"${IMAGE:-gcr.io/a/b:1}\"", &all);
    check("${A:-${B:-gcr.io/a/b:1}}", &all);
    check("${A:-\"gcr.io/a/b:1\"}", &all);
    check("${A:=gcr.io/a/b:1}", &all);
    check("image: ${IMAGE-localhost:5000/a/b:1}", &["localhost:5000/a/b:1"]);
    check("image: ${IMAGE:-nginx:1.25}\nIMAGE=\"${IMAGE:-redis:7}\"", &["nginx:1.25", "redis:7"]);
    check("docker run \"${IMAGE:-nginx:1.25}\"", &["nginx:1.25"]);
    let value = |text| value(text).map(|(image, range)| (image.to_string(), &text[range]));
    for (text, image) in [
        ("nginx", "nginx"),
        ("a/b:1", "a/b:1"),
        ("docker://a:1", "a:1"),
        ("${X:-a:1}", "a:1"),
        ("${X-a}", "a"),
    ] {
        assert_eq!(value(text), Some((image.to_owned(), image)), "{text}");
    }
    for text in
        ["", "$X", "${X}", "a:$X", "{{ a }}", "a b", "https://a.com/b:1", "${X:-a:1}b", "A:1", "a:1.", "<a>"]
    {
        assert_eq!(value(text), None, "{text}");
    }
}

#[test]
fn a_key_is_evidence() {
    for text in [
        "image: nginx:1.25",
        "image: 'nginx:1.25'",
        "\"image\": \"nginx:1.25\",",
        "image = \"nginx:1.25\"",
        "image = nginx:1.25  ; comment",
        "IMAGE=nginx:1.25",
        "export BASE_IMAGE=nginx:1.25 # base",
        "Image=nginx:1.25",
        "baseImage: nginx:1.25 # why",
        "imageName: nginx:1.25",
        "image_uri := `nginx:1.25`",
        "IMAGE ?= nginx:1.25",
        "{image: nginx:1.25}",
        "{ image: nginx:1.25, x: y }",
        "--image nginx:1.25 --x",
        "--image=nginx:1.25",
        "\"--image\", \"nginx:1.25\"",
        "COPY --from=nginx:1.25 /a /b",
        "Image: \"nginx:1.25\",",
        "<image>nginx:1.25</image>",
        "\\\"image\\\": \\\"nginx:1.25\\\"",
        "const image: &str = \"nginx:1.25\";",
        "val image: String = \"nginx:1.25\"",
        "image = f\"nginx:1.25\"",
        ".withImage(\"nginx:1.25\")",
        "Image: jsii.String(\"nginx:1.25\")",
        "image: pulumi.String(\"nginx:1.25\"),",
        "docker.image('nginx:1.25')",
        "new GenericContainer(\"nginx:1.25\")",
        "new GenericContainer<>(DockerImageName.parse(\"nginx:1.25\"))",
        "PostgreSQLContainer(\"nginx:1.25\")",
        "ecs.ContainerImage.fromRegistry(\"nginx:1.25\")",
        "FROM nginx:1.25",
        "ContainerImage_FromRegistry(jsii.String(\"nginx:1.25\"))",
        "client.containers.run(\"nginx:1.25\", \"x\")",
        "  FROM nginx:1.25 AS x",
        "dag.Container().From(\"nginx:1.25\")",
        "dag.\n\t\tContainer(dagger.ContainerOpts{Platform: f(p)}).\n\t\tFrom(\"nginx:1.25\")",
        "client.container().from('nginx:1.25')",
        "docker_client.images.pull('nginx:1.25')",
        "cli.ImagePull(ctx, \"nginx:1.25\", x)",
        "x image: nginx:1.25",
        "IMAGE=nginx:1.25 docker compose up",
        "app.image=nginx:1.25",
        "GenericContainer(\n    \"nginx:1.25\")",
        "image:nginx:1.25",
        "agent { docker { image 'nginx:1.25'; args '-v /a:/b' } }",
        "  d.image \"nginx:1.25\"",
        "new PostgreSQLContainer<>(\"nginx:1.25\")",
        "-e \"IMAGE=nginx:1.25\"",
        "--build-arg BASE_IMAGE=nginx:1.25 .",
    ] {
        check(text, &["nginx:1.25"]);
    }
    check("ContainerImage.fromRegistry(\"amazon/sample\")", &["amazon/sample"]);
    for text in [
        "container: quay.io/a/b:1",
        "container(\"quay.io/a/b:1\")",
        "<a data-image=\"quay.io/a/b:1\">",
        "x --from quay.io/a/b:1",
        "multipass launch --image quay.io/a/b:1",
    ] {
        check(text, &["quay.io/a/b:1"]);
        assert_eq!(find(text.as_bytes())[0].evidence, Evidence::Field, "{text}");
    }
    for text in [
        "image: nginx",
        "image: registry.acme.example/a",
        "image: ghcr.io/acme/app",
        "echo \"image: nginx:1\"",
        "the image 'nginx:1'",
        "\"Image\": \"sha256:d4735e3a\"",
        "FROM here or a:1",
        "FROM nginx:1 or a:1",
        "image = \"logo.png\"",
        "images: nginx:1",
        "imagePullPolicy: a:1",
        "image: nginx:1 is broken",
        "image == \"nginx:1\"",
        "Image::new(\"a:1\")",
        "image: data:image/png;base64,x:1",
        "image: \"16:9\"",
        "image: http://x.com/y:1",
        "see the image nginx:1",
        "FROM table",
        "SELECT x FROM a:1",
        "from nginx:1",
        "getContainer(x, \"a:1\")",
        "containers: \"a:1\"",
        "image: 'a b:1'",
        "image: {{ a }}:1",
        "vmImage: ubuntu:1",
        "background-image: url(a:1)",
        "$image: a:1x y",
        "container: \"body:last-child\"",
        "container('div:1')",
        "image(\"a:1\")",
        "image: \"div:hover\"",
        "<div data-image=\"hero:2x\">",
        "ogImage: \"foo/bar.png:2x\"",
        "container: web:8080",
        "rsync --from user:1",
        "multipass launch --image jammy:22.04",
        "image: ACCOUNT.dkr.ecr.REGION.amazonaws.com/a:1",
    ] {
        none(text);
    }
}

#[test]
fn images_that_the_text_writes_are_not_listed() {
    for text in [
        "docker build -t ghcr.io/acme/app:1 .",
        "docker buildx build --tag=ghcr.io/acme/app:1 --push .",
        "docker build --cache-from ghcr.io/acme/app:cache -tghcr.io/acme/app:1 .",
        "docker push ghcr.io/acme/app:1",
        "[\"--context=.\", \"--destination=ghcr.io/acme/app:1\"]",
        "executor --destination ghcr.io/acme/app:1",
        "docker tag app:1 ghcr.io/acme/app:1",
        "docker build -t ghcr.io/acme/app:1 .\ndocker run ghcr.io/acme/app:1",
        "IMAGE ?= ghcr.io/acme/app:1\nbuild:\n\tdocker build -t $(IMAGE) .\n",
        "podman build -t 'ghcr.io/acme/app:1' .",
        "IMAGE=\"acme/app:1\"\ndocker build --pull -t \"${IMAGE}\" .\ndocker push \"$IMAGE\"",
        "[\"docker\", \"build\", \"-t\", \"ghcr.io/acme/app:1\", \".\"]",
        "docker build -t app:dev . && docker run app:dev",
        "\"cd app\\ndocker build -t ghcr.io/acme/app:1 .\"; \"docker run ghcr.io/acme/app:1\"",
        "crane push x.tar ghcr.io/acme/app:1",
        "docker commit x ghcr.io/acme/app:1",
        "buildah bud -t ghcr.io/acme/app:1",
    ] {
        none(text);
    }
    check("docker build -t ghcr.io/a/b:1 --build-arg BASE=quay.io/a/c:2 .", &["quay.io/a/c:2"]);
    check(
        "crane cp quay.io/a/b:1 ghcr.io/c/d:1\ndocker build -t a:1 --build-context x=docker-image://alpine:3 .",
        &["quay.io/a/b:1", "alpine:3"],
    );
}

#[test]
fn reads_any_bytes_in_linear_time() {
    let mut bytes = b"\xff\xfe gcr.io/app:1 \x80gcr.io/b:2\xff".to_vec();
    assert_eq!(find(&bytes).len(), 2);
    bytes.extend(vec![b'/'; 1 << 20]);
    bytes.extend(b":1");
    assert_eq!(find(&bytes).len(), 2);
    for part in [
        "image: ",
        "docker run ",
        "docker pull ",
        "docker run {{",
        "docker run -e \"",
        "set image ",
        "\"",
        "gcr.io/a:1\" ",
        "$(",
        "docker build -t ",
        "\"docker\", \"run\", (",
    ] {
        find(part.repeat((1 << 18) / part.len()).as_bytes());
    }
}
