//! Looks up the referrers of an image at the source.

use std::collections::HashSet;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::{StreamExt as _, stream};

use super::candidate::Candidate;
use super::state::ReferrerCopy;
use crate::copy::reporting::{Failure, Operation, Side};
use crate::oci::{Descriptor, Digest, Tag};
use crate::registry::Error;

/// Concurrent lookups.
const CONCURRENT_LOOKUPS: usize = 8;

/// Time limit of the lookup for one subject, so that a silent source cannot use the whole time of the copy.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(30);

impl ReferrerCopy<'_> {
    /// Returns the new referrers of the subjects within the limit. Counts the other referrers and the failed
    /// lookups.
    pub(super) async fn look_up(
        &self,
        subjects: &[Digest],
        seen: &mut HashSet<(Digest, Option<Tag>)>,
    ) -> Vec<Candidate> {
        self.counters().running_lookups += subjects.len();
        // Maps positions, because the compiler does not accept a closure over references as `Send`
        // (https://github.com/rust-lang/rust/issues/102211).
        let mut lookups = stream::iter(0..subjects.len())
            .map(|position| self.look_up_subject(&subjects[position]))
            .buffered(CONCURRENT_LOOKUPS);
        let mut candidates = Vec::new();
        while let Some(found) = lookups.next().await {
            self.add_candidates(found, seen, &mut candidates);
        }
        candidates
    }

    async fn look_up_subject(&self, subject: &Digest) -> Vec<Candidate> {
        let mut found = Vec::new();
        let result = tokio::time::timeout(LOOKUP_TIMEOUT, self.send_requests(subject, &mut found)).await;
        let timed_out = result.is_err();
        let failure = result.unwrap_or_else(|_| {
            Some(format!(
                "Source {} did not return the list within {} s.",
                self.source.upstream().name(),
                LOOKUP_TIMEOUT.as_secs()
            ))
        });
        let mut counters = self.counters();
        counters.running_lookups -= 1;
        if timed_out {
            counters.stopped = counters.stopped.take().or(failure.clone());
        }
        if let Some(reason) = failure {
            tracing::warn!(%subject, reason, "a lookup of referrers failed");
            counters.counts.failed_lookups += 1;
            counters.counts.first_reason.get_or_insert(reason);
        }
        found
    }

    /// Looks up cosign tags, then the referrers API or its fallback tag. Returns the first error.
    async fn send_requests(&self, subject: &Digest, found: &mut Vec<Candidate>) -> Option<String> {
        let mut first_error = None;
        for tag in subject.cosign_tags() {
            match self.stop_reason() {
                Some(reason) => return first_error.or(Some(reason)),
                None => match self.tagged_referrer(subject, tag).await {
                    Ok(tagged) => found.extend(tagged),
                    Err(cause) => {
                        first_error.get_or_insert(self.lookup_failure(subject, cause));
                    }
                },
            }
        }
        if let Some(reason) = self.stop_reason() {
            return first_error.or(Some(reason));
        }
        match self.listed_referrers(subject).await {
            Ok(listed) => {
                // A referrer with a cosign tag is copied with its tag.
                let tagged: HashSet<Digest> = found.iter().map(|found| found.digest.clone()).collect();
                let new = listed.iter().filter(|entry| !tagged.contains(&entry.digest));
                found.extend(new.map(|entry| Candidate::from_list_entry(subject, entry)));
            }
            Err(cause) => {
                first_error.get_or_insert(self.lookup_failure(subject, cause));
            }
        }
        first_error
    }

    fn lookup_failure(&self, subject: &Digest, cause: Error) -> String {
        let name = self.source.upstream().name().with_digest(subject.clone()).to_string();
        let failure = Failure::registry(Side::Source, Operation::ReadManifest, name, cause);
        self.stop_after(&failure);
        failure.summary()
    }

    /// Returns the referrers from the API. Without the API, returns them from the index of the fallback tag.
    async fn listed_referrers(&self, subject: &Digest) -> Result<Vec<Descriptor>, Error> {
        if !self.lacks_api.load(Ordering::Relaxed) {
            match self.source.upstream().referrers(subject).await? {
                Some(listed) => return Ok(listed),
                None => self.lacks_api.store(true, Ordering::Relaxed),
            }
        }
        self.source.upstream().tagged_referrers(subject).await
    }

    async fn tagged_referrer(&self, subject: &Digest, tag: Tag) -> Result<Option<Candidate>, Error> {
        let digest = self.source.upstream().referrer_digest(subject, &tag).await?;
        let (subject, media_type, size) = (subject.clone(), None, None);
        Ok(digest.map(|digest| Candidate { digest, media_type, size, subject, tag: Some(tag) }))
    }
}
