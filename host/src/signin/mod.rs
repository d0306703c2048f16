//! Signing in: passwords, secrets and cookies of our own, somebody else's word for it by OpenID Connect, and the mail that invites people.
//!
//! Talks to providers and mail servers, and decides whether what they say can be believed. Who may do what afterwards is not decided
//! here: an [`oidc::Identity`] is a person as the provider vouches for them, with their groups, and `http` makes a session of it. Nothing
//! here stores anything, asks for the time or draws random bytes; they are arguments.

mod claims;
pub mod cookie;
mod fetch;
mod jws;
pub mod mail;
pub mod oidc;
pub mod password;
pub mod secret;
#[cfg(test)]
pub(crate) mod tests;
pub mod throttle;
