//! A TLS handshake between a client and a server that exist only in memory: whether each takes the other, and if not, why.
//! Knows no clock and no socket; time, certificates and keys come in.

mod verifier;

use std::{fmt, sync::Arc, time::Duration};

use rustls::{
    client::ClientConnection,
    crypto::{aws_lc_rs, CryptoProvider},
    pki_types::{
        CertificateDer, CertificateRevocationListDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime,
    },
    server::{ServerConnection, WebPkiClientVerifier},
    sign::{CertifiedKey, SingleCertAndKey},
    time_provider::TimeProvider,
    ClientConfig, ConnectionCommon, RootCertStore, ServerConfig, SideData, SupportedProtocolVersion,
};
use serde::Serialize;

use crate::{name::escape, pki::PrivateKey, time::Time};

pub use verifier::Judge;
use verifier::ServerJudge;

/// One end of a handshake.
pub struct End<'a> {
    /// The CAs by which it knows the other, DER.
    pub authorities: &'a [Vec<u8>],
    /// Its own certificate and what comes with it, DER.
    pub chain: &'a [Vec<u8>],
    /// Its own key.
    pub key: &'a PrivateKey,
}

/// The versions that are tried.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub enum Version {
    /// The least that `OpenVPN` 2.6 speaks.
    #[serde(rename = "TLS 1.2")]
    Tls12,
    /// What current builds agree on.
    #[serde(rename = "TLS 1.3")]
    Tls13,
}

/// What both ends agreed on.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Agreed {
    /// The version.
    pub version: Version,
    /// The cipher suite by its IANA name.
    pub suite: String,
    /// The group of the key exchange.
    pub group: String,
}

/// Why there is no connection.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Refused {
    /// The client ended it.
    #[error("the client refuses the server: {0}")]
    ByClient(String),
    /// The server ended it.
    #[error("the server refuses the client: {0}")]
    ByServer(String),
    /// An end could not be set up, so nothing was tried.
    #[error("it was not tried: {0}")]
    Untried(String),
}

/// Shakes hands. `judge` is what the client asks of the server's certificate beside its chain; `crl` is the server's list
/// in DER. A list of another CA revokes nobody, as with `OpenVPN`, and one that has ended everybody.
pub fn shake(
    version: Version,
    now: Time,
    client: &End<'_>,
    judge: Judge,
    server: &End<'_>,
    crl: Option<&[u8]>,
) -> Result<Agreed, Refused> {
    let setting =
        Setting { provider: Arc::new(aws_lc_rs::default_provider()), clock: Arc::new(Clock::at(now)), version };
    let client = setting.client(client, judge).map_err(untried("the client"))?;
    let server = setting.server(server, crl).map_err(untried("the server"))?;
    // no name is sent or looked at, but one is asked for
    let name = ServerName::from(std::net::IpAddr::from([127, 0, 0, 1]));
    let client = ClientConnection::new(Arc::new(client), name).map_err(|error| Refused::Untried(error.to_string()))?;
    let server = ServerConnection::new(Arc::new(server)).map_err(|error| Refused::Untried(error.to_string()))?;
    agree(version, client, server)
}

/// What both ends are made with.
struct Setting {
    provider: Arc<CryptoProvider>,
    clock: Arc<Clock>,
    version: Version,
}

impl Setting {
    fn client(&self, end: &End<'_>, judge: Judge) -> Result<ClientConfig, String> {
        let judge = ServerJudge::new(roots(end)?, self.provider.signature_verification_algorithms, judge);
        let config = ClientConfig::builder_with_details(self.provider.clone(), self.clock.clone());
        let config = config.with_protocol_versions(&[self.version.protocol()]).map_err(|error| error.to_string())?;
        let config = config.dangerous().with_custom_certificate_verifier(Arc::new(judge));
        let mut config = config.with_client_cert_resolver(Arc::new(certified(end)?));
        config.enable_sni = false;
        Ok(config)
    }

    fn server(&self, end: &End<'_>, crl: Option<&[u8]>) -> Result<ServerConfig, String> {
        let lists = crl.map(|der| CertificateRevocationListDer::from(der.to_vec()));
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots(end)?), self.provider.clone())
            .with_crls(lists)
            .allow_unknown_revocation_status()
            .enforce_revocation_expiration()
            .build()
            .map_err(|error| error.to_string())?;
        let config = ServerConfig::builder_with_details(self.provider.clone(), self.clock.clone());
        let config = config.with_protocol_versions(&[self.version.protocol()]).map_err(|error| error.to_string())?;
        Ok(config.with_client_cert_verifier(verifier).with_cert_resolver(Arc::new(certified(end)?)))
    }
}

