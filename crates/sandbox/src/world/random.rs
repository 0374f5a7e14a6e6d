//! Seeded randomness, and identifiers in AWS's formats.

use std::time::Duration;

use fastrand::Rng;

/// A seeded source of randomness.
#[derive(Debug)]
pub struct Random(Rng);

impl Random {
    /// Creates a source from a seed.
    pub fn new(seed: u64) -> Self {
        Self(Rng::with_seed(seed))
    }

    /// Returns random hexadecimal digits.
    pub fn hex(&mut self, digits: usize) -> String {
        (0..digits).map(|_| char::from_digit(self.0.u32(0..16), 16).unwrap_or('0')).collect()
    }

    /// Returns random decimal digits, of which the first isn't 0.
    pub fn decimal(&mut self, digits: usize) -> String {
        let digit = |rng: &mut Rng, min| char::from_digit(rng.u32(min..10), 10).unwrap_or('1');
        (0..digits).map(|place| digit(&mut self.0, u32::from(place == 0))).collect()
    }

    /// Returns a UUID of version 4.
    pub fn uuid(&mut self) -> String {
        let hex = self.hex(30);
        let variant = ["8", "9", "a", "b"][self.0.usize(0..4)];
        format!("{}-{}-4{}-{variant}{}-{}", &hex[..8], &hex[8..12], &hex[12..15], &hex[15..18], &hex[18..])
    }

    /// Returns true with a probability from 0 to 1.
    pub fn chance(&mut self, rate: f64) -> bool {
        // Always draws, so that a change of one rate doesn't shift the draws after it.
        self.0.f64() < rate
    }

    /// Returns a random duration up to a maximum.
    pub fn up_to(&mut self, maximum: Duration) -> Duration {
        maximum.mul_f64(self.0.f64())
    }

    /// Returns a random item; `None` when there are no items.
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        if items.is_empty() { None } else { items.get(self.0.usize(0..items.len())) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_have_awss_formats() {
        let mut random = Random::new(1);
        let uuid = random.uuid();
        assert_eq!(uuid.len(), 36);
        assert_eq!(uuid.split('-').map(str::len).collect::<Vec<_>>(), [8, 4, 4, 4, 12]);
        assert_eq!(random.hex(17).len(), 17);
        let decimal = random.decimal(19);
        assert!(decimal.len() == 19 && !decimal.starts_with('0'), "{decimal}");
    }

    #[test]
    fn the_same_seed_gives_the_same_identifiers() {
        let draw = |seed| Random::new(seed).uuid();
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
    }

    #[test]
    fn chances_follow_the_rate() {
        let mut random = Random::new(3);
        let mut count = |rate| (0..10_000).filter(|_| random.chance(rate)).count();
        assert_eq!(count(0.0), 0);
        assert_eq!(count(1.0), 10_000);
        assert!((2_000..3_000).contains(&count(0.25)));
    }
}
