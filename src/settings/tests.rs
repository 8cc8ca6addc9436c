use super::*;
use proptest::prelude::*;

const REMOTE: &str = "[client]\nremotes = [\"vpn.example.com:1194/udp\"]\n";

fn good(text: &str) -> Settings {
    load(&format!("{REMOTE}{text}"), "vpnpki.toml").unwrap_or_else(|faults| panic!("{faults}"))
}

/// The faults of a text that follows a good `[client]`, whose two lines count.
fn faults(text: &str) -> Vec<Fault> {
    load(&format!("{REMOTE}{text}"), "vpnpki.toml").unwrap_err().faults
}

#[track_caller]
fn one_fault(text: &str, line: usize, field: &str, what: &str) {
    let faults = faults(text);
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert_eq!((faults[0].line, faults[0].field.as_str()), (line, field), "{faults:?}");
    assert!(faults[0].what.contains(what), "{faults:?}");
}

#[test]
fn one_remote_is_enough() {
    let settings = good("");
    assert_eq!(settings.vpn_name, "vpn.example.com");
    assert_eq!((settings.server.port, settings.server.proto), (1194, Proto::Udp));
    assert_eq!(settings.network.pool.to_string(), "10.8.0.0/24");
    assert_eq!((settings.client.days, settings.ca_days, settings.crl_days), (825, 3650, None));
    assert_eq!((settings.algorithm, settings.keep), (Algorithm::P256, Keep::UntilRevoked));
    assert_eq!(settings.control_channel, ControlChannel::TlsCrypt);
    assert_eq!(settings.notes, Vec::<String>::new());
}

#[test]
fn the_server_listens_where_the_first_remote_says() {
    let settings = load("[client]\nremotes = [\"a:443/tcp\", \"b:443/tcp\"]", "x").unwrap();
    assert_eq!((settings.server.port, settings.server.proto), (443, Proto::Tcp));
    assert_eq!(settings.notes.len(), 0);
}

#[test]
fn remotes_that_lead_nowhere_are_noted_together() {
    let two = load("[client]\nremotes = [\"a\", \"a:443/tcp\", \"b:443/tcp\", \"b:80/tcp\"]", "x").unwrap();
    let [note] = &two.notes[..] else { panic!("{:?}", two.notes) };
    assert!(note.contains("where `a:443/tcp`, `b:443/tcp`, `b:80/tcp` leads"), "{note}");
    assert!(note.contains("write `reachable-at = [\"443/tcp\", \"80/tcp\"]`"), "{note}");
}

#[test]
fn a_proxy_goes_with_tcp() {
    let settings = load("[client]\nremotes = [\"a:443/tcp\"]\nhttp-proxy = \"[2001:db8::1]:3128\"", "x").unwrap();
    assert_eq!(settings.client.http_proxy.unwrap().to_string(), "[2001:db8::1]:3128");
}

#[test]
fn everything_can_be_set() {
    let settings = good(
        "file-name = \"{name}-{vpn}\"\nremote-random = true\nfloat = true\ntun-mtu = 1000\ndays = 30\nextra = [\"mssfix 1300\"]\n\
         [vpn]\nname = \"Example VPN\"\n\
         [server]\nport = 1195\nproto = \"tcp\"\nname-prefix = \"gate\"\nuser = \"nobody\"\ngroup = \"nogroup\"\n\
         management = \"127.0.0.1 7505\"\ncrl-file = \"crl/crl.pem\"\nextra = [\"max-clients 9\"]\ndays = 90\ntemplate-without = [\"crl-verify\"]\n\
         reneg-sec = 10\nhand-window = 5\ntran-window = 6\n\
         [network]\npool = \"10.9.0.0/16\"\nroutes = [\"172.16.0.0/12\"]\ndns = [\"9.9.9.9\"]\nredirect-gateway = true\n\
         [keys]\nalgorithm = \"rsa2048\"\nkeep = \"never\"\n[ca]\nalgorithm = \"p384\"\ndays = 99\n[crl]\ndays = 9\n\
         [control-channel]\nmode = \"tls-auth\"\n[publish]\nmode = \"manual\"\n",
    );
    let Settings { client, server, network, .. } = &settings;
    assert_eq!((settings.vpn_name.as_str(), client.file_name.to_string().as_str()), ("Example VPN", "{name}-{vpn}"));
    assert!(client.remote_random);
    assert_eq!((client.float, client.tun_mtu, client.days, client.extra.len()), (true, Some(1000), 30, 1));
    assert_eq!((server.port, server.proto, server.name_prefix.as_str()), (1195, Proto::Tcp, "gate"));
    assert_eq!((server.user.as_deref(), server.group.as_deref()), (Some("nobody"), Some("nogroup")));
    assert_eq!(server.management.as_ref().map(ToString::to_string).as_deref(), Some("127.0.0.1 7505"));
    assert_eq!(server.crl.words(), ["crl/crl.pem"]);
    assert_eq!((server.days, &server.template_without[..]), (Some(90), &[Without::CrlVerify][..]));
    assert_eq!((server.reneg_sec, server.hand_window, server.tran_window), (Some(10), Some(5), Some(6)));
    assert_eq!((network.pool.to_string(), network.routes.len(), network.dns.len()), ("10.9.0.0/16".to_owned(), 1, 1));
    assert!(network.redirect_gateway);
    assert_eq!((settings.algorithm, settings.keep), (Algorithm::Rsa2048, Keep::Never));
    assert_eq!((settings.ca_algorithm, settings.ca_days, settings.crl_days), (Algorithm::P384, 99, Some(9)));
    assert_eq!((settings.control_channel, settings.publish.mode), (ControlChannel::TlsAuth, PublishMode::Manual));
}

