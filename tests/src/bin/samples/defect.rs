//! Spoils one thing on purpose, so that the checks can show that they see it.

use std::sync::Arc;

use aws_emulator::lambda::Function;
use aws_emulator::stack::Provider;
use aws_emulator::{Direction, Effect, Fault};
use end_to_end::World;
use serde_json::{Value, json};

use crate::export::{Resource, Sample};
use crate::release::Selection;

/// What is spoilt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spoil {
    /// A setting of the template that is about what Delete does.
    Setting,
    /// The one that is about where images are read.
    Mirrors,
    /// `Platform`, on its way to the function.
    Platform,
    /// `Tag`, on its way to the function.
    Tag,
    /// The digest that an update brings.
    Update,
    /// A byte of a layer, on its way into a registry that does not look.
    Layer,
    /// The password in the secret.
    Password,
    /// A deletion, which never comes to the image.
    Deletion,
}

impl Spoil {
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

    /// What the checks have to say of it, among other things.
    pub(crate) fn symptoms(self) -> &'static [&'static str] {
        match self {
            Self::Setting => &["DELETE_IMAGES is \"false\"", "still has the tag"],
            Self::Mirrors => &["SOURCE_MIRRORS is \"\"", "pulls were counted"],
            Self::Platform => &["in ECR names", "attribute Platforms is"],
            Self::Tag => &["in ECR names nothing", "the id is"],
            Self::Update => &["in ECR names", "attribute SourceDigest is"],
            Self::Layer => &["is really sha256:"],
            Self::Password => &["expected CREATE_COMPLETE"],
            Self::Deletion => &["still has the tag", "still holds"],
        }
    }

    /// Whether a sample can show it.
    pub(crate) fn fits(self, sample: &Sample) -> bool {
        let single = |image: &Resource| {
            let platform = image.properties.get("Platform").unwrap_or(&Value::Null);
            matches!(Selection::read(platform), Ok(Selection::One(_)))
        };
        let is_official = |image: &Resource| {
            let reference = image.text("ImageReference").unwrap_or_default();
            reference.starts_with("docker.io/library/") && !image.flag("IncludeReferrers")
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

    /// Before the function is made.
    pub(crate) fn environment(self, environment: &mut [(String, String)]) {
        let (name, value) = match self {
            Self::Setting => ("DELETE_IMAGES", "false"),
            Self::Mirrors => ("SOURCE_MIRRORS", ""),
            _ => return,
        };
        for (_, given) in environment.iter_mut().filter(|(key, _)| key == name) {
            value.clone_into(given);
        }
    }

    /// Before the first event.
    pub(crate) fn prepare(self, world: &World) {
        if self == Self::Layer {
            world.emulator.ecr().overlook_wrong_digests();
            let corrupt = Effect::Corrupt { at_byte: 20, on: Some(Direction::Request) };
            for operation in ["upload.put", "upload.patch"] {
                let fault = Fault::on(operation, corrupt.clone()).host("*.dkr.ecr.*");
                // Those after it find a registry in order, so that the tag comes about.
                world.emulator.faults().add(fault.times(3));
            }
        }
    }

    /// What stands between the stack and the function.
    pub(crate) fn provider(self, world: &World) -> Arc<dyn Provider> {
        Arc::new(Tampering { spoil: self, function: world.function.clone() })
    }
}

/// Changes events before the function sees them.
struct Tampering {
    spoil: Spoil,
    function: Arc<Function>,
}

impl Provider for Tampering {
    fn invoke(&self, mut event: Value) -> String {
        let kind = event["RequestType"].as_str().unwrap_or_default().to_owned();
        match (self.spoil, kind.as_str()) {
            (Spoil::Platform, "Create" | "Update") => {
                event["ResourceProperties"]["Platform"] = json!("linux/arm/v7");
            }
            (Spoil::Tag, "Create" | "Update") => event["ResourceProperties"]["Tag"] = json!("spoilt"),
            (Spoil::Update, "Update") => {
                event["ResourceProperties"] = event["OldResourceProperties"].clone();
            }
            // An id that names no image: the Delete changes nothing.
            (Spoil::Deletion, "Delete") => event["PhysicalResourceId"] = json!("no-image"),
            _ => {}
        }
        self.function.invoke(event)
    }
}
