//! Validation and evaluation of a lifecycle policy
//! (<https://docs.aws.amazon.com/AmazonECR/latest/userguide/lifecycle_policy_parameters.html>).

use std::collections::HashSet;

use serde::Deserialize;

use crate::fault::glob;

use super::super::error::ApiError;
use super::super::store::{Repository, StoredImage};

/// Length of a policy in characters
/// (<https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_PutLifecyclePolicy.html>).
const LENGTH: std::ops::RangeInclusive<usize> = 100..=30_720;

/// Maximum number of rules
/// (<https://docs.aws.amazon.com/AmazonECR/latest/userguide/service-quotas.html>).
const RULE_LIMIT: usize = 50;

/// Maximum number of wildcards in a pattern.
const WILDCARD_LIMIT: usize = 4;

/// A valid policy, with its rules by priority.
pub(super) struct Policy(Vec<Rule>);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    rules: Vec<Rule>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Rule {
    rule_priority: u32,
    #[expect(dead_code, reason = "valid, but without effect")]
    description: Option<String>,
    selection: Selection,
    action: Action,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Selection {
    tag_status: TagStatus,
    tag_prefix_list: Option<Vec<String>>,
    tag_pattern_list: Option<Vec<String>>,
    count_type: String,
    count_unit: Option<String>,
    count_number: u32,
}

#[derive(Clone, Copy, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum TagStatus {
    Tagged,
    Untagged,
    Any,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Action {
    r#type: String,
}

impl Policy {
    /// Parses and validates a policy.
    pub(super) fn parse(text: &str) -> Result<Self, ApiError> {
        let invalid = |reason: &str| {
            let message = format!(
                "Invalid parameter at 'LifecyclePolicyText' failed to satisfy constraint: 'Lifecycle policy \
                 validation failure: {reason}'"
            );
            ApiError::new("InvalidParameterException", message)
        };
        if !LENGTH.contains(&text.chars().count()) {
            let message = "Invalid parameter at 'lifecyclePolicyText' failed to satisfy constraint: 'Member must \
                           have length between 100 and 30720'";
            return Err(ApiError::new("InvalidParameterException", message));
        }
        let document: Document = serde_json::from_str(text)
            .map_err(|_| invalid("Could not map policyString into LifecyclePolicy."))?;
        let mut rules = document.rules;
        rules.sort_by_key(|rule| rule.rule_priority);
        match problem(&rules) {
            Some(reason) => Err(invalid(reason)),
            None => Ok(Self(rules)),
        }
    }

    /// Returns digests and rule priorities of the images that would expire at a time, oldest first.
    ///
    /// All rules are evaluated at the same time. The first rule that selects an image decides about it,
    /// because an image "that matches the tagging requirements of a rule cannot be expired by a rule with a
    /// lower priority". An image of an index does not expire before the index.
    pub(super) fn expiring<'a>(&self, repository: &'a Repository, now: f64) -> Vec<(&'a str, u32)> {
        let mut youngest_first: Vec<&StoredImage> = repository.images.values().collect();
        youngest_first.sort_by(|a, b| b.pushed.total_cmp(&a.pushed));
        let mut decided: HashSet<&str> = HashSet::new();
        let mut expiring: Vec<(&StoredImage, u32)> = Vec::new();
        for rule in &self.0 {
            let digest_of = |image: &&'a StoredImage| image.manifest.digest.as_str();
            let selected = youngest_first.iter().copied();
            let selected: Vec<_> = selected
                .filter(|image| rule.selection.selects(&repository.tags_of(digest_of(image))))
                .collect();
            for (position, image) in selected.into_iter().enumerate() {
                if decided.insert(image.manifest.digest.as_str())
                    && rule.selection.exceeds(position, now - image.pushed)
                    && repository.indexes_of(&image.manifest.digest).is_empty()
                {
                    expiring.push((image, rule.rule_priority));
                }
            }
        }
        expiring.sort_by(|(a, _), (b, _)| a.pushed.total_cmp(&b.pushed));
        expiring.into_iter().map(|(image, priority)| (image.manifest.digest.as_str(), priority)).collect()
    }
}

