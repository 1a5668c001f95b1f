//! Checks the environment of the function's processes.

use aws_emulator::lambda::Function;

use crate::checks::Checks;
use crate::export::Export;

/// Variables that direct the program to the emulator.
const FOR_THE_EMULATOR: [&str; 6] =
    ["HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy", "SSL_CERT_FILE", "AWS_EC2_METADATA_DISABLED"];

/// Variables that Lambda sets
/// (<https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html>).
const BY_LAMBDA: [&str; 20] = [
    "_HANDLER",
    "AWS_ACCESS_KEY_ID",
    "AWS_DEFAULT_REGION",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
    "AWS_LAMBDA_FUNCTION_NAME",
    "AWS_LAMBDA_FUNCTION_VERSION",
    "AWS_LAMBDA_INITIALIZATION_TYPE",
    "AWS_LAMBDA_LOG_FORMAT",
    "AWS_LAMBDA_LOG_GROUP_NAME",
    "AWS_LAMBDA_LOG_LEVEL",
    "AWS_LAMBDA_LOG_STREAM_NAME",
    "AWS_LAMBDA_RUNTIME_API",
    "AWS_REGION",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "LAMBDA_RUNTIME_DIR",
    "LAMBDA_TASK_ROOT",
    "LANG",
    "PATH",
    "TZ",
];

/// Checks that every process of the function has the variables of the template and no unknown ones.
pub(crate) fn check(checks: &mut Checks, export: &Export, function: &Function) {
    let sandboxes = function.sandboxes();
    checks.require(!sandboxes.is_empty(), || "no process of the function was started".to_owned());
    for sandbox in sandboxes {
        let file = format!("/proc/{}/environ", sandbox.pid);
        let bytes = std::fs::read(&file).unwrap_or_default();
        checks.require(!bytes.is_empty(), || format!("{file} cannot be read"));
        let text = String::from_utf8_lossy(&bytes);
        let variables: Vec<_> =
            text.split_terminator('\0').filter_map(|variable| variable.split_once('=')).collect();
        for (name, expected) in &export.environment {
            let actual: Vec<_> = variables.iter().filter(|(key, _)| key == name).map(|(_, v)| v).collect();
            checks.require(actual == [expected], || {
                let actual = actual.first().map_or("not set".to_owned(), |value| format!("{value:?}"));
                format!("the function's {name} is {actual}, the template sets {expected:?}")
            });
        }
        for (name, _) in variables {
            let is_known = export.environment.iter().any(|(key, _)| key == name)
                || FOR_THE_EMULATOR.contains(&name)
                || BY_LAMBDA.contains(&name);
            checks.require(is_known, || format!("the function has {name}, which the template does not set"));
        }
    }
}
