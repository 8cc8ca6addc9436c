//! The SQLite back end: opening, creating, transactions. Which statement reads or writes what is in the files beside.
//! The one place that knows `pki.db`; after creating it empty our code never opens it beside SQLite, since closing a
//! descriptor would drop SQLite's locks (POSIX, fcntl).

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{config::DbConfig, Connection, ErrorCode, OpenFlags, Transaction, TransactionBehavior};

use crate::{
    files::{self, FilesystemKind, Overwrite, Visibility},
    inventory::ActId,
    store::{Access, Store, StoreError, View, Writing},
};

mod facts;
mod issued;
mod listing;
pub(super) mod migrate;
mod read;
mod write;

/// A store in one SQLite file.
pub(super) struct Sqlite {
    connection: Connection,
    notices: Vec<String>,
}

/// One transaction: a snapshot, or the writer.
struct Session<'a> {
    transaction: Transaction<'a>,
    /// What was recorded so far.
    pending: write::Pending,
}

impl Sqlite {
    pub(super) fn exists(dir: &Path) -> bool {
        files::exists(&file(dir)).unwrap_or(false)
    }

    pub(super) fn open(dir: &Path, access: Access) -> Result<Self, StoreError> {
        if !Self::exists(dir) {
            return Err(StoreError::Missing(dir.display().to_string()));
        }
        let path = file(dir);
        let opened = match (connect(&path, OpenFlags::SQLITE_OPEN_READ_WRITE), access) {
            (Err(error), Access::Read) if !is_busy(&error) => connect_unwritable(&path),
            (result, _) => result,
        };
        let connection = opened.map_err(|error| opening_fault(dir, error))?;
        migrate::to_current(&connection)?;
        Ok(Self { connection, notices: notices(dir) })
    }

    /// The file gets its mode from `files`; SQLite gives the same mode and owner to what it puts beside.
    pub(super) fn create(dir: &Path) -> Result<Self, StoreError> {
        let path = file(dir);
        files::create_private(&path)?;
        let connection = connect(&path, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(fault)?;
        connection.pragma_update(None, "journal_mode", journal_mode(dir)?).map_err(fault)?;
        let transaction = connection.unchecked_transaction().map_err(fault)?;
        transaction.execute_batch(include_str!("schema.sql")).map_err(fault)?;
        transaction.execute("INSERT INTO format (version) VALUES (?1)", [FORMAT]).map_err(fault)?;
        transaction.commit().map_err(fault)?;
        Ok(Self { connection, notices: notices(dir) })
    }

    /// An image in memory, as a backup holds it; nothing of it is written.
    pub(super) fn in_memory(image: &[u8]) -> Result<Self, StoreError> {
        let mut connection = Connection::open_in_memory().map_err(fault)?;
        connection.deserialize_read_exact("main", image, image.len(), false).map_err(fault)?;
        prepare(&connection).map_err(fault)?;
        migrate::to_current(&connection)?;
        Ok(Self { connection, notices: Vec::new() })
    }

    /// Puts an image into `dir` as its store.
    pub(super) fn put(dir: &Path, image: &[u8]) -> Result<Self, StoreError> {
        files::stage(&file(dir), image, Visibility::Private, Overwrite::Refuse, None)?.release()?;
        let connection = connect(&file(dir), OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(fault)?;
        connection.pragma_update(None, "journal_mode", journal_mode(dir)?).map_err(fault)?;
        migrate::to_current(&connection)?;
        Ok(Self { connection, notices: notices(dir) })
    }

    fn session(&self, behavior: TransactionBehavior) -> Result<Session<'_>, rusqlite::Error> {
        let transaction = Transaction::new_unchecked(&self.connection, behavior)?;
        Ok(Session { transaction, pending: write::Pending::default() })
    }
}

impl Store for Sqlite {
    fn snapshot(&self) -> Result<Box<dyn View + '_>, StoreError> {
        Ok(Box::new(self.session(TransactionBehavior::Deferred).map_err(fault)?))
    }

    fn begin(&self, patience: Duration) -> Result<Box<dyn Writing + '_>, StoreError> {
        self.connection.busy_timeout(patience).map_err(fault)?;
        let mut session = self.session(TransactionBehavior::Immediate).map_err(|error| match fault(error) {
            StoreError::Busy(_) => StoreError::Busy(patience.as_secs()),
            other => other,
        })?;
        session.pending = session.next()?;
        Ok(Box::new(session))
    }

    fn committed(&self, act: ActId) -> Result<bool, StoreError> {
        let found = self.connection.query_row("SELECT count(*) FROM ledger WHERE act = ?1", [act.0], |row| row.get(0));
        found.map(|count: i64| count > 0).map_err(fault)
    }

    fn image(&mut self) -> Result<Vec<u8>, StoreError> {
        let mut image = self.connection.serialize("main").map_err(fault)?.to_vec();
        // a file in WAL mode cannot be read from memory (sqlite.org/c3ref/deserialize.html); the image has no WAL beside it
        if let Some(versions) = image.get_mut(READ_AND_WRITE_VERSION) {
            versions.fill(1);
        }
        Ok(image)
    }

    fn notices(&self) -> &[String] {
        &self.notices
    }
}

