//! The Lambda function behind the CloudFormation resource `Custom::ContainerImage`.
//!
//! | step | module |
//! |---|---|
//! | what the installer decided | [`settings`] |
//! | event → envelope and change | [`event`], [`issued`] |
//! | properties → request | [`properties`] |
//! | time → when what has to be over | [`deadline`] |
//! | event → its one answer | [`handler`], [`services`] |
//! | change → what is done | [`job`] |
//! | registry → login for it | [`logins`] |
//! | request → copy, with its line and claim | [`copying`], [`ledger`] |
//! | id → what a claim allows, and what goes | [`undoing`], [`deletion`] |
//! | result → sentence, reason, log line | [`report`], [`reason`], [`logging`] |
//! | more to copy than time → another invocation | [`continuation`] |
//! | record of a failed invocation → answer | [`watchdog`] |
//! | answer → CloudFormation | [`response`], [`courier`] |

mod continuation;
mod copying;
mod courier;
mod deadline;
mod deletion;
mod event;
mod handler;
mod issued;
mod job;
mod ledger;
mod logging;
mod logins;
#[cfg(test)]
mod model;
mod orphans;
mod properties;
mod reason;
mod report;
mod response;
mod services;
mod settings;
#[cfg(test)]
mod testing;
mod undoing;
mod watchdog;

use std::process::ExitCode;
use std::time::SystemTime;

use image_copy_aws::EcrClients;
use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use serde_json::Value;

use handler::Invocation;
use services::Services;
use settings::Settings;

/// As what upstream registries, ECR and the response bucket see us.
const USER_AGENT: &str = concat!("cfn-container-image-provider/", env!("CARGO_PKG_VERSION"));

fn main() -> ExitCode {
    let settings = Settings::read(|name| std::env::var(name).ok());
    logging::start(settings.log_level.as_deref());
    // Connections run as tasks of their own, so that TLS and hashing use both of two processors.
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    match runtime.map_err(|error| error.to_string()).and_then(|runtime| runtime.block_on(serve(settings))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error, "the function cannot start");
            ExitCode::FAILURE
        }
    }
}

/// Handles one call after the other, for as long as Lambda lets the function live.
async fn serve(settings: Settings) -> Result<(), String> {
    let ecr = EcrClients::from_environment(services::client_options(&settings)).await;
    let services = Services::new(settings, ecr)?;
    let services = &services;
    let handler = service_fn(|event: LambdaEvent<Value>| async move {
        let (payload, context) = event.into_parts();
        let left = context.deadline().duration_since(SystemTime::now()).unwrap_or_default();
        let invocation =
            Invocation { request_id: context.request_id, function_arn: context.invoked_function_arn, left };
        let handled = handler::handle(payload, &invocation, services).await;
        handled.map_err(|error| Diagnostic { error_type: watchdog::UNANSWERED.into(), error_message: error })
    });
    lambda_runtime::run(handler).await.map_err(|error| error.to_string())
}
