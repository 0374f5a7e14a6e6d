//! Answers of AWS that are remembered: a command that shows many services asks each question once.

use std::collections::HashMap;
use std::future::Future;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OnceCell;

use super::AwsError;

/// The answers to questions. Each is asked once; further callers wait for the answer to the first.
pub struct Answers<K, T>(Mutex<HashMap<K, Cell<T>>>);

type Cell<T> = Arc<OnceCell<Result<T, AwsError>>>;

impl<K, T> Default for Answers<K, T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash, T: Clone> Answers<K, T> {
    /// Returns the answer to a question. An error is an answer, too.
    ///
    /// # Errors
    ///
    /// The error that the question had when it was asked.
    pub async fn get<F: Future<Output = Result<T, AwsError>>>(
        &self,
        question: K,
        ask: impl FnOnce() -> F,
    ) -> Result<T, AwsError> {
        let cell = self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(question).or_default().clone();
        cell.get_or_init(ask).await.clone()
    }
}
