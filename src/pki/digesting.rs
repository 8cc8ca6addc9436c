//! A digest of what may be long: it is made on another core, beside whoever brings the pieces.
//! Knows nothing of what is digested.

use std::{
    sync::mpsc::{self, SyncSender},
    thread::{self, JoinHandle},
};

use aws_lc_rs::digest::{Algorithm, Context, Digest};

/// A digest that is being made. What is short is digested here, and starts no thread.
pub(super) struct Digesting {
    algorithm: &'static Algorithm,
    /// What was brought and is not digested yet.
    piece: Vec<u8>,
    /// Once there is enough of it.
    long: Option<Long>,
}

enum Long {
    Elsewhere {
        send: SyncSender<Vec<u8>>,
        digest: JoinHandle<Digest>,
    },
    /// Where no thread can be had.
    Here(Context),
}

impl Digesting {
    pub fn new(algorithm: &'static Algorithm) -> Self {
        Self { algorithm, piece: Vec::new(), long: None }
    }

    pub fn add(&mut self, octets: &[u8]) {
        self.piece.extend_from_slice(octets);
        if self.piece.len() < PIECE {
            return;
        }
        let piece = std::mem::replace(&mut self.piece, Vec::with_capacity(2 * PIECE));
        match self.long.get_or_insert_with(|| Long::begin(self.algorithm)) {
            // whoever receives goes on until nothing is sent any more
            Long::Elsewhere { send, .. } => drop(send.send(piece)),
            Long::Here(context) => context.update(&piece),
        }
    }

    pub fn finish(self) -> Digest {
        let Self { algorithm, piece, long } = self;
        let mut context = match long {
            Some(Long::Elsewhere { send, digest }) => {
                let _ = send.send(piece);
                drop(send);
                return digest.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            }
            Some(Long::Here(context)) => context,
            None => Context::new(algorithm),
        };
        context.update(&piece);
        context.finish()
    }
}

impl Long {
    fn begin(algorithm: &'static Algorithm) -> Self {
        let (send, receive) = mpsc::sync_channel::<Vec<u8>>(AHEAD);
        let work = move || {
            let mut context = Context::new(algorithm);
            for piece in receive {
                context.update(&piece);
            }
            context.finish()
        };
        match thread::Builder::new().stack_size(STACK).spawn(work) {
            Ok(digest) => Self::Elsewhere { send, digest },
            Err(_) => Self::Here(Context::new(algorithm)),
        }
    }
}

/// How much is sent at once, and how many such pieces may wait.
const PIECE: usize = 64 * 1024;
const AHEAD: usize = 2;

/// A digest needs little.
const STACK: usize = 128 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::digest::{self, SHA256, SHA384};

    #[test]
    fn in_pieces_of_any_length_it_is_the_digest_of_the_whole() {
        for length in [0, 1, PIECE - 1, PIECE, PIECE + 1, 9 * PIECE + 7] {
            let whole: Vec<u8> = (0..length).map(|at| (at % 251).to_le_bytes()[0]).collect();
            for piece in [1000, 65_536, PIECE, 3 * PIECE] {
                for algorithm in [&SHA256, &SHA384] {
                    let mut digesting = Digesting::new(algorithm);
                    whole.chunks(piece).for_each(|piece| digesting.add(piece));
                    let [found, wanted] = [digesting.finish(), digest::digest(algorithm, &whole)];
                    assert_eq!(found.as_ref(), wanted.as_ref(), "{length} octets by {piece}");
                }
            }
        }
    }

    #[test]
    fn without_a_thread_it_is_the_same() {
        let whole = vec![7; 2 * PIECE + 1];
        let mut digesting = Digesting::new(&SHA256);
        digesting.long = Some(Long::Here(Context::new(&SHA256)));
        whole.chunks(PIECE).for_each(|piece| digesting.add(piece));
        assert_eq!(digesting.finish().as_ref(), digest::digest(&SHA256, &whole).as_ref());
    }
}
