use super::{
    rules::{Rule, RULES},
    what::What,
    *,
};

fn words(lines: &[&str]) -> Vec<Vec<String>> {
    directives(&(lines.join("\n") + "\n"))
}

fn found(program: Program, lines: &[&str]) -> Vec<String> {
    let directives = words(lines);
    refusals(program, &Facts { directives: &directives, ..Facts::default() })
        .into_iter()
        .map(|refusal| refusal.what)
        .collect()
}

/// A profile that a rule looks for, its keys and its size.
struct Sample {
    lines: Vec<String>,
    keys: Vec<(Holder, KeyKind)>,
    lock: Option<KeyLock>,
    bytes: Option<usize>,
}

fn sample(lines: &[String]) -> Sample {
    Sample { lines: lines.to_vec(), keys: Vec::new(), lock: None, bytes: None }
}

/// Everything that sets a rule off, each alone.
fn triggers(rule: &Rule) -> Vec<Sample> {
    let each = |names: &[&str], line: &dyn Fn(&str) -> String| names.iter().map(|name| sample(&[line(name)])).collect();
    match rule.what {
        What::Directive(names) | What::Unknown(names) | What::UnknownAnywhere(names) => {
            each(names, &|name| format!("{name} x"))
        }
        What::Prefix(begin) => vec![sample(&[format!("{begin}-x y")])],
        What::DirectiveOtherThan(_) => vec![sample(&["tls-crypt ta.key".to_owned()])],
        What::BlockOtherThan(_) => vec![sample(&["<connection>".to_owned()])],
        What::Tap => each(&["dev tap0", "dev-type tap"], &str::to_owned),
        What::OtherThan(name, _) => vec![sample(&[format!("{name} other")])],
        What::CipherNotGcm => vec![sample(&["cipher AES-256-CBC".to_owned()])],
        What::MtuBelow(least) => vec![sample(&[format!("tun-mtu {}", least - 1)])],
        What::Key(holder, kinds) => {
            kinds.iter().map(|kind| Sample { keys: vec![(holder, *kind)], ..sample(&[]) }).collect()
        }
        What::Locked(locks) => locks.iter().map(|lock| Sample { lock: Some(*lock), ..sample(&[]) }).collect(),
        What::Larger(most) => vec![Sample { bytes: Some(most + 1), ..sample(&[]) }],
    }
}

/// What is nearest to that and fine.
fn near_misses(rule: &Rule) -> Vec<Sample> {
    match rule.what {
        What::Directive(names) => names.iter().map(|name| sample(&[format!("setenv X_{name} 1")])).collect(),
        What::Unknown(names) | What::UnknownAnywhere(names) => names
            .iter()
            .flat_map(|name| {
                [
                    sample(&[format!("ignore-unknown-option a {name} b"), format!("{name} x")]),
                    sample(&[format!("setenv opt {name} x")]),
                ]
            })
            .collect(),
        What::Prefix(begin) => vec![sample(&[format!("x-{begin}")])],
        What::DirectiveOtherThan(names) => names.iter().map(|name| sample(&[format!("{name} x")])).collect(),
        What::BlockOtherThan(names) => names.iter().map(|name| sample(&[format!("<{name}>")])).collect(),
        What::Tap => vec![sample(&["dev tun".to_owned()]), sample(&["dev-type tun".to_owned()])],
        What::OtherThan(name, value) => vec![sample(&[format!("{name} {value}")])],
        What::CipherNotGcm => vec![sample(&["cipher aes-256-gcm".to_owned()])],
        What::MtuBelow(least) => vec![sample(&[format!("tun-mtu {least}")])],
        What::Key(..) => {
            vec![Sample { keys: vec![(Holder::Client, KeyKind::Rsa), (Holder::Ca, KeyKind::Nist)], ..sample(&[]) }]
        }
        What::Locked(_) => vec![sample(&[]), Sample { lock: Some(KeyLock::DesEde3), ..sample(&[]) }],
        What::Larger(most) => vec![Sample { bytes: Some(most), ..sample(&[]) }],
    }
}

