//! Shortens a reason to the length that a stack's events show.

/// Replaces the subject while the rest is shortened. Sanitized text does not contain it.
const PLACEHOLDER: &str = "\u{1}";

/// Shortens `what` to `room` characters: first the quoted words of registries, then digests to 12 digits. The
/// subject is shortened last.
pub(super) fn shorten(what: &str, subject: &str, room: usize) -> String {
    let protect = !subject.is_empty() && what.contains(subject);
    let mut text = if protect { what.replacen(subject, PLACEHOLDER, 1) } else { what.to_owned() };
    let room = room.saturating_sub(if protect { subject.chars().count().saturating_sub(1) } else { 0 });
    if text.chars().count() > room {
        text = shorten_quoted(&text, text.chars().count() - room);
    }
    if text.chars().count() > room {
        text = shorten_digests(&text);
    }
    if protect {
        let excess = text.chars().count().saturating_sub(room);
        let subject = if excess > 0 { shorten_digests(subject) } else { subject.to_owned() };
        let room = room + if protect { subject.chars().count().saturating_sub(1) } else { 0 };
        return cut(&text.replacen(PLACEHOLDER, &subject, 1), room);
    }
    cut(&text, room)
}

/// Removes up to `excess` characters between the first and the last quotation mark.
fn shorten_quoted(text: &str, excess: usize) -> String {
    let (Some(open), Some(close)) = (text.find('"'), text.rfind('"')) else { return text.into() };
    let quoted = &text[(open + 1).min(close)..close];
    let kept = quoted.chars().count().saturating_sub(excess + 1);
    if quoted.is_empty() {
        return text.into();
    }
    let kept: String = quoted.chars().take(kept).collect();
    format!("{}{kept}…{}", &text[..=open], &text[close..])
}

fn shorten_digests(text: &str) -> String {
    let mut short = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("sha256:") {
        let digits = at + "sha256:".len();
        let length = rest[digits..].bytes().take_while(u8::is_ascii_hexdigit).count();
        short += &rest[..digits + length.min(12)];
        rest = &rest[digits + length..];
    }
    short + rest
}

fn cut(text: &str, room: usize) -> String {
    if text.chars().count() <= room {
        return text.into();
    }
    text.chars().take(room.saturating_sub(1)).chain(['…']).collect()
}
