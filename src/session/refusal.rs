//! Why something that was asked for is not had.

use super::Context;
use crate::{
    change::TableName,
    wire::{
        Code,
        reply::{self, Ended},
    },
};

/// Why a subscription is refused.
#[derive(Debug)]
pub struct Refusal {
    /// For the program.
    pub code: Code,
    /// For a person.
    pub message: String,
}

impl Refusal {
    /// A refusal with its reason.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// Why a subscription ends that is refused when it starts over: the policy no longer fits the
    /// table, or the table is gone.
    pub fn ended(&self, context: &Context, table: &str) -> Ended {
        let is_there = || context.hub.catalog().named(&TableName::parse(table)).is_some();
        match self.code {
            Code::Forbidden | Code::Unauthorized if is_there() => Ended::AccessRevoked,
            _ => Ended::TableUnwatched,
        }
    }
}

/// An `error` message.
pub fn error(refusal: &Refusal, id: Option<&str>) -> String {
    reply::error(refusal.code, &refusal.message, id)
}
