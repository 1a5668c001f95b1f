//! The hostile inputs.

use std::fmt::Write as _;
use std::sync::Arc;

use aws_emulator::{Blob, Image, Manifest};
use serde_json::{Value, json};

use super::responses::{responses, trickles};
use super::server::{Part, Request, Respond, response};
use super::store::{IMAGE, INDEX, MANIFEST_LIMIT, Store, image};

/// One hostile input.
pub(super) struct HostileCase {
    pub(super) name: &'static str,
    /// Additional properties of the resource.
    pub(super) properties: Value,
    pub(super) respond: Box<dyn FnOnce(&str) -> Respond + Send>,
    /// Image in the destination under the tag.
    pub(super) held: Option<Image>,
    /// True if the reference has the digest of `held` instead of a tag.
    pub(super) by_digest: bool,
}

/// Returns a case whose registry has this content.
pub(super) fn with_content(name: &'static str, fill: fn(&mut Store)) -> HostileCase {
    with_responses(name, fill, |_, _| None)
}

/// Returns a case whose registry has this content, and other responses to some requests. `other` gets the
/// request and the registry's host.
pub(super) fn with_responses(
    name: &'static str,
    fill: fn(&mut Store),
    other: fn(&Request<'_>, &str) -> Option<Vec<Part>>,
) -> HostileCase {
    let respond = move |host: &str| -> Respond {
        let (mut store, host) = (Store::default(), host.to_owned());
        fill(&mut store);
        Arc::new(move |request| other(request, &host).unwrap_or_else(|| store.respond(request)))
    };
    HostileCase { name, properties: json!({}), respond: Box::new(respond), held: None, by_digest: false }
}

impl HostileCase {
    fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.properties[name] = value.into();
        self
    }

    fn holding(mut self, image: Image, by_digest: bool) -> Self {
        (self.held, self.by_digest) = (Some(image), by_digest);
        self
    }
}

