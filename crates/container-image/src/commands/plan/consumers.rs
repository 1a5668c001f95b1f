//! Resources that run an image, and the platform that they run. An image of another platform fails at run time with
//! "exec format error", after a successful deployment.

use image_copy::oci::Platform;

use super::findings::{Finding, Findings, ImagePlan};
use crate::template::{Resource, Resources, Value};

/// Code of an image without the platform of a resource that runs it.
const CODE: &str = "CI-402";

/// A use of an image.
struct Use<'a> {
    /// Property of the image, for its line.
    property: &'static str,
    image: &'a Value,
    platform: Runtime,
}

/// The platform that a resource runs.
enum Runtime {
    /// The platform and the property that selects it.
    Known(Platform, &'static str),
    /// The reason why it is unknown.
    Unknown(String),
    /// The resource does not run the image.
    None,
}

/// Compares the platforms of copied images with those of the resources that run them.
pub(super) fn check(file: &str, resources: &Resources, images: &[ImagePlan]) -> Findings {
    let mut findings = Findings::default();
    for resource in &resources.all {
        for found in uses(resource, resources.function_defaults.as_ref()) {
            let copied = images.iter().filter(|image| image.file == file && is_use_of(found.image, image));
            for image in copied {
                let finding = |text: String, code| Finding {
                    file: file.to_owned(),
                    line: resource.line_of(found.property),
                    resource: Some(resource.name.clone()),
                    text,
                    code,
                };
                let name = image.resource.as_deref().unwrap_or_default();
                match (&found.platform, &image.change) {
                    (Runtime::None, _) => {}
                    // The failure of the image is reported there.
                    (_, None) => {}
                    (Runtime::Unknown(reason), Some(_)) => {
                        let text = format!("the platform of image {name} was not compared: {reason}");
                        findings.not_checked.push(finding(text, None));
                    }
                    // They were not read, or depend on unknown settings.
                    (Runtime::Known(..), Some(change)) if change.platforms.is_empty() => {
                        let text = format!("the platforms of image {name} are unknown");
                        findings.not_checked.push(finding(text, None));
                    }
                    (Runtime::Known(platform, property), Some(change)) => {
                        if change.platforms.iter().any(|copied| copied.satisfies(platform)) {
                            continue;
                        }
                        let copied: Vec<String> = change.platforms.iter().map(ToString::to_string).collect();
                        let text = format!(
                            "It runs {platform}, but image {name} has {}. The containers would fail with \
                             \"exec format error\". Set Platform: {platform} in {name}, or change {property}.",
                            copied.join(", ")
                        );
                        findings.failures.push(finding(text, Some(CODE)));
                    }
                }
            }
        }
    }
    findings
}

/// Returns true if the value contains an attribute of the image, or is its text.
fn is_use_of(value: &Value, image: &ImagePlan) -> bool {
    let Some(resource) = &image.resource else { return false };
    match value {
        Value::Unknown(unknown) => unknown.resources.contains(resource),
        Value::Text(text) => image.destination.as_deref() == Some(text),
        _ => false,
    }
}

/// `defaults` are those of functions of the Serverless Application Model.
fn uses<'a>(resource: &'a Resource, defaults: Option<&'a Value>) -> Vec<Use<'a>> {
    let properties = &resource.properties;
    match resource.kind.as_str() {
        "AWS::ECS::TaskDefinition" => {
            let containers = items(properties.get("ContainerDefinitions"));
            let images = containers.iter().filter_map(|container| container.get("Image"));
            let platform = || task_platform(properties);
            let found =
                images.map(|image| Use { property: "ContainerDefinitions", image, platform: platform() });
            found.collect()
        }
        "AWS::Lambda::Function" => {
            let image = properties.get("Code").and_then(|code| code.get("ImageUri"));
            let platform = || function_platform(properties.get("Architectures"));
            image.map(|image| Use { property: "Code", image, platform: platform() }).into_iter().collect()
        }
        "AWS::Serverless::Function" => {
            let image = properties.get("ImageUri");
            // https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/sam-specification-template-anatomy-globals.html
            let default = || defaults.and_then(|defaults| defaults.get("Architectures"));
            let platform = || function_platform(properties.get("Architectures").or_else(default));
            image.map(|image| Use { property: "ImageUri", image, platform: platform() }).into_iter().collect()
        }
        "AWS::CodeBuild::Project" => {
            let environment = properties.get("Environment");
            let image = environment.and_then(|environment| environment.get("Image"));
            let platform = || build_platform(environment.and_then(|environment| environment.get("Type")));
            image
                .map(|image| Use { property: "Environment", image, platform: platform() })
                .into_iter()
                .collect()
        }
        "AWS::Batch::JobDefinition" => batch_uses(properties),
        _ => Vec::new(),
    }
}

/// Fargate's defaults are `X86_64` and `LINUX`. A task on EC2 runs the architecture of its instance, unless
/// `RuntimePlatform` restricts it
/// (<https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task_definition_parameters.html>).
fn task_platform(properties: &Value) -> Runtime {
    let runs_on_fargate = contains(properties.get("RequiresCompatibilities"), "FARGATE");
    runtime_platform(properties.get("RuntimePlatform"), runs_on_fargate, "RuntimePlatform")
}

/// The defaults are `X86_64` and `LINUX` on Fargate
/// (<https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-properties-batch-jobdefinition-runtimeplatform.html>).
/// Jobs on EC2 run the architecture of the compute environment.
fn batch_uses(properties: &Value) -> Vec<Use<'_>> {
    let runs_on_fargate = contains(properties.get("PlatformCapabilities"), "FARGATE");
    let platform =
        |parent: &Value| runtime_platform(parent.get("RuntimePlatform"), runs_on_fargate, "RuntimePlatform");
    let mut found = Vec::new();
    if let Some(container) = properties.get("ContainerProperties")
        && let Some(image) = container.get("Image")
    {
        found.push(Use { property: "ContainerProperties", image, platform: platform(container) });
    }
    let tasks = properties.get("EcsProperties").and_then(|ecs| ecs.get("TaskProperties"));
    for task in items(tasks) {
        for image in items(task.get("Containers")).iter().filter_map(|container| container.get("Image")) {
            found.push(Use { property: "EcsProperties", image, platform: platform(task) });
        }
    }
    found
}

