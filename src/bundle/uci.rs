//! A bundle for `OpenWrt`: the profile, and what `uci batch` reads to have it started.
//! Knows no credentials; a profile comes in, files come out.

use super::Part;
use crate::secret::Secret;

/// `NAME.ovpn` for `/etc/openvpn`, and the two ways to have it started. `openvpn.uci` is for systems with
/// `/etc/init.d/openvpn` (openwrt/packages, openvpn.init: a section whose `config` names a profile); `network.uci` for
/// those where `OpenVPN` is a protocol of interfaces instead (netifd/proto/openvpn.sh, into which `60_openvpn_migrate.sh`
/// turns such sections). Both set and add, so that other sections stay and a second run changes nothing.
pub fn files(stem: &str, profile: Secret) -> Vec<Part> {
    let section = section(stem);
    let config = quote(&format!("/etc/openvpn/{stem}.ovpn"));
    let openvpn = format!(
        "set openvpn.{section}=openvpn\nset openvpn.{section}.enabled='1'\nset openvpn.{section}.config={config}\ncommit openvpn\n"
    );
    let network = format!(
        "set network.{section}=interface\nset network.{section}.proto='openvpn'\nset network.{section}.config={config}\ncommit network\n"
    );
    vec![
        Part { name: format!("{stem}.ovpn"), bytes: profile, private: true },
        Part { name: "openvpn.uci".to_owned(), bytes: Secret::from(openvpn), private: false },
        Part { name: "network.uci".to_owned(), bytes: Secret::from(network), private: false },
    ]
}

/// Sections are named with letters, digits and `_` (uci, util.c, `uci_validate_name`).
fn section(stem: &str) -> String {
    stem.chars().map(|character| if character.is_ascii_alphanumeric() { character } else { '_' }).collect()
}

/// In single quotes, as uci's lexer takes it: within them nothing is special but the quote itself (uci, file.c,
/// `parse_single_quote`).
fn quote(value: &str) -> String {
    format!("'{}'", value.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_is_named_as_uci_allows_and_values_are_quoted() {
        let files = files("laptop-7.a@b", Secret::from("client\n".to_owned()));
        let names: Vec<_> = files.iter().map(|part| (part.name.as_str(), part.private)).collect();
        assert_eq!(names, [("laptop-7.a@b.ovpn", true), ("openvpn.uci", false), ("network.uci", false)]);
        assert_eq!(
            files[1].bytes.expose_text().unwrap(),
            "set openvpn.laptop_7_a_b=openvpn\nset openvpn.laptop_7_a_b.enabled='1'\n\
             set openvpn.laptop_7_a_b.config='/etc/openvpn/laptop-7.a@b.ovpn'\ncommit openvpn\n"
        );
        assert!(files[2].bytes.expose_text().unwrap().contains("set network.laptop_7_a_b.proto='openvpn'\n"));
        assert_eq!(quote("it's"), "'it'\\''s'");
    }
}
