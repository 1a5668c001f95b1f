//! Commands, lists of arguments, and methods of calls.

use super::{check, none};

#[test]
fn a_command_is_evidence() {
    for text in [
        "docker run -p 80:80 -v /a:/b --name x -e A=b:c nginx:1.25 cmd",
        "docker run -it --rm -p80:80 -eA=b:c -v \"$PWD:/x\" --user $(id -u):$(id -g) nginx:1.25 redis:7",
        "docker run --rm \\\n  -e A=\"b c:1\" \\\n  --label \"x y:1\" \\\n  nginx:1.25 \\\n  redis:7",
        "sudo docker -H tcp://a:1 --context x container run --gpus all nginx:1.25",
        "podman pull nginx:1.25",
        "nerdctl -n k8s.io pull nginx:1.25",
        "finch create nginx:1.25",
        "$(DOCKER) run $(DOCKER_OPTS) nginx:1.25 x",
        "\t@docker run nginx:1.25",
        "\t-docker rmi -f nginx:1.25",
        "`docker run nginx:1.25`",
        "\"docker run nginx:1.25\"",
        "\"docker run nginx:1.25\", \"redis:7\"",
        "'docker run -e \"A=b:c\" nginx:1.25'",
        "\"docker run -e \\\"A=b c\\\" nginx:1.25\"",
        "[\"docker\", \"run\", \"-p\", \"80:80\", \"nginx:1.25\", \"x:1\"]",
        "exec.Command(\"docker\", \"pull\", \"nginx:1.25\")",
        "docker run [OPTIONS] nginx:1.25",
        "docker save nginx:1.25 | gzip > x",
        "docker save -o a:1 nginx:1.25",
        "buildah from --name x:1 nginx:1.25",
        "skopeo copy docker://nginx:1.25 docker://acme.io/nginx:1.25",
        "skopeo inspect --format '{{ .Digest }}:1' docker://nginx:1.25",
        "crane digest nginx:1.25",
        "crane copy nginx:1.25 acme.io/x/nginx:1.25",
        "oras cp nginx:1.25 x/y:2",
        "regctl image digest nginx:1.25",
        "ctr -n k8s.io images pull nginx:1.25",
        "kubectl set image deployment/web web=nginx:1.25 --record",
        "kubectl run x --image=nginx:1.25 --port 80",
        "kubectl create deployment x --image nginx:1.25",
        "kind create cluster --image nginx:1.25",
        "docker inspect -f '{{.Id}}' nginx:1.25",
        "x=$(docker pull nginx:1.25)",
        "docker pull nginx:1.25, and",
        "RUN docker pull nginx:1.25 && x",
        "docker.exe pull nginx:1.25",
        "docker pull nginx:1.25 # redis:7",
        "trivy image nginx:1.25",
        "docker run --name=\"a b\" nginx:1.25",
        "docker tag nginx:1 x/y:2; docker pull nginx:1.25",
        "docker buildx imagetools inspect nginx:1.25",
        "docker run -d \\\r\n  nginx:1.25\r\n",
        "docker run <options> nginx:1.25",
        "\"cd x\\ndocker run nginx:1.25\\n\"",
    ] {
        check(text, &["nginx:1.25"]);
    }
    check("docker pull nginx:1 redis:7 &&\ndocker rmi a/b:2", &["nginx:1", "redis:7", "a/b:2"]);
    check("docker run --rm -it -p 80:80 alpine sh -c 'x a:1'", &["alpine"]);
    check("RUN docker run -d --name=x acme/app && y", &["acme/app"]);
    check(
        "#!/bin/sh\ndocker run busybox\n  sudo podman run redis x\ndocker create nginx",
        &["busybox", "redis", "nginx"],
    );
    check("#!/usr/bin/env bash\necho docker run redis\ndocker pull nginx\ndocker run my-image", &[]);
    check("  $ docker run busybox\n$ sudo docker run nginx", &["busybox", "nginx"]);
    check("#!/usr/bin/python\ndocker run busybox", &[]);
    check("kubectl -n a set image deploy/x a=b:1 c=d/e:2", &["b:1", "d/e:2"]);
    for text in [
        "docker run nginx",
        "docker run --some-option nginx",
        "Use docker run --rm image",
        "docker pull nginx",
        "docker run $IMAGE rake db:migrate",
        "docker exec x a:1",
        "docker compose run a:1",
        "docker run -v a:1",
        "docker: a:1",
        "xdocker run a:1",
        "docker run\nnginx:1",
        "docker ps a:1",
        "skopeo copy dir:/x:1 oci:y:1",
        "docker volume create a:1",
    ] {
        none(text);
    }
}

