//! What is configured of a function, and the environment a sandbox gets from it.

use std::path::PathBuf;
use std::time::Duration;

use crate::ids;

/// Configuration of a function, as its owner would write it in a template.
#[derive(Clone, Debug)]
pub struct FunctionSettings {
    /// The function's name.
    pub name: String,
    /// Account it lives in.
    pub account: String,
    /// Region it lives in.
    pub region: String,
    /// The program: what a deployment package calls `bootstrap`.
    pub binary: PathBuf,
    /// Environment variables; nothing of this process's own environment gets through.
    pub environment: Vec<(String, String)>,
    /// Memory in MiB, which the program is told; it is not limited to it.
    pub memory: u32,
    /// How long one invocation may take.
    pub timeout: Duration,
    /// How long a sandbox may take until it asks for its first event.
    pub init_timeout: Duration,
    /// How often a failed event is tried again: 0 to 2.
    pub max_retries: u32,
    /// How long to wait before the first and the second retry.
    pub retry_delays: [Duration; 2],
    /// How old an event may become before it is given up.
    pub max_event_age: Duration,
    /// Sandboxes at work at once.
    pub concurrency: usize,
}

impl FunctionSettings {
    /// Lambda's defaults for a program, but retries after milliseconds instead of minutes.
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

    /// The function's ARN, which is also a resource's `ServiceToken`.
    pub fn arn(&self) -> String {
        let Self { region, account, name, .. } = self;
        format!("arn:{}:lambda:{region}:{account}:function:{name}", ids::partition(region))
    }

    /// The environment of a sandbox that reaches its Runtime API at `runtime_api`.
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
