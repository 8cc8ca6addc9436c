//! Bundles that hold a PKCS#12: alone, and beside a profile without certificate and key.
//! Knows no disk; how a PKCS#12 is written is for `pki`.

use super::{profile, BundleError, ClientMaterial, Format, Order, Part};
use crate::{
    inventory::Role,
    pki::{self, Pkcs12Contents, Pkcs12Encryption, PrivateKey},
    secret::Secret,
    settings::Settings,
    template::Templates,
};

/// The key, its certificate and the CA's, under the client's name.
pub fn of(client: &ClientMaterial, order: &Order) -> Result<Secret, BundleError> {
    let passphrase = client.passphrase.as_ref().ok_or(BundleError::NoPassphrase(order.format(Role::Client)))?;
    sealed(client, passphrase.secret(), order.pkcs12)
}

/// The same with any passphrase, also none, for importers that ask for none.
pub fn sealed(
    client: &ClientMaterial,
    passphrase: &Secret,
    encryption: Pkcs12Encryption,
) -> Result<Secret, BundleError> {
    let key = PrivateKey::from_pem(client.key.here(Format::P12)?.expose())?;
    let certificate = only(&client.certificate_pem, "the certificate")?;
    let ca = only(&client.ca_pem, "the CA's certificate")?;
    let contents = Pkcs12Contents { name: &client.name, key: &key, certificate: &certificate, ca: &ca };
    Ok(pki::write_pkcs12(&contents, passphrase, encryption)?)
}

/// For `OpenVPN` Connect on iOS, which takes the CA's certificate from the profile only and finds certificate and key in
/// the keychain, where a file that ends in `.ovpn12` puts them.
pub fn with_profile(
    settings: &Settings,
    templates: &Templates,
    client: &ClientMaterial,
    order: &Order,
) -> Result<Vec<Part>, BundleError> {
    let blocks = profile::inline_credentials(settings.control_channel, client, profile::Inline::Shared)?;
    let profile = profile::with_credentials(&templates.client(settings, &client.name)?, &blocks)?;
    let stem = super::file_stem(settings, &client.name);
    Ok(vec![
        Part { name: format!("{stem}.ovpn"), bytes: profile, private: true },
        Part { name: format!("{stem}.ovpn12"), bytes: of(client, order)?, private: true },
    ])
}

/// The one certificate in a PEM, as DER.
pub fn only(pem: &str, what: &'static str) -> Result<Vec<u8>, BundleError> {
    let mut found = pki::certificates_from_pem(pem.as_bytes()).map_err(|_| BundleError::NotPem(what))?;
    match (found.pop(), found.is_empty()) {
        (Some(der), true) => Ok(der),
        _ => Err(BundleError::NotPem(what)),
    }
}
