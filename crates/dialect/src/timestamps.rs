//! Moments: numbers in any unit, and text.

use openalgo_shm_ring::{Error, ErrorCode, Result};

use crate::value::parse_decimal;

/// India's offset from UTC in minutes, which market data of NSE, BSE and MCX means when it names none.
pub const INDIA_UTC_OFFSET: i32 = 5 * 60 + 30;

/// The smallest magnitudes that can only be milliseconds (1973), microseconds and nanoseconds since 1970.
const FIRST_MILLISECONDS: f64 = 1e11;
const FIRST_MICROSECONDS: f64 = 1e14;
const FIRST_NANOSECONDS: f64 = 1e17;

/// A market's time lies between 1990 and 2100: what does not was written in another form, such as a date without
/// separators.
const FIRST_MS: f64 = 631_152_000_000.0;
const END_MS: f64 = 4_102_444_800_000.0;

/// Milliseconds since 1970 from seconds, milliseconds, microseconds or nanoseconds, told apart by magnitude. Zero stays
/// zero (brokers send it for "never"), what is not finite becomes NaN. `None` for a time before 1990 or after 2099.
pub fn epoch_to_ms(value: f64) -> Option<f64> {
    if !value.is_finite() {
        return Some(f64::NAN);
    }
    let magnitude = value.abs();
    let ms = if magnitude < FIRST_MILLISECONDS {
        round(value * 1000.0)
    } else if magnitude < FIRST_MICROSECONDS {
        round(value)
    } else {
        round(value / if magnitude < FIRST_NANOSECONDS { 1e3 } else { 1e6 })
    };
    (ms == 0.0 || is_of_a_market(ms)).then_some(ms)
}

fn is_of_a_market(ms: f64) -> bool {
    (FIRST_MS..END_MS).contains(&ms)
}

/// Half up, as JavaScript rounds.
fn round(value: f64) -> f64 {
    let whole = value.floor();
    if value - whole >= 0.5 { whole + 1.0 } else { whole }
}

/// Minutes east of UTC from `Z`, `+05:30` or `+0530`.
///
/// # Errors
/// `ERR_INVALID_OPTION`.
pub fn parse_utc_offset(text: &str) -> Result<i32> {
    offset_minutes(text).ok_or_else(|| {
        Error::new(
            ErrorCode::InvalidOption,
            format!("utcOffset must be Z or hours and minutes such as +05:30, got {text:?}"),
        )
    })
}

fn offset_minutes(text: &str) -> Option<i32> {
    if text.eq_ignore_ascii_case("z") {
        return Some(0);
    }
    let sign = match text.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let (hours, minutes) = match text.len() {
        6 if text.as_bytes()[3] == b':' => (text.get(1..3)?, text.get(4..6)?),
        5 => (text.get(1..3)?, text.get(3..5)?),
        _ => return None,
    };
    let (hours, minutes) = (digits(hours)?, digits(minutes)?);
    (hours <= 14 && minutes <= 59).then_some(sign * (hours * 60 + minutes))
}

/// Milliseconds since 1970 from text: ISO 8601 (`T` or a space between date and time), the same with the day first, with
/// the name of the month or without separators, each with a clock of 24 or 12 hours, `/Date(ms)/` as .NET's old JSON
/// writer has it, or a number in any unit that [`epoch_to_ms`] knows. `None` where the text is none of these, names a
/// moment that does not exist, or one before 1990 or after 2099.
///
/// `default_offset` is in minutes east of UTC, for text that names no zone.
pub fn parse_timestamp(text: &str, default_offset: i32) -> Option<f64> {
    let number = parse_decimal(text).and_then(epoch_to_ms);
    number.or_else(|| {
        let ms = moment(text, default_offset).or_else(|| dotnet_date(text))?;
        (ms == 0.0 || is_of_a_market(ms)).then_some(ms)
    })
}

