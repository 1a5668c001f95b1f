//! A sandbox: one process of the program with its Runtime API.

use std::io;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use tokio::process::{Child, Command};
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::AbortHandle;
use tokio::time::timeout;

use super::output::Output;
use super::runtime_api::{NextInvocation, RuntimeApi, RuntimeCall};
use super::settings::FunctionSettings;

/// State of a sandbox.
#[derive(Clone, Debug, Default)]
pub struct SandboxInfo {
    /// Process ID.
    pub pid: u32,
    /// Time from the start of the process until it requested its first event.
    pub init: Option<Duration>,
    /// CPU time until then.
    pub init_cpu: Option<Duration>,
    /// Peak resident memory in KiB (`VmHWM`).
    pub peak_memory: u64,
    /// Number of events received.
    pub invocations: usize,
    /// Exit status of a process that has ended.
    pub exit: Option<String>,
}

/// Outcome of an attempt at an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Response of the function.
    Response(String),
    /// Error of the function.
    Error(String),
    /// The process was killed at the timeout.
    Timeout,
    /// The process ended with this status or signal.
    Crash(String),
}

impl Outcome {
    /// Returns true if the event needs no retry.
    pub fn is_success(&self) -> bool {
        matches!(self, Self::Response(_))
    }
}

/// Handle on a sandbox that remains in the function's list after the sandbox has ended.
pub(super) struct SandboxHandle {
    info: Mutex<SandboxInfo>,
    kill: Notify,
}

impl SandboxHandle {
    /// Returns the state. Updates the peak memory while the process runs.
    pub(super) fn info(&self) -> SandboxInfo {
        let mut info = self.info.lock().unwrap_or_else(PoisonError::into_inner);
        if info.exit.is_none()
            && let Some(peak) = peak_memory(info.pid)
        {
            info.peak_memory = info.peak_memory.max(peak);
        }
        info.clone()
    }

    /// Kills the process.
    pub(super) fn kill(&self) {
        self.kill.notify_one();
    }

    /// Stops the process with SIGSTOP.
    pub(super) fn freeze(&self) -> bool {
        let pid = i32::try_from(self.info().pid).ok().and_then(rustix::process::Pid::from_raw);
        pid.is_some_and(|pid| rustix::process::kill_process(pid, rustix::process::Signal::STOP).is_ok())
    }

