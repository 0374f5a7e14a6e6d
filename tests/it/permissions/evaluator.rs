//! An IAM that isn't ours: ministack's evaluator, in a process of its own.
//!
//! The evaluator is asked directly, and not by calls to ministack's server with AUTH=true: the server takes an ECS
//! call's cluster for its resource and any AddTags for one on everything, gives neither `ecs:cluster` nor the tags of
//! resources that it doesn't hold, and its SimulateCustomPolicy takes no context. Asked directly it judges the policy
//! whole, with every condition. (moto's IAM doesn't look at conditions at all.)

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Mutex;

use serde_json::{Value, json};

use super::authorization::Authorization;
use crate::moto;

const PROGRAM: &str = include_str!("judge.py");
const REQUIREMENTS: &str = include_str!("../../requirements-ministack.txt");

/// The evaluator at work. It ends when this is dropped, with its standard input.
pub struct Judge {
    pipes: Mutex<(ChildStdin, BufReader<ChildStdout>)>,
    _process: Child,
}

impl Judge {
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

    /// Whether the policy allows it.
    pub fn allows(&self, policy: &Value, asked: &Authorization) -> bool {
        let question = json!({
            "policy": policy, "action": asked.action, "resource": asked.resource, "context": asked.context,
        });
        let (stdin, stdout) = &mut *self.pipes.lock().expect("not poisoned");
        writeln!(stdin, "{question}").expect("the judge listens");
        let mut answer = String::new();
        stdout.read_line(&mut answer).expect("the answer is text");
        match answer.trim() {
            "Allow" => true,
            "Deny" | "ImplicitDeny" => false,
            other => panic!("the judge answered {other:?} to {question}; its errors are above"),
        }
    }
}
