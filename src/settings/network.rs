//! `[network]`: the addresses that clients get and what they reach through the tunnel.
//! Knows no host's routing table.

use std::{
    fmt::Display,
    net::{IpAddr, Ipv4Addr},
};

use ipnet::Ipv4Net;
use toml_edit::{Table, Value};

use super::reader::{self, Read, Reader, Section};

/// The addresses that clients get and what they reach through the tunnel.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Network {
    /// The VPN's own network; the server has its first address.
    pub pool: Ipv4Net,
    /// Networks behind the server.
    pub routes: Vec<Ipv4Net>,
    /// Name servers for clients.
    pub dns: Vec<IpAddr>,
    /// Whether clients send everything through the tunnel.
    pub redirect_gateway: bool,
}

impl Default for Network {
    fn default() -> Self {
        Self { pool: default_pool(), routes: Vec::new(), dns: Vec::new(), redirect_gateway: false }
    }
}

pub fn read(reader: &mut Reader, root: &Table) -> Network {
    let section = reader.section(root, "network", &["pool", "routes", "dns", "redirect-gateway"]);
    let pool = reader.one(&section, "pool", &pool).map_or_else(default_pool, Read::into_value);
    Network {
        pool,
        routes: routes(reader, &section, pool),
        dns: dns(reader, &section),
        redirect_gateway: reader.one(&section, "redirect-gateway", &reader::boolean).is_some_and(Read::into_value),
    }
}

fn routes(reader: &mut Reader, section: &Section, pool: Ipv4Net) -> Vec<Ipv4Net> {
    let given = reader.many(section, "routes", &|value| route(value, pool)).unwrap_or_default();
    distinct(reader, section, "routes", given)
}

fn dns(reader: &mut Reader, section: &Section) -> Vec<IpAddr> {
    let given = reader.many(section, "dns", &address).unwrap_or_default();
    distinct(reader, section, "dns", given)
}

fn distinct<T: PartialEq + Display>(reader: &mut Reader, section: &Section, key: &str, given: Vec<Read<T>>) -> Vec<T> {
    let mut kept = Vec::new();
    for Read { value, line } in given {
        if kept.contains(&value) {
            reader.fault(section, key, line, format!("`{value}` is named twice"));
        } else {
            kept.push(value);
        }
    }
    kept
}

fn pool(value: &Value) -> Result<Ipv4Net, String> {
    let pool = network(value)?;
    // a server with `topology subnet` needs room for itself and clients; its pool has at most 65536 addresses (pool.h)
    if !(16..=29).contains(&pool.prefix_len()) {
        return Err(format!("`{pool}` must be from /16 to /29 large"));
    }
    let address = pool.network();
    if address.is_loopback() || address.is_multicast() || address.octets()[0] == 0 || address.octets()[0] >= 240 {
        return Err(format!("`{pool}` holds no addresses that hosts can have; `10.8.0.0/24` is the usual one"));
    }
    Ok(pool)
}

fn route(value: &Value, pool: Ipv4Net) -> Result<Ipv4Net, String> {
    let route = network(value)?;
    if route.prefix_len() == 0 {
        return Err("a route to everywhere is `redirect-gateway = true`".to_owned());
    }
    if pool == route {
        return Err(format!("`{route}` is the pool itself; clients have that route already"));
    }
    if pool.contains(&route) {
        return Err(format!("`{route}` lies inside the pool `{pool}`; clients have that route already"));
    }
    Ok(route)
}

fn network(value: &Value) -> Result<Ipv4Net, String> {
    let text = reader::text(value)?;
    let shown = crate::name::escape(&text);
    if text.contains(':') {
        return Err(format!("`{shown}`: IPv6 inside the tunnel is not supported yet"));
    }
    let network: Ipv4Net = text.parse().map_err(|_| match text.parse::<Ipv4Addr>() {
        Ok(address) => format!("`{address}` has no prefix length; one host is `{address}/32`"),
        Err(_) => format!("`{shown}` is no network; write it as `172.16.0.0/16`"),
    })?;
    if network.addr() != network.network() {
        return Err(format!("`{network}` is no network address; the network is `{}`", network.trunc()));
    }
    Ok(network)
}

fn address(value: &Value) -> Result<IpAddr, String> {
    let text = reader::text(value)?;
    let shown = crate::name::escape(&text);
    let address: IpAddr = text.parse().map_err(|_| format!("`{shown}` is no IP address"))?;
    if address.is_unspecified() || address.is_multicast() {
        return Err(format!("`{address}` is no name server's address"));
    }
    Ok(address)
}

/// `10.8.0.0/24`, as every `OpenVPN` document has it.
fn default_pool() -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(10, 8, 0, 0), 24)
}
