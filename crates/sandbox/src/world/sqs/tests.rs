use std::collections::BTreeMap;

use super::*;
use crate::api::sqs::*;

/// Queues with a clock that the test turns.
struct Bench {
    sqs: Sqs,
    now: Timestamp,
    settings: Settings,
    random: Random,
}

impl Bench {
    fn new() -> Self {
        let now = Timestamp::from_second(1_000_000).unwrap();
        Self { sqs: Sqs::default(), now, settings: Settings::default(), random: Random::new(1) }
    }

    fn call(&mut self, request: Request) -> Result<Response, ApiError> {
        let mut tools = Tools { now: self.now, settings: &self.settings, random: &mut self.random };
        self.sqs.call(request, &mut tools)
    }

    fn pass(&mut self, seconds: u64) {
        self.now = super::super::agenda::after(self.now, Duration::from_secs(seconds));
        self.sqs.step(self.now);
    }

    fn create(&mut self, name: &str, attributes: &[(&str, &str)]) -> Result<String, ApiError> {
        let attributes = attributes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let input = CreateQueueInput { queue_name: name.to_owned(), attributes, tags: BTreeMap::new() };
        match self.call(Request::CreateQueue(input))? {
            Response::CreateQueue(output) => Ok(output.queue_url),
            other => panic!("{other:?}"),
        }
    }

    fn send(&mut self, queue: &str, body: &str) {
        let input =
            SendMessageInput { queue_url: queue.to_owned(), message_body: body.to_owned(), delay_seconds: None };
        self.call(Request::SendMessage(input)).unwrap();
    }

    fn receive(&mut self, queue: &str) -> Vec<Message> {
        let input = ReceiveMessageInput {
            queue_url: queue.to_owned(),
            max_number_of_messages: Some(10),
            message_system_attribute_names: vec!["All".to_owned()],
            ..ReceiveMessageInput::default()
        };
        match self.call(Request::ReceiveMessage(input)).unwrap() {
            Response::ReceiveMessage(output) => output.messages.unwrap_or_default(),
            other => panic!("{other:?}"),
        }
    }

    fn delete(&mut self, queue: &str, handle: &str) -> Result<Response, ApiError> {
        let input = DeleteMessageInput { queue_url: queue.to_owned(), receipt_handle: handle.to_owned() };
        self.call(Request::DeleteMessage(input))
    }

    fn hide(&mut self, queue: &str, handle: &str, seconds: i32) -> Result<Response, ApiError> {
        let (queue_url, receipt_handle) = (queue.to_owned(), handle.to_owned());
        let input = ChangeMessageVisibilityInput { queue_url, receipt_handle, visibility_timeout: seconds };
        self.call(Request::ChangeMessageVisibility(input))
    }

    fn depth(&self, name: &str) -> (usize, usize, usize) {
        let queue = &self.sqs.queues[name];
        (queue.visible(), queue.in_flight(), queue.delayed())
    }
}

#[test]
fn a_received_message_is_hidden_until_its_time_is_up() {
    let mut bench = Bench::new();
    let queue = bench.create("q", &[]).unwrap();
    assert_eq!(queue, "http://localhost:4566/111122223333/q");
    bench.send(&queue, "hello");
    let first = bench.receive(&queue).remove(0);
    assert_eq!((first.body.as_str(), first.md5_of_body.as_str()), ("hello", "5d41402abc4b2a76b9719d911017c592"));
    assert_eq!(bench.depth("q"), (0, 1, 0));
    assert_eq!(bench.sqs.next_change_at(), Some(super::super::agenda::after(bench.now, Duration::from_secs(30))));
    bench.pass(29);
    assert!(bench.receive(&queue).is_empty());
    bench.pass(1);
    let second = bench.receive(&queue).remove(0);
    let attributes = second.attributes.unwrap();
    assert_eq!(attributes["ApproximateReceiveCount"], "2");
    assert_eq!(attributes["SentTimestamp"], "1000000000");
    assert_eq!(attributes["ApproximateFirstReceiveTimestamp"], "1000000000");
}

#[test]
fn attributes_come_only_when_asked_for() {
    let mut bench = Bench::new();
    let queue = bench.create("q", &[]).unwrap();
    bench.send(&queue, "hello");
    let input = ReceiveMessageInput { queue_url: queue.clone(), ..ReceiveMessageInput::default() };
    let Ok(Response::ReceiveMessage(output)) = bench.call(Request::ReceiveMessage(input)) else { panic!() };
    assert_eq!(output.messages.unwrap()[0].attributes, None);
    let attribute_names = vec!["Colour".to_owned()];
    let input = ReceiveMessageInput { queue_url: queue, attribute_names, ..ReceiveMessageInput::default() };
    assert_eq!(bench.call(Request::ReceiveMessage(input)).unwrap_err().code, "InvalidAttributeName");
}

