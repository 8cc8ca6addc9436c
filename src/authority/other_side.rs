//! What answers an authority's clients, as files: the configuration that its settings make, its CA, CRL and servers.
//! Decides nothing and changes nothing; whoever verifies a bundle holds it against this.

use crate::{
    authority::{issue::DH, Authority, AuthorityError, Unlocked},
    bundle::{self, Format},
    import::{Origin, Package, Part},
    inventory::SecretKind,
    pki,
    secret::Secret,
    store::View,
    time::Time,
    vault::Binding,
};

/// A server's directory that is on no disk.
pub struct ServerSide {
    /// Its configuration and the files beside it; `ta.key` only where the vault is open.
    pub package: Package,
    /// The certificate in DER of every server that has access at that time.
    pub certificates: Vec<Vec<u8>>,
    /// The private keys of these, PEM, in the same order; none where the vault is closed.
    pub keys: Vec<Secret>,
}

impl Authority {
    /// What answers at `at`. The keys only for who asks for a handshake, since each is unsealed.
    pub fn server_side(
        &self,
        view: &dyn View,
        at: Time,
        unlocked: Option<&Unlocked>,
        with_keys: bool,
    ) -> Result<ServerSide, AuthorityError> {
        let settings = self.settings()?;
        let config = self.templates(&settings)?.server(&settings, view.parameter(DH)?.is_some())?;
        let issuer = view.issuer()?;
        let mut parts = vec![part("ca.crt", pki::certificate_pem(&issuer.certificate))];
        if let Some(crl) = view.crl(issuer.number, at)? {
            let listed = bundle::crl_parts(&settings.server.crl, &pki::crl_pem(&crl.der))?;
            parts.extend(listed.into_iter().map(|bundle::Part { name, bytes, .. }| Part { name, bytes }));
        }
        if let Some(unlocked) = unlocked {
            parts.push(Part { name: "ta.key".to_owned(), bytes: unlocked.control_channel_key(view)? });
        }
        let profile = part("server.conf", config);
        let (mut certificates, mut keys) = (Vec::new(), Vec::new());
        for (peer, certificate) in view.servers()? {
            if !certificate.is_accepted(at) {
                continue;
            }
            let der = view.certificate_der(&peer.current)?.ok_or(AuthorityError::UnknownSerial(peer.current))?;
            certificates.push(der);
            if let (Some(unlocked), true) = (unlocked, with_keys) {
                keys.push(unlocked.own(view, &peer, at)?.key.into_here(Format::Dir)?);
            }
        }
        Ok(ServerSide { package: Package { origin: Origin::OpenVpn, profile, parts }, certificates, keys })
    }
}

impl Unlocked {
    fn control_channel_key(&self, view: &dyn View) -> Result<Secret, AuthorityError> {
        let missing = || crate::store::StoreError::Damaged("it holds no ta.key".to_owned());
        let secret = view.secret(SecretKind::ControlChannel)?.ok_or_else(missing)?;
        Ok(self.vault.unseal(&Binding::control_channel_key(&self.authority, None), &secret.sealed)?)
    }
}

fn part(name: &str, text: String) -> Part {
    Part { name: name.to_owned(), bytes: Secret::from(text) }
}
