//! Signals that end the program.

use crate::report::Signal;

/// Completes on Ctrl-C or SIGTERM. If no handler can be installed, it never completes, and the signal ends
/// the program directly.
pub(crate) async fn wait_for_signal() -> Signal {
    let interrupt = async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        () = interrupt => Signal::Interrupt,
        () = terminated() => Signal::Terminate,
    }
}

#[cfg(unix)]
async fn terminated() {
    use tokio::signal::unix::{SignalKind, signal};
    let received = match signal(SignalKind::terminate()) {
        Ok(mut signals) => signals.recv().await,
        Err(_) => None,
    };
    if received.is_none() {
        std::future::pending::<()>().await;
    }
}

#[cfg(not(unix))]
async fn terminated() {
    std::future::pending::<()>().await;
}
