//! One line of an `OpenVPN` configuration: read as `OpenVPN` reads it, and values quoted so that it reads them back.
//! Knows no directive by name.

/// A line as `OpenVPN` splits it (`parse_line`, `options_parse.c`).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Line {
    /// The directive and its parameters; none for an empty line or a comment.
    pub words: Vec<String>,
    /// Whether a `#` or `;` stands outside quotes. `OpenVPN` begins a comment there only where a word could begin,
    /// `OpenVPN` Connect and Tunnelblick anywhere.
    pub comment: bool,
    /// Whether such a comment begins within a word, so that what the directive says depends on who reads it.
    pub cut: bool,
}

/// Why a line or a value cannot stand in a configuration.
#[derive(Debug, thiserror::Error, PartialEq, Eq, Clone)]
pub enum LineError {
    /// CR, LF, NUL or another control character: it would end the line or the value.
    #[error("a control character ({0}) would break out of the line")]
    Control(String),
    /// More than `OPTION_LINE_SIZE` leaves beside the line's end.
    #[error("the line has {0} bytes, OpenVPN reads at most {LONGEST}")]
    TooLong(usize),
    /// More than `MAX_PARMS`.
    #[error("the line has more than {MOST_WORDS} words, OpenVPN would drop the rest")]
    TooManyWords,
    /// A backslash before anything but a backslash, a double quote or a space.
    #[error("a backslash stands before `{0}`: OpenVPN knows only `\\\\`, `\\\"` and `\\ `")]
    Backslash(String),
    /// A quote that is never closed.
    #[error("a quote ({0}) is not closed")]
    OpenQuote(char),
    /// The line ends in the middle of an escape.
    #[error("the line ends in a backslash")]
    FinalBackslash,
}

/// Splits a line into words.
pub fn read(line: &str) -> Result<Line, LineError> {
    if line.len() > LONGEST {
        return Err(LineError::TooLong(line.len()));
    }
    if let Some(control) = line.chars().find(|character| character.is_control() && *character != '\t') {
        return Err(LineError::Control(control.escape_default().to_string()));
    }
    Reader::default().read(line)
}

/// A value as one word: bare when every parser takes it so, else in double quotes.
pub fn quote(value: &str) -> Result<String, LineError> {
    if let Some(control) = value.chars().find(|character| character.is_control()) {
        return Err(LineError::Control(control.escape_default().to_string()));
    }
    if value.len() > LONGEST {
        return Err(LineError::TooLong(value.len()));
    }
    if !value.is_empty() && value.chars().all(bare) {
        return Ok(value.to_owned());
    }
    Ok(format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\"")))
}

fn bare(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '_' | '.' | ':' | '/' | '-' | '@')
}

/// Where in a line the reader is.
#[derive(Default)]
struct Reader {
    within: Within,
    word: String,
    words: Vec<String>,
    comment: bool,
    cut: bool,
}

#[derive(Default, PartialEq, Clone, Copy)]
enum Within {
    #[default]
    Space,
    Bare,
    Double,
    Single,
}

impl Reader {
    fn read(mut self, line: &str) -> Result<Line, LineError> {
        let mut characters = line.chars();
        while let Some(character) = characters.next() {
            if character == '\\' && self.within != Within::Single {
                let escaped = characters.next().ok_or(LineError::FinalBackslash)?;
                // `parse_line` looks for a comment before it looks at the escape
                if self.within == Within::Space && matches!(escaped, '#' | ';') {
                    self.comment = true;
                    break;
                }
                self.escaped(escaped)?;
            } else if matches!(character, '#' | ';') && self.within == Within::Space {
                self.comment = true;
                break;
            } else {
                self.plain(character);
            }
        }
        self.finish()
    }

    fn escaped(&mut self, character: char) -> Result<(), LineError> {
        if !matches!(character, '\\' | '"' | ' ' | '\t') {
            return Err(LineError::Backslash(character.escape_default().to_string()));
        }
        // an escaped space between words is dropped, not kept: `parse_line` looks for spaces before it looks at the escape
        if !(self.within == Within::Space && matches!(character, ' ' | '\t')) {
            self.keep(character);
        }
        Ok(())
    }