/// All hostile inputs.
pub(super) fn cases() -> Vec<HostileCase> {
    let referrers = |case: HostileCase| case.with("IncludeReferrers", "true");
    let platforms: Vec<_> = (0..100_000).map(|number| format!("a/{number}")).collect();
    // Cases that only wait start first, so that the others use the CPU in the meantime.
    let mut cases = trickles();
    cases.extend(responses());
    cases.extend(manifests());
    cases.extend([
        referrers(with_responses("referrers: an endless list", small, endless_referrers)),
        referrers(with_responses("referrers: endless pages", small, pages_of_referrers)),
        referrers(with_content("referrers: 1000 of 4 MiB", |store| {
            let subject = store.add_small_image();
            let text =
                image(0, MANIFEST_LIMIT).replacen('{', &format!(r#"{{"subject":{},"#, subject.json()), 1);
            let referrers = store.add_family(IMAGE, &text, 1000);
            store.set_referrers(&referrers);
            store.root = subject.digest;
        })),
        with_content("Platform with 100,000 entries", small).with("Platform", platforms.clone()),
        with_content("Platform with 100,000 entries in a string", small)
            .with("Platform", platforms.join(",")),
        with_content("destination: 40 children of 4 MiB by digest", small).holding(children(40), true),
        with_content("destination: 40 children of 4 MiB by tag", small).holding(children(40), false),
    ]);
    cases
}

fn manifests() -> Vec<HostileCase> {
    vec![
        with_content("index: 1000 children of 4 MiB", |store| {
            let children = store.add_family(IMAGE, &image(0, MANIFEST_LIMIT), 1000);
            store.add_index(&children);
        }),
        with_content("index: 1000 children of 4 MiB, one platform", |store| {
            let children = store.add_family(IMAGE, &image(0, MANIFEST_LIMIT), 1000);
            store.add_index(&children);
        })
        .with("Platform", "linux/amd64"),
        with_content("index: 1000 children of 4 MiB, as 1 byte each", |store| {
            let mut children = store.add_family(IMAGE, &image(0, MANIFEST_LIMIT), 1000);
            children.iter_mut().for_each(|child| child.size = 1);
            store.add_index(&children);
        }),
        with_content("index: 3 children with 4 MiB of urls", |store| {
            let children = store.add_family(IMAGE, &image_with_urls(), 3);
            store.add_index(&children);
        }),
        with_content("index: 3 children with 4 MiB of annotations", |store| {
            let children = store.add_family(IMAGE, &annotated(&image(0, 0)), 3);
            store.add_index(&children);
        }),
        with_content("index: 100 children with 36,000 layers", |store| {
            let children = store.add_family(IMAGE, &image(36_000, 0), 100);
            store.add_index(&children);
        }),
        with_content("image: 36,000 layers", |store| {
            store.add(IMAGE, &image(36_000, 0));
        }),
        with_content("index: 27,000 entries", |store| {
            store.add(INDEX, &index_text(27_000));
        }),
        with_content("index: 27,000 entries, one platform", |store| {
            store.add(INDEX, &index_text(27_000));
        })
        .with("Platform", "linux/amd64"),
        with_content("index: 90 indexes of 27,000 entries", |store| {
            let indexes = store.add_family(INDEX, &index_text(27_000), 90);
            store.add_index(&indexes);
        }),
        with_content("index: 1000 levels", |store| {
            let mut pointer = store.add_small_image();
            for _ in 0..1000 {
                pointer = store.add_index(&[pointer]);
            }
        }),
        with_content("index: 2 million nested brackets", |store| {
            let (open, close) = ("[".repeat(2_000_000), "]".repeat(2_000_000));
            store.add(INDEX, &format!(r#"{{"schemaVersion":2,"manifests":[],"x":{open}{close}}}"#));
        }),
        with_content("image: annotations of 4 MiB", |store| {
            store.add(IMAGE, &annotated(&image(0, 0)));
        }),
        with_content("index: annotations of 4 MiB", |store| {
            store.add(INDEX, &annotated(&index_text(1)));
        }),
        with_content("index: 4 MiB of annotations of an entry", |store| {
            let annotations = filled(r#""{:x}":"""#);
            let entry = format!(r#"{},"annotations":{{{annotations}}}}}"#, entry_without_end());
            store
                .add(INDEX, &format!(r#"{{"schemaVersion":2,"mediaType":"{INDEX}","manifests":[{entry}]}}"#));
        }),
        with_content("index: 4 MiB of features of a platform", |store| {
            let features = filled(r#""""#);
            let platform = format!(r#"{{"os":"linux","architecture":"a","os.features":[{features}]}}"#);
            let entry = format!(r#"{},"platform":{platform}}}"#, entry_without_end());
            store
                .add(INDEX, &format!(r#"{{"schemaVersion":2,"mediaType":"{INDEX}","manifests":[{entry}]}}"#));
        }),
        with_content("image: 4 MiB of urls of a layer", |store| {
            store.add(IMAGE, &image_with_urls());
        }),
        with_responses("image: an endless config", large_config, |request, _| {
            let endless = vec![Part::text(r#"{"os":"linux","architecture":"#), Part::endless(" ")];
            request.target.contains("/blobs/").then(|| response(request.method, "200 OK", "", endless))
        })
        .with("Platform", "linux/amd64"),
        with_responses("manifest: endless", small, |request, _| {
            let manifest = request.target.contains("/manifests/") && request.method == "GET";
            manifest.then(|| response("GET", "200 OK", "", vec![Part::text("{"), Part::endless(" ")]))
        }),
    ]
}

/// Stores an image that can be copied.
pub(super) fn small(store: &mut Store) {
    store.add_small_image();
}

/// Stores an image whose config has 64 MiB according to its descriptor.
fn large_config(store: &mut Store) {
    let digest = format!("sha256:{}", "2".repeat(64));
    let config = json!({
        "mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest, "size": 64 * 1024 * 1024,
    });
    store.add(
        IMAGE,
        &json!({"schemaVersion": 2, "mediaType": IMAGE, "config": config, "layers": []}).to_string(),
    );
}

/// Returns an index with this many entries of about 150 bytes.
fn index_text(entries: usize) -> String {
    let mut text = format!(r#"{{"schemaVersion":2,"mediaType":"{INDEX}","manifests":["#);
    for number in 0..entries {
        let comma = if number == 0 { "" } else { "," };
        // Writing to a string cannot fail.
        let _ = write!(text, r#"{comma}{{"mediaType":"{IMAGE}","digest":"sha256:{number:064x}","size":1}}"#);
    }
    text + "]}"
}

/// Returns the document with as many short annotations as a manifest can have.
fn annotated(text: &str) -> String {
    let text = text.strip_suffix('}').unwrap_or(text);
    let text = text.split(r#","annotations""#).next().unwrap_or(text);
    format!(r#"{text},"annotations":{{{}}}}}"#, filled(r#""{:x}":"""#))
}

/// Returns as many items of a JSON list or object as a manifest can have. `{:x}` is replaced by the number.
fn filled(item: &str) -> String {
    let mut items = String::new();
    let mut number = 0;
    while items.len() + 1024 < MANIFEST_LIMIT {
        let comma = if number == 0 { "" } else { "," };
        items += comma;
        items += &item.replace("{:x}", &format!("{number:x}"));
        number += 1;
    }
    items
}

/// Returns an image manifest whose only layer has as many URLs as a manifest can have.
fn image_with_urls() -> String {
    let urls = format!(r#""size":1,"urls":[{}]}}]"#, filled(r#""""#));
    image(1, 0).replacen(r#""size":1}]"#, &urls, 1)
}

/// Returns an entry of an index without its last brace.
fn entry_without_end() -> String {
    format!(r#"{{"mediaType":"{IMAGE}","digest":"sha256:{}","size":1"#, "1".repeat(64))
}

/// One entry of a list of referrers.
const REFERRER: &str = concat!(
    r#"{"mediaType":"application/vnd.oci.image.manifest.v1+json","size":1,"digest":"sha256:"#,
    r#"1111111111111111111111111111111111111111111111111111111111111111"},"#
);

fn endless_referrers(request: &Request<'_>, _: &str) -> Option<Vec<Part>> {
    let body = vec![Part::text(r#"{"schemaVersion":2,"manifests":["#), Part::endless(REFERRER)];
    let headers = format!("Content-Type: {INDEX}\r\n");
    request.target.contains("/referrers/").then(|| response(request.method, "200 OK", &headers, body))
}

fn pages_of_referrers(request: &Request<'_>, _: &str) -> Option<Vec<Part>> {
    let (path, query) = request.target.split_once('?').unwrap_or((request.target, "last=0"));
    let page: usize = query.rsplit('=').next().and_then(|page| page.parse().ok()).unwrap_or_default();
    if !path.contains("/referrers/") {
        return None;
    }
    let mut text = String::from(r#"{"schemaVersion":2,"manifests":["#);
    for number in 0..20_000 {
        let comma = if number == 0 { "" } else { "," };
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            r#"{comma}{{"mediaType":"{IMAGE}","digest":"sha256:{page:032x}{number:032x}","size":1}}"#
        );
    }
    let headers = format!("Content-Type: {INDEX}\r\nLink: <{path}?last={}>; rel=\"next\"\r\n", page + 1);
    Some(response(request.method, "200 OK", &headers, vec![Part::text(text + "]}")]))
}

/// Returns an index with children of 4 MiB.
fn children(count: usize) -> Image {
    // ECR rejects images without layers, and images with missing blobs.
    let blobs = vec![Blob::bytes("{}"), Blob::bytes("layer")];
    let [config, layer] = [0, 1]
        .map(|at: usize| json!({"mediaType": "a/b", "digest": blobs[at].digest(), "size": blobs[at].size()}));
    let padding = "x".repeat(MANIFEST_LIMIT - 1024);
    let child = |number| {
        let document = json!({
            "schemaVersion": 2,
            "mediaType": IMAGE,
            "config": config,
            "layers": [layer],
            "annotations": {"padding": padding, "number": format!("{number}")},
        });
        Manifest::new(document.to_string(), IMAGE)
    };
    let mut manifests: Vec<_> = (0..count).map(child).collect();
    let entries: Vec<_> = manifests.iter().map(Manifest::descriptor).collect();
    let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries});
    manifests.push(Manifest::new(index.to_string(), INDEX));
    Image { manifests, blobs }
}
