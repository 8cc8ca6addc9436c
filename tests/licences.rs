//! Holds the tree of dependencies against `deny.toml`: licences, bans, sources, and what is ignored.
//! What is wrong with a crate's code is for the advisory database, which is read before a release.
#![expect(clippy::disallowed_methods, reason = "tests look at the disk from outside")]

use std::{fs, path::Path, process::Command};

use serde_json::Value;
use toml_edit::{DocumentMut, Item, TableLike};

#[test]
fn every_licence_is_allowed() {
    let deny = deny();
    let allowed = strings(&deny["licenses"]["allow"]);
    let (mut refused, mut used) = (Vec::new(), Vec::new());
    for package in packages() {
        let licence = package["license"].as_str().unwrap_or("none").to_owned();
        let mut terms = Vec::new();
        if !satisfied(&licence, &mut |id| {
            terms.push(id.to_owned());
            allowed.iter().any(|allowed| allowed == id)
        }) {
            refused.push(format!("{} ({licence})", package["name"]));
        }
        used.extend(terms);
    }
    assert!(refused.is_empty(), "deny.toml allows no licence of {refused:?}");
    for licence in &allowed {
        assert!(used.contains(licence), "no crate has the licence {licence} any more; take it out of deny.toml");
    }
}

#[test]
fn nothing_banned_is_in_the_tree() {
    let deny = deny();
    let names = built();
    assert!(names.len() > 50, "this looks at the whole tree, not at {} crates", names.len());
    for ban in tables(&deny["bans"]["deny"]) {
        let name = ban.get("name").and_then(Item::as_str).expect("a ban names its crate");
        assert!(ban.get("reason").is_some(), "`{name}` is banned without a reason");
        assert!(!names.iter().any(|found| found == name), "`{name}` is banned, but `cargo tree -i {name}` shows it");
    }
}

#[test]
fn everything_comes_from_the_one_registry() {
    let deny = deny();
    let allowed = strings(&deny["sources"]["allow-registry"]);
    for package in packages() {
        let Some(source) = package["source"].as_str() else {
            let ours = ["vpnpki", "safe-prime"].iter().any(|ours| package["name"] == *ours);
            assert!(ours, "{} is a dependency by path", package["name"]);
            continue;
        };
        let registry = source.strip_prefix("registry+").unwrap_or(source);
        assert!(allowed.iter().any(|url| url == registry), "{} comes from {source}", package["name"]);
    }
}

#[test]
fn every_ignored_advisory_has_its_reason_and_its_crate() {
    let ignored: Vec<(String, String)> = tables(&deny()["advisories"]["ignore"])
        .iter()
        .map(|advisory| {
            let word = |key: &str| advisory.get(key).and_then(Item::as_str).unwrap_or_default().to_owned();
            (word("id"), word("reason"))
        })
        .collect();
    assert_eq!(ignored.iter().map(|one| one.0.as_str()).collect::<Vec<_>>(), ["RUSTSEC-2023-0071"]);
    assert!(ignored[0].1.len() > 40, "the reason is `{}`", ignored[0].1);
    assert!(packages().iter().any(|package| package["name"] == "rsa"), "`rsa` is gone: ignore its advisory no longer");
    assert!(!said_in_sources("RsaPrivateKey"), "the reason says that `rsa` is used for public keys only");
}

#[test]
fn every_dependency_says_why_it_is_there() {
    let manifest = read("Cargo.toml");
    let begin = manifest.find("[dependencies]").expect("there are dependencies");
    let end = begin + manifest[begin..].find("[[bench]]").expect("benchmarks follow");
    let silent: Vec<&str> = manifest[begin..end]
        .lines()
        .filter(|line| line.contains(" = ") && !line.trim_start().starts_with('#') && !line.contains("# "))
        .collect();
    assert!(silent.is_empty(), "no reason stands behind {silent:#?}");
}

