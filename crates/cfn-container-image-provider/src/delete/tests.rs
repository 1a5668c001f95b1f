//! Images that a Delete deletes or keeps, and repeated Deletes.

use std::time::Duration;

use aws_emulator::ImageBuilder;
use image_copy_aws::{AwsClients, Owner};
use serde_json::json;
use tokio::time::Instant;

use super::*;
use crate::event_state::TableStore;
use crate::testing::{FakeAws, OWNER, TABLE, URI};

fn image() -> String {
    format!("{URI}:1")
}

async fn delete_with(aws: &FakeAws, clients: &AwsClients, image: String) -> Result<DeleteOutcome, Failure> {
    let (stack, logical_id) = OWNER.rsplit_once('/').unwrap();
    let name = ImageName::parse(&image).unwrap();
    let event = DeleteEvent {
        image,
        owner: Owner::of_resource(stack, logical_id),
        time: 10,
        delete_images: true,
        reason: DeleteReason::ResourceDeleted,
    };
    let store = TableStore::new(clients.state_table(TABLE), Instant::now() + Duration::from_secs(20));
    let state = EventState::new(Some(store), "attempt".into());
    let repository = clients.repository(&name.repository, None);
    let images = EcrImageRepository { repository, name: &name, include_referrers: false };
    aws.take_calls();
    lifecycle::run(&event, &state, &images).await
}

async fn delete(aws: &FakeAws) -> Result<DeleteOutcome, Failure> {
    delete_with(aws, &aws.clients(), image()).await
}

#[test]
fn parses_only_ids_in_the_format_of_create() {
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
        assert_eq!(ImageName::parse(id), None, "{id}");
    }
    let name = ImageName::parse(&format!("{URI}@{digest}")).unwrap();
    assert_eq!((&name.image, name.key()), (&ManifestId::Digest(digest.clone()), format!("{URI}@{digest}")));
    assert_eq!(name.repository.region(), "eu-west-1");
}

#[tokio::test]
async fn deletes_an_image_only_with_its_last_tag() {
    let aws = FakeAws::default();
    let image = aws.image(1, &["1", "latest"]);
    aws.register(&self::image(), &[(OWNER, &image)]);
    assert_eq!(delete(&aws).await, Ok(DeleteOutcome::Deleted));
    assert!(aws.has_image(&image));
    assert_eq!(aws.tags(), ["latest"]);
    assert_eq!(delete(&aws).await, Ok(DeleteOutcome::NotOwned));
}

#[tokio::test]
async fn deletes_unused_children_of_an_index() {
    let aws = FakeAws::default();
    let (own, tagged, shared) = (aws.image(1, &[]), aws.image(2, &["keep"]), aws.image(3, &[]));
    let index = aws.index(&[&own, &tagged, &shared], &["1"]);
    let other = aws.index(&[&shared], &["2"]);
    aws.register(&image(), &[(OWNER, &index)]);
    assert_eq!(delete(&aws).await, Ok(DeleteOutcome::Deleted));
    assert!(!aws.has_image(&index) && !aws.has_image(&own));
    assert!(aws.has_image(&tagged) && aws.has_image(&shared) && aws.has_image(&other));
    assert_eq!(aws.tags(), ["2", "keep"]);
}

#[tokio::test]
async fn an_index_needs_two_more_calls() {
    let aws = FakeAws::default();
    let (one, two) = (aws.image(1, &[]), aws.image(2, &[]));
    let index = aws.index(&[&one, &two], &["1"]);
    aws.register(&image(), &[(OWNER, &index)]);
    assert_eq!(delete(&aws).await, Ok(DeleteOutcome::Deleted));
    assert_eq!(
        aws.take_calls(),
        [
            "GetItem",
            "PutItem",
            "BatchGetImage",
            "BatchDeleteImage",
            "DescribeImages",
            "BatchDeleteImage",
            "PutItem"
        ]
    );
    assert!(aws.repository.images().is_empty());
}

#[tokio::test]
async fn deletes_earlier_copies_without_tag_and_owner() {
    let aws = FakeAws::default();
    let (first, second, tagged) = (aws.image(1, &[]), aws.image(2, &[]), aws.image(3, &["keep"]));
    let (by_digest, newest) = (aws.image(4, &[]), aws.image(5, &["1"]));
    let copies = [&first, &second, &tagged, &by_digest, &newest].map(|image| (OWNER, image));
    aws.register(&image(), &copies);
    aws.register(&format!("{URI}@{}", by_digest.digest()), &[("stack/Other", &by_digest)]);
    assert_eq!(delete(&aws).await, Ok(DeleteOutcome::Deleted));
    assert!(!aws.has_image(&first) && !aws.has_image(&second) && !aws.has_image(&newest));
    assert!(aws.has_image(&tagged) && aws.has_image(&by_digest));
}

