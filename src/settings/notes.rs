//! What settings allow but may surprise: one sentence each, naming the setting.
//! Knows no fault; what is refused is refused where it is read.

use super::{ControlChannel, Settings};
use crate::{inventory::Role, openvpn::extra, pki::Algorithm};

pub fn of(settings: &Settings) -> Vec<String> {
    let mut notes = Vec::new();
    notes.extend(routes(settings));
    notes.extend(remotes(settings));
    notes.extend(settings.client.tun_mtu.map(tun_mtu));
    notes.extend(directives("client.extra", Role::Client, &settings.client.extra));
    notes.extend(directives("server.extra", Role::Server, &settings.server.extra));
    if settings.algorithm == Algorithm::Ed25519 {
        notes.push("keys.algorithm: OpenVPN Connect and builds with mbed TLS cannot use `ed25519`".to_owned());
    }
    if settings.control_channel == ControlChannel::TlsCryptV2 {
        notes.push("control-channel.mode: `tls-crypt-v2` needs OpenVPN 2.5 or newer on servers and clients".to_owned());
    }
    notes
}

fn routes(settings: &Settings) -> impl Iterator<Item = String> + '_ {
    let pool = settings.network.pool;
    let containing = settings.network.routes.iter().filter(move |route| route.contains(&pool));
    containing.map(move |route| {
        format!("network.routes: `{route}` contains the pool `{pool}`; clients keep the narrower route to the pool")
    })
}

fn remotes(settings: &Settings) -> impl Iterator<Item = String> + '_ {
    let server = &settings.server;
    settings.client.remotes.iter().filter_map(move |remote| {
        let (port, proto) = (server.port, server.proto);
        if remote.proto != proto {
            Some(format!("client.remotes: `{remote}` does not match the server, which speaks {proto}"))
        } else if remote.port != port {
            Some(format!("client.remotes: `{remote}` works only if something forwards it to the server's port {port}"))
        } else {
            None
        }
    })
}

fn tun_mtu(mtu: u16) -> String {
    let effect = if mtu < 1100 {
        "stops clients up to OpenVPN 2.5 against servers from 2.6 on"
    } else {
        "loses packets unless both sides have it"
    };
    format!("client.tun-mtu: `tun-mtu {mtu}` {effect}; `mssfix` in `client.extra` or `server.extra` is the remedy")
}

fn directives<'s>(field: &'s str, side: Role, lines: &'s [String]) -> impl Iterator<Item = String> + 's {
    lines.iter().filter_map(move |line| extra::judge(side, line).ok().flatten().map(|note| format!("{field}: {note}")))
}
