//! Access keys.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use crate::emulator::{ACCESS_KEY_ID, SECRET_ACCESS_KEY};
use crate::ids;

/// Access keys that the emulator issued, with their expiry times and secrets. The key of
/// [`crate::Emulator::environment`] never expires.
#[derive(Default)]
pub(crate) struct AccessKeys(Mutex<BTreeMap<String, (SystemTime, String)>>);

/// An access key that is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyError {
    /// The key was not issued.
    Unknown,
    /// The key has expired.
    Expired,
}

/// Temporary credentials.
pub(crate) struct TemporaryCredentials {
    pub(super) access_key_id: String,
    pub(super) secret_access_key: String,
    pub(super) session_token: String,
    pub(super) expires_at: SystemTime,
}

impl AccessKeys {
    /// Issues temporary credentials.
    pub(super) fn issue(&self, lifetime: Duration) -> TemporaryCredentials {
        let credentials = TemporaryCredentials {
            access_key_id: format!("ASIA{}", ids::capitals(16)),
            secret_access_key: ids::hex(40),
            session_token: ids::hex(320),
            expires_at: SystemTime::now() + lifetime,
        };
        let key = (credentials.expires_at, credentials.secret_access_key.clone());
        self.lock().insert(credentials.access_key_id.clone(), key);
        credentials
    }

    /// Checks that a key was issued and has not expired.
    pub(crate) fn check(&self, key: &str) -> Result<(), KeyError> {
        match self.lock().get(key) {
            _ if key == ACCESS_KEY_ID => Ok(()),
            Some((expiry, _)) if *expiry > SystemTime::now() => Ok(()),
            Some(_) => Err(KeyError::Expired),
            None => Err(KeyError::Unknown),
        }
    }

    /// Returns the secret of a key.
    pub(crate) fn secret(&self, key: &str) -> Option<String> {
        match self.lock().get(key) {
            _ if key == ACCESS_KEY_ID => Some(SECRET_ACCESS_KEY.to_owned()),
            found => found.map(|(_, secret)| secret.clone()),
        }
    }

    /// Expires all issued keys.
    pub(crate) fn expire_all(&self) {
        self.lock().values_mut().for_each(|(expiry, _)| *expiry = SystemTime::UNIX_EPOCH);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, (SystemTime, String)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
