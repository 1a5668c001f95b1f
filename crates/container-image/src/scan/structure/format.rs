//! Formats of YAML and JSON files, and their values that hold an image.

use std::path::Path;

use image_copy::yaml::{Id, Tree};

use super::pattern::{Pattern, part_matches};

/// Format of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Azure,
    Bake,
    Bitbucket,
    CircleCi,
    CloudBuild,
    Compose,
    Crd,
    Devcontainer,
    Drone,
    GitHub,
    GitLab,
    Goreleaser,
    Ko,
    Kubernetes,
    Skaffold,
    /// Any other document, such as Helm values or a playbook of Ansible.
    Other,
}

/// Meaning of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// An image. It can be a short name without a tag.
    Image,
    /// An image if it has a tag or a digest.
    TaggedImage,
    /// A text that can contain images.
    Text,
    /// Nothing below this value is an image.
    Skipped,
    /// Images that the file itself builds.
    Built,
}

use Format::{
    Azure, Bake, Bitbucket, CircleCi, CloudBuild, Compose, Crd, Devcontainer, Drone, GitHub, GitLab,
    Goreleaser, Ko, Kubernetes, Other, Skaffold,
};
use Role::{Built, Image, Skipped, Text};

/// Values of each format. The first pattern that matches wins.
const VALUES: &[(Format, &[(&str, Role)])] = &[
    // https://learn.microsoft.com/azure/devops/pipelines/yaml-schema
    (
        Azure,
        &[
            ("**.containers[].container", Skipped),
            ("**.containers[].image", Image),
            ("**.container.image", Image),
        ],
    ),
    // https://docs.docker.com/build/bake/reference
    (
        Bake,
        &[
            ("target.*.tags", Built),
            ("target.*.output", Built),
            ("target.*.cache-from", Skipped),
            ("target.*.cache-to", Skipped),
        ],
    ),
    // https://support.atlassian.com/bitbucket-cloud/docs/docker-image-options
    (Bitbucket, &[("**.image", Image), ("**.image.name", Image)]),
    // https://circleci.com/docs/configuration-reference. An image of `machine` is a virtual machine.
    (CircleCi, &[("**.docker[].image", Image), ("**.machine.image", Skipped)]),
    // https://cloud.google.com/build/docs/build-config-file-schema. `images` are pushed.
    (CloudBuild, &[("steps[].name", Image), ("images", Built), ("artifacts.images", Built)]),
    // https://docs.docker.com/reference/compose-file
    (
        Compose,
        &[
            ("services.*.image", Image),
            ("x-*.**.image", Image),
            ("**.build.tags", Built),
            ("**.build.cache_from", Skipped),
            ("**.build.cache_to", Skipped),
            ("**.labels.*", Text),
        ],
    ),
    // Schemas of Kubernetes. Only defaults can name an image.
    (Crd, &[("**.description", Skipped), ("**.example", Skipped), ("status", Skipped)]),
    // https://containers.dev/implementors/json_reference
    (Devcontainer, &[("image", Image), ("build.cacheFrom", Skipped)]),
    // https://docs.drone.io/pipeline/docker/syntax, https://woodpecker-ci.org/docs/usage/workflow-syntax
    (Drone, &[("**.settings.tags", Skipped), ("**.image", Image)]),
    // https://docs.github.com/actions/reference/workflow-syntax-for-github-actions. `tags` are pushed.
    (
        GitHub,
        &[
            ("jobs.*.container", Image),
            ("jobs.*.container.image", Image),
            ("jobs.*.services.*.image", Image),
            // Otherwise a Dockerfile.
            ("runs.image", Text),
            ("**.with.tags", Built),
            ("**.with.images", Skipped),
            ("**.with.cache-from", Skipped),
            ("**.with.cache-to", Skipped),
        ],
    ),
    // https://docs.gitlab.com/ci/yaml
    (
        GitLab,
        &[
            ("image", Image),
            ("image.name", Image),
            ("services[]", Image),
            ("services[].name", Image),
            ("*.image", Image),
            ("*.image.name", Image),
            ("*.services[]", Image),
            ("*.services[].name", Image),
        ],
    ),
    // https://goreleaser.com/customization/docker
    (
        Goreleaser,
        &[
            ("dockers[].image_templates", Built),
            ("dockers_v2[].images", Built),
            ("docker_manifests[].name_template", Built),
            ("docker_manifests[].image_templates", Built),
            ("kos[].repository", Built),
            ("kos[].repositories", Built),
            ("kos[].base_image", Image),
        ],
    ),
    // https://ko.build/configuration
    (Ko, &[("defaultBaseImage", Image), ("baseImageOverrides.*", Image)]),
    // https://kubernetes.io/docs/reference/kubernetes-api. Custom resources have images at any place.
    (
        Kubernetes,
        &[
            ("status", Skipped),
            ("items[].status", Skipped),
            ("[].status", Skipped),
            ("**.metadata.managedFields", Skipped),
            ("**.annotations.*last-applied-configuration", Skipped),
            ("**.annotations.*", Text),
            ("**.labels.*", Text),
            ("**.image.reference", Image),
            ("**.image", Image),
        ],
    ),
    // https://skaffold.dev/docs/references/yaml. Artifacts are built.
    (Skaffold, &[("**.artifacts[].image", Built), ("test[].image", Built), ("**.image", Image)]),
];

