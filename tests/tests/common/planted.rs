//! Planted secrets, and every form in which one may call up.

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE};

/// As it is, in base64 of either alphabet at each of three positions, and as URLs and forms write it.
pub(crate) fn forms(secret: &str) -> Vec<String> {
    let mut forms = vec![secret.to_owned(), percent_encoded(secret), percent_encoded(secret).to_lowercase()];
    for before in 0..3_usize {
        for engine in [BASE64_STANDARD, BASE64_URL_SAFE] {
            let encoded = engine.encode("x".repeat(before) + secret);
            // The ends depend on what stands beside the secret.
            let (start, end) = (before.div_ceil(3) * 4, encoded.len() - 4);
            forms.push(encoded[start..end].to_owned());
        }
    }
    forms.sort_unstable();
    forms.dedup();
    forms
}

/// The form of the secret that stands in a text, if one does.
pub(crate) fn found<'a>(secret: &str, text: &'a str) -> Option<&'a str> {
    forms(secret).into_iter().find_map(|form| {
        let at = text.find(&form)?;
        Some(&text[at..at + form.len()])
    })
}

fn percent_encoded(secret: &str) -> String {
    let encode = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    secret.bytes().map(encode).collect()
}
