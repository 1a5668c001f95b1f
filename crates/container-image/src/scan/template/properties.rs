//! Which properties of which resources name an image.

use super::tree::{Id, Tree};

/// A step towards a property.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step<'a> {
    /// Into the value of this key.
    Key(&'a str),
    /// Into each item of a list.
    Each,
    /// Into each value of a mapping.
    Any,
}

/// Types and their properties that name an image; `[]` stands for each item of a list and `*` for
/// each key of a mapping
/// (<https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-template-resource-type-ref.html>).
const IMAGE_PROPERTIES: [(&str, &[&str]); 23] = [
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
    ("AWS::CodeBuild::Project", &["Environment.Image"]),
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
        ],
    ),
    ("AWS::SageMaker::ModelQualityJobDefinition", &["ModelQualityAppSpecification.ImageUri"]),
    (
        "AWS::SageMaker::MonitoringSchedule",
        &["MonitoringScheduleConfig.MonitoringJobDefinition.MonitoringAppSpecification.ImageUri"],
    ),
    // Another name for a custom resource; what it is shows in its properties.
    ("AWS::CloudFormation::CustomResource", &["ImageReference"]),
];

/// The ways to the images of a resource of that type, from its properties on.
pub(super) fn image_paths(kind: &str) -> Vec<Vec<Step<'static>>> {
    let paths = IMAGE_PROPERTIES.iter().find(|(name, _)| *name == kind).map_or(&[][..], |(_, paths)| *paths);
    paths.iter().map(|path| steps(path)).collect()
}

fn steps(path: &'static str) -> Vec<Step<'static>> {
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

/// All resources below `Resources`, those that a loop makes included
/// (<https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference-foreach.html>).
pub(super) fn resources(tree: &Tree, below: Id) -> Vec<Id> {
    let mut found = Vec::new();
    let mut pending = vec![below];
    // Loops within loops: an alias could make one its own child.
    for _ in 0..64 {
        let Some(level) = pending.pop() else { break };
        for (name, value) in tree.entries(level) {
            if name.starts_with("Fn::ForEach::") {
                pending.extend(tree.items(value).and_then(|items| items.get(2)));
            } else {
                found.push(value);
            }
        }
    }
    found
}
