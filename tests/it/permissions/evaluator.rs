//! An independent implementation of IAM: ministack's policy evaluator, in a process of its own.
//!
//! The tests call the evaluator directly rather than ministack's server with AUTH=true. The server uses the cluster as
//! the resource of every ECS call and `*` as that of AddTags, sets neither `ecs:cluster` nor the tags of resources that
//! it doesn't hold, and its SimulateCustomPolicy takes no context. Called directly, the evaluator evaluates the whole
//! policy with all conditions. (moto's IAM ignores conditions.)

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Mutex;

use serde_json::{Value, json};

use super::authorization::Authorization;
use crate::moto;

const PROGRAM: &str = include_str!("evaluator.py");
const REQUIREMENTS: &str = include_str!("../../requirements-ministack.txt");

/// A running evaluator. Dropping it closes its standard input, which stops it.
pub struct Evaluator {
    pipes: Mutex<(ChildStdin, BufReader<ChildStdout>)>,
    _process: Child,
}

impl Evaluator {
    pub fn start() -> Self {
        let python = moto::environment("ministack", REQUIREMENTS);
        let mut process = Command::new(&python)
            .args(["-c", PROGRAM])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {}: {error}", python.display()));
        let stdin = process.stdin.take().expect("the input is piped");
        let stdout = BufReader::new(process.stdout.take().expect("the output is piped"));
        Self { pipes: Mutex::new((stdin, stdout)), _process: process }
    }

    /// Returns whether the policy allows what a call requires.
    pub fn allows(&self, policy: &Value, required: &Authorization) -> bool {
        let question = json!({
            "policy": policy, "action": required.action, "resource": required.resource, "context": required.context,
        });
        let (stdin, stdout) = &mut *self.pipes.lock().expect("not poisoned");
        writeln!(stdin, "{question}").expect("the evaluator reads its input");
        let mut answer = String::new();
        stdout.read_line(&mut answer).expect("the answer is text");
        match answer.trim() {
            "Allow" => true,
            "Deny" | "ImplicitDeny" => false,
            other => panic!("the evaluator answered {other:?} to {question}; see its errors above"),
        }
    }
}
