//! placeholder
#[derive(PartialEq,Eq,Debug,Clone,Copy)] pub enum FilesystemKind{Local,Network}
#[derive(Debug,thiserror::Error)] #[error("x")] pub struct FileError;
pub fn exists(_:&std::path::Path)->bool{true}
pub fn create_private(_:&std::path::Path)->Result<(),FileError>{Ok(())}
pub fn filesystem_kind(_:&std::path::Path)->FilesystemKind{FilesystemKind::Local}
pub fn is_empty_or_missing(_:&std::path::Path)->bool{true}
