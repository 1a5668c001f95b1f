//! Shows the product doing its job, and checks everything that it shows.
//!
//! An emulated CloudFormation creates a stack, updates it, rolls it back and deletes it; the
//! provider's real program copies images from an emulated Docker Hub into an emulated ECR.
//! `DEMO_BREAK=digest|tag|answer` spoils one thing, which the checks must then notice.

mod checks;
mod defect;
mod output;

use std::process::ExitCode;
use std::time::Duration;

use aws_emulator::stack::{Stack, StackStatus, Template, Transcript};
use aws_emulator::{BoxError, Image, Mutability, Recipe, Repository, Switch};
use end_to_end::World;
use serde_json::json;

use checks::Checks;
use defect::Sabotage;

/// The tag that the stack is about.
const TAG: &str = "3.13";
/// How long a second of CloudFormation's patience lasts, so that waiting in vain ends soon.
const SECOND: Duration = Duration::from_millis(50);
/// The stack's patience in its own seconds.
const SERVICE_TIMEOUT: u32 = 300;

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(problems) if problems.is_empty() => {
            println!("\nEverything shown above was checked.");
            ExitCode::SUCCESS
        }
        Ok(problems) => {
            println!("\nSomething is off:");
            for problem in problems {
                println!("  {problem}");
            }
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("demo: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Everything that the steps share.
struct Demo {
    world: World,
    repository: Repository,
    sabotage: Sabotage,
    checks: Checks,
}

/// Plays the stack's life; gives what was off.
async fn run() -> Result<Vec<String>, BoxError> {
    let sabotage = Sabotage::from_environment()?;
    // An image of tens of megabytes is copied in seconds; a minute leaves room for slow machines.
    let world = World::start(end_to_end::bootstrap()?, |settings| {
        settings.timeout = Duration::from_secs(60);
        settings.environment.push(("DEFAULT_PLATFORM".to_owned(), "all".to_owned()));
    })
    .await?;
    let arn = world.emulator.repository_arn("python");
    let repository = world.emulator.ecr().create_repository(&arn, Mutability::Mutable);
    sabotage.prepare(&world);
    let stack = world.stack_behind("shop", SECOND, sabotage.provider(&world));
    let mut demo = Demo { world, repository, sabotage, checks: Checks::default() };
    let [first, second, third] = [1, 2, 3].map(image);

    output::opening(&demo.repository);
    demo.publish(&first);
    demo.step(
        "CREATE the stack, with python:3.13 pinned to a digest",
        StackStatus::CreateComplete,
        &first,
        async |template| stack.create(&template).await,
    )
    .await;
    // CloudFormation updates no stack whose creation was rolled back: the story ends here.
    if stack.status() != StackStatus::CreateComplete {
        return Ok(demo.checks.into_problems());
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
    demo.world.emulator.docker_hub().switch(Switch::Off);
    demo.failing_update(&stack, &third, &second).await;
    demo.deletion(&stack).await;
    Ok(demo.checks.into_problems())
}

impl Demo {
    /// Puts an image upstream under the tag.
    fn publish(&self, image: &Image) {
        self.world.emulator.docker_hub().put_image("library/python", TAG, image);
    }

    /// A step that copies an image.
    async fn step(
        &mut self,
        title: &str,
        status: StackStatus,
        image: &Image,
        play: impl AsyncFnOnce(Template) -> Transcript,
    ) {
        output::heading(title);
        let mark = self.world.emulator.log().mark();
        let transcript = play(self.template(image)).await;
        self.sabotage.spoil(&self.repository);
        output::account(&transcript, self.world.emulator.log(), mark);
        self.checks.status(&transcript, status);
        self.checks.answers(&transcript);
        self.checks.copied(&self.repository, TAG, image);
        self.checks.attributes(&transcript, &self.repository, TAG, image);
    }

    /// An update that cannot reach Docker Hub, and the rollback from it.
    async fn failing_update(&mut self, stack: &Stack, wanted: &Image, before: &Image) {
        output::heading(
            "UPDATE to a third digest while Docker Hub is down: it fails, and CloudFormation rolls back",
        );
        let mark = self.world.emulator.log().mark();
        let transcript = stack.update(&self.template(wanted)).await;
        output::account(&transcript, self.world.emulator.log(), mark);
        self.checks.status(&transcript, StackStatus::UpdateRollbackComplete);
        self.checks.answers(&transcript);
        self.checks.copied(&self.repository, TAG, before);
    }

    /// The deletion of the stack.
    async fn deletion(&mut self, stack: &Stack) {
        output::heading("DELETE the stack, Docker Hub still down");
        let mark = self.world.emulator.log().mark();
        let transcript = stack.delete().await;
        output::account(&transcript, self.world.emulator.log(), mark);
        self.checks.status(&transcript, StackStatus::DeleteComplete);
        self.checks.answers(&transcript);
        let named = self.repository.resolve(TAG);
        self.checks.that(named.is_none(), || format!("ECR still has the tag {TAG} after the deletion"));
        let images = self.repository.images();
        self.checks.that(images.is_empty(), || format!("ECR still has {images:?} after the deletion"));
        let defects = self.world.bucket.defects();
        self.checks.that(defects.is_empty(), || defects.join("; "));
        let refusals = self.world.function.refusals();
        self.checks.that(refusals.is_empty(), || refusals.join("; "));
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

/// An image for two platforms; another seed is another release of it.
fn image(seed: u64) -> Image {
    Recipe::new(seed).layers(&[12 << 20, 3 << 20]).attestations().index()
}
