//! One ECR repository through the control plane: the engine's inventory of a destination.

use std::collections::HashSet;

use aws_sdk_ecr::types::LayerAvailability;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt as _, StreamExt as _, TryStreamExt as _, stream};
use image_copy::copy::{Facts, Inventory};
use image_copy::oci::{Algorithm, Digest, Manifest, Tag};
use image_copy::registry::{Error, ManifestId};

use crate::arn::RepositoryArn;
use crate::call::Calls;
use crate::images::BATCH;
use crate::{mutability, storable};

/// Batches in flight at once: an image has one or two, and ECR allows a thousand calls a second.
const CONCURRENT_BATCHES: usize = 4;

/// A repository of private ECR. Its calls end by the deadline it was made with.
#[derive(Clone)]
pub struct EcrRepository {
    pub(crate) arn: RepositoryArn,
    pub(crate) calls: Calls,
}

impl EcrRepository {
    pub(crate) fn new(arn: RepositoryArn, calls: Calls) -> Self {
        Self { arn, calls }
    }

    /// Which repository this is.
    #[must_use]
    pub fn arn(&self) -> &RepositoryArn {
        &self.arn
    }

    async fn describe(&self, tag: Option<&Tag>) -> Result<Facts, Error> {
        let request = self
            .calls
            .client
            .describe_repositories()
            .registry_id(self.arn.account())
            .repository_names(self.arn.name());
        let answer = self.calls.send("ecr:DescribeRepositories", || request.clone().send()).await;
        let answer = match answer {
            Ok(answer) => answer,
            // The copy does without: whoever may push need not be allowed to look.
            Err(Error::Service { code, message, .. }) if code.starts_with("AccessDenied") => {
                tracing::debug!(message, "the repository's settings are not known");
                return Ok(Facts::default());
            }
            Err(error) => return Err(error),
        };
        let repository = answer.repositories().first();
        let immutable = repository
            .zip(tag)
            .and_then(|(repository, tag)| mutability::is_immutable(repository, tag.as_str()));
        Ok(Facts { tag_is_immutable: immutable })
    }

    async fn all_held(&self, digests: &[Digest]) -> Result<HashSet<Digest>, Error> {
        let distinct: HashSet<&Digest> =
            digests.iter().filter(|digest| digest.algorithm() == Algorithm::Sha256).collect();
        let distinct: Vec<String> = distinct.into_iter().map(ToString::to_string).collect();
        let batches: Vec<_> = distinct.chunks(BATCH).map(|batch| self.held(batch)).collect();
        stream::iter(batches).buffer_unordered(CONCURRENT_BATCHES).try_concat().await
    }

    async fn held(&self, digests: &[String]) -> Result<HashSet<Digest>, Error> {
        let request = self
            .calls
            .client
            .batch_check_layer_availability()
            .registry_id(self.arn.account())
            .repository_name(self.arn.name())
            .set_layer_digests(Some(digests.to_vec()));
        let answer = self.calls.send("ecr:BatchCheckLayerAvailability", || request.clone().send()).await?;
        // Archived layers have to be pushed again. Failures say that a digest cannot be held.
        let available = answer
            .layers()
            .iter()
            .filter(|layer| layer.layer_availability() == Some(&LayerAvailability::Available));
        Ok(available.filter_map(|layer| layer.layer_digest()?.parse().ok()).collect())
    }

    /// Puts a tag on a manifest whose parts are in the repository, whether the manifest is or not.
    /// A tag that names it already is success.
    ///
    /// # Errors
    /// What ECR says.
    pub async fn put_tag(&self, manifest: &Manifest, tag: &str) -> Result<(), Error> {
        let text = std::str::from_utf8(&manifest.bytes)
            .map_err(|_| Error::Protocol("a manifest that is not text cannot be tagged"))?;
        let request = self
            .calls
            .client
            .put_image()
            .registry_id(self.arn.account())
            .repository_name(self.arn.name())
            .image_manifest(text)
            .image_manifest_media_type(&manifest.media_type)
            // Any byte that changed on the way makes the call fail.
            .image_digest(manifest.digest.as_str())
            .image_tag(tag);
        match self.calls.send("ecr:PutImage", || request.clone().send()).await {
            // The tag names this manifest already.
            Err(error) if error.has("ImageAlreadyExistsException") => Ok(()),
            other => other.map(drop),
        }
    }