impl Selection {
    /// Returns true for an image with these tags. All prefixes and patterns must match a tag.
    fn selects(&self, tags: &[String]) -> bool {
        let prefixes = self.tag_prefix_list.iter().flatten();
        let patterns = self.tag_pattern_list.iter().flatten();
        match self.tag_status {
            TagStatus::Any => true,
            TagStatus::Untagged => tags.is_empty(),
            TagStatus::Tagged => {
                prefixes.into_iter().all(|prefix| tags.iter().any(|tag| tag.starts_with(prefix)))
                    && patterns.into_iter().all(|pattern| tags.iter().any(|tag| glob(pattern, tag)))
            }
        }
    }

    /// Returns true for an image at this position, youngest first, and with this age in seconds.
    fn exceeds(&self, position: usize, age: f64) -> bool {
        match self.count_type.as_str() {
            "imageCountMoreThan" => position >= self.count_number as usize,
            _ => age > f64::from(self.count_number) * 86_400.0,
        }
    }
}

/// Returns the first problem of rules in the order of their priority.
fn problem(rules: &[Rule]) -> Option<&'static str> {
    let unique = |keys: Vec<String>| keys.iter().collect::<HashSet<_>>().len() == keys.len();
    if rules.is_empty() || rules.len() > RULE_LIMIT {
        return Some("The policy must have 1 to 50 rules.");
    }
    if !unique(rules.iter().map(|rule| rule.rule_priority.to_string()).collect()) {
        return Some("Rule priorities must be unique.");
    }
    let has = |rule: &&Rule, status| rule.selection.tag_status == status;
    if rules.iter().filter(|rule| has(rule, TagStatus::Untagged)).count() > 1 {
        return Some("Only one rule can select Untagged images per storage class");
    }
    if rules.iter().rev().skip(1).any(|rule| has(&rule, TagStatus::Any)) {
        return Some("Rule for tagStatus=ANY must have the lowest priority per storage class");
    }
    let lists =
        |rule: &Rule| [rule.selection.tag_prefix_list.clone(), rule.selection.tag_pattern_list.clone()];
    let tagged = rules.iter().filter(|rule| has(rule, TagStatus::Tagged));
    if !unique(tagged.map(|rule| format!("{:?}", lists(rule))).collect()) {
        return Some("Tag prefixes and patterns must be unique.");
    }
    rules.iter().find_map(rule_problem)
}

fn rule_problem(rule: &Rule) -> Option<&'static str> {
    let Selection { tag_status, tag_prefix_list, tag_pattern_list, count_type, count_unit, count_number } =
        &rule.selection;
    let has_words = |list: &Option<Vec<String>>| list.as_ref().is_some_and(|list| !list.is_empty());
    let wildcards = |pattern: &String| pattern.matches('*').count();
    match (tag_status, has_words(tag_prefix_list), has_words(tag_pattern_list)) {
        (TagStatus::Tagged, false, false) => {
            return Some("Must specify tagPrefixList or tagPatternList when tagStatus=TAGGED.");
        }
        (TagStatus::Tagged, true, true) => {
            return Some("Must not specify tagPrefixList and tagPatternList in one rule.");
        }
        (TagStatus::Untagged | TagStatus::Any, ..)
            if tag_prefix_list.is_some() || tag_pattern_list.is_some() =>
        {
            return Some("tagPrefixList and tagPatternList require tagStatus=TAGGED.");
        }
        _ => {}
    }
    if tag_pattern_list.iter().flatten().any(|pattern| wildcards(pattern) > WILDCARD_LIMIT) {
        return Some("A pattern can have at most 4 wildcards.");
    }
    match (count_type.as_str(), count_unit.as_deref()) {
        ("imageCountMoreThan", None) | ("sinceImagePushed", Some("days")) => {}
        ("imageCountMoreThan", Some(_)) => return Some("countUnit requires countType=sinceImagePushed."),
        ("sinceImagePushed", _) => return Some("countUnit must be days."),
        _ => return Some("aws-emulator: this countType is not implemented"),
    }
    if rule.rule_priority == 0 || *count_number == 0 {
        return Some("rulePriority and countNumber must be positive.");
    }
    (rule.action.r#type != "expire").then_some("aws-emulator: this action is not implemented")
}
