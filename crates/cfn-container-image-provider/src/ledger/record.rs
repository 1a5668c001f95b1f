//! What a record says: a few lines, each a fact about what is in ECR.

use std::collections::BTreeMap;

use image_copy::copy::{Known, Platforms};
use image_copy::oci::{Digest, Manifest, Platform, Tag};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::artifact;
use super::names;

const TYPE: &str = "application/vnd.container-image.copy-record.v1+json";
const TAG: &str = "vnd.container-image.copy-record.tag";
const LINE: &str = "vnd.container-image.copy-record.line.";

/// Lines that are kept whoever they are of.
pub(crate) const KEPT: usize = 10;

/// The stack id of whoever put a tag there before any stack.
pub(crate) const UNKNOWN: &str = "unknown";

/// One copy: who wanted what, and what came of it. Names in JSON are short, for a manifest has
/// room for 4 MiB and CloudFormation for many updates.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Line {
    /// When the event was issued, in seconds since 1970; 0 when that is not known.
    pub(crate) time: u64,
    pub(crate) stack_id: String,
    pub(crate) logical_id: String,
    /// The source reference as it was given.
    pub(crate) source: String,
    /// What it named; not known of a tag that an older provider copied one platform from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) source_digest: Option<String>,
    /// Which platforms were asked for.
    pub(crate) selection: String,
    /// Which are in it.
    #[serde(default)]
    pub(crate) platforms: Vec<String>,
    /// What is in ECR.
    pub(crate) digest: String,
    /// A hash of all properties, by which a roll-back is told from a wish for something new.
    #[serde(default)]
    pub(crate) properties: String,
}

impl Line {
    /// The digest in ECR.
    pub(crate) fn digest(&self) -> Option<Digest> {
        self.digest.parse().ok()
    }

    /// Whether this is a line of that resource.
    pub(crate) fn is_of(&self, stack_id: &str, logical_id: &str) -> bool {
        self.stack_id == stack_id && self.logical_id == logical_id
    }

    /// What the engine can make use of, when the selection is the same.
    pub(crate) fn known(&self, selection: &Platforms) -> Option<Known> {
        if self.selection != selection.to_string() {
            return None;
        }
        let platforms: Result<Vec<Platform>, _> = self.platforms.iter().map(|name| name.parse()).collect();
        Some(Known {
            source_digest: self.source_digest.as_ref()?.parse().ok()?,
            selection: selection.clone(),
            digest: self.digest()?,
            platforms: platforms.unwrap_or_default(),
        })
    }
}

/// The lines about one tag, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) lines: Vec<Line>,
}

impl Record {
    /// Reads a record of `tag`. What is damaged says nothing.
    pub(crate) fn read(manifest: &Manifest, tag: &Tag) -> Self {
        let document: Value = serde_json::from_slice(&manifest.bytes).unwrap_or_default();
        if document["artifactType"] != TYPE || document["annotations"][TAG] != tag.as_str() {
            return Self::default();
        }
        let texts: BTreeMap<&str, &str> = document["annotations"]
            .as_object()
            .into_iter()
            .flatten()
            .filter_map(|(name, text)| Some((name.strip_prefix(LINE)?, text.as_str()?)))
            .collect();
        // Names are numbered with leading zeros, and a map is sorted by them.
        let lines = texts.values().filter_map(|text| serde_json::from_str(text).ok());
        Self { lines: lines.collect() }
    }

    /// The artifact that says this of `tag`.
    pub(crate) fn manifest(&self, tag: &Tag) -> Manifest {
        let mut annotations = artifact::Annotations::from([(TAG.into(), tag.to_string())]);
        for (number, line) in self.lines.iter().enumerate() {
            annotations.insert(format!("{LINE}{number:04}"), json!(line).to_string());
        }
        artifact::manifest(TYPE, &annotations)
    }

    /// All lines of both, in order of time; of two at the same time, ours is the later.
    pub(crate) fn with(mut self, ours: &[Line]) -> Self {
        for line in ours {
            if !self.lines.contains(line) {
                self.lines.push(line.clone());
            }
        }
        self.lines.sort_by_key(|line| line.time);
        self
    }

    /// The last lines, and each claimant's newest beyond them. `claims` are the claims there are.
    pub(crate) fn pruned(mut self, tag: &Tag, claims: &[String]) -> Self {
        let beyond = self.lines.len().saturating_sub(KEPT);
        let keep: Vec<bool> = (0..self.lines.len())
            .map(|at| at >= beyond || (self.is_newest(at) && self.lines[at].is_claimed(tag, claims)))
            .collect();
        let mut keep = keep.into_iter();
        self.lines.retain(|_| keep.next().unwrap_or(true));
        self
    }

    fn is_newest(&self, at: usize) -> bool {
        let line = &self.lines[at];
        !self.lines[at + 1..].iter().any(|later| later.is_of(&line.stack_id, &line.logical_id))
    }

    /// The lines of one resource, newest first.
    pub(crate) fn of<'a>(&'a self, stack_id: &'a str, logical_id: &'a str) -> impl Iterator<Item = &'a Line> {
        self.lines.iter().rev().filter(move |line| line.is_of(stack_id, logical_id))
    }
}

