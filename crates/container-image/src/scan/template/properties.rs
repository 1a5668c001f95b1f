//! Resource properties that contain an image.

use std::collections::{HashMap, HashSet};

use image_copy::yaml::{Id, Tree};

/// A step of a property path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step<'a> {
    /// The value of this key.
    Key(&'a str),
    /// Every item of a list.
    Each,
    /// Every value of a mapping.
    Any,
}

/// Resource types and their image properties. `[]` means each item of a list, `*` each key of a mapping
/// (<https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-template-resource-type-ref.html>).
const IMAGE_PROPERTIES: [(&str, &[&str]); 28] = [
    ("Custom::ContainerImage", &["ImageReference"]),
    ("AWS::AppRunner::Service", &["SourceConfiguration.ImageRepository.ImageIdentifier"]),
    (
        "AWS::Batch::JobDefinition",
        &[
            "ContainerProperties.Image",
            "EcsProperties.TaskProperties[].Containers[].Image",
            "EksProperties.PodProperties.Containers[].Image",
            "EksProperties.PodProperties.InitContainers[].Image",
            "NodeProperties.NodeRangeProperties[].Container.Image",
            "NodeProperties.NodeRangeProperties[].EcsProperties.TaskProperties[].Containers[].Image",
            "NodeProperties.NodeRangeProperties[].EksProperties.PodProperties.Containers[].Image",
            "NodeProperties.NodeRangeProperties[].EksProperties.PodProperties.InitContainers[].Image",
        ],
    ),
    ("AWS::BedrockAgentCore::Runtime", &["AgentRuntimeArtifact.ContainerConfiguration.ContainerUri"]),
    (
        "AWS::CleanRoomsML::ConfiguredModelAlgorithm",
        &["TrainingContainerConfig.ImageUri", "InferenceContainerConfig.ImageUri"],
    ),
    ("AWS::CodeBuild::Project", &["Environment.Image"]),
    ("AWS::ECS::DaemonTaskDefinition", &["ContainerDefinitions[].Image"]),
    ("AWS::ECS::ExpressGatewayService", &["PrimaryContainer.Image"]),
    ("AWS::ECS::TaskDefinition", &["ContainerDefinitions[].Image"]),
    (
        "AWS::EMRServerless::Application",
        &["ImageConfiguration.ImageUri", "WorkerTypeSpecifications.*.ImageConfiguration.ImageUri"],
    ),
    (
        "AWS::GameLift::ContainerGroupDefinition",
        &["GameServerContainerDefinition.ImageUri", "SupportContainerDefinitions[].ImageUri"],
    ),
    ("AWS::ImageBuilder::ContainerRecipe", &["ParentImage"]),
    ("AWS::IoTAnalytics::Dataset", &["Actions[].ContainerAction.Image"]),
    ("AWS::Lambda::Function", &["Code.ImageUri"]),
    ("AWS::Lightsail::Container", &["ContainerServiceDeployment.Containers[].Image"]),
    ("AWS::Serverless::Function", &["ImageUri"]),
    ("AWS::SageMaker::DataQualityJobDefinition", &["DataQualityAppSpecification.ImageUri"]),
    ("AWS::SageMaker::ImageVersion", &["BaseImage"]),
    ("AWS::SageMaker::InferenceComponent", &["Specification.Container.Image"]),
    ("AWS::SageMaker::Model", &["PrimaryContainer.Image", "Containers[].Image"]),
    ("AWS::SageMaker::ModelBiasJobDefinition", &["ModelBiasAppSpecification.ImageUri"]),
    ("AWS::SageMaker::ModelExplainabilityJobDefinition", &["ModelExplainabilityAppSpecification.ImageUri"]),
    (
        "AWS::SageMaker::ModelPackage",
        &[
            "InferenceSpecification.Containers[].Image",
            "AdditionalInferenceSpecifications[].Containers[].Image",
            "AdditionalInferenceSpecificationsToAdd[].Containers[].Image",
        ],
    ),
    ("AWS::SageMaker::ModelCard", &["Content.ModelPackageDetails.InferenceSpecification.Containers[].Image"]),
    ("AWS::SageMaker::ModelQualityJobDefinition", &["ModelQualityAppSpecification.ImageUri"]),
    (
        "AWS::SageMaker::MonitoringSchedule",
        &["MonitoringScheduleConfig.MonitoringJobDefinition.MonitoringAppSpecification.ImageUri"],
    ),
    ("AWS::SageMaker::ProcessingJob", &["AppSpecification.ImageUri"]),
    // Generic type of custom resources.
    ("AWS::CloudFormation::CustomResource", &["ImageReference"]),
];

