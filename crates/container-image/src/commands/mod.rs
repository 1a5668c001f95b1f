//! One module per command.

pub(crate) mod copy;
pub(crate) mod import;
pub(crate) mod inspect;
pub(crate) mod list;
pub(crate) mod pages;
pub(crate) mod plan;
pub(crate) mod refresh;
pub(crate) mod sync;
pub(crate) mod tags;
pub(crate) mod update;
pub(crate) mod verify;
