//! Octets that lie in parts, read one after the other.
//! Knows nothing of what they hold or where they lie.

use std::{
    io::{self, Read},
    ops::ControlFlow,
};

/// Reads parts that a function hands over: those from a number on, in their order, until it is told to stop.
pub struct Parts<F> {
    give: F,
    /// The first that was not handed over yet.
    next: u32,
    octets: Vec<u8>,
    at: usize,
}

/// Whoever parts are handed over to.
pub type TakePart<'a> = dyn FnMut(&[u8]) -> ControlFlow<()> + 'a;

impl<F: FnMut(u32, &mut TakePart<'_>) -> io::Result<()>> Parts<F> {
    /// From the first on.
    pub fn new(give: F) -> Self {
        Self { give, next: 0, octets: Vec::new(), at: 0 }
    }

    /// Takes some more; whether there were any.
    fn fill(&mut self) -> io::Result<bool> {
        self.octets.clear();
        self.at = 0;
        let Self { octets, give, .. } = self;
        let mut many = 0;
        give(self.next, &mut |part| {
            octets.extend_from_slice(part);
            many += 1;
            if octets.len() < AT_ONCE {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            }
        })?;
        self.next += many;
        Ok(many > 0)
    }
}

impl<F: FnMut(u32, &mut TakePart<'_>) -> io::Result<()>> Read for Parts<F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at == self.octets.len() {
            if !self.fill()? {
                return Ok(0);
            }
        }
        let many = (&self.octets[self.at..]).read(buffer)?;
        self.at += many;
        Ok(many)
    }
}

/// Finding a part by its number costs more than the next ones do, so so many are taken as make a megabyte.
const AT_ONCE: usize = 1 << 20;
