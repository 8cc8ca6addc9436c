//! What a client's configuration says: the values that its template is filled with.
//! Knows no key; where the credentials go is marked and filled in by the bundle.

use serde::Serialize;

use super::directive::{quote, LineError};
use crate::{
    name::Name,
    settings::{ControlChannel, HttpProxy, Remote, Settings},
};

/// The holes of `templates/client.conf`. Every text is one or more words, quoted where needed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct ClientConfig {
    name: String,
    vpn: String,
    proto: Option<String>,
    remotes: Vec<String>,
    remote_random: bool,
    poll_timeout: Option<u16>,
    http_proxy: Option<String>,
    float: bool,
    tun_mtu: Option<u16>,
    server_name_prefix: String,
    extra: Vec<String>,
    credentials: &'static str,
}

impl ClientConfig {
    /// What the settings say for this client.
    pub fn new(settings: &Settings, name: &Name) -> Result<Self, LineError> {
        let client = &settings.client;
        let proto = common_proto(&client.remotes);
        let remotes = client.remotes.iter().map(|remote| parameters(remote, proto.is_none()));
        Ok(Self {
            name: name.to_string(),
            vpn: quote(&settings.vpn_name)?,
            remotes: remotes.collect::<Result<_, _>>()?,
            remote_random: client.remote_random,
            poll_timeout: (client.remotes.len() > 1).then_some(POLL_TIMEOUT),
            http_proxy: client.http_proxy.as_ref().map(proxy).transpose()?,
            proto,
            float: client.float,
            tun_mtu: client.tun_mtu,
            server_name_prefix: settings.server.name_prefix.clone(),
            extra: client.extra.clone(),
            credentials: CREDENTIALS,
        })
    }
}

/// The credentials as files beside the configuration.
pub fn credential_files(control: ControlChannel, name: &Name) -> String {
    let control = control_channel(control, Some(1));
    format!("ca ca.crt\ncert {name}.crt\nkey {name}.key\n{control}")
}

/// The directive that names `ta.key`. `tls-auth` has a direction, 0 on servers and 1 on clients; the others have none.
pub fn control_channel(control: ControlChannel, direction: Option<u8>) -> String {
    match (control, direction) {
        (ControlChannel::TlsAuth, Some(direction)) => format!("{control} ta.key {direction}"),
        _ => format!("{control} ta.key"),
    }
}

/// The protocol when all remotes have the same.
fn common_proto(remotes: &[Remote]) -> Option<String> {
    let first = remotes.first()?.proto;
    remotes.iter().all(|remote| remote.proto == first).then(|| first.to_string())
}

fn parameters(remote: &Remote, with_proto: bool) -> Result<String, LineError> {
    let host = quote(&remote.host)?;
    Ok(if with_proto { format!("{host} {} {}", remote.port, remote.proto) } else { format!("{host} {}", remote.port) })
}

/// The template says `auto` behind it: credentials are asked for when the proxy wants them (proxy.c), which NetworkManager
/// and `OpenVPN` Connect read alike (import-export.c, `parse_http_proxy_auth`; httpcli.hpp).
fn proxy(proxy: &HttpProxy) -> Result<String, LineError> {
    Ok(format!("{} {}", quote(&proxy.host)?, proxy.port))
}

/// Seconds after which the next remote is tried when none has answered with a first packet (`check_server_poll_timeout`,
/// forward.c), a handshake under way goes on. Without it `OpenVPN` waits for `hand-window`, a minute. Read from 2.4 on, also
/// by `OpenVPN` Connect.
const POLL_TIMEOUT: u16 = 10;

/// What the template puts where the credentials go. A comment, so that a configuration in which it stayed would be
/// refused for lack of credentials and not for an unknown word.
pub const CREDENTIALS: &str = "#-credentials-#";
