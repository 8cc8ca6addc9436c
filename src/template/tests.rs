use super::*;
use crate::settings::load;
use proptest::prelude::*;

fn settings(text: &str) -> Settings {
    load(&format!("[client]\nremotes = [\"vpn.example.com\"]\n{text}"), "x").unwrap()
}

fn overridden(file: &str, text: &str, extra: &str) -> Result<Templates, TemplateError> {
    Templates::with_overrides(vec![(file.to_owned(), text.to_owned())], &settings(extra))
}

#[track_caller]
fn refused(file: &str, text: &str, why: &str) {
    let error = overridden(file, text, "").unwrap_err().to_string();
    assert!(error.contains(why), "{error}");
}

fn server() -> String {
    Templates::built_in().server.text().to_owned()
}

fn client() -> String {
    Templates::built_in().client.text().to_owned()
}

#[test]
fn the_built_in_ones_hold_their_own_rules() {
    assert_eq!(Templates::with_overrides(Vec::new(), &settings("")).unwrap(), Templates::built_in());
}

#[test]
fn a_file_of_the_same_name_overrides() {
    let text = client().replace("verb 3", "verb 4");
    let templates = overridden(CLIENT, &text, "").unwrap();
    let made = templates.client(&settings(""), &Name::parse("laptop-7").unwrap()).unwrap();
    assert!(made.contains("\nverb 4\n") && made.starts_with("# OpenVPN profile of laptop-7"), "{made}");
    assert!(templates.server(&settings(""), true).unwrap().contains("\nverb 3\n"));
}

/// Ours are compiled once and filled for everybody; a user's of the same text must say the same.
#[test]
fn what_is_compiled_once_says_what_is_compiled_anew() {
    let (ours, theirs) = (Templates::built_in(), overridden(CLIENT, &client(), "").unwrap());
    assert_eq!(ours, theirs);
    for name in ["laptop-7", "ben", "laptop-7"] {
        let (name, settings) = (Name::parse(name).unwrap(), settings(""));
        let made = ours.client(&settings, &name).unwrap();
        assert_eq!(made, theirs.client(&settings, &name).unwrap());
        assert!(made.starts_with(&format!("# OpenVPN profile of {name},")), "{made}");
    }
}

#[test]
fn a_file_that_overrides_nothing_is_refused() {
    let error = overridden("sever.conf", "", "").unwrap_err();
    assert_eq!(
        error.to_string(),
        "`templates/sever.conf` overrides nothing; there are `client.conf` and `server.conf`"
    );
}

#[test]
fn an_unknown_name_is_refused_with_its_line() {
    refused(
        SERVER,
        &server().replace("port {{ port }}", "port {{ prot }}"),
        "server.conf:2: there is no `prot`; there are port",
    );
    // even where it would never be looked at
    refused(CLIENT, &format!("{}{{% if float and flaot %}}\n{{% endif %}}\n", client()), "there is no `flaot`");
    refused(CLIENT, &client().replace("{{ remote }}", "{{ remote | upper }}"), "client.conf:8: unknown filter");
}

#[test]
fn a_setting_without_effect_is_refused_unless_meant() {
    let lacking = server().replace("port {{ port }}", "port 1194");
    refused(SERVER, &lacking, "server.conf: `port` is not used");
    assert!(overridden(SERVER, &format!("{lacking}{{% set unused = port %}}\n"), "").is_ok());
    // names that carry no setting may be left out
    assert!(overridden(CLIENT, &client().replace("{{ name }}", "someone"), "").is_ok());
}

#[test]
fn a_setting_that_came_later_is_missed_only_where_it_is_set() {
    let without = client().replace("{% if remote_random %}\nremote-random\n{% endif %}\n", "");
    let tried = |set: &str| {
        let settings = load(&format!("[client]\nremotes = [\"vpn.example.com:443/tcp\"]\n{set}"), "x").unwrap();
        Templates::with_overrides(vec![(CLIENT.to_owned(), without.clone())], &settings)
    };
    assert!(tried("").is_ok() && tried("http-proxy = \"proxy:3128\"").is_ok());
    let error = tried("remote-random = true").unwrap_err().to_string();
    assert!(error.contains("`remote_random` is not used"), "{error}");
}

#[test]
fn what_protects_cannot_be_left_out_unless_a_setting_names_it() {
    for (file, text, line, word) in [
        (SERVER, server().replace("{{ crl_file }}", "crl.pem"), "crl-verify crl.pem\n", "crl-verify"),
        (SERVER, server(), "remote-cert-tls client\n", "remote-cert-tls"),
        (CLIENT, client(), "remote-cert-tls server\n", "remote-cert-tls"),
    ] {
        for lacking in [
            text.replace(line, ""),
            text.replace(line, &format!("#{line}")),
            text.replace(line, &format!("{word} x\n")),
        ] {
            refused(file, &lacking, &format!("{file}: `{}` is missing", line.trim_end()));
            let allowed = format!("[server]\ntemplate-without = [\"{word}\"]");
            assert!(overridden(file, &lacking, &allowed).is_ok(), "{lacking}");
        }
    }
}

#[test]
fn a_template_that_names_another_list_than_the_settings_is_refused() {
    let written = server().replace("{{ crl_file }}", "crl.pem");
    assert!(overridden(SERVER, &written, "").is_ok());
    let error = overridden(SERVER, &written, "[server]\ncrl-file = \"crl/crl.pem\"").unwrap_err().to_string();
    assert!(error.contains("`crl-verify crl/crl.pem` is missing"), "{error}");
    assert!(overridden(SERVER, &server(), "[server]\ncrl-file = \"crl/crl.pem\"").is_ok());
}

#[test]
fn the_credentials_need_a_line_of_their_own() {
    for text in [
        client().replace("{{ credentials }}", "  {{ credentials }}"),
        client().replace("{{ credentials }}", "{{ credentials }} # here"),
        client().replace("{{ credentials }}", "{{ credentials }}\n{{ credentials }}"),
        client().replace("{{ credentials }}", "{% set unused = credentials %}"),
    ] {
        refused(CLIENT, &text, "alone on its line");
    }
}

#[test]
fn a_line_that_openvpn_would_not_read_is_refused() {
    refused(SERVER, &format!("up \"a\n{}", server()), "server.conf: line 1 of what it makes: a quote");
    refused(SERVER, &format!("{}\n", "a".repeat(255)).repeat(2), "is not used");
    refused(SERVER, &format!("{}\n{}", "a".repeat(255), server()), "255 bytes");
    refused(CLIENT, &client().replace('\n', "\r\n"), "control character");
    refused(CLIENT, &format!("# K\u{f6}ln\n{}", client()), "line 1 of what it makes: only ASCII");
    refused(CLIENT, &format!("{}<extra-certs>\n", client()), "`</extra-certs>` is missing");
    assert!(overridden(CLIENT, &format!("{}<extra-certs>\n\\ \"\n</extra-certs>\n", client()), "").is_ok());
    refused(SERVER, "{% if %}", "server.conf:1: syntax error");
    refused(SERVER, &format!("{}{{{{ port.number.x }}}}", server()), "undefined value");
}

proptest! {
    #[test]
    fn no_template_panics(text in "(\\{\\{|\\}\\}|\\{%|%\\}|if|for|in|end(if|for)|port|set|[ -~\n]{0,3}){0,12}") {
        let _ = overridden(SERVER, &text, "");
        let _ = overridden(CLIENT, &format!("{}{text}", client()), "");
    }
}
