//! Referrers of a manifest, in the different ways of registries.

use serde_json::{Value, json};

use crate::body::full;
use crate::image::{Image, Manifest, OCI_INDEX};
use crate::service::{Request, Response, response};

use super::Registry;
use super::profile::Profile;
use super::store::{RepositoryContent, State};

/// Redirect target for unknown paths.
pub(super) const LOGIN_PAGE: &str = "/login";

/// Default number of entries on a page.
const PAGE: usize = 100;

/// Support of referrers
/// (<https://github.com/opencontainers/distribution-spec/blob/main/spec.md#listing-referrers>).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReferrersSupport {
    /// The registry has the referrers API.
    Api,
    /// The registry returns 404. Clients store the list under a fallback tag.
    FallbackTag,
    /// The registry returns 404, and resolves the fallback tag to the manifest with that digest, as GitLab did
    /// (<https://github.com/oras-project/oras/issues/2148>).
    DigestTag,
    /// The registry redirects to a login page for people.
    LoginPage,
}

/// Settings that a test can change.
#[derive(Default)]
pub(super) struct Settings {
    support: Option<ReferrersSupport>,
    page: Option<usize>,
}

impl Settings {
    pub(super) fn support(&self, profile: &Profile) -> ReferrersSupport {
        self.support.unwrap_or(profile.referrers)
    }
}

impl Registry {
    /// Sets the support of referrers instead of the profile's.
    pub fn set_referrers(&self, support: ReferrersSupport) {
        self.lock().referrers.support = Some(support);
    }

    /// Sets the number of entries on a page of referrers.
    pub fn set_referrers_page(&self, entries: usize) {
        self.lock().referrers.page = Some(entries);
    }

    /// Stores an artifact without a tag. If the registry has no referrers API, adds the artifact to the
    /// list under the fallback tag, as clients do.
    pub fn put_referrer(&self, repository: &str, artifact: &Image) {
        for blob in &artifact.blobs {
            self.put_blob(repository, blob.clone());
        }
        for manifest in &artifact.manifests {
            self.put_manifest(repository, manifest.clone());
        }
        let root = artifact.root();
        let subject = root.document()["subject"]["digest"].as_str().map(list_tag);
        let (Some(tag), false) =
            (subject, self.lock().referrers.support(&self.profile) == ReferrersSupport::Api)
        else {
            return;
        };
        let mut state = self.lock();
        let content = state.repositories.entry(repository.to_owned()).or_default();
        let mut entries = match content.manifest(&tag) {
            Some(list) => list.document()["manifests"].as_array().cloned().unwrap_or_default(),
            None => Vec::new(),
        };
        entries.push(entry(root));
        let list = Manifest::new(index(&entries).to_string(), OCI_INDEX);
        content.tags.insert(tag, list.digest.clone());
        content.manifests.insert(list.digest.clone(), list);
    }
}

/// Returns the fallback tag of a digest.
fn list_tag(digest: &str) -> String {
    digest.replacen(':', "-", 1)
}

/// Returns the entry of an artifact in a list.
pub(crate) fn entry(manifest: &Manifest) -> Value {
    let document = manifest.document();
    let mut entry = manifest.descriptor();
    let artifact_type = document.get("artifactType").or_else(|| document.pointer("/config/mediaType"));
    for (name, value) in [("artifactType", artifact_type), ("annotations", document.get("annotations"))] {
        if let Some(value) = value {
            entry[name] = value.clone();
        }
    }
    entry
}

fn index(entries: &[Value]) -> Value {
    json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries})
}

/// Returns a page of a list, filtered by the artifact type in the request.
pub(crate) fn list(mut entries: Vec<Value>, size: usize, request: &Request) -> Response {
    let filter = request.query("artifactType");
    if let Some(wanted) = &filter {
        entries.retain(|entry| entry["artifactType"] == wanted.as_str());
    }
    entries.sort_by_key(|entry| entry["digest"].as_str().map(ToOwned::to_owned));
    let start = request.query("last").and_then(|last| last.parse().ok()).unwrap_or(0);
    let end = entries.len().min(start + size);
    let mut response =
        response(200, &[("content-type", OCI_INDEX)], full(index(&entries[start.min(end)..end]).to_string()));
    if end < entries.len() {
        let link = format!("<{}?last={end}>; rel=\"next\"", request.path());
        response.headers_mut().insert("link", link.parse().expect("paths are plain text"));
    }
    if filter.is_some() {
        response.headers_mut().insert("oci-filters-applied", http::HeaderValue::from_static("artifactType"));
    }
    response
}

/// Handles a request to the referrers API.
pub(super) fn serve(
    state: &State,
    profile: &Profile,
    request: &Request,
    (repository, digest): (&str, &str),
) -> Response {
    match state.referrers.support(profile) {
        ReferrersSupport::Api => {
            let content = state.repositories.get(repository);
            let manifests = content.into_iter().flat_map(|content| content.manifests.values());
            let referring = manifests.filter(|manifest| manifest.document()["subject"]["digest"] == digest);
            list(referring.map(entry).collect(), state.referrers.page.unwrap_or(PAGE), request)
        }
        ReferrersSupport::LoginPage => response(303, &[("location", LOGIN_PAGE)], full("")),
        ReferrersSupport::FallbackTag | ReferrersSupport::DigestTag => {
            response(404, &[("content-type", "text/plain")], full("404 page not found\n"))
        }
    }
}

/// Returns the login page for people.
pub(super) fn login_page() -> Response {
    response(
        200,
        &[("content-type", "text/html; charset=utf-8")],
        full("<html><body>Sign in</body></html>\n"),
    )
}

/// Returns the manifest of a tag or digest. With [`ReferrersSupport::DigestTag`], a fallback tag also
/// resolves.
pub(super) fn resolve<'a>(
    state: &'a State,
    profile: &Profile,
    content: &'a RepositoryContent,
    reference: &str,
) -> Option<&'a Manifest> {
    let found = content.manifest(reference);
    if found.is_some() || state.referrers.support(profile) != ReferrersSupport::DigestTag {
        return found;
    }
    content.manifest(&reference.replacen('-', ":", 1))
}
