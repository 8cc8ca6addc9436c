//! The HTTP proxy through which clients reach the server: host and port.
//! Knows no credentials; whoever's proxy wants them is asked for them when connecting.

use std::{fmt, str::FromStr};

use super::remote::Remote;

/// `host:port`, an IPv6 address in brackets.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HttpProxy {
    /// A host name or an address, without brackets.
    pub host: String,
    /// From 1.
    pub port: u16,
}

impl FromStr for HttpProxy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.contains('@') {
            // not repeated: what stands before the sign may be a password
            return Err(
                "holds no name and no password, since every profile would carry them: clients ask for them when \
                        the proxy wants them; write `proxy.example.com:8080`"
                    .to_owned(),
            );
        }
        let with_port = text.contains(':') && !text.contains('/') && !text.ends_with(']');
        match text.parse::<Remote>() {
            Ok(Remote { host, port, .. }) if with_port => Ok(Self { host, port }),
            Err(error) if with_port => Err(error.to_string()),
            _ => Err("must be a host and a port, such as `proxy.example.com:8080`".to_owned()),
        }
    }
}

impl fmt::Display for HttpProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_host_and_a_port() {
        for text in ["proxy.example.com:8080", "192.0.2.1:3128", "[2001:db8::1]:8080"] {
            assert_eq!(text.parse::<HttpProxy>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_no_proxy_says_why() {
        for (text, why) in [
            ("proxy.example.com", "a host and a port"),
            ("[2001:db8::1]", "a host and a port"),
            ("http://proxy.example.com:8080", "a host and a port"),
            ("proxy.example.com:8080/tcp", "a host and a port"),
            ("proxy.example.com:0", "no port"),
            ("2001:db8::1", "in brackets"),
            ("proxy example:1", "neither a host name"),
            ("proxy\n:1", "neither a host name"),
            ("", "a host and a port"),
        ] {
            let error = text.parse::<HttpProxy>().unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
        let error = "anna:hunter2@proxy.example.com:8080".parse::<HttpProxy>().unwrap_err();
        assert!(error.contains("no password") && !error.contains("hunter2"), "{error}");
    }

    proptest! {
        #[test]
        fn what_is_read_is_written_alike(text in "[a-z0-9.:/@\\[\\]-]{0,20}|.{0,30}") {
            if let Ok(proxy) = text.parse::<HttpProxy>() {
                prop_assert_eq!(proxy.to_string().parse(), Ok(proxy.clone()));
                prop_assert_eq!(crate::openvpn::directive::quote(&proxy.host).unwrap(), proxy.host);
            }
        }
    }
}
