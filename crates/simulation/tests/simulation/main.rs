//! The simulated days of every test run, and the deliberate bugs that they and the other tests must catch.

mod audit;
mod bugs;
mod campaign;
mod days;
mod examples;
mod first_call;
mod fleet;
mod paid_hour;
