//! Reads typed values out of a TOML document, and goes on after a fault so that all of them are found at once.
//! Knows no setting by name.

use std::{
    fmt::Display,
    ops::{Range, RangeInclusive},
    str::FromStr,
};

use toml_edit::{Document, Item, Table, TableLike, Value};

use super::fault::Fault;

/// A document being read, and the faults found so far.
pub struct Reader {
    lines: Lines,
    faults: Vec<Fault>,
}

/// Where the lines of a text begin, but for the first: the place of each value is asked for.
struct Lines(Vec<usize>);

/// One table of the document; reading from one that is absent gives nothing.
#[derive(Clone, Copy)]
pub struct Section<'a> {
    name: &'static str,
    line: usize,
    entries: Option<&'a dyn TableLike>,
}

/// A value that was read, and where it stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Read<T> {
    /// The value.
    pub value: T,
    /// Counted from 1.
    pub line: usize,
}

/// What a value must be, and what to say when it is not.
pub type Parse<'p, T> = &'p dyn Fn(&Value) -> Result<T, String>;

/// Parses the text; the fault of one that is no TOML.
pub fn document(text: &str) -> Result<Document<&str>, Fault> {
    Document::parse(text).map_err(|error| {
        let line = Lines::of(text).at(error.span());
        // a quote that is not closed runs to the end of its line, and the parser stumbles only over what follows
        let (line, what) = match open_quote(text).filter(|quote| *quote <= line) {
            Some(quote) => (quote, "a quote is not closed".to_owned()),
            None => (line, error.message().split_whitespace().collect::<Vec<_>>().join(" ")),
        };
        Fault { line, field: String::new(), what: format!("this is no TOML: {what}") }
    })
}

impl Reader {
    /// A reader of this text's document.
    pub fn new(text: &str) -> Self {
        Self { lines: Lines::of(text), faults: Vec::new() }
    }

    /// What was found wrong, in the order of the lines.
    pub fn into_faults(mut self) -> Vec<Fault> {
        self.faults.sort_by_key(|fault| fault.line);
        self.faults
    }

    /// Adds a fault of a field that stands in this section.
    pub fn fault(&mut self, section: &Section, key: &str, line: usize, what: impl Display) {
        self.faults.push(Fault { line, field: format!("{}.{key}", section.name), what: what.to_string() });
    }

    /// Whether a fault of this field was found already, on the section's line or below.
    pub fn has_fault(&self, section: &Section, key: &str) -> bool {
        let field = format!("{}.{key}", section.name);
        self.faults.iter().any(|fault| fault.field == field && fault.line >= section.line)
    }

    /// Says which sections there may be.
    pub fn sections(&mut self, root: &Table, known: &[&str]) {
        for (name, item) in root.iter().filter(|(name, _)| !known.contains(name)) {
            let line = self.lines.at(key_span(root, name).or_else(|| item.span()));
            let what = format!("there is no such section{}", hint(name, known));
            self.faults.push(Fault { line, field: crate::name::escape(name), what });
        }
    }

    /// The section of this name with the keys that it may have.
    pub fn section<'d>(&mut self, root: &'d Table, name: &'static str, keys: &[&str]) -> Section<'d> {
        let absent = Section { name, line: 1, entries: None };
        let Some(item) = root.get(name) else { return absent };
        let line = self.lines.at(key_span(root, name).or_else(|| item.span()));
        let Some(entries) = item.as_table_like() else {
            let what = format!("must be a section: write `[{name}]` on a line of its own");
            self.faults.push(Fault { line, field: name.to_owned(), what });
            return absent;
        };
        let section = Section { name, line, entries: Some(entries) };
        self.keys(&section, keys);
        section
    }

    /// The tables of `[[name]]`; none when it is something else.
    pub fn tables<'d>(&mut self, root: &'d Table, name: &'static str, keys: &[&str]) -> Option<Vec<Section<'d>>> {
        let tables = root.get(name)?.as_array_of_tables()?;
        let mut sections = Vec::new();
        for table in tables {
            let section = Section { name, line: self.lines.at(table.span()), entries: Some(table) };
            self.keys(&section, keys);
            sections.push(section);
        }
        Some(sections)
    }

