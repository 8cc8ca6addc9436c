//! Octets that lie in parts, read one after the other.
//! Knows nothing of what they hold or where they lie.

use std::io::{self, Read};

/// Reads the parts that a function gives by their numbers, from 0 to the first that there is none of.
pub struct Parts<F> {
    give: F,
    next: u32,
    part: Vec<u8>,
    at: usize,
}

impl<F: FnMut(u32) -> io::Result<Option<Vec<u8>>>> Parts<F> {
    /// From the first on.
    pub fn new(give: F) -> Self {
        Self { give, next: 0, part: Vec::new(), at: 0 }
    }
}

impl<F: FnMut(u32) -> io::Result<Option<Vec<u8>>>> Read for Parts<F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at == self.part.len() {
            let Some(part) = (self.give)(self.next)? else { return Ok(0) };
            (self.part, self.at, self.next) = (part, 0, self.next + 1);
        }
        let many = (&self.part[self.at..]).read(buffer)?;
        self.at += many;
        Ok(many)
    }
}