#[test]
fn only_the_newest_handle_deletes() {
    let mut bench = Bench::new();
    let queue = bench.create("q", &[]).unwrap();
    bench.send(&queue, "hello");
    let old = bench.receive(&queue).remove(0).receipt_handle;
    bench.pass(30);
    let new = bench.receive(&queue).remove(0).receipt_handle;
    bench.delete(&queue, &old).unwrap();
    assert_eq!(bench.depth("q"), (0, 1, 0));
    bench.delete(&queue, &new).unwrap();
    assert_eq!(bench.depth("q"), (0, 0, 0));
    bench.delete(&queue, &new).unwrap();
    assert_eq!(bench.delete(&queue, "nonsense").unwrap_err().code, "ReceiptHandleIsInvalid");
}

#[test]
fn a_handle_deletes_after_its_time_too() {
    let mut bench = Bench::new();
    let queue = bench.create("q", &[]).unwrap();
    bench.send(&queue, "hello");
    let handle = bench.receive(&queue).remove(0).receipt_handle;
    bench.pass(31);
    assert_eq!(bench.hide(&queue, &handle, 5).unwrap_err().code, "MessageNotInflight");
    bench.delete(&queue, &handle).unwrap();
    assert_eq!(bench.depth("q"), (0, 0, 0));
    assert_eq!(bench.hide(&queue, &handle, 5).unwrap_err().code, "InvalidParameterValue");
}

#[test]
fn visibility_can_be_prolonged_and_given_up() {
    let mut bench = Bench::new();
    let queue = bench.create("q", &[]).unwrap();
    bench.send(&queue, "hello");
    let handle = bench.receive(&queue).remove(0).receipt_handle;
    bench.hide(&queue, &handle, 100).unwrap();
    bench.pass(99);
    assert_eq!(bench.depth("q"), (0, 1, 0));
    assert_eq!(bench.hide(&queue, &handle, 43_200).unwrap_err().code, "InvalidParameterValue");
    bench.hide(&queue, &handle, 0).unwrap();
    bench.pass(0);
    assert_eq!(bench.depth("q"), (1, 0, 0));
}

#[test]
fn a_message_received_too_often_moves_to_the_dead_letters() {
    let mut bench = Bench::new();
    let dead = bench.create("dead", &[]).unwrap();
    let policy = r#"{"deadLetterTargetArn": "arn:aws:sqs:eu-west-1:111122223333:dead", "maxReceiveCount": 2}"#;
    let queue = bench.create("q", &[("RedrivePolicy", policy)]).unwrap();
    bench.send(&queue, "poison");
    for _ in 0..2 {
        assert_eq!(bench.receive(&queue).len(), 1);
        bench.pass(30);
    }
    assert!(bench.receive(&queue).is_empty());
    assert_eq!((bench.depth("q"), bench.depth("dead")), ((0, 0, 0), (1, 0, 0)));
    let attributes = bench.receive(&dead).remove(0).attributes.unwrap();
    assert_eq!(attributes["DeadLetterQueueSourceArn"], "arn:aws:sqs:eu-west-1:111122223333:q");
    assert_eq!(attributes["SentTimestamp"], "1000000000");
}

#[test]
fn without_its_dead_letter_queue_a_message_is_received_again() {
    let mut bench = Bench::new();
    let dead = bench.create("dead", &[]).unwrap();
    let policy = r#"{"deadLetterTargetArn": "arn:aws:sqs:eu-west-1:111122223333:dead", "maxReceiveCount": 1}"#;
    let queue = bench.create("q", &[("RedrivePolicy", policy)]).unwrap();
    bench.call(Request::DeleteQueue(QueueInput { queue_url: dead })).unwrap();
    bench.send(&queue, "poison");
    for _ in 0..3 {
        assert_eq!(bench.receive(&queue).len(), 1);
        bench.pass(30);
    }
}

#[test]
fn delays_and_retention_are_kept() {
    let mut bench = Bench::new();
    let queue = bench.create("q", &[("DelaySeconds", "10"), ("MessageRetentionPeriod", "60")]).unwrap();
    bench.send(&queue, "late");
    assert_eq!(bench.depth("q"), (0, 0, 1));
    bench.pass(10);
    assert_eq!(bench.depth("q"), (1, 0, 0));
    bench.pass(50);
    assert_eq!(bench.depth("q"), (0, 0, 0));
    assert_eq!(bench.sqs.next_change_at(), None);
}

