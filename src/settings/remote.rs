//! Where clients find a server: host, port and protocol.
//! Knows no name service.

use std::{fmt, net::Ipv6Addr, str::FromStr};

/// One `remote`: `host[:port[/proto]]`, an IPv6 address in brackets.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Remote {
    /// A host name or an address, without brackets.
    pub host: String,
    /// From 1.
    pub port: u16,
    /// What carries the tunnel.
    pub proto: Proto,
}

/// What carries the tunnel.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Proto {
    /// One datagram a packet.
    #[default]
    Udp,
    /// For networks that let nothing else out.
    Tcp,
}

/// Where a server can be reached on whatever host: `port[/proto]`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Endpoint {
    /// From 1.
    pub port: u16,
    /// What carries the tunnel.
    pub proto: Proto,
}

/// Why a text is no remote.
#[derive(Debug, thiserror::Error, PartialEq, Eq, Clone)]
pub enum RemoteError {
    /// Neither a host name nor an address.
    #[error("`{0}` is neither a host name nor an address; write `vpn.example.com`, `192.0.2.1` or `[2001:db8::1]`")]
    Host(String),
    /// An IPv6 address without brackets: its last group could be a port.
    #[error("put the IPv6 address in brackets: `[{0}]`")]
    Brackets(String),
    /// Not between 1 and 65535.
    #[error("`{0}` is no port; ports go from 1 to 65535")]
    Port(String),
    /// Neither udp nor tcp.
    #[error("{0}")]
    Proto(String),
}

impl Remote {
    /// Where it leads, on whatever host.
    pub fn endpoint(&self) -> Endpoint {
        Endpoint { port: self.port, proto: self.proto }
    }

    /// Whether the host is an IPv6 address, which only a server that listens on IPv6 answers.
    pub fn is_ipv6(&self) -> bool {
        self.host.parse::<Ipv6Addr>().is_ok()
    }
}

impl FromStr for Remote {
    type Err = RemoteError;

    fn from_str(text: &str) -> Result<Self, RemoteError> {
        if text.parse::<Ipv6Addr>().is_ok() {
            return Err(RemoteError::Brackets(text.to_owned()));
        }
        let (rest, proto) = match text.rsplit_once('/') {
            Some((rest, proto)) => (rest, proto.parse().map_err(RemoteError::Proto)?),
            None => (text, Proto::default()),
        };
        let (host, port) = match rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((host, "")) => (bracketed(host)?, None),
            Some((host, rest)) => (bracketed(host)?, Some(rest.strip_prefix(':').ok_or_else(|| bad_port(rest))?)),
            None => match rest.split_once(':') {
                Some((host, port)) => (named(host)?, Some(port)),
                None => (named(rest)?, None),
            },
        };
        Ok(Self { host, port: port.map_or(Ok(PORT), numbered)?, proto })
    }
}

impl fmt::Display for Remote {
    /// All three parts, as they can be parsed again.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_ipv6() {
            write!(f, "[{}]:{}/{}", self.host, self.port, self.proto)
        } else {
            write!(f, "{}:{}/{}", self.host, self.port, self.proto)
        }
    }
}

impl FromStr for Endpoint {
    type Err = RemoteError;

    fn from_str(text: &str) -> Result<Self, RemoteError> {
        let (port, proto) = match text.split_once('/') {
            Some((port, proto)) => (port, proto.parse().map_err(RemoteError::Proto)?),
            None => (text, Proto::default()),
        };
        Ok(Self { port: numbered(port)?, proto })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.port, self.proto)
    }
}

impl FromStr for Proto {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "udp" => Ok(Self::Udp),
            "tcp" => Ok(Self::Tcp),
            _ => Err(format!("`{}` is no protocol; there are `udp` and `tcp`", crate::name::escape(text))),
        }
    }
}

impl fmt::Display for Proto {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
        })
    }
}

fn bracketed(host: &str) -> Result<String, RemoteError> {
    let address = host.parse::<Ipv6Addr>().map_err(|_| RemoteError::Host(crate::name::escape(host)))?;
    Ok(address.to_string())
}