    fn update(&self, change: impl FnOnce(&mut SandboxInfo)) {
        change(&mut self.info.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// A running sandbox. Dropping it kills the process.
pub(super) struct Sandbox {
    pub(super) handle: Arc<SandboxHandle>,
    api: RuntimeApi,
    calls: mpsc::UnboundedReceiver<RuntimeCall>,
    exit: watch::Receiver<Option<String>>,
    monitor: AbortHandle,
    started: Instant,
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.handle.info();
        // The monitor owns the process. Aborting it kills the process.
        self.monitor.abort();
        self.handle.update(|info| {
            info.exit.get_or_insert_with(|| "signal: killed".to_owned());
        });
    }
}

impl Sandbox {
    /// Starts a process.
    pub(super) async fn start(
        settings: &FunctionSettings,
        output: &Arc<Output>,
        on_rejected: impl Fn(String) + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let (sender, calls) = mpsc::unbounded_channel();
        let api = RuntimeApi::open(sender, on_rejected).await?;
        let started = Instant::now();
        let mut child = Command::new(&settings.binary)
            .env_clear()
            .envs(settings.sandbox_environment(&api.address()))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        // The pipes and these tasks end with the process.
        if let Some(stdout) = child.stdout.take() {
            tokio::spawn(Arc::clone(output).capture(stdout));
        }
        if let Some(stderr) = child.stderr.take() {
            tokio::spawn(Arc::clone(output).capture(stderr));
        }
        let info = SandboxInfo { pid: child.id().unwrap_or_default(), ..SandboxInfo::default() };
        let handle = Arc::new(SandboxHandle { info: Mutex::new(info), kill: Notify::new() });
        let (exited, exit) = watch::channel(None);
        let monitor = tokio::spawn(monitor(child, Arc::clone(&handle), exited)).abort_handle();
        Ok(Self { handle, api, calls, exit, monitor, started })
    }

    /// Waits until the program requests an event.
    ///
    /// # Errors
    ///
    /// Returns the outcome if the program fails before that.
    pub(super) async fn wait_until_ready(&mut self, limit: Duration) -> Result<(), Outcome> {
        match timeout(limit, self.next_call()).await {
            Ok(Ok(RuntimeCall::Next)) => {
                let init = self.started.elapsed();
                self.handle.update(|info| {
                    if info.init.is_none() {
                        info.init = Some(init);
                        info.init_cpu = cpu_time(info.pid);
                    }
                });
                Ok(())
            }
            Ok(Ok(RuntimeCall::Error(body))) => Err(Outcome::Error(lossy_text(&body))),
            Ok(Ok(RuntimeCall::Response(_))) => {
                Err(Outcome::Crash("sent a response before it requested an event".to_owned()))
            }
            Ok(Err(status)) => Err(Outcome::Crash(status)),
            Err(_) => Err(Outcome::Timeout),
        }
    }

    /// Sends an event to a ready program, and waits for the outcome.
    pub(super) async fn run(&mut self, mut invocation: NextInvocation, limit: Duration) -> Outcome {
        self.handle.update(|info| info.invocations += 1);
        invocation.deadline = SystemTime::now() + limit;
        self.api.deliver(invocation);
        let outcome = match timeout(limit, self.next_call()).await {
            Ok(Ok(RuntimeCall::Response(body))) => Outcome::Response(lossy_text(&body)),
            Ok(Ok(RuntimeCall::Error(body))) => Outcome::Error(lossy_text(&body)),
            Ok(Ok(RuntimeCall::Next)) => {
                Outcome::Crash("requested the next event before it sent a response".to_owned())
            }
            Ok(Err(status)) => Outcome::Crash(status),
            Err(_) => Outcome::Timeout,
        };
        self.handle.info();
        outcome
    }

    /// Waits for the program's next call. `Err` is its exit status.
    async fn next_call(&mut self) -> Result<RuntimeCall, String> {
        let Self { calls, exit, .. } = self;
        tokio::select! {
            // A call before the exit counts.
            biased;
            Some(call) = calls.recv() => Ok(call),
            ended = exit.wait_for(Option::is_some) => {
                Err(ended.ok().and_then(|status| status.clone()).unwrap_or_default())
            }
        }
    }
}

/// Waits until the process ends or is killed.
async fn monitor(mut child: Child, handle: Arc<SandboxHandle>, exited: watch::Sender<Option<String>>) {
    let status = tokio::select! {
        status = child.wait() => status,
        () = handle.kill.notified() => {
            handle.info();
            // If the process has already ended, killing fails and `wait` returns its status.
            let _ = child.start_kill();
            child.wait().await
        }
    };
    let status = status.map_or_else(|error| error.to_string(), format_exit_status);
    handle.update(|info| info.exit = Some(status.clone()));
    exited.send_replace(Some(status));
}

/// Formats an exit status as Lambda does.
fn format_exit_status(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(9)) => "signal: killed".to_owned(),
        (None, signal) => format!("signal: {}", signal.unwrap_or_default()),
    }
}

fn lossy_text(body: &Bytes) -> String {
    String::from_utf8_lossy(body).into_owned()
}

/// Returns the peak resident memory in KiB.
fn peak_memory(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches("kB").trim().parse().ok()
}

/// Returns the CPU time of a process's current threads. `stat` also counts ended threads, but only in steps
/// of 10 ms.
fn cpu_time(pid: u32) -> Option<Duration> {
    let mut nanoseconds = 0;
    for thread in std::fs::read_dir(format!("/proc/{pid}/task")).ok()? {
        let text = std::fs::read_to_string(thread.ok()?.path().join("schedstat")).ok()?;
        nanoseconds += text.split(' ').next()?.parse::<u64>().ok()?;
    }
    Some(Duration::from_nanos(nanoseconds))
}
