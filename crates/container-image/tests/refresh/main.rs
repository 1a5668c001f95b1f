//! `container-image refresh` with scripted executions.
#![cfg(unix)]

#[path = "../common/mod.rs"]
mod common;
mod list;

use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use aws_emulator::stack::Template;
use aws_emulator::workflows::{Counts, Script, Workflows};
use common::{RunOutput, Sandbox};
use serde_json::{Value, json};

const REGION: &str = "eu-west-1";
const BUCKET: &str = "image-refresh-bucket-1a2b";
const REPORT: &str = include_str!("../fixtures/session/refresh.json");

/// A deployed refresh stack.
struct Stack {
    sandbox: Sandbox,
    workflows: Arc<Workflows>,
}

impl Stack {
    async fn new() -> Self {
        Self::with_list(&format!("s3://{BUCKET}/list.yaml")).await
    }

    /// `list` is the output `ListObject`.
    async fn with_list(list: &str) -> Self {
        let sandbox = Sandbox::start().await;
        let workflows = Workflows::new(&sandbox.emulator.settings().account, REGION);
        sandbox.emulator.add(workflows.clone());
        sandbox.emulator.objects().create_bucket(REGION, BUCKET);
        let state_machine = workflows.create("Refresh-1");
        let template = Template::new()
            .output("StateMachineArn", state_machine)
            .output("BucketName", BUCKET)
            .output("ListObject", list)
            .parameter("RepositoryPrefix", "mirror");
        sandbox.emulator.cloudformation().import_stack("image-refresh", REGION, &template, &[]);
        Self { sandbox, workflows }
    }

    /// Scripts the next execution, which writes this report at its start.
    fn script(&self, script: Script, report: Option<&str>) {
        let objects = Arc::clone(self.sandbox.emulator.objects());
        let report = report.map(ToOwned::to_owned);
        let on_start = move |name: &str| {
            if let Some(report) = report {
                objects.put(BUCKET, &format!("runs/{name}/report.json"), report);
            }
        };
        self.workflows.script(Script { on_start: Some(Box::new(on_start)), ..script });
    }

    /// Runs the command. Replaces the varying name of the execution.
    async fn run(&self, arguments: &str) -> RunOutput {
        let output = self.sandbox.run(arguments).await;
        let names = self.workflows.executions();
        let replace =
            |text: &str| names.iter().fold(text.to_owned(), |text, name| text.replace(name.as_str(), "NAME"));
        RunOutput { stdout: replace(&output.stdout), stderr: replace(&output.stderr), ..output }
    }

    /// Runs the command, which must fail with this line.
    async fn fails(&self, arguments: &str, code: i32, line: &str) {
        let output = self.run(arguments).await;
        let last = output.stderr.lines().last().unwrap_or_default();
        assert_eq!((output.code, last), (Some(code), format!("error: {line}").as_str()), "{output:?}");
    }
}

fn failed(error: &str, cause: &str) -> Script {
    Script { failure: Some((error.to_owned(), cause.to_owned())), ..Script::default() }
}

fn counts(total: u64, succeeded: u64, failed: u64) -> Counts {
    Counts { total, succeeded, failed }
}