fn dotnet_date(text: &str) -> Option<f64> {
    let inside = text.strip_prefix("/Date(")?.strip_suffix(")/")?;
    // The offset behind the number is for display only.
    let sign = inside.char_indices().skip(1).find(|(_, character)| matches!(character, '+' | '-'));
    let (number, offset) = inside.split_at(sign.map_or(inside.len(), |(at, _)| at));
    let unsigned = number.strip_prefix('-').unwrap_or(number);
    let is_offset = offset.is_empty() || offset.len() == 5 && offset.get(1..).and_then(digits).is_some();
    let is_number = !unsigned.is_empty() && unsigned.bytes().all(|byte| byte.is_ascii_digit());
    (is_offset && is_number).then(|| number.parse().ok())?
}

/// True for a time without a date, as `15:29:55` or `03:29:55 PM`: no moment that a field could hold.
pub fn is_time_of_day(text: &str) -> bool {
    let text = text.trim();
    let is_half = |end: &str| matches!(end.to_ascii_lowercase().as_str(), "am" | "pm");
    let text = match text.len().checked_sub(2).and_then(|at| text.split_at_checked(at)) {
        Some((time, end)) if is_half(end) => time.trim_end(),
        _ => text,
    };
    let mut parts = text.split(':');
    let is_part = |part: Option<&str>, least: usize| {
        part.is_some_and(|part| (least..=2).contains(&part.len()) && digits(part).is_some())
    };
    if !is_part(parts.next(), 1) || !is_part(parts.next(), 2) {
        return false;
    }
    match parts.next() {
        None => true,
        Some(seconds) => {
            let (whole, fraction) = seconds.split_once('.').unwrap_or((seconds, "0"));
            is_part(Some(whole), 2)
                && !fraction.is_empty()
                && fraction.bytes().all(|byte| byte.is_ascii_digit())
                && parts.next().is_none()
        }
    }
}

const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

/// A date, then perhaps a time, then perhaps a zone.
fn moment(text: &str, default_offset: i32) -> Option<f64> {
    let (days, rest) = date(text)?;
    let (time, rest) = time_behind_date(rest)?;
    let zone = rest.trim_start_matches(' ');
    let offset = if zone.is_empty() { default_offset } else { zone_minutes(zone)? };
    Some(days as f64 * 86_400_000.0 + time - f64::from(offset) * 60_000.0)
}

fn zone_minutes(zone: &str) -> Option<i32> {
    match zone.to_ascii_uppercase().as_str() {
        "UTC" | "GMT" => Some(0),
        "IST" => Some(INDIA_UTC_OFFSET),
        other => offset_minutes(other),
    }
}

/// Days since 1970 of `YYYY-MM-DD`, `DD-MM-YYYY` (also with `/`), `YYYYMMDD` or `DD-Mon-YYYY` (also with `/` or spaces,
/// and a day of the week before it), and what is behind the date.
fn date(text: &str) -> Option<(i64, &str)> {
    let bytes = text.as_bytes();
    let is_separator = |at: usize| matches!(bytes.get(at), Some(b'-' | b'/'));
    let compact = bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (year, month, day, rest) = if is_separator(4) && is_separator(7) {
        (digits(text.get(..4)?)?, digits(text.get(5..7)?)?, digits(text.get(8..10)?)?, text.get(10..)?)
    } else if is_separator(2) && is_separator(5) {
        (digits(text.get(6..10)?)?, digits(text.get(3..5)?)?, digits(text.get(..2)?)?, text.get(10..)?)
    } else if compact == 8 || compact == 14 {
        (digits(&text[..4])?, digits(&text[4..6])?, digits(&text[6..8])?, &text[8..])
    } else {
        named_date(text)?
    };
    Some((days_since_1970(year, month, day)?, rest))
}

/// Year, month and day of `Wed, 25 Nov 2026`, and what is behind it.
fn named_date(text: &str) -> Option<(i32, i32, i32, &str)> {
    let text = behind_weekday(text);
    let (day, rest) = text.split_at(text.bytes().take_while(u8::is_ascii_digit).count());
    let rest = rest.strip_prefix(['-', '/', ' '])?;
    let name = rest.get(..3)?.to_ascii_lowercase();
    let month = MONTHS.iter().position(|&month| month == name)? as i32 + 1;
    let rest = rest[3..].strip_prefix(['-', '/', ' '])?;
    let year = rest.get(..4)?;
    (day.len() <= 2).then_some((digits(year)?, month, digits(day)?, &rest[4..]))
}