#[test]
fn batches_fail_entry_by_entry() {
    let mut bench = Bench::new();
    let queue = bench.create("q", &[]).unwrap();
    bench.send(&queue, "hello");
    let handle = bench.receive(&queue).remove(0).receipt_handle;
    let batch = |ids: &[&str]| {
        let entry = |id: &&str| DeleteMessageBatchEntry { id: (*id).to_owned(), receipt_handle: handle.clone() };
        DeleteMessageBatchInput { queue_url: queue.clone(), entries: ids.iter().map(entry).collect() }
    };
    let eleven: Vec<String> = (0..11).map(|id| id.to_string()).collect();
    let eleven: Vec<&str> = eleven.iter().map(String::as_str).collect();
    for (ids, code) in [
        (&[][..], "EmptyBatchRequest"),
        (&eleven, "TooManyEntriesInBatchRequest"),
        (&["a", "a"], "BatchEntryIdsNotDistinct"),
        (&["a b"], "InvalidBatchEntryId"),
    ] {
        assert_eq!(bench.call(Request::DeleteMessageBatch(batch(ids))).unwrap_err().code, code);
    }
    let mut input = batch(&["good", "bad"]);
    input.entries[1].receipt_handle = "nonsense".to_owned();
    let Ok(Response::DeleteMessageBatch(output)) = bench.call(Request::DeleteMessageBatch(input)) else { panic!() };
    assert_eq!(output.successful, [BatchSuccess { id: "good".to_owned() }]);
    assert_eq!((output.failed[0].code.as_str(), output.failed[0].sender_fault), ("ReceiptHandleIsInvalid", true));
}

#[test]
fn numbers_out_of_range_are_refused_by_name() {
    let mut bench = Bench::new();
    let queue = bench.create("q", &[]).unwrap();
    bench.send(&queue, "hello");
    let handle = bench.receive(&queue).remove(0).receipt_handle;
    for seconds in [-1, 43_201] {
        let error = bench.hide(&queue, &handle, seconds).unwrap_err();
        assert_eq!(error.code, "InvalidParameterValue");
        let says = format!("Value {seconds} for parameter VisibilityTimeout is invalid.");
        assert!(error.message.starts_with(&says), "{error}");
    }
    bench.hide(&queue, &handle, 43_200).unwrap();
    let receive = || ReceiveMessageInput { queue_url: queue.clone(), ..ReceiveMessageInput::default() };
    let send =
        |delay| SendMessageInput { queue_url: queue.clone(), message_body: "x".to_owned(), delay_seconds: Some(delay) };
    for (request, name) in [
        (
            Request::ReceiveMessage(ReceiveMessageInput { visibility_timeout: Some(-1), ..receive() }),
            "VisibilityTimeout",
        ),
        (Request::ReceiveMessage(ReceiveMessageInput { wait_time_seconds: Some(-1), ..receive() }), "WaitTimeSeconds"),
        (Request::ReceiveMessage(ReceiveMessageInput { wait_time_seconds: Some(21), ..receive() }), "WaitTimeSeconds"),
        (
            Request::ReceiveMessage(ReceiveMessageInput { max_number_of_messages: Some(0), ..receive() }),
            "MaxNumberOfMessages",
        ),
        (Request::SendMessage(send(-1)), "DelaySeconds"),
        (Request::SendMessage(send(901)), "DelaySeconds"),
        (Request::ListQueues(ListQueuesInput { max_results: Some(0), ..ListQueuesInput::default() }), "MaxResults"),
    ] {
        let error = bench.call(request).unwrap_err();
        assert_eq!(error.code, "InvalidParameterValue");
        assert!(error.message.contains(&format!("for parameter {name} is invalid")), "{error}");
    }
    let entry = |id: &str, visibility_timeout| ChangeMessageVisibilityBatchEntry {
        id: id.to_owned(),
        receipt_handle: handle.clone(),
        visibility_timeout,
    };
    let entries = vec![entry("good", 0), entry("bad", -1)];
    let input = ChangeMessageVisibilityBatchInput { queue_url: queue.clone(), entries };
    let Ok(Response::ChangeMessageVisibilityBatch(output)) = bench.call(Request::ChangeMessageVisibilityBatch(input))
    else {
        panic!()
    };
    assert_eq!((output.successful.len(), output.failed[0].id.as_str()), (1, "bad"));
}

