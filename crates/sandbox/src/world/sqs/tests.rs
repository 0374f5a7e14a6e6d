use std::collections::BTreeMap;
use std::time::Duration;

use super::*;
use crate::api::sqs::*;
use crate::world::timers::after;

/// Queues with a manual clock.
struct Fixture {
    sqs: Sqs,
    now: Timestamp,
    settings: Settings,
    random: Random,
}

impl Fixture {
    fn new() -> Self {
        let now = Timestamp::from_second(1_000_000).unwrap();
        Self { sqs: Sqs::default(), now, settings: Settings::default(), random: Random::new(1) }
    }

    fn call(&mut self, request: Request) -> Result<Response, ApiError> {
        let mut context = SqsContext { now: self.now, settings: &self.settings, random: &mut self.random };
        self.sqs.call(request, &mut context)
    }

    fn advance(&mut self, seconds: u64) {
        self.now = after(self.now, Duration::from_secs(seconds));
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

    fn change_visibility(&mut self, queue: &str, handle: &str, seconds: i32) -> Result<Response, ApiError> {
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
fn a_received_message_is_in_flight_until_its_visibility_timeout() {
    let mut fixture = Fixture::new();
    let queue = fixture.create("q", &[]).unwrap();
    assert_eq!(queue, "http://localhost:4566/111122223333/q");
    fixture.send(&queue, "hello");
    let first = fixture.receive(&queue).remove(0);
    assert_eq!((first.body.as_str(), first.md5_of_body.as_str()), ("hello", "5d41402abc4b2a76b9719d911017c592"));
    assert_eq!(fixture.depth("q"), (0, 1, 0));
    assert_eq!(fixture.sqs.next_change_at(), Some(after(fixture.now, Duration::from_secs(30))));
    fixture.advance(29);
    assert!(fixture.receive(&queue).is_empty());
    fixture.advance(1);
    let second = fixture.receive(&queue).remove(0);
    let attributes = second.attributes.unwrap();
    assert_eq!(attributes["ApproximateReceiveCount"], "2");
    assert_eq!(attributes["SentTimestamp"], "1000000000");
    assert_eq!(attributes["ApproximateFirstReceiveTimestamp"], "1000000000");
}

#[test]
fn system_attributes_are_returned_on_request_only() {
    let mut fixture = Fixture::new();
    let queue = fixture.create("q", &[]).unwrap();
    fixture.send(&queue, "hello");
    let input = ReceiveMessageInput { queue_url: queue.clone(), ..ReceiveMessageInput::default() };
    let Ok(Response::ReceiveMessage(output)) = fixture.call(Request::ReceiveMessage(input)) else { panic!() };
    assert_eq!(output.messages.unwrap()[0].attributes, None);
    let attribute_names = vec!["Colour".to_owned()];
    let input = ReceiveMessageInput { queue_url: queue, attribute_names, ..ReceiveMessageInput::default() };
    assert_eq!(fixture.call(Request::ReceiveMessage(input)).unwrap_err().code, "InvalidAttributeName");
}

#[test]
fn only_the_latest_receipt_handle_deletes() {
    let mut fixture = Fixture::new();
    let queue = fixture.create("q", &[]).unwrap();
    fixture.send(&queue, "hello");
    let old = fixture.receive(&queue).remove(0).receipt_handle;
    fixture.advance(30);
    let new = fixture.receive(&queue).remove(0).receipt_handle;
    fixture.delete(&queue, &old).unwrap();
    assert_eq!(fixture.depth("q"), (0, 1, 0));
    fixture.delete(&queue, &new).unwrap();
    assert_eq!(fixture.depth("q"), (0, 0, 0));
    fixture.delete(&queue, &new).unwrap();
    assert_eq!(fixture.delete(&queue, "nonsense").unwrap_err().code, "ReceiptHandleIsInvalid");
}

#[test]
fn a_receipt_handle_deletes_after_the_visibility_timeout_too() {
    let mut fixture = Fixture::new();
    let queue = fixture.create("q", &[]).unwrap();
    fixture.send(&queue, "hello");
    let handle = fixture.receive(&queue).remove(0).receipt_handle;
    fixture.advance(31);
    assert_eq!(fixture.change_visibility(&queue, &handle, 5).unwrap_err().code, "MessageNotInflight");
    fixture.delete(&queue, &handle).unwrap();
    assert_eq!(fixture.depth("q"), (0, 0, 0));
    assert_eq!(fixture.change_visibility(&queue, &handle, 5).unwrap_err().code, "InvalidParameterValue");
}

#[test]
fn visibility_can_be_extended_and_ended() {
    let mut fixture = Fixture::new();
    let queue = fixture.create("q", &[]).unwrap();
    fixture.send(&queue, "hello");
    let handle = fixture.receive(&queue).remove(0).receipt_handle;
    fixture.change_visibility(&queue, &handle, 100).unwrap();
    fixture.advance(99);
    assert_eq!(fixture.depth("q"), (0, 1, 0));
    assert_eq!(fixture.change_visibility(&queue, &handle, 43_200).unwrap_err().code, "InvalidParameterValue");
    fixture.change_visibility(&queue, &handle, 0).unwrap();
    fixture.advance(0);
    assert_eq!(fixture.depth("q"), (1, 0, 0));
}

#[test]
fn a_message_received_too_often_moves_to_the_dead_letter_queue() {
    let mut fixture = Fixture::new();
    let dead = fixture.create("dead", &[]).unwrap();
    let policy = r#"{"deadLetterTargetArn": "arn:aws:sqs:eu-west-1:111122223333:dead", "maxReceiveCount": 2}"#;
    let queue = fixture.create("q", &[("RedrivePolicy", policy)]).unwrap();
    fixture.send(&queue, "poison");
    for _ in 0..2 {
        assert_eq!(fixture.receive(&queue).len(), 1);
        fixture.advance(30);
    }
    assert!(fixture.receive(&queue).is_empty());
    assert_eq!((fixture.depth("q"), fixture.depth("dead")), ((0, 0, 0), (1, 0, 0)));
    let attributes = fixture.receive(&dead).remove(0).attributes.unwrap();
    assert_eq!(attributes["DeadLetterQueueSourceArn"], "arn:aws:sqs:eu-west-1:111122223333:q");
    assert_eq!(attributes["SentTimestamp"], "1000000000");
}

#[test]
fn without_its_dead_letter_queue_a_message_is_received_again() {
    let mut fixture = Fixture::new();
    let dead = fixture.create("dead", &[]).unwrap();
    let policy = r#"{"deadLetterTargetArn": "arn:aws:sqs:eu-west-1:111122223333:dead", "maxReceiveCount": 1}"#;
    let queue = fixture.create("q", &[("RedrivePolicy", policy)]).unwrap();
    fixture.call(Request::DeleteQueue(QueueInput { queue_url: dead })).unwrap();
    fixture.send(&queue, "poison");
    for _ in 0..3 {
        assert_eq!(fixture.receive(&queue).len(), 1);
        fixture.advance(30);
    }
}

#[test]
fn messages_are_delayed_and_expire() {
    let mut fixture = Fixture::new();
    let queue = fixture.create("q", &[("DelaySeconds", "10"), ("MessageRetentionPeriod", "60")]).unwrap();
    fixture.send(&queue, "late");
    assert_eq!(fixture.depth("q"), (0, 0, 1));
    fixture.advance(10);
    assert_eq!(fixture.depth("q"), (1, 0, 0));
    fixture.advance(50);
    assert_eq!(fixture.depth("q"), (0, 0, 0));
    assert_eq!(fixture.sqs.next_change_at(), None);
}

#[test]
fn batch_entries_fail_separately() {
    let mut fixture = Fixture::new();
    let queue = fixture.create("q", &[]).unwrap();
    fixture.send(&queue, "hello");
    let handle = fixture.receive(&queue).remove(0).receipt_handle;
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
        assert_eq!(fixture.call(Request::DeleteMessageBatch(batch(ids))).unwrap_err().code, code);
    }
    let mut input = batch(&["good", "bad"]);
    input.entries[1].receipt_handle = "nonsense".to_owned();
    let Ok(Response::DeleteMessageBatch(output)) = fixture.call(Request::DeleteMessageBatch(input)) else { panic!() };
    assert_eq!(output.successful, [BatchSuccess { id: "good".to_owned() }]);
    assert_eq!((output.failed[0].code.as_str(), output.failed[0].sender_fault), ("ReceiptHandleIsInvalid", true));
}

#[test]
fn numbers_out_of_range_are_refused_with_their_parameter() {
    let mut fixture = Fixture::new();
    let queue = fixture.create("q", &[]).unwrap();
    fixture.send(&queue, "hello");
    let handle = fixture.receive(&queue).remove(0).receipt_handle;
    for seconds in [-1, 43_201] {
        let error = fixture.change_visibility(&queue, &handle, seconds).unwrap_err();
        assert_eq!(error.code, "InvalidParameterValue");
        let expected = format!("Value {seconds} for parameter VisibilityTimeout is invalid.");
        assert!(error.message.starts_with(&expected), "{error}");
    }
    fixture.change_visibility(&queue, &handle, 43_200).unwrap();
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
        let error = fixture.call(request).unwrap_err();
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
    let Ok(Response::ChangeMessageVisibilityBatch(output)) = fixture.call(Request::ChangeMessageVisibilityBatch(input))
    else {
        panic!()
    };
    assert_eq!((output.successful.len(), output.failed[0].id.as_str()), (1, "bad"));
}

#[test]
fn a_dead_letter_queue_lists_its_source_queues() {
    let mut fixture = Fixture::new();
    let dead = fixture.create("dead", &[]).unwrap();
    let policy = r#"{"deadLetterTargetArn": "arn:aws:sqs:eu-west-1:111122223333:dead", "maxReceiveCount": 2}"#;
    let sources = ["a", "b"].map(|name| fixture.create(name, &[("RedrivePolicy", policy)]).unwrap());
    let mut list = |queue_url: &str, max_results, next_token| {
        let input = ListDeadLetterSourceQueuesInput { queue_url: queue_url.to_owned(), max_results, next_token };
        match fixture.call(Request::ListDeadLetterSourceQueues(input)).unwrap() {
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
fn a_batch_has_the_size_limit_of_one_message() {
    let mut fixture = Fixture::new();
    let queue_url = fixture.create("q", &[]).unwrap();
    let mut send = |length: usize| {
        let entry = |id: &str| SendMessageBatchEntry {
            id: id.to_owned(),
            message_body: "x".repeat(length),
            delay_seconds: None,
        };
        let input = SendMessageBatchInput { queue_url: queue_url.clone(), entries: vec![entry("a"), entry("b")] };
        fixture.call(Request::SendMessageBatch(input)).map(|_| ()).map_err(|error| error.code)
    };
    assert_eq!(send(524_289), Err("BatchRequestTooLong"));
    assert_eq!(send(524_288), Ok(()));
}

#[test]
fn queue_names_are_unique() {
    let mut fixture = Fixture::new();
    let url = fixture.create("q", &[("VisibilityTimeout", "5")]).unwrap();
    assert_eq!(fixture.create("q", &[]).unwrap(), url);
    assert_eq!(fixture.create("q", &[("VisibilityTimeout", "6")]).unwrap_err().code, "QueueNameExists");
    assert_eq!(fixture.create("q", &[("Colour", "red")]).unwrap_err().code, "InvalidAttributeName");
    assert_eq!(fixture.create("a b", &[]).unwrap_err().code, "InvalidParameterValue");
    let input = || GetQueueUrlInput { queue_name: "q".to_owned() };
    fixture.call(Request::GetQueueUrl(input())).unwrap();
    fixture.call(Request::DeleteQueue(QueueInput { queue_url: "http://any:1/x/q".to_owned() })).unwrap();
    assert_eq!(fixture.call(Request::GetQueueUrl(input())).unwrap_err().code, "QueueDoesNotExist");
}

#[test]
fn get_queue_attributes_returns_the_requested_ones() {
    let mut fixture = Fixture::new();
    let queue_url = fixture.create("q", &[]).unwrap();
    fixture.send(&queue_url, "hello");
    let mut get = |names: &[&str]| -> Result<BTreeMap<String, String>, ApiError> {
        let attribute_names = names.iter().map(|name| (*name).to_owned()).collect();
        let input = GetQueueAttributesInput { queue_url: queue_url.clone(), attribute_names };
        match fixture.call(Request::GetQueueAttributes(input))? {
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
fn a_queue_can_be_purged_once_a_minute() {
    let mut fixture = Fixture::new();
    let queue_url = fixture.create("q", &[]).unwrap();
    fixture.send(&queue_url, "hello");
    let purge = |fixture: &mut Fixture| fixture.call(Request::PurgeQueue(QueueInput { queue_url: queue_url.clone() }));
    purge(&mut fixture).unwrap();
    assert_eq!(fixture.depth("q"), (0, 0, 0));
    assert_eq!(purge(&mut fixture).unwrap_err().code, "PurgeQueueInProgress");
    fixture.advance(60);
    purge(&mut fixture).unwrap();
}
