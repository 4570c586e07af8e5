//! SCTP's checksum, CRC32C (RFC 9260, appendix A): how a change of bytes changes it, without reading the rest.
//!
//! A CRC is what is left of the message, taken as a polynomial over GF(2), after division by another. So it is linear: the
//! sums of two messages of one length differ by the sum of their difference, and zero bytes behind a word multiply it by
//! a power of x. No step branches on data. The product is the caller's to name: the kernel programs have [`multiply`] in a
//! function at which the verifier looks once instead of for each step.

/// Castagnoli's polynomial without its highest term, lowest power first: the order of bits on the wire.
const POLYNOMIAL: u32 = 0x82f6_3b78;
/// Bits of the length of an IP packet.
const LENGTH_BITS: usize = 16;

/// x^0.
const ONE: u32 = 1 << 31;
/// x^8, which a byte behind multiplies by; then x^16, x^32, x^64 and on.
const POWERS: [u32; LENGTH_BITS] = {
    let mut powers = [1 << (31 - 8); LENGTH_BITS];
    let mut i = 1;
    while i < LENGTH_BITS {
        powers[i] = multiply(powers[i - 1], powers[i - 1]);
        i += 1;
    }
    powers
};
/// x^32, which a word behind multiplies by.
const WORD: u32 = POWERS[2];

/// Product of two remainders, again as a remainder.
#[inline(always)]
#[must_use]
pub const fn multiply(a: u32, mut b: u32) -> u32 {
    let mut product = 0;
    let mut bit = 0;
    while bit < u32::BITS {
        product ^= b & mask((a << bit) >> 31);
        b = (b >> 1) ^ (POLYNOMIAL & mask(b & 1));
        bit += 1;
    }
    product
}

/// All ones for 1, none for 0.
#[inline(always)]
const fn mask(bit: u32) -> u32 {
    bit.wrapping_neg()
}

/// The checksum field of a message of `length` bytes whose first four turn from `old` to `new`. Words are as they lie in
/// memory.
///
/// A field of 0 stays 0: it is left to the network card, or to the kernel in its stead, which sums over it (Linux,
/// `skb_crc32c_csum_help`). One in 2^32 honest packets looks the same, and is lost on the way.
#[inline(always)]
#[must_use]
pub fn update(field: u32, old: u32, new: u32, length: u16, multiply: impl Fn(u32, u32) -> u32) -> u32 {
    let filled = u32::from(field != 0);
    field ^ (change(old, new, length, multiply) & mask(filled))
}

/// By what (exclusive or) the sum changes.
#[inline(always)]
fn change(old: u32, new: u32, length: u16, multiply: impl Fn(u32, u32) -> u32) -> u32 {
    let mut remainder = u32::from_le(old ^ new);
    let mut i = 0;
    while i < LENGTH_BITS {
        let counts = mask((u32::from(length) >> i) & 1);
        remainder = multiply(remainder, (POWERS[i] & counts) | (ONE & !counts));
        i += 1;
    }
    remainder.to_le()
}

/// Checksum of a message under way, word by word.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Crc32c(u32);

impl Crc32c {
    /// Of nothing yet.
    pub const EMPTY: Self = Self(!0);

    /// Adds four bytes as they lie in memory.
    #[inline(always)]
    #[must_use]
    pub fn word(self, word: u32, multiply: impl Fn(u32, u32) -> u32) -> Self {
        Self(multiply(self.0 ^ u32::from_le(word), WORD))
    }

    /// The checksum field, as it lies in memory.
    #[inline(always)]
    #[must_use]
    pub const fn field(self) -> u32 {
        (!self.0).to_le()
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    fn word(bytes: &[u8]) -> u32 {
        u32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
    }

    fn judge(bytes: &[u8]) -> u32 {
        crc32c::crc32c(bytes).to_le()
    }

    fn changed(mut message: Vec<u8>, new: u32) -> (u32, u32) {
        let (before, old) = (judge(&message), word(&message));
        message[..4].copy_from_slice(&new.to_ne_bytes());
        (update(before, old, new, message.len() as u16, multiply), judge(&message))
    }

    proptest! {
        #[test]
        fn a_changed_checksum_equals_a_fresh_one(message in prop::collection::vec(any::<u8>(), 4..3_000), new in any::<u32>()) {
            let (updated, fresh) = changed(message, new);
            prop_assert_eq!(updated, fresh);
        }

        #[test]
        fn a_sum_by_words_is_the_sum_of_the_bytes(words in prop::collection::vec(any::<u32>(), 0..40)) {
            let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
            let sum = words.iter().fold(Crc32c::EMPTY, |sum, word| sum.word(*word, multiply));
            prop_assert_eq!(sum.field(), judge(&bytes));
        }
    }

    #[test]
    fn the_longest_packet_and_the_shortest_are_summed_like_any_other() {
        for length in [4, 5, 255, 256, 65_534, 65_535] {
            let (updated, fresh) = changed((0..length).map(|i: u32| (i * 7) as u8).collect(), 0xdead_beef);
            assert_eq!(updated, fresh, "{length} bytes");
        }
    }

    #[test]
    fn a_field_left_to_the_network_card_stays_so() {
        assert_eq!(update(0, 7, 8, 1_500, multiply), 0);
        assert_ne!(update(1, 7, 8, 1_500, multiply), 1);
    }
}
