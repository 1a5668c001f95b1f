//! Lists that are not uploaded.

use crate::{BUCKET, Stack};

#[tokio::test(flavor = "multi_thread")]
async fn rejects_an_invalid_list_and_sends_nothing() {
    let stack = Stack::new().await;
    stack.sandbox.write("typo.yaml", "images:\n  - source: Nginx:1.27\n  - origin: redis\n");
    stack.sandbox.write("empty.yaml", "images: []\n");
    let mark = stack.sandbox.emulator.log().mark();
    let output = stack.run("refresh --list typo.yaml").await;
    assert_eq!(output.code, Some(2), "{output:?}");
    let lines: Vec<_> = output.stderr.lines().collect();
    assert!(lines[0].starts_with("error: typo.yaml:2: ") && lines[1].starts_with("error: typo.yaml:3: "));
    stack
        .fails("refresh --list empty.yaml", 2, "the list empty.yaml contains no image. Add a reference.")
        .await;
    let line = "the list gone.yaml was not found. Correct the path.";
    stack.fails("refresh --list gone.yaml", 2, line).await;
    // Standard input is empty.
    let line = "standard input contains no image. Add a reference.";
    stack.fails("refresh --list -", 2, line).await;
    let output = stack.sandbox.run_with(&["refresh", "--list", ""]).await;
    assert_eq!(output.stderr, "error: the path of a list is empty. Correct the path.\n");
    assert!(stack.sandbox.emulator.log().since(mark).is_empty());
}

const INVALID: [(&str, &str); 4] = [
    (
        "--alias=nginx nginx:1\n--alias=nginx redis:1\n",
        "list:2: docker.io/library/redis:1 and docker.io/library/nginx:1 (line 1) have the same destination \
         123456789012.dkr.ecr.eu-west-1.amazonaws.com/mirror/nginx:1.",
    ),
    (
        "images:\n  - source: nginx:1\n    repository: registry.example/mirror/nginx\n",
        "list:2: the destination registry.example/mirror/nginx is not below \
         123456789012.dkr.ecr.eu-west-1.amazonaws.com/mirror. Change repository in the list.",
    ),
    (
        "images:\n  - source: nginx:1\n    repository: 123456789012.dkr.ecr.eu-north-1.amazonaws.com/mirror/nginx\n",
        "list:2: the destination 123456789012.dkr.ecr.eu-north-1.amazonaws.com/mirror/nginx is not below ",
    ),
    ("images:\n  - source: nginx:1\n    credentials: mysecret\n", "list:2: credentials is "),
];

#[tokio::test(flavor = "multi_thread")]
async fn uploads_no_list_that_the_function_rejects() {
    let stack = Stack::new().await;
    for (list, problem) in INVALID {
        stack.sandbox.write("list", list);
        for option in ["", " --dry-run"] {
            let output = stack.run(&format!("refresh --list list{option}")).await;
            assert_eq!(output.code, Some(2), "{output:?}");
            assert!(output.stderr.starts_with(&format!("error: {problem}")), "{output:?}");
            assert_eq!(output.stderr.lines().count(), 1, "{output:?}");
        }
    }
    stack.sandbox.write("list", "images:\n  - source: python\n    tags: {newest: 3}\n    prune: true\n");
    let output = stack.run("refresh --list list --dry-run").await;
    assert_eq!(
        (output.code, output.stdout.as_str(), output.stderr.as_str()),
        (Some(0), "list is valid for stack image-refresh: 1 entry\n", "")
    );
    assert_eq!(stack.run("refresh --dry-run").await.code, Some(2));
    let output = stack.run("refresh list.yaml").await;
    let line = "error: unexpected argument 'list.yaml' found. Tip: pass --list list.yaml. For more \
                information, try '--help'.\n";
    assert_eq!((output.code, output.stderr.as_str()), (Some(2), line));
    assert!(stack.sandbox.emulator.objects().get(BUCKET, "list.yaml").is_none());
    assert!(stack.workflows.executions().is_empty());
}