    /// A value of a section.
    pub fn one<T>(&mut self, section: &Section, key: &str, parse: Parse<T>) -> Option<Read<T>> {
        let (line, item) = self.item(section, key)?;
        let Some(value) = item.as_value() else {
            self.fault(section, key, line, "must be a value, not a section");
            return None;
        };
        self.parsed(section, key, value, parse)
    }

    /// The values of an array of a section; those that can be read.
    pub fn many<T>(&mut self, section: &Section, key: &str, parse: Parse<T>) -> Option<Vec<Read<T>>> {
        let (line, item) = self.item(section, key)?;
        let Some(array) = item.as_array() else {
            self.fault(section, key, line, "must be a list: write `[\"…\", \"…\"]`");
            return None;
        };
        Some(array.iter().filter_map(|value| self.parsed(section, key, value, parse)).collect())
    }

    fn parsed<T>(&mut self, section: &Section, key: &str, value: &Value, parse: Parse<T>) -> Option<Read<T>> {
        let line = self.lines.at(value.span());
        match parse(value) {
            Ok(value) => Some(Read { value, line }),
            Err(what) => {
                self.fault(section, key, line, what);
                None
            }
        }
    }

    /// Whether a section has this key, with whatever value.
    pub fn has(&self, section: &Section, key: &str) -> bool {
        self.item(section, key).is_some()
    }

    /// Where a key of a section stands; the section's own line when it is absent.
    pub fn line(&self, section: &Section, key: &str) -> usize {
        self.item(section, key).map_or(section.line, |(line, _)| line)
    }

    fn item<'d>(&self, section: &Section<'d>, key: &str) -> Option<(usize, &'d Item)> {
        let (key, item) = section.entries?.get_key_value(key)?;
        Some((self.lines.at(item.span().or_else(|| key.span())), item))
    }

    fn keys(&mut self, section: &Section, known: &[&str]) {
        let Some(entries) = section.entries else { return };
        for (name, item) in entries.iter().filter(|(name, _)| !known.contains(name)) {
            let span = entries.key(name).and_then(toml_edit::Key::span).or_else(|| item.span());
            let line = self.lines.at(span);
            self.fault(
                section,
                &crate::name::escape(name),
                line,
                format!("there is no such setting{}", hint(name, known)),
            );
        }
    }
}

impl<T> Read<T> {
    /// The value alone.
    pub fn into_value(self) -> T {
        self.value
    }
}

impl Section<'_> {
    /// Where it begins; line 1 when it is absent.
    pub fn line(&self) -> usize {
        self.line
    }
}

/// Text.
pub fn text(value: &Value) -> Result<String, String> {
    value.as_str().map(str::to_owned).ok_or_else(|| format!("must be text in quotes, not {}", value.type_name()))
}

/// `true` or `false`.
pub fn boolean(value: &Value) -> Result<bool, String> {
    value.as_bool().ok_or_else(|| "must be `true` or `false`, without quotes".to_owned())
}

/// A whole number in a range.
pub fn number<T>(range: RangeInclusive<T>) -> impl Fn(&Value) -> Result<T, String>
where
    T: TryFrom<i64> + PartialOrd + Display,
{
    move |value| {
        let number = value.as_integer().and_then(|number| T::try_from(number).ok());
        number
            .filter(|number| range.contains(number))
            .ok_or_else(|| format!("must be a whole number from {} to {}, without quotes", range.start(), range.end()))
    }
}

/// Text that is parsed further.
pub fn parsed<T>(value: &Value) -> Result<T, String>
where
    T: FromStr,
    T::Err: Display,
{
    text(value)?.parse().map_err(|error: T::Err| error.to_string())
}

fn key_span(table: &Table, name: &str) -> Option<Range<usize>> {
    table.key(name).and_then(toml_edit::Key::span)
}