fn numbered(port: &str) -> Result<u16, RemoteError> {
    let digits = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    match port.parse() {
        Ok(number) if digits && number > 0 => Ok(number),
        _ => Err(bad_port(port)),
    }
}

fn bad_port(port: &str) -> RemoteError {
    RemoteError::Port(crate::name::escape(port))
}

/// A host name (RFC 1123, 2.1; an underscore is tolerated) or an IPv4 address.
fn named(host: &str) -> Result<String, RemoteError> {
    let label = |label: &str| {
        let edges = [label.bytes().next(), label.bytes().last()];
        let inside = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        (1..=63).contains(&label.len())
            && label.bytes().all(inside)
            && edges.into_iter().flatten().all(|byte| byte != b'-')
    };
    let labels = || host.strip_suffix('.').unwrap_or(host).split('.');
    // four numbers that are no address are a typing error, not a name
    let numbers = labels().all(|label| label.bytes().all(|byte| byte.is_ascii_digit()));
    let address = host.parse::<std::net::Ipv4Addr>().is_ok();
    if host.len() <= 253 && labels().all(label) && (address || !numbers) {
        Ok(host.to_owned())
    } else {
        Err(RemoteError::Host(crate::name::escape(host)))
    }
}

/// `OpenVPN`'s port (IANA).
pub const PORT: u16 = 1194;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parsed(text: &str) -> String {
        text.parse::<Remote>().unwrap().to_string()
    }

    #[test]
    fn what_is_left_out_has_its_default() {
        assert_eq!(parsed("vpn.example.com"), "vpn.example.com:1194/udp");
        assert_eq!(parsed("vpn.example.com:443/tcp"), "vpn.example.com:443/tcp");
        assert_eq!(parsed("vpn/tcp"), "vpn:1194/tcp");
        assert_eq!(parsed("192.0.2.1:1"), "192.0.2.1:1/udp");
        assert_eq!(parsed("[2001:DB8::1]"), "[2001:db8::1]:1194/udp");
        assert_eq!(parsed("[2001:db8::1]:443/tcp"), "[2001:db8::1]:443/tcp");
    }

    #[test]
    fn what_is_no_remote_says_why() {
        for (text, why) in [
            ("", "neither a host name"),
            ("2001:db8::1", "in brackets"),
            ("vpn.example.com:0", "no port"),
            ("vpn.example.com:65536", "no port"),
            ("vpn.example.com:+1", "no port"),
            ("[2001:db8::1]443", "no port"),
            ("vpn.example.com:1194/sctp", "no protocol"),
            ("vpn example", "neither a host name"),
            ("-vpn", "neither a host name"),
            ("a..b", "neither a host name"),
            ("192.0.2.256", "neither a host name"),
            ("1.2.3", "neither a host name"),
            ("[vpn]:1", "neither a host name"),
            ("vpn\nup x", "neither a host name"),
        ] {
            let error = text.parse::<Remote>().unwrap_err().to_string();
            assert!(error.contains(why), "{text}: {error}");
        }
    }

    #[test]
    fn an_endpoint_is_a_port_and_a_protocol() {
        let parsed = |text: &str| text.parse::<Endpoint>().map(|endpoint| endpoint.to_string());
        assert_eq!(
            (parsed("443/tcp").unwrap(), parsed("1194").unwrap()),
            ("443/tcp".to_owned(), "1194/udp".to_owned())
        );
        assert!(parsed("tcp/443").is_err() && parsed("vpn:443/tcp").is_err() && parsed("0").is_err());
        assert_eq!("a:443/tcp".parse::<Remote>().unwrap().endpoint().to_string(), "443/tcp");
    }

    proptest! {
        #[test]
        fn what_is_read_is_written_alike(text in "[a-z0-9.:/\\[\\]-]{0,20}|.{0,30}") {
            if let Ok(remote) = text.parse::<Remote>() {
                prop_assert_eq!(remote.to_string().parse(), Ok(remote.clone()));
                let quoted = crate::openvpn::directive::quote(&remote.host).unwrap();
                prop_assert_eq!(quoted, remote.host);
            }
        }
    }
}
