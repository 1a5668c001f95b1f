//! Stacks of a CloudFormation that sends XML as documented
//! (<https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_DescribeStacks.html#API_DescribeStacks_Examples>).

use std::sync::{Arc, Mutex};

use aws_smithy_http_client::test_util::infallible_client_fn;

use super::*;
use crate::testing::clients_over;

const ARN: &str = "arn:aws:cloudformation:us-east-1:123456789012:stack/images/7c9e6679";

/// Returns stacks with these responses, one after another, and the bodies of the requests.
fn stacks(responses: Vec<(u16, String)>) -> (Stacks, Arc<Mutex<Vec<String>>>) {
    let requests = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&requests);
    let http = infallible_client_fn(move |request| {
        let mut seen = seen.lock().unwrap();
        let (status, body) = responses[seen.len().min(responses.len() - 1)].clone();
        seen.push(String::from_utf8_lossy(request.body().bytes().unwrap()).into_owned());
        http::Response::builder().status(status).body(body).unwrap()
    });
    (clients_over(http).stacks(), requests)
}

fn result(action: &str, content: &str) -> (u16, String) {
    let namespace = "http://cloudformation.amazonaws.com/doc/2010-05-15/";
    let text = format!(
        "<{action}Response xmlns=\"{namespace}\"><{action}Result>{content}</{action}Result></{action}Response>"
    );
    (200, text)
}

fn error(code: &str, message: &str) -> (u16, String) {
    let detail = format!("<Type>Sender</Type><Code>{code}</Code><Message>{message}</Message>");
    (400, format!("<ErrorResponse><Error>{detail}</Error><RequestId>1</RequestId></ErrorResponse>"))
}

#[tokio::test]
async fn describes_a_stack() {
    let member = |fields: &str| format!("<member>{fields}</member>");
    let parameter = |key: &str, fields: &str| member(&format!("<ParameterKey>{key}</ParameterKey>{fields}"));
    let parameters = [
        parameter("Tag", "<ParameterValue>3.13</ParameterValue>"),
        parameter(
            "Latest",
            "<ParameterValue>/images/tag</ParameterValue><ResolvedValue>3.14</ResolvedValue>",
        ),
        parameter("Secret", "<ParameterValue>****</ParameterValue>"),
    ];
    let output = member("<OutputKey>Uri</OutputKey><OutputValue>host/app@sha256:1 &amp; more</OutputValue>");
    let (stacks, requests) = stacks(vec![result(
        "DescribeStacks",
        &format!(
            "<Stacks><member><StackId>{ARN}</StackId><StackName>images</StackName>\
             <StackStatus>UPDATE_COMPLETE</StackStatus><Parameters>{}</Parameters>\
             <Outputs>{output}</Outputs></member></Stacks>",
            parameters.concat()
        ),
    )]);
    let stack = stacks.describe("images").await.unwrap();
    assert_eq!((stack.id.as_str(), stack.name.as_str()), (ARN, "images"));
    assert_eq!(stack.status, "UPDATE_COMPLETE");
    assert_eq!(stack.parameters["Tag"].as_deref(), Some("3.13"));
    assert_eq!(stack.parameters["Latest"].as_deref(), Some("3.14"));
    assert_eq!(stack.parameters["Secret"], None);
    assert_eq!(stack.outputs["Uri"], "host/app@sha256:1 & more");
    assert_eq!(*requests.lock().unwrap(), ["Action=DescribeStacks&Version=2010-05-15&StackName=images"]);
}

#[tokio::test]
async fn reads_all_pages_of_resources() {
    let resource = |name: &str, physical: &str| {
        format!(
            "<member><LogicalResourceId>{name}</LogicalResourceId>{physical}\
             <ResourceType>Custom::ContainerImage</ResourceType>\
             <ResourceStatus>CREATE_COMPLETE</ResourceStatus></member>"
        )
    };
    let list = |resources: &str| format!("<StackResourceSummaries>{resources}</StackResourceSummaries>");
    let first = list(&resource("Python", "<PhysicalResourceId>host/python:3.13</PhysicalResourceId>"));
    let (stacks, requests) = stacks(vec![
        result("ListStackResources", &format!("{first}<NextToken>more</NextToken>")),
        result("ListStackResources", &list(&resource("Redis", ""))),
    ]);
    let resources = stacks.resources(ARN).await.unwrap();
    assert_eq!(resources.len(), 2);
    assert_eq!(resources[0].physical_id.as_deref(), Some("host/python:3.13"));
    assert_eq!(resources[0].resource_type, "Custom::ContainerImage");
    assert_eq!((resources[1].logical_id.as_str(), resources[1].physical_id.as_deref()), ("Redis", None));
    assert_eq!(resources[1].status, "CREATE_COMPLETE");
    assert!(requests.lock().unwrap()[1].contains("&NextToken=more"));
}

#[tokio::test]
async fn an_endless_list_is_an_error() {
    let (stacks, requests) = stacks(vec![result("ListStackResources", "<NextToken>more</NextToken>")]);
    let error = stacks.resources("images").await.unwrap_err();
    assert_eq!(error.cause, Error::Protocol("the list of resources does not end"));
    assert_eq!(requests.lock().unwrap().len(), MAX_PAGES);
}

#[tokio::test]
async fn returns_the_deployed_template() {
    let (stacks, requests) =
        stacks(vec![result("GetTemplate", "<TemplateBody>Resources: {}&#xD;\n</TemplateBody>")]);
    assert_eq!(stacks.template("images").await.unwrap(), "Resources: {}\r\n");
    assert!(requests.lock().unwrap()[0].contains("&TemplateStage=Original"));
}

#[tokio::test]
async fn names_the_stack_and_the_region_of_an_error() {
    let (missing, _) = stacks(vec![error("ValidationError", "Stack with id images does not exist")]);
    let error_text = missing.describe("images").await.unwrap_err();
    assert!(error_text.is_missing());
    assert_eq!(
        error_text.to_string(),
        "stack images in us-east-1 could not be read: cloudformation:DescribeStacks returned ValidationError \
         \"Stack with id images does not exist\""
    );
    let (denied, requests) = stacks(vec![error("AccessDenied", "User is not authorized")]);
    let denied = denied.template("images").await.unwrap_err();
    assert!(!denied.is_missing() && denied.cause.has_code("AccessDenied"), "{denied}");
    assert_eq!(requests.lock().unwrap().len(), 1);
}
