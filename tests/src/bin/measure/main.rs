//! Measures the cost of a cold start, the peak memory for images of different shapes, and the peak memory for
//! hostile inputs, which also include the command line.
//!
//! A start ends with the first call of the Runtime API. Memory is `VmHWM` after each copy. Each shape and
//! each input has its own process. The program fails if a value exceeds its limit, or if the shapes differ by
//! more than streaming can explain.
//!
//! With an argument, only the shapes and hostile inputs are measured whose name contains it.

mod cases;
mod command_line;
mod hostile;
mod responses;
mod server;
mod store;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use aws_emulator::bucket::Status;
use aws_emulator::stack::CallOutcome;
use aws_emulator::{BoxError, ImageBuilder, Mutability};
use end_to_end::{World, bootstrap};
use serde_json::json;

const MIB: u64 = 1024 * 1024;

/// Number of starts for the median.
const STARTS: usize = 15;

/// Maximum median of the CPU time of a start.
const START_BOUND: Duration = Duration::from_millis(40);

/// Maximum peak memory of a copy, in bytes.
const BOUND: u64 = 32 * MIB;

/// Maximum peak memory of a copy whose lines create a file of 1 MB, in bytes. The event, the lines, the layer and eight
/// configs are in memory.
const CUSTOMIZED_BOUND: u64 = 48 * MIB;

/// Maximum difference of the shapes, in bytes. The state per blob is small and contains no content.
const SPREAD: u64 = 6 * MIB;

/// Platforms of the largest official images.
const EIGHT: [&str; 8] = [
    "linux/amd64",
    "linux/arm/v5",
    "linux/arm/v7",
    "linux/arm64/v8",
    "linux/386",
    "linux/ppc64le",
    "linux/riscv64",
    "linux/s390x",
];

#[tokio::main]
async fn main() -> ExitCode {
    let filter = std::env::args().nth(1).unwrap_or_default();
    let start = match filter.as_str() {
        "" => measure_start().await,
        _ => Ok(Duration::ZERO),
    };
    let start = match start {
        Ok(start) => start,
        Err(error) => return failed("start", &error),
    };
    let many = vec![MIB / 16; 300];
    let one = &["linux/amd64"][..];
    let mut peaks = Vec::new();
    for (name, layers) in [
        ("1 layer of 64 MiB", vec![64 * MIB]),
        ("1 layer of 1 GiB", vec![1024 * MIB]),
        ("300 layers of 64 KiB", many),
    ] {
        if name.contains(&filter) {
            match measure(name, one, &layers, "").await {
                Ok(peak) => peaks.push(peak),
                Err(error) => return failed(name, &error),
            }
        }
    }
    let name = "8 platforms, customized";
    // About the largest layer that lines can create.
    let lines = format!("ENV A=1\nCOPY <<EOF /a\n{}\nEOF", "x".repeat(1_000_000));
    let mut customized = 0;
    if name.contains(&filter) {
        customized = match measure(name, &EIGHT, &[8 * MIB], &lines).await {
            Ok(peak) => peak,
            Err(error) => return failed(name, &error),
        };
    }
    let highest = peaks.iter().max().copied().unwrap_or_default();
    let spread = highest - peaks.iter().min().copied().unwrap_or_default();
    println!(
        "highest {:.1} MiB (limit {:.0}), spread {:.1} MiB (limit {:.0}), customized {:.1} MiB (limit {:.0})",
        mib(highest),
        mib(BOUND),
        mib(spread),
        mib(SPREAD),
        mib(customized),
        mib(CUSTOMIZED_BOUND)
    );
    if start > START_BOUND || highest > BOUND || spread > SPREAD || customized > CUSTOMIZED_BOUND {
        eprintln!("measure: a value exceeds its limit");
        return ExitCode::FAILURE;
    }
    measure_hostile(&filter).await
}

fn failed(name: &str, error: &BoxError) -> ExitCode {
    eprintln!("measure: {name}: {error}");
    ExitCode::FAILURE
}

async fn measure_hostile(filter: &str) -> ExitCode {
    match hostile::measure_all(filter).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            eprintln!("measure: a hostile input exceeds its limit");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("measure: hostile inputs: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Starts new processes one after the other. Prints and returns the median CPU time until the first call of
/// the Runtime API.
async fn measure_start() -> Result<Duration, BoxError> {
    let world = World::start(bootstrap()?, |settings| {
        settings.max_retries = 0;
        // Reads this machine's certificates, as in Lambda. The emulator's file has only one.
        settings.environment.retain(|(name, _)| name != "SSL_CERT_FILE");
    })
    .await?;
    for _ in 0..STARTS {
        world.function.discard_idle();
        // Without a response URL, the event has no effect.
        world.function.invoke_async(json!({}));
        if !world.function.wait_until_idle(Duration::from_secs(30)).await {
            return Err("an invocation did not end".into());
        }
    }
    let sandboxes = world.function.sandboxes();
    let cpu: Vec<_> = sandboxes.iter().filter_map(|sandbox| sandbox.init_cpu).collect();
    let wall: Vec<_> = sandboxes.iter().filter_map(|sandbox| sandbox.init).collect();
    if cpu.len() != STARTS {
        return Err(format!("expected {STARTS} processes to request an event, got {}", cpu.len()).into());
    }
    let (cpu, wall) = (median(cpu), median(wall));
    println!(
        "start until first poll {:5.1} ms CPU time (limit {}), {:.1} ms wall-clock time; medians of {STARTS}",
        cpu.as_secs_f64() * 1e3,
        START_BOUND.as_millis(),
        wall.as_secs_f64() * 1e3
    );
    Ok(cpu)
}

/// Returns the median.
fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

/// Copies an image whose platforms have these layers in a new process, with the lines of `Customize`. Prints and
/// returns its peak memory in bytes.
async fn measure(name: &str, platforms: &[&str], layers: &[u64], lines: &str) -> Result<u64, BoxError> {
    let world = World::start(bootstrap()?, |settings| settings.timeout = Duration::from_secs(300)).await?;
    let arn = world.emulator.repository_arn("measured");
    let repository = world.emulator.ecr().create_repository(&arn, Mutability::Mutable);
    let image = ImageBuilder::new(1).platforms(platforms).layers(layers).index();
    world.emulator.docker_hub().put_image("library/measured", "1", &image);
    let stack = world.stack("measured", Duration::from_millis(100));
    let started = Instant::now();
    let call = stack
        .send(json!({
            "RequestType": "Create",
            "ResourceType": "Custom::ContainerImage",
            "ResourceProperties": {"ImageReference": "measured:1", "RepositoryArn": arn, "Platform": "all",
                "Customize": lines},
        }))
        .await;
    let took = started.elapsed();
    match &call.outcome {
        CallOutcome::Responded(response) if response.status == Status::Success => {}
        end => return Err(format!("the copy did not succeed: {end:?}").into()),
    }
    let is_same = repository.resolve("1").map(|digest| digest == image.digest());
    if is_same != Some(lines.is_empty()) {
        return Err("the tag does not name the copy".into());
    }
    let sandboxes = world.function.sandboxes();
    let [sandbox] = sandboxes.as_slice() else { return Err("expected exactly one process".into()) };
    let peak = sandbox.peak_memory * 1024;
    println!("{name:24} {:5.1} MiB peak memory, {:5.1} s", mib(peak), took.as_secs_f64());
    Ok(peak)
}

#[expect(clippy::cast_precision_loss, reason = "one decimal is shown")]
fn mib(bytes: u64) -> f64 {
    bytes as f64 / MIB as f64
}
