//! Paths and errors of the OCI distribution specification.

use http::Method;
use serde_json::json;

use crate::service::{Response, json_response};

/// Endpoint that a path under `/v2/` names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    Ping,
    Manifest { repository: String, reference: String },
    Blob { repository: String, digest: String },
    Uploads { repository: String },
    Upload { repository: String, session: String },
    Tags { repository: String },
    Referrers { repository: String, digest: String },
    Unknown,
}

impl Route {
    /// Parses a path from its end, because repository names contain slashes.
    pub(crate) fn parse(path: &str) -> Self {
        let Some(rest) = path.strip_prefix("/v2") else {
            return Self::Unknown;
        };
        let rest = rest.trim_start_matches('/');
        if rest.is_empty() {
            return Self::Ping;
        }
        if let Some(repository) = rest.strip_suffix("/tags/list") {
            return Self::Tags { repository: repository.to_owned() };
        }
        if let Some((repository, session)) = rest.split_once("/blobs/uploads") {
            let repository = repository.to_owned();
            return match session.trim_matches('/') {
                "" => Self::Uploads { repository },
                session => Self::Upload { repository, session: session.to_owned() },
            };
        }
        let mut parts = rest.rsplitn(3, '/');
        let (last, kind, repository) = (parts.next(), parts.next(), parts.next());
        let (Some(last), Some(repository)) = (last, repository) else {
            return Self::Unknown;
        };
        let (repository, last) = (repository.to_owned(), last.to_owned());
        match kind {
            Some("manifests") => Self::Manifest { repository, reference: last },
            Some("blobs") => Self::Blob { repository, digest: last },
            Some("referrers") => Self::Referrers { repository, digest: last },
            _ => Self::Unknown,
        }
    }

    /// Returns the repository in the path.
    pub(crate) fn repository(&self) -> Option<&str> {
        match self {
            Self::Ping | Self::Unknown => None,
            Self::Manifest { repository, .. }
            | Self::Blob { repository, .. }
            | Self::Uploads { repository }
            | Self::Upload { repository, .. }
            | Self::Tags { repository }
            | Self::Referrers { repository, .. } => Some(repository),
        }
    }

    /// Returns the operation's name in the log and in faults.
    pub(crate) fn operation(&self, method: &Method) -> &'static str {
        match (self, method.as_str()) {
            (Self::Ping, _) => "ping",
            (Self::Manifest { .. }, "HEAD") => "manifest.head",
            (Self::Manifest { .. }, "GET") => "manifest.get",
            (Self::Manifest { .. }, "PUT") => "manifest.put",
            (Self::Manifest { .. }, "DELETE") => "manifest.delete",
            (Self::Blob { .. }, "HEAD") => "blob.head",
            (Self::Blob { .. }, "GET") => "blob.get",
            (Self::Uploads { .. }, "POST") => "upload.start",
            (Self::Upload { .. }, "PATCH") => "upload.patch",
            (Self::Upload { .. }, "PUT") => "upload.put",
            (Self::Upload { .. }, "DELETE") => "upload.delete",
            (Self::Tags { .. }, "GET") => "tags.list",
            (Self::Referrers { .. }, "GET") => "referrers",
            _ => "unknown",
        }
    }
}

/// Returns an error response in the format of the distribution specification.
pub(crate) fn error_response(status: u16, code: &str, message: &str) -> Response {
    json_response(status, &json!({"errors": [{"code": code, "message": message}]}))
}

/// Returns a page of a tag list, with a `Link` header if more tags follow.
pub(crate) fn tag_page(
    mut tags: Vec<String>,
    repository: &str,
    count: Option<usize>,
    last: Option<String>,
) -> Response {
    tags.sort();
    tags.retain(|tag| last.as_ref().is_none_or(|last| tag > last));
    let count = count.unwrap_or(1000);
    let more = tags.len() > count;
    tags.truncate(count);
    let mut response = json_response(200, &json!({"name": repository, "tags": tags}));
    if let (true, Some(last)) = (more, tags.last()) {
        let link = format!("</v2/{repository}/tags/list?n={count}&last={last}>; rel=\"next\"");
        response.headers_mut().insert("link", link.parse().expect("tags are plain text"));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_paths() {
        let text = str::to_owned;
        for (path, route) in [
            ("/v2", Route::Ping),
            ("/v2/", Route::Ping),
            ("/v2/a/b/manifests/x", Route::Manifest { repository: text("a/b"), reference: text("x") }),
            ("/v2/a/blobs/sha256:1", Route::Blob { repository: text("a"), digest: text("sha256:1") }),
            ("/v2/a/b/blobs/uploads/", Route::Uploads { repository: text("a/b") }),
            ("/v2/a/blobs/uploads/s1", Route::Upload { repository: text("a"), session: text("s1") }),
            ("/v2/a/b/c/tags/list", Route::Tags { repository: text("a/b/c") }),
            ("/v2/a", Route::Unknown),
            ("/v1/a/manifests/x", Route::Unknown),
        ] {
            assert_eq!(Route::parse(path), route, "{path}");
        }
    }
}
