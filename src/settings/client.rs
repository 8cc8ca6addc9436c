//! `[client]`: what every client's profile says.
//! Knows no client by name.

use toml_edit::{Table, Value};

use super::{
    file_name::FileName,
    proxy::HttpProxy,
    reader::{self, Read, Reader, Section},
    remote::{Proto, Remote},
};
use crate::{inventory::Role, openvpn::extra};

/// What every client's profile says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Client {
    /// In the order in which clients try them; at least one in settings that were loaded.
    pub remotes: Vec<Remote>,
    /// Whether clients try them in an order of their own.
    pub remote_random: bool,
    /// The HTTP proxy between clients and the server; then every remote speaks tcp.
    pub http_proxy: Option<HttpProxy>,
    /// How files of bundles are named.
    pub file_name: FileName,
    /// Whether the server's answers may come from another address.
    pub float: bool,
    /// The tunnel's MTU, for fleets that have it already.
    pub tun_mtu: Option<u16>,
    /// How long client certificates hold.
    pub days: u32,
    /// Directives added as they are.
    pub extra: Vec<String>,
}

impl Default for Client {
    fn default() -> Self {
        Self {
            remotes: Vec::new(),
            remote_random: false,
            http_proxy: None,
            file_name: FileName::default(),
            float: false,
            tun_mtu: None,
            days: DAYS,
            extra: Vec::new(),
        }
    }
}

pub fn read(reader: &mut Reader, root: &Table) -> Client {
    let section = reader.section(root, "client", &KEYS);
    let remotes = remotes(reader, &section);
    Client {
        remote_random: reader.one(&section, "remote-random", &reader::boolean).is_some_and(Read::into_value),
        http_proxy: http_proxy(reader, &section, &remotes),
        remotes,
        file_name: reader.one(&section, "file-name", &reader::parsed).map_or_else(FileName::default, Read::into_value),
        float: reader.one(&section, "float", &reader::boolean).is_some_and(Read::into_value),
        tun_mtu: reader.one(&section, "tun-mtu", &reader::number(576..=9000)).map(Read::into_value),
        days: reader.one(&section, "days", &super::days).map_or(DAYS, Read::into_value),
        extra: extra(reader, &section, Role::Client),
    }
}

/// The directives of `extra`, each judged.
pub fn extra(reader: &mut Reader, section: &Section, side: Role) -> Vec<String> {
    let judged = |value: &Value| {
        let line = reader::text(value)?;
        extra::judge(side, &line).map_err(|error| error.to_string())?;
        Ok(line.trim().to_owned())
    };
    let lines = reader.many(section, "extra", &judged).unwrap_or_default();
    lines.into_iter().map(Read::into_value).collect()
}

fn remotes(reader: &mut Reader, section: &Section) -> Vec<Remote> {
    let given = reader.many(section, "remotes", &reader::parsed::<Remote>);
    let Some(given) = given else {
        if !reader.has_fault(section, "remotes") {
            let what = "is missing: write `remotes = [\"vpn.example.com:1194/udp\"]` with the server's public name";
            reader.fault(section, "remotes", section.line(), what);
        }
        return Vec::new();
    };
    if given.is_empty() && !reader.has_fault(section, "remotes") {
        reader.fault(section, "remotes", reader.line(section, "remotes"), "names no server");
    }
    let mut remotes: Vec<Remote> = Vec::new();
    for Read { value, line } in given {
        if remotes.contains(&value) {
            reader.fault(section, "remotes", line, format!("`{value}` is named twice"));
        }
        remotes.push(value);
    }
    if remotes.len() > MOST_REMOTES {
        let line = reader.line(section, "remotes");
        reader.fault(section, "remotes", line, format!("OpenVPN takes at most {MOST_REMOTES} remotes"));
    }
    remotes
}

/// A proxy connects by tcp alone (`options_postprocess_verify_ce`, `options.c`).
fn http_proxy(reader: &mut Reader, section: &Section, remotes: &[Remote]) -> Option<HttpProxy> {
    let proxy = reader.one(section, "http-proxy", &reader::parsed::<HttpProxy>)?;
    if let Some(remote) = remotes.iter().find(|remote| remote.proto == Proto::Udp) {
        let what = format!("a proxy carries tcp alone, and the remote `{remote}` speaks udp");
        reader.fault(section, "http-proxy", proxy.line, what);
    }
    Some(proxy.value)
}

const KEYS: [&str; 8] = ["remotes", "remote-random", "http-proxy", "file-name", "float", "tun-mtu", "days", "extra"];

/// What easy-rsa and Apple's platforms settled on.
const DAYS: u32 = 825;

/// `CONNECTION_LIST_SIZE` of options.h was 64 up to `OpenVPN` 2.5.
const MOST_REMOTES: usize = 64;
