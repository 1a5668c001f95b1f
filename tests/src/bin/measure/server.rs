//! A registry on loopback that writes any bytes as its response: endless headers, bodies of any size that take
//! no memory here, and single bytes with pauses. An HTTP library would prevent most of these.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use aws_emulator::BoxError;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};

/// Longest request head, in bytes. The clients of these tests send less than 2 KiB.
const HEAD_LIMIT: usize = 64 * 1024;

/// A part of a response, in the order in which they are sent.
#[derive(Clone)]
pub(super) enum Part {
    /// These bytes, which several responses can share.
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

    /// Bytes in this part, if it has an end.
    pub(super) fn len(&self) -> Option<usize> {
        match self {
            Self::Bytes(bytes) => Some(bytes.len()),
            Self::Endless(_) | Self::Trickle(..) => None,
        }
    }
}

/// A request without its body; no client here sends one to a source.
pub(super) struct Request<'a> {
    pub(super) method: &'a str,
    /// Path and query.
    pub(super) target: &'a str,
}

/// Determines the response to each request.
pub(super) type Respond = Arc<dyn Fn(&Request<'_>) -> Vec<Part> + Send + Sync>;

/// A response with a head, and with `Content-Length` if its body has an end. The body is left out for HEAD.
pub(super) fn response(method: &str, status: &str, headers: &str, body: Vec<Part>) -> Vec<Part> {
    let length: Option<usize> = body.iter().map(Part::len).sum();
    let framing = length.map_or("Connection: close\r\n".to_owned(), |n| format!("Content-Length: {n}\r\n"));
    let mut parts = vec![Part::text(format!("HTTP/1.1 {status}\r\n{headers}{framing}\r\n"))];
    if method != "HEAD" {
        parts.extend(body);
    }
    parts
}

/// The server; it ends when it is dropped.
pub(super) struct Server {
    address: SocketAddr,
    listener: AbortHandle,
}

impl Server {
    /// Starts it. `respond` is made with the server's own host and port.
    pub(super) async fn start(respond: impl FnOnce(&str) -> Respond) -> Result<Self, BoxError> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let respond = respond(&address.to_string());
        let task = tokio::spawn(async move {
            // Connections end with the listener: the set aborts them when it is dropped.
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

    /// Host and port.
    pub(super) fn host(&self) -> String {
        self.address.to_string()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

/// Serves one connection. An error is a client that closed it, which most of these responses lead to.
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
