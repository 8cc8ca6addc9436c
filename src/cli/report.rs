//! Reports: one struct per command, printed as text for people or as one JSON object for scripts.
//! Knows nothing of what they say.

use std::{
    fmt::{self, Display},
    io::{self, Write},
};

use serde::Serialize;
use serde_json::{json, Value};

use crate::{
    cli::{session::Session, Exit, Failure},
    secret::Secret,
};

/// What a command has to say.
pub trait Report: Display + Serialize {
    /// The command, as in `"command"`.
    const COMMAND: &'static str;

    /// What people should know; part of the JSON by the report's own field.
    fn warnings(&self) -> &[String] {
        &[]
    }

    /// What was asked for, which `--quiet` does not keep back.
    fn essential(&self) -> String {
        String::new()
    }

    /// What did not come true although the act stands; the first decides the exit code.
    fn failures(&self) -> Vec<Failure> {
        Vec::new()
    }

    /// How the command ends when nothing failed.
    fn exit(&self) -> Exit {
        Exit::Done
    }
}

impl Session {
    /// Prints a report.
    pub fn report<R: Report>(&self, report: &R) -> Result<Exit, Failure> {
        for warning in report.warnings() {
            self.warn(warning);
        }
        let text = if self.json() {
            format!("{}\n", object(R::COMMAND, report))
        } else if self.quiet() {
            report.essential()
        } else {
            report.to_string()
        };
        // whoever closed the pipe wants no more; what was done is done
        forgive_closed(write_out(text.as_bytes()))?;
        let mut failures = report.failures();
        if self.json() {
            failures = Failure::together(&failures).into_iter().collect();
        }
        let exits: Vec<Exit> = failures.into_iter().map(|failure| self.fail(failure, R::COMMAND)).collect();
        Ok(exits.first().copied().unwrap_or(report.exit()))
    }

    /// Prints rows as they arrive: a table, JSON lines, or one object with them in a list.
    pub fn rows(&self, style: Style, command: &'static str, list: &str) -> Rows {
        let out = io::BufWriter::with_capacity(BUFFER, io::stdout().lock());
        let style = if self.json() { Style::Object } else { style };
        Rows { out, style, first: true, opening: opening(command, list), line: Vec::new(), closed: false }
    }
}

/// Writes a result to standard output: a closed pipe means that it did not arrive.
pub fn deliver(bytes: &Secret) -> Result<(), Failure> {
    write_out(bytes.expose()).map_err(|error| undelivered(&error))
}

/// The same of a public one, as it is read.
pub fn deliver_from(source: &mut dyn io::Read) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    io::copy(source, &mut out).and_then(|_| out.flush()).map_err(|error| undelivered(&error))
}

fn undelivered(error: &io::Error) -> Failure {
    Failure::refused(format!("the result was not delivered: {error}"))
}

/// Prints text that is no report; a closed pipe is somebody who has seen enough.
pub fn print(text: &str) -> Result<(), Failure> {
    forgive_closed(write_out(text.as_bytes()))
}

/// How rows are printed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Style {
    /// Lines for people.
    Text,
    /// One object a line.
    Lines,
    /// One object for all.
    Object,
}

/// Rows on their way to standard output.
pub struct Rows {
    out: io::BufWriter<io::StdoutLock<'static>>,
    style: Style,
    first: bool,
    opening: String,
    /// The row being written; a buffer that is there saves a million others.
    line: Vec<u8>,
    closed: bool,
}

impl Rows {
    /// A line that only people get, such as a heading.
    pub fn line(&mut self, text: &str) -> Result<(), Failure> {
        if self.style == Style::Text {
            self.write(text.as_bytes())?;
        }
        Ok(())
    }

    /// A field of the one object, before the rows.
    pub fn field<T: Serialize>(&mut self, name: &str, value: &T) {
        let list = self.opening.rfind(LIST).unwrap_or(self.opening.len());
        self.opening.insert_str(list, &format!(",{}:{}", json!(name), json!(value)));
    }

    /// One row, with its line ending as text; false when nobody reads any more.
    pub fn row<T: Serialize, D: Display>(&mut self, row: &T, text: impl FnOnce() -> D) -> Result<bool, Failure> {
        let first = std::mem::replace(&mut self.first, false);
        let mut line = std::mem::take(&mut self.line);
        line.clear();
        let rendered = match self.style {
            Style::Text => text_into(&mut line, text()),
            Style::Lines => json_into(&mut line, row).and_then(|()| line.write_all(b"\n")),
            Style::Object => {
                line.extend_from_slice(if first { self.opening.as_bytes() } else { b"," });
                json_into(&mut line, row)
            }
        };
        let written = rendered.and_then(|()| self.out.write_all(&line));
        self.line = line;
        self.written(written)?;
        Ok(!self.closed)
    }

    /// The end; `warnings` close the object.
    pub fn end(mut self, warnings: &[String]) -> Result<(), Failure> {
        if self.style == Style::Object {
            let opening = if self.first { self.opening.clone() } else { String::new() };
            self.write(format!("{opening}],\"warnings\":{}}}\n", json!(warnings)).as_bytes())?;
        }
        let flushed = self.out.flush();
        forgive_closed(flushed)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let written = self.out.write_all(bytes);
        self.written(written)
    }

    fn written(&mut self, written: io::Result<()>) -> Result<(), Failure> {
        match written {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.closed = true;
                Ok(())
            }
            other => forgive_closed(other),
        }
    }
}

/// By way of a string, which takes characters one by one at less cost than a writer.
fn text_into(line: &mut Vec<u8>, text: impl Display) -> io::Result<()> {
    let mut string = String::from_utf8(std::mem::take(line)).unwrap_or_default();
    let written = fmt::Write::write_fmt(&mut string, format_args!("{text}"));
    *line = string.into_bytes();
    written.map_err(io::Error::other)
}

fn json_into<T: Serialize>(line: &mut Vec<u8>, row: &T) -> io::Result<()> {
    serde_json::to_writer(line, row).map_err(io::Error::from)
}

fn opening(command: &str, list: &str) -> String {
    format!("{{\"vpnpki\":1,\"command\":{}{LIST}{}:[", json!(command), json!(list))
}

/// How much is written at once: of a million rows a small buffer would make a hundred thousand calls.
const BUFFER: usize = 64 * 1024;

/// Where further fields go.
const LIST: &str = ",\"changed\":false,";

/// The one object of a command: its report's fields behind version and command.
fn object(command: &str, report: &impl Serialize) -> Value {
    let mut object = json!({ "vpnpki": 1, "command": command, "changed": false, "warnings": [] });
    if let (Some(all), Value::Object(fields)) = (object.as_object_mut(), json!(report)) {
        all.extend(fields);
    }
    object
}

fn write_out(bytes: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)?;
    out.flush()
}

fn forgive_closed(written: io::Result<()>) -> Result<(), Failure> {
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::refused(format!("the result could not be written to standard output: {error}")))
        }
        _ => Ok(()),
    }
}
