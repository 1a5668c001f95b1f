//! The clients that all events share.

use std::sync::Arc;

use image_copy::registry;
use image_copy_aws::{EcrClients, EcrCredentials, Functions, RepositoryArn};

use crate::deadline::Deadline;
use crate::event::Envelope;
use crate::ledger::{Claimant, Ledger};
use crate::response::Courier;
use crate::settings::Settings;

/// What events share: made once, for as long as the function lives.
pub(crate) struct Services {
    pub(crate) settings: Settings,
    pub(crate) ecr: EcrClients,
    pub(crate) registries: registry::Client,
    pub(crate) functions: Functions,
    pub(crate) courier: Courier,
}

impl Services {
    /// Makes the clients; nothing is sent.
    pub(crate) fn new(settings: Settings, ecr: EcrClients) -> Result<Self, String> {
        let http = image_copy::http::Options {
            user_agent: crate::USER_AGENT.into(),
            ..image_copy::http::Options::default()
        };
        let options = registry::Options { http, ..registry::Options::default() };
        let registries = registry::Client::new(options, Arc::new(EcrCredentials::new(ecr.clone())))?;
        let functions = ecr.functions();
        let courier = Courier::new().map_err(|error| error.without_url().to_string())?;
        Ok(Self { settings, ecr, registries, functions, courier })
    }

    /// Records and claims in a repository, as the event's resource sees them. What a failure leaves
    /// is put in order after the work's own deadline.
    pub(crate) fn ledger(&self, arn: &RepositoryArn, envelope: &Envelope, deadline: &Deadline) -> Ledger {
        let until = Some(deadline.job);
        let (stack_id, logical_id) = (envelope.stack_id.clone(), envelope.logical_resource_id.clone());
        Ledger::new(
            self.ecr.repository(arn, until),
            self.registries.repository(arn.repository(), until),
            Claimant { stack_id, logical_id },
        )
    }
}
