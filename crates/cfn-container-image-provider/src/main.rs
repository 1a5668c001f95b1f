//! The Lambda function behind the CloudFormation resource `Custom::ContainerImage`.
//!
//! | step | module |
//! |---|---|
//! | payloads of invocations | [`input`] |
//! | the invocation and shared clients | [`invocation`] |
//! | settings of the installation | [`settings`] |
//! | deadlines; panics and timeouts | [`deadline`], [`catch`] |
//! | shared clients; context of one event | [`clients`], [`context`] |
//! | owners and copies of a tag | [`event_state`] |
//! | Create and Update | [`copy`] |
//! | Delete, and cleanup after a failed copy | [`delete`] |
//! | causes of failed events | [`failure`] |
//! | response | [`respond`] |
//! | log | [`logging`] |
//! | from an event of CloudFormation to its response | [`handler`] |
//! | from a direct event to the function's result | [`direct`] |
//! | lists and reports of a refresh workflow | [`refresh`] |

mod catch;
mod clients;
mod context;
mod copy;
mod deadline;
mod delete;
mod direct;
mod event_state;
mod failure;
mod handler;
mod input;
mod invocation;
mod logging;
#[cfg(test)]
mod model;
mod refresh;
mod respond;
mod settings;
#[cfg(test)]
mod testing;

use std::process::ExitCode;
use std::time::SystemTime;

use image_copy_aws::AwsClients;
use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use serde_json::Value;

use clients::Clients;
use invocation::{Invocation, Services};
use logging::subscriber;
use respond::delivery::ResponseSender;
use settings::Settings;

/// User-Agent of all outgoing requests.
const USER_AGENT: &str = concat!("cfn-container-image-provider/", env!("CARGO_PKG_VERSION"));

fn main() -> ExitCode {
    let settings = Settings::read(|name| std::env::var(name).ok());
    subscriber::init(settings.log_level.as_deref());
    // Connections run in separate tasks, so that TLS and hashing use both CPUs.
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    match runtime.map_err(|error| error.to_string()).and_then(|runtime| runtime.block_on(serve(settings))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error, "the function cannot start");
            ExitCode::FAILURE
        }
    }
}

/// Handles invocations until Lambda stops the process.
async fn serve(settings: Settings) -> Result<(), String> {
    let ecr = AwsClients::from_environment(clients::client_options(&settings)).await;
    let responses = ResponseSender::new(&settings.network.certificates);
    let responses = responses.map_err(|error| error.without_url().to_string())?;
    let services = &Services { clients: Clients::new(settings, ecr)?, responses };
    let handler = service_fn(|event: LambdaEvent<Value>| async move {
        let (payload, context) = event.into_parts();
        let time_left = context.deadline().duration_since(SystemTime::now()).unwrap_or_default();
        let invocation = Invocation {
            request_id: context.request_id,
            function_arn: context.invoked_function_arn,
            time_left,
        };
        handler::handle(payload, &invocation, services).await.map_err(Diagnostic::from)
    });
    lambda_runtime::run(handler).await.map_err(|error| error.to_string())
}
