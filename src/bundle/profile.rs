//! A client's profile put together: the configuration with the credentials in their place, checked against every importer.
//! Knows no template; buffers that hold keys never grow, since a buffer that moves leaves a copy behind.

use super::{BundleError, ClientMaterial, Key};
use crate::{name::Name, openvpn::client::CREDENTIALS, secret::Secret, settings::ControlChannel};

/// Which credentials stand in a profile.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Inline {
    /// All of them.
    All,
    /// The CA's certificate and the key of the control channel; certificate and private key are elsewhere.
    Shared,
}

/// The credentials as inline blocks. `OpenVPN` Connect and Tunnelblick need each tag at the beginning of its line. A key
/// that its owner keeps is named as a file: `OpenVPN` reads each of `cert` and `key` inline or from a file
/// (options.c), Connect takes the file in when it lies beside the profile (`ProfileMerge`, openvpn/options/merge.hpp).
pub fn inline_credentials(
    control: ControlChannel,
    client: &ClientMaterial,
    inline: Inline,
) -> Result<Secret, BundleError> {
    let tag = control.to_string();
    let mut blocks: Vec<(&str, &[u8])> = vec![("ca", plain_pem("the CA's certificate", client.ca_pem.as_bytes())?)];
    let mut elsewhere = String::new();
    if inline == Inline::All {
        blocks.push(("cert", plain_pem("the certificate", client.certificate_pem.as_bytes())?));
        match &client.key {
            Key::Here(key) => blocks.push(("key", plain_pem("the private key", key.expose())?)),
            Key::WithOwner => elsewhere = format!("{}key {}.key\n", key_is_elsewhere(&client.name), client.name),
        }
    }
    blocks.push((&tag, client.control_key.expose()));
    let room = blocks.iter().map(|(tag, body)| 2 * tag.len() + body.len() + 8).sum::<usize>() + elsewhere.len() + 32;
    let mut bytes = Vec::with_capacity(room);
    bytes.extend_from_slice(elsewhere.as_bytes());
    if control == ControlChannel::TlsAuth {
        bytes.extend_from_slice(b"key-direction 1\n");
    }
    for (tag, body) in blocks {
        for piece in [b"<", tag.as_bytes(), b">\n", body, b"</", tag.as_bytes(), b">\n"] {
            bytes.extend_from_slice(piece);
        }
    }
    bytes.pop();
    Ok(Secret::new(bytes))
}

/// What is said above the line that names a key which its owner keeps. NetworkManager goes on reading it there
/// (`do_import` of network-manager-openvpn, properties/import-export.c, keeps the path).
pub fn key_is_elsewhere(name: &Name) -> String {
    format!(
        "# The private key is not in here, since its owner keeps it: it belongs beside this file as\n\
         # {name}.key, and stays there after an import, or `vpnpki enroll --finish` puts it in here.\n"
    )
}

/// The configuration with the credentials on the line that is marked for them.
pub fn with_credentials(config: &str, credentials: &Secret) -> Result<Secret, BundleError> {
    // the template's rules see to it that the mark stands there once
    let (before, after) = config.split_once(CREDENTIALS).unwrap_or((config, ""));
    let mut bytes = Vec::with_capacity(before.len() + credentials.expose().len() + after.len());
    for piece in [before.as_bytes(), credentials.expose(), after.as_bytes()] {
        bytes.extend_from_slice(piece);
    }
    let profile = Secret::new(bytes);
    check(profile.expose())?;
    Ok(profile)
}

/// PEM blocks and nothing else: no text before or between them, LF, ASCII, a final newline.
pub fn plain_pem<'p>(what: &'static str, pem: &'p [u8]) -> Result<&'p [u8], BundleError> {
    let mut inside = false;
    let mut blocks = 0;
    for line in pem.split(|&byte| byte == b'\n') {
        let (begin, end) = (line.starts_with(b"-----BEGIN "), line.starts_with(b"-----END "));
        let armour = line.iter().all(|&byte| byte.is_ascii_graphic() || (byte == b' ' && (begin || end)));
        if !armour || begin == inside && (begin || !line.is_empty()) {
            return Err(BundleError::NotPem(what));
        }
        inside = (inside || begin) && !end;
        blocks += usize::from(begin);
    }
    if blocks == 0 || inside || !pem.ends_with(b"\n") {
        return Err(BundleError::NotPem(what));
    }
    Ok(pem)
}

/// What every importer reads: at most 256 KiB of ASCII, LF, short lines, tags at the beginning of their lines.
pub fn check(profile: &[u8]) -> Result<(), BundleError> {
    if profile.len() > LARGEST {
        return Err(BundleError::TooLarge(profile.len()));
    }
    for (index, line) in profile.split(|&byte| byte == b'\n').enumerate() {
        if let Some(what) = fault(line) {
            return Err(BundleError::Line { line: index + 1, what });
        }
    }
    if !profile.ends_with(b"\n") {
        let line = profile.split(|&byte| byte == b'\n').count();
        return Err(BundleError::Line { line, what: "does not end in a newline" });
    }
    Ok(())
}

fn fault(line: &[u8]) -> Option<&'static str> {
    let printable = |byte: &u8| matches!(byte, b' '..=b'~' | b'\t');
    if line.len() > crate::openvpn::directive::LONGEST {
        Some("is longer than 254 bytes")
    } else if !line.iter().all(printable) {
        Some("holds something other than printable ASCII")
    } else if line.trim_ascii_start().starts_with(b"<") && !line.starts_with(b"<") {
        Some("has an indented tag")
    } else {
        None
    }
}

/// `MAX_PROFILE_SIZE` of `OpenVPN` Connect's core (cliconstants.hpp).
const LARGEST: usize = 256 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn what(profile: &str) -> String {
        check(profile.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn what_some_importer_refuses_is_refused() {
        assert!(check(b"client\n<ca>\nabc\n</ca>\n").is_ok());
        assert!(what("client\n <ca>\n").contains("line 2 of the profile has an indented tag"));
        assert!(what("client\r\n").contains("line 1 of the profile holds something other"));
        assert!(what("# K\u{f6}ln\n").contains("printable ASCII"));
        assert!(what("client").contains("does not end in a newline"));
        assert!(what(&format!("client\n{}\n", "a".repeat(255))).contains("line 2 of the profile is longer"));
        assert!(what(&"client\n".repeat(40_000)).contains("280000 bytes"));
    }

    #[test]
    fn certificates_come_without_text_around_them() {
        let pem = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
        for good in [pem.to_owned(), pem.repeat(2)] {
            assert!(plain_pem("it", good.as_bytes()).is_ok(), "{good}");
        }
        for bad in [
            String::new(),
            "\n".to_owned(),
            pem.trim_end().to_owned(),
            pem.replace('\n', "\r\n"),
            format!("Certificate:\n{pem}"),
            format!("{pem}trailing\n"),
            format!("    Data\n{pem}"),
            pem.replace("-----END CERTIFICATE-----\n", ""),
            pem.replace("MIIB", "M\u{fc}"),
            pem.replace("MIIB", "MI\n\nIB").replace("\n\n", "\n-----BEGIN X-----\n"),
        ] {
            assert!(matches!(plain_pem("it", bad.as_bytes()), Err(BundleError::NotPem("it"))), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes: Vec<u8>, text in "(-----(BEGIN|END) X-----|[a-z ]{0,9}|\n){0,9}") {
            let _ = (check(&bytes).is_ok(), plain_pem("it", &bytes).is_ok(), plain_pem("it", text.as_bytes()).is_ok());
        }
    }
}
