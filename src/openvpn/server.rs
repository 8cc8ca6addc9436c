//! What a server's configuration says: the values that its template is filled with.
//! Knows no key; files are named relative to the server's directory.

use ipnet::Ipv4Net;
use serde::Serialize;

use super::{
    client::control_channel,
    directive::{quote, LineError},
    TRAN_WINDOW,
};
use crate::settings::{Management, Server, Settings};

/// The holes of `templates/server.conf`. Every text is one or more words, quoted where needed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct ServerConfig {
    vpn: String,
    port: u16,
    proto: String,
    network: String,
    netmask: String,
    dh: &'static str,
    control_channel: String,
    /// The file, or a directory of serials and the word for it.
    crl_file: String,
    reneg_sec: Option<u32>,
    hand_window: Option<u32>,
    tran_window: u32,
    routes: Vec<Route>,
    dns: Vec<String>,
    redirect_gateway: bool,
    tun_mtu: Option<u16>,
    user: Option<String>,
    group: Option<String>,
    management: Option<String>,
    extra: Vec<String>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
struct Route {
    network: String,
    netmask: String,
}

impl ServerConfig {
    /// What the settings say for servers; `has_dh` when the authority has Diffie-Hellman parameters.
    pub fn new(settings: &Settings, has_dh: bool) -> Result<Self, LineError> {
        let (server, network) = (&settings.server, &settings.network);
        let pool = Route::of(network.pool);
        Ok(Self {
            vpn: quote(&settings.vpn_name)?,
            port: server.port,
            proto: listening(settings),
            network: pool.network,
            netmask: pool.netmask,
            dh: if has_dh { "dh.pem" } else { "none" },
            control_channel: control_channel(settings.control_channel, Some(0)),
            crl_file: server.crl.words().join(" "),
            reneg_sec: server.reneg_sec,
            hand_window: server.hand_window,
            tran_window: server.tran_window.unwrap_or(TRAN_WINDOW),
            routes: network.routes.iter().copied().map(Route::of).collect(),
            dns: network.dns.iter().map(ToString::to_string).collect(),
            redirect_gateway: network.redirect_gateway,
            tun_mtu: settings.client.tun_mtu,
            user: server.user.clone(),
            group: server.group.clone(),
            management: server.management.as_ref().map(|at| management(at, server)).transpose()?,
            extra: server.extra.clone(),
        })
    }
}

impl Route {
    fn of(network: Ipv4Net) -> Self {
        Self { network: network.network().to_string(), netmask: network.netmask().to_string() }
    }
}

/// The directive's parameters (`options.c`): where, and the file whose first line is the password. The server makes a
/// socket that everybody may use (`socket.c`, `socket_bind_unix`), so its directory or a password keeps others out.
fn management(at: &Management, server: &Server) -> Result<String, LineError> {
    match &server.management_password_file {
        Some(file) => Ok(format!("{at} {}", quote(&file.display().to_string())?)),
        None => Ok(at.to_string()),
    }
}

/// `udp` and `tcp` listen on IPv4 alone where both are there (socket.c takes the first address family that binds);
/// with `6` behind it the socket takes both.
fn listening(settings: &Settings) -> String {
    let ipv6 = settings.client.remotes.iter().any(crate::settings::Remote::is_ipv6);
    format!("{}{}", settings.server.proto, if ipv6 { "6" } else { "" })
}
