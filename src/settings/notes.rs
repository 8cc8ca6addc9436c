//! What settings allow but may surprise: one sentence each, naming the setting.
//! Knows no fault; what is refused is refused where it is read.

use super::{ControlChannel, Endpoint, Remote, Settings};
use crate::{inventory::Role, openvpn::extra, pki::Algorithm};

pub fn of(settings: &Settings) -> Vec<String> {
    let mut notes = Vec::new();
    notes.extend(routes(settings));
    notes.extend(remotes(settings));
    notes.extend(settings.client.tun_mtu.map(tun_mtu));
    notes.extend(directives("client.extra", Role::Client, &settings.client.extra));
    notes.extend(directives("server.extra", Role::Server, &settings.server.extra));
    let edwards = [("keys.algorithm", settings.algorithm), ("ca.algorithm", settings.ca_algorithm)];
    notes.extend(
        edwards
            .into_iter()
            .find(|(_, algorithm)| *algorithm == Algorithm::Ed25519)
            .map(|(field, _)| format!("{field}: OpenVPN Connect and builds with mbed TLS cannot use `ed25519`")),
    );
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

/// The remotes behind which there is no server that the settings know.
fn remotes(settings: &Settings) -> Option<String> {
    let server = &settings.server;
    let own = Endpoint { port: server.port, proto: server.proto };
    let known = |remote: &&Remote| remote.endpoint() == own || server.reachable_at.contains(&remote.endpoint());
    let unknown: Vec<&Remote> = settings.client.remotes.iter().filter(|remote| !known(remote)).collect();
    if unknown.is_empty() {
        return None;
    }
    let named = |texts: Vec<String>| texts.join(", ");
    let leading = named(unknown.iter().map(|remote| format!("`{remote}`")).collect());
    let mut endpoints: Vec<String> = unknown.iter().map(|remote| format!("\"{}\"", remote.endpoint())).collect();
    endpoints.sort();
    endpoints.dedup();
    Some(format!(
        "client.remotes: no server listens where {leading} leads, the one of the settings is at {own}; where that is \
         forwarded or another server is there, write `reachable-at = [{}]` under `[server]`",
        named(endpoints)
    ))
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