    /// The same where tags are immutable, which refuse even what they name already
    /// (<https://github.com/aws/containers-roadmap/issues/2179>).
    ///
    /// # Errors
    /// What ECR says.
    pub async fn put_tag_unless_there(&self, manifest: &Manifest, tag: &Tag) -> Result<(), Error> {
        let Err(error) = self.put_tag(manifest, tag.as_str()).await else { return Ok(()) };
        if error.has("ImageTagAlreadyExistsException") {
            let named = self.read_batch(&[ManifestId::Tag(tag.clone())]).await?;
            if named.into_iter().flatten().any(|named| named.digest == manifest.digest) {
                return Ok(());
            }
        }
        Err(error)
    }
}

impl Inventory for EcrRepository {
    fn facts<'a>(&'a self, tag: Option<&'a Tag>) -> BoxFuture<'a, Result<Facts, Error>> {
        self.describe(tag).boxed()
    }

    fn manifests<'a>(&'a self, ids: &'a [ManifestId]) -> BoxFuture<'a, Result<Vec<Option<Manifest>>, Error>> {
        let batches: Vec<_> = ids.chunks(BATCH).map(|batch| self.read_batch(batch)).collect();
        stream::iter(batches).buffered(CONCURRENT_BATCHES).try_concat().boxed()
    }

    fn blobs<'a>(&'a self, digests: &'a [Digest]) -> BoxFuture<'a, Result<HashSet<Digest>, Error>> {
        self.all_held(digests).boxed()
    }

    fn objection(&self, manifest: &Manifest) -> Option<String> {
        storable::objection(manifest)
    }

