//! Demonstrates the provider and checks all results.
//!
//! An emulated CloudFormation creates a stack, updates it, rolls it back and deletes it. The provider's
//! real program copies images from an emulated Docker Hub into an emulated ECR.
//! `DEMO_BREAK=digest|tag|response` injects one defect. The demo must then fail.

mod checks;
mod defect;
mod output;

use std::process::ExitCode;
use std::time::Duration;

use aws_emulator::stack::{OperationReport, Stack, StackStatus, Template};
use aws_emulator::{Availability, BoxError, Image, ImageBuilder, Mutability, Repository};
use end_to_end::World;
use serde_json::json;

use checks::Checks;
use defect::Defect;

/// Tag of the image.
const TAG: &str = "3.13";
/// Duration of one second of CloudFormation's timeout. It is short so that a missing response ends the demo
/// soon.
const SECOND: Duration = Duration::from_millis(50);
/// Timeout of the custom resource, in units of [`SECOND`].
const SERVICE_TIMEOUT: u32 = 300;

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(0) => {
            println!("\nAll checks passed: digests, tag, attributes, one response per event.");
            ExitCode::SUCCESS
        }
        Ok(failed) => {
            println!("\nThe demo failed. Number of problems: {failed}");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("demo: {error}");
            ExitCode::FAILURE
        }
    }
}

/// State shared by the steps.
struct Demo {
    world: World,
    repository: Repository,
    defect: Defect,
    checks: Checks,
}

/// Runs all steps. Returns the number of failed checks.
async fn run() -> Result<usize, BoxError> {
    let defect = Defect::from_environment()?;
    // An image of tens of megabytes is copied in seconds; a minute leaves room for slow machines.
    let world = World::start(end_to_end::bootstrap()?, |settings| {
        settings.timeout = Duration::from_secs(60);
        settings.environment.push(("DEFAULT_PLATFORM".to_owned(), "all".to_owned()));
    })
    .await?;
    let arn = world.emulator.repository_arn("python");
    let repository = world.emulator.ecr().create_repository(&arn, Mutability::Mutable);
    defect.prepare(&world);
    // No response is acceptable with this defect, so that both events of the first step time out.
    let second = if defect == Defect::Response { SECOND / 5 } else { SECOND };
    let stack = world.stack_behind("shop", second, defect.provider(&world));
    let mut demo = Demo { world, repository, defect, checks: Checks::default() };
    let [first, second, third] = [1, 2, 3].map(image);

    output::introduction(&demo.repository, defect.announcement());
    demo.publish(&first);
    demo.step(
        "CREATE the stack, with python:3.13 pinned to a digest",
        StackStatus::CreateComplete,
        &first,
        async |template| stack.create(&template).await,
    )
    .await;
    // CloudFormation cannot update a stack whose creation was rolled back.
    if stack.status() != StackStatus::CreateComplete {
        return Ok(demo.checks.failed);
    }
    demo.publish(&second);
    demo.step(
        "UPDATE it to the new digest behind python:3.13",
        StackStatus::UpdateComplete,
        &second,
        async |template| stack.update(&template).await,
    )
    .await;
    demo.publish(&third);
    demo.world.emulator.docker_hub().set_availability(Availability::ServiceUnavailable);
    demo.failing_update(&stack, &third, &second).await;
    demo.deletion(&stack).await;
    Ok(demo.checks.failed)
}

impl Demo {
    /// Stores an image under the tag in Docker Hub.
    fn publish(&self, image: &Image) {
        self.world.emulator.docker_hub().put_image("library/python", TAG, image);
    }

    /// Runs one step that copies an image, and checks its result.
    async fn step(
        &mut self,
        title: &str,
        status: StackStatus,
        image: &Image,
        operation: impl AsyncFnOnce(Template) -> OperationReport,
    ) {
        output::heading(title);
        let mark = self.world.emulator.log().mark();
        let report = operation(self.template(image)).await;
        self.defect.inject(&self.repository);
        let log = self.world.emulator.log();
        output::events(&report);
        output::copied(log, mark);
        output::result(&report, log, mark, &self.repository);
        if !self.checks.check_responses(&report) {
            return;
        }
        self.checks.check_status(&report, status);
        self.checks.check_copy(&self.repository, TAG, image);
        self.checks.check_attributes(&report, &self.repository, TAG, image);
    }

    /// Runs an update without a working Docker Hub, and its rollback.
    async fn failing_update(&mut self, stack: &Stack, new: &Image, old: &Image) {
        output::heading(
            "UPDATE to a third digest while Docker Hub is down: it fails, and CloudFormation rolls back",
        );
        let mark = self.world.emulator.log().mark();
        let report = stack.update(&self.template(new)).await;
        output::events(&report);
        output::result(&report, self.world.emulator.log(), mark, &self.repository);
        self.checks.check_status(&report, StackStatus::UpdateRollbackComplete);
        self.checks.check_responses(&report);
        // Registry errors.
        self.checks.check_code(&report, "CI-020");
        self.checks.check_copy(&self.repository, TAG, old);
    }

    /// Deletes the stack.
    async fn deletion(&mut self, stack: &Stack) {
        output::heading("DELETE the stack while Docker Hub is still down");
        let mark = self.world.emulator.log().mark();
        let before = self.repository.images().len();
        let report = stack.delete().await;
        output::events(&report);
        println!("  Deleted:   {} manifests", before - self.repository.images().len());
        output::result(&report, self.world.emulator.log(), mark, &self.repository);
        self.checks.check_status(&report, StackStatus::DeleteComplete);
        self.checks.check_responses(&report);
        let named = self.repository.resolve(TAG);
        self.checks.require(named.is_none(), || format!("ECR still has the tag {TAG} after the deletion"));
        let images = self.repository.images();
        self.checks.require(images.is_empty(), || format!("ECR still has {images:?} after the deletion"));
        let defects = self.world.bucket.defects();
        self.checks.require(defects.is_empty(), || defects.join("; "));
        let rejected = self.world.function.rejected_calls();
        self.checks.require(rejected.is_empty(), || rejected.join("; "));
    }

    fn template(&self, image: &Image) -> Template {
        let reference = format!("python:{TAG}@{}", image.digest());
        let properties = json!({
            "ImageReference": reference, "RepositoryArn": self.repository.arn(),
            "Platform": "all", "ServiceTimeout": SERVICE_TIMEOUT,
        });
        Template::new().image("Python", properties)
    }
}

/// Returns an image for two platforms. Each seed makes a different release.
fn image(seed: u64) -> Image {
    ImageBuilder::new(seed).layers(&[12 << 20, 3 << 20]).attestations().index()
}
