//! Defects that the checks of the samples must detect.

use std::sync::Arc;

use aws_emulator::lambda::Function;
use aws_emulator::stack::Provider;
use aws_emulator::{Direction, Effect, Fault};
use end_to_end::World;
use serde_json::{Value, json};

use crate::export::{Resource, Sample};
use crate::release::Selection;

/// A defect to inject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Defect {
    /// `DELETE_IMAGES` is `false`.
    Setting,
    /// `SOURCE_MIRRORS` is empty.
    Mirrors,
    /// The function gets another `Platform`.
    Platform,
    /// The function gets another `Tag`.
    Tag,
    /// The function gets the old properties in an Update.
    Update,
    /// A changed byte in a layer. ECR does not verify digests.
    Layer,
    /// The secret contains another password.
    Password,
    /// The function gets another physical id in a Delete.
    Deletion,
}

impl Defect {
    pub(crate) const ALL: [Self; 8] = [
        Self::Setting,
        Self::Mirrors,
        Self::Platform,
        Self::Tag,
        Self::Update,
        Self::Layer,
        Self::Password,
        Self::Deletion,
    ];

    /// Returns texts that the reported problems must contain.
    pub(crate) fn expected_problems(self) -> &'static [&'static str] {
        match self {
            Self::Setting => &["DELETE_IMAGES is \"false\"", "still has the tag"],
            Self::Mirrors => &["SOURCE_MIRRORS is \"\"", "pulls were counted"],
            Self::Platform => &["in ECR names", "attribute Platforms is"],
            Self::Tag => &["in ECR names nothing", "the physical id is"],
            Self::Update => &["in ECR names", "attribute SourceDigest is"],
            Self::Layer => &["has the digest sha256:"],
            Self::Password => &["expected CREATE_COMPLETE"],
            Self::Deletion => &["still has the tag", "still contains"],
        }
    }

    /// Returns true if the defect affects the sample.
    pub(crate) fn applies_to(self, sample: &Sample) -> bool {
        let single = |image: &Resource| {
            let platform = image.properties.get("Platform").unwrap_or(&Value::Null);
            matches!(Selection::read(platform), Ok(Selection::One(_)))
        };
        let is_official = |image: &Resource| {
            let reference = image.text("ImageReference").unwrap_or_default();
            reference.starts_with("docker.io/library/") && !image.is_true("IncludeReferrers")
        };
        match self {
            Self::Platform => sample.images.iter().all(single),
            Self::Password => {
                sample.images.iter().any(|image| image.properties.contains_key("CredentialArn"))
            }
            Self::Mirrors => sample.images.iter().all(is_official),
            Self::Setting | Self::Deletion => !sample.images.iter().any(Resource::is_retained),
            Self::Tag | Self::Update | Self::Layer => true,
        }
    }

    /// Changes the environment of the function.
    pub(crate) fn change_environment(self, environment: &mut [(String, String)]) {
        let (name, value) = match self {
            Self::Setting => ("DELETE_IMAGES", "false"),
            Self::Mirrors => ("SOURCE_MIRRORS", ""),
            _ => return,
        };
        for (_, given) in environment.iter_mut().filter(|(key, _)| key == name) {
            value.clone_into(given);
        }
    }

    /// Prepares the defect before the first event.
    pub(crate) fn prepare(self, world: &World) {
        if self == Self::Layer {
            world.emulator.ecr().accept_wrong_digests();
            let corrupt = Effect::Corrupt { at_byte: 20, on: Some(Direction::Request) };
            for operation in ["upload.put", "upload.patch"] {
                let fault = Fault::on(operation, corrupt.clone()).host("*.dkr.ecr.*");
                // Later uploads are intact, so that the tag is written.
                world.emulator.faults().add(fault.times(3));
            }
        }
    }

    /// Returns the provider that the stack invokes.
    pub(crate) fn provider(self, world: &World) -> Arc<dyn Provider> {
        Arc::new(DefectiveProvider { defect: self, function: world.function.clone() })
    }
}

/// Changes events before it invokes the function.
struct DefectiveProvider {
    defect: Defect,
    function: Arc<Function>,
}

impl Provider for DefectiveProvider {
    fn invoke(&self, mut event: Value) -> String {
        let kind = event["RequestType"].as_str().unwrap_or_default().to_owned();
        match (self.defect, kind.as_str()) {
            (Defect::Platform, "Create" | "Update") => {
                event["ResourceProperties"]["Platform"] = json!("linux/arm/v7");
            }
            (Defect::Tag, "Create" | "Update") => event["ResourceProperties"]["Tag"] = json!("wrong"),
            (Defect::Update, "Update") => {
                event["ResourceProperties"] = event["OldResourceProperties"].clone();
            }
            // An id that names no image: the Delete changes nothing.
            (Defect::Deletion, "Delete") => event["PhysicalResourceId"] = json!("no-image"),
            _ => {}
        }
        self.function.invoke(event)
    }
}
