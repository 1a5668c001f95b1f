//! Works through resources in the order of their dependencies, as parallel as these allow.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::stream::{FuturesUnordered, StreamExt};

/// For every resource, which others have to be through before.
pub(super) type Dependencies = BTreeMap<String, BTreeSet<String>>;

/// What a failure means for the others.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum OnFailure {
    /// Those at work are dropped, and no others are started.
    Cancel,
    /// They go on.
    GoOn,
}

/// Works through all resources; gives those that failed, with the reason.
///
/// # Panics
///
/// When dependencies form a circle.
pub(super) async fn run<F>(
    dependencies: &Dependencies,
    on_failure: OnFailure,
    work: impl Fn(String) -> F,
) -> BTreeMap<String, String>
where
    F: Future<Output = Result<(), String>>,
{
    let mut waiting: BTreeSet<&String> = dependencies.keys().collect();
    let mut through = BTreeSet::new();
    let mut failed = BTreeMap::new();
    let mut working = FuturesUnordered::new();
    loop {
        let free = |id: &&String| {
            dependencies[*id].iter().all(|need| through.contains(need) || !dependencies.contains_key(need))
        };
        let start: Vec<&String> = waiting.iter().copied().filter(free).collect();
        for id in start {
            waiting.remove(id);
            let run = work(id.clone());
            working.push(async move { (id, run.await) });
        }
        let Some((id, result)) = working.next().await else {
            break;
        };
        through.insert(id);
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

/// The same resources in the opposite order: what is needed goes last.
pub(super) fn reversed(dependencies: &Dependencies) -> Dependencies {
    let mut reversed: Dependencies = dependencies.keys().map(|id| (id.clone(), BTreeSet::new())).collect();
    for (id, needed) in dependencies {
        for need in needed {
            reversed.entry(need.clone()).or_default().insert(id.clone());
        }
    }
    reversed
}
