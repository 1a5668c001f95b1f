//! Whose login and whose token goes where.

mod support;

use std::sync::{Arc, Mutex};

use aws_emulator::{Effect, Fault, Image, ImageBuilder, Profile};
use futures_util::future::BoxFuture;
use image_copy::oci::{self, Reference};
use image_copy::registry::{self, Anonymous, Client, Credentials, CredentialsProvider, ManifestId};
use support::World;
use support::loopback_registry::{Loopback, refused};

const SECRET: &str = "acme/secret:1";

/// Gives these logins one after the other, the next when one was refused.
struct InTurn(Mutex<Vec<Credentials>>);

impl InTurn {
    fn of(logins: &[(&str, &str)]) -> Arc<Self> {
        let login = |(name, password): &(&str, &str)| Credentials {
            username: (*name).into(),
            password: (*password).into(),
        };
        Arc::new(Self(Mutex::new(logins.iter().rev().map(login).collect())))
    }
}

impl CredentialsProvider for InTurn {
    fn credentials_for<'a>(
        &'a self,
        _: &'a oci::Repository,
        refused: Option<&'a Credentials>,
    ) -> BoxFuture<'a, Result<Option<Credentials>, registry::Error>> {
        let mut logins = self.0.lock().expect("nobody panicked");
        if refused.is_some() && logins.len() > 1 {
            logins.pop();
        }
        let login = logins.last().cloned();
        Box::pin(async move { Ok(login) })
    }
}

/// Logins that cannot be looked up, such as those of a credential helper that is not installed.
struct Broken;

impl CredentialsProvider for Broken {
    fn credentials_for<'a>(
        &'a self,
        _: &'a oci::Repository,
        _: Option<&'a Credentials>,
    ) -> BoxFuture<'a, Result<Option<Credentials>, registry::Error>> {
        Box::pin(async { Err(registry::Error::Credentials("not installed".into())) })
    }
}

/// A private repository of Ann's at Docker Hub.
async fn world() -> (World, Image) {
    let (world, image) = (World::start().await, ImageBuilder::new(1).platforms(&["linux/amd64"]).single());
    let hub = world.emulator.docker_hub();
    for user in ["ann", "bob"] {
        hub.add_user(user, "right-password");
    }
    hub.put_image("acme/secret", "1", &image);
    hub.make_private("acme/secret", &["ann"]);
    (world, image)
}

/// The digest that a name has.
async fn read(client: &Client, name: &str) -> Result<String, registry::Error> {
    let Reference { repository, tag, .. } = name.parse().expect("a reference");
    let repository = client.repository(repository, None);
    let head = repository.head_manifest(&ManifestId::Tag(tag.expect("a tag"))).await?;
    Ok(head.digest.to_string())
}

#[tokio::test]
async fn a_token_of_one_login_serves_no_other() {
    let (world, image) = world().await;
    let ann = world.client.with_credentials(InTurn::of(&[("ann", "right-password")]));
    assert_eq!(read(&ann, SECRET).await.unwrap(), image.digest());
    let mark = world.emulator.log().mark();
    let bob = ann.with_credentials(InTurn::of(&[("bob", "right-password")]));
    read(&bob, SECRET).await.unwrap_err();
    let asked: Vec<String> = world.upstream_requests(mark);
    assert_eq!(
        asked,
        ["manifest.head", "token", "manifest.head"],
        "challenges and tokens belong to the credentials, and a refusal is final"
    );
    read(&ann.with_credentials(Arc::new(Anonymous)), SECRET).await.unwrap_err();
    let mark = world.emulator.log().mark();
    assert_eq!(read(&ann, SECRET).await.unwrap(), image.digest());
    assert_eq!(world.upstream_requests(mark), ["manifest.head"], "Ann's token is still Ann's");
}

#[tokio::test]
async fn a_refused_login_is_tried_again_only_when_it_changed() {
    let world = World::start().await;
    let refusing = Profile { rejects_wrong_credentials: true, ..Profile::bearer("registry.example") };
    let hub = (world.emulator.docker_hub().clone(), "docker.io/acme/secret:1");
    let other = (world.emulator.add_upstream(refusing), "registry.example/acme/secret:1");
    // Docker Hub gives a token that opens nothing, others refuse to give one.
    for (registry, name) in [hub, other] {
        let image = ImageBuilder::new(1).platforms(&["linux/amd64"]).single();
        registry.put_image("acme/secret", "1", &image);
        registry.add_user("ann", "new-password");
        registry.make_private("acme/secret", &["ann"]);
        let tried = async |logins: &[(&str, &str)]| {
            let mark = world.emulator.log().mark();
            let client = world.client.with_credentials(InTurn::of(logins));
            let result = read(&client, name).await;
            (result.is_ok(), world.emulator.log().count(mark, "token"))
        };
        let rotated = [("ann", "old-password"), ("ann", "new-password")];
        assert_eq!(tried(&rotated).await, (true, 2), "{name}");
        assert_eq!(tried(&rotated[..1]).await, (false, 1), "the same password locks accounts: {name}");
    }
}

#[tokio::test]
async fn a_token_that_is_to_last_for_ever_is_a_token_as_others_are() {
    let (world, _) = world().await;
    let body = r#"{"token": "nobodys", "expires_in": 18446744073709551615}"#.to_owned();
    let headers = [("content-type".to_owned(), "application/json".to_owned())].into();
    let answer = Effect::Status { code: 200, headers, body };
    world.emulator.faults().add(Fault::on("token", answer));
    let ann = world.client.with_credentials(InTurn::of(&[("ann", "right-password")]));
    let error = read(&ann, SECRET).await.unwrap_err().to_string();
    assert!(error.starts_with("the registry returned 401"), "{error}");
}

#[tokio::test]
async fn logins_that_cannot_be_looked_up_matter_only_to_a_registry_that_wants_one() {
    let world = World::start().await;
    let client = world.client.with_credentials(Arc::new(Broken));
    let open = Loopback::start();
    let missing = read(&client, &format!("{}/a/b:1", open.host)).await.unwrap_err();
    assert!(
        matches!(&missing, registry::Error::ErrorResponse(refusal) if refusal.status == 404),
        "{missing}"
    );
    let closed = Loopback::with(|request| match request.target.as_str() {
        "/v2/" => Some((401, vec![("WWW-Authenticate", r#"Basic realm="r""#.into())], "".into())),
        _ => refused(404, "NAME_UNKNOWN"),
    });
    let unknown = read(&client, &format!("{}/a/b:1", closed.host)).await.unwrap_err();
    assert!(matches!(unknown, registry::Error::Credentials(_)), "{unknown}");
}
