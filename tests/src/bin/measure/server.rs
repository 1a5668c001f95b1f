//! A registry on loopback that sends arbitrary bytes: endless headers, bodies of any size that need no memory
//! here, and single bytes with pauses. HTTP libraries prevent most of these.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use aws_emulator::BoxError;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};

/// Maximum length of a request head in bytes. The clients of these tests send less than 2 KiB.
const HEAD_LIMIT: usize = 64 * 1024;

/// A part of a response.
#[derive(Clone)]
pub(super) enum Part {
    /// Bytes that are sent once. Several responses can share them.
    Bytes(Arc<Vec<u8>>),
    /// The same bytes until the client closes the connection.
    Endless(Arc<Vec<u8>>),
    /// The same bytes until the client closes the connection, with a pause before each.
    Trickle(&'static [u8], Duration),
}

impl Part {
    /// Text that is sent once.
    pub(super) fn text(text: impl Into<String>) -> Self {
        Self::Bytes(Arc::new(text.into().into_bytes()))
    }

    /// Text that is repeated endlessly, in writes of at least 64 KiB.
    pub(super) fn endless(text: &str) -> Self {
        Self::Endless(Arc::new(text.repeat(64 * 1024 / text.len() + 1).into_bytes()))
    }

    /// Returns the length of the part in bytes if it has an end.
    pub(super) fn len(&self) -> Option<usize> {
        match self {
            Self::Bytes(bytes) => Some(bytes.len()),
            Self::Endless(_) | Self::Trickle(..) => None,
        }
    }
}

/// A request without a body. Clients send no bodies to a source.
pub(super) struct Request<'a> {
    pub(super) method: &'a str,
    /// Path and query.
    pub(super) target: &'a str,
}

/// Returns the response to a request.
pub(super) type Respond = Arc<dyn Fn(&Request<'_>) -> Vec<Part> + Send + Sync>;

/// Returns a response with `Content-Length` if its body has an end. HEAD gets no body.
pub(super) fn response(method: &str, status: &str, headers: &str, body: Vec<Part>) -> Vec<Part> {
    let length: Option<usize> = body.iter().map(Part::len).sum();
    let framing = length.map_or("Connection: close\r\n".to_owned(), |n| format!("Content-Length: {n}\r\n"));
    let mut parts = vec![Part::text(format!("HTTP/1.1 {status}\r\n{headers}{framing}\r\n"))];
    if method != "HEAD" {
        parts.extend(body);
    }
    parts
}

/// The server. It stops when it is dropped.
pub(super) struct Server {
    address: SocketAddr,
    listener: AbortHandle,
}

impl Server {
    /// Starts the server. `respond` gets its host and port.
    pub(super) async fn start(respond: impl FnOnce(&str) -> Respond) -> Result<Self, BoxError> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let respond = respond(&address.to_string());
        let task = tokio::spawn(async move {
            // The set aborts the connections when it is dropped with the listener.
            let mut connections = JoinSet::new();
            loop {
                tokio::select! {
                    accepted = listener.accept() => if let Ok((stream, _)) = accepted {
                        connections.spawn(serve(stream, Arc::clone(&respond)));
                    },
                    Some(_) = connections.join_next() => {}
                }
            }
        });
        Ok(Self { address, listener: task.abort_handle() })
    }

    /// Returns host and port.
    pub(super) fn host(&self) -> String {
        self.address.to_string()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

/// Serves one connection. Most of these responses make the client close it, which is an error here.
async fn serve(mut stream: TcpStream, respond: Respond) -> std::io::Result<()> {
    let mut received = Vec::new();
    loop {
        let Some(end) = received.windows(4).position(|window| window == b"\r\n\r\n") else {
            if received.len() > HEAD_LIMIT || stream.read_buf(&mut received).await? == 0 {
                return Ok(());
            }
            continue;
        };
        let head: Vec<u8> = received.drain(..end + 4).collect();
        let head = String::from_utf8_lossy(&head);
        let mut words = head.split(' ');
        let request =
            Request { method: words.next().unwrap_or_default(), target: words.next().unwrap_or_default() };
        let parts = respond(&request);
        for part in parts {
            match part {
                Part::Bytes(bytes) => stream.write_all(&bytes).await?,
                Part::Endless(bytes) => loop {
                    stream.write_all(&bytes).await?;
                },
                Part::Trickle(bytes, pause) => loop {
                    tokio::time::sleep(pause).await;
                    stream.write_all(bytes).await?;
                },
            }
        }
    }
}
