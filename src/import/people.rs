//! Lists of people to issue to: CSV with a header, or one name a line. Every fault is told with its line.
//! Knows nobody who has access already; columns left empty are filled from what is usual in this call.

use std::{
    collections::{BTreeMap, HashMap},
    str::FromStr,
};

use csv::{ReaderBuilder, StringRecord, Trim};

use crate::{
    inventory::Role,
    name::{escape, Name},
    pki::{Address, Algorithm},
};

/// Somebody who is to get access.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Person {
    /// The line of the list, from 1; none for somebody who was named on the command line.
    pub line: Option<u64>,
    /// Their name.
    pub name: Name,
    /// What their certificate is for.
    pub role: Role,
    /// Their key, when not as the settings say.
    pub algorithm: Option<Algorithm>,
    /// Days of validity, when not as the settings say.
    pub days: Option<u32>,
    /// Subject alternative names of a server beside the remotes.
    pub addresses: Vec<Address>,
    /// How to reach them.
    pub note: Option<String>,
}

/// What holds where a list says nothing, and whom it may name.
#[derive(Clone, Debug)]
pub struct Usual {
    /// What certificates are for.
    pub role: Role,
    /// Whether the list may name servers: it may come from somebody who must not make one.
    pub servers: bool,
    /// The key.
    pub algorithm: Option<Algorithm>,
    /// Days of validity.
    pub days: Option<u32>,
    /// Subject alternative names of servers.
    pub addresses: Vec<Address>,
    /// How to reach them.
    pub note: Option<String>,
}

/// What is wrong with a line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fault {
    /// From 1.
    pub line: u64,
    /// In words, escaped.
    pub problem: String,
}

/// A list that was read.
#[derive(Debug, Default)]
pub struct People {
    /// In the order of the list.
    pub people: Vec<Person>,
    /// In the order of their lines.
    pub faults: Vec<Fault>,
}

impl Usual {
    /// Somebody who is named on the command line.
    pub fn person(&self, name: Name) -> Person {
        let Self { role, algorithm, days, note, .. } = self;
        let addresses = if *role == Role::Server { self.addresses.clone() } else { Vec::new() };
        Person { line: None, name, role: *role, algorithm: *algorithm, days: *days, addresses, note: note.clone() }
    }
}

/// Reads a list. A first line of column names makes it CSV; without one, each line is a name.
pub fn read(bytes: &[u8], usual: &Usual) -> People {
    let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
    let mut reading = Reading { usual, list: People::default(), first_lines: HashMap::new() };
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        reading.fault(1, "the list is in UTF-16; save it as UTF-8".to_owned());
        return reading.list;
    }
    reading.refuse_other_text(bytes);
    let text = String::from_utf8_lossy(bytes);
    match Columns::of(text.lines().next().unwrap_or_default()) {
        None => reading.names(&text),
        Some(Ok(columns)) => reading.records(&text, &columns),
        Some(Err(problem)) => reading.fault(1, problem),
    }
    reading.list.faults.sort_by_key(|fault| fault.line);
    reading.list
}

/// A note that a terminal shows as it is.
pub fn note(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() || text.chars().count() > 200 || text.chars().any(char::is_control) {
        return Err("a note is one line of 1 to 200 characters".to_owned());
    }
    Ok(text.to_owned())
}

/// Which column is where.
struct Columns(BTreeMap<&'static str, usize>);

impl Columns {
    /// None when the line is no header. One word is a header only when it is a column's name exactly, since it may be
    /// somebody's name; where there are separators it can be nothing else.
    fn of(line: &str) -> Option<Result<Self, String>> {
        let (line, several) = (line.trim(), line.contains(','));
        if let Some(separator) = [';', '\t'].into_iter().find(|separator| line.contains(*separator)) {
            let known = line.split(separator).all(|word| column(unquoted(word)).is_some());
            return known
                .then(|| Err(format!("columns are separated by commas, not by `{}`", escape(&separator.to_string()))));
        }
        if !several && !COLUMNS.contains(&unquoted(line)) {
            return None;
        }
        Some(Self::named(line.split(',').map(unquoted)))
    }

    fn named<'a>(words: impl Iterator<Item = &'a str>) -> Result<Self, String> {
        let mut places = BTreeMap::new();
        for (place, word) in words.enumerate() {
            let Some(name) = column(word) else {
                return Err(format!("`{}` is no column; there are {}", escape(word), COLUMNS.join(", ")));
            };
            if places.insert(name, place).is_some() {
                return Err(format!("the column `{name}` is there twice"));
            }
        }
        if places.contains_key("name") {
            Ok(Self(places))
        } else {
            Err("the header has no column `name`".to_owned())
        }
    }

    /// What a record has in a column; none where it is empty.
    fn cell<'r>(&self, name: &str, record: &'r StringRecord) -> Option<&'r str> {
        record.get(*self.0.get(name)?).filter(|cell| !cell.is_empty())
    }
}