fn behind_weekday(text: &str) -> &str {
    let letters = text.bytes().take_while(u8::is_ascii_alphabetic).count();
    if !(3..=9).contains(&letters) {
        return text;
    }
    let rest = &text[letters..];
    let rest = rest.strip_prefix(',').unwrap_or(rest);
    let behind = rest.trim_start_matches(' ');
    if behind.len() < rest.len() { behind } else { text }
}

/// Milliseconds since midnight, and what is behind the time; 0 where there is none.
fn time_behind_date(rest: &str) -> Option<(f64, &str)> {
    if rest.len() >= 6 && rest.bytes().take_while(u8::is_ascii_digit).count() == 6 {
        return compact_time(rest);
    }
    let time = match rest.strip_prefix(['T', 't']) {
        Some(time) => time,
        None => {
            let spaced = rest.strip_prefix(',').unwrap_or(rest);
            let time = spaced.trim_start_matches(' ');
            if time.len() == spaced.len() { "" } else { time }
        }
    };
    if !time.starts_with(|first: char| first.is_ascii_digit()) {
        return Some((0.0, rest));
    }
    let length = time.bytes().take_while(u8::is_ascii_digit).count();
    if length == 6 { compact_time(time) } else { time_of_day(time) }
}

/// `HHMMSS`.
fn compact_time(text: &str) -> Option<(f64, &str)> {
    let part = |at: usize| digits(text.get(at..at + 2)?);
    Some((ms_of_day(part(0)?, part(2)?, part(4)?)?, &text[6..]))
}

/// `15:29:59.123` or `3:29:59 PM`.
fn time_of_day(text: &str) -> Option<(f64, &str)> {
    let (hour, rest) = text.split_once(':')?;
    let (hour, minute) = ((hour.len() <= 2).then(|| digits(hour))??, digits(rest.get(..2)?)?);
    let mut rest = &rest[2..];
    let (mut second, mut milliseconds) = (0, 0);
    if let Some(seconds) = rest.strip_prefix(':') {
        second = digits(seconds.get(..2)?)?;
        rest = &seconds[2..];
        if let Some(fraction) = rest.strip_prefix('.') {
            let length = fraction.bytes().take_while(u8::is_ascii_digit).count();
            if length == 0 || length > 9 {
                return None;
            }
            let kept = &fraction[..length.min(3)];
            milliseconds = digits(kept)? * 10_i32.pow(3 - kept.len() as u32);
            rest = &fraction[length..];
        }
    }
    let half = rest.trim_start_matches(' ');
    let is_half = |name: &str| half.get(..2).is_some_and(|found| found.eq_ignore_ascii_case(name));
    let hour = match (is_half("am"), is_half("pm")) {
        (false, false) => hour,
        _ if !(1..=12).contains(&hour) => return None,
        (true, _) => hour % 12,
        _ => hour % 12 + 12,
    };
    let rest = if is_half("am") || is_half("pm") { &half[2..] } else { rest };
    Some((ms_of_day(hour, minute, second)? + f64::from(milliseconds), rest))
}

fn ms_of_day(hour: i32, minute: i32, second: i32) -> Option<f64> {
    let is_possible = hour <= 23 && minute <= 59 && second <= 59;
    is_possible.then(|| f64::from((hour * 60 + minute) * 60 + second) * 1000.0)
}

fn digits(text: &str) -> Option<i32> {
    (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok())?
}

