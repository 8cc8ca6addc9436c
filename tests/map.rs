//! Holds the map in `src/lib.rs` against the files beside it, and the rooms to what they may touch.
//! Reads source text only; what a room does is for other tests.
#![expect(clippy::disallowed_methods, reason = "tests look at the disk from outside")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// What each room may use of the others, beside the words. Whoever adds a line here changes the design.
const MAY_USE: [(&str, &[&str]); 20] = [
    ("inventory", &[]),
    ("pki", &["inventory"]),
    ("openvpn", &["inventory", "settings"]),
    ("settings", &["inventory", "openvpn", "pki", "template"]),
    ("template", &["openvpn", "settings"]),
    ("bundle", &["inventory", "openvpn", "pki", "settings", "template"]),
    ("import", &["inventory", "openvpn", "pki"]),
    ("handshake", &["pki"]),
    ("findings", &["bundle", "handshake", "import", "inventory", "openvpn", "pki"]),
    ("vault", &[]),
    ("world", &[]),
    ("files", &[]),
    ("publish", &["files"]),
    ("sessions", &["settings"]),
    ("store", &["files", "inventory"]),
    (
        "authority",
        &[
            "bundle",
            "files",
            "findings",
            "import",
            "inventory",
            "openvpn",
            "pki",
            "publish",
            "sessions",
            "settings",
            "store",
            "template",
            "vault",
            "world",
        ],
    ),
    ("enroll", &["bundle", "files", "import", "openvpn", "pki"]),
    ("install", &["files", "pki", "publish"]),
    ("render", &["template"]),
    (
        "cli",
        &[
            "authority",
            "bundle",
            "enroll",
            "files",
            "findings",
            "import",
            "install",
            "inventory",
            "openvpn",
            "pki",
            "publish",
            "render",
            "sessions",
            "settings",
            "store",
            "vault",
            "world",
        ],
    ),
];

/// What every room may use; among themselves they use each other only.
const WORDS: [&str; 5] = ["name", "secret", "serial", "time", "validity"];

/// Words that name an effect, and the only room that may say them. `std::env` also covers the arguments.
const EFFECTS: [(&str, &str); 20] = [
    ("std::fs", "files"),
    ("rustix::fs", "files"),
    ("rusqlite", "store"),
    ("SELECT ", "store"),
    ("INSERT INTO ", "store"),
    ("DELETE FROM ", "store"),
    ("PRAGMA ", "store"),
    ("age::", "vault"),
    ("age_core::", "vault"),
    ("SystemTime", "world"),
    ("SysRng", "world"),
    ("std::env", "cli"),
    ("io::stdin()", "cli"),
    ("println!", "nobody: it panics when nobody reads"),
    ("print!", "nobody: it panics when nobody reads"),
    ("UnixStream", "sessions"),
    ("rustix::net", "sessions"),
    ("std::net::Tcp", "sessions"),
    ("std::net::Udp", "nobody: no other network is used"),
    ("std::process::Command", "publish"),
];

#[test]
fn every_room_is_on_the_map_and_nothing_else_is() {
    let on_the_map: BTreeSet<String> = map().iter().filter_map(|line| room_of_item(line)).collect();
    assert_eq!(on_the_map, rooms(), "the list of rooms in src/lib.rs differs from the files in src/");
}

#[test]
fn every_step_of_the_life_of_a_command_is_a_link_and_none_leads_nowhere() {
    let map = map();
    let begin =
        map.iter().position(|line| line.starts_with("# The life of")).expect("the map tells the life of a command");
    let life = &map[begin + 2..];
    assert!((20..=35).contains(&life.len()), "about thirty lines, not {}", life.len());
    let steps: Vec<String> = steps(life);
    assert!(steps.len() > 10, "{steps:?}");
    for (place, step) in steps.iter().enumerate() {
        assert!(step.starts_with(&format!("{}. ", place + 1)), "the steps are not counted from 1: {step}");
        assert!(step.contains("](") || step.contains("`]"), "no link in: {step}");
    }
}

