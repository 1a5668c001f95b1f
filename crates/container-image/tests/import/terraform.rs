//! Terraform files.

use crate::common::Sandbox;
use crate::{check, check_output, import_stdin};

#[tokio::test(flavor = "multi_thread")]
async fn terraform_reads_tags_and_build_commands() {
    let sandbox = Sandbox::start().await;
    let file = r#"
module "ecs_clone" {
  source  = "elasticscale/ecs-dockerhub-clone/aws"
  version = "3.0.2"
  // Versions of Vault are tested first.
  containers = {
    "hashicorp/vault" = ["1.14", "1.13"],
    "mongo"           = ["latest"]
  }
  build_commands = {
    "hashicorp/vault:1.14" = [
      "RUN mkdir /etc/vault",
      "VOLUME [\"/etc/vault\"]"
    ]
    "mongo:latest" = ["ENV A=1", "RUN apt-get update"]
    "redis:7" = ["ENV A=1"]
  }
  docker_hub_username     = "me"
  docker_hub_access_token = "planted"
  prefix                  = "clone-"
}
"#;
    let list = r#"images:
  - source: docker.io/hashicorp/vault:1.13
    repository: ecsclone/hashicorp/vault
  - source: docker.io/hashicorp/vault:1.14
    repository: ecsclone/hashicorp/vault
    customize:
      - RUN mkdir /etc/vault
      - VOLUME ["/etc/vault"]
  # module.ecs_clone.build_commands.mongo:latest is not applied: line 2: "apt-get" is not supported in RUN. Use mkdir, chmod, chown, touch and ln -s, or build the image with a Dockerfile, for example in CodeBuild
  #   ENV A=1
  #   RUN apt-get update
  - source: docker.io/library/mongo:latest
    repository: ecsclone/mongo
"#;
    let notes = [
        "note: main.tf:18: module.ecs_clone.docker_hub_username has no equivalent. Log in to Docker Hub.",
        "note: main.tf:19: module.ecs_clone.docker_hub_access_token has no equivalent. Log in to Docker Hub.",
        "note: main.tf:20: module.ecs_clone.prefix has no equivalent.",
        "note: main.tf:3: module.ecs_clone.namespace is not set. The module's default ecsclone is used.",
        "note: main.tf:15: module.ecs_clone.build_commands.mongo:latest is not applied: line 2: \"apt-get\" is not \
         supported in RUN. Use mkdir, chmod, chown, touch and ln -s, or build the image with a Dockerfile, for \
         example in CodeBuild. The list copies the image unchanged, and has the lines as a comment.",
        "note: main.tf:16: module.ecs_clone.build_commands.redis:7 has no image in containers.",
    ];
    check(&sandbox, "main.tf", file, list, &notes).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn terraform_reads_values_of_variables_with_heredocs() {
    let sandbox = Sandbox::start().await;
    let file = "\
# terraform.tfvars
unrelated  = true
namespace  = \"mirror/base\"
containers = [\"docker.io/library/python:3.13\", \"alpine\", \"python:3.13\"]
build_commands = {
  alpine = <<-EOT
    RUN mkdir -p /data
    USER 1000
  EOT
}
";
    let list = "\
images:
  - source: docker.io/library/alpine:latest
    repository: mirror/base/alpine
    customize:
      - RUN mkdir -p /data
      - USER 1000
  - source: docker.io/library/python:3.13
    repository: mirror/base/python
";
    let output = import_stdin(&sandbox, &["import"], file).await;
    check_output(&sandbox, &output, list, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn terraform_replaces_variables_of_the_same_file_only() {
    let sandbox = Sandbox::start().await;
    let file = r#"
variable "tag" { default = "7.4" }
locals { images = { redis = [var.tag], nginx = ["1-${var.tag}"], app = [var.other] } }
module "clone" {
  source     = "./modules/clone"
  namespace  = ""
  containers = (local.images)
}
module "more" {
  source     = "./modules/clone"
  namespace  = var.namespace
  containers = concat(["a:1"], var.more)
}
"#;
    let omitted = [
        r#"main.tf:3: module.clone.containers.app was omitted: "app" has no literal value in this file. Write the value"#,
        r#"main.tf:12: module.more.containers was omitted: "containers" has no literal value in this file. Write the value"#,
    ];
    let [app, more] = omitted;
    let list = format!(
        "images:\n  # {app}\n  # {more}\n  - docker.io/library/nginx:1-7.4\n  - docker.io/library/redis:7.4\n"
    );
    let namespace =
        "main.tf:11: module.more.namespace is not a literal path. The module's default ecsclone is used";
    let notes = [app, namespace, more].map(|text| format!("note: {text}."));
    check(&sandbox, "main.tf", file, &list, &notes.each_ref().map(String::as_str)).await;
}
