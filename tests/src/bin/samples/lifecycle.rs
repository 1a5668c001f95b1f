//! Creates a sample's stack, updates it to new digests, and deletes it.

use std::collections::BTreeSet;

use aws_emulator::stack::StackStatus;
use aws_emulator::{Authorization, BoxError};

use crate::checks::Checks;
use crate::defect::Defect;
use crate::deployment::{Deployment, SampleImage, delete_repository};
use crate::environment;
use crate::export::{Export, Sample};
use crate::release::ExpectedCopy;

/// Result of a sample.
pub(crate) struct SampleResult {
    pub(crate) images: Vec<ImageResult>,
    pub(crate) problems: Vec<String>,
}

/// Result of one image.
#[derive(Default)]
pub(crate) struct ImageResult {
    pub(crate) logical_id: String,
    /// Digests of the tag after the creation and after the update.
    pub(crate) digests: Vec<String>,
    pub(crate) end: FinalState,
}

/// State of an image after the deletion of its stack.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum FinalState {
    /// An earlier step failed.
    #[default]
    NotReached,
    Deleted,
    Retained,
}

/// Runs all steps of a sample, with a defect if one is given.
///
/// # Errors
///
/// Fails if the sample cannot be set up. Later failures are problems in the result.
pub(crate) async fn run_lifecycle(
    export: &Export,
    sample: &Sample,
    defect: Option<Defect>,
) -> Result<SampleResult, BoxError> {
    let deployment = Deployment::new(export, sample, defect).await?;
    let mut checks = Checks::default();
    let mut results: Vec<ImageResult> = Vec::new();
    for image in &deployment.images {
        results.push(ImageResult { logical_id: image.resource.logical_id.clone(), ..ImageResult::default() });
        checks.require(
            image.resource.text("ServiceToken")? == deployment.world.function.settings().arn(),
            || format!("{}: ServiceToken does not name the function", image.resource.logical_id),
        );
    }
    let steps = [(StackStatus::CreateComplete, "Create"), (StackStatus::UpdateComplete, "Update")];
    for (number, (status, verb)) in steps.into_iter().enumerate() {
        deployment.publish(number)?;
        let template = deployment.template(number);
        let report = match number {
            0 => deployment.stack.create(&template).await,
            _ => deployment.stack.update(&template).await,
        };
        checks.check_operation(&report, status, &expected_events(verb, deployment.images.iter()));
        if report.status != status {
            return Ok(SampleResult { images: results, problems: checks.into_problems() });
        }
        for (image, result) in deployment.images.iter().zip(&mut results) {
            check_copy(&mut checks, &deployment, image, number)?;
            result.digests.push(image.repository.resolve(&image.tag).unwrap_or_default());
            if number > 0 {
                checks.check_replaced_image(image, &result.digests[0]);
            }
        }
    }
    environment::check(&mut checks, export, &deployment.world.function);
    delete(&mut checks, &deployment, &mut results).await?;
    check_requests(&mut checks, &deployment);
    Ok(SampleResult { images: results, problems: checks.into_problems() })
}

/// Returns the events that CloudFormation must send: one for each image.
fn expected_events<'a>(verb: &str, images: impl Iterator<Item = &'a SampleImage<'a>>) -> Vec<String> {
    let mut events: Vec<_> = images.map(|image| format!("{verb} {}", image.resource.logical_id)).collect();
    events.sort();
    events
}

/// Compares an image in ECR and its attributes with the published release.
fn check_copy(
    checks: &mut Checks,
    deployment: &Deployment<'_>,
    image: &SampleImage<'_>,
    number: usize,
) -> Result<(), BoxError> {
    let copied = image.expected_copy(number)?;
    checks.check_copy(image, &copied);
    match deployment.stack.resource(&image.resource.logical_id) {
        Some(live) => checks.check_attributes(image, number, &copied, &live),
        None => checks.require(false, || format!("{} is not in the stack", image.resource.logical_id)),
    }
    Ok(())
}

