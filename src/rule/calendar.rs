//! Dates and lengths of time as CEL writes and reads them, in whole milliseconds of the proleptic
//! Gregorian calendar. It must never know a time zone by name or what time it is.

/// 0001-01-01T00:00:00Z
pub const FIRST_MS: i64 = -62_135_596_800_000;
/// 9999-12-31T23:59:59.999Z
pub const LAST_MS: i64 = 253_402_300_799_999;
/// The longest duration: what 64 bits of nanoseconds hold, as in CEL's reference implementation.
pub const LONGEST_MS: i64 = 9_223_372_036_854;

const SECOND_MS: i64 = 1_000;
const MINUTE_MS: i64 = 60 * SECOND_MS;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const DAY_MS: i64 = 24 * HOUR_MS;

/// A day as year, month 1 to 12, day 1 to 31.
struct Date {
    year: i64,
    month: i64,
    day: i64,
}

/// Days since 1970-01-01. Years begin in March here, so that a leap day ends one.
fn days_of(date: &Date) -> i64 {
    let year = date.year - i64::from(date.month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year - 400 * era;
    let day_of_year = (153 * ((date.month + 9) % 12) + 2) / 5 + date.day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

fn date_of(days: i64) -> Date {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days - 146_097 * era;
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let month = (shifted + 2) % 12 + 1;
    Date {
        year: era * 400 + year_of_era + i64::from(month <= 2),
        month,
        day: day_of_year - (153 * shifted + 2) / 5 + 1,
    }
}

/// The UTC day of a point in time: year, month and day of the month, both from 1.
pub fn civil_day(ms: i64) -> (i64, i64, i64) {
    let date = date_of(ms.div_euclid(DAY_MS));
    (date.year, date.month, date.day)
}

/// Part `part` of a point in time, by its number in [`Part`](super::image::Op::Part).
pub fn part_of_time(ms: i64, part: u32) -> Option<i64> {
    let days = ms.div_euclid(DAY_MS);
    let in_day = ms - DAY_MS * days;
    let date = date_of(days);
    Some(match part {
        0 => date.year,
        1 => date.month - 1,
        2 => days - days_of(&Date { year: date.year, month: 1, day: 1 }),
        3 => date.day - 1,
        4 => date.day,
        5 => (days + 4).rem_euclid(7),
        6 => in_day / HOUR_MS,
        7 => in_day / MINUTE_MS % 60,
        8 => in_day / SECOND_MS % 60,
        9 => in_day % SECOND_MS,
        _ => return None,
    })
}

/// The same of a duration: whole hours, minutes, seconds; the milliseconds of its last second.
pub fn part_of_duration(ms: i64, part: u32) -> Option<i64> {
    Some(match part {
        6 => ms / HOUR_MS,
        7 => ms / MINUTE_MS,
        8 => ms / SECOND_MS,
        9 => ms % SECOND_MS,
        _ => return None,
    })
}

/// The number of a part by CEL's name for it.
#[cfg(feature = "compile")]
pub fn part_named(name: &str) -> Option<u32> {
    Some(match name {
        "getFullYear" => 0,
        "getMonth" => 1,
        "getDayOfYear" => 2,
        "getDayOfMonth" => 3,
        "getDate" => 4,
        "getDayOfWeek" => 5,
        "getHours" => 6,
        "getMinutes" => 7,
        "getSeconds" => 8,
        "getMilliseconds" => 9,
        _ => return None,
    })
}

/// Reads bytes from the front.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn digit(&mut self) -> Option<i64> {
        let first = *self.0.first()?;
        first.is_ascii_digit().then(|| {
            self.next();
            i64::from(first - b'0')
        })
    }
}

/// Takes a shape from the front: `0` is a digit, `T` what may stand between day and time, all else
/// itself. Gives the numbers between the marks.
fn take_shape(from: &mut Reader<'_>, shape: &[u8]) -> Option<[i64; 6]> {
    let mut numbers = [0; 6];
    let mut places = numbers.iter_mut();
    let mut number = places.next()?;
    for wanted in shape {
        let byte = from.next()?;
        let fits = match wanted {
            b'0' => {
                *number = *number * 10 + i64::from(byte) - i64::from(b'0');
                byte.is_ascii_digit()
            }
            b'T' => matches!(byte, b'T' | b't' | b' '),
            mark => byte == *mark,
        };
        if !fits {
            return None;
        }
        if *wanted != b'0' {
            number = places.next()?;
        }
    }
    Some(numbers)
}

/// RFC 3339 to milliseconds since 1970; digits beyond them are cut off. None where it is none,
/// or lies outside of the years 1 to 9999.
pub fn parse_time(text: &str) -> Option<i64> {
    let mut from = Reader(text.as_bytes());
    let [year, month, day, hour, minute, second] = take_shape(&mut from, b"0000-00-00T00:00:00")?;
    let mut ms = 0;
    let mut end = from.next()?;
    if end == b'.' {
        let mut scale = 100;
        ms = scale * from.digit()?;
        while let Some(digit) = from.digit() {
            scale /= 10;
            ms += digit * scale;
        }
        end = from.next()?;
    }
    let mut offset = 0;
    if let b'+' | b'-' = end {
        let [hours, minutes, ..] = take_shape(&mut from, b"00:00")?;
        if hours > 23 || minutes > 59 {
            return None;
        }
        offset = hours * HOUR_MS + minutes * MINUTE_MS;
        if end == b'-' {
            offset = -offset;
        }
    } else if !end.eq_ignore_ascii_case(&b'Z') {
        return None;
    }
    let days = days_of(&Date { year, month, day });
    let known = date_of(days);
    let real = known.year == year && known.month == month && known.day == day;
    if !from.0.is_empty() || !real || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let at = days * DAY_MS + hour * HOUR_MS + minute * MINUTE_MS + second * SECOND_MS + ms - offset;
    time_in_range(at)
}