#[test]
fn a_dead_letter_queue_knows_its_sources() {
    let mut bench = Bench::new();
    let dead = bench.create("dead", &[]).unwrap();
    let policy = r#"{"deadLetterTargetArn": "arn:aws:sqs:eu-west-1:111122223333:dead", "maxReceiveCount": 2}"#;
    let sources = ["a", "b"].map(|name| bench.create(name, &[("RedrivePolicy", policy)]).unwrap());
    let mut list = |queue_url: &str, max_results, next_token| {
        let input = ListDeadLetterSourceQueuesInput { queue_url: queue_url.to_owned(), max_results, next_token };
        match bench.call(Request::ListDeadLetterSourceQueues(input)).unwrap() {
            Response::ListDeadLetterSourceQueues(output) => (output.queue_urls, output.next_token),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(list(&dead, None, None), (sources.to_vec(), None));
    let (first, token) = list(&dead, Some(1), None);
    assert_eq!((first, list(&dead, Some(1), token).0), (sources[..1].to_vec(), sources[1..].to_vec()));
    assert_eq!(list(&sources[0], None, None), (Vec::new(), None));
}

#[test]
fn a_batch_of_messages_is_no_larger_than_one_may_be() {
    let mut bench = Bench::new();
    let queue_url = bench.create("q", &[]).unwrap();
    let mut send = |length: usize| {
        let entry = |id: &str| SendMessageBatchEntry {
            id: id.to_owned(),
            message_body: "x".repeat(length),
            delay_seconds: None,
        };
        let input = SendMessageBatchInput { queue_url: queue_url.clone(), entries: vec![entry("a"), entry("b")] };
        bench.call(Request::SendMessageBatch(input)).map(|_| ()).map_err(|error| error.code)
    };
    assert_eq!(send(524_289), Err("BatchRequestTooLong"));
    assert_eq!(send(524_288), Ok(()));
}

#[test]
fn queues_are_made_once() {
    let mut bench = Bench::new();
    let url = bench.create("q", &[("VisibilityTimeout", "5")]).unwrap();
    assert_eq!(bench.create("q", &[]).unwrap(), url);
    assert_eq!(bench.create("q", &[("VisibilityTimeout", "6")]).unwrap_err().code, "QueueNameExists");
    assert_eq!(bench.create("q", &[("Colour", "red")]).unwrap_err().code, "InvalidAttributeName");
    assert_eq!(bench.create("a b", &[]).unwrap_err().code, "InvalidParameterValue");
    let input = || GetQueueUrlInput { queue_name: "q".to_owned() };
    bench.call(Request::GetQueueUrl(input())).unwrap();
    bench.call(Request::DeleteQueue(QueueInput { queue_url: "http://any:1/x/q".to_owned() })).unwrap();
    assert_eq!(bench.call(Request::GetQueueUrl(input())).unwrap_err().code, "QueueDoesNotExist");
}

#[test]
fn a_queue_shows_the_attributes_asked_for() {
    let mut bench = Bench::new();
    let queue_url = bench.create("q", &[]).unwrap();
    bench.send(&queue_url, "hello");
    let mut get = |names: &[&str]| -> Result<BTreeMap<String, String>, ApiError> {
        let attribute_names = names.iter().map(|name| (*name).to_owned()).collect();
        let input = GetQueueAttributesInput { queue_url: queue_url.clone(), attribute_names };
        match bench.call(Request::GetQueueAttributes(input))? {
            Response::GetQueueAttributes(output) => Ok(output.attributes),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(get(&["QueueArn"]).unwrap().into_values().collect::<Vec<_>>(), ["arn:aws:sqs:eu-west-1:111122223333:q"]);
    let all = get(&["All"]).unwrap();
    assert_eq!((all["VisibilityTimeout"].as_str(), all["ApproximateNumberOfMessages"].as_str()), ("30", "1"));
    assert_eq!(all["CreatedTimestamp"], "1000000");
    assert!(get(&[]).unwrap().is_empty());
    assert_eq!(get(&["Colour"]).unwrap_err().code, "InvalidAttributeName");
}

#[test]
fn a_purge_empties_a_queue_but_not_twice_a_minute() {
    let mut bench = Bench::new();
    let queue_url = bench.create("q", &[]).unwrap();
    bench.send(&queue_url, "hello");
    let purge = |bench: &mut Bench| bench.call(Request::PurgeQueue(QueueInput { queue_url: queue_url.clone() }));
    purge(&mut bench).unwrap();
    assert_eq!(bench.depth("q"), (0, 0, 0));
    assert_eq!(purge(&mut bench).unwrap_err().code, "PurgeQueueInProgress");
    bench.pass(60);
    purge(&mut bench).unwrap();
}