/// Deletes the stack, checks the remaining images, and deletes the repositories.
async fn delete(
    checks: &mut Checks,
    deployment: &Deployment<'_>,
    results: &mut [ImageResult],
) -> Result<(), BoxError> {
    let report = deployment.stack.delete().await;
    // CloudFormation sends no event for a retained resource.
    let deleted = deployment.images.iter().filter(|image| !image.resource.is_retained());
    checks.check_operation(&report, StackStatus::DeleteComplete, &expected_events("Delete", deleted));
    for (resource, repository) in &deployment.repositories {
        let (mut tags, mut manifests) = (BTreeSet::new(), BTreeSet::new());
        for (image, result) in deployment.images.iter().zip(results.iter_mut()) {
            if image.repository.arn() != repository.arn() {
                continue;
            }
            result.end = FinalState::Deleted;
            if image.resource.is_retained() {
                // The Update replaced the first release. Only a Delete removes both.
                manifests.extend(manifests_of(image, 0, &result.digests[0])?);
                manifests.extend(manifests_of(image, 1, &result.digests[1])?);
                tags.insert(image.tag.clone());
                check_retained(checks, image, &result.digests[1]);
                result.end = FinalState::Retained;
            }
        }
        checks.check_contents(repository, &tags, &manifests);
        if !resource.is_retained() {
            let deleted = delete_repository(&deployment.world.emulator, resource);
            checks.require(deleted.is_ok(), || {
                deleted.err().map(|error| error.to_string()).unwrap_or_default()
            });
        }
    }
    Ok(())
}

/// Checks that a retained image did not change after the update.
fn check_retained(checks: &mut Checks, image: &SampleImage<'_>, digest: &str) {
    let named = image.repository.resolve(&image.tag).unwrap_or_default();
    let damage = image.repository.integrity_errors(digest);
    checks.require(named == digest && damage.is_empty(), || {
        format!(
            "{}: expected retained image {digest}, the tag names {named}: {damage:?}",
            image.resource.logical_id
        )
    });
}

/// Returns the digests of all manifests of a copied release.
fn manifests_of(image: &SampleImage<'_>, number: usize, root: &str) -> Result<Vec<String>, BoxError> {
    let ExpectedCopy { children, .. } = image.expected_copy(number)?;
    let mut digests: Vec<_> = children.into_iter().map(|child| child.digest).collect();
    digests.push(root.to_owned());
    if image.includes_referrers() {
        digests.push(image.releases[number].signature.digest().to_owned());
    }
    Ok(digests)
}

/// Checks the requests: no unknown hosts, credentials for private images, and no pull of a mirrored image.
fn check_requests(checks: &mut Checks, deployment: &Deployment<'_>) {
    let entries = deployment.world.emulator.log().entries();
    for entry in entries.iter().filter(|entry| entry.service == "none") {
        checks.require(false, || format!("request to unknown host {}", entry.host));
    }
    if deployment.images.iter().any(SampleImage::is_private) {
        let is_source = |host: &str| !host.contains(".dkr.ecr.");
        let used = entries.iter().any(|e| e.authorization == Authorization::Basic && is_source(&e.host));
        checks.require(used, || "no credentials were sent to the source registry".to_owned());
    }
    if deployment.images.iter().all(|image| deployment.is_mirrored(image) && !image.includes_referrers()) {
        let is_source =
            |host: &str| deployment.images.iter().any(|image| host.ends_with(&image.reference.registry));
        let pulls = entries.iter().filter(|entry| entry.is_pull && is_source(&entry.host)).count();
        checks.require(pulls == 0, || format!("{pulls} pulls were counted although a mirror has all images"));
    }
    let defects = deployment.world.bucket.defects();
    checks.require(defects.is_empty(), || defects.join("; "));
    let rejected = deployment.world.function.rejected_calls();
    checks.require(rejected.is_empty(), || rejected.join("; "));
}
