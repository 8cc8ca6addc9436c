//! `templates/` in the PKI directory: used, and checked before any key is opened.
//! What each fault says is in `golden/templates.txt`, the rules are tested beside the templates.

use std::fs;

use crate::{
    keyholders::{self, OTHER_IDENTITY},
    site::Site,
};

const CLIENT: &str = include_str!("../../templates/client.conf");
const SERVER: &str = include_str!("../../templates/server.conf");

fn override_with(site: &Site, file: &str, text: &str) {
    fs::create_dir_all(site.path("pki/templates")).expect("a directory");
    site.write(&format!("pki/templates/{file}"), text);
}

#[test]
fn an_override_is_used_by_every_bundle_made_from_then_on() {
    let site = Site::new();
    override_with(&site, "client.conf", &CLIENT.replace("verb 3", "verb 4"));
    override_with(&site, "server.conf", &SERVER.replace("verb 3", "verb 5"));
    site.run("issue client2").succeeds();
    site.run("export --all --force").succeeds();
    site.run("export client1 --format dir").succeeds();
    for name in ["client1.ovpn", "client2.ovpn", "client1/config.ovpn"] {
        assert!(site.text(name).contains("\nverb 4\n"), "{name}");
    }
    assert!(site.text("server/server.conf").contains("\nverb 5\n"));
}

/// Every fault, whom it stops, and that it comes before the vault: nobody's key opens it here.
#[track_caller]
fn refused(file: &str, text: &str, why: &str) {
    let site = keyholders::locked();
    site.write("wrong", OTHER_IDENTITY);
    override_with(&site, file, text);
    for line in ["issue client2", "export client1 --force", "export server --force", "issue server2 --role server"] {
        site.refuses(line, 1, why);
        site.refuses(&format!("{line} --identity wrong"), 1, why);
    }
    site.run("revoke client1 --identity key").succeeds();
    site.run("crl refresh --identity key").succeeds();
}

#[test]
fn an_unknown_name_is_an_error_with_its_line() {
    refused("server.conf", &SERVER.replace("{{ port }}", "{{ prot }}"), "server.conf:2: there is no `prot`");
}

#[test]
fn an_unused_name_is_an_error() {
    refused("server.conf", &SERVER.replace("{{ port }}", "1194"), "`port` is not used");
}

#[test]
fn an_unknown_file_is_an_error() {
    refused("sever.conf", SERVER, "`templates/sever.conf` overrides nothing");
}

#[test]
fn what_is_no_template_is_an_error_with_its_line() {
    refused("client.conf", "{% if %}\n", "client.conf:1: syntax error");
}

#[test]
fn a_line_that_openvpn_would_misread_is_an_error() {
    refused("client.conf", &CLIENT.replace("verb 3", "verb \"3"), "a quote (\") is not closed");
}

#[test]
fn a_server_that_reads_no_list_is_refused_unless_a_setting_says_so() {
    let lacking = SERVER.replace("crl-verify {{ crl_file }}\n", "");
    refused("server.conf", &lacking, "`crl-verify crl.pem` is missing");
    let site = Site::new();
    override_with(&site, "server.conf", &lacking);
    site.set("#template-without", "template-without = [\"crl-verify\"]");
    site.run("export server --force").succeeds();
    assert!(!site.text("server/server.conf").contains("\ncrl-verify"));
    // then nobody can be revoked there, and nobody says so
    site.run("crl publish --add server").exits(1).says("reads no CRL, so nobody is refused");
}

#[test]
fn a_client_that_takes_any_certificate_for_a_server_is_refused_unless_a_setting_says_so() {
    let lacking = CLIENT.replace("remote-cert-tls server\n", "");
    refused("client.conf", &lacking, "`remote-cert-tls server` is missing");
    let site = Site::new();
    override_with(&site, "client.conf", &lacking);
    site.set("#template-without", "template-without = [\"remote-cert-tls\"]");
    site.run("export client1 --force").succeeds();
}

#[test]
fn a_wrong_passphrase_does_not_hide_a_template_error() {
    let site = Site::empty();
    site.write("secret", "correct horse");
    site.write("wrong", "wrong horse");
    site.run("init --remote vpn.example.com --no-export --passphrase-file secret").succeeds();
    override_with(&site, "client.conf", "{{ nothing }}\n");
    site.refuses("issue client1 --passphrase-file wrong", 1, "templates/client.conf:1: there is no `nothing`");
}

#[test]
fn a_fault_stops_an_init_before_anything_is_made() {
    let site = Site::empty();
    override_with(&site, "client.conf", "{{ nothing }}\n");
    site.refuses("init --remote vpn.example.com --no-passphrase", 1, "client.conf:1: there is no `nothing`");
    fs::remove_file(site.path("pki/templates/client.conf")).expect("a file");
    site.run("init --remote vpn.example.com --no-passphrase").succeeds();
}
