//! The life of a sample's stack: created, updated to new digests, deleted.

use std::collections::BTreeSet;

use aws_emulator::stack::StackStatus;
use aws_emulator::{Authorization, BoxError};

use crate::checks::Checks;
use crate::environment;
use crate::export::{Export, Sample};
use crate::release::Copied;
use crate::deployment::{Scene, Subject, delete_repository};
use crate::defect::Spoil;

/// What became of a sample.
pub(crate) struct Played {
    pub(crate) rows: Vec<Row>,
    /// What is off.
    pub(crate) problems: Vec<String>,
}

/// What became of one image.
#[derive(Default)]
pub(crate) struct Row {
    pub(crate) logical_id: String,
    /// What its tag named after the creation and after the update, as far as it came.
    pub(crate) digests: Vec<String>,
    pub(crate) end: End,
}

/// How an image ended.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum End {
    /// The play broke off before.
    #[default]
    Open,
    Deleted,
    Retained,
}

/// Plays a sample, with one thing spoilt if that is wanted.
///
/// # Errors
///
/// When the play cannot be set up; whatever goes wrong in it is a problem.
pub(crate) async fn play(export: &Export, sample: &Sample, spoil: Option<Spoil>) -> Result<Played, BoxError> {
    let scene = Scene::set(export, sample, spoil).await?;
    let mut checks = Checks::default();
    let mut rows: Vec<Row> = Vec::new();
    for image in &scene.images {
        rows.push(Row { logical_id: image.resource.logical_id.clone(), ..Row::default() });
        checks.that(image.resource.text("ServiceToken")? == scene.world.function.settings().arn(), || {
            format!("{}: ServiceToken does not name the function", image.resource.logical_id)
        });
    }
    let steps = [(StackStatus::CreateComplete, "Create"), (StackStatus::UpdateComplete, "Update")];
    for (number, (status, verb)) in steps.into_iter().enumerate() {
        scene.publish(number)?;
        let template = scene.template(number);
        let transcript = match number {
            0 => scene.stack.create(&template).await,
            _ => scene.stack.update(&template).await,
        };
        checks.operation(&transcript, status, &requests(verb, scene.images.iter()));
        if transcript.status != status {
            return Ok(Played { rows, problems: checks.into_problems() });
        }
        for (image, row) in scene.images.iter().zip(&mut rows) {
            compare(&mut checks, &scene, image, number)?;
            row.digests.push(image.repository.resolve(&image.tag).unwrap_or_default());
            if number > 0 {
                checks.kept(image, &row.digests[0]);
            }
        }
    }
    environment::check(&mut checks, export, &scene.world.function);
    delete(&mut checks, &scene, &mut rows).await?;
    whole(&mut checks, &scene);
    Ok(Played { rows, problems: checks.into_problems() })
}

/// What CloudFormation has to send: one request for each image.
fn requests<'a>(verb: &str, images: impl Iterator<Item = &'a Subject<'a>>) -> Vec<String> {
    let mut requests: Vec<_> = images.map(|image| format!("{verb} {}", image.resource.logical_id)).collect();
    requests.sort();
    requests
}

/// Compares an image in ECR, and what the stack was told of it, with the release upstream.
fn compare(
    checks: &mut Checks,
    scene: &Scene<'_>,
    image: &Subject<'_>,
    number: usize,
) -> Result<(), BoxError> {
    let copied = image.releases[number].copied(&image.selection)?;
    checks.copied(image, &copied);
    match scene.stack.resource(&image.resource.logical_id) {
        Some(live) => checks.attributes(image, number, &copied, &live),
        None => checks.that(false, || format!("{} is not in the stack", image.resource.logical_id)),
    }
    Ok(())
}

/// Deletes the stack, then its repositories, and looks at what is left in between.
async fn delete(checks: &mut Checks, scene: &Scene<'_>, rows: &mut [Row]) -> Result<(), BoxError> {
    let transcript = scene.stack.delete().await;
    // What the sample retains is not deleted: no event comes for it.
    let doomed = scene.images.iter().filter(|image| !image.resource.is_retained());
    checks.operation(&transcript, StackStatus::DeleteComplete, &requests("Delete", doomed));
    for (resource, repository) in &scene.repositories {
        let (mut tags, mut manifests) = (BTreeSet::new(), BTreeSet::new());
        for (image, row) in scene.images.iter().zip(rows.iter_mut()) {
            if image.repository.arn() != repository.arn() {
                continue;
            }
            row.end = End::Deleted;
            if image.resource.is_retained() {
                // The Update replaced the first release. A Delete would have removed both.
                manifests.extend(manifests_of(image, 0, &row.digests[0])?);
                manifests.extend(manifests_of(image, 1, &row.digests[1])?);
                tags.insert(image.tag.clone());
                compare_retained(checks, image, &row.digests[1]);
                row.end = End::Retained;
            }
        }
        checks.holds(repository, &tags, &manifests);
        if !resource.is_retained() {
            let deleted = delete_repository(&scene.world.emulator, resource);
            checks.that(deleted.is_ok(), || deleted.err().map(|error| error.to_string()).unwrap_or_default());
        }
    }
    Ok(())
}

/// What a sample retains is as the update left it.
fn compare_retained(checks: &mut Checks, image: &Subject<'_>, digest: &str) {
    let named = image.repository.resolve(&image.tag).unwrap_or_default();
    let damage = image.repository.damage(digest);
    checks.that(named == digest && damage.is_empty(), || {
        format!("{}: retained was {digest}, not whole {named}: {damage:?}", image.resource.logical_id)
    });
}

/// The digests of everything that a copy of a release brought along.
fn manifests_of(image: &Subject<'_>, number: usize, root: &str) -> Result<Vec<String>, BoxError> {
    let release = &image.releases[number];
    let Copied { children, .. } = release.copied(&image.selection)?;
    let mut digests: Vec<_> = children.into_iter().map(|child| child.digest).collect();
    digests.push(root.to_owned());
    if image.includes_referrers() {
        digests.push(release.signature.digest().to_owned());
    }
    Ok(digests)
}

/// Nothing was asked of anybody who does not exist, a login was used where one was demanded, and what
/// the mirrors have cost no pull.
fn whole(checks: &mut Checks, scene: &Scene<'_>) {
    let entries = scene.world.emulator.log().entries();
    for entry in entries.iter().filter(|entry| entry.side == "none") {
        checks.that(false, || format!("{} was asked, which nobody serves", entry.host));
    }
    if scene.images.iter().any(Subject::is_private) {
        let shown = |host: &str| !host.contains(".dkr.ecr.");
        let used = entries.iter().any(|e| e.authorization == Authorization::Basic && shown(&e.host));
        checks.that(used, || "upstream was never shown the login that it demands".to_owned());
    }
    if scene.images.iter().all(|image| scene.is_mirrored(image) && !image.includes_referrers()) {
        let named = |host: &str| scene.images.iter().any(|image| host.ends_with(&image.reference.registry));
        let pulls = entries.iter().filter(|entry| entry.counted && named(&entry.host)).count();
        checks.that(pulls == 0, || format!("{pulls} pulls were counted, though a mirror has everything"));
    }
    let defects = scene.world.bucket.defects();
    checks.that(defects.is_empty(), || defects.join("; "));
    let refusals = scene.world.function.refusals();
    checks.that(refusals.is_empty(), || refusals.join("; "));
}