/// Values of all formats.
const COMMON_VALUES: &[(&str, Role)] = &[
    // https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task_definition_parameters.html
    ("**.containerDefinitions[].image", Image),
    ("**.containerProperties.image", Image),
    // https://docs.ansible.com/ansible/latest/collections/community/docker
    ("**.*docker_container.image", Image),
    ("**.*docker_swarm_service.image", Image),
    ("**.*docker_image.name", Image),
    ("**.*docker_image_pull.name", Image),
    ("**.*podman_container.image", Image),
    ("**.*podman_image.name", Image),
    // Images of virtual machines in continuous integration.
    ("**.vmImage", Skipped),
];

/// Formats by the folder and the name of a file without its extension. An empty folder is any folder.
const FILES: &[(&str, &str, Format)] = &[
    (".github/workflows", "*", GitHub),
    (".gitea/workflows", "*", GitHub),
    (".forgejo/workflows", "*", GitHub),
    ("", "action", GitHub),
    ("", ".gitlab-ci", GitLab),
    ("", "*.gitlab-ci", GitLab),
    (".circleci", "*", CircleCi),
    (".woodpecker", "*", Drone),
    ("", ".woodpecker", Drone),
    ("", ".drone", Drone),
    ("", "azure-pipelines*", Azure),
    (".azure-pipelines", "*", Azure),
    ("", "bitbucket-pipelines", Bitbucket),
    ("", "cloudbuild*", CloudBuild),
    ("", "compose", Compose),
    ("", "compose.*", Compose),
    ("", "docker-compose*", Compose),
    ("", "*.docker-compose", Compose),
    ("", "*.compose", Compose),
    ("", "podman-compose*", Compose),
    (".devcontainer", "devcontainer", Devcontainer),
    ("", "devcontainer", Devcontainer),
    ("", ".devcontainer", Devcontainer),
    ("", "docker-bake*", Bake),
    ("", ".goreleaser*", Goreleaser),
    ("", "goreleaser*", Goreleaser),
    ("", ".ko", Ko),
];

impl Format {
    /// Returns the format of a document, by the name of its file and by its content.
    pub(super) fn of(path: &Path, tree: &Tree, root: Id) -> Self {
        Self::of_file(path).or_else(|| Self::of_document(tree, root)).unwrap_or(Other)
    }

    /// Returns the format that the name of a file determines.
    pub(super) fn of_file(path: &Path) -> Option<Self> {
        let stem = path.file_stem()?.to_str()?.to_ascii_lowercase();
        let folder = path.parent().unwrap_or(path);
        let is_file = |(parent, name, _): &&(&str, &str, Self)| {
            part_matches(name, &stem) && (parent.is_empty() || folder.ends_with(parent))
        };
        FILES.iter().find(is_file).map(|(.., format)| *format)
    }

    fn of_document(tree: &Tree, root: Id) -> Option<Self> {
        let get = |key: &str| tree.get(root, key);
        let has = |id: Id, key: &str| tree.get(id, key).is_some();
        let is_list = |key: &str| get(key).is_some_and(|value| tree.items(value).is_some());
        let any_value = |of: Id, test: &dyn Fn(Id) -> bool| tree.entries(of).any(|(_, value)| test(value));
        let text = |key: &str| get(key).and_then(|value| tree.text(value));
        if let (Some(version), Some(kind)) = (text("apiVersion"), text("kind")) {
            return Some(match kind {
                "CustomResourceDefinition" => Crd,
                _ if version.starts_with("skaffold/") => Skaffold,
                _ => Kubernetes,
            });
        }
        // `kubectl get -o json | jq .items` writes an array of objects.
        if tree
            .items(root)
            .and_then(<[Id]>::first)
            .is_some_and(|one| has(*one, "apiVersion") && has(*one, "kind"))
        {
            return Some(Kubernetes);
        }
        if get("services").is_some_and(|all| any_value(all, &|one| has(one, "image") || has(one, "build"))) {
            return Some(Compose);
        }
        if text("kind") == Some("pipeline") {
            return Some(Drone);
        }
        if get("runs").is_some_and(|runs| has(runs, "using")) {
            return Some(GitHub);
        }
        if get("on").is_some() && get("jobs").is_some_and(|jobs| any_value(jobs, &|job| has(job, "steps"))) {
            return Some(GitHub);
        }
        if is_list("jobs") || (is_list("steps") && get("pool").is_some()) {
            return Some(Azure);
        }
        any_value(root, &|job| has(job, "script")).then_some(GitLab)
    }

    /// Returns the patterns of the format, in the order in which they apply.
    pub(super) fn values(self) -> Vec<(Pattern<'static>, Role)> {
        let own = VALUES.iter().filter(|(format, _)| *format == self).flat_map(|(_, values)| *values);
        own.chain(COMMON_VALUES).map(|(pattern, role)| (Pattern::new(pattern), *role)).collect()
    }
}
