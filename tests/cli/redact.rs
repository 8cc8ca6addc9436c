//! Makes what a run says comparable with another run: serials, hashes, dates, keys and the directory get stand-ins.
//! The same serial gets the same stand-in within one transcript, so that a mix-up shows.

use std::collections::HashMap;

/// Stand-ins given so far.
#[derive(Default)]
pub struct Redactor {
    known: HashMap<String, String>,
    serials: usize,
    hashes: usize,
}

impl Redactor {
    /// The text with every passing thing replaced; `dir` is where the run took place.
    pub fn redact(&mut self, text: &str, dir: &str) -> String {
        let text = without_pem(&text.replace(dir, "DIR"));
        let mut redacted = String::new();
        let mut rest = text.as_str();
        while let Some(first) = rest.chars().next() {
            let fresh = !redacted.ends_with(|last: char| last.is_ascii_alphanumeric());
            let length = if fresh { run(rest) } else { 0 };
            let (taken, shown) = match self.stand_in(rest, length) {
                Some(found) => found,
                None => (first.len_utf8(), first.to_string()),
            };
            redacted.push_str(&shown);
            rest = &rest[taken..];
        }
        redacted
    }

    /// How many bytes at the beginning have a stand-in, and which; `length` letters and digits stand there.
    fn stand_in(&mut self, text: &str, length: usize) -> Option<(usize, String)> {
        let word = &text[..length];
        if length == 0 {
            None
        } else if shaped(text, "dddd-dd-ddTdd:dd:ddZ") {
            Some((20, "<time>".to_owned()))
        } else if shaped(text, "dddd-dd-dd") {
            Some((10, "<date>".to_owned()))
        } else if length == 32 && hexadecimal(word, u8::is_ascii_uppercase) {
            Some((length, self.numbered(word, "SERIAL")))
        } else if matches!(length, 32 | 64) && hexadecimal(word, u8::is_ascii_lowercase) {
            Some((length, self.numbered(word, "hash")))
        } else if word.starts_with("age1") && length == 62 {
            Some((length, "age1...".to_owned()))
        } else if word.starts_with("age1") && shaped(text, "age1cccccccc...cccccc") {
            Some((21, "age1...".to_owned()))
        } else {
            None
        }
    }

    fn numbered(&mut self, word: &str, kind: &str) -> String {
        if let Some(shown) = self.known.get(word) {
            return shown.clone();
        }
        let count = if kind == "SERIAL" { &mut self.serials } else { &mut self.hashes };
        *count += 1;
        let shown = format!("<{kind}-{count}>");
        self.known.insert(word.to_owned(), shown.clone());
        shown
    }
}

fn run(text: &str) -> usize {
    text.bytes().take_while(u8::is_ascii_alphanumeric).count()
}

fn shaped(text: &str, shape: &str) -> bool {
    let fits = |(byte, wanted): (u8, u8)| match wanted {
        b'd' => byte.is_ascii_digit(),
        b'c' => byte.is_ascii_alphanumeric(),
        _ => byte == wanted,
    };
    text.len() >= shape.len() && text.bytes().zip(shape.bytes()).all(fits)
}

fn hexadecimal(word: &str, letter: fn(&u8) -> bool) -> bool {
    word.bytes().all(|byte| byte.is_ascii_hexdigit() && (byte.is_ascii_digit() || letter(&byte)))
}

/// Each armoured block as one line.
fn without_pem(text: &str) -> String {
    let mut kept = String::new();
    let mut rest = text;
    while let Some((before, block)) = rest.split_once("-----BEGIN ") {
        let (label, _) = block.split_once("-----").unwrap_or((block, ""));
        let end = format!("-----END {label}-----");
        kept.push_str(before);
        kept.extend(["<", label, ">"]);
        rest = block.split_once(&end).map_or("", |(_, after)| after);
    }
    kept + rest
}

#[test]
fn stand_ins_follow_the_thing_they_stand_for() {
    let [one, two] = ["6A028AFF0761EE3A3222F32D70D27EB2", "68FF107221D342968E543F5E70AA5925"];
    let text = format!("{one} {two} serial:{one} 2026-11-22T19:29:01Z (2026-11-22) x{two} /tmp/a/b");
    let redacted = Redactor::default().redact(&text, "/tmp/a");
    assert_eq!(redacted, format!("<SERIAL-1> <SERIAL-2> serial:<SERIAL-1> <time> (<date>) x{two} DIR/b"));
    assert_eq!(without_pem("a\n-----BEGIN X-----\nQQ\n-----END X-----\nb"), "a\n<X>\nb");
}