/// WAL: readers go on while one writes, and a commit costs two fsyncs. It needs shared memory beside the file, which
/// network file systems do not give.
fn journal_mode(dir: &Path) -> Result<&'static str, StoreError> {
    Ok(if files::filesystem_kind(dir)? == FilesystemKind::Local { "WAL" } else { "DELETE" })
}

/// SQLite says that it could not open a file beside the database, not why; the directory says why.
fn opening_fault(dir: &Path, error: rusqlite::Error) -> StoreError {
    match error.sqlite_error_code() {
        Some(ErrorCode::CannotOpen) => files::writable(dir).err().map_or_else(|| fault(error), StoreError::File),
        _ => fault(error),
    }
}

fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

/// The store's words for what SQLite says.
fn fault(error: rusqlite::Error) -> StoreError {
    let extended = error.sqlite_error().map(|error| error.extended_code);
    match error.sqlite_error_code() {
        _ if is_busy(&error) => StoreError::Busy(PATIENCE.as_secs()),
        Some(ErrorCode::DiskFull) => StoreError::Full(error.into()),
        // the shared memory beside the WAL could not grow (sqlite.org/rescode.html#ioerr_shmsize)
        _ if extended == Some(rusqlite::ffi::SQLITE_IOERR_SHMSIZE) => StoreError::Full(error.into()),
        Some(ErrorCode::ReadOnly) => StoreError::ReadOnly(error.into()),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => StoreError::Damaged(error.to_string()),
        _ => StoreError::Database(error.into()),
    }
}

fn file(dir: &Path) -> PathBuf {
    dir.join("pki.db")
}

fn connect(path: &Path, flags: OpenFlags) -> Result<Connection, rusqlite::Error> {
    let connection = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    prepare(&connection)?;
    Ok(connection)
}

fn prepare(connection: &Connection) -> Result<(), rusqlite::Error> {
    connection.busy_timeout(PATIENCE)?;
    connection.set_prepared_statement_cache_capacity(64);
    // plans never depend on values here: without this, SQLite prepares half of the statements again for the value it gets
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    // FULL: a commit is on the disk before it is said; trusted_schema off: a foreign schema cannot call functions;
    // secure_delete: a key that was dropped, or a vault whose unlocker was, is overwritten, not left in a free page
    connection.execute_batch(
        "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF; PRAGMA temp_store = MEMORY;
         PRAGMA secure_delete = ON;",
    )?;
    // the first read proves that the file, its WAL and its shared memory can be used
    connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))
}

/// Where nothing can be written (read-only mount, full disk) a WAL reader cannot make its shared memory. Without a WAL
/// beside it the file is complete and cannot change under us; with one, an exclusive reader keeps its index in memory.
fn connect_unwritable(path: &Path) -> Result<Connection, rusqlite::Error> {
    let mut wal = path.as_os_str().to_owned();
    wal.push("-wal");
    if files::standing(Path::new(&wal)).is_ok_and(|standing| standing.is_none()) {
        let uri = format!("file:{}?immutable=1", escape_uri(path));
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(uri, flags)?;
        prepare(&connection)?;
        return Ok(connection);
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.execute_batch("PRAGMA locking_mode = EXCLUSIVE;")?;
    prepare(&connection)?;
    Ok(connection)
}

/// A path inside a `file:` URI: `?`, `#` and `%` have a meaning there (sqlite.org/uri.html).
fn escape_uri(path: &Path) -> String {
    path.display().to_string().replace('%', "%25").replace('?', "%3f").replace('#', "%23")
}

fn notices(dir: &Path) -> Vec<String> {
    match files::filesystem_kind(dir) {
        Ok(FilesystemKind::Local) | Err(_) => Vec::new(),
        Ok(FilesystemKind::Network) => vec![format!(
            "`{}` is on a network file system: locks are only as good as its server's, and writing is slower",
            dir.display()
        )],
    }
}

/// The schema in `schema.sql`.
const FORMAT: i64 = 3;

/// Where a database file says whether it is in WAL mode (sqlite.org/fileformat2.html, 1.3).
const READ_AND_WRITE_VERSION: std::ops::Range<usize> = 18..20;

/// How long opening waits for someone who is closing.
const PATIENCE: Duration = Duration::from_secs(30);

#[cfg(test)]
mod steps;
