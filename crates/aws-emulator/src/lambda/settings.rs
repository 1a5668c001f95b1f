//! Configuration of a function, and the environment of its sandboxes.

use std::path::PathBuf;
use std::time::Duration;

use crate::api::caller::role_arn;
use crate::ids;

/// Configuration of a function, as in a template.
#[derive(Clone, Debug)]
pub struct FunctionSettings {
    /// Name of the function.
    pub name: String,
    /// Account.
    pub account: String,
    /// Region.
    pub region: String,
    /// The program, which a deployment package calls `bootstrap`.
    pub binary: PathBuf,
    /// Environment variables. The program inherits none of this process.
    pub environment: Vec<(String, String)>,
    /// Memory in MiB that the program can read. It is not enforced.
    pub memory: u32,
    /// Timeout of an invocation.
    pub timeout: Duration,
    /// Maximum time until a sandbox requests its first event.
    pub init_timeout: Duration,
    /// Maximum number of retries of a failed event: 0 to 2.
    pub max_retries: u32,
    /// Delays before the first and the second retry.
    pub retry_delays: [Duration; 2],
    /// Maximum age of an event at the start of an attempt.
    pub max_event_age: Duration,
    /// Maximum number of concurrent sandboxes.
    pub concurrency: usize,
}

impl FunctionSettings {
    /// Creates settings with Lambda's defaults, except that retries follow after milliseconds.
    pub fn new(name: &str, binary: impl Into<PathBuf>) -> Self {
        Self {
            name: name.to_owned(),
            account: "123456789012".to_owned(),
            region: "eu-west-1".to_owned(),
            binary: binary.into(),
            environment: Vec::new(),
            memory: 2_048,
            timeout: Duration::from_secs(900),
            init_timeout: Duration::from_secs(10),
            max_retries: 2,
            retry_delays: [Duration::from_millis(60), Duration::from_millis(120)],
            max_event_age: Duration::from_secs(6 * 3_600),
            concurrency: 100,
        }
    }

    /// Returns the function's ARN, which is the `ServiceToken` of a custom resource.
    pub fn arn(&self) -> String {
        let Self { region, account, name, .. } = self;
        format!("arn:{}:lambda:{region}:{account}:function:{name}", ids::partition(region))
    }

    /// Returns the ARN of the function's role, which is the role of all programs.
    pub fn role(&self) -> String {
        role_arn(&self.account, &self.region)
    }

    /// Returns the environment of a sandbox.
    pub(super) fn sandbox_environment(&self, runtime_api: &str) -> Vec<(String, String)> {
        let mut environment = self.environment.clone();
        let log_stream = format!("2026/01/01/[$LATEST]{}", ids::hex(32));
        let reserved = [
            ("AWS_LAMBDA_RUNTIME_API", runtime_api),
            ("AWS_LAMBDA_FUNCTION_NAME", &self.name),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", &self.memory.to_string()),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
            ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand"),
            ("AWS_LAMBDA_LOG_GROUP_NAME", &format!("/aws/lambda/{}", self.name)),
            ("AWS_LAMBDA_LOG_STREAM_NAME", &log_stream),
            ("AWS_LAMBDA_LOG_FORMAT", "JSON"),
            ("AWS_REGION", &self.region),
            ("AWS_DEFAULT_REGION", &self.region),
            ("LAMBDA_TASK_ROOT", "/var/task"),
            ("LAMBDA_RUNTIME_DIR", "/var/runtime"),
            ("_HANDLER", "bootstrap"),
        ];
        let defaults = [
            ("AWS_LAMBDA_LOG_LEVEL", "INFO"),
            ("LANG", "en_US.UTF-8"),
            ("TZ", ":UTC"),
            ("PATH", "/usr/local/bin:/usr/bin:/bin:/opt/bin"),
        ];
        environment.retain(|(key, _)| reserved.iter().all(|(name, _)| key != name));
        let given = |name: &str| environment.iter().any(|(key, _)| key == name);
        let missing: Vec<_> = defaults.into_iter().filter(|(name, _)| !given(name)).collect();
        let own = reserved.into_iter().chain(missing);
        environment.extend(own.map(|(name, value)| (name.to_owned(), value.to_owned())));
        environment
    }
}
