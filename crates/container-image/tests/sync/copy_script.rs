//! The list, the command and the output of docs/shell.md.

use std::collections::BTreeSet;

use aws_emulator::ImageBuilder;
use regex::Regex;

use crate::common::Sandbox;

const PAGE: &str = include_str!("../../../../docs/shell.md");

/// Returns a code block under a heading.
fn block(heading: &str, number: usize) -> String {
    let (_, section) = PAGE.split_once(&format!("\n## {heading}\n")).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let block = section.split("```").skip(1).step_by(2).nth(number).unwrap();
    block.split_once('\n').unwrap().1.to_owned()
}

/// Replaces seconds, which vary, and digests: the order of fields in the emulator's JSON depends on the features
/// of `serde_json` in the build.
fn comparable(text: &str) -> BTreeSet<String> {
    let text = Regex::new(r"\d+\.\d s\b").unwrap().replace_all(text, "0.1 s").into_owned();
    let text = Regex::new(r"sha256:[0-9a-f]{12}\b").unwrap().replace_all(&text, "sha256:…").into_owned();
    text.lines().filter(|line| *line != "…").map(ToOwned::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_of_a_copy_script_is_copied_into_repositories_that_did_not_exist() {
    let sandbox = Sandbox::start().await;
    let list = block("The list", 0);
    sandbox.write("images.txt", &list);
    for (image, number) in list.lines().zip(1..) {
        // Different sizes, so that the output is not uniform.
        let layers = [number * 700_000, 90_000];
        let content = ImageBuilder::new(number).layers(&layers).attestations().index();
        let reference = match image.split_once('/') {
            Some((host, _)) if host.contains('.') => image.to_owned(),
            Some(_) => format!("docker.io/{image}"),
            None => format!("docker.io/library/{image}"),
        };
        let (name, tag) = reference.rsplit_once(':').unwrap();
        let (host, repository) = name.split_once('/').unwrap();
        sandbox.registry(host).put_image(repository, tag, &content);
    }
    let command = block("One command", 0).replace("\\\n", " ");
    let command = command.trim().strip_prefix("container-image ").unwrap();
    let ecr = sandbox.emulator.ecr();
    assert_eq!(ecr.repositories(), [""; 0]);

    let first = sandbox.run(command).await;
    assert_eq!(first.code, Some(0), "{first:?}");
    let printed = comparable(&(first.stderr + &first.stdout));
    let shown = comparable(&block("One command", 1));
    assert!(shown.is_subset(&printed), "docs/shell.md shows other lines: {:#?}", shown.difference(&printed));
    assert_eq!(ecr.repositories().len(), 10);
    for arn in ecr.repositories() {
        let repository = ecr.repository(&arn);
        let tags = repository.tags();
        let [tag] = tags.keys().collect::<Vec<_>>()[..] else { panic!("{arn}: {tags:?}") };
        assert_eq!(repository.integrity_errors(tag), [""; 0], "{arn}");
    }

    let mark = sandbox.emulator.log().mark();
    let second = sandbox.run(command).await;
    assert_eq!((second.code, second.stderr.as_str()), (Some(0), ""), "{second:?}");
    let printed = comparable(&second.stdout);
    let shown = comparable(&block("One command", 2));
    assert!(shown.is_subset(&printed), "docs/shell.md shows other lines: {:#?}", shown.difference(&printed));
    let entries = sandbox.emulator.log().since(mark);
    let reads = entries.iter().filter(|entry| entry.service == "upstream" && entry.status == Some(200));
    let mut reads: Vec<&str> = reads.map(|entry| entry.operation.as_str()).collect();
    reads.retain(|operation| *operation != "token");
    assert_eq!(reads, ["manifest.head"; 10]);
}