impl Version {
    /// Both, the older first.
    pub const ALL: [Self; 2] = [Self::Tls12, Self::Tls13];

    fn protocol(self) -> &'static SupportedProtocolVersion {
        match self {
            Self::Tls12 => &rustls::version::TLS12,
            Self::Tls13 => &rustls::version::TLS13,
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tls12 => "TLS 1.2",
            Self::Tls13 => "TLS 1.3",
        })
    }
}

impl fmt::Display for Agreed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {}, {}", self.version, self.suite, self.group)
    }
}

/// A clock that stands.
#[derive(Debug)]
struct Clock(UnixTime);

impl Clock {
    fn at(now: Time) -> Self {
        // before 1970 no certificate was ever made
        Self(UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(now.unix()).unwrap_or_default())))
    }
}

impl TimeProvider for Clock {
    fn current_time(&self) -> Option<UnixTime> {
        Some(self.0)
    }
}

/// Carries messages to and fro until nobody has anything to say.
fn agree(version: Version, mut client: ClientConnection, mut server: ServerConnection) -> Result<Agreed, Refused> {
    loop {
        let asked = carry(&mut client, &mut server).map_err(|error| Refused::ByServer(words(&error)))?;
        let answered = carry(&mut server, &mut client).map_err(|error| Refused::ByClient(words(&error)))?;
        if !asked && !answered {
            break;
        }
    }
    let suite = client.negotiated_cipher_suite().map(|suite| format!("{:?}", suite.suite()));
    let group = client.negotiated_key_exchange_group().map(|group| format!("{:?}", group.name()));
    match (client.is_handshaking() || server.is_handshaking(), suite, group) {
        (false, Some(suite), Some(group)) => Ok(Agreed { version, suite, group }),
        _ => Err(Refused::Untried("internal error: the handshake came to no end".to_owned())),
    }
}

/// What one end has to say goes to the other; whether it was anything.
fn carry<A, B, C, D>(from: &mut A, to: &mut B) -> Result<bool, rustls::Error>
where
    A: std::ops::DerefMut<Target = ConnectionCommon<C>>,
    B: std::ops::DerefMut<Target = ConnectionCommon<D>>,
    C: SideData,
    D: SideData,
{
    let mut message = Vec::new();
    while from.wants_write() {
        from.write_tls(&mut message).map_err(|error| rustls::Error::General(error.to_string()))?;
    }
    let mut rest = message.as_slice();
    while !rest.is_empty() {
        to.read_tls(&mut rest).map_err(|error| rustls::Error::General(error.to_string()))?;
        to.process_new_packets()?;
    }
    Ok(!message.is_empty())
}

fn roots(end: &End<'_>) -> Result<RootCertStore, String> {
    let mut store = RootCertStore::empty();
    for der in end.authorities {
        store.add(CertificateDer::from(der.as_slice()).into_owned()).map_err(|error| words(&error))?;
    }
    Ok(store)
}

/// The key is read where it lies: rustls would drop a copy of its own unwiped.
fn certified(end: &End<'_>) -> Result<SingleCertAndKey, String> {
    let pkcs8 = end.key.to_pkcs8();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(pkcs8.expose()));
    let key = aws_lc_rs::sign::any_supported_type(&key).map_err(|error| error.to_string())?;
    let chain = end.chain.iter().map(|der| CertificateDer::from(der.as_slice()).into_owned()).collect();
    Ok(SingleCertAndKey::from(CertifiedKey::new(chain, key)))
}

fn untried(whose: &'static str) -> impl Fn(String) -> Refused {
    move |why| Refused::Untried(format!("{whose} could not be set up: {why}"))
}

