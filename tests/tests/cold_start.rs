//! A cold start sends no requests.

mod common;

use std::io::ErrorKind;
use std::net::{Ipv4Addr, TcpListener};

use aws_emulator::Mutability;
use common::{Account, failure_reason};
use serde_json::json;

#[tokio::test]
async fn sends_no_requests_before_the_first_event() {
    // The SDK's source of credentials and Region on EC2.
    let metadata = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    metadata.set_nonblocking(true).unwrap();
    let endpoint = format!("http://{}", metadata.local_addr().unwrap());
    let account = Account::with(Mutability::Mutable, |settings| {
        settings.environment.retain(|(name, _)| name != "AWS_EC2_METADATA_DISABLED");
        settings.environment.push(("AWS_EC2_METADATA_SERVICE_ENDPOINT".to_owned(), endpoint));
    })
    .await;
    // This event is rejected without requests.
    failure_reason(&account.create(json!({})).await);
    let log = account.world.emulator.log();
    let services: Vec<String> = log.entries().into_iter().map(|entry| entry.service).collect();
    assert_eq!(services, ["response"], "{}", log.text(log.start()));
    let connection = metadata.accept().map(|(_, address)| address);
    assert_eq!(connection.map_err(|error| error.kind()), Err(ErrorKind::WouldBlock));
    let sandboxes = account.world.function.sandboxes();
    assert_eq!(sandboxes.len(), 1);
    assert!(sandboxes[0].init_cpu.is_some_and(|time| !time.is_zero()), "{sandboxes:?}");
}
