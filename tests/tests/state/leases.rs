//! Two stacks that change one tag at the same time: one waits for the lease of the other.

use std::sync::Arc;
use std::time::Duration;

use aws_emulator::stack::{OperationReport, Stack, StackStatus, Template};
use aws_emulator::{Effect, Fault, Image};

use crate::common::{Account, index};

/// Minimum duration of a lease. It is longer than an event needs to read the item.
const HELD: Effect = Effect::Delay { ms: 3000 };

struct Stacks {
    account: Account,
    images: [Image; 2],
    one: Arc<Stack>,
    two: Arc<Stack>,
}

impl Stacks {
    async fn new() -> Self {
        let account = Account::new().await;
        let images = [index(1), index(2)];
        for image in &images {
            account.publish("3.13", image);
        }
        let stack = |name: &str| account.world.stack(name, Duration::from_millis(25));
        let (one, two) = (stack("one"), stack("two"));
        Self { account, images, one, two }
    }

    fn template(&self, number: usize) -> Template {
        let reference = format!("python:3.13@{}", self.images[number].digest());
        Template::new().image("Python", self.account.properties(&reference))
    }

    /// Delays an operation, so that its event holds the lease longer.
    fn delay(&self, operation: &str) {
        self.account.world.emulator.faults().clear();
        self.account.world.emulator.faults().add(Fault::on(operation, HELD));
    }

    /// Runs two events concurrently. Checks that both succeed, and that one waited for the other's lease.
    async fn check_concurrent(
        &self,
        one: impl Future<Output = OperationReport>,
        two: impl Future<Output = OperationReport>,
        expected: [StackStatus; 2],
    ) {
        let mark = self.account.mark();
        let (one, two) = tokio::join!(one, two);
        assert_eq!(one.status, expected[0], "{:?}", one.failures());
        assert_eq!(two.status, expected[1], "{:?}", two.failures());
        let reads = self.account.world.emulator.log().count(mark, "dynamodb:GetItem");
        assert!(reads > 2, "{reads} reads: neither event waited for the other");
    }

    fn owners(&self) -> Vec<String> {
        self.account.owners()
    }

    fn check_empty(&self) {
        assert_eq!(self.account.repository.images(), Vec::<String>::new());
        assert_eq!(self.owners(), Vec::<String>::new());
    }
}

#[tokio::test]
async fn concurrent_creates_and_deletes_succeed() {
    use StackStatus::{CreateComplete, DeleteComplete};
    for second in [0, 1] {
        let stacks = Stacks::new().await;
        let Stacks { one, two, account, images } = &stacks;
        let templates = [stacks.template(0), stacks.template(second)];
        account.world.emulator.faults().add(Fault::on("manifest.put", HELD).path("/manifests/3.13"));
        let creates = (one.create(&templates[0]), two.create(&templates[1]));
        stacks.check_concurrent(creates.0, creates.1, [CreateComplete; 2]).await;
        let named = account.repository.resolve("3.13").unwrap();
        assert!([images[0].digest(), images[second].digest()].contains(&named.as_str()), "{named}");
        assert_eq!(account.repository.integrity_errors("3.13"), Vec::<String>::new());
        let mut owners = [one, two].map(|stack| format!("{}/Python", stack.id()));
        owners.sort();
        assert_eq!(stacks.owners(), owners);
        stacks.delay("ecr:BatchGetImage");
        stacks.check_concurrent(one.delete(), two.delete(), [DeleteComplete; 2]).await;
        stacks.check_empty();
    }
}

#[tokio::test]
async fn a_create_during_the_delete_of_the_last_owner_keeps_its_image() {
    use StackStatus::{CreateComplete, DeleteComplete};
    let stacks = Stacks::new().await;
    let Stacks { one, two, account, images } = &stacks;
    let template = stacks.template(0);
    let created = one.create(&template).await;
    assert_eq!(created.status, CreateComplete, "{:?}", created.failures());
    stacks.delay("ecr:BatchDeleteImage");
    let create = async {
        let mark = account.mark();
        while account.world.emulator.log().count(mark, "ecr:BatchDeleteImage") == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        two.create(&template).await
    };
    stacks.check_concurrent(one.delete(), create, [DeleteComplete, CreateComplete]).await;
    account.check_stored("3.13", &images[0]);
    assert_eq!(stacks.owners(), [format!("{}/Python", two.id())]);
    account.world.emulator.faults().clear();
    let deleted = two.delete().await;
    assert_eq!(deleted.status, DeleteComplete, "{:?}", deleted.failures());
    stacks.check_empty();
}
