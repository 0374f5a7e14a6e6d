//! The bare consumer: receives and deletes with the program's SDK, and does nothing else. It is the rate at which any
//! program of one thread can drain a queue.
//!
//! It runs as a process of its own, which is this program with the arguments `consume URL MESSAGES CONNECTIONS`.

use std::io::Read;

use aws_sdk_sqs::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_sqs::types::DeleteMessageBatchRequestEntry;
use aws_sdk_sqs::{Client, Config};

/// The first argument that makes this program the consumer.
pub const COMMAND: &str = "consume";

/// What it prints once it has deleted all messages. It then waits for the end of its standard input, so that its memory
/// can be read.
pub const DONE: &str = "done";

/// Drains the queue and returns once standard input ends.
pub fn run(arguments: &[String]) {
    let [url, messages, connections] = arguments else { panic!("consume takes URL MESSAGES CONNECTIONS") };
    let connections: usize = connections.parse().expect("a number of connections");
    let share = messages.parse::<usize>().expect("a number of messages").div_ceil(connections);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let client = client(url);
        let mut loops = tokio::task::JoinSet::new();
        for _ in 0..connections {
            loops.spawn(drain(client.clone(), url.clone(), share));
        }
        loops.join_all().await;
    });
    println!("{DONE}");
    let _ = std::io::stdin().read(&mut [0]);
}

fn client(url: &str) -> Client {
    let endpoint = url.rsplitn(3, '/').last().unwrap_or_default();
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-west-1"))
        .credentials_provider(Credentials::new("sandbox", "sandbox", None, None, "benchmark"))
        .endpoint_url(endpoint)
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .build();
    Client::from_conf(config)
}

/// Receives and deletes until its share is done; other loops may leave less for it.
async fn drain(client: Client, url: String, share: usize) {
    let mut done = 0;
    while done < share {
        // A first message may take a while; the others are there.
        let wait = if done == 0 { 20 } else { 0 };
        let receive = client.receive_message().queue_url(&url).max_number_of_messages(10).wait_time_seconds(wait);
        let messages = receive.send().await.expect("the sandbox answers").messages.unwrap_or_default();
        if messages.is_empty() {
            break;
        }
        done += messages.len();
        let entry = |(index, message): (usize, aws_sdk_sqs::types::Message)| {
            let handle = message.receipt_handle.unwrap_or_default();
            DeleteMessageBatchRequestEntry::builder().id(index.to_string()).receipt_handle(handle).build()
        };
        let entries = messages.into_iter().enumerate().map(entry).collect::<Result<_, _>>().expect("whole entries");
        let delete = client.delete_message_batch().queue_url(&url).set_entries(Some(entries));
        delete.send().await.expect("the sandbox answers");
    }
}
