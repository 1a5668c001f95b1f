//! Resources, and the attributes that are known before their creation.

use std::collections::{BTreeMap, BTreeSet};

use image_copy::yaml::Id;
use image_copy_aws::Partition;

use super::TemplateError;
use super::evaluate::Evaluator;
use super::quoted;
use super::value::{Unknown, Value};

/// Type of images.
const IMAGE_TYPE: &str = "Custom::ContainerImage";

/// Type of custom resources without a type of their own.
const CUSTOM_TYPE: &str = "AWS::CloudFormation::CustomResource";

const REPOSITORY_TYPE: &str = "AWS::ECR::Repository";

/// Attributes of images (docs/reference.md).
const IMAGE_ATTRIBUTES: [&str; 11] = [
    "ImageUri",
    "ImageReference",
    "Digest",
    "MediaType",
    "SourceDigest",
    "SourceReference",
    "Platforms",
    "RepositoryUri",
    "Tag",
    "Size",
    "Referrers",
];

/// A resource that the deployment creates or keeps.
#[derive(Debug, Clone)]
pub(crate) struct Resource {
    /// Logical ID.
    pub(crate) name: String,
    /// Type, such as `AWS::ECR::Repository`.
    pub(crate) kind: String,
    pub(crate) line: usize,
    /// Line of each property.
    pub(crate) lines: BTreeMap<String, usize>,
    /// A map.
    pub(crate) properties: Value,
    /// Reason for a condition that only the deployment knows.
    pub(crate) condition: Option<Unknown>,
    /// Logical IDs of the resources that exist before this one.
    pub(crate) dependencies: BTreeSet<String>,
    pub(crate) deletion_policy: Option<String>,
    pub(crate) update_replace_policy: Option<String>,
}

/// The resources of a template.
#[derive(Debug, Default)]
pub(crate) struct Resources {
    /// In the order of the template.
    pub(crate) all: Vec<Resource>,
    pub(crate) errors: Vec<TemplateError>,
    /// `Globals.Function`: defaults of the functions of the Serverless Application Model.
    pub(crate) function_defaults: Option<Value>,
    /// Line and name of each `Fn::ForEach`, which is not evaluated.
    pub(crate) loops: Vec<(usize, String)>,
}

impl Resources {
    pub(crate) fn get(&self, name: &str) -> Option<&Resource> {
        self.all.iter().find(|resource| resource.name == name)
    }
}

impl Resource {
    /// Returns true for an image. A generic custom resource is one if it has both properties.
    pub(crate) fn is_image(&self) -> bool {
        let has = |key: &str| self.properties.get(key).is_some();
        self.kind == IMAGE_TYPE || (self.kind == CUSTOM_TYPE && has("ImageReference") && has("RepositoryArn"))
    }

    pub(crate) fn is_repository(&self) -> bool {
        self.kind == REPOSITORY_TYPE
    }

    /// Returns the line of a property, or of the resource if it has none.
    pub(crate) fn line_of(&self, property: &str) -> usize {
        self.lines.get(property).copied().unwrap_or(self.line)
    }
}

/// Returns the value of `Ref` to a resource.
///
/// # Errors
/// If the name of a repository is invalid.
pub(super) fn physical_id(
    evaluator: &Evaluator<'_>,
    name: &str,
    declaration: Id,
) -> Result<Value, TemplateError> {
    match kind(evaluator, declaration) {
        REPOSITORY_TYPE => repository_name(evaluator, name, declaration),
        _ => Ok(Value::Unknown(Unknown::of_resource(name))),
    }
}

/// Returns the value of `GetAtt`.
///
/// # Errors
/// If an image has no such attribute.
pub(super) fn attribute(
    evaluator: &Evaluator<'_>,
    at: Id,
    (name, declaration): (&str, Id),
    key: &str,
) -> Result<Value, TemplateError> {
    match kind(evaluator, declaration) {
        IMAGE_TYPE if !IMAGE_ATTRIBUTES.contains(&key) => {
            let problem = format!("image {name} has no attribute {}. Use ImageUri", quoted(key));
            Err(evaluator.error(at, problem))
        }
        // https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-ecr-repository.html#aws-resource-ecr-repository-return-values
        REPOSITORY_TYPE if matches!(key, "Arn" | "RepositoryUri") => {
            let inputs = evaluator.inputs;
            let repository = match repository_name(evaluator, name, declaration)? {
                Value::Text(repository) => repository,
                unknown => return Ok(unknown),
            };
            let account = match &inputs.account {
                Ok(account) => account,
                Err(reason) => {
                    let resources = vec![name.to_owned()];
                    return Ok(Value::Unknown(Unknown { reason: reason.clone(), resources }));
                }
            };
            let (region, partition) = (&inputs.region, Partition::of_region(&inputs.region));
            Ok(Value::Text(match key {
                "Arn" => format!("arn:{}:ecr:{region}:{account}:repository/{repository}", partition.name()),
                _ => format!("{account}.dkr.ecr.{region}.{}/{repository}", partition.suffix()),
            }))
        }
        _ => Ok(Value::Unknown(Unknown::of_resource(name))),
    }
}

fn kind<'a>(evaluator: &Evaluator<'a>, declaration: Id) -> &'a str {
    let tree = evaluator.tree;
    tree.get(declaration, "Type").and_then(|kind| tree.text(kind)).unwrap_or_default()
}

/// Returns the name of a repository: its property, or the name that CloudFormation generated in the deployed stack.
fn repository_name(evaluator: &Evaluator<'_>, name: &str, declaration: Id) -> Result<Value, TemplateError> {
    let tree = evaluator.tree;
    let property =
        tree.get(declaration, "Properties").and_then(|properties| tree.get(properties, "RepositoryName"));
    let value = property.map_or(Ok(Value::Removed), |property| evaluator.value(property))?;
    Ok(match (value, evaluator.inputs.physical_ids.get(name)) {
        (text @ Value::Text(_), _) => text,
        (Value::Unknown(unknown), _) => {
            Value::Unknown(Unknown { resources: vec![name.to_owned()], ..unknown })
        }
        (_, Some(generated)) => Value::Text(generated.clone()),
        (_, None) => Value::Unknown(Unknown::of_resource(name)),
    })
}
