//! `vpnpki dh`, and the search that it shares with `init`.
//! Knows nothing of how a prime is found.

use std::{
    fmt,
    num::NonZeroUsize,
    path::{Path, PathBuf},
    thread,
    time::Instant,
};

use clap::{Args, Subcommand};
use serde::Serialize;

use crate::{
    authority::AuthorityError,
    cli::{
        failure, progress,
        report::{self, Report},
        session::Session,
        Exit, Failure,
    },
    files::{self, Overwrite, Staged, Visibility},
    openvpn::{
        dh::{Arithmetic, Length, Means, Progress},
        Parameters,
    },
    secret::Secret,
    world::World,
};

/// Diffie-Hellman parameters for servers
#[derive(Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Generate(Generate),
}

/// Search for a fresh safe prime, on every core
///
/// Without -o the parameters go to standard output, as those of `openssl dhparam` do. They are a prime p with (p-1)/2 prime
/// too, of which 2 generates the group of that order. Needs no authority; `vpnpki init --dh generate` makes one with fresh
/// parameters. A server need not have its own: the groups of RFC 7919 are as good, and so is `dh none`.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
struct Generate {
    /// How long the prime is: 2048, 3072 or 4096; twice as long takes about thirty times as long
    #[arg(long, value_name = "BITS", default_value = "2048", value_parser = length)]
    bits: Length,
    /// Write them to FILE, or to standard output (-)
    #[arg(short, long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Replace a file that is there
    #[arg(long, requires = "out")]
    force: bool,
}

impl Arguments {
    pub fn name(&self) -> &'static str {
        match self.command {
            Command::Generate(_) => "dh generate",
        }
    }

    pub fn run(self, session: &Session) -> Result<Exit, Failure> {
        match self.command {
            Command::Generate(generate) => generate.run(session),
        }
    }
}

impl Generate {
    fn run(self, session: &Session) -> Result<Exit, Failure> {
        let dash = self.out.as_deref() == Some(Path::new("-"));
        if dash && session.json() {
            return Err(Failure::usage("`-o -` and `--json` both want standard output"));
        }
        let file = self.out.as_deref().filter(|_| !dash);
        // what cannot be written is found before the search
        file.map(|file| self.stage(file, "")).transpose()?;
        let (parameters, search) = search(session, self.bits)?;
        let pem = parameters.pem();
        if let Some(file) = file {
            self.stage(file, &pem)?.release()?;
        } else if !session.json() {
            report::deliver(&Secret::from(pem))?;
            search.warning().iter().for_each(|warning| session.warn(warning));
            if !session.quiet() {
                failure::say(&format!("{search}\n"));
            }
            return Ok(Exit::Done);
        }
        let pem = file.is_none().then_some(pem);
        let warnings = search.warning().into_iter().collect();
        session.report(&Generated { changed: file.is_some(), file: file.map(Path::to_owned), search, pem, warnings })
    }

    fn stage(&self, file: &Path, pem: &str) -> Result<Staged, Failure> {
        let overwrite = if self.force { Overwrite::Replace } else { Overwrite::Refuse };
        Ok(files::stage(file, pem.as_bytes(), Visibility::Public, overwrite, None)?)
    }
}

/// Searches on every core, and shows how that goes.
pub fn search(session: &Session, length: Length) -> Result<(Parameters, Searched), Failure> {
    let cores = thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let means = Means { arithmetic: Arithmetic::fastest(), cores };
    let (begin, world) = (Instant::now(), World::real());
    let line = progress::line(session.quiet() || session.json());
    let watch = |progress: Progress| line.set_message(shown(progress, begin.elapsed().as_secs_f64()));
    let fresh = Parameters::search(length, means, |bytes| world.fill(bytes), &watch).map_err(AuthorityError::from)?;
    line.finish_and_clear();
    let search = Searched {
        bits: length.bits(),
        cores: cores.get(),
        seconds: begin.elapsed().as_secs_f64(),
        tested: fresh.tested,
        arithmetic: means.arithmetic.to_string(),
        at_once: means.arithmetic.width(),
    };
    Ok((fresh.parameters, search))
}

