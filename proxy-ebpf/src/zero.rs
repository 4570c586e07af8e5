//! Zeroes, written by words.
//!
//! What the compiler takes for a fill with zeroes becomes a call of `memset`, which is a loop over bytes here: to fill 40
//! takes longer than a look-up in a table.

/// Writes zeroes over a value, of which the words at its end that aren't whole keep what they are.
///
/// # Safety
/// `value` is writable, aligned to four bytes, and any words make up a `T`.
#[inline(always)]
pub(crate) unsafe fn clear<T>(value: *mut T) {
    let words = value.cast::<u32>();
    let mut i = 0;
    while i < size_of::<T>() / size_of::<u32>() {
        // SAFETY: within the value. Volatile, so that it is no fill.
        unsafe { core::ptr::write_volatile(words.add(i), 0) };
        i += 1;
    }
}
