//! A configuration as `OpenVPN` reads it (`options_parse.c`): directives, inline blocks, and where other readers differ.
//! Knows no directive's meaning; a block is borrowed, so that a key in it is not copied.

use crate::{
    name::escape,
    openvpn::directive::{self, Line, LineError},
};

/// A configuration that was read. What could not be read is among the faults; the rest is there all the same.
pub struct Profile<'a> {
    /// In their order, those within `<connection>` too.
    pub directives: Vec<Directive<'a>>,
    /// What some reader stumbles over.
    pub faults: Vec<LineFault>,
}

/// One directive.
pub struct Directive<'a> {
    /// Where it stands, counted from 1.
    pub line: usize,
    /// Its name, without leading `--`, and its parameters.
    pub words: Vec<String>,
    /// The lines between `<name>` and `</name>`.
    pub block: Option<&'a [u8]>,
    /// Whether it stands within `<connection>`.
    pub within_connection: bool,
}

/// Something that a reader stumbles over.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LineFault {
    /// Where, counted from 1.
    pub line: usize,
    /// Who reads it otherwise than it is meant, or not at all.
    pub reader: Reader,
    /// Whether that reader stops there.
    pub fatal: bool,
    /// What it is.
    pub what: String,
}

/// Whose reading differs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Reader {
    /// Every one.
    Everybody,
    /// `OpenVPN` 2 (`options_parse.c`).
    OpenVpn,
    /// The core of `OpenVPN` Connect (openvpn3: `options.hpp`, `optfilt.hpp`, `lex.hpp`).
    Connect,
    /// The core of `OpenVPN` Connect, and Tunnelblick (`ConfigurationConverter.m`).
    ConnectAndTunnelblick,
}

impl Directive<'_> {
    /// The directive's name.
    pub fn name(&self) -> &str {
        self.words.first().map_or("", String::as_str)
    }

    /// One of its parameters, counted from 1; none when it has fewer.
    pub fn parameter(&self, place: usize) -> Option<&str> {
        self.words.get(place).map(String::as_str)
    }
}

