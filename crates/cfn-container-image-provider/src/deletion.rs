//! Taking a tag off, and the image with its last.
//!
//! The physical id names the repository and the tag (or the digest); nothing outside that
//! repository is touched, and an id of another form touches nothing at all. Deletion goes by tag: a
//! tag that somebody puts on an image meanwhile saves the image. Whether a tag may go at all is
//! decided in `undoing`.

use futures_util::{StreamExt as _, stream};
use image_copy::copy::Inventory as _;
use image_copy::oci::{Digest, Manifest, Reference, Tag};
use image_copy::registry::{Error, ManifestId};
use image_copy_aws::{EcrRepository, Removal, RepositoryArn, StoredImage};

use crate::ledger::REMOVAL;

/// Children of an index that are deleted at once. ECR takes ten PutImage calls a second from all.
const CONCURRENT_CHILDREN: usize = 4;
/// Indexes within indexes that are followed; more is not an image.
const MAX_DEPTH: usize = 3;

/// What a physical id names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Subject {
    pub(crate) repository: RepositoryArn,
    pub(crate) image: ManifestId,
}

/// What a Delete did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Deleted {
    /// There was nothing to delete.
    Nothing,
    /// The tag is gone; the image has others, or an index needs it.
    Tag,
    /// The image is gone.
    Image,
    /// The installer keeps every image.
    Kept,
    /// Others claim the tag, which names what they last had.
    Claimed,
    /// The resource has no claim, or a later event has overtaken this one.
    Unclaimed,
    /// Somebody else has pushed another image under the tag since.
    Foreign,
}

/// A call that Delete could not do without.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct NotDeleted {
    /// The physical id.
    pub(crate) subject: String,
    pub(crate) cause: Error,
}

impl Subject {
    /// Reads a physical id in exactly the form that Create gives it. `None`: it is somebody else's,
    /// such as `create-failed` or the ones that CloudFormation makes up for a Create it cancels.
    pub(crate) fn parse(id: &str) -> Option<Self> {
        let reference: Reference = id.parse().ok()?;
        if reference.to_string() != id {
            return None;
        }
        let repository = RepositoryArn::of_repository(&reference.repository)?;
        let image = match (reference.tag, reference.digest) {
            (Some(tag), None) => ManifestId::Tag(tag),
            (None, Some(digest)) => ManifestId::Digest(digest),
            _ => return None,
        };
        Some(Self { repository, image })
    }
}

/// Takes `tag` off its image, and deletes the image when that was its last.
///
/// Before anything is lost, `wanted_again` is asked, with the tag gone: whoever claims it now either
/// finds it gone and puts it there again, or is found here, and has put it back.
pub(crate) async fn delete(
    tag: &Tag,
    repository: &EcrRepository,
    wanted_again: impl AsyncFnOnce(&Manifest) -> Result<bool, Error>,
) -> Result<Deleted, Error> {
    let id = ManifestId::Tag(tag.clone());
    let Some(stored) = repository.stored(&id).await? else { return Ok(Deleted::Nothing) };
    // Read before it is gone: it says which children there are.
    let manifest = manifest(repository, &stored.digest).await?;
    let holder = match &manifest {
        Some(manifest) => hold(repository, manifest, &stored).await?,
        None => None,
    };
    // Only from this image: whoever moved it meanwhile has another in mind.
    let removal = repository.remove_tag_of(&stored.digest, tag.as_str()).await?;
    if let (Some(manifest), Removal::Removed) = (&manifest, &removal)
        && wanted_again(manifest).await?
    {
        release(repository, holder.as_deref()).await?;
        return Ok(Deleted::Claimed);
    }
    let saves = |other: &&String| other.as_str() != tag.as_str() && !other.starts_with(REMOVAL);
    let is_saved = stored.tags.iter().any(|other| saves(&other));
    match (removal, manifest, holder) {
        (Removal::Refused(error), _, holder) => {
            release(repository, holder.as_deref()).await?;
            Err(error)
        }
        (_, _, holder) if is_saved => release(repository, holder.as_deref()).await.map(|_| Deleted::Tag),
        (Removal::Absent, _, None) => Ok(Deleted::Nothing),
        (_, Some(manifest), Some(holder)) => delete_held(repository, &manifest, &holder, tag).await,
        (Removal::ReferencedByIndex, manifest, None) => {
            if let Some(manifest) = manifest {
                detach(repository, &manifest, tag.as_str()).await;
            }
            Ok(Deleted::Tag)
        }
        (Removal::Removed, manifest, _) => Ok(gone(repository, manifest.as_ref()).await),
        (_, None, Some(_)) => Ok(Deleted::Tag),
    }
}

