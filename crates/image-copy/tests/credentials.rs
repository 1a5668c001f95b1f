//! Credentials and tokens are sent only where they belong.

mod support;

use std::sync::{Arc, Mutex};

use aws_emulator::{Effect, Fault, Image, ImageBuilder, Profile};
use futures_util::future::BoxFuture;
use image_copy::oci::{self, Reference};
use image_copy::registry::{self, Anonymous, Client, Credentials, CredentialsProvider, ManifestId};
use support::World;
use support::loopback_registry::{LoopbackRegistry, error_response};

const SECRET: &str = "acme/secret:1";

/// Returns the first credentials until they are rejected, then the next ones.
struct SequentialCredentials(Mutex<Vec<Credentials>>);

impl SequentialCredentials {
    fn of(credentials: &[(&str, &str)]) -> Arc<Self> {
        let to_credentials = |(name, password): &(&str, &str)| Credentials {
            username: (*name).into(),
            password: (*password).into(),
        };
        Arc::new(Self(Mutex::new(credentials.iter().rev().map(to_credentials).collect())))
    }
}

impl CredentialsProvider for SequentialCredentials {
    fn credentials_for<'a>(
        &'a self,
        _: &'a oci::Repository,
        rejected: Option<&'a Credentials>,
    ) -> BoxFuture<'a, Result<Option<Credentials>, registry::Error>> {
        let mut credentials = self.0.lock().expect("no test panicked");
        if rejected.is_some() && credentials.len() > 1 {
            credentials.pop();
        }
        let credentials = credentials.last().cloned();
        Box::pin(async move { Ok(credentials) })
    }
}

/// Unavailable credentials, as with a credential helper that is not installed.
struct UnavailableCredentials;

impl CredentialsProvider for UnavailableCredentials {
    fn credentials_for<'a>(
        &'a self,
        _: &'a oci::Repository,
        _: Option<&'a Credentials>,
    ) -> BoxFuture<'a, Result<Option<Credentials>, registry::Error>> {
        Box::pin(async { Err(registry::Error::Credentials("not installed".into())) })
    }
}

/// Starts a world with a private repository at Docker Hub that belongs to `ann`.
async fn world_with_private_image() -> (World, Image) {
    let (world, image) = (World::start().await, ImageBuilder::new(1).platforms(&["linux/amd64"]).single());
    let hub = world.emulator.docker_hub();
    for user in ["ann", "bob"] {
        hub.add_user(user, "right-password");
    }
    hub.put_image("acme/secret", "1", &image);
    hub.make_private("acme/secret", &["ann"]);
    (world, image)
}

/// Returns the digest of an image.
async fn digest_of(client: &Client, name: &str) -> Result<String, registry::Error> {
    let Reference { repository, tag, .. } = name.parse().expect("a reference");
    let repository = client.repository(repository, None);
    let head = repository.head_manifest(&ManifestId::Tag(tag.expect("a tag"))).await?;
    Ok(head.digest.to_string())
}

#[tokio::test]
async fn a_token_is_used_only_with_its_credentials() {
    let (world, image) = world_with_private_image().await;
    let ann = world.client.with_credentials(SequentialCredentials::of(&[("ann", "right-password")]));
    assert_eq!(digest_of(&ann, SECRET).await.unwrap(), image.digest());
    let mark = world.emulator.log().mark();
    let bob = ann.with_credentials(SequentialCredentials::of(&[("bob", "right-password")]));
    digest_of(&bob, SECRET).await.unwrap_err();
    let requests: Vec<String> = world.upstream_requests(mark);
    assert_eq!(
        requests,
        ["manifest.head", "token", "manifest.head"],
        "other credentials need a new challenge and token, and a rejection is final"
    );
    digest_of(&ann.with_credentials(Arc::new(Anonymous)), SECRET).await.unwrap_err();
    let mark = world.emulator.log().mark();
    assert_eq!(digest_of(&ann, SECRET).await.unwrap(), image.digest());
    assert_eq!(world.upstream_requests(mark), ["manifest.head"], "the first token is still cached");
}

#[tokio::test]
async fn rejected_credentials_are_sent_again_only_if_they_changed() {
    let world = World::start().await;
    let profile = Profile { rejects_wrong_credentials: true, ..Profile::bearer("registry.example") };
    let hub = (world.emulator.docker_hub().clone(), "docker.io/acme/secret:1");
    let other = (world.emulator.add_upstream(profile), "registry.example/acme/secret:1");
    // For wrong credentials, Docker Hub issues a token without access. Other token services issue none.
    for (registry, name) in [hub, other] {
        let image = ImageBuilder::new(1).platforms(&["linux/amd64"]).single();
        registry.put_image("acme/secret", "1", &image);
        registry.add_user("ann", "new-password");
        registry.make_private("acme/secret", &["ann"]);
        let attempt = async |credentials: &[(&str, &str)]| {
            let mark = world.emulator.log().mark();
            let client = world.client.with_credentials(SequentialCredentials::of(credentials));
            let result = digest_of(&client, name).await;
            (result.is_ok(), world.emulator.log().count(mark, "token"))
        };
        let rotated = [("ann", "old-password"), ("ann", "new-password")];
        assert_eq!(attempt(&rotated).await, (true, 2), "{name}");
        assert_eq!(
            attempt(&rotated[..1]).await,
            (false, 1),
            "a repeated wrong password can lock the account: {name}"
        );
    }
}

#[tokio::test]
async fn accepts_a_token_with_an_endless_lifetime() {
    let (world, _) = world_with_private_image().await;
    let body = r#"{"token": "nobodys", "expires_in": 18446744073709551615}"#.to_owned();
    let headers = [("content-type".to_owned(), "application/json".to_owned())].into();
    let response = Effect::Status { code: 200, headers, body };
    world.emulator.faults().add(Fault::on("token", response));
    let ann = world.client.with_credentials(SequentialCredentials::of(&[("ann", "right-password")]));
    let error = digest_of(&ann, SECRET).await.unwrap_err().to_string();
    assert!(error.starts_with("the registry returned 401"), "{error}");
}

#[tokio::test]
async fn unavailable_credentials_are_an_error_only_if_the_registry_requires_them() {
    let world = World::start().await;
    let client = world.client.with_credentials(Arc::new(UnavailableCredentials));
    let public_registry = LoopbackRegistry::start();
    let missing = digest_of(&client, &format!("{}/a/b:1", public_registry.host)).await.unwrap_err();
    assert!(
        matches!(&missing, registry::Error::ErrorResponse(response) if response.status == 404),
        "{missing}"
    );
    let private_registry = LoopbackRegistry::with_handler(|request| match request.target.as_str() {
        "/v2/" => Some((401, vec![("WWW-Authenticate", r#"Basic realm="r""#.into())], "".into())),
        _ => error_response(404, "NAME_UNKNOWN"),
    });
    let unavailable = digest_of(&client, &format!("{}/a/b:1", private_registry.host)).await.unwrap_err();
    assert!(matches!(unavailable, registry::Error::Credentials(_)), "{unavailable}");
}
