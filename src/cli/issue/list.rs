//! `vpnpki issue --from`: a list is read, its faults are told line by line, and each batch is told when it is done, since
//! a kill must not take a passphrase with it that is kept nowhere.
//! Keeps nothing of those who are done but the names of bundles that are not in place.

use std::{collections::HashMap, fmt, path::Path};

use indicatif::ProgressBar;
use serde::Serialize;
use serde_json::json;

use super::{write_issued, Arguments};
use crate::{
    authority::{
        deliver::{Delivered, Delivery, NewPassphrase},
        issue::{Batch, IssueRequest, Issued, Witness},
        leaf::IssuedCertificate,
        AuthorityError, Stopped,
    },
    cli::{
        csr, interrupt,
        outputs::{undelivered, write_bundles},
        passphrase::only_passphrases,
        progress, report,
        session::Session,
        Exit, Failure,
    },
    files,
    import::people::{self, Fault},
    name::Name,
    store::Access,
};

/// Issues to everybody in the list.
pub fn issue(arguments: &Arguments, file: &Path, session: &Session) -> Result<Exit, Failure> {
    let bytes = if file.as_os_str() == "-" { csr::from_standard_input(LIMIT)? } else { files::read(file, LIMIT)? };
    let list = people::read(&bytes, &arguments.usual());
    let request = arguments.request(session, list.people, interrupt::watched()?)?;
    let request = IssueRequest { list: Some(list.faults), ..request };
    request.outputs.check_for(MANY)?;
    let authority = session.open(Access::Write)?;
    let mut telling = Telling::new(session, arguments.dry_run);
    let issued = match authority.issue(&request, session, &mut telling) {
        Err(AuthorityError::List(faults)) => return Ok(faulty(session, file, faults)),
        Err(error @ AuthorityError::Stopped) => return Err(Failure::refused(format!("nothing was issued: {error}"))),
        outcome => outcome?,
    };
    Ok(telling.end(&issued))
}

/// What is said of an act that ended before all was done.
pub fn stopped(stopped: &Stopped) -> Failure {
    let Stopped { done, of, why } = stopped;
    let Failure { exit, message, .. } = Failure::of(why);
    Failure { exit, message: format!("{done} of {of} are done, then {message}"), hints: vec![FINISH.to_owned()] }
}

fn faulty(session: &Session, file: &Path, faults: Vec<Fault>) -> Exit {
    let list = if file.as_os_str() == "-" { "standard input".to_owned() } else { files::shown(file) };
    let told: Vec<(u64, String)> = faults.iter().map(|fault| (fault.line, fault.problem.clone())).collect();
    Failure::from(AuthorityError::List(faults)).print_list("issue", session.json(), &list, &told)
}

/// What is told while it goes on.
struct Telling<'a> {
    session: &'a Session,
    dry_run: bool,
    bar: ProgressBar,
    /// The list that the one JSON object is in.
    inside: Option<&'static str>,
    /// Bundles that are not in place.
    left: Delivery,
    /// The first row that could not be written.
    failed: Option<Failure>,
}

/// Somebody who is done.
#[derive(Serialize)]
struct Row<'a> {
    #[serde(flatten)]
    issued: Option<&'a IssuedCertificate>,
    #[serde(flatten)]
    bundle: Option<&'a Delivered>,
    #[serde(flatten)]
    passphrase: Option<&'a NewPassphrase>,
}

impl Witness for Telling<'_> {
    fn done(&mut self, mut batch: Batch, done: usize, of: usize) {
        progress::show(&self.bar, done, of);
        let text = if self.session.json() {
            self.rows(&batch)
        } else if self.session.quiet() {
            only_passphrases(&batch.delivery.passphrases)
        } else {
            Shown { batch: &batch, dry_run: self.dry_run }.to_string()
        };
        self.print(&text);
        self.left.undelivered.append(&mut batch.delivery.undelivered);
    }
}

