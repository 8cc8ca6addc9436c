//! What `OpenVPN` reads: its directives and their quoting, static and tls-crypt-v2 keys, DH parameters, client and server configurations.
//! Knows no file, certificate or template.

pub mod client;
pub mod connect;
pub mod dh;
pub mod directive;
pub mod extra;
pub mod known;
pub mod server;
pub mod static_key;
pub mod tls_crypt_v2;

pub use client::ClientConfig;
pub use dh::{DhChoice, Group, Parameters};
pub use server::ServerConfig;
pub use static_key::{StaticKey, StaticKeyError};

/// Seconds until a revoked client that is connected carries no traffic any more, when nobody ends its session: the next
/// renegotiation refuses it, and the old key lives on for the transition window (`key_state_soft_reset`, ssl.c).
pub fn lockout_seconds(reneg_sec: Option<u32>, tran_window: Option<u32>) -> u32 {
    reneg_sec.unwrap_or(RENEG_SEC).saturating_add(tran_window.unwrap_or(TRAN_WINDOW))
}

/// `OpenVPN`'s own default for `reneg-sec`.
pub const RENEG_SEC: u32 = 3600;

/// What our server configurations say for `tran-window`; `OpenVPN`'s own default is an hour.
pub const TRAN_WINDOW: u32 = 60;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_live_session_ends_after_renegotiation_and_transition() {
        assert_eq!(lockout_seconds(None, None), 3660);
        assert_eq!(lockout_seconds(Some(10), Some(5)), 15);
    }
}