/// No part of a whole: a search that has lasted long is no nearer to its end.
fn shown(progress: Progress, seconds: f64) -> String {
    let rate = per_second(progress.tested, seconds);
    let expected = progress.expected / rate;
    // fits on a terminal of 80 columns
    format!(
        "{} tested, {rate:.0}/s; {expected:.1} s to be expected at any moment; {seconds:.0} s so far",
        progress.tested
    )
}

fn per_second(tested: u64, seconds: f64) -> f64 {
    // more than 2^32 take years
    f64::from(u32::try_from(tested).unwrap_or(u32::MAX)) / seconds
}

/// A search that found.
#[derive(Serialize)]
pub struct Searched {
    bits: usize,
    cores: usize,
    seconds: f64,
    /// Candidates beyond the sieve.
    tested: u64,
    arithmetic: String,
    #[serde(skip)]
    at_once: usize,
}

impl Searched {
    /// That another processor would be much faster.
    pub fn warning(&self) -> Option<String> {
        let times = match self.at_once {
            8.. => return None,
            4.. => "twice",
            2.. => "four times",
            _ => "six times",
        };
        let how = self.how();
        Some(format!("this processor has no AVX-512 IFMA: candidates tested {how} take about {times} as long"))
    }

    fn how(&self) -> String {
        match self.at_once {
            1 => "one by one".to_owned(),
            several => format!("{several} at once with {}", self.arithmetic),
        }
    }
}

impl fmt::Display for Searched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { bits, cores, seconds, tested, .. } = self;
        let cores = if *cores == 1 { "1 core".to_owned() } else { format!("{cores} cores") };
        write!(f, "{bits} bits, found in {seconds:.1} s on {cores}: {tested} candidates tested, {}", self.how())
    }
}

#[derive(Serialize)]
struct Generated {
    changed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<PathBuf>,
    #[serde(flatten)]
    search: Searched,
    #[serde(skip_serializing_if = "Option::is_none")]
    pem: Option<String>,
    warnings: Vec<String>,
}

impl Report for Generated {
    const COMMAND: &'static str = "dh generate";

    fn warnings(&self) -> &[String] {
        &self.warnings
    }
}

impl fmt::Display for Generated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = self.file.as_deref().map(files::shown).unwrap_or_default();
        writeln!(f, "wrote {file}: {}", self.search)
    }
}

fn length(text: &str) -> Result<Length, String> {
    let all = [Length::Bits2048, Length::Bits3072, Length::Bits4096];
    all.into_iter()
        .find(|length| length.bits().to_string() == text)
        .ok_or_else(|| "a prime has 2048, 3072 or 4096 bits".to_owned())
}

const EXAMPLES: &str = "\
Examples:
  vpnpki dh generate > dh.pem
  vpnpki dh generate -o dh.pem";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slower_search_says_so_and_how_it_was_done() {
        for arithmetic in Arithmetic::all() {
            let at_once = arithmetic.width();
            let arithmetic = arithmetic.to_string();
            let search = Searched { bits: 2048, cores: 2, seconds: 1.25, tested: 700, arithmetic, at_once };
            let (how, times) = match at_once {
                8 => ("8 at once with AVX-512 IFMA", None),
                4 => ("4 at once with AVX2", Some("twice")),
                2 => ("2 at once with SSE2", Some("four times")),
                _ => ("one by one", Some("six times")),
            };
            assert_eq!(
                search.to_string(),
                format!("2048 bits, found in 1.2 s on 2 cores: 700 candidates tested, {how}")
            );
            let warning = |times| {
                format!("this processor has no AVX-512 IFMA: candidates tested {how} take about {times} as long")
            };
            assert_eq!(search.warning(), times.map(warning));
        }
    }
}