    fn plain(&mut self, character: char) {
        match (self.within, character) {
            (Within::Space, ' ' | '\t') => {}
            (Within::Space, '"') => self.within = Within::Double,
            (Within::Space, '\'') => self.within = Within::Single,
            (Within::Bare, ' ' | '\t') | (Within::Double, '"') | (Within::Single, '\'') => self.end_word(),
            (within, _) => {
                self.cut |= within == Within::Bare && matches!(character, '#' | ';');
                self.comment |= self.cut;
                self.keep(character);
            }
        }
    }

    fn keep(&mut self, character: char) {
        if self.within == Within::Space {
            self.within = Within::Bare;
        }
        self.word.push(character);
    }

    fn end_word(&mut self) {
        self.words.push(std::mem::take(&mut self.word));
        self.within = Within::Space;
    }

    fn finish(mut self) -> Result<Line, LineError> {
        match self.within {
            Within::Double => return Err(LineError::OpenQuote('"')),
            Within::Single => return Err(LineError::OpenQuote('\'')),
            Within::Bare => self.end_word(),
            Within::Space => {}
        }
        if self.words.len() > MOST_WORDS {
            return Err(LineError::TooManyWords);
        }
        Ok(Line { words: self.words, comment: self.comment, cut: self.cut })
    }
}

/// The longest line in bytes, without its end: `OPTION_LINE_SIZE` is 256 and counts the newline and the final NUL.
pub const LONGEST: usize = 254;

/// `MAX_PARMS` of options.h.
const MOST_WORDS: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn words(line: &str) -> Vec<String> {
        read(line).unwrap().words
    }

    #[test]
    fn reads_as_openvpn_does() {
        for (line, expected) in [
            ("", vec![]),
            ("  \t ", vec![]),
            ("# all of it", vec![]),
            ("; all of it", vec![]),
            ("port 1194 # the usual", vec!["port", "1194"]),
            ("push \"route 10.0.0.0 255.0.0.0\"", vec!["push", "route 10.0.0.0 255.0.0.0"]),
            ("a 'b \" \\c' d", vec!["a", "b \" \\c", "d"]),
            (r#"a "b \" \\ c" "#, vec!["a", "b \" \\ c"]),
            (r"a b\ c", vec!["a", "b c"]),
            (r"a \ b", vec!["a", "b"]),
            (r"a \;b", vec!["a"]),
            (r#"a "" b"#, vec!["a", "", "b"]),
            (r#"a "b"c"#, vec!["a", "b", "c"]),
            (r#"a b"c"d"#, vec!["a", "b\"c\"d"]),
            ("a b#c", vec!["a", "b#c"]),
        ] {
            assert_eq!(words(line), expected, "{line}");
        }
    }

    #[test]
    fn says_where_others_see_a_comment() {
        assert!(read("a b#c").unwrap().comment);
        assert!(read("a #c").unwrap().comment);
        assert!(read("a b#c").unwrap().cut && !read("a #c").unwrap().cut);
        assert!(!read("a \"b#c;\" ';'").unwrap().comment);
    }

    #[test]
    fn refuses_what_openvpn_would_die_of() {
        assert_eq!(read("a\nb"), Err(LineError::Control("\\n".to_owned())));
        assert_eq!(read("a\0"), Err(LineError::Control("\\u{0}".to_owned())));
        assert_eq!(read(r"a \n"), Err(LineError::Backslash("n".to_owned())));
        assert_eq!(read("a \"b"), Err(LineError::OpenQuote('"')));
        assert_eq!(read("a 'b"), Err(LineError::OpenQuote('\'')));
        assert_eq!(read("a \\"), Err(LineError::FinalBackslash));
        assert_eq!(read(&"a ".repeat(17)), Err(LineError::TooManyWords));
        assert_eq!(read(&"a".repeat(255)), Err(LineError::TooLong(255)));
        assert!(read(&"a".repeat(254)).is_ok());
    }

    proptest! {
        #[test]
        fn what_is_quoted_is_read_back(value in "\\PC{0,60}") {
            let line = read(&format!("x {}", quote(&value).unwrap())).unwrap();
            prop_assert_eq!(line, Line { words: vec!["x".to_owned(), value], comment: false, cut: false });
        }

        #[test]
        fn no_line_panics(line in ".{0,300}", dense in "[\\\\\"' #;a\t]{0,40}") {
            let _ = (read(&line), read(&dense), quote(&line));
        }
    }
}
