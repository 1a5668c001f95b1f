//! Images that a Delete removes or keeps, and Deletes that are repeated.

use std::time::Duration;

use aws_emulator::ImageBuilder;
use image_copy_aws::{AwsClients, Owner};
use serde_json::json;
use tokio::time::Instant;

use super::*;
use crate::event_state::TableStore;
use crate::testing::{Aws, OWNER, TABLE, URI};

fn image() -> String {
    format!("{URI}:1")
}

async fn delete_with(aws: &Aws, clients: &AwsClients, image: String) -> Result<DeleteOutcome, Failure> {
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
    aws.calls();
    lifecycle::run(&event, &state, &images).await
}

async fn delete(aws: &Aws) -> Result<DeleteOutcome, Failure> {
    delete_with(aws, &aws.clients(), image()).await
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
        assert_eq!(ImageName::parse(id), None, "{id}");
    }
    let name = ImageName::parse(&format!("{URI}@{digest}")).unwrap();
    assert_eq!((&name.image, name.key()), (&ManifestId::Digest(digest.clone()), format!("{URI}@{digest}")));
    assert_eq!(name.repository.region(), "eu-west-1");
}

#[tokio::test]
async fn an_image_goes_with_its_last_tag_and_not_before() {
    let aws = Aws::default();
    let image = aws.image(1, &["1", "latest"]);
    aws.register(&self::image(), &[(OWNER, &image)]);
    assert_eq!(delete(&aws).await, Ok(DeleteOutcome::Removed));
    assert!(aws.holds(&image));
    assert_eq!(aws.tags(), ["latest"]);
    assert_eq!(delete(&aws).await, Ok(DeleteOutcome::NotOwned));
}

#[tokio::test]
async fn an_index_takes_the_children_along_that_nothing_else_uses() {
    let aws = Aws::default();
    let (own, tagged, shared) = (aws.image(1, &[]), aws.image(2, &["keep"]), aws.image(3, &[]));
    let index = aws.index(&[&own, &tagged, &shared], &["1"]);
    let other = aws.index(&[&shared], &["2"]);
    aws.register(&image(), &[(OWNER, &index)]);
    assert_eq!(delete(&aws).await, Ok(DeleteOutcome::Removed));
    assert!(!aws.holds(&index) && !aws.holds(&own));
    assert!(aws.holds(&tagged) && aws.holds(&shared) && aws.holds(&other));
    assert_eq!(aws.tags(), ["2", "keep"]);
}

