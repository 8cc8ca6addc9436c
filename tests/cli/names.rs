//! Names that must not become peers: refused with a reason, and nothing is created or recorded.
//! The rules themselves are tested beside `Name`; what each refusal says is in `golden/names.txt`.

use crate::{common::Outcome, site::Site};
use vpnpki::name::Name;

/// Each with a word of the reason.
const CORPUS: &[(&str, &str)] = &[
    ("", "at least one"),
    ("../evil", "does not begin"),
    ("..", "does not begin"),
    (".", "does not begin"),
    ("/etc/passwd", "does not begin"),
    ("a/b", "holds `/`"),
    ("a\\b", "holds `\\"),
    ("a\nb", "holds `\\n`"),
    ("a\tb", "holds `\\t`"),
    ("a\rb", "holds `\\r`"),
    ("a b", "holds ` `"),
    ("o'hara", "holds"),
    ("a\"b", "holds"),
    ("a`id`", "holds"),
    ("$(id)", "does not begin"),
    ("a$(id)", "holds `$`"),
    ("a;reboot", "holds `;`"),
    ("a,b", "holds `,`"),
    ("a=b", "holds `=`"),
    ("{name}", "does not begin"),
    ("trailing.", "ends in a dot"),
    ("\u{430}dmin", "does not begin"),
    ("adm\u{456}n", "holds"),
    ("cl\u{131}ent", "holds"),
    ("\u{ff41}nna", "does not begin"),
    ("anna\u{200b}", "holds"),
    ("anna\u{202e}", "holds"),
    ("e\u{301}mil", "holds"),
    ("CON", "Windows"),
    ("con.txt", "Windows"),
    ("nul.ovpn", "Windows"),
    ("COM7", "Windows"),
    ("lpt1.x", "Windows"),
    ("aux", "Windows"),
    ("ca", "bundles"),
    ("CA", "bundles"),
    ("ta", "bundles"),
    ("dh", "bundles"),
    ("crl", "bundles"),
    ("crl.old", "bundles"),
    ("config", "bundles"),
    ("Default", "OpenVPN"),
    ("undef", "OpenVPN"),
];

#[track_caller]
fn refused(site: &Site, line: &str, name: &str, code: i32, why: &str) {
    let mut command = site.vpnpki(line);
    site.leaves(command.args(["--", name]), code, why);
}

#[test]
fn no_name_of_the_corpus_is_issued_and_nothing_is_created() {
    let site = Site::new();
    for (name, why) in CORPUS {
        refused(&site, "issue", name, 2, why);
        refused(&site, "issue --no-export --if-missing --role server", name, 2, why);
    }
}

#[test]
fn no_name_of_the_corpus_becomes_part_of_a_new_authority() {
    let site = Site::empty();
    for (name, why) in CORPUS {
        for option in ["--server-name", "--issue"] {
            let mut command = site.vpnpki("init --remote vpn.example.com --no-passphrase");
            site.leaves(command.arg(format!("{option}={name}")), 2, why);
        }
    }
}

#[test]
fn no_name_of_the_corpus_reaches_any_other_command() {
    let site = Site::new();
    for (name, why) in CORPUS {
        for line in ["export", "revoke", "show"] {
            refused(&site, line, name, 2, why);
        }
    }
}

#[test]
fn sixty_four_characters_are_a_name_and_sixty_five_are_none() {
    let site = Site::new();
    let (longest, longer) = ("n".repeat(64), "n".repeat(65));
    refused(&site, "issue", &longer, 2, "at most 64");
    site.run(&format!("issue {longest}")).succeeds();
    assert!(site.text(&format!("{longest}.ovpn")).starts_with(&format!("# OpenVPN profile of {longest}")));
}

#[test]
fn what_an_argument_cannot_carry_is_refused_by_the_library() {
    let error = Name::parse("a\0b").expect_err("a name with NUL").to_string();
    assert!(error.contains("holds `\\u{0}`"), "{error}");
}

#[test]
fn bytes_that_are_no_text_are_refused() {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt};
    let site = Site::new();
    let mut command = site.vpnpki("issue");
    site.leaves(command.arg(OsStr::from_bytes(b"a\xff")), 2, "UTF-8");
}

#[test]
fn a_leading_dash_is_an_option_or_refused() {
    let site = Site::new();
    site.refuses("issue -rf", 2, "unexpected argument");
    refused(&site, "issue", "-rf", 2, "does not begin");
}

#[test]
fn a_twin_that_differs_in_case_is_refused_also_after_a_revocation() {
    let site = Site::published("--issue client1");
    site.refuses("issue CLIENT1", 1, "names do not differ in case only");
    site.run("revoke client1").succeeds();
    site.refuses("issue Client1", 1, "names do not differ in case only");
    site.refuses("issue anna ANNA", 2, "named twice");
}

#[test]
fn the_prefix_of_servers_is_theirs() {
    let site = Site::new();
    for name in ["server2", "Server", "SERVERX", "server"] {
        site.refuses(&format!("issue {name}"), 1, "servers' (`server.name-prefix`)");
    }
    site.refuses("issue gateway --role server", 1, "servers' names begin with `server`");
}

#[test]
fn a_control_character_does_not_reach_the_terminal() {
    let site = Site::new();
    // a terminal would be coloured red, and its title changed
    for name in ["a\x1b[31m", "a\x1b]0;owned\x07", "a\u{9b}31m"] {
        let outcome = Outcome::of(site.vpnpki("issue").env("CLICOLOR_FORCE", "1").arg(name)).exits(2);
        let safe = |character: char| !character.is_control() || character == '\n';
        let plain = without_colours(&outcome.stderr);
        assert!(plain.chars().all(safe), "{plain:?}");
    }
}

/// What clap and we colour ourselves.
fn without_colours(text: &str) -> String {
    let mut kept = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("\x1b[") {
        kept.push_str(before);
        let end = after.find('m').expect("the end of a colour");
        let ours = ["0", "1", "31", "32", "33", "1;31", "4"].contains(&&after[..end]);
        // a red that is not closed is the name's own
        assert!(ours, "{text:?}");
        rest = &after[end + 1..];
    }
    kept + rest
}