impl Line {
    /// Whether whoever this line is of has one of these claims on `tag`.
    pub(crate) fn is_claimed(&self, tag: &Tag, claims: &[String]) -> bool {
        let claim = names::claim(tag, &self.stack_id, &self.logical_id);
        claims.iter().any(|known| known == claim.as_str())
    }
}

/// A hash of properties: the same for the same, in whatever order they stand. What only says where
/// and how long to wait is no property of the image.
pub(crate) fn fingerprint(properties: &Value) -> String {
    let mut properties = properties.as_object().cloned().unwrap_or_default();
    for name in ["ServiceToken", "ServiceTimeout"] {
        properties.remove(name);
    }
    Digest::of(sorted(&Value::Object(properties)).as_bytes()).hex()[..16].to_owned()
}

/// JSON with the names of every object in order.
fn sorted(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let fields: BTreeMap<&String, String> =
                fields.iter().map(|(name, value)| (name, sorted(value))).collect();
            let fields: Vec<String> =
                fields.into_iter().map(|(name, value)| format!("{}:{value}", json!(name))).collect();
            format!("{{{}}}", fields.join(","))
        }
        Value::Array(values) => {
            let values: Vec<String> = values.iter().map(sorted).collect();
            format!("[{}]", values.join(","))
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(crate) fn line(time: u64, logical_id: &str, digest: &[u8]) -> Line {
        Line {
            time,
            stack_id: "arn:stack".into(),
            logical_id: logical_id.into(),
            source: "docker.io/library/python:3.13".into(),
            source_digest: Some(Digest::of(b"source").to_string()),
            selection: "linux/amd64?".into(),
            platforms: vec!["linux/amd64".into()],
            digest: Digest::of(digest).to_string(),
            properties: "0123456789abcdef".into(),
        }
    }

    fn tag() -> Tag {
        "3.13".parse().unwrap()
    }

    #[test]
    fn is_read_as_it_was_written() {
        let lines: Vec<Line> = (0..12).map(|time| line(time, "A", &[time as u8])).collect();
        let record = Record { lines };
        let manifest = record.manifest(&tag());
        assert_eq!(Record::read(&manifest, &tag()), record);
        assert_eq!(Record::read(&manifest, &"other".parse().unwrap()), Record::default(), "of another tag");
    }

    #[test]
    fn what_is_damaged_says_nothing() {
        let whole = Record { lines: vec![line(1, "A", b"a"), line(2, "B", b"b")] }.manifest(&tag());
        let text = String::from_utf8(whole.bytes.to_vec()).unwrap();
        let broken = text.replacen("logicalId", "logicalIt", 1);
        let broken = Manifest::parse(broken.into(), None).unwrap();
        let left = Record::read(&broken, &tag()).lines;
        assert_eq!(left, [line(2, "B", b"b")]);
        let foreign = text.replace("copy-record.v1", "something.v1");
        let foreign = Manifest::parse(foreign.into(), None).unwrap();
        assert_eq!(Record::read(&foreign, &tag()), Record::default());
    }

    #[test]
    fn keeps_the_last_lines_and_each_claimants_newest() {
        let mut lines = vec![line(0, "Gone", b"g"), line(1, "Old", b"o"), line(2, "Old", b"p")];
        lines.extend((3..15).map(|time| line(time, "A", &[time as u8])));
        let claims = ["Old", "A"].map(|id| names::claim(&tag(), "arn:stack", id).to_string());
        let pruned = Record { lines }.pruned(&tag(), &claims);
        assert_eq!(pruned.lines.len(), 11);
        assert_eq!(pruned.lines[0], line(2, "Old", b"p"));
    }

    #[test]
    fn lines_of_two_writers_are_united_in_order_of_time() {
        let (one, two, three) = (line(1, "A", b"a"), line(2, "B", b"b"), line(3, "A", b"c"));
        let record = Record { lines: vec![one.clone(), three.clone()] }.with(&[two.clone(), one.clone()]);
        assert_eq!(record.lines, [one, two, three.clone()]);
        assert_eq!(record.of("arn:stack", "A").next(), Some(&three));
    }

    #[test]
    fn properties_have_one_hash_whatever_carries_them() {
        let one = json!({"ImageReference": "a", "Refresh": "1", "ServiceToken": "x"});
        let same =
            json!({"Refresh": "1", "ServiceToken": "y", "ServiceTimeout": "60", "ImageReference": "a"});
        assert_eq!(fingerprint(&one), fingerprint(&same));
        assert_ne!(fingerprint(&one), fingerprint(&json!({"ImageReference": "a", "Refresh": "2"})));
    }

    #[test]
    fn is_of_use_only_for_the_same_selection() {
        let line = line(1, "A", b"a");
        let selection = Platforms::Preferred("linux/amd64".parse().unwrap());
        let known = line.known(&selection).unwrap();
        assert_eq!((known.digest, known.platforms.len()), (Digest::of(b"a"), 1));
        assert_eq!(line.known(&Platforms::All), None);
        assert_eq!(Line { source_digest: None, ..line }.known(&selection), None);
    }
}
