//! Content digests and their computation.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use aws_lc_rs::digest;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _};

use super::ParseError;

/// Digest of content: `algorithm:hex`
/// (<https://github.com/opencontainers/image-spec/blob/main/descriptor.md#digests>).
///
/// Only supported algorithms are accepted, with lower-case hexadecimal digits of the right length.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest(Arc<str>);

/// A supported digest algorithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// SHA-256, which every registry uses.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

impl Digest {
    /// Returns the SHA-256 digest of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let mut hasher = Hasher::new(Algorithm::Sha256);
        hasher.update(bytes);
        hasher.finish()
    }

    /// Returns the algorithm before the colon.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        match self.0.split_once(':') {
            Some(("sha384", _)) => Algorithm::Sha384,
            Some(("sha512", _)) => Algorithm::Sha512,
            _ => Algorithm::Sha256,
        }
    }

    /// Returns the digits after the colon.
    #[must_use]
    pub fn hex(&self) -> &str {
        self.0.split_once(':').map_or("", |(_, hex)| hex)
    }

    /// Returns `algorithm:` and the first 12 digits, for messages.
    #[must_use]
    pub fn short(&self) -> &str {
        let colon = self.0.find(':').unwrap_or(0);
        &self.0[..colon + 13]
    }

    /// Returns the whole text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Digest {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        const EXPECTED: &str = "a digest: expected sha256: and 64 lower-case hexadecimal digits";
        let error = || ParseError::new(text, EXPECTED);
        let (algorithm, hex) = text.split_once(':').ok_or_else(error)?;
        let length = match algorithm {
            "sha256" => 64,
            "sha384" => 96,
            "sha512" => 128,
            _ => return Err(error()),
        };
        if hex.len() != length || !hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(error());
        }
        Ok(Self(text.into()))
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Computes a digest piece by piece.
pub(crate) struct Hasher {
    algorithm: Algorithm,
    context: digest::Context,
}

impl Hasher {
    /// Creates a hasher without bytes.
    #[must_use]
    pub(crate) fn new(algorithm: Algorithm) -> Self {
        let context = digest::Context::new(match algorithm {
            Algorithm::Sha256 => &digest::SHA256,
            Algorithm::Sha384 => &digest::SHA384,
            Algorithm::Sha512 => &digest::SHA512,
        });
        Self { algorithm, context }
    }

    /// Adds `bytes`.
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.context.update(bytes);
    }

    /// Returns the digest of all bytes added.
    #[must_use]
    pub(crate) fn finish(self) -> Digest {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let name = match self.algorithm {
            Algorithm::Sha256 => "sha256:",
            Algorithm::Sha384 => "sha384:",
            Algorithm::Sha512 => "sha512:",
        };
        let mut text = String::from(name);
        for byte in self.context.finish().as_ref() {
            text.push(char::from(HEX[usize::from(byte >> 4)]));
            text.push(char::from(HEX[usize::from(byte & 15)]));
        }
        Digest(text.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn computes_the_digest_of_the_empty_json_object() {
        let digest = Digest::of(b"{}");
        assert_eq!(
            digest.as_str(),
            "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
        );
        assert_eq!(digest.short(), "sha256:44136fa355b3");
    }

    #[test]
    fn rejects_unsupported_algorithms_and_invalid_digits() {
        let hex = "a".repeat(64);
        for wrong in ["", "sha256", "md5:aa", &format!("sha256:{}", "A".repeat(64)), &format!("sha512:{hex}")]
        {
            assert!(wrong.parse::<Digest>().is_err(), "{wrong}");
        }
        let right = format!("sha256:{hex}");
        assert_eq!(right.parse::<Digest>().unwrap().to_string(), right);
    }
}
