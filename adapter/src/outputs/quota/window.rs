//! Which window of a limit a moment lies in. Pure; must never read a clock.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Span as Distance, Timestamp};
use tollgate_model::{TimeUnit, Window};

/// One window of a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Counts windows since the epoch: later windows have greater numbers.
    pub number: i64,
    /// When it begins, in milliseconds since the Unix epoch.
    pub start_ms: i64,
    /// When it ends, in milliseconds since the Unix epoch. The next one begins then.
    pub end_ms: i64,
}

/// The window that `now_ms`, in milliseconds since the Unix epoch, lies in; `None` when the calendar does not reach that far.
#[must_use]
pub fn at(window: Window, zone: &TimeZone, now_ms: i64) -> Option<Span> {
    let count = i64::from(window.count.max(1));
    let fixed = |unit_ms: i64| {
        let length = unit_ms.checked_mul(count)?;
        let number = now_ms.div_euclid(length);
        let start_ms = number.checked_mul(length)?;
        Some(Span { number, start_ms, end_ms: start_ms.checked_add(length)? })
    };
    match window.unit {
        TimeUnit::Second => fixed(1_000),
        TimeUnit::Minute => fixed(60_000),
        TimeUnit::Hour => fixed(3_600_000),
        TimeUnit::Day | TimeUnit::Week | TimeUnit::Month | TimeUnit::Year => calendar(window.unit, count, zone, now_ms),
    }
}

fn calendar(unit: TimeUnit, count: i64, zone: &TimeZone, now_ms: i64) -> Option<Span> {
    let today = Timestamp::from_millisecond(now_ms).ok()?.to_zoned(zone.clone()).date();
    let number = ordinal(unit, today)?.div_euclid(count);
    let begins = |number: i64| {
        let day = first_day(unit, number.checked_mul(count)?)?;
        Some(day.to_zoned(zone.clone()).ok()?.timestamp().as_millisecond())
    };
    Some(Span { number, start_ms: begins(number)?, end_ms: begins(number.checked_add(1)?)? })
}

/// 1 January 1970 was a Thursday; the Monday of its week.
const MONDAY: Date = Date::constant(1969, 12, 29);
const EPOCH: Date = Date::constant(1970, 1, 1);

/// How many whole units lie between 1970 and that day.
fn ordinal(unit: TimeUnit, day: Date) -> Option<i64> {
    let since = |start: Date| Some(i64::from(day.since(start).ok()?.get_days()));
    let years = i64::from(day.year()).checked_sub(1970)?;
    match unit {
        TimeUnit::Week => Some(since(MONDAY)?.div_euclid(7)),
        TimeUnit::Month => years.checked_mul(12)?.checked_add(i64::from(day.month()).checked_sub(1)?),
        TimeUnit::Year => Some(years),
        TimeUnit::Second | TimeUnit::Minute | TimeUnit::Hour | TimeUnit::Day => since(EPOCH),
    }
}

/// The first day of the unit with that [`ordinal`].
fn first_day(unit: TimeUnit, ordinal: i64) -> Option<Date> {
    match unit {
        TimeUnit::Week => MONDAY.checked_add(Distance::new().try_weeks(ordinal).ok()?).ok(),
        TimeUnit::Month => EPOCH.checked_add(Distance::new().try_months(ordinal).ok()?).ok(),
        TimeUnit::Year => EPOCH.checked_add(Distance::new().try_years(ordinal).ok()?).ok(),
        TimeUnit::Second | TimeUnit::Minute | TimeUnit::Hour | TimeUnit::Day => {
            EPOCH.checked_add(Distance::new().try_days(ordinal).ok()?).ok()
        }
    }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ms(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_millisecond()
    }

    fn zone(name: &str) -> TimeZone {
        TimeZone::get(name).unwrap()
    }

    #[test]
    fn windows_end_where_the_calendar_says() {
        use TimeUnit::{Day, Hour, Minute, Month, Second, Week, Year};
        for (count, unit, zone_name, now, end) in [
            (1, Second, "UTC", "2026-11-20T13:27:25.999Z", "2026-11-20T13:27:26Z"),
            (1, Minute, "UTC", "2026-11-20T13:27:25Z", "2026-11-20T13:28:00Z"),
            (5, Minute, "UTC", "2026-11-20T13:27:25Z", "2026-11-20T13:30:00Z"),
            (1, Hour, "Asia/Kolkata", "2026-11-20T13:27:25Z", "2026-11-20T14:00:00Z"),
            (1, Day, "UTC", "2026-11-20T13:27:25Z", "2026-11-21T00:00:00Z"),
            // Midnight in Colombo.
            (1, Day, "Asia/Colombo", "2026-11-20T13:27:25Z", "2026-11-20T18:30:00Z"),
            // The day that is 23 hours long.
            (1, Day, "Europe/Berlin", "2026-03-29T10:00:00Z", "2026-03-29T22:00:00Z"),
            (1, Week, "UTC", "2026-11-20T13:27:25Z", "2026-11-23T00:00:00Z"),
            (1, Month, "UTC", "2026-02-28T23:59:59Z", "2026-03-01T00:00:00Z"),
            (1, Month, "UTC", "2026-12-31T23:59:59Z", "2027-01-01T00:00:00Z"),
            (3, Month, "UTC", "2026-11-20T13:27:25Z", "2027-01-01T00:00:00Z"),
            (1, Year, "UTC", "2028-02-29T00:00:00Z", "2029-01-01T00:00:00Z"),
        ] {
            let span = at(Window { count, unit }, &zone(zone_name), ms(now)).unwrap();
            assert_eq!(span.end_ms, ms(end), "{count} {unit:?} at {now} in {zone_name}");
        }
    }

    proptest! {
        /// Windows cover time without gaps or overlaps, in every zone and across every change of its clocks.
        #[test]
        fn windows_follow_each_other(
            count in 1_u32..400,
            unit in prop::sample::select(vec![
                TimeUnit::Second, TimeUnit::Minute, TimeUnit::Hour, TimeUnit::Day, TimeUnit::Week, TimeUnit::Month,
                TimeUnit::Year,
            ]),
            name in prop::sample::select(vec!["UTC", "Europe/Berlin", "America/St_Johns", "Pacific/Apia"]),
            now in 0_i64..4_000_000_000_000,
        ) {
            let (window, zone) = (Window { count, unit }, zone(name));
            let span = at(window, &zone, now).unwrap();
            prop_assert!(span.start_ms <= now && now < span.end_ms);
            let last = at(window, &zone, span.end_ms - 1).unwrap();
            prop_assert_eq!(last, span);
            let next = at(window, &zone, span.end_ms).unwrap();
            prop_assert_eq!((next.number, next.start_ms), (span.number + 1, span.end_ms));
        }
    }
}
