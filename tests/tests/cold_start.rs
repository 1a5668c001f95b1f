//! A cold start asks nobody for anything: what is not needed yet is not fetched.

mod common;

use std::io::ErrorKind;
use std::net::{Ipv4Addr, TcpListener};

use aws_emulator::Mutability;
use common::{Account, failure};
use serde_json::json;

#[tokio::test]
async fn asks_nobody_for_anything_before_its_first_event() {
    // Where the SDK asks for credentials and a Region when it believes to be on EC2.
    let metadata = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    metadata.set_nonblocking(true).unwrap();
    let endpoint = format!("http://{}", metadata.local_addr().unwrap());
    let account = Account::with(Mutability::Mutable, |settings| {
        settings.environment.retain(|(name, _)| name != "AWS_EC2_METADATA_DISABLED");
        settings.environment.push(("AWS_EC2_METADATA_SERVICE_ENDPOINT".to_owned(), endpoint));
    })
    .await;
    // Nothing has to be asked for to refuse this one.
    failure(&account.create(json!({})).await);
    let log = account.world.emulator.log();
    let asked: Vec<String> = log.entries().into_iter().map(|entry| entry.service).collect();
    assert_eq!(asked, ["response"], "{}", log.text(log.start()));
    let met = metadata.accept().map(|(_, address)| address);
    assert_eq!(met.map_err(|error| error.kind()), Err(ErrorKind::WouldBlock));
    let sandboxes = account.world.function.sandboxes();
    assert_eq!(sandboxes.len(), 1);
    assert!(sandboxes[0].init_cpu.is_some_and(|time| !time.is_zero()), "{sandboxes:?}");
}