#[test]
fn expressions_are_read_as_they_are_meant() {
    let holds = |licence: &str| satisfied(licence, &mut |id| ["MIT", "ISC"].contains(&id));
    for fine in
        ["MIT", "MIT OR GPL-3.0", "GPL-3.0/MIT", "ISC AND (GPL-3.0 OR MIT)", "Apache-2.0 WITH LLVM-exception OR MIT"]
    {
        assert!(holds(fine), "{fine}");
    }
    for refused in ["GPL-3.0", "none", "", "MIT AND GPL-3.0", "ISC AND (GPL-3.0 OR Apache-2.0)", "MIT WITH exception"] {
        assert!(!holds(refused), "{refused}");
    }
}

/// Whether an SPDX expression holds when `allowed` says which licences do. AND binds closer than OR; `/` is the old OR.
fn satisfied(expression: &str, allowed: &mut dyn FnMut(&str) -> bool) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let mut words = spaced.split_whitespace().peekable();
    any_of(&mut words, allowed) && words.next().is_none()
}

type Words<'a> = std::iter::Peekable<std::str::SplitWhitespace<'a>>;

fn any_of(words: &mut Words, allowed: &mut dyn FnMut(&str) -> bool) -> bool {
    let mut holds = all_of(words, allowed);
    while words.next_if_eq(&"OR").is_some() {
        // both sides are read, so that every licence is seen
        holds |= all_of(words, allowed);
    }
    holds
}

fn all_of(words: &mut Words, allowed: &mut dyn FnMut(&str) -> bool) -> bool {
    let mut holds = term(words, allowed);
    while words.next_if_eq(&"AND").is_some() {
        holds &= term(words, allowed);
    }
    holds
}

fn term(words: &mut Words, allowed: &mut dyn FnMut(&str) -> bool) -> bool {
    match words.next() {
        Some("(") => any_of(words, allowed) && words.next_if_eq(&")").is_some(),
        // an exception is a licence of its own
        Some(id) => match words.next_if_eq(&"WITH").and_then(|_| words.next()) {
            Some(exception) => allowed(&format!("{id} WITH {exception}")),
            None => allowed(id),
        },
        None => false,
    }
}

/// Every package of the locked tree that this platform builds; the crates of others need not be here.
fn packages() -> Vec<Value> {
    let platform = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked", "--filter-platform", &platform])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo, which runs this test, can be run");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo metadata is JSON");
    metadata["packages"].as_array().expect("a list of packages").clone()
}

/// The names of the crates that are built. `cargo metadata` also has those that only a weak feature names and nothing
/// turns on, as rustls-webpki does with `ring?/alloc`.
fn built() -> Vec<String> {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--target", "all", "--prefix", "none", "--format", "{p}", "--edges", "all"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo, which runs this test, can be run");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout);
    let mut names: Vec<String> = text.lines().filter_map(|line| Some(line.split(' ').next()?.to_owned())).collect();
    names.sort();
    names.dedup();
    names
}

fn said_in_sources(word: &str) -> bool {
    let mut waiting = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(dir) = waiting.pop() {
        for entry in fs::read_dir(dir).expect("src/ can be listed") {
            let path = entry.expect("an entry of src/").path();
            if path.is_dir() {
                waiting.push(path);
            } else if fs::read_to_string(&path).is_ok_and(|text| text.contains(word)) {
                return true;
            }
        }
    }
    false
}

fn deny() -> DocumentMut {
    read("deny.toml").parse().expect("deny.toml is TOML")
}

fn read(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).expect("a file of this repository")
}

fn strings(item: &Item) -> Vec<String> {
    let array = item.as_array().expect("a list of strings");
    array.iter().filter_map(|value| value.as_str().map(str::to_owned)).collect()
}

fn tables(item: &Item) -> Vec<&dyn TableLike> {
    let array = item.as_array().expect("a list of tables");
    array.iter().filter_map(|value| value.as_inline_table().map(|table| table as &dyn TableLike)).collect()
}
