//! Numbers as decimal digits, eight at a time.

use super::bytes::Bytes;

/// Whole numbers up to this are exact in an f64.
const EXACT_INTEGER: f64 = 9_007_199_254_740_992.0;
/// 2⁵²: an f64 from here up to 2⁵³ has no fraction, and its low bits are how much it is more than this.
const NO_FRACTION: f64 = 4_503_599_627_370_496.0;
const EIGHT_DIGITS: u64 = 100_000_000;
const ASCII_ZEROS: u64 = 0x3030_3030_3030_3030;

/// How many digits a number has, without a look at the digits: by the place of its highest bit, what to add so
/// that the upper half of the sum is the answer.
static LENGTHS: [u64; 32] = {
    let mut lengths = [0; 32];
    let mut bit = 0;
    while bit < 32 {
        let length = (1u64 << bit).ilog10() as u64 + 1;
        let longer = 10u64.pow(length as u32);
        let may_be_longer = longer < 2 << bit;
        lengths[bit] = if may_be_longer { ((length + 1) << 32) - longer } else { length << 32 };
        bit += 1;
    }
    lengths
};

/// The nearest whole number, of a number that is not negative and below 2⁵². Cheaper than a conversion.
#[inline(always)]
fn nearest(value: f64) -> (u64, f64) {
    let raised = value + NO_FRACTION;
    (raised.to_bits() - NO_FRACTION.to_bits(), raised - NO_FRACTION)
}

/// The whole number that this is, if it is one that an f64 says exactly.
#[inline(always)]
pub(super) fn as_integer(value: f64) -> Option<i64> {
    let size = value.abs();
    if size < NO_FRACTION {
        let (integer, whole) = nearest(size);
        let integer = integer as i64;
        return (whole == size).then_some(if value < 0.0 { -integer } else { integer });
    }
    (size <= EXACT_INTEGER).then_some(value as i64)
}

/// Rounds half away from zero; most numbers are whole already.
#[inline(always)]
pub(super) fn rounded(value: f64) -> f64 {
    let size = value.abs();
    if size < NO_FRACTION && nearest(size).1 != size { value.round() } else { value }
}

/// A whole number.
#[inline(always)]
pub(super) fn put_integer(out: &mut Bytes<'_>, value: i64) {
    if value < 0 {
        out.put(b"-");
    }
    put_unsigned(out, value.unsigned_abs());
}

/// A number below 10⁸ with a fraction of one or two digits, as almost all prices; false for most others.
#[inline(always)]
pub(super) fn put_short_decimal(out: &mut Bytes<'_>, value: f64) -> bool {
    let size = value.abs();
    if !(0.01..EIGHT_DIGITS as f64).contains(&size) {
        return false;
    }
    let (cents, rounded) = nearest(size * 1e2);
    // No two decimals of up to 15 digits share an f64, so this is the shortest that reads back as the value.
    if rounded / 1e2 != size {
        return false;
    }
    if value < 0.0 {
        out.put(b"-");
    }
    put_leading(out, cents / 100);
    let fraction = (cents % 100) as u32;
    let tens = fraction / 10;
    let ones = fraction - tens * 10;
    let digits = [b'.', b'0' + tens as u8, b'0' + ones as u8];
    out.put_first(&digits, 2 + usize::from(ones != 0));
    true
}

#[inline(always)]
fn put_unsigned(out: &mut Bytes<'_>, value: u64) {
    let (first, rest) = (value / EIGHT_DIGITS, value % EIGHT_DIGITS);
    if first == 0 {
        put_leading(out, rest);
    } else if first < EIGHT_DIGITS {
        put_leading(out, first);
        put_eight(out, rest);
    } else {
        put_leading(out, first / EIGHT_DIGITS);
        put_eight(out, first % EIGHT_DIGITS);
        put_eight(out, rest);
    }
}

/// A number below 10⁸ without zeros in front.
#[inline(always)]
fn put_leading(out: &mut Bytes<'_>, value: u64) {
    let length = (value + LENGTHS[(value as u32 | 1).ilog2() as usize]) >> 32;
    let digits = (digits_of(value) | ASCII_ZEROS) >> (64 - 8 * length);
    out.put_first(&digits.to_le_bytes(), length as usize);
}

#[inline(always)]
fn put_eight(out: &mut Bytes<'_>, value: u64) {
    out.put(&(digits_of(value) | ASCII_ZEROS).to_le_bytes());
}

/// The eight digits of a number below 10⁸, a byte each, the first in the lowest: halves, quarters and digits
/// are split in all lanes of the word at once, with multiplications in place of divisions.
#[inline(always)]
const fn digits_of(value: u64) -> u64 {
    let halves = (value / 10_000) | ((value % 10_000) << 32);
    let hundreds = ((halves * 10_486) >> 20) & 0x0000_007f_0000_007f;
    let quarters = hundreds | (halves - hundreds * 100) << 16;
    let tens = ((quarters * 103) >> 10) & 0x000f_000f_000f_000f;
    tens | (quarters - tens * 10) << 8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(put: impl Fn(&mut Bytes<'_>) -> bool) -> Option<String> {
        let mut room = [0; 64];
        let mut out = Bytes::new(&mut room);
        let is_put = put(&mut out);
        let length = out.length();
        is_put.then(|| String::from_utf8(room[..length].to_vec()).unwrap())
    }

    fn integer(value: i64) -> Option<String> {
        text(|out| {
            put_integer(out, value);
            true
        })
    }

    #[test]
    fn integers_have_the_digits_that_rust_gives_them() {
        for value in (0..200_000).chain((0..100_000_000).step_by(9_973)) {
            assert_eq!(integer(value), Some(value.to_string()));
        }
        for power in 0..19 {
            for value in [10i64.pow(power) - 1, 10i64.pow(power), i64::MAX >> power, i64::MIN >> power] {
                assert_eq!(integer(value), Some(value.to_string()));
            }
        }
    }

    #[test]
    fn whole_numbers_are_found_as_far_as_an_f64_is_exact() {
        for (value, expected) in [
            (0.0, Some(0)),
            (-0.0, Some(0)),
            (-7.0, Some(-7)),
            (EXACT_INTEGER, Some(1 << 53)),
            (-EXACT_INTEGER, Some(-1 << 53)),
            (EXACT_INTEGER + 2.0, None),
            (0.5, None),
            (f64::MAX, None),
            (f64::NAN, None),
            (f64::INFINITY, None),
            (f64::NEG_INFINITY, None),
        ] {
            assert_eq!(as_integer(value), expected, "{value}");
        }
    }

    #[test]
    fn short_decimals_are_the_shortest_that_read_back() {
        let mut found = 0;
        let mut check = |value: f64| {
            if as_integer(value).is_none()
                && let Some(text) = text(|out| put_short_decimal(out, value))
            {
                assert_eq!(text, zmij::Buffer::new().format(value));
                found += 1;
            }
        };
        for number in (1..600_000u64).chain((1..1u64 << 50).step_by(1_000_000_007)) {
            for value in
                [number as f64 / 1e2, -(number as f64) / 1e1, number as f64 / 1e3, number as f64 / 7.0]
            {
                check(value);
                check(f64::from_bits(value.to_bits() + 1));
            }
        }
        assert!(found > 1_000_000, "only {found} were written as short decimals");
        for value in
            [0.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MAX, 5e-324, 1e-5, 1e15, 0.1 + 0.2]
        {
            assert_eq!(text(|out| put_short_decimal(out, value)), None, "{value}");
        }
    }
}
