//! What goes with a tag, what stays, and what saves an image.

use aws_emulator::Mutability;

use super::*;
use crate::testing::{ARN, Ecr, URI};

async fn delete_tag(ecr: &Ecr, tag: &str) -> Result<Deleted, Error> {
    let subject = Subject::parse(&format!("{URI}:{tag}")).unwrap();
    let repository = ecr.clients().repository(&subject.repository, None);
    delete(&tag.parse().unwrap(), &repository, async |_| Ok(false)).await
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
    let image = ecr.image(1, &["1", "latest"]);
    assert_eq!(delete_tag(&ecr, "1").await, Ok(Deleted::Tag));
    assert!(ecr.holds(&image));
    assert_eq!(delete_tag(&ecr, "latest").await, Ok(Deleted::Image));
    assert!(!ecr.holds(&image));
    assert_eq!(delete_tag(&ecr, "latest").await, Ok(Deleted::Nothing));
}

#[tokio::test]
async fn an_index_takes_the_children_along_that_nothing_else_uses() {
    let ecr = Ecr::default();
    let (own, tagged, shared) = (ecr.image(1, &[]), ecr.image(2, &["keep"]), ecr.image(3, &[]));
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
    let child = ecr.image(1, &["one"]);
    ecr.index(&[&child], &["all"]);
    assert_eq!(delete_tag(&ecr, "one").await, Ok(Deleted::Tag));
    assert!(ecr.holds(&child));
    assert_eq!((ecr.tags(), ecr.repository.images().len()), (vec!["all".to_owned()], 2));
}

#[tokio::test]
async fn where_tags_are_immutable_what_cannot_be_taken_off_stays_and_that_is_a_success() {
    let ecr = Ecr::default();
    let child = ecr.image(1, &["one"]);
    ecr.index(&[&child], &["all"]);
    ecr.repository.set_mutability(Mutability::Immutable);
    assert_eq!(delete_tag(&ecr, "one").await, Ok(Deleted::Tag));
    assert_eq!(ecr.tags(), ["all", "one"]);
}

#[tokio::test]
async fn a_tag_that_is_put_meanwhile_saves_the_image() {
    let ecr = Ecr::default();
    let child = ecr.image(1, &[]);
    let index = ecr.index(&[&child], &["1"]);
    let digest = index.digest().to_owned();
    ecr.meanwhile("BatchDeleteImage", move |repository| {
        repository.set_tag("meanwhile", Some(digest.as_str()));
    });
    assert_eq!(delete_tag(&ecr, "1").await, Ok(Deleted::Tag));
    assert!(ecr.holds(&index) && ecr.holds(&child));
    assert_eq!(ecr.tags(), ["meanwhile"]);
}

#[tokio::test]
async fn what_is_gone_is_a_success_and_a_repository_too() {
    let ecr = Ecr::default();
    assert_eq!(delete_tag(&ecr, "1").await, Ok(Deleted::Nothing));
    let elsewhere = "arn:aws:ecr:eu-west-1:123456789012:repository/gone".parse().unwrap();
    let elsewhere = ecr.clients().repository(&elsewhere, None);
    let deleted = delete(&"1".parse().unwrap(), &elsewhere, async |_| panic!("nothing is there")).await;
    assert_eq!(deleted, Ok(Deleted::Nothing));
}

#[tokio::test]
async fn whoever_wants_it_again_meanwhile_keeps_the_image() {
    let ecr = Ecr::default();
    let child = ecr.image(1, &[]);
    let index = ecr.index(&[&child], &["1"]);
    let repository = ecr.clients().repository(&ARN.parse().unwrap(), None);
    let tag = "1".parse().unwrap();
    let wanted = async |manifest: &Manifest| {
        assert!(!ecr.tags().contains(&"1".to_owned()) && ecr.holds(&index));
        repository.put_tag(manifest, "1").await.map(|()| true)
    };
    assert_eq!(delete(&tag, &repository, wanted).await, Ok(Deleted::Claimed));
    assert!(ecr.holds(&index) && ecr.holds(&child));
    assert_eq!(ecr.tags(), ["1"]);
}

#[tokio::test]
async fn a_denied_call_fails_the_deletion_only_while_the_tag_is_there() {
    let ecr = Ecr::default();
    let child = ecr.image(1, &[]);
    ecr.index(&[&child], &["1"]);
    ecr.api.deny("ecr:BatchDeleteImage", "*");
    let error = delete_tag(&ecr, "1").await.unwrap_err();
    assert!(error.has("AccessDeniedException"));
    ecr.api.allow_everything();
    ecr.api.deny("ecr:PutImage", "*");
    assert_eq!(delete_tag(&ecr, "1").await, Ok(Deleted::Image));
    assert!(ecr.holds(&child), "it is left over");
}