/// A length such as `1h30m`, `-1.5s`, `250ms`, to milliseconds. None where it is none, is too
/// long, or asks for less than a millisecond.
#[cfg(feature = "compile")]
pub fn parse_duration(text: &str) -> Option<i64> {
    let mut from = Reader(text.as_bytes());
    let negative = text.starts_with('-');
    if negative || text.starts_with('+') {
        from.next();
    }
    if from.0 == b"0" {
        return Some(0);
    }
    let mut total_ns = 0_i64;
    loop {
        let mut number = 0_i64;
        let mut scale = 0_i64;
        let mut digits = 0;
        loop {
            if let Some(digit) = from.digit() {
                number = number.checked_mul(10)?.checked_add(digit)?;
                scale = scale.checked_mul(10)?;
                digits += 1;
            } else if scale == 0 && from.0.first() == Some(&b'.') {
                from.next();
                scale = 1;
            } else {
                break;
            }
        }
        let (unit_ns, two_letters): (i64, bool) = match (from.next()?, from.0.first()) {
            (b'h', _) => (3_600_000_000_000, false),
            (b'm', Some(b's')) => (1_000_000, true),
            (b'm', _) => (60_000_000_000, false),
            (b's', _) => (1_000_000_000, false),
            (b'u', Some(b's')) => (1_000, true),
            (b'n', Some(b's')) => (1, true),
            _ => return None,
        };
        if two_letters {
            from.next();
        }
        let (number, scale) = (number.checked_mul(unit_ns)?, i64::max(scale, 1));
        if digits == 0 || number % scale != 0 {
            return None;
        }
        total_ns = total_ns.checked_add(number / scale)?;
        if from.0.is_empty() {
            break;
        }
    }
    let ms = total_ns / 1_000_000;
    (total_ns % 1_000_000 == 0).then_some(if negative { -ms } else { ms })
}

/// `ms` where it lies in the years 1 to 9999.
pub fn time_in_range(ms: i64) -> Option<i64> {
    (FIRST_MS..=LAST_MS).contains(&ms).then_some(ms)
}

/// `ms` where it is no longer than [`LONGEST_MS`].
pub fn duration_in_range(ms: i64) -> Option<i64> {
    (-LONGEST_MS..=LONGEST_MS).contains(&ms).then_some(ms)
}

#[cfg(feature = "compile")]
pub fn format_time(ms: i64) -> String {
    let date = date_of(ms.div_euclid(DAY_MS));
    let part = |part| part_of_time(ms, part).unwrap_or(0);
    let mut text = format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}",
        date.year,
        date.month,
        date.day,
        part(6),
        part(7),
        part(8)
    );
    push_ms(&mut text, part(9));
    text.push('Z');
    text
}

#[cfg(feature = "compile")]
pub fn format_duration(ms: i64) -> String {
    let mut text = format!("{}{}", if ms < 0 { "-" } else { "" }, (ms / SECOND_MS).unsigned_abs());
    push_ms(&mut text, (ms % SECOND_MS).abs());
    text.push('s');
    text
}

#[cfg(feature = "compile")]
fn push_ms(text: &mut String, ms: i64) {
    if ms != 0 {
        text.push_str(format!(".{ms:03}").trim_end_matches('0'));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_of_eight_centuries_has_one_name() {
        let mut last = None;
        for days in -150_000..150_000 {
            let date = date_of(days);
            assert_eq!(days_of(&date), days);
            let name = (date.year, date.month, date.day);
            assert!(last < Some(name), "{name:?}");
            last = Some(name);
        }
    }

    #[test]
    fn times_are_read_to_the_millisecond() {
        for (text, ms) in [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("2009-02-13T23:31:30Z", Some(1_234_567_890_000)),
            ("2009-02-14T00:31:30.25+01:00", Some(1_234_567_890_250)),
            ("2024-02-29T00:00:00Z", Some(1_709_164_800_000)),
            ("2023-02-29T00:00:00Z", None),
            ("0000-01-01T00:00:00Z", None),
            ("10000-01-01T00:00:00Z", None),
            ("2009-02-13T24:00:00Z", None),
            ("2009-02-13", None),
            ("2009-02-13T23:31:30", None),
            ("2009-02-13T23:31:30.Z", None),
            ("", None),
        ] {
            assert_eq!(parse_time(text), ms, "{text}");
        }
    }

    #[test]
    #[cfg(feature = "compile")]
    fn durations_are_read_with_their_units() {
        for (text, ms) in [
            ("0", Some(0)),
            ("0s", Some(0)),
            ("1h30m", Some(5_400_000)),
            ("-1.5s", Some(-1_500)),
            ("250ms", Some(250)),
            ("1000us", Some(1)),
            ("1us", None),
            ("1d", None),
            ("", None),
            ("s", None),
            (".s", None),
            ("1", None),
            ("320000000000s", None),
            ("99999999999999999999999999999999999999999h", None),
        ] {
            assert_eq!(parse_duration(text), ms, "{text}");
        }
    }
}
