//! What the second reader (x509-parser) finds in certificates and lists, in our own words.
//! Knows no rule about them beyond their being readable.

use x509_parser::{certificate::X509Certificate, parse_x509_certificate, time::ASN1Time, x509::X509Name};

use crate::{
    pki::PublicKeyError,
    serial::Serial,
    time::Time,
    validity::{Validity, ValidityError},
};

/// Why bytes are no certificate that we can use.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// No X.509 certificate in DER, or more than one.
    #[error("it is no X.509 certificate in DER")]
    Unreadable,
    /// A serial that is negative, zero, padded or longer than 20 octets.
    #[error("its serial number is no positive number of at most 20 octets (RFC 5280, 4.1.2.2)")]
    Serial,
    /// It ends before it begins.
    #[error("its dates are out of order")]
    Validity(#[source] ValidityError),
    /// A key of a kind or size that we do not use.
    #[error("its public key cannot be used")]
    PublicKey(#[source] PublicKeyError),
    /// No CA, or one whose key usage forbids what a CA does.
    #[error("it is no certificate authority: {0}")]
    NoAuthority(&'static str),
}

/// The one certificate in `der`.
pub(super) fn certificate(der: &[u8]) -> Result<X509Certificate<'_>, CertificateError> {
    match parse_x509_certificate(der) {
        Ok(([], certificate)) => Ok(certificate),
        _ => Err(CertificateError::Unreadable),
    }
}

/// The serial in the contents of an INTEGER; none when it is negative or padded, since then it would not come back
/// octet for octet.
pub(super) fn serial(contents: &[u8]) -> Option<Serial> {
    let padded = matches!(contents, [0, second, ..] if *second < 0x80);
    let negative = contents.first().is_some_and(|first| *first >= 0x80);
    Serial::from_octets(contents).ok().filter(|_| !padded && !negative)
}

/// A moment, held inside the years that [`Time`] knows.
pub(super) fn time(moment: ASN1Time) -> Time {
    Time::from_unix(moment.timestamp())
}

pub(super) fn validity(certificate: &X509Certificate<'_>) -> Result<Validity, CertificateError> {
    let dates = certificate.validity();
    Validity::new(time(dates.not_before), time(dates.not_after)).map_err(CertificateError::Validity)
}

/// The first CN, empty when there is none or it is in an encoding from before UTF-8.
pub(super) fn common_name(name: &X509Name<'_>) -> String {
    name.iter_common_name().next().and_then(|attribute| attribute.as_str().ok()).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serials_come_back_octet_for_octet_or_not_at_all() {
        assert_eq!(serial(&[0, 0x80]).unwrap().octets(), [0x80]);
        assert_eq!(serial(&[0x7f, 1]).unwrap().octets(), [0x7f, 1]);
        assert!(serial(&[0x80]).is_none(), "negative");
        assert!(serial(&[0, 0x7f]).is_none(), "padded");
        assert!(serial(&[0]).is_none(), "zero");
        assert!(serial(&[]).is_none(), "empty");
        assert!(serial(&[0x7f; 21]).is_none(), "too long");
    }
}
