//! The world that the shipped binaries are tested, shown and measured in: an emulator, the
//! function, and a stack in front of it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use aws_emulator::bucket::ResponseBucket;
use aws_emulator::lambda::{Function, FunctionSettings, LambdaApi};
use aws_emulator::stack::{Provider, Stack, StackSettings};
use aws_emulator::{BoxError, Emulator};

/// An account with the provider installed, and upstream registries around it.
pub struct World {
    /// Registries, ECR, faults and the request log.
    pub emulator: Emulator,
    /// The provider.
    pub function: Arc<Function>,
    /// Where its answers go.
    pub bucket: Arc<ResponseBucket>,
}

impl World {
    /// Starts it with a program, and settings changed as a test needs them.
    ///
    /// # Errors
    ///
    /// When the emulator does not start.
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
        emulator.add(lambda);
        Ok(Self { emulator, function, bucket })
    }

    /// Installs the same program once more, as the destination of events that the function failed.
    /// Records are lost once the caller lets go of it.
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

    /// A stack whose custom resources the function makes. Its seconds last `second`.
    pub fn stack(&self, name: &str, second: Duration) -> Stack {
        self.stack_behind(name, second, self.function.clone())
    }

    /// The same, with settings changed as a test needs them.
    pub fn stack_with(&self, name: &str, second: Duration, change: impl FnOnce(&mut StackSettings)) -> Stack {
        let mut settings = StackSettings { second, ..StackSettings::of(name, &self.function) };
        change(&mut settings);
        Stack::new(settings, self.function.clone(), self.bucket.clone())
    }

    /// A stack whose events go through somebody else's hands first.
    pub fn stack_behind(&self, name: &str, second: Duration, provider: Arc<dyn Provider>) -> Stack {
        let settings = StackSettings { second, ..StackSettings::of(name, &self.function) };
        Stack::new(settings, provider, self.bucket.clone())
    }
}

/// Finds the provider's program: what `BOOTSTRAP` names, or what was built beside this one.
///
/// # Errors
///
/// When there is none; the text says what to do.
pub fn bootstrap() -> Result<PathBuf, String> {
    program("BOOTSTRAP", "bootstrap", "cfn-container-image-provider")
}

/// Finds the command line: what `CONTAINER_IMAGE` names, or what was built beside this program.
///
/// # Errors
///
/// When there is none; the text says what to do.
pub fn container_image() -> Result<PathBuf, String> {
    program("CONTAINER_IMAGE", "container-image", "container-image")
}

fn program(variable: &str, name: &str, package: &str) -> Result<PathBuf, String> {
    if let Some(path) = std::env::var_os(variable) {
        return Ok(PathBuf::from(path));
    }
    let this = std::env::current_exe().map_err(|error| error.to_string())?;
    // Tests lie one folder deeper, in `deps`.
    let folders = this.ancestors().skip(1).take(2);
    let found = folders.map(|folder| folder.join(name)).find(|path| path.is_file());
    found.ok_or_else(|| {
        format!("no {name} beside {}: build it with `cargo build -p {package}`", this.display())
    })
}
