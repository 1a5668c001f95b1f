//! Executions of a state machine in Step Functions, and the counts of its Distributed Map.

use aws_sdk_sfn::Client;
use aws_sdk_sfn::types::ExecutionStatus as SdkStatus;
use image_copy::registry::Error;
use image_copy::text::SanitizedText;

use crate::AwsClients;
use crate::endpoints::Service;
use crate::retry::RetryingClient;

/// Executions in the Region of the configuration.
#[derive(Clone)]
pub struct Executions {
    client: RetryingClient<Client>,
}

/// State of an execution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Execution {
    /// Progress or result.
    pub status: ExecutionStatus,
    /// Name of the error of a failed execution. Empty if there is none.
    pub error: SanitizedText,
    /// Text of the error of a failed execution. A task of Lambda has a JSON document here
    /// (<https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html>).
    pub cause: String,
}

/// Status of an execution
/// (<https://docs.aws.amazon.com/step-functions/latest/apireference/API_DescribeExecution.html>).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExecutionStatus {
    /// It has not ended, or waits for a redrive.
    Running,
    /// It has ended without an error.
    Succeeded,
    /// It has ended with an error.
    Failed,
    /// It has reached its maximum duration.
    TimedOut,
    /// Somebody has stopped it.
    Aborted,
}

/// Items of a Distributed Map
/// (<https://docs.aws.amazon.com/step-functions/latest/apireference/API_MapRunItemCounts.html>).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ItemCounts {
    /// All items.
    pub total: u64,
    /// Items that succeeded.
    pub succeeded: u64,
    /// Items that failed, timed out or were stopped.
    pub failed: u64,
}

impl AwsClients {
    /// Returns the executions in the Region of the configuration.
    #[must_use]
    pub fn executions(&self) -> Executions {
        let region = self.config().region().map(ToString::to_string).unwrap_or_default();
        let host = self.api_host(Service::StepFunctions, &region);
        let sdk = Client::new(self.config());
        Executions { client: RetryingClient::new(sdk, host, None, self.retry_policy()) }
    }
}

impl Executions {
    /// Starts an execution with an empty input, and returns its ARN. `name` must be new, so that a repeated
    /// call does not start a second execution
    /// (<https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html>). Needs
    /// `states:StartExecution`.
    ///
    /// # Errors
    /// The error of Step Functions.
    pub async fn start(&self, state_machine: &str, name: &str) -> Result<String, Error> {
        let request =
            self.client.sdk.start_execution().state_machine_arn(state_machine).name(name).input("{}");
        let response = self.client.send("states:StartExecution", || request.clone().send()).await?;
        Ok(response.execution_arn)
    }

    /// Returns the state of an execution. The API is eventually consistent, so a new execution can be missing.
    /// Needs `states:DescribeExecution`.
    ///
    /// # Errors
    /// The error of Step Functions.
    pub async fn describe(&self, arn: &str) -> Result<Execution, Error> {
        let request = self.client.sdk.describe_execution().execution_arn(arn);
        let response = self.client.send("states:DescribeExecution", || request.clone().send()).await?;
        let status = match response.status {
            SdkStatus::Succeeded => ExecutionStatus::Succeeded,
            SdkStatus::Failed => ExecutionStatus::Failed,
            SdkStatus::TimedOut => ExecutionStatus::TimedOut,
            SdkStatus::Aborted => ExecutionStatus::Aborted,
            _ => ExecutionStatus::Running,
        };
        let error = response.error.unwrap_or_default().into();
        Ok(Execution { status, error, cause: response.cause.unwrap_or_default() })
    }

    /// Returns the ARN of the Map Run of an execution. `None` until it is started. Needs `states:ListMapRuns`.
    ///
    /// # Errors
    /// The error of Step Functions.
    pub async fn map_run(&self, arn: &str) -> Result<Option<String>, Error> {
        let request = self.client.sdk.list_map_runs().execution_arn(arn);
        let response = self.client.send("states:ListMapRuns", || request.clone().send()).await?;
        Ok(response.map_runs.into_iter().next().map(|run| run.map_run_arn))
    }

    /// Returns the counts of a Map Run. Needs `states:DescribeMapRun`.
    ///
    /// # Errors
    /// The error of Step Functions.
    pub async fn counts(&self, map_run: &str) -> Result<ItemCounts, Error> {
        let request = self.client.sdk.describe_map_run().map_run_arn(map_run);
        let response = self.client.send("states:DescribeMapRun", || request.clone().send()).await?;
        let Some(counts) = response.item_counts else { return Ok(ItemCounts::default()) };
        let number = |count: i64| u64::try_from(count).unwrap_or_default();
        Ok(ItemCounts {
            total: number(counts.total),
            succeeded: number(counts.succeeded),
            failed: [counts.failed, counts.timed_out, counts.aborted].map(number).iter().sum(),
        })
    }

    /// Waits before the next request for the state, longer with each request, and at most five seconds.
    pub async fn wait(&self, requests: u32) {
        self.client.wait(requests).await;
    }
}
