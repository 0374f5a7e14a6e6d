//! Randomness from a seed, and the ids that AWS makes from its own.

use std::time::Duration;

use fastrand::Rng;

/// A seeded source of randomness.
#[derive(Debug)]
pub struct Random(Rng);

impl Random {
    /// The source that a seed gives.
    pub fn new(seed: u64) -> Self {
        Self(Rng::with_seed(seed))
    }

    /// That many hexadecimal digits.
    pub fn hex(&mut self, digits: usize) -> String {
        (0..digits).map(|_| char::from_digit(self.0.u32(0..16), 16).unwrap_or('0')).collect()
    }

    /// That many decimal digits, the first of which isn't 0.
    pub fn decimal(&mut self, digits: usize) -> String {
        let digit = |rng: &mut Rng, least| char::from_digit(rng.u32(least..10), 10).unwrap_or('1');
        (0..digits).map(|place| digit(&mut self.0, u32::from(place == 0))).collect()
    }

    /// A UUID of version 4.
    pub fn uuid(&mut self) -> String {
        let hex = self.hex(30);
        let variant = ["8", "9", "a", "b"][self.0.usize(0..4)];
        format!("{}-{}-4{}-{variant}{}-{}", &hex[..8], &hex[8..12], &hex[12..15], &hex[15..18], &hex[18..])
    }

    /// True in that many of all cases, from 0 to 1.
    pub fn happens(&mut self, rate: f64) -> bool {
        // Drawn in any case, so that a change of one rate leaves the other draws as they were.
        self.0.f64() < rate
    }

    /// A part of a duration, up to the whole.
    pub fn part(&mut self, of: Duration) -> Duration {
        of.mul_f64(self.0.f64())
    }

    /// One of several; `None` of none.
    pub fn pick<'a, T>(&mut self, of: &'a [T]) -> Option<&'a T> {
        if of.is_empty() { None } else { of.get(self.0.usize(0..of.len())) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_the_shape_of_awss() {
        let mut random = Random::new(1);
        let uuid = random.uuid();
        assert_eq!(uuid.len(), 36);
        assert_eq!(uuid.split('-').map(str::len).collect::<Vec<_>>(), [8, 4, 4, 4, 12]);
        assert_eq!(random.hex(17).len(), 17);
        let decimal = random.decimal(19);
        assert!(decimal.len() == 19 && !decimal.starts_with('0'), "{decimal}");
    }

    #[test]
    fn a_seed_gives_the_same_again() {
        let draw = |seed| Random::new(seed).uuid();
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
    }

    #[test]
    fn rates_are_kept() {
        let mut random = Random::new(3);
        let mut count = |rate| (0..10_000).filter(|_| random.happens(rate)).count();
        assert_eq!(count(0.0), 0);
        assert_eq!(count(1.0), 10_000);
        assert!((2_000..3_000).contains(&count(0.25)));
    }
}