#[test]
fn strings_of_a_list_are_arguments() {
    for text in [
        "[\"docker\", \"run\", \"nginx:1.25\"]",
        "subprocess.run([\"docker\", \"run\", \"--rm\", \"nginx:1.25\"])",
        "spawn(\"docker\", [\"pull\", 'nginx:1.25'], { stdio: \"a:1\" })",
        "x = ['docker', 'run', '--rm', \"nginx:1.25\", ]",
        "subprocess.run([\n    \"docker\", \"run\",  # one\n    \"--rm\",  // two\n    \"nginx:1.25\"\n])",
        "exec.Command(\"docker\", \"run\", \"--rm\", \"-v\", pwd+\":/a\", \"nginx:1.25\").Run()",
        "exec.Command(\"docker\", \"run\", \"--platform=\" + f(a, \"b:1\"), \"nginx:1.25\")",
        "[\"docker\", \"run\", \"--name\", `x-${y}, z`, \"nginx:1.25\"]",
        "[\"docker\", \"run\", \"-v\", &x, *options, ...args, \"nginx:1.25\"]",
        "[]string{\"docker\", \"run\", \"-e\", \"A=b:c\", \"nginx:1.25\"}",
        "{\"cmd\":[\"docker\",\"run\",\"nginx:1.25\"],\"x\":\"a:1\"}",
    ] {
        check(text, &["nginx:1.25"]);
    }
    check("[\"docker\", \"run\", \"--rm\", \"busybox\", \"x\"]", &["busybox"]);
    check("[\"docker\", \"pull\", \"redis:7\", \"a:1\"]", &["redis:7", "a:1"]);
    for text in [
        "exec.Command(\"docker\", \"run\", \"--rm\", redis, \"redis-server\")",
        "[\"docker\", \"run\", \"--rm\", busybox, \"x\"]",
        "new ProcessBuilder(\"docker\", \"run\", \"--rm\", redis, \"x\")",
        "[\"docker\", \"run\", \"-d\", \"--name\", name, python]",
        "[\"docker\", \"run\", \"--rm\", self.image_name, \"x\"]",
        "[\"docker\", \"run\", \"--rm\", var.redis, \"x\"]",
        "[\"docker\", \"run\", \"--rm\", \"args.host\", \"x\"]",
        "[\"docker\", \"run\", \"--rm\", \"redis:\" + tag, \"x\"]",
        "[\"docker\", \"run\", \"--rm\", \"redis\" + tag, \"x\"]",
        "[\"docker\", \"run\", \"--rm\", tag ? \"a:1\" : \"b:1\", \"x\"]",
        "[\"docker\", \"run\", \"--rm\", \"my-image\", \"x\"]",
        "exec(\"docker run --rm \" + redis + \" x\")",
        "exec(\"docker run --rm \"redis\" x\")",
        "docker run --rm my-image",
        "docker run --rm args.port",
        "docker run --rm Image",
    ] {
        none(text);
    }
}

#[test]
fn a_method_supplies_the_tag_of_a_call() {
    check("x = DockerImageName.parse(\"redis\")", &["redis"]);
    check(
        "x = DockerImageName.parse(\"a/b:1\").asCompatibleSubstituteFor(DockerImageName.parse(\"postgres\"))",
        &["a/b:1"],
    );
    for text in [
        "DockerImageName.parse(\"redis\").withTag(\"7.4\")",
        "DockerImageName.parse(\"redis:1\")\n  .withTag(version)",
        "DockerImageName.parse(\"quay.io/a/b:1\").withTag(\"7.4\")",
        "DockerImageName.parse(\"quay.io/a/b\").withTag(\"7.4\")",
        "x.asCompatibleSubstituteFor( DockerImageName.parse(\"postgres:16\"))",
        "x.asCompatibleSubstituteFor(\"postgres\")",
    ] {
        none(text);
    }
}
