//! Concurrent work on resources in the order of their dependencies.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::stream::{FuturesUnordered, StreamExt};

/// The resources that each resource depends on, by logical ID.
pub(super) type Dependencies = BTreeMap<String, BTreeSet<String>>;

/// Effect of a failure on other resources.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum OnFailure {
    /// Work in progress is dropped, and no more starts.
    Cancel,
    /// Work continues.
    Continue,
}

/// Calls `work` for all resources. Returns the failures with their reasons.
///
/// # Panics
///
/// Panics if the dependencies form a circle.
pub(super) async fn run_in_order<F>(
    dependencies: &Dependencies,
    on_failure: OnFailure,
    work: impl Fn(String) -> F,
) -> BTreeMap<String, String>
where
    F: Future<Output = Result<(), String>>,
{
    let mut waiting: BTreeSet<&String> = dependencies.keys().collect();
    let mut finished = BTreeSet::new();
    let mut failed = BTreeMap::new();
    let mut running = FuturesUnordered::new();
    loop {
        let ready = |id: &&String| {
            dependencies[*id].iter().all(|need| finished.contains(need) || !dependencies.contains_key(need))
        };
        let start: Vec<&String> = waiting.iter().copied().filter(ready).collect();
        for id in start {
            waiting.remove(id);
            let run = work(id.clone());
            running.push(async move { (id, run.await) });
        }
        let Some((id, result)) = running.next().await else {
            break;
        };
        finished.insert(id);
        if let Err(reason) = result {
            failed.insert(id.clone(), reason);
            if on_failure == OnFailure::Cancel {
                return failed;
            }
        }
    }
    assert!(waiting.is_empty(), "Circular dependency between resources: {waiting:?}");
    failed
}

/// Reverses the dependencies, so that each resource comes before those that it depends on.
pub(super) fn reversed(dependencies: &Dependencies) -> Dependencies {
    let mut reversed: Dependencies = dependencies.keys().map(|id| (id.clone(), BTreeSet::new())).collect();
    for (id, needed) in dependencies {
        for need in needed {
            reversed.entry(need.clone()).or_default().insert(id.clone());
        }
    }
    reversed
}