#[test]
fn all_faults_come_at_once_in_the_order_of_their_lines() {
    let text = "flaot = true\n[network]\nroutes = [\n  \"172.16.0.1/16\",\n  \"10.8.0.0/25\",\n]\n[server]\nport = \"1194\"\n[serve]\n";
    let shown = load(&format!("{REMOTE}{text}"), "pki/vpnpki.toml").unwrap_err().to_string();
    let lines: Vec<_> = shown.lines().collect();
    assert_eq!(
        lines,
        [
            "pki/vpnpki.toml:3: client.flaot: there is no such setting; did you mean `float`?",
            "pki/vpnpki.toml:6: network.routes: `172.16.0.1/16` is no network address; the network is `172.16.0.0/16`",
            "pki/vpnpki.toml:7: network.routes: `10.8.0.0/25` lies inside the pool `10.8.0.0/24`; clients have that route already",
            "pki/vpnpki.toml:10: server.port: must be a whole number from 1 to 65535, without quotes",
            "pki/vpnpki.toml:11: serve: there is no such section; did you mean `server`?",
        ]
    );
}

#[test]
fn a_file_that_is_no_toml_has_a_line() {
    let faults = faults("[network\n");
    assert_eq!((faults[0].line, faults[0].field.as_str()), (3, ""));
    assert!(faults[0].what.starts_with("this is no TOML: "), "{faults:?}");
    assert!(!faults[0].what.contains('\n'));
}

#[test]
fn a_vpn_without_remotes_is_none() {
    let fault = |text: &str| load(text, "x").unwrap_err().to_string();
    assert!(fault("").starts_with("x:1: client.remotes: is missing"));
    assert!(fault("[ca]\ndays = 1\n[client]\n").starts_with("x:3: client.remotes: is missing"));
    assert!(fault("[client]\nremotes = []").starts_with("x:2: client.remotes: names no server"));
    assert!(fault("[client]\nremotes = \"a\"").starts_with("x:2: client.remotes: must be a list"));
    assert_eq!(fault("[client]\nremotes = [\"a:0\"]"), "x:2: client.remotes: `0` is no port; ports go from 1 to 65535");
    assert!(fault("[client]\nremotes = [\"a\",\n\"a:1194/udp\"]")
        .starts_with("x:3: client.remotes: `a:1194/udp` is named twice"));
    assert!(fault("client = 1").starts_with("x:1: client: must be a section"));
}

