//! CloudFormation's API, which describes the stacks that tests deploy or import.

#![expect(clippy::unwrap_used, reason = "a failed test panics")]

mod common;
mod stack_fixture;

use aws_emulator::Emulator;
use aws_emulator::stack::{Resource, StackStatus, Template};
use common::{KEY, element, query_error, signed};
use serde_json::json;
use stack_fixture::default_stack_fixture;

const URL: &str = "https://cloudformation.eu-west-1.amazonaws.com/";

async fn call_signed(
    emulator: &Emulator,
    authorization: &str,
    action: &str,
    more: &[(&str, &str)],
) -> (u16, String) {
    let form: Vec<_> =
        [("Action", action)].iter().chain(more).map(|(name, value)| format!("{name}={value}")).collect();
    let request = common::client(emulator).post(URL).header("authorization", authorization);
    let response = request.body(form.join("&")).send().await.unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

async fn call(emulator: &Emulator, action: &str, more: &[(&str, &str)]) -> (u16, String) {
    call_signed(emulator, &signed(KEY, "cloudformation"), action, more).await
}

/// Calls an action that must succeed.
async fn describe(emulator: &Emulator, action: &str, more: &[(&str, &str)]) -> String {
    let (status, xml) = call(emulator, action, more).await;
    assert_eq!(status, 200, "{xml}");
    xml
}

/// Returns these elements of each member, separated by spaces.
fn members(xml: &str, names: &[&str]) -> Vec<String> {
    let members =
        xml.split("<member>").skip(1).map(|rest| rest.split_once("</member>").unwrap_or((rest, "")).0);
    let line = |member: &str| names.iter().map(|name| element(member, name)).collect::<Vec<_>>().join(" ");
    members.filter(|member| member.contains(&format!("<{}>", names[0]))).map(line).collect()
}

const RESOURCE: [&str; 4] = ["LogicalResourceId", "PhysicalResourceId", "ResourceType", "ResourceStatus"];

#[tokio::test]
async fn describes_a_stack_from_its_creation_to_its_deletion() {
    let fixture = default_stack_fixture().await;
    let (stack, emulator) = (&fixture.stack, &fixture.emulator);
    let shop = [("StackName", "shop")];
    let missing = (400, "ValidationError".to_owned(), "Stack with id shop does not exist".to_owned());
    assert_eq!(query_error(&call(emulator, "DescribeStacks", &shop).await), missing);

    let template = |id: &str| {
        Template::new()
            .parameter("Environment", "test & <live>")
            .secret_parameter("Password", "hunter2")
            .image("Image", json!({"Id": id, "Name": {"Ref": "Environment"}}))
            .with("Service", Resource::aws("AWS::ECS::Service", json!({"Image": {"Ref": "Image"}})))
            .output("Image", json!({"Ref": "Image"}))
    };
    stack.create(&template("a")).await;
    let xml = describe(emulator, "DescribeStacks", &shop).await;
    assert_eq!(element(&xml, "StackId"), stack.id());
    assert_eq!(element(&xml, "StackStatus"), "CREATE_COMPLETE");
    assert!(!xml.contains("LastUpdatedTime"), "{xml}");
    let parameters = members(&element(&xml, "Parameters"), &["ParameterKey", "ParameterValue"]);
    assert_eq!(parameters, ["Environment test &amp; &lt;live&gt;", "Password ****"]);
    assert_eq!(members(&element(&xml, "Outputs"), &["OutputKey", "OutputValue"]), ["Image a"]);
    let event = stack.resource("Image").unwrap().properties;
    assert_eq!(event["Name"], "test & <live>");

    // A failed update leaves the status of each resource after the rollback.
    let failing = template("b").with(
        "Service",
        Resource::aws("AWS::ECS::Service", json!({"Image": {"Ref": "Image"}}))
            .fails_to_update(aws_emulator::stack::Trigger::Immediately, "no capacity"),
    );
    assert_eq!(stack.update(&failing).await.status, StackStatus::UpdateRollbackComplete);
    let service = stack.physical_id("Service").unwrap();
    let expected = [
        "Image a Custom::ContainerImage UPDATE_COMPLETE".to_owned(),
        format!("Service {service} AWS::ECS::Service UPDATE_COMPLETE"),
    ];
    let xml = describe(emulator, "DescribeStackResources", &shop).await;
    assert_eq!(members(&xml, &RESOURCE), expected);
    assert_eq!(members(&xml, &["StackName", "Timestamp"]).len(), 2);
    let xml = describe(emulator, "ListStackResources", &shop).await;
    assert_eq!(members(&xml, &RESOURCE), expected);

    let xml = describe(emulator, "GetTemplate", &shop).await;
    let body = element(&xml, "TemplateBody").replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
    let body: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(body["Resources"]["Image"]["Type"], "Custom::ContainerImage");
    assert_eq!(body["Resources"]["Image"]["Properties"]["Id"], "a", "the template before the failed update");
    assert_eq!(body["Parameters"]["Password"]["NoEcho"], true);
    assert_eq!(element(&xml, "StagesAvailable").matches("<member>").count(), 2);

    stack.delete().await;
    assert_eq!(query_error(&call(emulator, "DescribeStacks", &shop).await), missing);
    let by_id = [("StackName", stack.id())];
    assert_eq!(
        element(&describe(emulator, "DescribeStacks", &by_id).await, "StackStatus"),
        "DELETE_COMPLETE"
    );
    let xml = describe(emulator, "ListStackResources", &by_id).await;
    let deleted = members(&xml, &["LogicalResourceId", "ResourceStatus"]);
    assert_eq!(deleted, ["Image DELETE_COMPLETE", "Service DELETE_COMPLETE"]);
    assert_eq!(element(&describe(emulator, "DescribeStacks", &[]).await, "Stacks"), "");
}

#[tokio::test]
async fn a_replaced_resource_has_its_new_id_and_a_removed_one_is_missing() {
    let fixture = default_stack_fixture().await;
    let (stack, emulator) = (&fixture.stack, &fixture.emulator);
    let both = Template::new().image("One", json!({"Id": "a"})).image("Two", json!({"Id": "b"}));
    stack.create(&both).await;
    stack.update(&Template::new().image("One", json!({"Id": "c"}))).await;
    let xml = describe(emulator, "ListStackResources", &[("StackName", "shop")]).await;
    assert_eq!(members(&xml, &RESOURCE), ["One c Custom::ContainerImage UPDATE_COMPLETE"]);
}

#[tokio::test]
async fn lists_stacks_and_resources_in_pages() {
    let emulator = Emulator::start().await.unwrap();
    let resource = |kind: &str| Resource::aws(kind, json!({}));
    let template = Template::new()
        .with("A", resource("AWS::Lambda::Function"))
        .with("B", resource("AWS::ECS::TaskDefinition"))
        .with("C", resource("AWS::Batch::JobDefinition"));
    let cloudformation = emulator.cloudformation();
    for name in ["one", "two", "three"] {
        cloudformation.import_stack(name, "eu-west-1", &template, &[("A", "a"), ("B", "b"), ("C", "c")]);
    }
    cloudformation.import_stack("elsewhere", "us-east-1", &template, &[]);
    cloudformation.set_page_size(2);
    let mut token = Vec::new();
    let mut pages = Vec::new();
    loop {
        let form = [&[("StackName", "one")], &token[..]].concat();
        let xml = describe(&emulator, "ListStackResources", &form).await;
        pages.push(members(&xml, &["LogicalResourceId", "PhysicalResourceId"]));
        if !xml.contains("<NextToken>") {
            break;
        }
        token = vec![("NextToken", element(&xml, "NextToken").leak() as &str)];
    }
    assert_eq!(pages, [vec!["A a", "B b"], vec!["C c"]]);
    let xml = describe(&emulator, "DescribeStacks", &[]).await;
    let names = |xml: &str| members(xml, &["StackName"]);
    assert_eq!(names(&xml), ["one", "two"]);
    let token = element(&xml, "NextToken");
    assert_eq!(names(&describe(&emulator, "DescribeStacks", &[("NextToken", &token)]).await), ["three"]);
}

#[tokio::test]
async fn rejects_calls_with_the_errors_of_cloudformation() {
    let emulator = Emulator::start().await.unwrap();
    let stack = emulator.cloudformation().import_stack("shop", "eu-west-1", &Template::new(), &[]);
    let shop = ("StackName", "shop");
    let own = signed(KEY, "cloudformation");
    let (unknown, other) = (signed("AKIAUNKNOWN", "cloudformation"), signed(KEY, "ecr"));
    for (authorization, action, form, expected) in [
        (&own, "DescribeStacks", vec![("NextToken", "x")], (400, "ValidationError")),
        (&own, "GetTemplate", vec![], (400, "ValidationError")),
        (&own, "ListStackResources", vec![("StackName", "gone")], (400, "ValidationError")),
        (&own, "GetTemplate", vec![shop, ("TemplateStage", "Processed")], (400, "InvalidAction")),
        (&own, "DescribeStackResources", vec![("PhysicalResourceId", "x")], (400, "InvalidAction")),
        (&own, "CreateStack", vec![shop], (400, "InvalidAction")),
        (&unknown, "DescribeStacks", vec![shop], (403, "InvalidClientTokenId")),
        (&other, "DescribeStacks", vec![shop], (403, "SignatureDoesNotMatch")),
    ] {
        let (status, code, message) =
            query_error(&call_signed(&emulator, authorization, action, &form).await);
        assert_eq!((status, code.as_str()), expected, "{action}: {message}");
    }
    let (_, _, message) = query_error(&call(&emulator, "CreateStack", &[shop]).await);
    assert_eq!(message, "aws-emulator: cloudformation:CreateStack is not implemented");

    emulator.cloudformation().deny("cloudformation:GetTemplate", "*:stack/*");
    let denied = |resource: &str| {
        format!(
            "User: arn:aws:sts::123456789012:assumed-role/emulated-role/emulated-session is not authorized to \
             perform: cloudformation:GetTemplate on resource: {resource} because no identity-based policy allows \
             the cloudformation:GetTemplate action"
        )
    };
    let gone = "arn:aws:cloudformation:eu-west-1:123456789012:stack/gone/*";
    for (name, resource) in [("shop", stack.id()), ("gone", gone)] {
        let (status, code, message) =
            query_error(&call(&emulator, "GetTemplate", &[("StackName", name)]).await);
        assert_eq!((status, code.as_str(), message), (403, "AccessDenied", denied(resource)));
    }
    describe(&emulator, "DescribeStacks", &[shop]).await;
    emulator.cloudformation().allow_everything();
    describe(&emulator, "GetTemplate", &[shop]).await;
}
