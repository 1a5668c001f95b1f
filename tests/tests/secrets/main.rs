//! Logs and responses of the function contain no secrets, even with the most detailed log level.

#![expect(clippy::unwrap_used, reason = "a failed setup ends the test")]

#[path = "../common/mod.rs"]
mod common;
mod credentials;
mod search;
mod traffic;

use aws_emulator::Mutability;
use aws_emulator::lambda::FunctionSettings;

use common::{Account, index};

/// Returns an account whose function logs everything.
async fn account() -> Account {
    account_with(|_| {}).await
}

/// Returns the same account with changed settings.
async fn account_with(change: impl FnOnce(&mut FunctionSettings)) -> Account {
    let account = Account::with(Mutability::Mutable, |settings| {
        for name in ["RUST_LOG", "AWS_LAMBDA_LOG_LEVEL"] {
            settings.environment.push((name.into(), "TRACE".into()));
        }
        change(settings);
    })
    .await;
    account.publish("3.13", &index(1));
    account
}