#[tokio::test]
async fn an_index_costs_two_more_calls() {
    let aws = Aws::default();
    let (one, two) = (aws.image(1, &[]), aws.image(2, &[]));
    let index = aws.index(&[&one, &two], &["1"]);
    aws.register(&image(), &[(OWNER, &index)]);
    assert_eq!(delete(&aws).await, Ok(DeleteOutcome::Removed));
    assert_eq!(
        aws.calls(),
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
async fn earlier_copies_go_too_unless_they_have_a_tag_or_an_owner_of_their_own() {
    let aws = Aws::default();
    let (first, second, tagged) = (aws.image(1, &[]), aws.image(2, &[]), aws.image(3, &["keep"]));
    let (by_digest, newest) = (aws.image(4, &[]), aws.image(5, &["1"]));
    let copies = [&first, &second, &tagged, &by_digest, &newest].map(|image| (OWNER, image));
    aws.register(&image(), &copies);
    aws.register(&format!("{URI}@{}", by_digest.digest()), &[("stack/Other", &by_digest)]);
    assert_eq!(delete(&aws).await, Ok(DeleteOutcome::Removed));
    assert!(!aws.holds(&first) && !aws.holds(&second) && !aws.holds(&newest));
    assert!(aws.holds(&tagged) && aws.holds(&by_digest));
}

#[tokio::test]
async fn the_tag_is_set_back_to_the_newest_copy_of_an_owner_that_is_left() {
    let aws = Aws::default();
    let (gone, theirs, ours) =
        (ImageBuilder::new(9).layers(&[10]).single(), aws.image(1, &[]), aws.image(2, &["1"]));
    aws.register(&image(), &[("stack/B", &theirs), ("stack/B", &gone), (OWNER, &ours)]);
    assert_eq!(delete(&aws).await, Ok(DeleteOutcome::OtherOwners));
    assert_eq!(aws.repository.resolve("1").as_deref(), Some(theirs.digest()));
    let item = aws.item(&image()).unwrap();
    assert_eq!(item["Owners"], json!({"stack/B": 1}));
    // A tag that names somebody else's image is not touched.
    let foreign = aws.image(3, &["1"]);
    aws.register(&image(), &[("stack/B", &theirs), (OWNER, &ours)]);
    assert_eq!(delete(&aws).await, Ok(DeleteOutcome::OtherOwners));
    assert_eq!(aws.repository.resolve("1").as_deref(), Some(foreign.digest()));
}

#[tokio::test]
async fn a_tag_that_existed_before_is_restored_if_ecr_still_holds_the_image() {
    let aws = Aws::default();
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
    assert!(!aws.holds(&ours), "our copy is not needed by anybody");
    let ours = aws.image(2, &["1"]);
    replaced(Digest::of(b"gone").as_str());
    assert_eq!(delete(&aws).await, Ok(DeleteOutcome::Removed));
    assert!(!aws.holds(&ours) && aws.tags().is_empty());
}

#[tokio::test]
async fn what_somebody_else_pushed_and_what_an_index_refers_to_stays() {
    let aws = Aws::default();
    let (ours, foreign) = (aws.image(1, &[]), aws.image(2, &["1"]));
    aws.register(&image(), &[(OWNER, &ours)]);
    assert_eq!(delete(&aws).await, Ok(DeleteOutcome::Overwritten));
    assert!(aws.holds(&foreign) && !aws.holds(&ours));
    let listed = aws.image(3, &["1"]);
    aws.index(&[&listed], &["index"]);
    aws.register(&image(), &[(OWNER, &listed)]);
    assert_eq!(delete(&aws).await, Ok(DeleteOutcome::ReferencedByIndex));
    assert_eq!(aws.repository.resolve("1").as_deref(), Some(listed.digest()));
}

#[tokio::test]
async fn a_missing_tag_and_a_missing_repository_are_success() {
    let aws = Aws::default();
    let image = ImageBuilder::new(1).layers(&[10]).single();
    aws.register(&self::image(), &[(OWNER, &image)]);
    assert!(delete(&aws).await.is_ok());
    let elsewhere = self::image().replace("team/app", "team/missing");
    aws.register(&elsewhere, &[(OWNER, &image)]);
    assert!(delete_with(&aws, &aws.clients(), elsewhere.clone()).await.is_ok());
    assert_eq!(aws.item(&elsewhere).unwrap()["Owners"], json!({}));
}

#[tokio::test]
async fn a_delete_that_stopped_at_any_call_is_finished_by_the_next() {
    let all = {
        let aws = Aws::default();
        prepare(&aws);
        delete(&aws).await.unwrap();
        aws.calls()
    };
    for stop in 0..all.len() {
        let aws = Aws::default();
        prepare(&aws);
        let refused = aws.clients_until(stop);
        let first = delete_with(&aws, &refused, image()).await;
        assert!(aws.item(&image()).unwrap()["Owners"] != json!({}) || stop == all.len(), "{stop} {first:?}");
        expire_lease(&aws);
        let second = delete(&aws).await;
        assert!(second.is_ok(), "after {:?}: {second:?}", all[stop]);
        assert_eq!(aws.repository.images(), Vec::<String>::new(), "after {:?}", all[stop]);
        assert_eq!(aws.item(&image()).unwrap()["Owners"], json!({}));
    }
}

/// An index whose children are recorded, and an earlier copy.
fn prepare(aws: &Aws) {
    let (one, two, earlier) = (aws.image(1, &[]), aws.image(2, &[]), aws.image(3, &[]));
    let index = aws.index(&[&one, &two], &["1"]);
    aws.register(&image(), &[(OWNER, &earlier), (OWNER, &index)]);
    let mut item = aws.item(&image()).unwrap();
    item["Children"] = json!({index.digest(): [one.digest(), two.digest()]});
    aws.dynamodb.put("eu-west-1", TABLE, &item);
}

fn expire_lease(aws: &Aws) {
    let mut item = aws.item(&image()).unwrap();
    if item.get("Lease").is_some() {
        item["Lease"]["Until"] = json!(1);
        aws.dynamodb.put("eu-west-1", TABLE, &item);
    }
}
