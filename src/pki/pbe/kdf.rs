//! The key derivation of PKCS#12 (RFC 7292, appendix B.2), which its MAC and its 3DES scheme use.
//! Knows no cipher and no file.

use std::num::NonZeroU32;

use aws_lc_rs::digest::{self, Algorithm, Context};
use zeroize::Zeroizing;

use super::LockError;

/// What the bytes are for (B.3).
#[derive(Clone, Copy)]
pub(in crate::pki) enum Purpose {
    Key = 1,
    Iv = 2,
    Mac = 3,
}

/// Fills `out` from a passphrase, which is text.
pub(in crate::pki) fn derive(
    algorithm: &'static Algorithm,
    purpose: Purpose,
    passphrase: &[u8],
    salt: &[u8],
    rounds: NonZeroU32,
    out: &mut [u8],
) -> Result<(), LockError> {
    let block = algorithm.block_len();
    let passphrase = bmp_string(passphrase)?;
    let mut input = Zeroizing::new(Vec::with_capacity(whole(salt.len(), block) + whole(passphrase.len(), block)));
    for piece in [salt, &passphrase] {
        input.extend(piece.iter().cycle().take(whole(piece.len(), block)));
    }
    let chunks = out.len().div_ceil(algorithm.output_len());
    for (place, chunk) in out.chunks_mut(algorithm.output_len()).enumerate() {
        let hash = hashed(algorithm, &vec![purpose as u8; block], &input, rounds);
        chunk.copy_from_slice(&hash[..chunk.len()]);
        if place + 1 < chunks {
            add_to_each_block(&mut input, &hash, block);
        }
    }
    Ok(())
}

/// UTF-16 with the octets of a number as they are written, and two zero octets at the end (B.1).
fn bmp_string(passphrase: &[u8]) -> Result<Zeroizing<Vec<u8>>, LockError> {
    let text = std::str::from_utf8(passphrase).map_err(|_| LockError::Wrong)?;
    let mut bmp = Zeroizing::new(Vec::with_capacity(2 * text.len() + 2));
    bmp.extend(text.encode_utf16().flat_map(u16::to_be_bytes));
    bmp.extend([0, 0]);
    Ok(bmp)
}

fn whole(length: usize, block: usize) -> usize {
    length.div_ceil(block) * block
}

fn hashed(algorithm: &'static Algorithm, diversifier: &[u8], input: &[u8], rounds: NonZeroU32) -> Zeroizing<Vec<u8>> {
    let mut context = Context::new(algorithm);
    context.update(diversifier);
    context.update(input);
    let mut hash = Zeroizing::new(context.finish().as_ref().to_vec());
    for _ in 1..rounds.get() {
        let next = digest::digest(algorithm, &hash);
        hash.copy_from_slice(next.as_ref());
    }
    hash
}

/// Each block of `input` plus the hash, repeated to the length of a block, plus one (B.2, step 6 C).
fn add_to_each_block(input: &mut [u8], hash: &[u8], block: usize) {
    for part in input.chunks_mut(block) {
        let mut carry = 1;
        for (place, octet) in part.iter_mut().enumerate().rev() {
            let sum = u16::from(*octet) + u16::from(hash[place % hash.len()]) + carry;
            let [high, low] = sum.to_be_bytes();
            (*octet, carry) = (low, u16::from(high));
        }
    }
}
