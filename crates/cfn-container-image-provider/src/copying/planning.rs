//! The plan, also where what the source names now cannot be had.

use image_copy::copy::{self, Known, Plan, Problem, Request, Side};
use image_copy::oci::Reference;
use tokio::time::Instant;

use super::{Ends, Wish};
use crate::job::Trail;
use crate::ledger::{Line, Look};
use crate::reason::Failure;

/// Plans by what is known. An Update with exactly the properties of a line is a roll-back: when the
/// source cannot be asked, or its tag names what an immutable tag here cannot, what was copied then is
/// put back.
pub(super) async fn plan(
    wish: &Wish,
    ends: &Ends<'_>,
    look: Option<&Look>,
    trail: &Trail,
) -> Result<Plan, Failure> {
    let mut request = wish.properties.request();
    request.known = look.map(|look| look.known(&request.platforms)).unwrap_or_default();
    let request = trail.request.get_or_init(|| request);
    let planning = copy::plan(request, ends.source, &ends.destination);
    let line = ends.ledger.as_ref().zip(look).filter(|_| wish.previous.is_some() || wish.keeps_tag);
    let line = line.and_then(|(ledger, look)| wish.same_properties(ledger, look));
    let Some((line, Some(back))) = line.map(|line| (line, back(request, line))) else {
        return planning.await.map_err(Failure::Copy);
    };
    // A source that hangs must not use up the time for putting back what is here.
    let started = Instant::now();
    let until = started + ends.deadline.saturating_duration_since(started) / 2;
    let failure = match tokio::time::timeout_at(until, planning).await {
        Ok(Ok(plan)) => return Ok(plan),
        Ok(Err(failure)) if failure.side() != Side::Source && failure.problem() != Problem::TagImmutable => {
            return Err(Failure::Copy(failure));
        }
        Ok(Err(failure)) => failure,
        Err(_) => Box::new(copy::Failure::Deadline {
            subject: request.source.to_string(),
            progress: copy::Progress::default(),
            elapsed: started.elapsed(),
        }),
    };
    let plan = copy::plan(&back, ends.source, &ends.destination).await;
    match plan {
        Ok(plan) if plan.root_held && plan.blobs.is_empty() => {
            tracing::warn!(%failure, digest = line.digest, "what the source names now cannot be had: what it named then is put back");
            Ok(Plan { request: request.clone(), ..plan })
        }
        _ => Err(Failure::Copy(failure)),
    }
}

/// The request that brings a line's copy back without the source.
fn back(request: &Request, line: &Line) -> Option<Request> {
    let digest = line.digest()?;
    // Of a tag that an older provider copied, the source's digest may not be known.
    let source_digest = line.source_digest.as_ref().map_or(Some(digest.clone()), |text| text.parse().ok())?;
    let source = Reference { digest: Some(source_digest.clone()), ..request.source.clone() };
    let platforms = line.platforms.iter().filter_map(|name| name.parse().ok()).collect();
    let known = vec![Known { source_digest, selection: request.platforms.clone(), digest, platforms }];
    Some(Request { source, known, ..request.clone() })
}
