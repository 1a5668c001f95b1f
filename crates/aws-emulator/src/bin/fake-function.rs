//! A Lambda function for the tests of the emulator.
//!
//! It uses the Runtime API and responds to CloudFormation with nothing but sockets and TLS. The properties
//! `Create`, `Update` and `Delete` name the behaviour for that request type. The default is `succeed`. `Id`
//! is the physical ID, and `File` a file to wait for.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::{Value, json};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> Result<()> {
    if std::env::var_os("FAKE_EXIT_AT_START").is_some() {
        std::process::exit(3);
    }
    let api = std::env::var("AWS_LAMBDA_RUNTIME_API")?;
    loop {
        let (head, event) = call(&api, "GET", "invocation/next", "")?;
        let id = header(&head, "lambda-runtime-aws-request-id").ok_or("no request id")?;
        println!("{}", json!({ "message": "event", "requestId": id }));
        let event: Value = serde_json::from_str(&event)?;
        let end = if behave(&event)? { "response" } else { "error" };
        call(
            &api,
            "POST",
            &format!("invocation/{id}/{end}"),
            "{\"errorMessage\":\"requested by the event\"}",
        )?;
    }
}

/// Performs the behaviour in the event. Returns true if the invocation succeeds.
fn behave(event: &Value) -> Result<bool> {
    let properties = &event["ResourceProperties"];
    let kind = event["RequestType"].as_str().unwrap_or_default();
    let file = Path::new(properties["File"].as_str().unwrap_or_default());
    match properties[kind].as_str().unwrap_or("succeed") {
        "succeed" => put(event, &success(event))?,
        "fail" => put(event, &failure(event))?,
        "null-reason" => put(event, &with(success(event), "Reason", Value::Null))?,
        "wrong-request" => put(event, &with(success(event), "RequestId", json!("another")))?,
        "no-id" => put(event, &with(failure(event), "PhysicalResourceId", json!("")))?,
        "twice" => {
            put(event, &success(event))?;
            put(event, &failure(event))?;
        }
        "wait" => {
            while !file.exists() {
                std::thread::sleep(Duration::from_millis(2));
            }
            put(event, &success(event))?;
        }
        "exit-once" if !file.exists() => {
            std::fs::write(file, "")?;
            std::process::exit(7);
        }
        "exit-once" => put(event, &success(event))?,
        "exit" => std::process::exit(7),
        "error" => return Ok(false),
        "environment" => {
            let names: Vec<String> = std::env::vars().map(|(name, _)| name).collect();
            println!("{}", json!({ "environment": names }));
            put(event, &success(event))?;
        }
        "hang" => loop {
            std::thread::park();
        },
        other => return Err(format!("unknown behaviour {other}").into()),
    }
    Ok(true)
}

fn success(event: &Value) -> Value {
    let properties = &event["ResourceProperties"];
    let given = event.get("PhysicalResourceId").unwrap_or(&event["LogicalResourceId"]);
    // The response to a Delete has the same ID as its request.
    let id = properties.get("Id").filter(|_| event["RequestType"] != "Delete").unwrap_or(given);
    json!({
        "Status": "SUCCESS", "PhysicalResourceId": id, "StackId": event["StackId"],
        "RequestId": event["RequestId"], "LogicalResourceId": event["LogicalResourceId"],
        "Data": { "Id": id, "Value": properties.get("Value").cloned().unwrap_or(json!("")) },
    })
}

fn failure(event: &Value) -> Value {
    let created = json!("create-failed");
    let id = event.get("PhysicalResourceId").unwrap_or(&created).clone();
    let response = with(success(event), "PhysicalResourceId", id);
    with(with(response, "Status", json!("FAILED")), "Reason", json!("requested by the event"))
}

fn with(mut object: Value, field: &str, value: Value) -> Value {
    object[field] = value;
    object
}

/// Calls the Runtime API, and returns head and body of the response.
fn call(api: &str, method: &str, path: &str, body: &str) -> Result<(Vec<String>, String)> {
    let path = format!("/2018-06-01/runtime/{path}");
    exchange(TcpStream::connect(api)?, api, method, &path, body)
}

/// Sends a response to the event's URL through the proxy.
fn put(event: &Value, response: &Value) -> Result<()> {
    let url = event["ResponseURL"].as_str().ok_or("no response URL")?;
    let rest = url.strip_prefix("https://").ok_or("not HTTPS")?;
    let (host, path) = rest.split_once('/').ok_or("no path")?;
    let proxy = std::env::var("HTTPS_PROXY")?;
    let mut tcp = TcpStream::connect(proxy.trim_start_matches("http://"))?;
    write!(tcp, "CONNECT {host}:443 HTTP/1.1\r\nhost: {host}:443\r\n\r\n")?;
    let mut opened = Vec::new();
    while !opened.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        tcp.read_exact(&mut byte)?;
        opened.push(byte[0]);
    }
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(std::env::var("SSL_CERT_FILE")?)? {
        roots.add(certificate?)?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(host.to_owned())?;
    let tls = StreamOwned::new(ClientConnection::new(Arc::new(config), name)?, tcp);
    let (head, body) = exchange(tls, host, "PUT", &format!("/{path}"), &response.to_string())?;
    println!("{}", json!({ "message": "responded", "status": head.first(), "body": body }));
    Ok(())
}

/// Sends one request over a connection of its own.
fn exchange(
    mut stream: impl Read + Write,
    host: &str,
    method: &str,
    path: &str,
    body: &str,
) -> Result<(Vec<String>, String)> {
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\
         content-length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes())?;
    stream.flush()?;
    let mut reader = BufReader::new(stream);
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        if line.trim().is_empty() {
            break;
        }
        head.push(line.trim().to_owned());
    }
    let length = header(&head, "content-length").and_then(|length| length.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body)?;
    Ok((head, String::from_utf8(body)?))
}

fn header(head: &[String], name: &str) -> Option<String> {
    let pairs = head.iter().filter_map(|line| line.split_once(':'));
    let found = pairs.into_iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
    found.map(|(_, value)| value.trim().to_owned())
}
