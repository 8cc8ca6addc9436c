//! The directory in which an authority was to be made holds one already: refused, or left as it is when that was asked for.
//! Shared by `init` and `restore`.

use std::{fmt, marker::PhantomData, path::PathBuf};

use serde::Serialize;

use crate::{
    authority::init,
    cli::{report::Report, session::Session, Exit, Failure},
    files,
};

/// What was asked for beside the authority.
pub struct Occupied {
    /// Where one lies.
    pub dir: PathBuf,
    /// That it is left as it is.
    pub if_missing: bool,
    /// That nothing is changed, not even what a kill left.
    pub dry_run: bool,
}

impl Occupied {
    /// Answers for the command that reports `R`.
    pub fn refuse_or_leave<R: Report>(self, session: &Session, hint: &str) -> Result<Exit, Failure> {
        let Self { dir, if_missing, dry_run } = self;
        if !dry_run {
            init::sweep(&dir)?;
        }
        if if_missing {
            return session.report(&Unchanged::<R> { changed: false, dir, command: PhantomData });
        }
        let message = format!("there is an authority in `{}` already; nothing was changed", files::shown(&dir));
        Err(Failure::refused(message).hint(hint))
    }
}

#[derive(Serialize)]
struct Unchanged<R> {
    changed: bool,
    dir: PathBuf,
    #[serde(skip)]
    command: PhantomData<R>,
}

impl<R: Report> Report for Unchanged<R> {
    const COMMAND: &'static str = R::COMMAND;
}

impl<R> fmt::Display for Unchanged<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "there is an authority in {}; nothing was changed", files::shown(&self.dir))
    }
}
