//! Executes what the README and every `--help` tell people to type, and holds the output against what is printed there.
//! Blocks marked `console` run in their order in one directory; `sh` blocks are for a fresh machine; `toml` blocks are
//! settings. `VPNPKI_UPDATE_README=1` writes the README's outputs anew instead of comparing them.
#![expect(clippy::disallowed_methods, reason = "tests look at the disk and the environment from outside")]

use std::{
    fmt::Write as _,
    fs,
    os::unix::fs::{symlink, PermissionsExt},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

#[path = "cli/management.rs"]
#[expect(dead_code, reason = "an example needs a server that answers, not one that misbehaves")]
mod management;

use clap::CommandFactory;
use vpnpki::{settings, time::Time};

#[test]
fn the_readme_shows_what_happens() {
    let place = Place::new();
    let readme = readme();
    let mut written = String::new();
    let mut commands = 0;
    for part in parts(&readme) {
        match part {
            Part::Block { language: "console", text } => {
                written.push_str("```console\n");
                for Step { command, expected } in steps(text) {
                    commands += 1;
                    let (output, code) = place.run(&place.vpn, &command);
                    assert_eq!(code, Some(0), "`{command}` failed:\n{output}");
                    if !updating() {
                        assert_eq!(
                            redacted(&output),
                            redacted(&expected),
                            "README.md shows other output of `{command}`:\n{output}"
                        );
                    }
                    let _ = write!(written, "$ {command}\n{output}");
                }
                written.push_str("```\n");
            }
            Part::Block { language, text } => {
                let _ = write!(written, "```{language}\n{text}```\n");
            }
            Part::Prose(line) => {
                let _ = writeln!(written, "{line}");
            }
        }
    }
    assert!(commands > 25, "only {commands} commands were found in the README");
    if updating() {
        fs::write(repository().join("README.md"), written).expect("the README can be written");
    }
}

#[test]
fn the_two_commands_for_a_fresh_machine_are_the_ones_that_are_tested() {
    let readme = readme();
    let blocks: Vec<&str> = blocks(&readme, "sh");
    let [build, test] = blocks[..] else { panic!("README.md has {} blocks for a fresh machine", blocks.len()) };

    // the second is what CI runs
    assert_eq!(test, "tests/run\n");
    let ci = fs::read_to_string(repository().join(".ci/run")).expect(".ci/run can be read");
    assert!(ci.lines().any(|line| line.starts_with("exec ") && line.contains("/tests/run")), "{ci}");
    let mode = repository().join("tests/run").metadata().expect("tests/run is there").permissions().mode();
    assert_eq!(mode & 0o111, 0o111, "tests/run cannot be executed");

    // of the first, all but the building, which was done for this test
    let place = Place::new();
    let clone = place.root.path().join("clone");
    fs::create_dir(&clone).expect("a directory for the clone");
    assert_eq!(build.lines().count(), 1, "one command is one line: {build}");
    let command = build.trim_end().replace("cargo run --release --locked --", "vpnpki");
    assert!(command.contains("vpnpki --pki ../vpn/pki init --remote vpn.example.com --issue client1"), "{command}");
    fs::remove_dir_all(&place.vpn).expect("the directory is not there yet");
    let (output, code) = place.run(&clone, &command);
    assert_eq!(code, Some(0), "{output}");
    for made in ["pki/pki.db", "pki/vpnpki.toml", "server/server.conf", "client1.ovpn"] {
        assert!(place.vpn.join(made).is_file(), "{made} is missing after {command}\n{output}");
    }
    assert_eq!(fs::read_dir(&clone).expect("the clone").count(), 0, "keys were written into the clone");
}

#[test]
fn every_block_of_the_readme_is_of_a_kind_that_is_tested() {
    for part in parts(&readme()) {
        if let Part::Block { language, text } = part {
            assert!(["console", "sh", "toml"].contains(&language), "nobody tests a block of `{language}`:\n{text}");
        }
    }
}

#[test]
fn settings_in_the_readme_are_accepted() {
    let readme = readme();
    let blocks = blocks(&readme, "toml");
    assert!(!blocks.is_empty());
    for block in blocks {
        // an excerpt names no remote when it is about something else
        let text = if block.contains("remotes") {
            block.to_owned()
        } else {
            format!("{block}\n[client]\nremotes = [\"vpn.example.com\"]\n")
        };
        if let Err(faults) = settings::load(&text, "README.md") {
            panic!("{faults}\n{block}");
        }
    }
}

#[test]
fn the_examples_of_every_help_work() {
    let mut seen = 0;
    for (name, examples) in help_examples() {
        for example in examples {
            seen += 1;
            let place = Place::prepared_for(&example);
            let typed = place.with_known_serial(&example);
            let (output, code) = place.run(&place.vpn, &typed);
            assert_eq!(code, Some(0), "`{name} --help` shows `{example}`, which says:\n{output}");
        }
    }
    assert!(seen > 20, "only {seen} examples were found");
}

#[test]
fn examples_fit_on_a_screen() {
    for (name, examples) in help_examples() {
        for example in examples {
            assert!(example.len() <= 96, "`{name} --help` breaks the line `{example}`");
        }
    }
}

#[test]
fn what_differs_from_run_to_run_is_not_compared() {
    let line = "  x serial:4B70D78E219DDEB12D1319FCCD94A8F1 since 2026-11-22T19:39:26Z until 2036-11-19 (3649 days)";
    assert_eq!(redacted(line), "  x serial:SERIAL since TIME until DATE (N days)");
    let row = "client1                  client valid     2029-02-24    824  7D194A18067A27ED53A229CAD3746700";
    assert_eq!(redacted(row), "client1                  client valid     DATE N  SERIAL");
    assert_eq!(redacted("head aa4719785bb20c92537575c81a03e8ff86c805aae1b56b4f21be90cef89a4054"), "head HASH");
    assert_eq!(redacted("  phone-3    dbgn-5aiy-286s-bbww-4k5t-ayzv\n"), "  phone-3    PASSPHRASE\n");
    assert_eq!(redacted(r#"{"days_left":824,"number":3}"#), r#"{"days_left":N,"number":3}"#);
    for same in ["CRL 2 in 3660 s", "600 pki/pki.db", "172.16.0.0/16", "vpn.example.com:1194", "2026-11", "4B70D78E"] {
        assert_eq!(redacted(same), same);
    }
}

#[test]
fn every_file_that_a_document_names_is_there() {
    let mut named = 0;
    for document in ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"] {
        let text = fs::read_to_string(repository().join(document)).expect("a document can be read");
        for path in text.split('`').skip(1).step_by(2).filter(|word| is_path_of_ours(word)) {
            named += 1;
            assert!(repository().join(path).exists(), "{document} names `{path}`, which is not there");
        }
    }
    assert!(named > 20, "only {named} files are named");
}

/// A machine of its own: a home, a server's directory, and and `vpnpki`, `ssh` and `rsync` in front of the path.
struct Place {
    root: tempfile::TempDir,
    /// Where commands are typed.
    vpn: PathBuf,
}

impl Place {
    fn new() -> Self {
        let root = tempfile::tempdir().expect("a temporary directory");
        let vpn = root.path().join("vpn");
        for dir in [
            "vpn",
            "bin",
            "etc/openvpn",
            "etc/bash_completion.d",
            "etc/systemd/system",
            "usr/local/share/man/man1",
            ".ssh",
        ] {
            fs::create_dir_all(root.path().join(dir)).expect("a directory of the machine");
        }
        let place = Self { root, vpn };
        symlink(env!("CARGO_BIN_EXE_vpnpki"), place.root.path().join("bin/vpnpki")).expect("vpnpki on the path");
        // the other end of `| ssh host '…'` takes everything and says nothing; so does that of `rsync FILE host:`
        place.file("bin/rsync", "#!/bin/sh\nexec cat \"$1\" >/dev/null\n", 0o755);
        place.file("bin/ssh", "#!/bin/sh\nexec cat >/dev/null\n", 0o755);
        place.file("passphrase", "correct horse battery staple\n", 0o600);
        let key = fs::read_to_string(repository().join("src/vault/fixtures/ed25519.pub")).expect("a public SSH key");
        place.file(".ssh/id_ed25519.pub", &key, 0o644);
        place
    }

    /// With the authority that an example takes for granted; names that it issues are free.
    fn prepared_for(example: &str) -> Self {
        let place = Self::new();
        fs::create_dir(place.vpn.join("bundles")).expect("a directory for bundles");
        if example.contains("enroll") || example.contains("--csr") {
            return place.enrolled(example);
        }
        let mut words = example.split_whitespace().skip(1);
        let clients = match words.next() {
            Some("init") => return place,
            Some("generate") if !example.contains("systemd") => return place,
            Some("issue") => "ben-2",
            _ => "client1 laptop-7",
        };
        let init = format!("vpnpki init --remote vpn.example.com --issue {clients} --no-passphrase --no-export");
        let server = "vpnpki export server --publish -o /etc/openvpn/server";
        let carried = "vpnpki crl publish -o crl.pem";
        let prepare =
            if example.contains("export server") { vec![init.as_str()] } else { vec![init.as_str(), server, carried] };
        for command in prepare {
            let (output, code) = place.run(&place.vpn, command);
            assert_eq!(code, Some(0), "{command}\n{output}");
        }
        if example.contains("--key-passphrase-file") {
            place.file("vpn/client1.txt", "for its owner\n", 0o600);
        }
        if example.contains("people.csv") {
            place.file("vpn/people.csv", "name,days,note\nanna,90,anna@example.com\ncleo,,\n", 0o644);
        }
        if example.starts_with("vpnpki verify") {
            let (output, code) = place.run(&place.vpn, "vpnpki export client1");
            assert_eq!(code, Some(0), "{output}");
        }
        if example.contains(" unlocker ") {
            place.people_with_keys(example);
        }
        if example.contains(" vpn.backup") && !example.contains(" -o ") {
            place.back_up(example.contains("restore"));
        }
        if example.contains("--kick") || ["kick", "sessions"].iter().any(|word| example.split(' ').nth(1) == Some(word))
        {
            place.serve();
        }
        place
    }

    /// With a key and its request, and the answer to it where that is renewed or finished.
    fn enrolled(self, example: &str) -> Self {
        let init = "vpnpki init --remote vpn.example.com --no-passphrase --no-export";
        let answered = example.contains("renew") || example.contains("--finish");
        let mut commands = vec![init];
        commands.extend(
            (example.contains("--key-file") || example.contains("--csr") || answered)
                .then_some("vpnpki enroll laptop-7"),
        );
        commands.extend(answered.then_some("vpnpki issue laptop-7 --csr laptop-7.csr"));
        commands.extend(example.contains("--key-file").then_some("rm laptop-7.csr"));
        for command in commands {
            let (output, code) = self.run(&self.vpn, command);
            assert_eq!(code, Some(0), "{command}\n{output}");
        }
        self
    }

    /// A passphrase and an SSH key, under the names that examples use, each with its unlocker where it is used or taken.
    fn people_with_keys(&self, example: &str) {
        let keys = "echo battery-staple > new.txt && chmod 600 new.txt && mkdir -p ~/.ssh && \
                    ssh-keygen -q -t ed25519 -N '' -C anna -f ~/.ssh/id_ed25519";
        let jo = "vpnpki unlocker add --recipient \"$(cat ~/.ssh/id_ed25519.pub)\" --label jo";
        let safe = "vpnpki unlocker add --new-passphrase-file new.txt --label safe";
        let before = [("remove jo", jo), ("--passphrase-of safe", safe)];
        let needed = before.into_iter().filter(|(word, _)| example.contains(word)).map(|(_, command)| command);
        for command in [keys].into_iter().chain(needed) {
            let (output, code) = self.run(&self.vpn, command);
            assert_eq!(code, Some(0), "{command}\n{output}");
        }
    }

    /// A backup, and what opens it, both under the names that examples use; then the authority may be `lost`.
    fn back_up(&self, lost: bool) {
        let key = "mkdir kept && cp pki/vault.key kept && mkdir -p ~/.ssh && cp pki/vault.key ~/.ssh/id_ed25519";
        for command in ["vpnpki backup -o vpn.backup", key].into_iter().chain(lost.then_some("rm -r pki")) {
            let (output, code) = self.run(&self.vpn, command);
            assert_eq!(code, Some(0), "{command}\n{output}");
        }
    }

    /// A running server whose management interface the settings name.
    fn serve(&self) {
        let socket = self.root.path().join("management.sock");
        management::Fake::new(&["laptop-7"]).on_socket(&socket);
        let settings = self.vpn.join("pki/vpnpki.toml");
        let text = fs::read_to_string(&settings).expect("settings");
        let line = format!("\nmanagement = \"{} unix\"", socket.display());
        let at = text.find("\n#management = ").expect("the example in the settings");
        fs::write(&settings, [&text[..at], &line, &text[at..]].concat()).expect("settings written");
    }

    /// An example's `serial:HEX` becomes that of a certificate that is there.
    fn with_known_serial(&self, example: &str) -> String {
        let Some((before, after)) = example.split_once("serial:") else { return example.to_owned() };
        let (shown, _) = self.run(&self.vpn, "vpnpki show laptop-7");
        let serial = shown.split("serial:").nth(1).and_then(|rest| rest.split_whitespace().next()).expect("a serial");
        let rest = after.trim_start_matches(|character: char| character.is_ascii_hexdigit());
        format!("{before}serial:{serial}{rest}")
    }

    /// Types a command; both outputs in the order in which they came, with this machine's root taken off every path.
    fn run(&self, dir: &Path, command: &str) -> (String, Option<i32>) {
        let root = self.root.path().canonicalize().expect("a path without links");
        let root = root.to_str().expect("a path that is text");
        let mut typed = command.to_owned();
        for absolute in ["/etc/openvpn", "/etc/bash_completion.d", "/etc/systemd", "/usr/local/share/man"] {
            typed = typed.replace(absolute, &format!("{root}{absolute}"));
        }
        let path = format!("{root}/bin:{}", std::env::var("PATH").expect("a path"));
        let no_passphrase = typed.contains("--no-passphrase") || dir.join("pki/vault.key").exists();
        let mut shell = Command::new("bash");
        shell.args(["-c", &format!("set -o pipefail; exec 2>&1; {typed}")]).current_dir(dir).stdin(Stdio::null());
        shell.env_clear().envs([("PATH", path.as_str()), ("HOME", root), ("USER", "anna"), ("LANG", "C.UTF-8")]);
        if !no_passphrase {
            shell.env("VPNPKI_PASSPHRASE_FILE", format!("{root}/passphrase"));
        }
        let output = shell.output().expect("bash can be run");
        (String::from_utf8_lossy(&output.stdout).replace(root, ""), output.status.code())
    }

    fn file(&self, name: &str, text: &str, mode: u32) {
        let path = self.root.path().join(name);
        fs::write(&path, text).expect("a file of the machine");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("its mode");
    }
}

/// The commands under `Examples:` of every `--help`, without the words that explain them.
fn help_examples() -> Vec<(String, Vec<String>)> {
    let mut found = Vec::new();
    let mut waiting = vec![("vpnpki".to_owned(), vpnpki::cli::Cli::command())];
    while let Some((name, command)) = waiting.pop() {
        if let Some(text) = command.get_after_help().map(ToString::to_string) {
            let examples = text.lines().filter_map(|line| line.strip_prefix("  vpnpki "));
            let typed = examples.map(|line| format!("vpnpki {}", line.split("    ").next().unwrap_or(line)));
            found.push((name.clone(), typed.collect()));
        }
        waiting.extend(command.get_subcommands().map(|sub| (format!("{name} {}", sub.get_name()), sub.clone())));
    }
    found
}

/// A line of prose, or a fenced block.
enum Part<'a> {
    Prose(&'a str),
    Block { language: &'a str, text: &'a str },
}

fn parts(readme: &str) -> Vec<Part<'_>> {
    let (mut parts, mut rest) = (Vec::new(), readme);
    while let Some((line, after)) = rest.split_once('\n') {
        if let Some(language) = line.strip_prefix("```") {
            let (text, after) = after.split_once("```\n").expect("every block has an end");
            parts.push(Part::Block { language, text });
            rest = after;
        } else {
            parts.push(Part::Prose(line));
            rest = after;
        }
    }
    parts
}

fn blocks<'a>(readme: &'a str, wanted: &str) -> Vec<&'a str> {
    let block = |part| match part {
        Part::Block { language, text } if language == wanted => Some(text),
        _ => None,
    };
    parts(readme).into_iter().filter_map(block).collect()
}