/// Puts a tag of ours on an image, so that it outlives the tag that is taken off. `None`: ECR does
/// not take it, as of an image that lacks a layer, which is then worth less care.
async fn hold(
    repository: &EcrRepository,
    manifest: &Manifest,
    stored: &StoredImage,
) -> Result<Option<String>, Error> {
    let tag = format!("{REMOVAL}{}", manifest.digest.hex());
    // It may be there since an attempt that did not come to its end.
    if stored.tags.contains(&tag) {
        return Ok(Some(tag));
    }
    match repository.put_tag(manifest, &tag).await {
        Ok(()) => Ok(Some(tag)),
        Err(error @ Error::Service { .. }) => {
            tracing::info!(%error, "the image is deleted without holding it first");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

async fn release(repository: &EcrRepository, holder: Option<&str>) -> Result<Removal, Error> {
    match holder {
        Some(holder) => repository.remove_tag(holder).await,
        None => Ok(Removal::Absent),
    }
}

/// Deletes an image that no tag but `holder` names.
async fn delete_held(
    repository: &EcrRepository,
    manifest: &Manifest,
    holder: &str,
    tag: &Tag,
) -> Result<Deleted, Error> {
    match repository.remove_tag(holder).await? {
        Removal::Refused(error) => Err(error),
        Removal::ReferencedByIndex => {
            if !detach(repository, manifest, holder).await {
                // A tag that has to stay is better one that somebody chose.
                repository.put_tag_unless_there(manifest, tag).await?;
                repository.remove_tag(holder).await?;
            }
            Ok(Deleted::Tag)
        }
        Removal::Removed | Removal::Absent => Ok(gone(repository, Some(manifest)).await),
    }
}

/// Deletes the children of what was deleted, unless somebody tagged it meanwhile, which saves it and
/// them.
async fn gone(repository: &EcrRepository, manifest: Option<&Manifest>) -> Deleted {
    let Some(manifest) = manifest else { return Deleted::Image };
    let again = repository.stored(&ManifestId::Digest(manifest.digest.clone())).await;
    if !matches!(again, Ok(None)) {
        return Deleted::Tag;
    }
    delete_children(repository, manifest, MAX_DEPTH).await;
    Deleted::Image
}

/// Deletes the children of an index that is gone, as far as nothing else uses them.
///
/// The resource is deleted by now, so that a child which cannot be is a left-over, not a failure.
fn delete_children<'a>(
    repository: &'a EcrRepository,
    index: &'a Manifest,
    depth: usize,
) -> futures_util::future::BoxFuture<'a, ()> {
    let delete = move |digest: Digest| async move {
        if let Err(error) = delete_child(repository, &digest, depth).await {
            tracing::warn!(digest = digest.as_str(), %error, "an image of the deleted index is left over");
        }
    };
    let digests: Vec<Digest> = index.children().iter().map(|child| child.digest.clone()).collect();
    Box::pin(stream::iter(digests).for_each_concurrent(CONCURRENT_CHILDREN, delete))
}

/// Deletes an image or artifact that no tag names, with its children, as far as nothing else uses them.
pub(crate) async fn delete_untagged(repository: &EcrRepository, digest: &Digest) -> Result<(), Error> {
    delete_child(repository, digest, MAX_DEPTH).await
}

async fn delete_child(repository: &EcrRepository, digest: &Digest, depth: usize) -> Result<(), Error> {
    let Some(stored) = repository.stored(&ManifestId::Digest(digest.clone())).await? else { return Ok(()) };
    if stored.tags.iter().any(|tag| !tag.starts_with(REMOVAL)) {
        return Ok(());
    }
    let Some(manifest) = manifest(repository, digest).await? else { return Ok(()) };
    match remove_untagged(repository, &manifest).await? {
        Removal::Removed if manifest.is_index() && depth > 1 => {
            delete_children(repository, &manifest, depth - 1).await;
            Ok(())
        }
        Removal::Refused(error) => Err(error),
        Removal::Removed | Removal::Absent | Removal::ReferencedByIndex => Ok(()),
    }
}

/// Gives an untagged image a tag of its own and deletes it through that.
async fn remove_untagged(repository: &EcrRepository, manifest: &Manifest) -> Result<Removal, Error> {
    let tag = format!("{REMOVAL}{}", manifest.digest.hex());
    match repository.put_tag(manifest, &tag).await {
        // Where tags are immutable, it is there since an attempt that did not come to its end.
        Err(error) if error.has("ImageTagAlreadyExistsException") => {}
        other => other?,
    }
    let removal = repository.remove_tag(&tag).await?;
    if removal == Removal::ReferencedByIndex {
        detach(repository, manifest, &tag).await;
    }
    Ok(removal)
}

/// Takes the last tag off an image that an index lists, which ECR does not allow: the tag moves to
/// a copy of the manifest first, the same but for a line feed at its end, and goes with that.
///
/// Tells whether that worked: where tags are immutable it does not.
async fn detach(repository: &EcrRepository, manifest: &Manifest, tag: &str) -> bool {
    let bytes = [&manifest.bytes[..], b"\n"].concat();
    let Ok(copy) = Manifest::parse(bytes.into(), Some(&manifest.media_type)) else { return false };
    let moved = repository.put_tag(&copy, tag).await;
    let result = match moved {
        Ok(()) => repository.remove_tag(tag).await.map(drop),
        Err(error) => Err(error),
    };
    if let Err(error) = &result {
        tracing::info!(tag, %error, "a tag stays on an image that an index lists");
    }
    result.is_ok()
}

async fn manifest(repository: &EcrRepository, digest: &Digest) -> Result<Option<Manifest>, Error> {
    match repository.manifests(&[ManifestId::Digest(digest.clone())]).await {
        Ok(manifests) => Ok(manifests.into_iter().next().flatten()),
        // An artifact of a kind that is not known here has no children that are.
        Err(Error::Manifest(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests;