/// A list while it is read.
struct Reading<'a> {
    usual: &'a Usual,
    list: People,
    /// On which line each name was met first, without regard to case.
    first_lines: HashMap<String, u64>,
}

impl Reading<'_> {
    fn fault(&mut self, line: u64, problem: String) {
        self.list.faults.push(Fault { line, problem });
    }

    fn refuse_other_text(&mut self, bytes: &[u8]) {
        if std::str::from_utf8(bytes).is_ok() {
            return;
        }
        for (line, text) in (1..).zip(bytes.split(|octet| *octet == b'\n')) {
            if std::str::from_utf8(text).is_err() {
                self.fault(line, "it is not in UTF-8".to_owned());
            }
        }
    }

    /// One name a line; what begins with `#` is for people.
    fn names(&mut self, text: &str) {
        for (line, name) in (1..).zip(text.lines().map(str::trim)) {
            if !name.is_empty() && !name.starts_with('#') && !has_other_text(name) {
                match Name::parse(name) {
                    Ok(name) => self.admit(Person { line: Some(line), ..self.usual.person(name) }),
                    Err(error) => self.fault(line, error.to_string()),
                }
            }
        }
    }

    fn records(&mut self, text: &str, columns: &Columns) {
        let mut reader =
            ReaderBuilder::new().has_headers(false).flexible(true).trim(Trim::All).from_reader(text.as_bytes());
        let mut record = StringRecord::new();
        while reader.read_record(&mut record).unwrap_or(false) {
            let line = record.position().map_or(1, |position| line_of(text, position));
            if line > 1 && record.iter().any(|cell| !cell.is_empty()) && !record.iter().any(has_other_text) {
                self.record(line, &record, columns);
            }
        }
    }

    fn record(&mut self, line: u64, record: &StringRecord, columns: &Columns) {
        if record.len() > columns.0.len() {
            return self.fault(line, format!("it has {} columns, the header {}", record.len(), columns.0.len()));
        }
        let before = self.list.faults.len();
        let name = match columns.cell("name", record).map(Name::parse) {
            Some(name) => self.accepted(line, name.map_err(|error| error.to_string())),
            None => self.accepted(line, Err("it has no name".to_owned())),
        };
        let role = self.cell(line, columns.cell("role", record), Role::from_str).unwrap_or(self.usual.role);
        let algorithm = self.cell(line, columns.cell("key", record), Algorithm::from_str).or(self.usual.algorithm);
        let days = self.cell(line, columns.cell("days", record), days).or(self.usual.days);
        let note = self.cell(line, columns.cell("note", record), note).or_else(|| self.usual.note.clone());
        let addresses = self.cell(line, columns.cell("san", record), addresses);
        if role == Role::Client && addresses.is_some() {
            self.fault(line, "`san` is for servers: nobody looks at a client's".to_owned());
        }
        if role == Role::Server && !self.usual.servers {
            self.fault(line, "the role `server` needs `--allow-role server`".to_owned());
        }
        if let (Some(name), true) = (name, self.list.faults.len() == before) {
            let usual = if role == Role::Server { self.usual.addresses.clone() } else { Vec::new() };
            let addresses = addresses.unwrap_or(usual);
            self.admit(Person { line: Some(line), name, role, algorithm, days, addresses, note });
        } else if let Some(Ok(name)) = columns.cell("name", record).map(Name::parse) {
            self.meet(line, &name);
        }
    }

    /// What a cell says, where it says something.
    fn cell<T>(&mut self, line: u64, cell: Option<&str>, parse: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        cell.and_then(|text| self.accepted(line, parse(text)))
    }

    fn accepted<T>(&mut self, line: u64, parsed: Result<T, String>) -> Option<T> {
        parsed.map_err(|problem| self.fault(line, problem)).ok()
    }

    fn admit(&mut self, person: Person) {
        if self.meet(person.line.unwrap_or_default(), &person.name) {
            self.list.people.push(person);
        }
    }

    /// Whether the name is met for the first time.
    fn meet(&mut self, line: u64, name: &Name) -> bool {
        let first = *self.first_lines.entry(name.folded()).or_insert(line);
        if first != line {
            self.fault(line, format!("`{name}` is on line {first} already; names do not differ in case only"));
        }
        first == line
    }
}

