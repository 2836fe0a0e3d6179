//! Schedules. Time zones are resolved here, once, so that no edge and no page needs a zone
//! database. The transitions of fixed years are taken: reading a clock would make the same source
//! compile to other bytes tomorrow.

use jiff::civil;
use jiff::tz::{TimeZone, TimeZoneDatabase};

use super::cel::closest;
use super::reader::{Node, Reader, shorten};
use crate::limits;
use crate::offer::{Schedule, WeeklyWindow};
use crate::time::Timestamp;

/// 2020-01-01T00:00:00Z and 2046-01-01T00:00:00Z: the years whose changes of offset are carried.
/// Before and after, the nearest offset holds.
const FIRST: Timestamp = Timestamp(1_577_836_800_000);
const LAST: Timestamp = Timestamp(2_398_377_600_000);

const DAYS: [(&str, u16); 7] =
    [("mon", 0), ("tue", 1), ("wed", 2), ("thu", 3), ("fri", 4), ("sat", 5), ("sun", 6)];
const DAY_MINUTES: u16 = 1_440;
const WEEK_MINUTES: u16 = 10_080;
const MINUTE_MS: i64 = 60_000;

/// Reads a schedule. Notes `bad_time`, `unknown_zone`, `never_starts` and others.
pub(super) fn read<'a>(reader: &mut Reader<'a>, node: &Node<'a>) -> Option<Schedule> {
    let fields = reader.fields(node, &["from", "until", "zone", "weekly"])?;
    let zone = match fields.get("zone") {
        Some(node) => zone(reader, node),
        None => Some(TimeZone::UTC),
    };
    // An unknown zone is noted; times are still read, so that their own mistakes are noted too.
    let tz = zone.clone().unwrap_or(TimeZone::UTC);
    let from = fields.get("from").and_then(|node| time(reader, node, &tz));
    let until = fields.get("until").and_then(|node| time(reader, node, &tz));
    let weekly = fields.get("weekly").map(|node| weekly(reader, node)).unwrap_or_default();
    let mut schedule = Schedule { from, until, weekly, offsets: Vec::new() };
    zone?;
    if !schedule.weekly.is_empty() {
        schedule.offsets = offsets(&tz, &schedule);
    }
    if from.zip(until).is_some_and(|(from, until)| from >= until) {
        let message = "this schedule never starts: `until` is not after `from`";
        let place = fields.get("until").unwrap_or(fields.node());
        reader.note(place, "never_starts", message);
    } else if !ever_opens(&schedule) {
        let message =
            "this schedule never starts: no weekly window lies between `from` and `until`";
        reader.note(fields.get("weekly").unwrap_or(fields.node()), "never_starts", message);
    }
    Some(schedule)
}

/// The offsets of a zone, for days of its own. Notes `unknown_zone`.
pub(super) fn zone_offsets<'a>(
    reader: &mut Reader<'a>,
    node: &Node<'a>,
) -> Option<Vec<(Timestamp, i16)>> {
    zone(reader, node).map(|tz| offsets(&tz, &Schedule::default()))
}

fn zone<'a>(reader: &mut Reader<'a>, node: &Node<'a>) -> Option<TimeZone> {
    let name = reader.text(node)?;
    let zones = TimeZoneDatabase::bundled();
    // Only the zone database's own spelling: a file must not depend on how forgiving a library is.
    let known = zones.available().any(|zone| zone.as_str() == name);
    let found = if known { zones.get(name).ok() } else { None };
    if found.is_none() {
        let message = format!("unknown time zone `{}`", shorten(name));
        let all: Vec<String> = zones.available().map(|zone| zone.as_str().to_owned()).collect();
        let by_city = || {
            let city = name.rsplit('/').next().unwrap_or(name).to_lowercase().replace(' ', "_");
            all.iter().find(|zone| {
                zone.rsplit('/').next().is_some_and(|part| part.to_lowercase() == city)
            })
        };
        let better = closest(name, all.iter().map(String::as_str)).or_else(|| by_city().cloned());
        reader.note_at(node.span(), &node.path, "unknown_zone", message, better.as_deref());
    }
    found
}