/// Howard Hinnant's `days_from_civil`. `None` for a day that does not exist.
fn days_since_1970(year: i32, month: i32, day: i32) -> Option<i64> {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if is_leap => 29,
        2 => 28,
        _ => return None,
    };
    if !(1..=length).contains(&day) {
        return None;
    }
    let year = i64::from(if month <= 2 { year - 1 } else { year });
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year =
        (153 * (i64::from(month) + if month > 2 { -3 } else { 9 }) + 2) / 5 + i64::from(day) - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    Some(era * 146_097 + day_of_era - 719_468)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_a_moment() {
        let at = |text| parse_timestamp(text, INDIA_UTC_OFFSET);
        assert_eq!(at("2025-05-28T15:30:45+05:30"), Some(1_748_426_445_000.0));
        assert_eq!(at("2025-05-28 15:30:45.123456"), Some(1_748_426_445_123.0));
        assert_eq!(at("28/05/2025 15:30:45"), Some(1_748_426_445_000.0));
        assert_eq!(at("28-May-2025 15:30:45"), Some(1_748_426_445_000.0));
        assert_eq!(at("2025-05-28T10:00:45Z"), Some(1_748_426_445_000.0));
        assert_eq!(at("1748426445"), Some(1_748_426_445_000.0));
        assert_eq!(at("/Date(1748426445000+0530)/"), Some(1_748_426_445_000.0));
        for same in [
            "28 May 2025 15:30:45",
            "28/may/2025 3:30:45 pm",
            "Wed, 28 May 2025 10:00:45 GMT",
            "Wednesday 28 May 2025 15:30:45 IST",
            "28/05/2025, 3:30:45 PM",
            "2025-05-28 03:30:45PM +05:30",
            "20250528 15:30:45",
            "20250528T153045",
            "20250528153045",
            "20250528 153045",
        ] {
            assert_eq!(at(same), Some(1_748_426_445_000.0), "{same}");
        }
        assert_eq!(at("28-May-2025 12:00:00 AM"), at("2025-05-28"));
        assert_eq!(at("20250528"), at("2025-05-28"));
        assert_eq!(
            (at("0"), at("631152000"), at("4102444799")),
            (Some(0.0), Some(FIRST_MS), Some(END_MS - 1000.0))
        );
        assert_eq!(at("2024-02-29"), Some(1_709_145_000_000.0));
        for wrong in [
            "2025-02-29",
            "2025-13-01",
            "2025-05-28T24:00",
            "15:29:55",
            "",
            "/Date()/",
            "2025-05-28x",
            "/Date(é)/",
            "/Date(1+é11)/",
            "é2025-05-28",
            "2025-05-2é",
            "28-Mé-2025",
            "28-05-2025 13:30:45 PM",
            "28-05-2025 0:30 AM",
            "20251328",
            "20250528T1530",
            "631151999",
            "4102444800",
            "-1748426445",
            "1970-01-02",
            "1989-12-31T23:59:59Z",
            "2100-01-01T00:00:00Z",
            "0001-01-01T00:00:00Z",
            "/Date(1000)/",
            "28-May-25 15:30:45",
            "Wed,28 May 2025",
            "May 28 2025",
            "28  May 2025",
            "2025-05-28 15:30:45 PST",
            "०२-०५-२०२५",
        ] {
            assert_eq!(at(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn no_text_panics() {
        let parts = [
            "2025", "-", "05", "/", "28", "T", "15", ":", "30", ".", "1", "+", "é", "₹", "/Date(", ")/", " ",
            "May", "PM",
        ];
        let mut state = 1_u64;
        for _ in 0..200_000 {
            let mut text = String::new();
            for _ in 0..12 {
                // Knuth's constants for a linear congruential generator.
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                text.push_str(parts[(state >> 33) as usize % parts.len()]);
            }
            let _ = (parse_timestamp(&text, 0), is_time_of_day(&text), parse_utc_offset(&text).is_ok());
        }
    }

    #[test]
    fn text_of_a_time_of_day() {
        for text in ["15:29:55", "9:15", " 15:29:55.123 ", "03:29:59 PM"] {
            assert!(is_time_of_day(text), "{text}");
        }
        for text in ["15", "15:2", "2025-05-28 15:29", "15:29:55.", "pm", "é"] {
            assert!(!is_time_of_day(text), "{text}");
        }
    }

    #[test]
    fn offsets() {
        assert_eq!(parse_utc_offset("+05:30"), Ok(330));
        assert_eq!(parse_utc_offset("-0800"), Ok(-480));
        assert_eq!(parse_utc_offset("z"), Ok(0));
        for wrong in ["", "+5:30", "05:30", "+15:00", "+05:60"] {
            assert_eq!(parse_utc_offset(wrong).unwrap_err().code(), ErrorCode::InvalidOption, "{wrong}");
        }
    }
}