    fn tag<'a>(&'a self, manifest: &'a Manifest, tag: &'a Tag) -> BoxFuture<'a, Result<(), Error>> {
        self.put_tag_unless_there(manifest, tag).boxed()
    }

    /// ECR does since June 2024, so that it needs no list
    /// (<https://aws.amazon.com/about-aws/whats-new/2024/06/amazon-ecr-oci-image-and-distribution-version-1-1/>).
    fn lists_referrers<'a>(&'a self, _: &'a Digest) -> BoxFuture<'a, Result<bool, Error>> {
        futures_util::future::ready(Ok(true)).boxed()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use image_copy::http::Kind;
    use image_copy::oci::media_type;
    use serde_json::{Value, json};

    use super::*;
    use crate::testing::{answer, ecr, refusal};

    const ARN: &str = "arn:aws:ecr:eu-west-1:123456789012:repository/team/app";

    fn repository(
        respond: impl Fn(&str, &Value) -> http::Response<String> + Send + Sync + 'static,
    ) -> EcrRepository {
        ecr(respond).repository(&ARN.parse().unwrap(), None)
    }

    fn manifest(name: &str) -> Manifest {
        let blob =
            json!({"mediaType": "application/x", "digest": Digest::of(name.as_bytes()).as_str(), "size": 1});
        let document = json!({"schemaVersion": 2, "mediaType": media_type::OCI_MANIFEST, "config": blob, "layers": [blob]});
        Manifest::parse(document.to_string().into(), None).unwrap()
    }

    fn image(manifest: &Manifest, tag: Option<&str>) -> Value {
        json!({"imageId": {"imageDigest": manifest.digest.as_str(), "imageTag": tag},
            "imageManifest": String::from_utf8(manifest.bytes.to_vec()).unwrap(),
            "imageManifestMediaType": manifest.media_type})
    }

    fn tag(text: &str) -> Tag {
        text.parse().unwrap()
    }

    #[tokio::test]
    async fn asks_for_the_repository_of_the_arn() {
        let repository = repository(|name, input| {
            assert_eq!((name, &input["registryId"]), ("DescribeRepositories", &json!("123456789012")));
            assert_eq!(input["repositoryNames"], json!(["team/app"]));
            answer(&json!({"repositories": [{"imageTagMutability": "IMMUTABLE"}]}))
        });
        let facts = repository.facts(Some(&tag("1"))).await.unwrap();
        assert_eq!(facts.tag_is_immutable, Some(true));
        assert_eq!(repository.facts(None).await.unwrap().tag_is_immutable, None);
    }

    #[tokio::test]
    async fn goes_on_without_the_permission_to_look_but_not_without_the_repository() {
        let denied = repository(|_, _| refusal("AccessDeniedException", "not authorized"));
        assert_eq!(denied.facts(Some(&tag("1"))).await.unwrap(), Facts::default());
        let missing =
            repository(|_, _| refusal("RepositoryNotFoundException", "The repository does not exist"));
        let error = missing.facts(None).await.unwrap_err();
        assert!(matches!(&error, Error::Service { service, code, .. }
            if service == "ecr:DescribeRepositories" && code == "RepositoryNotFoundException"));
    }

    #[tokio::test]
    async fn checks_blobs_a_hundred_at_a_time_and_takes_only_available_ones_for_held() {
        let digests: Vec<Digest> = (0..250u32).map(|n| Digest::of(&n.to_be_bytes())).collect();
        let calls = Arc::new(AtomicUsize::new(0));
        let (counter, odd) = (Arc::clone(&calls), digests[1..4].to_vec());
        let repository = repository(move |_, input| {
            counter.fetch_add(1, Ordering::SeqCst);
            let asked = input["layerDigests"].as_array().unwrap();
            assert!(asked.len() <= 100);
            let place = |digest: &Value| odd.iter().position(|odd| json!(odd.as_str()) == *digest);
            let availability = |place| ["ARCHIVED", "UNAVAILABLE"].get(place).copied();
            let layers: Vec<Value> = asked
                .iter()
                .filter(|digest| place(digest) != Some(2))
                .map(|digest| {
                    let state = place(digest).and_then(availability).unwrap_or("AVAILABLE");
                    json!({"layerDigest": digest, "layerAvailability": state})
                })
                .collect();
            let failures: Vec<Value> = asked.iter().filter(|digest| place(digest) == Some(2)).map(|digest| {
                json!({"layerDigest": digest, "failureCode": "InvalidLayerDigest", "failureReason": "odd"})
            }).collect();
            answer(&json!({"layers": layers, "failures": failures}))
        });
        let held = repository.blobs(&digests).await.unwrap();
        assert_eq!(held.len(), 247);
        assert!(digests[1..4].iter().all(|odd| !held.contains(odd)));
        assert_eq!(calls.load(Ordering::SeqCst), 3);
    }

    #[tokio::test]
    async fn reads_manifests_in_the_order_asked_for() {
        let (one, two) = (manifest("one"), manifest("two"));
        let images = json!([image(&two, None), image(&one, Some("1"))]);
        let repository = repository(move |_, input| {
            assert_eq!(input["acceptedMediaTypes"], json!(media_type::ALL));
            answer(&json!({"images": images, "failures": [
                {"imageId": {"imageTag": "no"}, "failureCode": "ImageNotFound", "failureReason": "not there"}]}))
        });
        let ids =
            [ManifestId::Tag(tag("1")), ManifestId::Tag(tag("no")), ManifestId::Digest(two.digest.clone())];
        let read = repository.manifests(&ids).await.unwrap();
        assert_eq!(read, [Some(one), None, Some(two)]);
    }

    #[tokio::test]
    async fn a_failure_inside_http_200_is_an_error() {
        let repository = repository(|_, _| {
            answer(&json!({"failures": [{"imageId": {"imageTag": "1"}, "failureCode": "KmsError",
                "failureReason": "key disabled"}]}))
        });
        let error = repository.manifests(&[ManifestId::Tag(tag("1"))]).await.unwrap_err();
        assert_eq!(error.to_string(), "ecr:BatchGetImage says KmsError \"key disabled\"");
    }

    #[tokio::test]
    async fn other_bytes_than_the_digest_asked_for_are_an_error() {
        let (wanted, other) = (manifest("wanted"), manifest("other"));
        let mut wrong = image(&other, None);
        wrong["imageId"]["imageDigest"] = json!(wanted.digest.as_str());
        let repository = repository(move |_, _| answer(&json!({"images": [wrong]})));
        let error = repository.manifests(&[ManifestId::Digest(wanted.digest.clone())]).await.unwrap_err();
        assert_eq!(error, Error::DigestMismatch { expected: wanted.digest, actual: other.digest });
    }

    #[tokio::test]
    async fn tags_a_manifest_without_its_blobs() {
        let manifest = manifest("x");
        let (expected, digest) =
            (String::from_utf8(manifest.bytes.to_vec()).unwrap(), manifest.digest.to_string());
        let repository = repository(move |name, input| {
            assert_eq!((name, &input["imageManifest"]), ("PutImage", &json!(expected)));
            assert_eq!((&input["imageDigest"], &input["imageTag"]), (&json!(digest), &json!("1")));
            assert_eq!(input["imageManifestMediaType"], json!(media_type::OCI_MANIFEST));
            refusal("ImageAlreadyExistsException", "it is there")
        });
        repository.tag(&manifest, &tag("1")).await.unwrap();
    }

    #[tokio::test]
    async fn an_immutable_tag_that_names_the_manifest_already_is_success() {
        let (same, other) = (manifest("same"), manifest("other"));
        let named = image(&same, Some("1"));
        let repository = repository(move |name, _| match name {
            "PutImage" => refusal("ImageTagAlreadyExistsException", "the tag is immutable"),
            _ => answer(&json!({"images": [named]})),
        });
        repository.tag(&same, &tag("1")).await.unwrap();
        let error = repository.tag(&other, &tag("1")).await.unwrap_err();
        assert!(error.has("ImageTagAlreadyExistsException"));
    }

    #[tokio::test]
    async fn throttling_is_waited_out_for_longer_than_the_sdk_would() {
        let calls = AtomicUsize::new(0);
        let repository = repository(move |_, _| match calls.fetch_add(1, Ordering::SeqCst) {
            0..=20 => refusal("ThrottlingException", "Rate exceeded"),
            _ => answer(&json!({})),
        });
        repository.tag(&manifest("x"), &tag("1")).await.unwrap();
    }

    #[tokio::test]
    async fn throttling_is_not_waited_out_beyond_the_deadline() {
        let throttled = ecr(|_, _| refusal("ThrottlingException", "Rate exceeded"));
        let deadline = tokio::time::Instant::now() + std::time::Duration::from_millis(50);
        let repository = throttled.repository(&ARN.parse().unwrap(), Some(deadline));
        let error = repository.tag(&manifest("x"), &tag("1")).await.unwrap_err();
        assert!(error.has("ThrottlingException"));
        assert!(deadline.elapsed() < std::time::Duration::from_secs(2));
    }

    #[tokio::test]
    async fn a_server_error_is_tried_again_but_not_for_ever() {
        let calls = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&calls);
        let repository = repository(move |_, _| {
            counter.fetch_add(1, Ordering::SeqCst);
            http::Response::builder().status(502).body("<html>".to_owned()).unwrap()
        });
        let error = repository.facts(None).await.unwrap_err();
        let Error::Refused(refusal) = error else { panic!("{error}") };
        assert_eq!((refusal.status, refusal.attempts, calls.load(Ordering::SeqCst)), (502, 3, 3));
    }

    #[tokio::test]
    async fn an_address_where_nobody_listens_is_named_as_such() {
        let refused = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let clients = crate::testing::clients_at(&format!("http://{refused}"));
        let error = clients.repository(&ARN.parse().unwrap(), None).facts(None).await.unwrap_err();
        let Error::Http(error) = error else { panic!("{error}") };
        assert!(matches!(&error.kind, Kind::Connect(text) if text.contains("refused")), "{error}");
        assert_eq!((error.host.as_str(), error.attempts), ("api.ecr.eu-west-1.amazonaws.com", 3));
    }
}
