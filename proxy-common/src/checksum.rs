//! The Internet checksum's arithmetic (RFC 1071, 1624): how a change of bytes changes the sum.

/// Change of a ones' complement sum. Words are taken as they lie in memory, so nothing is swapped.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Delta(u32);

impl Delta {
    /// No change.
    pub const NONE: Self = Self(0);

    #[inline(always)]
    const fn add(self, word: u32) -> Self {
        let (sum, carry) = self.0.overflowing_add(word);
        Self(sum.wrapping_add(carry as u32))
    }

    /// Four bytes at an even offset turn from `old` to `new`.
    #[inline(always)]
    #[must_use]
    pub const fn word(self, old: u32, new: u32) -> Self {
        self.add(!old).add(new)
    }

    /// Two bytes at an even offset turn from `old` to `new`.
    #[inline(always)]
    #[must_use]
    pub const fn half(self, old: u16, new: u16) -> Self {
        self.add(!(old as u32)).add(new as u32)
    }

    /// Sixteen bytes at an even offset turn from `old` to `new`.
    #[inline(always)]
    #[must_use]
    pub fn words(self, old: [u32; 4], new: [u32; 4]) -> Self {
        let mut delta = self;
        let mut i = 0;
        while i < 4 {
            delta = delta.word(old[i], new[i]);
            i += 1;
        }
        delta
    }

    /// As the kernel's `bpf_l3_csum_replace` and `bpf_l4_csum_replace` take it when their size is 0.
    #[inline(always)]
    #[must_use]
    pub const fn kernel(self) -> u64 {
        self.0 as u64
    }

    /// The checksum field after the change (RFC 1624, equation 3).
    #[inline(always)]
    #[must_use]
    pub const fn apply(self, checksum: u16) -> u16 {
        !fold(self.add(!checksum as u32).0)
    }
}

/// Sum of a header whose checksum field is 0, to be folded: what a fresh checksum is made from.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Sum(Delta);

impl Sum {
    /// Adds four bytes as they lie in memory.
    #[inline(always)]
    #[must_use]
    pub const fn word(self, word: u32) -> Self {
        Self(self.0.add(word))
    }

    /// Adds sixteen bytes as they lie in memory.
    #[inline(always)]
    #[must_use]
    pub const fn words(self, words: [u32; 4]) -> Self {
        self.word(words[0]).word(words[1]).word(words[2]).word(words[3])
    }

    /// The checksum field.
    #[inline(always)]
    #[must_use]
    pub const fn checksum(self) -> u16 {
        !fold(self.0.0)
    }
}

#[inline(always)]
const fn fold(sum: u32) -> u16 {
    let sum = (sum & 0xffff) + (sum >> 16);
    (sum + (sum >> 16)) as u16
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn full(words: &[u32]) -> u16 {
        words.iter().fold(Sum::default(), |sum, word| sum.word(*word)).checksum()
    }

    proptest! {
        #[test]
        fn an_updated_checksum_equals_a_fresh_one(words in prop::array::uniform8(1u32..), new in any::<u32>(), at in 0usize..8) {
            let mut changed = words;
            changed[at] = new;
            let updated = Delta::NONE.word(words[at], new).apply(full(&words));
            // 0 and 0xffff are the same number in ones' complement.
            prop_assert_eq!(updated % 0xffff, full(&changed) % 0xffff);
        }

        #[test]
        fn a_half_word_counts_as_the_word_around_it(word in any::<u32>(), new in any::<u16>(), checksum in any::<u16>()) {
            let bytes = word.to_ne_bytes();
            let fresh = new.to_ne_bytes();
            let changed = u32::from_ne_bytes([fresh[0], fresh[1], bytes[2], bytes[3]]);
            let old = u16::from_ne_bytes([bytes[0], bytes[1]]);
            prop_assert_eq!(Delta::NONE.half(old, new).apply(checksum) % 0xffff, Delta::NONE.word(word, changed).apply(checksum) % 0xffff);
        }
    }
}
