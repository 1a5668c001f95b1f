//! Changes of images in YAML and JSON that are no CloudFormation templates.

use image_copy::yaml::{Id, Tree};

use super::*;

/// An image in separate values, as a chart or Kustomize writes it.
#[derive(Debug, Clone)]
struct Split {
    name: String,
    tag: String,
    tag_style: u8,
    /// 0 for no key, 1 for a key without a value, 2 and 3 for an empty value, 4 and 5 for a digest.
    digest: u8,
    is_flow: bool,
    tag_first: bool,
    kind: u8,
}

const OLD_DIGEST: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000000";

impl Split {
    /// Returns the entries of the mapping.
    fn entries(&self) -> Vec<String> {
        let tag_key = if self.kind == 2 { "newTag" } else { "tag" };
        let tag = match self.tag_style {
            0 => self.tag.clone(),
            1 => format!("'{}'", self.tag),
            _ => format!("\"{}\"", self.tag),
        };
        let digest = match self.digest {
            0 => None,
            1 => Some("digest:".to_owned()),
            2 => Some("digest: \"\"".to_owned()),
            3 => Some("digest: null".to_owned()),
            4 => Some(format!("digest: {OLD_DIGEST}")),
            _ => Some(format!("digest: '{OLD_DIGEST}'")),
        };
        let mut entries = match self.kind {
            0 => vec![format!("repository: {}", self.name)],
            1 => vec!["registry: ghcr.io".to_owned(), format!("repository: {}", self.name)],
            _ => vec![format!("name: {}", self.name)],
        };
        entries.insert(if self.tag_first { 0 } else { entries.len() }, format!("{tag_key}: {tag}"));
        entries.extend(digest);
        entries
    }

    /// Returns the mapping as an entry of `values` or of `images`.
    fn lines(&self, number: usize) -> String {
        let entries = self.entries();
        match (self.kind, self.is_flow) {
            (2, true) => format!("- {{{}}} # comment\n", entries.join(", ")),
            (2, false) => format!("- {}\n", entries.join("\n  ")),
            (_, true) => format!("  app{number}: {{image: {{{} }}}}\n", entries.join(", ")),
            (_, false) => {
                format!("  app{number}:\n    sideImage:\n      {}\n", entries.join("  # b:1\n      "))
            }
        }
    }
}

fn split(kind: impl Strategy<Value = u8>) -> impl Strategy<Value = Split> {
    let tag = prop_oneof!["[0-9]{1,2}(\\.[0-9]{1,2}){0,2}(-[a-z]{1,6})?", "v[0-9]{1,3}"];
    let name = "[a-z]{1,6}/[a-z]{1,4}([._][a-z]{1,3})?";
    (name, tag, 0u8..3, 0u8..6, any::<bool>(), any::<bool>(), kind).prop_map(
        |(name, tag, tag_style, digest, is_flow, tag_first, kind)| Split {
            name,
            tag,
            tag_style,
            digest,
            is_flow,
            tag_first,
            kind,
        },
    )
}

/// Returns the text at the path of a document.
fn value<'a>(tree: &'a Tree, path: &[&str]) -> Option<&'a str> {
    let root = tree.roots().next()?;
    let step = |node: Option<Id>, key: &&str| match key.parse::<usize>() {
        Ok(index) => tree.items(node?)?.get(index).copied(),
        Err(_) => tree.get(node?, key),
    };
    tree.text(path.iter().fold(Some(root), step)?)
}

proptest! {
    #[test]
    fn values_of_charts_change(images in prop::collection::vec(split(0u8..2), 1..8), windows: bool) {
        let lines: String = images.iter().enumerate().map(|(number, one)| one.lines(number)).collect();
        let text = format!("values:\n{lines}").replace('\n', if windows { "\r\n" } else { "\n" });
        prop_assert_eq!(check(Path::new("values.yaml"), text.as_bytes()), images.len(), "{}", text);
        let after = String::from_utf8(pinned(Path::new("values.yaml"), text.as_bytes()).0).unwrap();
        let tree = Tree::parse(&after).unwrap();
        for (number, one) in images.iter().enumerate() {
            let image = if one.is_flow { "image" } else { "sideImage" };
            let part = |key: &str| value(&tree, &["values", &format!("app{number}"), image, key]);
            let digest = format!("sha256:{}", "d".repeat(64));
            if one.digest == 0 {
                let both = format!("{}@{digest}", one.tag);
                prop_assert_eq!(part("tag"), Some(both.as_str()), "{}", after);
            } else {
                prop_assert_eq!(part("tag"), Some(one.tag.as_str()), "{}", after);
                prop_assert_eq!(part("digest"), Some(digest.as_str()), "{}", after);
            }
        }
    }

    #[test]
    fn images_of_kustomize_change(images in prop::collection::vec(split(Just(2)), 1..8)) {
        let text: String = images.iter().enumerate().map(|(number, one)| one.lines(number)).collect();
        let text = format!("images:\n{text}");
        prop_assert_eq!(check(Path::new("kustomization.yaml"), text.as_bytes()), images.len(), "{}", text);
    }

    #[test]
    fn strings_of_documents_change(
        images in prop::collection::vec((image(), 0u8..6, "[ -~é]{0,20}"), 1..8), windows: bool, is_compose: bool
    ) {
        let mut lines = vec!["# b:1".to_owned()];
        lines.push(if is_compose { "services:" } else { "apiVersion: v1\nkind: Pod\nspec:" }.into());
        for (number, (image, style, comment)) in images.iter().enumerate() {
            let comment = if *style == 5 { String::new() } else { format!("  # {}", comment.replace([':', '/'], "")) };
            let value = written(image, *style, "    ").replace("!Sub ", "!tag ");
            lines.push(format!("  app{number}:\n    image:   {value}{comment}\n    args: [x/y:1, 'a:1']"));
        }
        let text = lines.join("\n").replace('\n', if windows { "\r\n" } else { "\n" });
        let name = if is_compose { "compose.yml" } else { "pod.yml" };
        prop_assert_eq!(check(Path::new(name), text.as_bytes()), images.len(), "{}", text);
    }
}