/// The line on which a record begins. The reader tells where it looked for it: empty lines are still before it.
fn line_of(text: &str, position: &csv::Position) -> u64 {
    let rest = usize::try_from(position.byte()).ok().and_then(|byte| text.get(byte..)).unwrap_or_default();
    let empty = rest.bytes().take_while(|octet| matches!(octet, b'\r' | b'\n')).filter(|octet| *octet == b'\n');
    position.line() + empty.count() as u64
}

fn column(word: &str) -> Option<&'static str> {
    COLUMNS.into_iter().find(|name| name.eq_ignore_ascii_case(word))
}

fn unquoted(word: &str) -> &str {
    let word = word.trim();
    word.strip_prefix('"').and_then(|word| word.strip_suffix('"')).unwrap_or(word).trim()
}

/// What stands where bytes were no UTF-8, which is said of their line already.
fn has_other_text(text: &str) -> bool {
    text.contains(char::REPLACEMENT_CHARACTER)
}

fn days(text: &str) -> Result<u32, String> {
    let days = text.parse().ok().filter(|days| (1..=MOST_DAYS).contains(days));
    days.ok_or_else(|| format!("`{}` is no number of days from 1 to {MOST_DAYS}", escape(text)))
}

/// Several, separated by spaces or semicolons.
fn addresses(text: &str) -> Result<Vec<Address>, String> {
    let words = text.split([' ', ';']).filter(|word| !word.is_empty());
    words.map(|word| Address::parse(word).map_err(|error| error.to_string())).collect()
}

const COLUMNS: [&str; 6] = ["name", "role", "days", "key", "san", "note"];

/// A hundred years.
const MOST_DAYS: u32 = 36_500;

