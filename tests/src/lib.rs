//! Test environment for the shipped binaries: an emulator, the function, and stacks that use it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use aws_emulator::bucket::ResponseBucket;
use aws_emulator::lambda::{Function, FunctionSettings, LambdaApi};
use aws_emulator::stack::{Provider, Stack, StackSettings};
use aws_emulator::{BoxError, Emulator};

/// An emulated account with the provider, and the source registries.
pub struct World {
    /// Registries, ECR, faults and the request log.
    pub emulator: Emulator,
    /// The provider.
    pub function: Arc<Function>,
    /// The bucket that receives its responses.
    pub bucket: Arc<ResponseBucket>,
    /// The API that invokes the provider and describes its settings.
    pub lambda: Arc<LambdaApi>,
}

impl World {
    /// Starts the emulator and a function with this program. `change` changes the function's settings.
    ///
    /// # Errors
    ///
    /// Fails if the emulator does not start.
    pub async fn start(
        program: PathBuf,
        change: impl FnOnce(&mut FunctionSettings),
    ) -> Result<Self, BoxError> {
        let emulator = Emulator::start().await?;
        let region = emulator.settings().region.clone();
        let bucket = ResponseBucket::new(&region);
        emulator.add(bucket.clone());
        let mut settings = FunctionSettings::new("cfn-container-image-provider", program);
        settings.account = emulator.settings().account.clone();
        settings.region = region.clone();
        settings.environment = emulator.environment();
        change(&mut settings);
        let function = Function::new(settings);
        let lambda = LambdaApi::new(&region);
        lambda.add(&function);
        emulator.add(lambda.clone());
        Ok(Self { emulator, function, bucket, lambda })
    }

    /// Installs the same program a second time, as the destination of failed events. The caller must keep the
    /// returned function, because records are lost after it is dropped.
    pub fn watchdog(&self, change: impl FnOnce(&mut FunctionSettings)) -> Arc<Function> {
        let mut settings = self.function.settings().clone();
        settings.name += "-watchdog";
        settings.environment = self.emulator.environment();
        settings.timeout = Duration::from_secs(30);
        change(&mut settings);
        let watchdog = Function::new(settings);
        self.function.on_failure_invoke(&watchdog);
        watchdog
    }

    /// Returns a stack whose custom resources use the function. `second` is the duration of one second of its
    /// timeout.
    pub fn stack(&self, name: &str, second: Duration) -> Arc<Stack> {
        self.stack_behind(name, second, self.function.clone())
    }

    /// Returns the same stack with changed settings.
    pub fn stack_with(
        &self,
        name: &str,
        second: Duration,
        change: impl FnOnce(&mut StackSettings),
    ) -> Arc<Stack> {
        let mut settings =
            StackSettings { simulated_second: second, ..StackSettings::for_function(name, &self.function) };
        change(&mut settings);
        self.add_stack(settings, self.function.clone())
    }

    /// Returns a stack that sends its events to `provider`.
    pub fn stack_behind(&self, name: &str, second: Duration, provider: Arc<dyn Provider>) -> Arc<Stack> {
        let settings =
            StackSettings { simulated_second: second, ..StackSettings::for_function(name, &self.function) };
        self.add_stack(settings, provider)
    }

    fn add_stack(&self, settings: StackSettings, provider: Arc<dyn Provider>) -> Arc<Stack> {
        let stack =
            Arc::new(Stack::new(settings, provider, self.bucket.clone()).with_ecr(self.emulator.ecr()));
        self.emulator.cloudformation().add(&stack);
        stack
    }
}

/// Returns the path of the provider's program: the value of `BOOTSTRAP`, or a program in this one's folder.
///
/// # Errors
///
/// Fails if the program does not exist.
pub fn bootstrap() -> Result<PathBuf, String> {
    program("BOOTSTRAP", "bootstrap", "cfn-container-image-provider")
}

/// Returns the path of the command line: the value of `CONTAINER_IMAGE`, or a program in this one's folder.
///
/// # Errors
///
/// Fails if the program does not exist.
pub fn container_image() -> Result<PathBuf, String> {
    program("CONTAINER_IMAGE", "container-image", "container-image")
}

fn program(variable: &str, name: &str, package: &str) -> Result<PathBuf, String> {
    if let Some(path) = std::env::var_os(variable) {
        return Ok(PathBuf::from(path));
    }
    let this = std::env::current_exe().map_err(|error| error.to_string())?;
    // Tests are one folder deeper, in `deps`.
    let folders = this.ancestors().skip(1).take(2);
    let found = folders.map(|folder| folder.join(name)).find(|path| path.is_file());
    found.ok_or_else(|| {
        format!("{name} was not found next to {}; run `cargo build -p {package}`", this.display())
    })
}
