//! Who may see what: a token becomes claims, claims and policy become a grant.
//!
//! Read in this order: [`token`] (a JWT becomes [`Claims`]; [`key`], [`jwks`] and [`fetch`] are
//! where its keys come from), [`bearer`], [`origin`] and [`address`] (what a request says of who
//! sent it), [`policy`] (the owner's rules for a table, and the grant that they give these
//! claims), [`feeds`] (declared feeds and who may open them), [`mint`] (tokens for development),
//! [`explain`] (why a reader gets a row or not).
//!
//! Nothing here reads settings, headers or the database: all arrives as plain values.

pub mod address;
pub mod bearer;
pub mod claims;
mod crypto;
pub mod explain;
pub mod feeds;
pub mod fetch;
#[cfg(test)]
mod forge;
pub mod jwks;
pub mod key;
pub mod mint;
pub mod origin;
pub mod policy;
#[cfg(test)]
mod sample;
pub mod token;

pub use claims::Claims;
pub use policy::Policy;
pub use token::{AuthKeys, Settings, TokenError, Verifier};