/// Returns the paths to the images of a resource type, from its properties.
pub(super) fn image_paths(kind: &str) -> &'static [&'static str] {
    IMAGE_PROPERTIES.iter().find(|(name, _)| *name == kind).map_or(&[][..], |(_, paths)| *paths)
}

/// Returns the steps of a path.
pub(super) fn steps(path: &'static str) -> Vec<Step<'static>> {
    let mut steps = Vec::new();
    for part in path.split('.') {
        match part.strip_suffix("[]") {
            Some(key) => steps.extend([Step::Key(key), Step::Each]),
            None if part == "*" => steps.push(Step::Any),
            None => steps.push(Step::Key(part)),
        }
    }
    steps
}

/// Returns the image of a function that AWS SAM builds from a Dockerfile. It is not in a registry
/// (<https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/serverless-sam-cli-using-build.html>).
pub(super) fn built_image(tree: &Tree, resource: Id) -> Option<Id> {
    let metadata = tree.get(resource, "Metadata")?;
    tree.get(metadata, "DockerContext").or_else(|| tree.get(metadata, "Dockerfile"))?;
    let properties = tree.get(resource, "Properties")?;
    let code = || tree.get(properties, "Code").and_then(|code| tree.get(code, "ImageUri"));
    tree.get(properties, "ImageUri").or_else(code)
}

/// Resources and loops of a template.
#[derive(Default)]
pub(super) struct Resources<'a> {
    /// Each resource once, including those in loops.
    pub(super) all: Vec<Id>,
    /// Collections of the loops by identifier.
    pub(super) loops: HashMap<&'a str, Id>,
}

/// Returns all resources below `Resources`, and the loops around them
/// (<https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference-foreach.html>).
pub(super) fn resources(tree: &Tree, below: Id) -> Resources<'_> {
    let mut found = Resources::default();
    let mut pending = vec![below];
    // With aliases, many entries can be the same node, and a loop can contain itself.
    let mut seen = HashSet::new();
    while let Some(level) = pending.pop() {
        if !seen.insert(tree.resolve(level)) {
            continue;
        }
        for (name, value) in tree.entries(level) {
            if name.starts_with("Fn::ForEach::") {
                let Some([identifier, collection, body, ..]) = tree.items(value) else { continue };
                found.loops.extend(tree.text(*identifier).map(|identifier| (identifier, *collection)));
                pending.push(*body);
            } else if seen.insert(tree.resolve(value)) {
                found.all.push(value);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::template;

    /// Builds the properties for a path to an image.
    fn properties(path: &'static str) -> String {
        let wrap = |inner: String, step: &Step<'_>| match step {
            Step::Key(key) => format!("{{{key}: {inner}}}"),
            Step::Each => format!("[{{Other: 1}}, {inner}]"),
            Step::Any => format!("{{Some: {inner}}}"),
        };
        steps(path).iter().rev().fold("python:3".into(), wrap)
    }

    #[test]
    fn short_names_are_found_in_all_properties() {
        for (kind, paths) in IMAGE_PROPERTIES {
            for path in paths {
                let properties = properties(path);
                let text = format!("Resources: {{A: {{Type: '{kind}', Properties: {properties}}}}}");
                let tree = Tree::parse(&text).unwrap();
                let scan = template::scan(&text, &tree).unwrap();
                assert_eq!((scan.images.len(), scan.errors.len()), (1, 0), "{text}");
            }
        }
    }
}