struct Step {
    command: String,
    expected: String,
}

/// `$ command`, the lines that continue it behind a backslash, and the output up to the next `$`.
fn steps(block: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for line in block.lines() {
        match (line.strip_prefix("$ "), steps.last_mut()) {
            (Some(command), _) => steps.push(Step { command: command.to_owned(), expected: String::new() }),
            (None, Some(step)) if step.expected.is_empty() && step.command.ends_with('\\') => {
                step.command = format!("{}\n{line}", step.command);
            }
            (None, Some(step)) => {
                let _ = writeln!(step.expected, "{line}");
            }
            (None, None) => panic!("a block begins with output: {line}"),
        }
    }
    steps
}

/// The text without what differs from run to run: serials, hashes, dates, times, and numbers of days.
fn redacted(text: &str) -> String {
    text.split_inclusive('\n').map(redacted_line).collect()
}

fn redacted_line(line: &str) -> String {
    let (mut out, mut rest, mut before) = (String::new(), line, None);
    while let Some(first) = rest.chars().next() {
        let starts = !before.is_some_and(|c: char| c.is_ascii_alphanumeric());
        let found = if starts { token(rest, &out) } else { None };
        if let Some((length, word)) = found {
            if word == "SERIAL" {
                hide_days_column(&mut out);
            }
            out.push_str(word);
            rest = &rest[length..];
            before = Some('x');
        } else {
            out.push(first);
            rest = &rest[first.len_utf8()..];
            before = Some(first);
        }
    }
    out
}

