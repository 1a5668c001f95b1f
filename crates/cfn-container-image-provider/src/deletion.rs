//! Delete: undoes what a resource did, and nothing else.
//!
//! The physical id names the repository and the tag (or the digest); nothing outside that
//! repository is touched, and an id of another form touches nothing at all. Deletion goes by tag: a
//! tag that somebody puts on an image meanwhile saves the image.

use futures_util::{StreamExt as _, stream};
use image_copy::copy::Inventory as _;
use image_copy::oci::{Digest, Manifest, Reference};
use image_copy::registry::{Error, ManifestId};
use image_copy_aws::{EcrRepository, Removal, RepositoryArn};

/// Tags that exist only while an untagged image is being deleted. They save no image.
const TEMPORARY: &str = "copy-removal.";
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
    /// The image is named by its digest, and has tags by now or is listed by an index.
    Kept,
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

/// Deletes what `subject` names from `repository`, which is the one it is in.
pub(crate) async fn delete(subject: &Subject, repository: &EcrRepository) -> Result<Deleted, Error> {
    let Some(stored) = repository.stored(&subject.image).await? else { return Ok(Deleted::Nothing) };
    let named = match &subject.image {
        ManifestId::Tag(tag) => Some(tag.as_str()),
        ManifestId::Digest(_) => None,
    };
    let saves = |tag: &&String| Some(tag.as_str()) != named && !tag.starts_with(TEMPORARY);
    let saved = stored.tags.iter().any(|tag| saves(&tag));
    match named {
        Some(tag) if saved => remove_tag(repository, tag).await,
        None if saved => Ok(Deleted::Kept),
        _ => delete_image(repository, &stored.digest, named).await,
    }
}

async fn remove_tag(repository: &EcrRepository, tag: &str) -> Result<Deleted, Error> {
    match removed(repository, tag).await? {
        Removal::Absent => Ok(Deleted::Nothing),
        Removal::Refused(error) => Err(error),
        Removal::Removed | Removal::ReferencedByIndex => Ok(Deleted::Tag),
    }
}

