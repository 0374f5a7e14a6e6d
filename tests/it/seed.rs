//! The seed of the tests' random numbers.

/// The variable that sets the seed, to repeat a failure or to pin it in CI.
const VARIABLE: &str = "JVB_TEST_SEED";

/// Returns the seed in `JVB_TEST_SEED`, or a random one. Prints it, so that a failure can be repeated.
pub fn seed() -> u64 {
    let seed = match std::env::var(VARIABLE) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{VARIABLE} is {text:?}, not a number")),
        Err(_) => fastrand::u64(..),
    };
    println!("{VARIABLE}={seed}");
    seed
}
