//! The lines of an `OpenVPN` configuration as the server splits them (`options_parse.c`), for reading other people's.
//! Knows nothing of what a directive means, and forgives what the server would refuse.

/// One line: its words without quotes, and the text of an inline block.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct Directive {
    pub(super) words: Vec<String>,
    pub(super) inline: Option<String>,
}

impl Directive {
    pub(super) fn name(&self) -> &str {
        self.words.first().map_or("", String::as_str)
    }

    pub(super) fn argument(&self, index: usize) -> Option<&str> {
        self.words.get(index).map(String::as_str)
    }
}

/// All directives of a file in their order; comments and empty lines left out.
pub(super) fn parse(text: &str) -> Vec<Directive> {
    let mut lines = text.trim_start_matches('\u{feff}').lines();
    let mut directives = Vec::new();
    while let Some(line) = lines.next() {
        let words = split(line);
        let Some(first) = words.first() else { continue };
        match first.strip_prefix('<').and_then(|tag| tag.strip_suffix('>')).filter(|_| words.len() == 1) {
            Some(tag) => {
                let end = format!("</{tag}>");
                let body: Vec<&str> = lines.by_ref().take_while(|line| !line.trim_start().starts_with(&end)).collect();
                directives.push(Directive { words: vec![tag.to_owned()], inline: Some(body.join("\n")) });
            }
            None => directives.push(Directive { words, inline: None }),
        }
    }
    directives
}

/// The words of a line: split at white space, `"…"` and `'…'` quote, a backslash takes the next character as it is
/// except inside `'…'`, `#` and `;` begin a comment where a word could begin.
fn split(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut characters = line.chars().peekable();
    loop {
        while characters.next_if(|character| character.is_whitespace()).is_some() {}
        match characters.peek() {
            None | Some('#' | ';') => return words,
            Some(_) => words.push(word(&mut characters)),
        }
    }
}

fn word(characters: &mut std::iter::Peekable<std::str::Chars>) -> String {
    let mut word = String::new();
    let mut quote = None;
    while let Some(character) = characters.next() {
        match (quote, character) {
            (None, space) if space.is_whitespace() => break,
            (None, '"' | '\'') => quote = Some(character),
            (Some(open), close) if open == close => quote = None,
            (Some('\''), plain) => word.push(plain),
            (_, '\\') => word.extend(characters.next()),
            (_, plain) => word.push(plain),
        }
    }
    word
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn words(line: &str) -> Vec<String> {
        split(line)
    }

    #[test]
    fn quotes_comments_and_backslashes() {
        assert_eq!(words("crl-verify crl.pem"), ["crl-verify", "crl.pem"]);
        assert_eq!(words("\tcrl-verify \"my crl.pem\" # ours"), ["crl-verify", "my crl.pem"]);
        assert_eq!(words("crl-verify 'a\\b'"), ["crl-verify", "a\\b"]);
        assert_eq!(words("crl-verify a\\ b"), ["crl-verify", "a b"]);
        assert_eq!(words("; crl-verify x"), Vec::<String>::new());
        assert_eq!(words("crl-verify a#b"), ["crl-verify", "a#b"]);
        assert_eq!(words("x \"\""), ["x", ""]);
    }

    #[test]
    fn blocks_are_one_directive_and_hide_what_is_in_them() {
        let found = parse("\u{feff}user nobody\r\n<ca>\ncrl-verify x\n</ca>\ngroup nogroup\n<crl-verify>\nabc");
        assert_eq!(found.iter().map(Directive::name).collect::<Vec<_>>(), ["user", "ca", "group", "crl-verify"]);
        assert_eq!(found[0].argument(1), Some("nobody"));
        assert_eq!(found[1].inline.as_deref(), Some("crl-verify x"));
        assert_eq!(found[3].inline.as_deref(), Some("abc"));
    }

    proptest! {
        #[test]
        fn no_text_panics_and_every_directive_has_a_word(text in "([<>/a-c\"'\\\\#; \n]|\\PC){0,80}") {
            for directive in parse(&text) {
                prop_assert!(!directive.words.is_empty());
            }
        }
    }
}