/// What an error means, in words.
fn words(error: &rustls::Error) -> String {
    use rustls::CertificateError as Fault;
    match error {
        rustls::Error::InvalidCertificate(fault) => match fault {
            Fault::Revoked => "its certificate is revoked".to_owned(),
            Fault::Expired | Fault::ExpiredContext { .. } => "its certificate has ended".to_owned(),
            Fault::NotValidYet | Fault::NotValidYetContext { .. } => "its certificate is not valid yet".to_owned(),
            Fault::UnknownIssuer => "no CA that is known here signed its certificate".to_owned(),
            Fault::BadSignature => {
                "a signature does not fit its certificate: the key is another's, or the CA is".to_owned()
            }
            Fault::ExpiredRevocationList | Fault::ExpiredRevocationListContext { .. } => "the CRL has ended".to_owned(),
            Fault::InvalidPurpose | Fault::InvalidPurposeContext { .. } => {
                "its certificate is not for this side".to_owned()
            }
            other => escape(&other.to_string()),
        },
        rustls::Error::General(why) => why.clone(),
        other => escape(&other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        inventory::Role,
        pki::{self_sign, sign_leaf, Algorithm, CaProfile, IssuerCertificate, LeafProfile},
        serial::Serial,
        time::DAY,
        validity::Validity,
    };
    use proptest::prelude::*;
    use std::sync::LazyLock;

    /// A key, its certificate for both ends, and the CA that signed it.
    struct Own {
        key: PrivateKey,
        der: Vec<u8>,
        ca: Vec<u8>,
    }

    static OWN: LazyLock<Own> = LazyLock::new(|| {
        let pair = || rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::default();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let ca = rcgen::CertifiedIssuer::self_signed(params, pair()).unwrap();
        let key = pair();
        let der = rcgen::CertificateParams::default().signed_by(&key, &ca).unwrap().der().to_vec();
        Own { key: PrivateKey::from_pem(key.serialize_pem().as_bytes()).ok().unwrap(), der, ca: ca.der().to_vec() }
    });

    fn tried(authority: &[u8], chain: &[u8], key: &PrivateKey, crl: Option<&[u8]>) -> [Result<Agreed, Refused>; 2] {
        let (authorities, chain) = ([authority.to_vec()], [chain.to_vec()]);
        let end = End { authorities: &authorities, chain: &chain, key };
        let now = Time::parse("2026-11-22").unwrap();
        Version::ALL.map(|version| shake(version, now, &end, Arc::new(|_| Ok(())), &end, crl))
    }

    #[test]
    fn both_versions_come_about_between_two_that_fit() {
        let Own { key, der, ca } = &*OWN;
        let agreed = tried(ca, der, key, None).map(|agreed| agreed.map(|agreed| agreed.version));
        assert_eq!(agreed, [Ok(Version::Tls12), Ok(Version::Tls13)]);
        let other = PrivateKey::generate(Algorithm::P256).ok().unwrap();
        let refused = tried(ca, der, &other, None);
        assert!(refused.iter().all(|refused| matches!(refused, Err(Refused::ByServer(_) | Refused::ByClient(_)))));
    }

    /// One key of each kind: the CA's, the server's and the client's may be the same, which nobody asks.
    #[test]
    fn every_mixture_of_keys_shakes_hands_in_both_versions() {
        let now = Time::parse("2026-11-22").unwrap();
        let (validity, serial) = (Validity::of_days(now, 30, DAY), |number| Serial::fresh([number; 16]));
        let keys = Algorithm::ALL.map(|algorithm| PrivateKey::generate(algorithm).ok().unwrap());
        for issuer_key in &keys {
            let ca = CaProfile { common_name: "a CA".to_owned(), serial: serial(1), validity };
            let ca = IssuerCertificate::parse(&self_sign(&ca, issuer_key).unwrap()).unwrap();
            let authorities = [ca.der().to_vec()];
            let leaf = |key: &PrivateKey, role, name: &str| {
                let name = name.parse().unwrap();
                let profile = LeafProfile { name, role, serial: serial(2), validity, addresses: vec![] };
                [sign_leaf(&profile, key.spki(), &ca, issuer_key).unwrap().der().to_vec()]
            };
            for (server_key, client_key) in
                keys.iter().flat_map(|server| keys.iter().map(move |client| (server, client)))
            {
                let server = leaf(server_key, Role::Server, "server");
                let client = leaf(client_key, Role::Client, "client");
                let server = End { authorities: &authorities, chain: &server, key: server_key };
                let client = End { authorities: &authorities, chain: &client, key: client_key };
                for version in Version::ALL {
                    let agreed = shake(version, now, &client, Arc::new(|_| Ok(())), &server, None);
                    let mixture = [issuer_key, server_key, client_key].map(PrivateKey::algorithm);
                    assert_eq!(agreed.map(|agreed| agreed.version), Ok(version), "{mixture:?}");
                }
            }
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let Own { key, der, ca } = &*OWN;
            prop_assert!(tried(&bytes, der, key, None).iter().all(Result::is_err));
            prop_assert!(tried(ca, &bytes, key, None).iter().all(Result::is_err));
            prop_assert!(tried(ca, der, key, Some(&bytes)).iter().all(Result::is_err));
        }

        /// A certificate in which some bytes are others: taken or refused.
        #[test]
        fn damage_never_panics(at in any::<prop::sample::Index>(), octets in prop::collection::vec(any::<u8>(), 1..9)) {
            let Own { key, der, ca } = &*OWN;
            for whole in [ca, der] {
                let mut damaged = whole.clone();
                let place = at.index(damaged.len());
                damaged.splice(place..(place + octets.len()).min(whole.len()), octets.clone());
                let _ = (tried(&damaged, der, key, None), tried(ca, &damaged, key, None), tried(ca, der, key, Some(&damaged)));
            }
        }
    }
}
