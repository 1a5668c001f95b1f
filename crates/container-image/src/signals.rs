//! Signals that end the program.
//!
//! Each command waits with [`wait_for_signal`] beside its work, and prints the state that it leaves. Work that can
//! take long without I/O of tokio runs in [`blocking`], so that the command reacts. [`watch`] ends a program that
//! does not react, for example because nobody reads its output.

use std::panic::resume_unwind;
use std::process;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use tokio::sync::watch as channel;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use crate::report::{self, Signal};

/// Time in which a command must react. With the time to print, a program ends within a second.
const REACTION_TIME: Duration = Duration::from_millis(600);

/// Time in which a command that reacted must end. It can delete a clone with many files.
const CLEANUP_TIME: Duration = Duration::from_secs(10);

/// Time to print the last message. Standard error can be a pipe that nobody reads.
const PRINT_TIME: Duration = Duration::from_millis(100);

/// First signal of the process.
static RECEIVED: LazyLock<channel::Sender<Option<Signal>>> = LazyLock::new(|| channel::Sender::new(None));

/// True after a command received the signal.
static HAS_REACTED: AtomicBool = AtomicBool::new(false);

/// Completes on Ctrl-C or SIGTERM, also if the signal has already arrived.
pub(crate) async fn wait_for_signal() -> Signal {
    let mut received = RECEIVED.subscribe();
    loop {
        let signal = *received.borrow_and_update();
        if let Some(signal) = signal {
            HAS_REACTED.store(true, Ordering::Relaxed);
            return signal;
        }
        // The sender is never dropped.
        let _ = received.changed().await;
    }
}

/// Runs work on another thread, so that a signal can end the command during it. The thread then runs until the
/// process ends, so that the work must not change anything.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => resume_unwind(panic),
            // The runtime ends.
            Err(_) => std::future::pending().await,
        },
    }
}

/// Receives signals until the program ends. If no handler can be installed, a signal ends the program directly.
pub(crate) fn watch() {
    let Some(mut signals) = Signals::install() else { return };
    tokio::spawn(async move {
        let signal = signals.next().await;
        RECEIVED.send_replace(Some(signal));
        sleep(REACTION_TIME).await;
        if HAS_REACTED.load(Ordering::Relaxed) {
            sleep(CLEANUP_TIME).await;
        } else {
            let (printed, wait) = mpsc::channel();
            thread::spawn(move || {
                report::interrupted(signal, STATE);
                printed.send(())
            });
            let _ = wait.recv_timeout(PRINT_TIME);
        }
        process::exit(signal as i32);
    });
}

/// State that every command leaves, because files and tags are replaced at once.
const STATE: &str = "each file and each tag has its old or its new content";

#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn install() -> Option<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let interrupt = signal(SignalKind::interrupt()).ok()?;
        Some(Self { interrupt, terminate: signal(SignalKind::terminate()).ok()? })
    }

    async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.interrupt.recv() => Signal::Interrupt,
            _ = self.terminate.recv() => Signal::Terminate,
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn install() -> Option<Self> {
        Some(Self)
    }

    async fn next(&mut self) -> Signal {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
        Signal::Interrupt
    }
}
