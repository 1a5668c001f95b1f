//! Direct events: invocations without CloudFormation.

use aws_emulator::lambda::Outcome;
use serde_json::Value;

use super::Account;

/// Invokes the function. Returns its result, or its error type and message.
pub(crate) async fn invoke(account: &Account, event: Value) -> Result<Value, (String, String)> {
    let parse = |body: &str| serde_json::from_str::<Value>(body).unwrap();
    match account.world.function.invoke_sync(&event).await {
        Outcome::Response(body) => Ok(parse(&body)),
        Outcome::Error(body) => {
            let error = parse(&body);
            let text = |name: &str| error[name].as_str().unwrap().to_owned();
            Err((text("errorType"), text("errorMessage")))
        }
        other => panic!("{other:?}"),
    }
}

/// Returns an event for an image of Docker Hub's `library/python`, with other keys.
pub(crate) fn event(account: &Account, image: &str, other: &Value) -> Value {
    let mut event = account.properties(image);
    event.as_object_mut().unwrap().extend(other.as_object().unwrap().clone());
    event
}