#[tokio::test]
async fn moves_the_tag_to_the_newest_copy_of_a_remaining_owner() {
    let aws = FakeAws::default();
    let (missing, theirs, ours) =
        (ImageBuilder::new(9).layers(&[10]).single(), aws.image(1, &[]), aws.image(2, &["1"]));
    aws.register(&image(), &[("stack/B", &theirs), ("stack/B", &missing), (OWNER, &ours)]);
    assert_eq!(delete(&aws).await, Ok(DeleteOutcome::OtherOwners));
    assert_eq!(aws.repository.resolve("1").as_deref(), Some(theirs.digest()));
    let item = aws.item(&image()).unwrap();
    assert_eq!(item["Owners"], json!({"stack/B": 1}));
    // A tag on an image of another client is not changed.
    let foreign = aws.image(3, &["1"]);
    aws.register(&image(), &[("stack/B", &theirs), (OWNER, &ours)]);
    assert_eq!(delete(&aws).await, Ok(DeleteOutcome::OtherOwners));
    assert_eq!(aws.repository.resolve("1").as_deref(), Some(foreign.digest()));
}

#[tokio::test]
async fn restores_a_tag_that_existed_before_if_ecr_has_its_image() {
    let aws = FakeAws::default();
    let (before, ours) = (aws.image(1, &[]), aws.image(2, &["1"]));
    let replaced = |digest: &str| {
        aws.register(&image(), &[(OWNER, &ours)]);
        let mut item = aws.item(&image()).unwrap();
        item["Replaced"] = json!(digest);
        aws.dynamodb.put("eu-west-1", TABLE, &item);
    };
    replaced(before.digest());
    assert_eq!(delete(&aws).await, Ok(DeleteOutcome::Restored));
    assert_eq!(aws.repository.resolve("1").as_deref(), Some(before.digest()));
    assert!(!aws.has_image(&ours), "no owner needs the copy");
    let ours = aws.image(2, &["1"]);
    replaced(Digest::of(b"missing").as_str());
    assert_eq!(delete(&aws).await, Ok(DeleteOutcome::Deleted));
    assert!(!aws.has_image(&ours) && aws.tags().is_empty());
}

#[tokio::test]
async fn keeps_images_of_other_clients_and_children_of_an_index() {
    let aws = FakeAws::default();
    let (ours, foreign) = (aws.image(1, &[]), aws.image(2, &["1"]));
    aws.register(&image(), &[(OWNER, &ours)]);
    assert_eq!(delete(&aws).await, Ok(DeleteOutcome::Overwritten));
    assert!(aws.has_image(&foreign) && !aws.has_image(&ours));
    let listed = aws.image(3, &["1"]);
    aws.index(&[&listed], &["index"]);
    aws.register(&image(), &[(OWNER, &listed)]);
    assert_eq!(delete(&aws).await, Ok(DeleteOutcome::ReferencedByIndex));
    assert_eq!(aws.repository.resolve("1").as_deref(), Some(listed.digest()));
}

#[tokio::test]
async fn a_missing_tag_or_repository_is_success() {
    let aws = FakeAws::default();
    let image = ImageBuilder::new(1).layers(&[10]).single();
    aws.register(&self::image(), &[(OWNER, &image)]);
    assert!(delete(&aws).await.is_ok());
    let elsewhere = self::image().replace("team/app", "team/missing");
    aws.register(&elsewhere, &[(OWNER, &image)]);
    assert!(delete_with(&aws, &aws.clients(), elsewhere.clone()).await.is_ok());
    assert_eq!(aws.item(&elsewhere).unwrap()["Owners"], json!({}));
}

#[tokio::test]
async fn a_repeated_delete_finishes_after_a_stop_at_any_call() {
    let all = {
        let aws = FakeAws::default();
        store_index(&aws);
        delete(&aws).await.unwrap();
        aws.take_calls()
    };
    for stop in 0..all.len() {
        let aws = FakeAws::default();
        store_index(&aws);
        let limited = aws.clients_until(stop);
        let first = delete_with(&aws, &limited, image()).await;
        assert!(aws.item(&image()).unwrap()["Owners"] != json!({}) || stop == all.len(), "{stop} {first:?}");
        expire_lease(&aws);
        let second = delete(&aws).await;
        assert!(second.is_ok(), "after {:?}: {second:?}", all[stop]);
        assert_eq!(aws.repository.images(), Vec::<String>::new(), "after {:?}", all[stop]);
        assert_eq!(aws.item(&image()).unwrap()["Owners"], json!({}));
    }
}

/// Stores an index with recorded children, and an earlier copy.
fn store_index(aws: &FakeAws) {
    let (one, two, earlier) = (aws.image(1, &[]), aws.image(2, &[]), aws.image(3, &[]));
    let index = aws.index(&[&one, &two], &["1"]);
    aws.register(&image(), &[(OWNER, &earlier), (OWNER, &index)]);
    let mut item = aws.item(&image()).unwrap();
    item["Children"] = json!({index.digest(): [one.digest(), two.digest()]});
    aws.dynamodb.put("eu-west-1", TABLE, &item);
}

fn expire_lease(aws: &FakeAws) {
    let mut item = aws.item(&image()).unwrap();
    if item.get("Lease").is_some() {
        item["Lease"]["Until"] = json!(1);
        aws.dynamodb.put("eu-west-1", TABLE, &item);
    }
}
