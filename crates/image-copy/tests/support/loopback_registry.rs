//! A registry in memory on a loopback port. A test can respond to any request itself.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use image_copy::oci::{Digest, Manifest};

/// A request as the registry received it.
#[derive(Clone, Debug, Default)]
pub(crate) struct ReceivedRequest {
    pub(crate) method: String,
    /// Path and query.
    pub(crate) target: String,
    pub(crate) authorization: Option<String>,
    pub(crate) body: Vec<u8>,
    content_type: String,
}

impl ReceivedRequest {
    pub(crate) fn is(&self, method: &str, part: &str) -> bool {
        self.method == method && self.target.contains(part)
    }
}

/// Status, headers and body.
pub(crate) type Response = (u16, Vec<(&'static str, String)>, Vec<u8>);

/// Responds to a request, or returns `None` for the usual response.
type RequestHandler = dyn Fn(&ReceivedRequest) -> Option<Response> + Send + Sync;

#[derive(Default)]
struct Content {
    blobs: HashMap<String, Vec<u8>>,
    /// Media type and document by repository and tag or digest.
    manifests: HashMap<String, (String, Vec<u8>)>,
    log: Vec<ReceivedRequest>,
}

#[derive(Clone)]
pub(crate) struct LoopbackRegistry {
    pub(crate) host: String,
    content: Arc<Mutex<Content>>,
}

/// Returns a response with an error document of the specification.
pub(crate) fn error_response(status: u16, code: &str) -> Option<Response> {
    let body = format!(r#"{{"errors":[{{"code":"{code}","message":"no"}}]}}"#);
    Some((status, vec![("Content-Type", "application/json".into())], body.into()))
}

impl LoopbackRegistry {
    pub(crate) fn start() -> Self {
        Self::with_handler(|_| None)
    }

    pub(crate) fn with_handler(
        handler: impl Fn(&ReceivedRequest) -> Option<Response> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = format!("127.0.0.1:{}", listener.local_addr().unwrap().port());
        let registry = Self { host, content: Arc::default() };
        let (accepting, handler): (Self, Arc<RequestHandler>) = (registry.clone(), Arc::new(handler));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (registry, handler) = (accepting.clone(), handler.clone());
                std::thread::spawn(move || registry.serve(stream, &handler));
            }
        });
        registry
    }

    pub(crate) fn put_blob(&self, data: &[u8]) -> Digest {
        let digest = Digest::of(data);
        self.content.lock().unwrap().blobs.insert(digest.to_string(), data.to_vec());
        digest
    }

    /// Stores a document under its digest and other names of the repository.
    pub(crate) fn put_manifest(
        &self,
        repository: &str,
        media_type: &str,
        document: &str,
        names: &[&str],
    ) -> Digest {
        let digest = Digest::of(document.as_bytes());
        let mut content = self.content.lock().unwrap();
        for name in names.iter().copied().chain([digest.as_str()]) {
            let value = (media_type.to_owned(), document.as_bytes().to_vec());
            content.manifests.insert(format!("{repository}/{name}"), value);
        }
        digest
    }

    /// Returns the document under a tag or digest.
    pub(crate) fn manifest(&self, repository: &str, name: &str) -> Option<Vec<u8>> {
        Some(self.content.lock().unwrap().manifests.get(&format!("{repository}/{name}"))?.1.clone())
    }

    pub(crate) fn has_blob(&self, digest: &str) -> bool {
        self.content.lock().unwrap().blobs.contains_key(digest)
    }

    /// Returns the requests since the last call, without probes of `/v2/`.
    pub(crate) fn take_log(&self) -> Vec<String> {
        let log = std::mem::take(&mut self.content.lock().unwrap().log);
        log.iter()
            .filter(|one| one.target != "/v2/")
            .map(|one| format!("{} {}", one.method, one.target))
            .collect()
    }

    /// Returns the `Authorization` headers since the last call, without probes of `/v2/`.
    pub(crate) fn take_authorizations(&self) -> Vec<Option<String>> {
        let log = std::mem::take(&mut self.content.lock().unwrap().log);
        log.into_iter().filter(|one| one.target != "/v2/").map(|one| one.authorization).collect()
    }

    fn serve(&self, stream: TcpStream, handler: &Arc<RequestHandler>) {
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        while let Some(request) = read(&mut reader) {
            let response = handler(&request).unwrap_or_else(|| self.respond(&request));
            let is_head = request.method == "HEAD";
            self.content.lock().unwrap().log.push(request);
            if write(&stream, &response, is_head).is_none() {
                return;
            }
        }
    }

    fn respond(&self, request: &ReceivedRequest) -> Response {
        let mut content = self.content.lock().unwrap();
        let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
        let path = path.strip_prefix("/v2/").unwrap_or_default();
        let missing = |code| error_response(404, code).unwrap();
        if path.is_empty() {
            return (200, Vec::new(), b"{}".to_vec());
        }
        if let Some((repository, session)) = path.split_once("/blobs/uploads/") {
            if request.method == "POST" {
                let location = format!("/v2/{repository}/blobs/uploads/one?state=a");
                return (202, vec![("Location", location)], Vec::new());
            }
            let digest = query.split('&').find_map(|pair| pair.strip_prefix("digest="));
            let digest = digest.unwrap_or_default().replace("%3A", ":");
            let actual = Digest::of(&request.body).to_string();
            if request.method != "PUT"
                || session.is_empty()
                || (digest.starts_with("sha256:") && digest != actual)
            {
                return error_response(400, "DIGEST_INVALID").unwrap();
            }
            content.blobs.insert(digest, request.body.clone());
            return (201, Vec::new(), Vec::new());
        }
        if let Some((_, digest)) = path.split_once("/blobs/") {
            return match content.blobs.get(digest) {
                Some(data) => (200, Vec::new(), data.clone()),
                None => missing("BLOB_UNKNOWN"),
            };
        }
        let Some((repository, name)) = path.split_once("/manifests/") else { return missing("UNSUPPORTED") };
        if request.method == "PUT" {
            let value = (request.content_type.clone(), request.body.clone());
            let digest = Digest::of(&request.body);
            content.manifests.insert(format!("{repository}/{digest}"), value.clone());
            content.manifests.insert(format!("{repository}/{name}"), value);
            return (201, Vec::new(), Vec::new());
        }
        match content.manifests.get(&format!("{repository}/{name}")) {
            Some((media_type, document)) => {
                let digest = Digest::of(document).to_string();
                let headers = vec![("Content-Type", media_type.clone()), ("Docker-Content-Digest", digest)];
                (200, headers, document.clone())
            }
            None => missing("MANIFEST_UNKNOWN"),
        }
    }

    /// Stores an image with `layers`, and returns its manifest.
    pub(crate) fn image(&self, repository: &str, layers: &[&[u8]], names: &[&str]) -> Manifest {
        let config = br#"{"os":"linux","architecture":"amd64"}"#;
        let config = format!(
            r#"{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{}","size":{}}}"#,
            self.put_blob(config),
            config.len()
        );
        let layers: Vec<String> = layers
            .iter()
            .map(|layer| {
                format!(r#"{{"mediaType":"a/l","digest":"{}","size":{}}}"#, self.put_blob(layer), layer.len())
            })
            .collect();
        self.image_of(repository, &config, &layers.join(","), names)
    }

    /// Stores an image with these descriptors, and returns its manifest.
    pub(crate) fn image_of(&self, repository: &str, config: &str, layers: &str, names: &[&str]) -> Manifest {
        let media_type = image_copy::oci::media_type::OCI_MANIFEST;
        let document = format!(
            r#"{{"schemaVersion":2,"mediaType":"{media_type}","config":{config},"layers":[{layers}]}}"#
        );
        self.put_manifest(repository, media_type, &document, names);
        Manifest::parse(document.into(), Some(media_type)).unwrap()
    }

    /// Stores an index of the children with their platforms, and returns it.
    pub(crate) fn index(&self, repository: &str, children: &[(&Manifest, &str)], names: &[&str]) -> Manifest {
        let media_type = image_copy::oci::media_type::OCI_INDEX;
        let entries: Vec<String> = children
            .iter()
            .map(|(child, platform)| {
                let (os, architecture) = platform.split_once('/').unwrap();
                format!(
                    r#"{{"mediaType":"{}","digest":"{}","size":{},"platform":{{"os":"{os}","architecture":"{architecture}"}}}}"#,
                    child.media_type,
                    child.digest,
                    child.bytes.len()
                )
            })
            .collect();
        let document = format!(
            r#"{{"schemaVersion":2,"mediaType":"{media_type}","manifests":[{}]}}"#,
            entries.join(",")
        );
        self.put_manifest(repository, media_type, &document, names);
        Manifest::parse(document.into(), Some(media_type)).unwrap()
    }
}

fn read(reader: &mut BufReader<TcpStream>) -> Option<ReceivedRequest> {
    let line = |reader: &mut BufReader<TcpStream>| {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|length| *length > 0)?;
        Some(line.trim_end().to_owned())
    };
    let first = line(reader)?;
    let mut words = first.split(' ');
    let mut request = ReceivedRequest {
        method: words.next()?.to_owned(),
        target: words.next()?.to_owned(),
        ..ReceivedRequest::default()
    };
    let mut length = 0;
    loop {
        let header = line(reader)?;
        if header.is_empty() {
            break;
        }
        let (name, value) = header.split_once(':')?;
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse().ok()?,
            "content-type" => request.content_type = value.trim().to_owned(),
            "authorization" => request.authorization = Some(value.trim().to_owned()),
            _ => {}
        }
    }
    request.body = vec![0; length];
    reader.read_exact(&mut request.body).ok()?;
    Some(request)
}

fn write(mut stream: &TcpStream, (status, headers, body): &Response, is_head: bool) -> Option<()> {
    let mut head = format!("HTTP/1.1 {status} x\r\nContent-Length: {}\r\n", body.len());
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    stream.write_all((head + "\r\n").as_bytes()).ok()?;
    if is_head { Some(()) } else { stream.write_all(body).ok() }
}
