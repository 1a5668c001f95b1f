//! An emulator with a function and a stack.

#![allow(dead_code, reason = "each test file uses its part")]

use std::sync::Arc;
use std::time::Duration;

use aws_emulator::Emulator;
use aws_emulator::bucket::ResponseBucket;
use aws_emulator::lambda::{Function, FunctionSettings, LambdaApi};
use aws_emulator::stack::{Stack, StackSettings};

/// Timeout of all waits, long enough for a busy machine.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(30);

pub(crate) struct StackFixture {
    pub(crate) emulator: Emulator,
    pub(crate) function: Arc<Function>,
    pub(crate) bucket: Arc<ResponseBucket>,
    pub(crate) lambda: Arc<LambdaApi>,
    pub(crate) stack: Arc<Stack>,
}

/// Creates a fixture with default settings.
pub(crate) async fn default_stack_fixture() -> StackFixture {
    stack_fixture_with(|_| {}, |_| {}).await
}

/// Creates a fixture with changed settings.
pub(crate) async fn stack_fixture_with(
    function: impl FnOnce(&mut FunctionSettings),
    stack: impl FnOnce(&mut StackSettings),
) -> StackFixture {
    let emulator = Emulator::start().await.unwrap();
    let bucket = ResponseBucket::new("eu-west-1");
    emulator.add(bucket.clone());
    let mut settings = FunctionSettings::new("provider", env!("CARGO_BIN_EXE_fake-function"));
    settings.environment = emulator.environment();
    function(&mut settings);
    let function = Function::new(settings);
    let api = LambdaApi::new("eu-west-1");
    api.add(&function);
    emulator.add(api.clone());
    let mut settings = StackSettings::for_function("shop", &function);
    stack(&mut settings);
    let stack = Arc::new(Stack::new(settings, function.clone(), bucket.clone()).with_ecr(emulator.ecr()));
    emulator.cloudformation().add(&stack);
    StackFixture { emulator, function, bucket, lambda: api, stack }
}