impl<'a> Telling<'a> {
    fn new(session: &'a Session, dry_run: bool) -> Self {
        let bar = progress::bar("issuing", session.quiet() || session.json());
        Self { session, dry_run, bar, inside: None, left: Delivery::default(), failed: None }
    }

    /// Whoever closed the pipe wants no more; who has access has it.
    fn print(&mut self, text: &str) {
        let printed = if text.is_empty() { Ok(()) } else { self.bar.suspend(|| report::print(text)) };
        self.failed = self.failed.take().or(printed.err());
    }

    /// Rows of the one object, behind what opens their list.
    fn rows(&mut self, batch: &Batch) -> String {
        let named: HashMap<&Name, &Delivered> = batch.delivery.bundles.iter().map(|one| (&one.name, one)).collect();
        let typed: HashMap<&Name, &NewPassphrase> =
            batch.delivery.passphrases.iter().map(|one| (&one.name, one)).collect();
        let row = |issued, name| Row { issued, bundle: named.get(name).copied(), passphrase: typed.get(name).copied() };
        let (list, rows): (_, Vec<Row>) = if batch.issued.is_empty() {
            ("completed", batch.delivery.bundles.iter().map(|one| row(None, &one.name)).collect())
        } else {
            ("issued", batch.issued.iter().map(|one| row(Some(one), &one.name)).collect())
        };
        rows.iter().map(|row| self.opened(list) + &json!(row).to_string()).collect()
    }

    /// What stands before the next row of a list.
    fn opened(&mut self, list: &'static str) -> String {
        match self.inside.replace(list) {
            Some(inside) if inside == list => ",".to_owned(),
            Some(_) => format!("],\"{list}\":["),
            None => format!("{{\"vpnpki\":1,\"command\":\"issue\",\"{list}\":["),
        }
    }

    fn end(mut self, issued: &Issued) -> Exit {
        self.bar.finish_and_clear();
        issued.warnings.iter().for_each(|warning| self.session.warn(warning));
        let text = match (self.session.json(), self.session.quiet(), issued.unchanged.len()) {
            (true, ..) => self.last_fields(issued),
            (_, true, _) | (_, _, 0) => String::new(),
            (.., 1) => "1 has access already\n".to_owned(),
            (.., many) => format!("{many} have access already\n"),
        };
        self.print(&text);
        let mut failures: Vec<Failure> = issued.stopped.iter().map(stopped).collect();
        failures.extend(undelivered(&self.left, "issued"));
        failures.extend(self.failed.take());
        if self.session.json() {
            failures = Failure::together(&failures).into_iter().collect();
        }
        let exits: Vec<Exit> = failures.into_iter().map(|failure| self.session.fail(failure, "issue")).collect();
        exits.first().copied().unwrap_or(Exit::Done)
    }

    fn last_fields(&mut self, issued: &Issued) -> String {
        let (before, after) = match self.inside {
            Some("issued") => (String::new(), "],\"completed\":[]"),
            Some(_) => (String::new(), "]"),
            None => (self.opened("issued"), "],\"completed\":[]"),
        };
        let mut fields = json!(issued);
        if let Some(fields) = fields.as_object_mut() {
            fields.insert("dry_run".to_owned(), json!(self.dry_run));
            fields.insert("undelivered".to_owned(), json!(self.left.undelivered));
        }
        let fields = fields.to_string();
        format!("{before}{after},{}\n", fields.trim_start_matches('{'))
    }
}

/// A batch for people.
struct Shown<'a> {
    batch: &'a Batch,
    dry_run: bool,
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_issued(f, self.batch, self.dry_run)?;
        write_bundles(f, &self.batch.delivery)
    }
}

const FINISH: &str = "the same command with `--skip-existing` finishes the rest";

/// However long the list is, it is not for one.
const MANY: usize = 2;

/// A million names and notes.
const LIMIT: usize = 64 << 20;
