//! Planted secrets in all encodings in which they can appear.

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE};

/// Returns the secret as it is, percent-encoded, and in base64 with both alphabets at each of three
/// positions.
pub(crate) fn encodings(secret: &str) -> Vec<String> {
    let mut encodings =
        vec![secret.to_owned(), percent_encoded(secret), percent_encoded(secret).to_lowercase()];
    for before in 0..3_usize {
        for engine in [BASE64_STANDARD, BASE64_URL_SAFE] {
            let encoded = engine.encode("x".repeat(before) + secret);
            // The first and last characters depend on the bytes next to the secret.
            let (start, end) = (before.div_ceil(3) * 4, encoded.len() - 4);
            encodings.push(encoded[start..end].to_owned());
        }
    }
    encodings.sort_unstable();
    encodings.dedup();
    encodings
}

/// Returns the first encoding of the secret in a text.
pub(crate) fn find_secret<'a>(secret: &str, text: &'a str) -> Option<&'a str> {
    encodings(secret).into_iter().find_map(|encoding| {
        let at = text.find(&encoding)?;
        Some(&text[at..at + encoding.len()])
    })
}

fn percent_encoded(secret: &str) -> String {
    let encode = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    secret.bytes().map(encode).collect()
}