fn denied(action: &str, resource: &str) -> String {
    format!(
        "User: arn:aws:sts::123456789012:assumed-role/emulated-role/emulated-session is not authorized to \
         perform: {action} on resource: {resource}"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn uploads_the_list_follows_the_run_and_prints_its_report() {
    let stack = Stack::new().await;
    stack.sandbox.write("images.txt", "nginx:1.27\npython:3.13\n");
    let progress = vec![counts(8, 0, 0), counts(8, 4, 1), counts(8, 7, 1)];
    let script = Script {
        counts: progress,
        failure: Some(("ImagesFailed".into(), "1 of 8 images failed".into())),
        ..Script::default()
    };
    stack.script(script, Some(REPORT));
    let output = stack.run("refresh --list images.txt").await;
    assert_eq!(
        output.stderr,
        "note: images.txt was uploaded to s3://image-refresh-bucket-1a2b/list.yaml (entries: 2).\n\
         note: execution NAME was started.\n\
         note: 5 of 8 images, 1 failed.\n\
         note: 8 of 8 images, 1 failed.\n"
    );
    assert_eq!(
        output.stdout,
        "~ docker.io/library/nginx:1.27 sha256:111111111111 (was sha256:222222222222), 69.0 MiB copied\n\
         + docker.io/library/python:3.13 sha256:333333333333, 4.0 MiB copied\n\
         . docker.io/library/redis:7.4 sha256:444444444444 waits until 2026-03-02T14:10:00Z\n\
         - 123456789012.dkr.ecr.eu-west-1.amazonaws.com/mirror/redis:7.1 deleted\n\
         = docker.io/library/redis:7.0 kept: The tag was kept because another owner uses it.\n\
         ! Image ghcr.io/acme/gone:1 was not found: ghcr.io returned 404 MANIFEST_UNKNOWN \"manifest unknown\". \
         Check the name in ImageReference. (CI-001)\n\
         6 images: 1 new, 1 moved, 2 unchanged, 1 waiting, 1 deleted, 1 kept, 1 failed; 73.0 MiB copied, 7 pulls\n\
         report: s3://image-refresh-bucket-1a2b/runs/NAME/report.json\n\
         exit code 1: 1 image failed\n"
    );
    assert_eq!(output.code, Some(1));
    let objects = stack.sandbox.emulator.objects();
    assert_eq!(objects.get(BUCKET, "list.yaml").unwrap(), "nginx:1.27\npython:3.13\n");
    assert_eq!(objects.content_type(BUCKET, "list.yaml").unwrap(), "text/plain; charset=utf-8");
}

#[tokio::test(flavor = "multi_thread")]
async fn prints_the_document_or_only_failures() {
    let stack = Stack::new().await;
    stack.script(failed("ImagesFailed", "1 of 8 images failed"), Some(REPORT));
    let output = stack.run("refresh --json").await;
    let (printed, expected): (Value, Value) =
        (serde_json::from_str(&output.stdout).unwrap(), serde_json::from_str(REPORT).unwrap());
    assert_eq!((output.code, printed), (Some(1), expected));
    // The stack tolerates the failure.
    stack.script(Script::default(), Some(REPORT));
    let output = stack.run("refresh --quiet").await;
    assert_eq!((output.code, output.stdout.as_str()), (Some(0), ""));
    assert!(output.stderr.starts_with("warning: Image ghcr.io/acme/gone:1 was not found"), "{output:?}");
    assert_eq!(output.stderr.lines().count(), 1, "{output:?}");
    let complete = REPORT.replace("\"Failed\": 1", "\"Failed\": 0");
    stack.script(Script::default(), Some(&complete));
    let output = stack.run("refresh").await;
    assert!(output.stdout.ends_with("exit code 0: 1 image waits until 2026-03-02T14:10:00Z\n"), "{output:?}");
    stack.script(Script::default(), Some(REPORT));
    let output = stack.run("refresh --verbose").await;
    assert!(output.stdout.contains("= docker.io/library/alpine:3 sha256:666666666666\n"), "{output:?}");
    assert!(output.stdout.ends_with("exit code 0: 1 image failed, as many as the stack tolerates\n"));
    assert!(stack.sandbox.emulator.objects().get(BUCKET, "list.yaml").is_none(), "no list was uploaded");
}

#[tokio::test(flavor = "multi_thread")]
async fn starts_a_run_without_waiting() {
    let stack = Stack::new().await;
    let output = stack.run("refresh --no-wait").await;
    assert_eq!(
        (output.code, output.stdout.as_str(), output.stderr.as_str()),
        (Some(0), "arn:aws:states:eu-west-1:123456789012:execution:Refresh-1:NAME\n", "")
    );
    let output = stack.run("refresh --no-wait --json").await;
    assert_eq!(output.code, Some(2), "{output:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_an_execution_that_failed_before_its_report() {
    let stack = Stack::new().await;
    let cause = json!({
        "errorType": "NotFound",
        "errorMessage": "List s3://b/list.yaml was not found. Upload it. (CI-999)",
        "trace": []
    });
    stack.script(failed("NotFound", &cause.to_string()), None);
    let line = "execution NAME failed: List s3://b/list.yaml was not found. Upload it. (CI-999)";
    stack.fails("refresh", 1, line).await;

    let ending =
        "See its history in Step Functions: arn:aws:states:eu-west-1:123456789012:execution:Refresh-1:NAME";
    stack.script(failed("States.Runtime", "An error \"occurred\""), None);
    let line = format!("execution NAME failed: States.Runtime \"An error 'occurred'\". {ending}");
    stack.fails("refresh", 1, &line).await;
    stack.script(Script { status: Some("ABORTED"), ..Script::default() }, None);
    stack.fails("refresh", 1, &format!("execution NAME was stopped. {ending}")).await;
    stack.script(Script { status: Some("TIMED_OUT"), ..Script::default() }, None);
    stack.fails("refresh", 1, &format!("execution NAME reached its maximum duration. {ending}")).await;

    // The notification failed after the report.
    let complete = REPORT.replace("\"Failed\": 1", "\"Failed\": 0");
    stack.script(failed("SNS.NotFoundException", "Topic does not exist"), Some(&complete));
    let output = stack.run("refresh").await;
    assert!(output.stdout.contains("6 images: 1 new"), "{output:?}");
    assert!(output.stdout.ends_with("exit code 1: the execution failed\n"), "{output:?}");
    let line =
        format!("error: execution NAME failed: SNS.NotFoundException \"Topic does not exist\". {ending}");
    assert_eq!((output.code, output.stderr.lines().last()), (Some(1), Some(line.as_str())));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stack_has_a_region() {
    let stack = Stack::new().await;
    let mut command = stack.sandbox.command(&["refresh"]);
    command.env_remove("AWS_REGION").env_remove("AWS_DEFAULT_REGION");
    let output = command.output().await.unwrap();
    assert_eq!(
        (output.status.code(), String::from_utf8(output.stderr).unwrap().as_str()),
        (Some(2), "error: no AWS Region is configured. Pass the Region of the stack with --region.\n")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_start_after_the_upload_names_the_list() {
    let stack = Stack::new().await;
    stack.sandbox.write("images.txt", "nginx:1.27\n");
    let arn = "arn:aws:states:eu-west-1:123456789012:stateMachine:Gone";
    let template = Template::new()
        .output("StateMachineArn", arn)
        .output("BucketName", BUCKET)
        .output("ListObject", format!("s3://{BUCKET}/list.yaml"))
        .parameter("RepositoryPrefix", "");
    stack.sandbox.emulator.cloudformation().import_stack("old", REGION, &template, &[]);
    for (option, next) in [("", ""), (" --list images.txt", "; the next scheduled run uses the new list")] {
        let output = stack.run(&format!("refresh --stack old{option}")).await;
        let line = output.stderr.lines().last().unwrap();
        assert!(line.contains("states:StartExecution returned StateMachineDoesNotExist \""), "{output:?}");
        let ending = format!("\"{next}. Delete the refresh stack, and deploy it again.");
        assert!(line.ends_with(&ending), "{output:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn names_the_missing_stack_output_and_report() {
    let stack = Stack::with_list("none").await;
    let line = "stack other in eu-west-1 could not be read: cloudformation:DescribeStacks returned \
                ValidationError \"Stack with id other does not exist\". Check the name, or pass its --region.";
    stack.fails("refresh --stack other", 1, line).await;
    let template = Template::new().output("BucketName", BUCKET);
    stack.sandbox.emulator.cloudformation().import_stack("network", REGION, &template, &[]);
    let line = "stack network in eu-west-1 has no valid output StateMachineArn. Pass the name of the refresh stack \
                with --stack.";
    stack.fails("refresh --stack network", 1, line).await;
    stack.sandbox.write("images.txt", "nginx:1.27\n");
    let line = "the list of stack image-refresh is in its parameter List. Update the stack with an empty List, or \
                omit --list.";
    stack.fails("refresh --list images.txt", 1, line).await;
    assert!(stack.workflows.executions().is_empty());

    let line = "the run ended, but its report s3://image-refresh-bucket-1a2b/runs/NAME/report.json does not exist: \
                s3:GetObject returned NoSuchKey \"The specified key does not exist.\". Check the lifecycle rules of \
                the bucket.";
    stack.script(Script::default(), None);
    stack.fails("refresh", 1, line).await;
    stack.script(Script::default(), Some("{}"));
    let line = "the report s3://image-refresh-bucket-1a2b/runs/NAME/report.json is not a report of this version. \
                Update container-image, or the provider.";
    stack.fails("refresh", 1, line).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn names_the_missing_permission() {
    let stack = Stack::new().await;
    stack.sandbox.write("images.txt", "nginx:1.27\n");
    let advice = "Allow this for the AWS identity, or pass another --profile.";
    let check = async |action: &str| {
        stack.script(Script { counts: vec![counts(1, 1, 0)], ..Script::default() }, Some(REPORT));
        let output = stack.run("refresh --list images.txt").await;
        assert!(output.stderr.contains(&denied(action, "")), "{output:?}");
        output
    };
    stack.sandbox.emulator.cloudformation().deny("cloudformation:DescribeStacks", "*");
    let output = check("cloudformation:DescribeStacks").await;
    assert!(output.code == Some(1) && output.stderr.ends_with(&format!("{advice}\n")), "{output:?}");
    stack.sandbox.emulator.cloudformation().allow_everything();

    for action in ["s3:PutObject", "s3:GetObject"] {
        stack.sandbox.emulator.objects().deny(action, "*");
        let output = check(action).await;
        assert!(output.code == Some(1) && output.stderr.ends_with(&format!("{advice}\n")), "{output:?}");
        stack.sandbox.emulator.objects().allow_everything();
    }
    for action in ["states:StartExecution", "states:DescribeExecution"] {
        stack.workflows.deny(action, "*");
        let output = check(action).await;
        assert!(output.code == Some(1) && output.stderr.ends_with(&format!("{advice}\n")), "{output:?}");
        stack.workflows.allow_everything();
    }
    // The run is followed without its progress.
    for action in ["states:ListMapRuns", "states:DescribeMapRun"] {
        stack.workflows.deny(action, "*");
        let output = check(action).await;
        assert_eq!(output.code, Some(0), "{output:?}");
        assert!(output.stderr.contains("note: the progress is unknown: "), "{output:?}");
        stack.workflows.allow_everything();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupt_ends_only_the_command() {
    use rustix::process::{Pid, Signal, kill_process};
    let stack = Stack::new().await;
    stack.script(Script { counts: vec![counts(8, 0, 0); 1000], ..Script::default() }, None);
    let mut command = stack.sandbox.command(&["refresh"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    for _ in 0..3000 {
        if !stack.workflows.executions().is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let pid = Pid::from_raw(child.id().unwrap().try_into().unwrap()).unwrap();
    kill_process(pid, Signal::INT).unwrap();
    let output = child.wait_with_output().await.unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(130), "{stderr}");
    // The signal can arrive before the response to the start.
    let arn = format!(
        "arn:aws:states:eu-west-1:123456789012:execution:Refresh-1:{}",
        stack.workflows.executions()[0]
    );
    let follows = format!(
        "interrupted: the run continues in AWS. `aws stepfunctions stop-execution --execution-arn {arn}` stops it.\n"
    );
    let starts = "interrupted: a run may have been started.\n";
    assert!(stderr.ends_with(&follows) || stderr.ends_with(starts), "{stderr}");
}