impl<'a> Profile<'a> {
    /// Reads a configuration.
    pub fn read(bytes: &'a [u8]) -> Self {
        let mut profile = Profile { directives: Vec::new(), faults: Vec::new() };
        if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
            profile.fault(1, Reader::Everybody, true, "is UTF-16, of which OpenVPN reads no line; save it as UTF-8");
            return profile;
        }
        let mut lines = Lines { rest: bytes.strip_prefix(BOM).unwrap_or(bytes), number: 0, ended: false };
        profile.read_lines(&mut lines, false);
        profile
    }

    /// Every directive of this name.
    pub fn all<'p>(&'p self, name: &'p str) -> impl Iterator<Item = &'p Directive<'a>> + 'p {
        self.directives.iter().filter(move |directive| directive.name() == name)
    }

    /// The directive of this name that counts: the last.
    pub fn last(&self, name: &str) -> Option<&Directive<'a>> {
        self.directives.iter().rev().find(|directive| directive.name() == name)
    }

    fn read_lines(&mut self, lines: &mut Lines<'a>, within_connection: bool) {
        while let Some((number, line)) = lines.next() {
            let newline = lines.ended && !within_connection;
            let Some(words) = self.words(number, line, newline) else { continue };
            let block = match tag(&words) {
                None => None,
                Some(name) => {
                    let Some(block) = self.block(number, line, name, lines) else { return };
                    Some((name.to_owned(), block))
                }
            };
            match block {
                Some((name, block)) if name == CONNECTION && !within_connection => {
                    self.read_lines(&mut Lines { rest: block, number, ended: false }, true);
                    self.directives.push(Directive { line: number, words: vec![name], block: None, within_connection });
                }
                Some((name, block)) => {
                    self.directives.push(Directive {
                        line: number,
                        words: vec![name],
                        block: Some(block),
                        within_connection,
                    });
                }
                None => self.directives.push(Directive { line: number, words, block: None, within_connection }),
            }
        }
    }

    /// The words of a line; none when it has none, or cannot be read.
    fn words(&mut self, number: usize, line: &[u8], newline: bool) -> Option<Vec<String>> {
        let mut text = self.text(number, line);
        let between_words = text.trim_end_matches('\\').ends_with([' ', '\t']);
        if (newline || between_words) && directive::read(&text) == Err(LineError::FinalBackslash) {
            // what comes next counts as a space that is escaped: part of the last word, or nothing
            text.pop();
            self.fault(
                number,
                Reader::Everybody,
                false,
                "ends in a backslash, which makes its end part of the last word",
            );
        }
        let mut words = match directive::read(&text) {
            Ok(Line { words, cut, .. }) => {
                if cut && words.first().is_some_and(|word| !word.starts_with(['#', ';'])) {
                    let what =
                        "has `#` or `;` within a word, where the line ends for them: put the word in double quotes";
                    self.fault(number, Reader::ConnectAndTunnelblick, false, what);
                }
                words
            }
            Err(LineError::TooManyWords) => {
                self.fault(number, Reader::OpenVpn, false, "has more than 16 words, and the rest is dropped");
                text.split_ascii_whitespace().take(16).map(str::to_owned).collect()
            }
            Err(error) => {
                // Connect's core reads lines of 512 bytes and escapes of its own; what OpenVPN refuses cannot be handed out
                self.fault(number, Reader::OpenVpn, true, &error.to_string());
                return None;
            }
        };
        // `bypass_doubledash`
        if let Some(name) = words.first_mut().filter(|name| name.len() > 2 && name.starts_with("--")) {
            name.drain(..2);
        }
        (!words.is_empty()).then_some(words)
    }

    /// The line as text that [`directive::read`] takes: `isspace` counts CR, vertical tab and form feed as spaces, and a
    /// C string ends at NUL.
    fn text(&mut self, number: usize, line: &[u8]) -> String {
        let end = line.iter().position(|&byte| byte == 0).unwrap_or(line.len());
        if end < line.len() {
            self.fault(number, Reader::Everybody, true, "holds a NUL byte, at which OpenVPN ends the line");
        }
        let text = String::from_utf8_lossy(&line[..end]);
        let control =
            |character: char| character.is_control() && !character.is_ascii_whitespace() && character != '\u{b}';
        if text.contains(control) {
            self.fault(number, Reader::Everybody, false, "holds a control character");
        }
        text.replace(|character: char| character.is_control(), " ")
    }

    /// What stands until `</name>` (`read_inline_file`); none when that never comes.
    fn block(&mut self, number: usize, line: &[u8], name: &str, lines: &mut Lines<'a>) -> Option<&'a [u8]> {
        let (begin, close, shown) = (lines.rest, format!("</{name}>"), escape(name));
        loop {
            let before = begin.len() - lines.rest.len();
            let Some((at, inner)) = lines.next() else { break };
            if inner.trim_ascii_start().starts_with(close.as_bytes()) {
                if inner.trim_ascii_end() != close.as_bytes() || inner.starts_with(b" ") || inner.starts_with(b"\t") {
                    let what = format!(
                        "`</{shown}>` does not stand alone at the beginning of its line, and is not found there"
                    );
                    self.fault(at, Reader::Connect, true, &what);
                }
                if line.first().is_some_and(u8::is_ascii_whitespace) {
                    self.fault(number, Reader::Connect, false, &format!("`<{shown}>` is indented"));
                }
                return Some(&begin[..before]);
            }
            if inner.len() > CONNECT_LINE {
                let what = format!("has {} bytes within `<{shown}>`, at most {CONNECT_LINE} are read", inner.len());
                self.fault(at, Reader::Connect, true, &what);
            }
        }
        self.fault(number, Reader::Everybody, true, &format!("`<{shown}>` is never closed by `{}`", escape(&close)));
        None
    }

    fn fault(&mut self, line: usize, reader: Reader, fatal: bool, what: &str) {
        self.faults.push(LineFault { line, reader, fatal, what: what.to_owned() });
    }
}

/// The name in `<name>` that stands alone on its line (`check_inline_file`).
fn tag(words: &[String]) -> Option<&str> {
    match words {
        // `</ca>` on its own opens a block of the name `/ca`, which nothing closes
        [only] => only.strip_prefix('<')?.strip_suffix('>'),
        _ => None,
    }
}

/// Lines without their newlines, counted.
struct Lines<'a> {
    rest: &'a [u8],
    number: usize,
    /// Whether the last one had a newline.
    ended: bool,
}

impl<'a> Iterator for Lines<'a> {
    type Item = (usize, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let end = self.rest.iter().position(|&byte| byte == b'\n');
        let (line, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest.get(1..).unwrap_or_default();
        self.number += 1;
        self.ended = end.is_some();
        Some((self.number, line))
    }
}

const BOM: &[u8] = b"\xef\xbb\xbf";

/// The one block that holds directives.
pub const CONNECTION: &str = "connection";

/// `MAX_LINE_SIZE` of Connect's core (cliconstants.hpp), which holds within blocks too.
const CONNECT_LINE: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn said(text: &str) -> Vec<String> {
        let profile = Profile::read(text.as_bytes());
        profile
            .faults
            .iter()
            .map(|fault| format!("{} {:?} {} {}", fault.line, fault.reader, fault.fatal, fault.what))
            .collect()
    }

    fn words(text: &str) -> Vec<String> {
        Profile::read(text.as_bytes()).directives.iter().map(|directive| directive.words.join("|")).collect()
    }

