//! Plain lines: `[--platform=PLATFORM] [--alias=NAME] reference`, with `#` comments.
//!
//! Lists of images for Kubernetes distributions have one reference on each line, such as
//! `rke2-images.linux-amd64.txt` (<https://github.com/rancher/rke2/releases>). Lists of mirror scripts have the
//! arguments of `docker pull` (<https://github.com/tech-shrimp/docker_image_pusher>).

use super::entry::{Entry, Target};
use super::output::{Output, quoted};
use crate::oci::{Reference, Tag};

pub(super) fn parse(text: &str, output: &mut Output) {
    for (at, line) in text.lines().enumerate() {
        if output.is_full() {
            break;
        }
        let content = without_comment(line).trim();
        if content.is_empty() {
            continue;
        }
        match parse_line(content, at + 1) {
            Ok(entry) => output.entry(entry),
            Err(problem) => output.error(at + 1, problem),
        }
    }
}

/// Removes a comment, which starts at the beginning of the line or after a space.
pub(super) fn without_comment(line: &str) -> &str {
    let is_start = |at: &usize| line[..*at].chars().next_back().is_none_or(char::is_whitespace);
    line.match_indices('#').map(|(at, _)| at).find(is_start).map_or(line, |at| &line[..at])
}

fn parse_line(content: &str, line: usize) -> Result<Entry, String> {
    let (mut reference, mut platforms, mut alias) = (None, None, None);
    let mut words = content.split_whitespace();
    while let Some(word) = words.next() {
        if !word.starts_with('-') {
            if reference.replace(word).is_some() {
                return Err(format!(
                    "{} follows the reference. Write one image on each line, and its new name in --alias.",
                    quoted(word)
                ));
            }
            continue;
        }
        let (name, value) = match word.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (word, words.next()),
        };
        let option = match name {
            "--platform" => &mut platforms,
            "--alias" => &mut alias,
            _ => return Err(format!("{} is not an option. Use --platform or --alias.", quoted(name))),
        };
        let value = value.filter(|value| !value.is_empty());
        let value = value.ok_or_else(|| format!("{name} has no value. Write {name}=VALUE."))?;
        if option.replace(value).is_some() {
            return Err(format!("{name} occurs twice. Keep one."));
        }
    }
    let Some(reference) = reference else { return Err("the line has no image. Add a reference.".into()) };
    let source: Reference = reference.parse().map_err(|error| format!("{error}. Correct the reference."))?;
    let mut entry = Entry::new(source, line);
    if let Some(text) = platforms {
        let parsed = text.parse().map_err(|error| format!("--platform: {error}. Correct the platform."))?;
        entry.platforms = Some(parsed);
    }
    if let Some(alias) = alias {
        let failed = |problem| format!("--alias: {problem}. Correct the name.");
        let (target, tag) = parse_alias(alias).map_err(failed)?;
        entry.target = target;
        entry.tag = tag.or(entry.tag);
    }
    Ok(entry)
}

/// Parses a path with an optional tag.
fn parse_alias(alias: &str) -> Result<(Target, Option<Tag>), String> {
    let name_start = alias.rfind('/').map_or(0, |slash| slash + 1);
    let (path, tag) = match alias[name_start..].find(':') {
        Some(colon) => (&alias[..name_start + colon], Some(&alias[name_start + colon + 1..])),
        None => (alias, None),
    };
    let tag = tag.map(str::parse::<Tag>).transpose().map_err(|error| error.to_string())?;
    Ok((Target::parse(path)?, tag))
}