#[test]
fn each_kind_of_fault_names_its_line_and_field() {
    for (text, line, field, what) in [
        ("[vpn]\nname = \"K\u{f6}ln\"", 4, "vpn.name", "ASCII"),
        ("[vpn]\nname = \"a\\nb\"", 4, "vpn.name", "printable"),
        ("file-name = \"client\"", 3, "client.file-name", "{name}"),
        ("float = \"yes\"", 3, "client.float", "`true` or `false`"),
        ("remote-random = 1", 3, "client.remote-random", "`true` or `false`"),
        ("http-proxy = \"proxy\"", 3, "client.http-proxy", "a host and a port"),
        ("http-proxy = \"a:b@proxy:1\"", 3, "client.http-proxy", "no password"),
        ("http-proxy = \"proxy:8080\"", 3, "client.http-proxy", "speaks udp"),
        ("extra = [\"http-proxy proxy 8080\"]", 3, "client.extra", "client.http-proxy"),
        ("extra = [\"remote-random\"]", 3, "client.extra", "client.remote-random"),
        ("[server]\nreachable-at = [\"tcp\"]", 4, "server.reachable-at", "no port"),
        ("tun-mtu = 100", 3, "client.tun-mtu", "from 576"),
        ("days = 0", 3, "client.days", "from 1 to 36500"),
        ("days = 4294967297", 3, "client.days", "from 1 to 36500"),
        ("extra = [\"float\"]", 3, "client.extra", "client.float"),
        ("extra = [\"mssfix 1\\nup x\"]", 3, "client.extra", "break out of the line"),
        ("extra = [\"<ca>\"]", 3, "client.extra", "inline block"),
        ("extra = \"mssfix 1\"", 3, "client.extra", "must be a list"),
        ("[server]\nproto = \"sctp\"", 4, "server.proto", "`udp` and `tcp`"),
        ("[server]\nname-prefix = \"-x\"", 4, "server.name-prefix", "does not begin"),
        ("[server]\nuser = \"No Body\"", 4, "server.user", "account"),
        ("[server]\ngroup = \"x\\ny\"", 4, "server.group", "account"),
        ("[server]\nmanagement = \"0.0.0.0 7505\"", 4, "server.management", "commands the server"),
        ("[server]\nmanagement = \"m.sock unix\"", 4, "server.management", "absolute"),
        ("[server]\nmanagement = \"127.0.0.1\"", 4, "server.management", "PATH unix"),
        ("[server]\ntemplate-without = [\"ca\"]", 4, "server.template-without", "crl-verify"),
        ("[server]\ncrl-file = \"/etc/crl.pem\"", 4, "server.crl-file", "plain names"),
        ("[server]\ncrl-file = \"a/b/crl.pem\"", 4, "server.crl-file", "plain names"),
        ("[server]\ncrl-file = \"server.conf\"", 4, "server.crl-file", "another file"),
        ("[server]\ncrl-dir = \"crl/serials\"", 4, "server.crl-dir", "one plain name"),
        ("[server]\ncrl-dir = \"TA.key\"", 4, "server.crl-dir", "another file"),
        ("[server]\ncrl-dir = \"crl\"\ncrl-file = \"crl.pem\"", 4, "server.crl-dir", "set one of them"),
        ("[server]\nreneg-sec = 0", 4, "server.reneg-sec", "from 5"),
        ("[server]\nextra = [\"crl-verify x\"]", 4, "server.extra", "revoked"),
        ("[server.port]\nx = 1", 3, "server.port", "not a section"),
        ("[network]\npool = \"10.8.0.0/30\"", 4, "network.pool", "/16 to /29"),
        ("[network]\npool = \"10.8.0.5/24\"", 4, "network.pool", "the network is `10.8.0.0/24`"),
        ("[network]\npool = \"127.0.0.0/24\"", 4, "network.pool", "no addresses"),
        ("[network]\npool = \"fd00::/64\"", 4, "network.pool", "IPv6"),
        ("[network]\nroutes = [\"10.8.0.0/24\"]", 4, "network.routes", "pool itself"),
        ("[network]\nroutes = [\"10.8.0.128/25\"]", 4, "network.routes", "inside the pool"),
        ("[network]\nroutes = [\"0.0.0.0/0\"]", 4, "network.routes", "redirect-gateway"),
        ("[network]\nroutes = [\"172.16.0.1\"]", 4, "network.routes", "/32"),
        ("[network]\nroutes = [\"here\"]", 4, "network.routes", "no network"),
        ("[network]\nroutes = [\"172.16.0.0/16\",\n\"172.16.0.0/16\"]", 5, "network.routes", "twice"),
        ("[network]\ndns = [\"dns.example.com\"]", 4, "network.dns", "no IP address"),
        ("[network]\ndns = [\"0.0.0.0\"]", 4, "network.dns", "no name server"),
        ("[keys]\nalgorithm = \"rsa1024\"", 4, "keys.algorithm", "rsa1024"),
        ("[keys]\nkeep = \"sometimes\"", 4, "keys.keep", "until-revoked"),
        ("[ca]\nalgorithm = \"dsa\"", 4, "ca.algorithm", "dsa"),
        ("[ca]\ndays = 36501", 4, "ca.days", "to 36500"),
        ("[crl]\ndays = 1.5", 4, "crl.days", "whole number"),
        ("[control-channel]\nmode = \"none\"", 4, "control-channel.mode", "tls-auth"),
        ("[publish]\nmode = \"no\"", 4, "publish.mode", "manual"),
        ("[publish]\nafter = [\"push\"]", 4, "publish.after", "absolute path"),
        ("[[publish]]\nafter = [\"/bin/push\"]\ndir = \"a\"", 4, "publish.after", "no such setting"),
        ("[publish]\ndir = \"/a\"", 4, "publish.dir", "did you mean `dirs`?"),
        ("[[publish]]\ndir = \"\"", 4, "publish.dir", "a directory"),
        ("[[publish]]\n", 3, "publish.dir", "is missing"),
        ("[[publish]]\nmode = \"auto\"\ndir = \"a\"", 4, "publish.mode", "no such setting"),
        ("[[crl]]\ndays = 1", 3, "crl", "must be a section"),
    ] {
        one_fault(text, line, field, what);
    }
}