/// Deletes an image through its last tag, then what it consisted of.
async fn delete_image(
    repository: &EcrRepository,
    digest: &Digest,
    tag: Option<&str>,
) -> Result<Deleted, Error> {
    // Read before it is gone: it says which children there are.
    let manifest = manifest(repository, digest).await?;
    let removal = match (tag, &manifest) {
        (Some(tag), _) => removed(repository, tag).await?,
        (None, Some(manifest)) => remove_untagged(repository, manifest).await?,
        (None, None) => Removal::Absent,
    };
    match (removal, manifest) {
        (Removal::Absent, _) => return Ok(Deleted::Nothing),
        (Removal::Refused(error), _) => return Err(error),
        (Removal::ReferencedByIndex, manifest) => {
            let Some(tag) = tag else { return Ok(Deleted::Kept) };
            if let Some(manifest) = manifest {
                detach(repository, &manifest, tag).await;
            }
            return Ok(Deleted::Tag);
        }
        (Removal::Removed, Some(manifest)) if manifest.is_index() => {
            // Whoever tagged the index meanwhile has saved it, and with it the children.
            let again = repository.stored(&ManifestId::Digest(digest.clone())).await;
            if !matches!(again, Ok(None)) {
                return Ok(Deleted::Tag);
            }
            delete_children(repository, &manifest, MAX_DEPTH).await;
        }
        (Removal::Removed, _) => {}
    }
    Ok(Deleted::Image)
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

async fn delete_child(repository: &EcrRepository, digest: &Digest, depth: usize) -> Result<(), Error> {
    let Some(stored) = repository.stored(&ManifestId::Digest(digest.clone())).await? else { return Ok(()) };
    if stored.tags.iter().any(|tag| !tag.starts_with(TEMPORARY)) {
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
    let tag = format!("{TEMPORARY}{}", manifest.digest.hex());
    match repository.put_tag(manifest, &tag).await {
        // Where tags are immutable, it is there since an attempt that did not come to its end.
        Err(Error::Service { code, .. }) if code == "ImageTagAlreadyExistsException" => {}
        other => other?,
    }
    let removal = removed(repository, &tag).await?;
    if removal == Removal::ReferencedByIndex {
        detach(repository, manifest, &tag).await;
    }
    Ok(removal)
}

/// Takes the last tag off an image that an index lists, which ECR does not allow: the tag moves to
/// a copy of the manifest first, the same but for a line feed at its end, and goes with that.
///
/// A tag that stays, as it must where tags are immutable, harms nobody.
async fn detach(repository: &EcrRepository, manifest: &Manifest, tag: &str) {
    let bytes = [&manifest.bytes[..], b"\n"].concat();
    let Ok(copy) = Manifest::parse(bytes.into(), Some(&manifest.media_type)) else { return };
    let moved = repository.put_tag(&copy, tag).await;
    let result = match moved {
        Ok(()) => removed(repository, tag).await.map(drop),
        Err(error) => Err(error),
    };
    if let Err(error) = result {
        tracing::info!(tag, %error, "the tag stays on an image that an index lists");
    }
}

async fn manifest(repository: &EcrRepository, digest: &Digest) -> Result<Option<Manifest>, Error> {
    match repository.manifests(&[ManifestId::Digest(digest.clone())]).await {
        Ok(manifests) => Ok(manifests.into_iter().next().flatten()),
        // An artifact of a kind that is not known here has no children that are.
        Err(Error::Manifest(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

async fn removed(repository: &EcrRepository, tag: &str) -> Result<Removal, Error> {
    let removals = repository.remove_tags(&[tag.to_owned()]).await?;
    Ok(removals.into_iter().next().unwrap_or(Removal::Absent))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Ecr, URI};

    async fn delete_id(ecr: &Ecr, id: &str) -> Result<Deleted, Error> {
        let subject = Subject::parse(id).unwrap();
        delete(&subject, &ecr.clients().repository(&subject.repository, None)).await
    }

    async fn delete_tag(ecr: &Ecr, tag: &str) -> Result<Deleted, Error> {
        delete_id(ecr, &format!("{URI}:{tag}")).await
    }

    #[test]
    fn only_ids_of_our_own_form_name_anything() {
        let digest = Digest::of(b"x");
        for id in [
            "create-failed",
            "",
            "images-Python-1ABCDEFGHIJKL",
            "123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/app",
            "123456789012.DKR.ecr.eu-west-1.amazonaws.com/team/app:1",
            "123456789012.dkr.ecr-fips.eu-west-1.amazonaws.com/team/app:1",
            "123456789012.dkr.ecr.eu-west-1.amazonaws.com:443/team/app:1",
            "arn:aws:ecr:eu-west-1:123456789012:repository/team/app",
            "docker.io/library/python:3",
            "2026/11/21/[$LATEST]0123456789abcdef",
            &format!("{URI}:1@{digest}"),
            &format!("{URI}:1 "),
        ] {
            assert_eq!(Subject::parse(id), None, "{id}");
        }
        let subject = Subject::parse(&format!("{URI}@{digest}")).unwrap();
        assert_eq!(subject.image, ManifestId::Digest(digest));
        assert_eq!(subject.repository.region(), "eu-west-1");
    }

    #[tokio::test]
    async fn an_image_goes_with_its_last_tag_and_not_before() {
        let ecr = Ecr::default();
        let image = ecr.image("a", &["1", "latest"]);
        assert_eq!(delete_tag(&ecr, "1").await, Ok(Deleted::Tag));
        assert!(ecr.holds(&image));
        assert_eq!(delete_tag(&ecr, "latest").await, Ok(Deleted::Image));
        assert!(!ecr.holds(&image));
        assert_eq!(delete_tag(&ecr, "latest").await, Ok(Deleted::Nothing));
    }

    #[tokio::test]
    async fn an_index_takes_the_children_along_that_nothing_else_uses() {
        let ecr = Ecr::default();
        let (own, tagged, shared) =
            (ecr.image("own", &[]), ecr.image("tagged", &["keep"]), ecr.image("shared", &[]));
        let index = ecr.index(&[&own, &tagged, &shared], &["1"]);
        let other = ecr.index(&[&shared], &["2"]);
        assert_eq!(delete_tag(&ecr, "1").await, Ok(Deleted::Image));
        assert!(!ecr.holds(&index) && !ecr.holds(&own));
        assert!(ecr.holds(&tagged) && ecr.holds(&shared) && ecr.holds(&other));
        assert_eq!(ecr.tags(), ["2", "keep"], "no temporary tag is left");
    }

    #[tokio::test]
    async fn the_last_tag_of_an_indexs_child_goes_and_the_child_stays() {
        let ecr = Ecr::default();
        let child = ecr.image("child", &["one"]);
        ecr.index(&[&child], &["all"]);
        assert_eq!(delete_tag(&ecr, "one").await, Ok(Deleted::Tag));
        assert!(ecr.holds(&child));
        assert_eq!((ecr.tags(), ecr.state().images.len()), (vec!["all".to_owned()], 2));
    }

    #[tokio::test]
    async fn where_tags_are_immutable_what_cannot_be_taken_off_stays_and_that_is_a_success() {
        let ecr = Ecr::default();
        let child = ecr.image("child", &["one"]);
        ecr.index(&[&child], &["all"]);
        ecr.state().immutable = true;
        assert_eq!(delete_tag(&ecr, "one").await, Ok(Deleted::Tag));
        assert_eq!(ecr.tags(), ["all", "one"]);
    }

    #[tokio::test]
    async fn an_image_without_a_tag_is_deleted_by_the_digest_in_its_id() {
        let ecr = Ecr::default();
        let image = ecr.image("a", &[]);
        let id = format!("{URI}@{image}");
        assert_eq!(delete_id(&ecr, &id).await, Ok(Deleted::Image));
        assert!(!ecr.holds(&image) && ecr.tags().is_empty());
        assert_eq!(delete_id(&ecr, &id).await, Ok(Deleted::Nothing));
        let tagged = ecr.image("b", &["somebodys"]);
        assert_eq!(delete_id(&ecr, &format!("{URI}@{tagged}")).await, Ok(Deleted::Kept));
        assert!(ecr.holds(&tagged));
        let child = ecr.image("c", &[]);
        ecr.index(&[&child], &["all"]);
        assert_eq!(delete_id(&ecr, &format!("{URI}@{child}")).await, Ok(Deleted::Kept));
        assert_eq!((ecr.holds(&child), ecr.tags()), (true, vec!["all".to_owned(), "somebodys".to_owned()]));
    }

    #[tokio::test]
    async fn a_tag_that_is_put_meanwhile_saves_the_image() {
        let ecr = Ecr::default();
        let child = ecr.image("child", &[]);
        let index = ecr.index(&[&child], &["1"]);
        let tag_the_index = |state: &mut crate::testing::State| {
            let index = state.tags["1"].clone();
            state.tags.insert("meanwhile".into(), index);
        };
        ecr.state().meanwhile = Some(("BatchDeleteImage", tag_the_index));
        assert_eq!(delete_tag(&ecr, "1").await, Ok(Deleted::Tag));
        assert!(ecr.holds(&index) && ecr.holds(&child));
        assert_eq!(ecr.tags(), ["meanwhile"]);
    }

    #[tokio::test]
    async fn what_is_gone_is_a_success_and_a_repository_too() {
        let ecr = Ecr::default();
        assert_eq!(delete_tag(&ecr, "1").await, Ok(Deleted::Nothing));
        let elsewhere = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/gone:1";
        assert_eq!(delete_id(&ecr, elsewhere).await, Ok(Deleted::Nothing));
    }

    #[tokio::test]
    async fn a_denied_call_fails_the_deletion_only_while_the_tag_is_there() {
        let ecr = Ecr::default();
        let child = ecr.image("child", &[]);
        ecr.index(&[&child], &["1"]);
        ecr.state().denied = vec!["BatchDeleteImage"];
        let error = delete_tag(&ecr, "1").await.unwrap_err();
        assert!(matches!(error, Error::Service { code, .. } if code == "AccessDeniedException"));
        ecr.state().denied = vec!["PutImage"];
        assert_eq!(delete_tag(&ecr, "1").await, Ok(Deleted::Image));
        assert!(ecr.holds(&child), "it is left over");
    }
}