/// What stands at the start of `rest`, behind `before`, that is not compared: its length and the word for it.
fn token(rest: &str, before: &str) -> Option<(usize, &'static str)> {
    let end = rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
    let word = &rest[..end];
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let hex = |upper: bool| {
        word.bytes()
            .all(|b| b.is_ascii_digit() || if upper { (b'A'..=b'F').contains(&b) } else { (b'a'..=b'f').contains(&b) })
    };
    // a recipient that `init --recovery` made, as its label shows it
    if word.starts_with("age1") && rest.get(end..end + 3) == Some("...") && rest.len() >= end + 9 {
        return Some((end + 9, "AGE"));
    }
    if let Some(length) = passphrase(rest) {
        return Some((length, "PASSPHRASE"));
    }
    if word.len() == 32 && hex(true) {
        return Some((32, "SERIAL"));
    }
    if word.len() == 64 && hex(false) {
        return Some((64, "HASH"));
    }
    if rest.get(..20).is_some_and(|text| Time::parse(text).is_ok()) {
        return Some((20, "TIME"));
    }
    if rest.get(..10).is_some_and(|text| Time::parse(&format!("{text}T00:00:00Z")).is_ok()) {
        return Some((10, "DATE"));
    }
    let counted = rest[end..].starts_with(" days") || before.ends_with("_left\":");
    (digits(word) && counted).then_some((end, "N"))
}