#[test]
fn what_may_surprise_is_noted() {
    let notes = |text: &str| good(text).notes.join("\n");
    assert!(notes("[network]\nroutes = [\"10.0.0.0/8\"]").contains("`10.0.0.0/8` contains the pool"));
    assert!(notes("tun-mtu = 1000").contains("`mssfix`"));
    assert!(notes("extra = [\"cipher AES-256-CBC\"]").contains("NetworkManager"));
    assert!(notes("[server]\nproto = \"tcp\"")
        .contains("where `vpn.example.com:1194/udp` leads, the one of the settings is at 1194/tcp"));
    assert!(notes("[server]\nport = 1195").contains("write `reachable-at = [\"1194/udp\"]`"));
    assert_eq!(notes("[server]\nport = 1195\nreachable-at = [\"1194\", \"443/tcp\"]"), "");
    assert!(notes("[keys]\nalgorithm = \"ed25519\"")
        .starts_with("keys.algorithm: OpenVPN Connect and builds with mbed TLS"));
    assert!(
        notes("[ca]\nalgorithm = \"ed25519\"").starts_with("ca.algorithm: OpenVPN Connect and builds with mbed TLS")
    );
    assert!(notes("[control-channel]\nmode = \"tls-crypt-v2\"").contains("2.5 or newer"));
    assert_eq!(notes("[network]\nroutes = [\"172.16.0.0/16\"]"), "");
}

proptest! {
    #[test]
    fn no_text_panics(text in ".{0,120}") {
        let _ = load(&text, "x");
    }

    #[test]
    fn no_value_panics(
        section in "(vpn|client|server|network|keys|ca|crl|control-channel|publish)",
        key in "(name|remotes|file-name|extra|pool|routes|dns|days|port|mode|dirs|management|user|reneg-sec)",
        value in "(-?[0-9]{1,20}|\"[ -!#-\\[\\]-~]{0,30}\"|\\[\"[ -!#-\\[\\]-~]{0,30}\"\\]|true|\\{\\}|1979-05-27)",
    ) {
        if let Err(faults) = load(&format!("[{section}]\n{key} = {value}\n"), "x") {
            prop_assert!(faults.faults.iter().all(|fault| (1..=2).contains(&fault.line)), "{}", faults);
        }
    }

    #[test]
    fn what_loads_makes_configurations(extra in "[a-z-]{1,12}( [!-~]{1,12}){0,3}", name in "[ -~]{1,64}") {
        let quoted = |text: &str| toml_edit::Value::from(text).to_string();
        let text = format!("{REMOTE}extra = [{}]\n[server]\nextra = [{}]\n[vpn]\nname = {}\n", quoted(&extra), quoted(&extra), quoted(&name));
        if let Ok(settings) = load(&text, "x") {
            crate::template::Templates::with_overrides(Vec::new(), &settings).unwrap();
        }
    }
}