fn met(rule: &Rule, sample: &Sample) -> bool {
    let lines: Vec<&str> = sample.lines.iter().map(String::as_str).collect();
    let directives = words(&lines);
    let facts = Facts { directives: &directives, keys: &sample.keys, lock: sample.lock, bytes: sample.bytes };
    !rule.what.found(&facts).is_empty()
}

#[test]
fn every_rule_is_set_off_by_what_it_names_and_not_by_what_is_near() {
    for rule in RULES {
        for (place, sample) in triggers(rule).iter().enumerate() {
            assert!(met(rule, sample), "{} ({place}): {:?}", rule.why, sample.lines);
        }
        for sample in near_misses(rule) {
            assert!(!met(rule, &sample), "{}: {:?}", rule.why, sample.lines);
        }
        for text in [rule.why, rule.way, rule.source] {
            assert!(!text.is_empty() && text.trim() == text && !text.ends_with('.'), "{text}");
        }
        assert!(!rule.whom.is_empty(), "{}", rule.why);
    }
}

#[test]
fn a_rule_speaks_for_its_programs_only() {
    assert_eq!(found(Program::Openvpn24, &["<tls-crypt-v2>"]), ["`tls-crypt-v2`"]);
    assert_eq!(found(Program::Openvpn25, &["<tls-crypt-v2>"]), Vec::<String>::new());
    assert_eq!(found(Program::Openvpn24, &["tun-mtu 1000"]), ["`tun-mtu 1000`"]);
    assert_eq!(found(Program::Openvpn, &["tun-mtu 1000"]), Vec::<String>::new());
    assert_eq!(found(Program::Windows, &["block-outside-dns"]), Vec::<String>::new());
    assert_eq!(found(Program::Openvpn, &["block-outside-dns"]), ["`block-outside-dns`"]);
}

#[test]
fn an_option_that_is_ignored_later_stops_openvpn_and_not_connect() {
    let late = ["max-packet-size 1200", "ignore-unknown-option max-packet-size"];
    assert_eq!(found(Program::Openvpn25, &late), ["`max-packet-size`"]);
    assert_eq!(found(Program::Ios, &late), Vec::<String>::new());
}

#[test]
fn the_same_thing_is_said_once() {
    assert_eq!(found(Program::Chromeos, &["tls-crypt a", "<tls-crypt>", "</tls-crypt>"]), ["`tls-crypt`"]);
    let directives = words(&["dh x", "ping 1", "dev tap"]);
    let refusals = refusals(Program::Connect, &Facts { directives: &directives, ..Facts::default() });
    assert_eq!(
        reasons(&refusals),
        "`dh`, `ping`: OpenVPN Connect refuses a profile that has it; `dev tap`: it carries packets only, no frames"
    );
}

#[test]
fn directives_are_what_stands_outside_of_blocks() {
    let profile =
        "# a\nclient\n\nsetenv FRIENDLY_NAME \"a b\"\n<ca>\ndh x\n</ca>\nverb 3\n<tls-auth>\nping 1\n</tls-auth>\n";
    let expected: [&[&str]; 5] =
        [&["client"], &["setenv", "FRIENDLY_NAME", "a b"], &["<ca>"], &["verb", "3"], &["<tls-auth>"]];
    assert_eq!(directives(profile), expected);
    assert_eq!(found(Program::Connect, &["<ca>", "dh x", "</ca>"]), Vec::<String>::new());
    assert_eq!(found(Program::Connect, &["dh x"]), ["`dh`"]);
}

#[test]
fn keys_are_told_apart_by_their_words() {
    let kinds = ["p256", "p384", "rsa2048", "rsa4096", "ed25519", "p521", "secp256k1"].map(KeyKind::of);
    let expected = [KeyKind::Nist, KeyKind::Nist, KeyKind::Rsa, KeyKind::Rsa, KeyKind::Edwards, KeyKind::P521];
    assert_eq!(kinds[..6], expected);
    assert_eq!(kinds[6], KeyKind::Other);
}

#[test]
fn programs_go_both_ways() {
    for program in Program::ALL {
        assert_eq!(program.to_string().parse(), Ok(program));
        assert!(!program.formats().is_empty() && !program.title().is_empty());
    }
    assert!("netscape".parse::<Program>().unwrap_err().contains("`netscape` is no program; there are openvpn,"));
}