/// RFC 3339 with an offset, or a local time or date of the schedule's zone.
fn time<'a>(reader: &mut Reader<'a>, node: &Node<'a>, tz: &TimeZone) -> Option<Timestamp> {
    let text = reader.text(node)?;
    let bounded = Some(text).filter(|text| text.len() <= 40 && text.is_ascii());
    let exact = bounded.and_then(|text| text.parse::<jiff::Timestamp>().ok());
    let local = || {
        let local: civil::DateTime = bounded?.parse().ok()?;
        tz.to_timestamp(local).ok()
    };
    let found = exact.or_else(local).map(|time| Timestamp(time.as_millisecond()));
    if found.is_none() {
        let message = format!(
            "`{}` is no time: write `2026-11-27T09:00:00Z`, or `2026-11-27T09:00` in the \
             schedule's zone",
            shorten(text)
        );
        reader.note(node, "bad_time", message);
    }
    found
}

fn weekly<'a>(reader: &mut Reader<'a>, node: &Node<'a>) -> Vec<WeeklyWindow> {
    let most = limits::WEEKLY_WINDOWS;
    let message = format!("a schedule has 1 to {most} weekly windows, or no field `weekly`");
    let mut windows = Vec::new();
    for node in &reader.list(node, 1..=most, "bad_weekly", message) {
        let Some(fields) = reader.fields(node, &["days", "from", "until"]) else { continue };
        let days = fields.need(reader, "days").map(|node| days(reader, node)).unwrap_or_default();
        let from = fields.need(reader, "from").and_then(|node| minute(reader, node));
        let until_node = fields.need(reader, "until");
        let until = until_node.and_then(|node| minute(reader, node));
        let (Some(from), Some(until), Some(until_node)) = (from, until, until_node) else {
            continue;
        };
        if from == until || from == DAY_MINUTES {
            let message = "this window is empty: for a whole day write `00:00` to `24:00`";
            reader.note(until_node, "never_starts", message);
            continue;
        }
        for day in days {
            add_window(&mut windows, day, from, until);
        }
    }
    union(windows)
}

/// A window that passes midnight goes on into the next day, and from Sunday into Monday.
fn add_window(windows: &mut Vec<WeeklyWindow>, day: u16, from: u16, until: u16) {
    let start = day.saturating_mul(DAY_MINUTES);
    let from_minute = start.saturating_add(from);
    let next = if until < from { DAY_MINUTES } else { 0 };
    let until_minute = start.saturating_add(until).saturating_add(next);
    if until_minute > WEEK_MINUTES {
        windows.push(WeeklyWindow { from: from_minute, until: WEEK_MINUTES });
        windows.push(WeeklyWindow { from: 0, until: until_minute.saturating_sub(WEEK_MINUTES) });
    } else {
        windows.push(WeeklyWindow { from: from_minute, until: until_minute });
    }
}

/// The same minutes as the fewest windows, sorted.
fn union(mut windows: Vec<WeeklyWindow>) -> Vec<WeeklyWindow> {
    windows.sort_by_key(|window| (window.from, window.until));
    let mut united: Vec<WeeklyWindow> = Vec::with_capacity(windows.len());
    for window in windows {
        match united.last_mut() {
            Some(last) if window.from <= last.until => last.until = last.until.max(window.until),
            _ => united.push(window),
        }
    }
    united
}

fn days<'a>(reader: &mut Reader<'a>, node: &Node<'a>) -> Vec<u16> {
    let message = "a weekly window names 1 to 7 days".to_owned();
    let mut days = Vec::new();
    for node in &reader.list(node, 1..=7, "bad_weekly", message) {
        if let Some(day) = reader.word(node, "unknown_day", "day", &DAYS) {
            if days.contains(&day) {
                reader.note(node, "duplicate_entry", "this day stands here a second time");
            } else {
                days.push(day);
            }
        }
    }
    days
}

