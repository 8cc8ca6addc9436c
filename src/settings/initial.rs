//! The settings file that `init` writes: all settings with their meaning, those that were chosen filled in.
//! Knows no option of `init`; it is given values.

use std::net::IpAddr;

use ipnet::Ipv4Net;
use serde::Serialize;
use toml_edit::{Array, Value};

use super::{ControlChannel, Network, Remote, CA_DAYS};
use crate::{pki::Algorithm, template};

/// What `init` chooses.
#[derive(Clone, PartialEq, Debug)]
pub struct Initial {
    /// At least one.
    pub remotes: Vec<Remote>,
    /// The VPN's own network.
    pub pool: Ipv4Net,
    /// Networks behind the server.
    pub routes: Vec<Ipv4Net>,
    /// Name servers for clients.
    pub dns: Vec<IpAddr>,
    /// For all keys.
    pub algorithm: Algorithm,
    /// For the CA's, where it is another one.
    pub ca_algorithm: Option<Algorithm>,
    /// How `ta.key` is used.
    pub control_channel: ControlChannel,
    /// How long the CA holds.
    pub ca_days: u32,
    /// Servers' directories, as text since TOML holds nothing else; absolute or relative to the PKI directory.
    pub publish: Vec<String>,
}

impl Initial {
    /// Everything by default.
    pub fn new(remotes: Vec<Remote>) -> Self {
        let Network { pool, routes, dns, .. } = Network::default();
        Self {
            remotes,
            pool,
            routes,
            dns,
            algorithm: Algorithm::P256,
            ca_algorithm: None,
            control_channel: ControlChannel::default(),
            ca_days: CA_DAYS,
            publish: Vec::new(),
        }
    }
}

/// The commented `vpnpki.toml` with these values, which `load` reads back.
#[expect(clippy::missing_panics_doc, reason = "the tests below fill every hole of the one template there is")]
pub fn initial_text(initial: &Initial) -> String {
    template::fill("vpnpki.toml", include_str!("../../templates/vpnpki.toml"), &Holes::new(initial))
        .expect("the built-in template names only fields of `Holes`, and nobody overrides it")
}

/// What the template's holes are filled with: TOML, quoted.
#[derive(Serialize)]
struct Holes {
    remotes: String,
    pool: String,
    routes: String,
    dns: String,
    algorithm: String,
    ca_algorithm: Option<String>,
    control_channel: String,
    ca_days: u32,
    publish: Vec<String>,
}

impl Holes {
    fn new(initial: &Initial) -> Self {
        Self {
            remotes: list(&initial.remotes),
            pool: quoted(&initial.pool.to_string()),
            routes: list(&initial.routes),
            dns: list(&initial.dns),
            algorithm: quoted(&initial.algorithm.to_string()),
            ca_algorithm: initial.ca_algorithm.map(|algorithm| quoted(&algorithm.to_string())),
            control_channel: quoted(&initial.control_channel.to_string()),
            ca_days: initial.ca_days,
            publish: initial.publish.iter().map(|dir| quoted(dir)).collect(),
        }
    }
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

fn list<T: ToString>(values: &[T]) -> String {
    values.iter().map(T::to_string).collect::<Array>().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{load, PublishMode};
    use proptest::prelude::*;

    fn remote(text: &str) -> Remote {
        text.parse().unwrap()
    }

    #[test]
    fn defaults_are_read_back_as_defaults() {
        let text = initial_text(&Initial::new(vec![remote("vpn.example.com")]));
        let settings = load(&text, "vpnpki.toml").unwrap();
        let bare = load("[client]\nremotes = [\"vpn.example.com\"]\n", "bare.toml").unwrap();
        assert_eq!(settings, bare);
    }

    #[test]
    fn each_line_that_is_commented_out_can_be_put_in() {
        let text = initial_text(&Initial::new(vec![remote("vpn.example.com")]));
        let example = |line: &&str| line.starts_with('#') && !line.starts_with("# ");
        let mut tried = 0;
        for line in text.lines().filter(example) {
            let with = text.replace(line, line.strip_prefix('#').unwrap());
            load(&with, "vpnpki.toml").unwrap_or_else(|faults| panic!("{line}: {faults}"));
            tried += 1;
        }
        assert!(tried > 10, "{tried}");
    }

    #[test]
    fn what_was_chosen_is_read_back() {
        let chosen = Initial {
            remotes: vec![remote("vpn.example.com:443/tcp"), remote("[2001:db8::1]:443/tcp")],
            pool: "10.9.0.0/22".parse().unwrap(),
            routes: vec!["172.16.0.0/16".parse().unwrap(), "172.18.0.0/16".parse().unwrap()],
            dns: vec!["172.20.0.2".parse().unwrap(), "2001:db8::53".parse().unwrap()],
            algorithm: Algorithm::Rsa2048,
            ca_algorithm: Some(Algorithm::P384),
            control_channel: ControlChannel::TlsAuth,
            ca_days: 100,
            publish: vec!["/etc/openvpn/server".to_owned(), "../a \"b\"".to_owned()],
        };
        let settings = load(&initial_text(&chosen), "vpnpki.toml").unwrap();
        assert_eq!(settings.client.remotes, chosen.remotes);
        let Network { pool, routes, dns, .. } = settings.network;
        assert_eq!((pool, routes, dns), (chosen.pool, chosen.routes, chosen.dns));
        assert_eq!((settings.algorithm, settings.control_channel), (Algorithm::Rsa2048, ControlChannel::TlsAuth));
        assert_eq!((settings.ca_algorithm, settings.ca_days), (Algorithm::P384, 100));
        assert_eq!(settings.publish.mode, PublishMode::Auto);
        assert_eq!(settings.publish.dirs, chosen.publish.iter().map(std::path::PathBuf::from).collect::<Vec<_>>());
    }

    proptest! {
        #[test]
        fn no_directory_breaks_out_of_its_line(dir in "[^~\\x00-\\x1f\\x7f-\\u{9f}][^\\x00-\\x1f\\x7f-\\u{9f}]{0,20}") {
            let mut initial = Initial::new(vec![remote("vpn.example.com")]);
            initial.publish = vec![dir.clone()];
            let settings = load(&initial_text(&initial), "vpnpki.toml").unwrap();
            prop_assert_eq!(settings.publish.dirs, vec![std::path::PathBuf::from(dir)]);
        }
    }
}