#[test]
fn rooms_use_only_what_the_design_lets_them() {
    let allowed: BTreeMap<&str, &[&str]> = MAY_USE.into_iter().chain(WORDS.map(|word| (word, &[][..]))).collect();
    let known: BTreeSet<String> = allowed.keys().map(|room| (*room).to_owned()).collect();
    assert_eq!(known, rooms(), "a room is missing in MAY_USE, or one there is gone");
    for (file, room) in sources() {
        for used in used_rooms(&product_text(&file)) {
            let fine =
                used == room || WORDS.contains(&used.as_str()) || allowed[room.as_str()].contains(&used.as_str());
            assert!(fine, "{} uses `{used}`, which `{room}` may not", file.display());
        }
    }
}

#[test]
fn effects_stay_in_their_rooms() {
    let mut met = BTreeSet::new();
    for (file, room) in sources() {
        let text = product_text(&file);
        for (word, owner) in EFFECTS {
            if said(&text, word) {
                assert_eq!(room, owner, "`{word}` is said in {}, but belongs to {owner}", file.display());
                met.insert(word);
            }
        }
    }
    for (word, owner) in EFFECTS.iter().filter(|(_, owner)| !owner.starts_with("nobody")) {
        assert!(met.contains(word), "nothing says `{word}` any more: is `{owner}` still the room for it?");
    }
}

#[test]
fn this_test_sees_what_it_looks_for() {
    let text = "use crate::{\n    files::{self, FileError},\n    store,\n};\nfn f() { crate::world::World::real(); }\n";
    assert_eq!(used_rooms(text), BTreeSet::from(["files", "store", "world"].map(str::to_owned)));
    assert!(said("use std::{\n    fs,\n    path::Path,\n};", "std::fs"));
    assert!(said("use std::fs;", "std::fs") && said("std::fs::read(path)", "std::fs"));
    assert!(!said("use std::os::unix::fs::MetadataExt;", "std::fs"));
    assert!(said("age::decrypt(", "age::") && !said("usage::of(", "age::"));
    assert!(said("eprintln!(\"\")", "println!") && said("use std::{env, ffi::OsString};", "std::env"));
    let commented =
        "let a = 1; // std::fs\n/// SELECT \nlet url = \"http://x\"; std::fs\n#[cfg(test)]\nmod tests { std::fs }\n";
    assert_eq!(without_comments_and_tests(commented), "let a = 1; \n\nlet url = \"http://x\"; std::fs\n");
}

/// The lines of the crate's documentation.
fn map() -> Vec<String> {
    let text = read(&src().join("lib.rs"));
    text.lines().map_while(|line| line.strip_prefix("//!")).map(|line| line.trim_start().to_owned()).collect()
}

/// ``- [`room`]: what it is`` gives `room`.
fn room_of_item(line: &str) -> Option<String> {
    let (room, rest) = line.strip_prefix("- [`")?.split_once("`]")?;
    assert!(rest.len() > 10, "the map does not say what `{room}` is for");
    Some(room.to_owned())
}

/// The steps, each with the lines that continue it.
fn steps(lines: &[String]) -> Vec<String> {
    let mut steps: Vec<String> = Vec::new();
    for line in lines {
        if line.starts_with(|first: char| first.is_ascii_digit()) {
            steps.push(line.clone());
        } else if let Some(last) = steps.last_mut() {
            last.push_str(line);
        }
    }
    steps
}

/// Every file or directory right under `src/`; `foo.rs` and `foo/` are one room. The two roots are none.
fn rooms() -> BTreeSet<String> {
    let mut rooms = BTreeSet::new();
    for entry in fs::read_dir(src()).expect("src/ can be listed") {
        let path = entry.expect("an entry of src/").path();
        let room = path.file_stem().expect("a name").to_string_lossy().into_owned();
        if room != "lib" && room != "main" {
            rooms.insert(room);
        }
    }
    rooms
}