/// `09:00` as minutes of the day; `24:00` is its end.
fn minute<'a>(reader: &mut Reader<'a>, node: &Node<'a>) -> Option<u16> {
    let text = reader.text(node)?;
    let part = |text: &str| {
        let plain = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        if plain { text.parse::<u16>().ok() } else { None }
    };
    let found = text
        .split_once(':')
        .and_then(|(hour, minute)| Some((part(hour)?, part(minute)?)))
        .filter(|(hour, minute)| (*hour < 24 && *minute < 60) || (*hour, *minute) == (24, 0))
        .map(|(hour, minute)| hour.saturating_mul(60).saturating_add(minute));
    if found.is_none() {
        let message = format!("`{}` is no time of day, such as `09:00`", shorten(text));
        reader.note(node, "bad_time", message);
    }
    found
}

/// The zone's offsets that matter between `from` and `until`.
fn offsets(tz: &TimeZone, schedule: &Schedule) -> Vec<(Timestamp, i16)> {
    let start = schedule.from.unwrap_or(FIRST).clamp(FIRST, LAST);
    let end = schedule.until.unwrap_or(LAST).clamp(start, LAST);
    let Ok(first) = jiff::Timestamp::from_millisecond(start.0) else { return Vec::new() };
    let minutes = |seconds: i32| i16::try_from(seconds.div_euclid(60)).unwrap_or_default();
    let mut offsets = vec![(Timestamp(i64::MIN), minutes(tz.to_offset(first).seconds()))];
    for transition in tz.following(first) {
        let time = Timestamp(transition.timestamp().as_millisecond());
        if time > end {
            break;
        }
        let offset = minutes(transition.offset().seconds());
        if offsets.last().is_none_or(|(_, last)| *last != offset) {
            offsets.push((time, offset));
        }
    }
    offsets
}

/// Whether any minute is open. Only a range of less than about a week can miss every window.
fn ever_opens(schedule: &Schedule) -> bool {
    let (Some(from), Some(until)) = (schedule.from, schedule.until) else { return true };
    let day_ms = limits::DAY;
    if schedule.weekly.is_empty() || until.since_ms(from) > day_ms.saturating_mul(8) {
        return true;
    }
    // A window is entered at its first minute, at `from`, or where the offset changes; a step of
    // 15 minutes from each window's start in UTC would not be finer, since offsets are multiples.
    let mut at = from;
    while at < until {
        if schedule.is_open(at) {
            return true;
        }
        at = next_start(schedule, at);
    }
    false
}

/// The next time after `at` at which a window may begin: a start by the offset of `at`, or a change
/// of offset, whichever comes first.
fn next_start(schedule: &Schedule, at: Timestamp) -> Timestamp {
    let change = schedule.offsets.iter().map(|(time, _)| *time).find(|time| *time > at);
    let offset = schedule.offsets.iter().take_while(|(time, _)| *time <= at).last();
    let offset = offset.map_or(0, |(_, minutes)| i64::from(*minutes));
    // 1970-01-01 was a Thursday.
    let local = at.0.div_euclid(MINUTE_MS).saturating_add(offset).saturating_add(3 * 1_440);
    let week = i64::from(WEEK_MINUTES);
    let now = local.rem_euclid(week);
    let wait = schedule
        .weekly
        .iter()
        .map(|window| i64::from(window.from).saturating_sub(now).rem_euclid(week))
        .map(|minutes| if minutes == 0 { week } else { minutes })
        .min()
        .unwrap_or(week);
    let whole = Timestamp(at.0.div_euclid(MINUTE_MS).saturating_mul(MINUTE_MS));
    let start = whole.plus_ms(wait.saturating_mul(MINUTE_MS));
    change.map_or(start, |change| change.min(start))
}
