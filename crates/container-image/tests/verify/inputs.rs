//! Images of stacks, of the state table, and of reports of `sync`.

use aws_emulator::STATE_TABLE;
use aws_emulator::stack::{Resource, Template};
use serde_json::{Value, json};

use crate::common::{Sandbox, image};
use crate::{Account, HOST, REGION, document, problems, short, states};

/// Adds the provider's stack.
fn install_provider(sandbox: &Sandbox, table: &str) {
    let template = Template::new().output("StateTableName", table);
    sandbox.emulator.cloudformation().import_stack("cfn-container-image-provider", REGION, &template, &[]);
}

/// Returns a template with images of the tag `tag`.
fn image_template(names: &[&str], tag: u8) -> Template {
    let properties = json!({"ImageReference": format!("docker.io/library/python:{tag}")});
    names.iter().fold(Template::new(), |template, name| template.image(name, properties.clone()))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_provider_stack_names_the_table() {
    let account = Account::new().await;
    install_provider(&account.sandbox, STATE_TABLE);
    let output = account.sandbox.run("verify --all --json").await;
    assert_eq!(states(&document(&output)), ["ok base/python:1", "ok base/python:2", "ok base/redis:7"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn all_images_need_a_table() {
    let sandbox = Sandbox::start().await;
    let run = async |arguments: &str| {
        let output = sandbox.run(arguments).await;
        assert_eq!((output.code, output.stdout.as_str()), (Some(1), ""), "{output:?}");
        output.stderr
    };
    assert_eq!(
        run("verify --all").await,
        "error: the state table is not known: stack cfn-container-image-provider in eu-west-1 could not be read: \
         cloudformation:DescribeStacks returned ValidationError \"Stack with id cfn-container-image-provider does not \
         exist\". Pass --state-table, or the provider's --region.\n"
    );
    let missing = run("verify --all --state-table gone").await;
    let expected =
        "error: the state table gone could not be read: dynamodb:Scan returned ResourceNotFoundException ";
    assert!(missing.starts_with(expected), "{missing}");
    assert!(missing.ends_with(" Check --state-table, or pass the table's --region.\n"), "{missing}");
    sandbox.emulator.dynamodb().deny("dynamodb:Scan", "*");
    let denied = run(&format!("verify --all --state-table {STATE_TABLE}")).await;
    assert!(denied.contains("dynamodb:Scan returned AccessDeniedException "), "{denied}");
    assert!(denied.ends_with(" Allow this for the AWS identity, or pass another --profile.\n"), "{denied}");
    install_provider(&sandbox, "none");
    assert_eq!(
        run("verify --all").await,
        "error: The provider has no state table. Check stacks with --stack.\n"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn owners_of_one_tag_can_rely_on_two_digests() {
    let account = Account::new().await;
    // The tag names the copy of the second owner. The first one still relies on its own.
    account.python.put_image(Some("1"), &image(5));
    let record = |owner: &str, seed: u64| {
        json!({"Time": seed, "Owner": owner, "Digest": image(seed).digest(), "Source": "docker.io/library/python:1",
            "SourceDigest": image(1).digest()})
    };
    let (one, other) = (crate::owner("One"), "nightly");
    let item = json!({"Image": format!("{HOST}/base/python:1"), "Version": 1, "Owners": {one.as_str(): 1, other: 5},
        "Copies": [record(&one, 1), record(other, 5)]});
    account.sandbox.emulator.dynamodb().put(REGION, STATE_TABLE, &item);
    let (_, found) = account.verify_json().await;
    assert_eq!(states(&found)[0], "ok base/python:1", "{found:#}");
    account.python.expire_image(image(5).digest());
    account.python.set_tag("1", Some(image(1).digest()));
    let (_, found) = account.verify_json().await;
    let expected = format!(
        "image {} is missing or archived. Repeat the copy of owner nightly.",
        short(image(5).digest())
    );
    assert_eq!(problems(&found), [expected]);
}

#[tokio::test(flavor = "multi_thread")]
async fn images_without_owners_and_other_items_are_left_out() {
    let account = Account::new().await;
    let table = account.sandbox.emulator.dynamodb();
    let without_owner =
        json!({"Image": format!("{HOST}/base/gone:1"), "Version": 1, "Owners": {}, "Copies": []});
    table.put(REGION, STATE_TABLE, &without_owner);
    table.put(REGION, STATE_TABLE, &json!({"Image": "other", "Note": "not a tag"}));
    let (code, found) = account.verify_json().await;
    assert_eq!((code, states(&found).len()), (Some(0), 3), "{found:#}");
    assert_eq!(
        found["notes"],
        json!([{"message": "the state table contains 1 item without the state of a tag."}])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_stacks_with_their_nested_stacks() {
    let account = Account::new().await;
    install_provider(&account.sandbox, STATE_TABLE);
    let stacks = account.sandbox.emulator.cloudformation();
    stacks.set_page_size(1);
    let (one, two) = (format!("{HOST}/base/python:1"), format!("{HOST}/base/python:2"));
    let nested = stacks.import_stack("nested", REGION, &image_template(&["Two"], 2), &[("Two", &two)]);
    let template = image_template(&["One", "Failed"], 1)
        .with("Nested", Resource::aws("AWS::CloudFormation::Stack", json!({})))
        .with("Other", Resource::custom("Custom::Other", json!({})));
    let ids = [
        ("One", one.as_str()),
        ("Failed", "create-failed"),
        ("Nested", nested.id()),
        ("Other", two.as_str()),
    ];
    stacks.import_stack("images", REGION, &template, &ids);
    let output = account.sandbox.run("verify --stack images --stack nested --json").await;
    let found = document(&output);
    assert_eq!(output.code, Some(0), "{output:?}");
    assert_eq!(states(&found), ["ok base/python:1", "ok base/python:2"]);
    assert_eq!(found["images"][0]["owners"], json!(["resource One of stack images"]));
    assert_eq!(found["images"][1]["owners"], json!(["resource Two of stack nested"]));
    assert_eq!(
        found["notes"],
        json!([{"message": "resource Failed of stack images has no image (IMPORT_COMPLETE)."}])
    );
}

/// The state table has the digest and the source of a resource.
#[tokio::test(flavor = "multi_thread")]
async fn compares_a_stack_with_the_state_table() {
    let account = Account::new().await;
    let name = format!("{HOST}/base/python:1");
    let stacks = account.sandbox.emulator.cloudformation();
    let stack = stacks.import_stack("images", REGION, &image_template(&["Python"], 1), &[("Python", &name)]);
    let owner = format!("{}/Python", stack.id());
    let record = json!({"Time": 5, "Owner": owner, "Digest": image(1).digest(),
        "Source": "docker.io/library/python:1", "SourceDigest": image(1).digest()});
    account.put_state(&name, &owner, &json!([record]));
    account.python.put_image(Some("1"), &image(9));
    let run = async |more: &str| {
        let output = account.sandbox.run(&format!("verify --stack images --json {more}")).await;
        document(&output)
    };
    let with_table = run(&format!("--state-table {STATE_TABLE}")).await;
    let expected = format!(
        "the tag names {}, but {} was copied. Change Refresh of Python in stack images.",
        short(image(9).digest()),
        short(image(1).digest())
    );
    assert_eq!(problems(&with_table), [expected.as_str()]);
    assert_eq!(with_table["images"][0]["sources"], json!(["docker.io/library/python:1"]));
    // Without the table, the image that the tag names counts as the copy.
    let without = run("").await;
    assert_eq!(states(&without), ["moved base/python:1"]);
    let note = without["notes"][0]["message"].as_str().unwrap();
    assert!(note.starts_with(
        "not checked: recorded copies: the state table is not known: stack cfn-container-image-provider in "
    ), "{note}");
    assert_eq!(run("--state-table none").await["notes"], json!([]));
}

/// The copy of one platform has another digest than its source.
#[tokio::test(flavor = "multi_thread")]
async fn sources_without_a_record_come_from_the_template() {
    let account = Account::new().await;
    let stacks = account.sandbox.emulator.cloudformation();
    let child = image(1).child("linux/amd64").unwrap().clone();
    account.python.set_tag("amd64", Some(&child.digest));
    let source = json!({"ImageReference": {"Fn::Sub": "${Registry}/library/python:1"}});
    let imported = json!({"ImageReference": {"Fn::ImportValue": "Python"}});
    let template = Template::new()
        .parameter("Registry", "docker.io")
        .image("Python", source)
        .image("Imported", imported);
    let (one, two) = (format!("{HOST}/base/python:amd64"), format!("{HOST}/base/python:2"));
    stacks.import_stack("images", REGION, &template, &[("Python", &one), ("Imported", &two)]);
    let run =
        async || document(&account.sandbox.run("verify --stack images --state-table none --json").await);
    let found = run().await;
    assert_eq!(states(&found), ["ok base/python:2", "ok base/python:amd64"]);
    assert_eq!(found["images"][1]["sources"], json!(["docker.io/library/python:1"]));
    let note = "not checked: the source of resource Imported in stack images: it imports the value Python.";
    assert_eq!(found["notes"], json!([{"message": note}]));
    account.sandbox.publish("docker.io/library/python:1", 8);
    assert_eq!(states(&run().await)[1], "moved base/python:amd64");
    stacks.deny("cloudformation:GetTemplate", "*");
    let found = run().await;
    assert_eq!(states(&found)[1], "ok base/python:amd64");
    let note = found["notes"][0]["message"].as_str().unwrap();
    let start = "not checked: the sources in stack images: cloudformation:GetTemplate returned AccessDenied ";
    assert!(note.starts_with(start), "{note}");
}

/// Outputs are the only digests that CloudFormation returns.
#[tokio::test(flavor = "multi_thread")]
async fn a_digest_in_an_output_is_relied_on() {
    let account = Account::new().await;
    let name = format!("{HOST}/base/python:1");
    let uri = |digest: &str| format!("{HOST}/base/python@{digest}");
    let template = image_template(&["Python"], 1)
        .output("Uri", uri(image(7).digest()))
        .output("Other", format!("{HOST}/base/elsewhere@{}", image(7).digest()));
    let stacks = account.sandbox.emulator.cloudformation();
    stacks.import_stack("images", REGION, &template, &[("Python", &name)]);
    let output = account.sandbox.run("verify --stack images --state-table none --json").await;
    let found = document(&output);
    assert_eq!(output.code, Some(1));
    let expected = ["ok base/python:1".to_owned(), format!("missing base/python@{}", image(7).digest())];
    assert_eq!(states(&found), expected);
    assert_eq!(
        problems(&found),
        ["the image is missing or archived. Update stack images, whose output Uri has this digest."]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn names_a_stack_that_cannot_be_read() {
    let sandbox = Sandbox::start().await;
    let output = sandbox.run("verify --stack gone --state-table none").await;
    assert_eq!((output.code, output.stdout.as_str()), (Some(1), ""), "{output:?}");
    assert_eq!(
        output.stderr,
        "error: stack gone in eu-west-1 could not be read: cloudformation:DescribeStacks returned ValidationError \
         \"Stack with id gone does not exist\". Check the name, or pass its --region.\n"
    );
    let stacks = sandbox.emulator.cloudformation();
    stacks.import_stack("images", REGION, &Template::new(), &[]);
    stacks.deny("cloudformation:ListStackResources", "*");
    let output = sandbox.run("verify --stack images --state-table none").await;
    assert_eq!(output.code, Some(1), "{output:?}");
    assert!(output.stderr.contains("cloudformation:ListStackResources returned AccessDenied"), "{output:?}");
    assert!(output.stderr.ends_with(" Allow this for the AWS identity, or pass another --profile.\n"));
    stacks.allow_everything();
    let output = sandbox.run("verify --stack images --state-table none").await;
    assert_eq!(
        (output.code, output.stderr.as_str()),
        (Some(0), "note: stack images contains no Custom::ContainerImage.\n")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn verifies_the_report_of_a_sync() {
    let account = Account::new().await;
    let sandbox = &account.sandbox;
    let copied = |more: &str| format!("sync python:1 redis:7 --to {HOST}/base --report report.json {more}");
    assert_eq!(sandbox.run(&copied("--platform linux/amd64")).await.code, Some(0));
    // The copy of one platform has another digest than its source.
    let output = sandbox.run("verify report.json --json").await;
    let found = document(&output);
    let child = |seed: u64| image(seed).child("linux/amd64").unwrap().digest.clone();
    let expected = [format!("ok base/python@{}", child(1)), format!("ok base/redis@{}", child(3))];
    assert_eq!((output.code, states(&found)), (Some(0), expected.to_vec()));
    // The new index has another image for this platform.
    let digest = sandbox.publish("docker.io/library/python:1", 8);
    account.redis.expire_image(&child(3));
    let output = sandbox.run("verify report.json --json").await;
    assert_eq!(output.code, Some(1));
    assert_eq!(
        problems(&document(&output)),
        [
            format!("docker.io/library/python:1 now names {}. Run sync to copy it.", short(&digest)),
            "the image is missing or archived. Run sync again.".to_owned(),
        ]
    );
    assert_eq!(sandbox.run(&copied("")).await.code, Some(0));
    let output = sandbox.run("verify report.json").await;
    assert_eq!((output.code, output.stderr.as_str()), (Some(0), ""), "{output:?}");
    let row = format!("\n  ok          base/python@{}\n", short(&digest));
    assert!(output.stdout.contains(&row), "{output:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_report_is_a_usage_error() {
    let sandbox = Sandbox::start().await;
    let parameters = json!([{"ParameterKey": "Nginx", "ParameterValue": "host/nginx@sha256:1"}]);
    let cases: [(Value, &str); 5] = [
        (json!({}), "contains no image. "),
        (parameters, "is not a JSON object of sources and URIs: "),
        (json!({"nginx:1": 3}), "is not a JSON object of sources and URIs: "),
        (
            json!({"nginx:1": "host.example/nginx:1"}),
            "contains \"host.example/nginx:1\": expected a digest. ",
        ),
        (json!({"NGINX": "host.example/nginx:1"}), "contains \"NGINX\": "),
    ];
    for (content, expected) in cases {
        sandbox.write("report.json", content.to_string());
        let output = sandbox.run("verify report.json").await;
        assert_eq!((output.code, output.stdout.as_str()), (Some(2), ""), "{output:?}");
        let start = format!("error: the report report.json {expected}");
        assert!(
            output.stderr.starts_with(&start) && output.stderr.ends_with("sync --report.\n"),
            "{output:?}"
        );
    }
    let output = sandbox.run("verify gone.json").await;
    let expected = "error: the report gone.json was not found. Correct the path.\n";
    assert_eq!((output.code, output.stderr.as_str()), (Some(2), expected));
    for usage in ["verify", "verify report.json --all", "verify --all --stack a", "verify a --state-table b"]
    {
        assert_eq!(sandbox.run(usage).await.code, Some(2), "{usage}");
    }
}