/// `tests/templates/test_images.py` reads the same files with another parser.
#[test]
fn changes_are_those_of_the_fixtures() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/structures");
    for (name, count) in [("values.yaml", 9), ("kustomization.yaml", 4), ("values.json", 4)] {
        let path = folder.join(name);
        let before = fs::read(&path).unwrap();
        assert_eq!(check(&path, &before), count, "{name}");
        let images = scan::scan(&path, &before).images;
        let mut tagged: Vec<Change> =
            images.iter().flat_map(|one| one.changes(&one.image.with_tag("1.30"))).collect();
        tagged.sort_by_key(|change| change.range.start);
        for (kind, after) in [("pinned", pinned(&path, &before).0), ("tagged", apply(&before, &tagged))] {
            let golden = folder.join(format!("{kind}-{name}"));
            if std::env::var_os("UPDATE_GOLDEN").is_some() {
                fs::write(&golden, &after).unwrap();
            }
            let golden = fs::read_to_string(&golden).unwrap();
            assert_eq!(String::from_utf8(after).unwrap(), golden, "{kind} {name}");
        }
    }
}

#[track_caller]
fn changed(text: &str, target: &str) -> String {
    let found = scan::scan(Path::new("a.yaml"), text.as_bytes()).images;
    let [one] = found.as_slice() else { panic!("{text}: {found:?}") };
    let target: RawReference = target.parse().unwrap();
    String::from_utf8(apply(text.as_bytes(), &one.changes(&target))).unwrap()
}

#[test]
fn writes_tags_and_digests_to_their_values() {
    let digest = format!("sha256:{}", "1".repeat(64));
    for (text, target, expected) in [
        ("image: {repository: a/b, tag: v1}", "a/b:1.30", "image: {repository: a/b, tag: \"1.30\"}"),
        ("image: {repository: a/b, tag: '1'}", "a/b:1.30", "image: {repository: a/b, tag: '1.30'}"),
        ("image: {repository: a/b, tag: 1}", "a/b:1@D", "image: {repository: a/b, tag: 1@D}"),
        ("image: {repository: a/b, tag: 1@O}", "a/b:2-x@D", "image: {repository: a/b, tag: 2-x@D}"),
        ("image: {repository: a/b, tag: 1@O}", "a/b:2", "image: {repository: a/b, tag: \"2\"}"),
        (
            "image: {repository: a/b, tag: 1, digest: O}",
            "a/b:1",
            "image: {repository: a/b, tag: 1, digest: \"\"}",
        ),
        (
            "image: {repository: a/b, tag: 1@O, digest: ''}",
            "a/b:1@D",
            "image: {repository: a/b, tag: \"1\", digest: 'D'}",
        ),
        (
            "image: {repository: a/b, tag: 1, digest: ~}",
            "a/b:1@D",
            "image: {repository: a/b, tag: 1, digest: D}",
        ),
        (
            "image: {repository: a/b, tag: 1, digest: , x: y}",
            "a/b:1@D",
            "image: {repository: a/b, tag: 1, digest: D , x: y}",
        ),
        (
            "image:\n  digest:\n  tag: 1\n  repository: a/b",
            "a/b:1@D",
            "image:\n  digest: D\n  tag: 1\n  repository: a/b",
        ),
        ("image: {repository: a/b, digest: O}", "a/b@D", "image: {repository: a/b, digest: D}"),
        ("image: {repository: a/b, digest: O}", "a/b:1@D", "image: {repository: a/b, tag: 1@D}"),
        ("image: {repository: a/b, tag: 1}", "a/b@D", "image: {repository: a/b, tag: 1@D}"),
        (
            "{\"image\": {\"repository\": \"a/b\", \"tag\": 1, \"digest\": null}}",
            "a/b:2@D",
            "{\"image\": {\"repository\": \"a/b\", \"tag\": \"2\", \"digest\": \"D\"}}",
        ),
        (
            "{\"images\": [{\"name\": \"b\", \"digest\": \"O\"}]}",
            "b:2",
            "{\"images\": [{\"name\": \"b\", \"newTag\": \"2\"}]}",
        ),
        (
            "images: [{name: b, newName: a/b, newTag: '1'}]",
            "a/b:1@D",
            "images: [{name: b, newName: a/b, newTag: '1@D'}]",
        ),
        ("image: a/b # c\nimageTag: 1 # d", "a/b:v2", "image: a/b # c\nimageTag: v2 # d"),
    ] {
        let complete = |text: &str| text.replace('D', &digest).replace('O', OLD_DIGEST);
        assert_eq!(changed(&complete(text), &complete(target)), complete(expected), "{text}");
    }
}
