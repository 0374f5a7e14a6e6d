//! The simulated days of every test run, and the deliberate bugs that they and the other tests must catch.

mod bugs;
mod days;
mod examples;
mod first_call;
mod paid_hour;