/// Every source file that is not a test's, with its room.
fn sources() -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut waiting = vec![src()];
    while let Some(dir) = waiting.pop() {
        for entry in fs::read_dir(&dir).expect("a directory of src/ can be listed") {
            let path = entry.expect("an entry of src/").path();
            if path.join("Cargo.toml").exists() {
                // a package of its own, from which no room can be reached
                continue;
            }
            if path.is_dir() {
                waiting.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found.retain(|path| !is_for_tests(path));
    found.into_iter().filter_map(|path| Some((path.clone(), room_of(&path)?))).collect()
}

/// `tests.rs`, or a module that its parent declares under `#[cfg(test)]`.
fn is_for_tests(path: &Path) -> bool {
    let module = path.file_stem().expect("a name").to_string_lossy();
    let dir = path.parent().expect("a parent");
    let parent = dir.with_extension("rs");
    let declared = if parent.is_file() { read(&parent) } else { String::new() };
    ["mod", "pub mod", "pub(crate) mod"]
        .iter()
        .any(|keyword| declared.contains(&format!("#[cfg(test)]\n{keyword} {module};")))
}

fn room_of(path: &Path) -> Option<String> {
    let relative = path.strip_prefix(src()).expect("a file in src/");
    let first = Path::new(relative.components().next().expect("a name").as_os_str()).file_stem()?;
    let room = first.to_string_lossy().into_owned();
    (room != "lib" && room != "main").then_some(room)
}

/// The rooms after `crate::`, also those in the braces of a `use`.
fn used_rooms(text: &str) -> BTreeSet<String> {
    let mut used = BTreeSet::new();
    for (place, _) in text.match_indices("crate::") {
        let rest = &text[place + "crate::".len()..];
        match rest.strip_prefix('{') {
            Some(list) => used.extend(heads_of_list(list)),
            None => used.extend(head(rest)),
        }
    }
    used
}

/// The first segment of each path in a list that ends with the brace that closes it.
fn heads_of_list(list: &str) -> Vec<String> {
    let (mut heads, mut depth, mut begin) = (Vec::new(), 0, 0);
    for (place, character) in list.char_indices() {
        match character {
            '{' => depth += 1,
            ',' if depth == 0 => {
                heads.extend(head(list[begin..place].trim_start()));
                begin = place + 1;
            }
            '}' if depth == 0 => {
                heads.extend(head(list[begin..place].trim_start()));
                break;
            }
            '}' => depth -= 1,
            _ => (),
        }
    }
    heads
}

/// The module a path begins with; none for a macro or a type at the root.
fn head(path: &str) -> Option<String> {
    let end = path.find(|character: char| !character.is_ascii_lowercase() && character != '_').unwrap_or(path.len());
    (end > 0 && !path[end..].starts_with('!')).then(|| path[..end].to_owned())
}

/// Whether the text says a word, written out or through `use std::{fs, …}`.
fn said(text: &str, word: &str) -> bool {
    let whole = |place: usize| {
        let before = text[..place].chars().next_back();
        word == "println!"
            || word == "print!"
            || !before.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_' || c == ':')
    };
    if text.match_indices(word).any(|(place, _)| whole(place)) {
        return true;
    }
    let Some((krate, module)) = word.split_once("::").filter(|(_, module)| !module.is_empty()) else { return false };
    let opening = format!("use {krate}::{{");
    text.match_indices(&opening).any(|(place, _)| {
        let head_of_module = module.split("::").next().unwrap_or(module);
        module == head_of_module && heads_of_list(&text[place + opening.len()..]).iter().any(|head| head == module)
    })
}

fn product_text(path: &Path) -> String {
    without_comments_and_tests(&read(path))
}

/// Tests come last in every file; a comment ends with its line, and `://` begins none.
fn without_comments_and_tests(text: &str) -> String {
    let end = text.find("#[cfg(test)]\nmod tests").unwrap_or(text.len());
    let mut kept = String::new();
    for line in text[..end].lines() {
        let comment = line.match_indices("//").find(|(place, _)| !line[..*place].ends_with(':'));
        kept.push_str(&line[..comment.map_or(line.len(), |(place, _)| place)]);
        kept.push('\n');
    }
    kept
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn src() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}
