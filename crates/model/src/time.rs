//! Abstract time: instants in units that are long enough to keep the states few, and short enough to order what matters.
//!
//! The rules compare differences of instants with constants: the observation's deadline, the grace periods, the length of a
//! hold. A unit of five seconds divides the deadline in two, so that an instant can lie between an observation's beginning
//! and its deadline. Longer times are shortened as far as their order stays the same.

use std::ops::RangeInclusive;
use std::time::Duration;

use jiff::Timestamp;

/// A number of units since the beginning of the scenario.
pub type Instant = u8;

/// The length of a unit.
pub const UNIT: Duration = Duration::from_secs(5);

/// The instant of everything that happened hours before the scenario.
pub const LONG_AGO: Instant = 0;

/// The first instant of a scenario. No bound reaches from it back to [`LONG_AGO`].
pub const BEGINNING: Instant = 10;

/// How long after its beginning an observation's writes can take effect: the product's ten seconds.
pub const DEADLINE: Instant = 2;

/// How long ECS can show the state before the last change.
pub const LAG: Instant = 1;

/// How long before an observation the one before it lists the tasks, on which a deletion rests too: longer than ECS's lag
/// and short enough that a task which neither shows has not run for long.
pub const FIRST_OBSERVATION: RangeInclusive<Instant> = LAG..=2 * LAG;

/// The grace period. It is longer than the deadline, so that no observation from before a mark is valid at its end.
pub const GRACE: Instant = 4;

/// The unused grace. It is longer than the grace period.
pub const UNUSED_GRACE: Instant = 5;

/// The length of a hold. It is longer than the deadline and the grace period.
pub const HOLD: Instant = 5;

/// The time between the announcement of a stop and the stop.
pub const STOP_NOTICE: Instant = 3;

/// The time without a task after which a target is stale. The rules' thirty seconds are shortened to it.
pub const STALE: Instant = 3;

/// The age from which the lease of another watcher's stop counts as that of one that was killed: the rules' thirty seconds,
/// shortened as those of a stale target are.
pub const OTHER_STOP_ENDS_WITHIN: Instant = STALE;

/// The timestamp of the first instant, at the start of a minute.
const BEGINNING_SECOND: i64 = 1_800_000_000;

/// The thirty seconds of the rules.
const STALE_FOR: Duration = Duration::from_secs(30);

/// How long ago everything was that happened [`LONG_AGO`].
const LONG: Duration = Duration::from_secs(2 * 60 * 60);

/// Returns the timestamp that stands for an instant.
pub fn timestamp(at: Instant) -> Timestamp {
    let beginning = Timestamp::from_second(BEGINNING_SECOND).unwrap_or(Timestamp::UNIX_EPOCH);
    match at {
        LONG_AGO => beginning - LONG,
        _ => beginning + length(at - BEGINNING),
    }
}

/// Returns the instant that a timestamp stands for.
pub fn instant(at: Timestamp) -> Instant {
    let seconds = at.as_second() - BEGINNING_SECOND;
    let unit = i64::try_from(UNIT.as_secs()).unwrap_or(1);
    if seconds < 0 { LONG_AGO } else { u8::try_from(seconds / unit).map_or(Instant::MAX, |units| units + BEGINNING) }
}

/// Returns the length of a number of units.
pub fn length(units: Instant) -> Duration {
    UNIT * u32::from(units)
}

/// Returns the timestamp that stands for the beginning of a time that the rules take for over after thirty seconds: from
/// [`STALE`] on, it is as long ago.
pub fn stale_timestamp(since: Instant, now: Instant) -> Timestamp {
    if now >= since + STALE { timestamp(now) - STALE_FOR } else { timestamp(since) }
}