    #[test]
    fn directives_and_blocks_come_with_their_lines() {
        let text =
            "\u{feff}client\r\n# remark\r\n\r\n--remote vpn 1194 # here\r\n<ca>\r\none\r\n two\r\n</ca>\r\nverb 3";
        let profile = Profile::read(text.as_bytes());
        let found: Vec<_> = profile.directives.iter().map(|found| (found.line, found.name(), found.block)).collect();
        assert_eq!(
            found,
            [(1, "client", None), (4, "remote", None), (5, "ca", Some(&b"one\r\n two\r\n"[..])), (9, "verb", None)]
        );
        assert_eq!(profile.last("remote").unwrap().parameter(2), Some("1194"));
        assert!(profile.faults.is_empty(), "{:?}", profile.faults);
    }

    #[test]
    fn a_connection_holds_directives() {
        let text = "client\n<connection>\nremote a 1\n</connection>\n<connection>\nremote b 2\n</connection>\n";
        let profile = Profile::read(text.as_bytes());
        let remotes: Vec<_> = profile.all("remote").map(|remote| (remote.line, remote.within_connection)).collect();
        assert_eq!(remotes, [(3, true), (6, true)]);
        assert_eq!(profile.all(CONNECTION).count(), 2);
    }

    #[test]
    fn what_openvpn_refuses_is_said_with_its_line() {
        assert_eq!(
            said("client\na \\n"),
            ["2 OpenVpn true a backslash stands before `n`: OpenVPN knows only `\\\\`, `\\\"` and `\\ `"]
        );
        assert_eq!(said("a b\\"), ["1 OpenVpn true the line ends in a backslash"]);
        assert_eq!(
            said("a b\\\n"),
            ["1 Everybody false ends in a backslash, which makes its end part of the last word"]
        );
        assert_eq!(said("a 'b"), ["1 OpenVpn true a quote (') is not closed"]);
        assert_eq!(
            said(&format!("{}\n", "a".repeat(255))),
            ["1 OpenVpn true the line has 255 bytes, OpenVPN reads at most 254"]
        );
        assert_eq!(said("<ca>\nx\n"), ["1 Everybody true `<ca>` is never closed by `</ca>`"]);
        assert_eq!(said(&"a ".repeat(17)), ["1 OpenVpn false has more than 16 words, and the rest is dropped"]);
        assert!(said("a\0b")[0].contains("NUL"));
        let utf16: Vec<u8> = "\u{feff}client".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert!(Profile::read(&utf16).faults[0].what.contains("UTF-16"));
    }

    #[test]
    fn where_other_readers_differ_is_said() {
        assert!(said("a b#c")[0].starts_with("1 ConnectAndTunnelblick false has `#`"));
        assert!(said("a #c").is_empty() && said("a \"b#c\"").is_empty() && said("#a b;c").is_empty());
        assert!(said("<ca>\nx\n </ca>")[0].starts_with("3 Connect true `</ca>` does not stand alone"));
        assert!(said("<ca>\nx\n</ca> # end")[0].starts_with("3 Connect true"));
        assert!(said(" <ca>\nx\n</ca>")[0].starts_with("1 Connect false `<ca>` is indented"));
        assert!(said(&format!("<ca>\n{}\n</ca>", "a".repeat(513)))[0].starts_with("2 Connect true has 513 bytes"));
    }

    #[test]
    fn a_tag_is_one_word_and_opens_a_block() {
        assert_eq!(words("<ca> x\n<> y\n"), ["<ca>|x", "<>|y"]);
        assert_eq!(words("\"<ca>\"\nx\n</ca>"), ["ca"]);
        assert_eq!(said("</ca>\n"), ["1 Everybody true `</ca>` is never closed by `<//ca>`"]);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..400), text in "(</?(ca|connection|key)>|[a-z\"'\\\\#; ]{0,9}|\r?\n){0,30}") {
            for bytes in [bytes.as_slice(), text.as_bytes()] {
                let profile = Profile::read(bytes);
                let lines = bytes.split(|&byte| byte == b'\n').count();
                prop_assert!(profile.directives.iter().all(|directive| (1..=lines).contains(&directive.line)));
                prop_assert!(profile.faults.iter().all(|fault| (1..=lines).contains(&fault.line)));
            }
        }

        /// A line that our own reader of lines reads is here read the same.
        #[test]
        fn lines_are_read_as_directives_are(line in "[a-z][a-z0-9 \"'\\\\]{0,60}") {
            let profile = Profile::read(line.as_bytes());
            match directive::read(&line) {
                Ok(read) => prop_assert_eq!(&profile.directives[0].words, &read.words),
                Err(_) => prop_assert!(!profile.faults.is_empty()),
            }
        }
    }
}
