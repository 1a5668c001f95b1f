//! Nothing that the function prints or answers holds a secret, however much it is told to print.

#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

#[path = "../common/mod.rs"]
mod common;
mod credentials;
mod search;
mod traffic;

use aws_emulator::Mutability;
use aws_emulator::lambda::FunctionSettings;

use common::{Account, index};

/// An account whose function prints all it can.
async fn account() -> Account {
    account_with(|_| {}).await
}

/// The same, with settings changed as a test needs them.
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
