//! Runs the emulator for a shell.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use aws_emulator::{BoxError, Emulator, ImageBuilder, Mutability, Profile, Settings};
use clap::{Parser, Subcommand};

/// Emulates AWS and upstream registries on this machine.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Start, print the environment variables to export, and serve until Ctrl-C.
    Serve(Serve),
}

#[derive(clap::Args)]
struct Serve {
    /// Address of the proxy.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Region of the printed environment variables.
    #[arg(long, default_value = "eu-west-1")]
    region: String,
    /// File with a JSON list of faults.
    #[arg(long, value_name = "FILE")]
    faults: Option<PathBuf>,
    /// Upstream image to generate, as host/repository:tag. Can be repeated.
    #[arg(long = "image", value_name = "REFERENCE", default_value = "docker.io/library/python:3.13")]
    images: Vec<String>,
    /// Sizes in bytes of the layers of these images. Without it, each image has two small layers with real
    /// archives.
    #[arg(long, value_name = "BYTES", value_delimiter = ',')]
    layers: Vec<u64>,
    /// ECR repository to create. Can be repeated.
    #[arg(long = "repository", value_name = "ARN")]
    repositories: Vec<String>,
    /// Seconds after which the emulator stops.
    #[arg(long = "for", value_name = "SECONDS")]
    seconds: Option<u64>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let Command::Serve(arguments) = Arguments::parse().command;
    match serve(arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("aws-emulator: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(arguments: Serve) -> Result<(), BoxError> {
    let settings =
        Settings { listen: arguments.listen, region: arguments.region.clone(), ..Settings::default() };
    let emulator = Emulator::start_with(settings).await?;
    if let Some(file) = &arguments.faults {
        let text = std::fs::read_to_string(file).map_err(|e| format!("{}: {e}", file.display()))?;
        emulator.faults().load(&text).map_err(|e| format!("{}: {e}", file.display()))?;
    }
    for (seed, reference) in (1..).zip(&arguments.images) {
        put_image(&emulator, seed, reference, &arguments.layers)?;
    }
    for arn in &arguments.repositories {
        emulator.ecr().try_create_repository(arn, Mutability::Mutable)?;
    }
    for (name, value) in emulator.environment() {
        println!("export {name}='{value}'");
    }
    let stop = async {
        match arguments.seconds {
            Some(seconds) => tokio::time::sleep(Duration::from_secs(seconds)).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = stop => {}
        interrupted = tokio::signal::ctrl_c() => interrupted?,
    }
    eprint!("{}", emulator.log().text(emulator.log().start()));
    Ok(())
}

/// Generates an image. A host other than Docker Hub becomes a registry with bearer authentication.
fn put_image(emulator: &Emulator, seed: u64, reference: &str, layers: &[u64]) -> Result<(), BoxError> {
    let expected = || format!("{reference}: expected host/repository:tag");
    let (host, rest) = reference.split_once('/').ok_or_else(expected)?;
    let (repository, tag) = rest.split_once(':').ok_or_else(expected)?;
    let registry = match host {
        "docker.io" => std::sync::Arc::clone(emulator.docker_hub()),
        host => emulator.upstream(host).unwrap_or_else(|| emulator.add_upstream(Profile::bearer(host))),
    };
    let builder = ImageBuilder::new(seed).attestations();
    let builder = if layers.is_empty() { builder } else { builder.layers(layers) };
    let image = builder.index();
    registry.put_image(repository, tag, &image);
    eprintln!("{reference}@{}", image.digest());
    Ok(())
}
