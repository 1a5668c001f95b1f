//! Rate limits by account, Region and action
//! (<https://docs.aws.amazon.com/AmazonECR/latest/userguide/service-quotas.html>).

use std::collections::HashMap;
use std::time::Instant;

/// A token bucket with the capacity of one second.
struct Bucket {
    level: f64,
    at: Instant,
}

/// Rate limits and their token buckets.
pub(super) struct RateLimits {
    rates: HashMap<String, f64>,
    buckets: HashMap<(String, String, String), Bucket>,
}

impl Default for RateLimits {
    fn default() -> Self {
        let rates = [
            ("BatchCheckLayerAvailability", 1000.0),
            ("BatchGetImage", 2000.0),
            ("GetDownloadUrlForLayer", 3000.0),
            ("InitiateLayerUpload", 100.0),
            ("CompleteLayerUpload", 100.0),
            ("UploadLayerPart", 500.0),
            ("PutImage", 10.0),
            ("GetAuthorizationToken", 500.0),
        ];
        let rates = rates.map(|(action, rate)| (action.to_owned(), rate));
        Self { rates: rates.into(), buckets: HashMap::new() }
    }
}

impl RateLimits {
    /// Sets the rate limit of an action. `None` means unlimited.
    pub(super) fn set(&mut self, action: &str, rate: Option<f64>) {
        match rate {
            Some(rate) => self.rates.insert(action.to_owned(), rate),
            None => self.rates.remove(action),
        };
        self.buckets.retain(|(_, _, throttled), _| throttled != action);
    }

    /// Removes all rate limits.
    pub(super) fn remove_all(&mut self) {
        self.rates.clear();
    }

    /// Takes one token. Returns false if the bucket is empty.
    pub(super) fn try_acquire(&mut self, account: &str, region: &str, action: &str, now: Instant) -> bool {
        let Some(&rate) = self.rates.get(action) else {
            return true;
        };
        // A rate below one per second needs the capacity of one call.
        let capacity = rate.max(1.0);
        let key = (account.to_owned(), region.to_owned(), action.to_owned());
        let bucket = self.buckets.entry(key).or_insert(Bucket { level: capacity, at: now });
        let passed = now.duration_since(bucket.at).as_secs_f64();
        bucket.level = (bucket.level + passed * rate).min(capacity);
        bucket.at = now;
        if bucket.level < 1.0 {
            return false;
        }
        bucket.level -= 1.0;
        true
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn limits_calls_to_ten_images_per_second() {
        let (mut rate_limits, now) = (RateLimits::default(), Instant::now());
        let mut put = |after: u64| {
            let now = now + Duration::from_millis(after);
            (0..50).filter(|_| rate_limits.try_acquire("1", "eu-west-1", "PutImage", now)).count()
        };
        assert_eq!((put(0), put(0), put(500), put(10_000)), (10, 0, 5, 10));
        assert!(rate_limits.try_acquire("1", "us-east-1", "PutImage", now), "each Region has its own limits");
        assert!(rate_limits.try_acquire("1", "eu-west-1", "DescribeImages", now));
    }
}