impl Lines {
    fn of(text: &str) -> Self {
        Self(text.match_indices('\n').map(|(end, _)| end + 1).collect())
    }

    /// The line in which this begins, counted from 1; the first for what stands nowhere.
    fn at(&self, span: Option<Range<usize>>) -> usize {
        1 + span.map_or(0, |span| self.0.partition_point(|&begin| begin <= span.start))
    }
}

/// The first line that ends inside quotes; none where strings may have several lines.
fn open_quote(text: &str) -> Option<usize> {
    if text.contains("\"\"\"") || text.contains("'''") {
        return None;
    }
    text.lines().position(ends_quoted).map(|index| index + 1)
}

fn ends_quoted(line: &str) -> bool {
    let mut quote = None;
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        match (quote, character) {
            (None, '#') => return false,
            (None, '"' | '\'') => quote = Some(character),
            (Some('"'), '\\') => drop(characters.next()),
            (Some(open), _) if open == character => quote = None,
            _ => {}
        }
    }
    quote.is_some()
}

fn hint(name: &str, known: &[&str]) -> String {
    let near = known.iter().map(|word| (distance(name, word), word)).min();
    match near {
        Some((0..=2, word)) => format!("; did you mean `{word}`?"),
        _ => format!("; there are {}", known.join(", ")),
    }
}

/// How many letters to add, drop or change (Levenshtein); names that are much longer count as far away.
fn distance(from: &str, to: &str) -> usize {
    if from.len() > to.len() + 3 {
        return usize::MAX;
    }
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (index, letter) in from.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = index + 1;
        for (column, other) in to.iter().enumerate() {
            let changed = diagonal + usize::from(letter != *other);
            diagonal = row[column + 1];
            row[column + 1] = changed.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_hinted_at() {
        assert_eq!(hint("remote", &["remotes", "days"]), "; did you mean `remotes`?");
        assert_eq!(hint("tun_mtu", &["days", "tun-mtu"]), "; did you mean `tun-mtu`?");
        assert_eq!(hint("whatever", &["days", "float"]), "; there are days, float");
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "ab"), 2);
    }

    #[test]
    fn lines_are_counted_from_one() {
        let text = "a = 1\n\nb = 2";
        let lines = Lines::of(text);
        let found = [None, Some(0..1), Some(5..6), Some(6..7), Some(7..8), Some(99..99)].map(|span| lines.at(span));
        assert_eq!(found, [1, 1, 1, 2, 3, 3]);
    }

    #[test]
    fn a_quote_that_is_not_closed_is_found_on_its_line() {
        let broken = |text: &str| document(text).err().unwrap();
        let fault = broken("a = 'it\\'\nb = [\"x\\\"#]\n\n[c]\nd = \"y\"\n");
        assert_eq!((fault.line, fault.what.as_str()), (2, "this is no TOML: a quote is not closed"));
        assert_eq!(broken("a = 1 # it's\nb = ]\n").line, 2);
        assert_eq!(broken("a = \"\"\"\n\"\"\"\nb = ]\n").line, 3);
    }

    #[test]
    fn a_fault_does_not_hide_the_next() {
        let text = "[s]\na = 1\nb = \"x\"\nc = [1, \"y\", 70000]\nd = 1";
        let document = document(text).unwrap();
        let mut reader = Reader::new(text);
        let section = reader.section(document.as_table(), "s", &["a", "b", "c"]);
        assert!(reader.one(&section, "a", &boolean).is_none());
        assert_eq!(reader.one(&section, "b", &text_of).unwrap(), Read { value: "x".to_owned(), line: 3 });
        assert_eq!(reader.many(&section, "c", &number(1..=65535u16)).unwrap().len(), 1);
        let faults: Vec<_> = reader.into_faults().into_iter().map(|fault| (fault.line, fault.field)).collect();
        let expected = [(2, "s.a"), (4, "s.c"), (4, "s.c"), (5, "s.d")];
        assert_eq!(faults, expected.map(|(line, field)| (line, field.to_owned())));
    }

    fn text_of(value: &Value) -> Result<String, String> {
        text(value)
    }
}