/// What Windows puts before UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn usual() -> Usual {
        Usual { role: Role::Client, servers: false, algorithm: None, days: None, addresses: Vec::new(), note: None }
    }

    fn names(list: &People) -> Vec<(u64, String)> {
        list.people.iter().map(|person| (person.line.unwrap(), person.name.to_string())).collect()
    }

    fn faults(text: &str) -> Vec<(u64, String)> {
        read(text.as_bytes(), &usual()).faults.into_iter().map(|fault| (fault.line, fault.problem)).collect()
    }

    #[test]
    fn a_plain_list_is_one_name_a_line() {
        let list = read(b"\xef\xbb\xbfanna\r\n\r\n# the lab\n  ben \nname\n", &usual());
        assert_eq!(names(&list), [(1, "anna".to_owned()), (4, "ben".to_owned()), (5, "name".to_owned())]);
        assert!(list.faults.is_empty());
        assert!(read(b"", &usual()).people.is_empty());
    }

    #[test]
    fn a_header_names_columns_in_any_order() {
        let servers = Usual { servers: true, ..usual() };
        let text = "note,\"name\",SAN,role,key,days\r\n\
                    \"two, words\",anna,,,p384,30\r\n\
                    \r\n\
                    ,server-b,b.example 192.0.2.1;c.example,server,,\r\n\
                    ,,,,,\r\n\
                    last,ben\r\n";
        let list = read(text.as_bytes(), &servers);
        assert_eq!(list.faults, []);
        assert_eq!(names(&list), [(2, "anna".to_owned()), (4, "server-b".to_owned()), (6, "ben".to_owned())]);
        let [anna, server, ben] = &list.people[..] else { panic!("three people") };
        assert_eq!((anna.note.as_deref(), anna.days), (Some("two, words"), Some(30)));
        assert_eq!((anna.algorithm, anna.role), (Some(Algorithm::P384), Role::Client));
        assert_eq!((server.role, server.addresses.len()), (Role::Server, 3));
        assert_eq!((ben.note.as_deref(), ben.days), (Some("last"), None));
    }

    #[test]
    fn what_is_usual_fills_what_is_empty() {
        let usual =
            Usual { days: Some(7), note: Some("lab".to_owned()), algorithm: Some(Algorithm::Ed25519), ..usual() };
        let list = read(b"name,days\nanna,\nben,9\n", &usual);
        assert_eq!(list.people.iter().map(|person| person.days).collect::<Vec<_>>(), [Some(7), Some(9)]);
        assert!(list.people.iter().all(|person| person.note.as_deref() == Some("lab")));
        assert!(list.people.iter().all(|person| person.algorithm == Some(Algorithm::Ed25519)));
        assert_eq!(read(b"name\nanna\n", &usual).people[0].line, Some(2));
    }

    #[test]
    fn every_fault_is_told_with_its_line() {
        let text = "name,role,days,key,san,note\n\
                    anna,,,,,\n\
                    ca,,,,,\n\
                    ben,server,,,,\n\
                    cleo,boss,0,p255,,\n\
                    dora,,,,d.example,\n\
                    ANNA,,,,,\n\
                    ,,5,,,\n\
                    emil,,,,,,\n\
                    \n\
                    fay,,,,,\"a\tb\"\n";
        let told = faults(text);
        let lines: Vec<u64> = told.iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [3, 4, 5, 5, 5, 6, 7, 8, 9, 11], "{told:?}");
        for (place, words) in [
            (0, "`ca` is reserved"),
            (1, "--allow-role server"),
            (2, "`boss` is no role"),
            (3, "`p255` is no key algorithm"),
            (4, "`0` is no number of days"),
            (5, "`san` is for servers"),
            (6, "is on line 2 already"),
            (7, "it has no name"),
            (8, "it has 7 columns"),
            (9, "a note is one line"),
        ] {
            assert!(told[place].1.contains(words), "{place}: {told:?}");
        }
    }

    #[test]
    fn a_header_that_is_none_is_told() {
        for (text, words) in [
            ("name,mail\nanna,x\n", "`mail` is no column"),
            ("name,note,name\n", "twice"),
            ("role,days\nclient,3\n", "no column `name`"),
            ("role\nclient\n", "no column `name`"),
            ("name;days\nanna;3\n", "separated by commas"),
            ("name\tdays\nanna\t3\n", "separated by commas"),
        ] {
            let told = faults(text);
            assert!(matches!(&told[..], [(1, problem)] if problem.contains(words)), "{text}: {told:?}");
        }
    }

    #[test]
    fn other_text_than_utf_8_is_told_once_for_each_line() {
        let list = read(b"name,note\nanna,M\xfcnchen\nben,\nj\xf6rg,\n", &usual());
        assert_eq!(names(&list), [(3, "ben".to_owned())]);
        assert_eq!(list.faults.iter().map(|fault| fault.line).collect::<Vec<_>>(), [2, 4]);
        assert_eq!(read(b"anna\nj\xf6rg\n", &usual()).faults.len(), 1);
        assert!(faults("\u{feff}anna\n").is_empty());
        assert!(read(b"\xff\xfea\0", &usual()).faults[0].problem.contains("UTF-16"));
    }

    #[test]
    fn a_quote_that_does_not_end_is_told() {
        let told = faults("name,note\nanna,\"lab\nben,\ncleo,\n");
        assert!(matches!(&told[..], [(2, _)]), "{told:?}");
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            read(&bytes, &usual());
        }

        #[test]
        fn no_table_panics_and_lines_are_lines(text in "name(,days)?\n([a-c1,\"\n\r ]{0,40})") {
            let list = read(text.as_bytes(), &usual());
            let lines = text.lines().count() as u64;
            for line in list.faults.iter().map(|fault| fault.line).chain(list.people.iter().filter_map(|one| one.line)) {
                prop_assert!((1..=lines).contains(&line), "line {line} of {lines}");
            }
        }
    }
}