fn runtime_platform(value: Option<&Value>, runs_on_fargate: bool, property: &'static str) -> Runtime {
    let field = |name: &str| value.and_then(|value| value.get(name));
    if let Some(unknown) = value.and_then(Value::unknown) {
        return Runtime::Unknown(unknown.to_string());
    }
    if value.is_none() && !runs_on_fargate {
        return Runtime::Unknown("on EC2, it depends on the instances".into());
    }
    let system = field("OperatingSystemFamily").and_then(Value::text).unwrap_or("LINUX");
    let os = if system.starts_with("WINDOWS") { "windows" } else { "linux" };
    let architecture = match field("CpuArchitecture").and_then(Value::text) {
        Some("ARM64") => "arm64",
        _ => "amd64",
    };
    Runtime::Known(platform(os, architecture), property)
}

/// The default is `x86_64`
/// (<https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-lambda-function.html>).
fn function_platform(architectures: Option<&Value>) -> Runtime {
    if let Some(unknown) = architectures.and_then(Value::unknown) {
        return Runtime::Unknown(unknown.to_string());
    }
    let architecture = if contains(architectures, "arm64") { "arm64" } else { "amd64" };
    Runtime::Known(platform("linux", architecture), "Architectures")
}

/// Types of environments with images of the user
/// (<https://docs.aws.amazon.com/codebuild/latest/APIReference/API_ProjectEnvironment.html>).
fn build_platform(kind: Option<&Value>) -> Runtime {
    let known = |os, architecture| Runtime::Known(platform(os, architecture), "Environment.Type");
    match kind {
        Some(Value::Text(kind)) => match kind.as_str() {
            "ARM_CONTAINER" | "ARM_LAMBDA_CONTAINER" => known("linux", "arm64"),
            "LINUX_CONTAINER" | "LINUX_GPU_CONTAINER" | "LINUX_LAMBDA_CONTAINER" => known("linux", "amd64"),
            kind if kind.starts_with("WINDOWS") && kind.ends_with("_CONTAINER") => known("windows", "amd64"),
            kind => Runtime::Unknown(format!("environment type {kind} is unknown")),
        },
        Some(Value::Unknown(unknown)) => Runtime::Unknown(unknown.to_string()),
        // CloudFormation rejects a project without it.
        _ => Runtime::None,
    }
}

fn platform(os: &str, architecture: &str) -> Platform {
    Platform { os: os.into(), architecture: architecture.into(), variant: None, os_version: None }
}

fn items(value: Option<&Value>) -> &[Value] {
    match value {
        Some(Value::List(items)) => items,
        _ => &[],
    }
}

fn contains(value: Option<&Value>, wanted: &str) -> bool {
    items(value).iter().any(|item| item.text() == Some(wanted))
}