/// How long the passphrase is that `--generate-passphrase` made: six groups of four.
fn passphrase(rest: &str) -> Option<usize> {
    let word = &rest[..rest.find(char::is_whitespace).unwrap_or(rest.len())];
    let group = |group: &str| group.len() == 4 && group.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    (word.split('-').count() == 6 && word.split('-').all(group)).then_some(word.len())
}

/// In a table of certificates the days left stand in front of the serial, to the right of their column.
fn hide_days_column(out: &mut String) {
    let Some(row) = out.strip_suffix("  ") else { return };
    let number = row.trim_end_matches(|c: char| c.is_ascii_digit() || c == '-');
    if number.len() < row.len() && number.ends_with(' ') {
        *out = format!("{} N  ", number.trim_end());
    }
}

/// A file or directory of this repository, as against one of an authority or a command with its arguments.
fn is_path_of_ours(word: &str) -> bool {
    let roots = ["src", "tests", "templates", "benches", ".ci", ".cargo"];
    let files = ["Cargo.toml", "clippy.toml", "deny.toml", "rustfmt.toml", "rust-toolchain.toml"];
    let path = word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/._-".contains(&byte));
    let below = word.split_once('/').is_some_and(|(root, rest)| roots.contains(&root) && rest.contains(|c| c != '/'));
    // `NAME` stands for a file to come
    path && !word.contains("NAME") && (below || files.contains(&word))
}

fn readme() -> String {
    fs::read_to_string(repository().join("README.md")).expect("the README can be read")
}

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn updating() -> bool {
    std::env::var_os("VPNPKI_UPDATE_README").is_some()
}
