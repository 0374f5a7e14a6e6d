//! Retries a call whose answer can't be read.

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::{
    AfterDeserializationInterceptorContextRef, InterceptorContext,
};
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::retries::classifiers::{ClassifyRetry, RetryAction};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;

/// Fails an attempt whose answer ends early, and has the SDK repeat an attempt whose answer can't be read.
///
/// The SDK finds out by itself that a connection ended early. But where a proxy passes a part of an answer on as if it were
/// the whole, the SDK reads XML, the format of Elastic Load Balancing, as far as it goes: the rest of a list of targets or tags
/// is missing without an error (`Document` of aws-smithy-xml 0.64.1 checks no end tags as the generated client uses it). And it
/// repeats no attempt whose answer it can't parse: its classifiers know error codes, statuses and failed connections.
#[derive(Clone, Copy, Debug)]
pub(in crate::aws::client) struct WholeAnswer;

#[dyn_dispatch_hint]
impl Intercept for WholeAnswer {
    fn name(&self) -> &'static str {
        "WholeAnswer"
    }

    // Not before: the SDK reads the body for the deserialization.
    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        // An error of which only a part was read is an error all the same.
        if context.output_or_error().is_ok() && ends_early(context.response()) {
            Err("the answer ends early".into())
        } else {
            Ok(())
        }
    }
}

impl ClassifyRetry for WholeAnswer {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        let failed = matches!(context.output_or_error(), Some(Err(_)));
        match context.response() {
            Some(answer) if failed && (answer.status().is_success() || ends_early(answer)) => {
                RetryAction::transient_error()
            }
            _ => RetryAction::NoActionIndicated,
        }
    }

    fn name(&self) -> &'static str {
        "WholeAnswer"
    }
}

/// Returns true for a document of XML without the end tag of its root, and for an object of JSON that doesn't end with a brace:
/// an error whose code is lost. A part of JSON can end with one, too; the SDK reads no part of JSON, nor of CloudWatch's CBOR.
/// A page of HTML is a proxy's, and need not have an end tag.
pub(in crate::aws::client) fn ends_early(answer: &HttpResponse) -> bool {
    if answer.headers().get("content-type").is_some_and(|of| of.starts_with("text/html")) {
        return false;
    }
    let Some(body) = answer.body().bytes().map(<[u8]>::trim_ascii) else {
        return false;
    };
    match body.first() {
        Some(b'<') => !has_its_end_tag(body),
        Some(b'{') => body.last() != Some(&b'}'),
        _ => false,
    }
}

fn has_its_end_tag(document: &[u8]) -> bool {
    let Ok(mut rest) = str::from_utf8(document) else {
        return false;
    };
    // Declarations and comments stand before the root.
    while rest.starts_with("<?") || rest.starts_with("<!") {
        match rest.split_once('>') {
            Some((_, after)) => rest = after.trim_ascii_start(),
            None => return false,
        }
    }
    let is_name = |c: char| !c.is_ascii_whitespace() && c != '>' && c != '/';
    let Some(root) = rest.strip_prefix('<').map(|rest| rest.split(|c| !is_name(c)).next().unwrap_or_default()) else {
        return false;
    };
    match rest.strip_suffix('>').map(str::trim_ascii_end) {
        // `<Root/>`, without content.
        Some(start) if start.ends_with('/') && !start.contains('>') => true,
        Some(start) => start.strip_suffix(root).is_some_and(|start| start.ends_with("</")),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Arc, Mutex};

    use aws_config::retry::RetryConfig;
    use aws_config::{BehaviorVersion, Region, SdkConfig};
    use aws_credential_types::Credentials;
    use aws_credential_types::provider::SharedCredentialsProvider;
    use aws_smithy_runtime_api::client::http::{
        HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
    };
    use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
    use aws_smithy_types::body::SdkBody;

    use super::*;
    use crate::aws::client::AwsPlatform;
    use crate::aws::{AwsError, ErrorKind, Platform};

    /// The answer of the API reference's example, as Elastic Load Balancing writes it.
    const TAGS: &str = r#"<DescribeTagsResponse xmlns="http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/">
  <DescribeTagsResult>
    <TagDescriptions>
      <member>
        <ResourceArn>arn:aws:elasticloadbalancing:eu-west-1:123456789012:loadbalancer/net/n/1</ResourceArn>
        <Tags>
          <member><Key>Lifecycle</Key><Value>on-demand</Value></member>
          <member><Key>held</Key><Value>until later</Value></member>
        </Tags>
      </member>
    </TagDescriptions>
  </DescribeTagsResult>
  <ResponseMetadata><RequestId>34f144db-ec41-11e5-a51e-2dff5e1d8ad2</RequestId></ResponseMetadata>
</DescribeTagsResponse>
"#;
    const ARN: &str = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:loadbalancer/net/n/1";

    const NOT_FOUND: &str = "<ErrorResponse><Error><Type>Sender</Type><Code>LoadBalancerNotFound</Code>\
        <Message>One or more load balancers not found</Message></Error><RequestId>1</RequestId></ErrorResponse>";

    /// A connection that gives these answers one after the other, the last one again and again.
    #[derive(Clone, Debug)]
    struct Answers(Arc<Mutex<Vec<StatusAndBody>>>, Arc<AtomicUsize>);

    type StatusAndBody = (u16, Vec<u8>);

    impl Answers {
        fn new<const N: usize>(answers: [(u16, &[u8]); N]) -> Self {
            let answers = answers.into_iter().map(|(status, body)| (status, body.to_vec())).rev().collect();
            Self(Arc::new(Mutex::new(answers)), Arc::default())
        }

        fn asked(&self) -> usize {
            self.1.load(Ordering::Relaxed)
        }

        fn platform(&self) -> AwsPlatform {
            self.platform_with(RetryConfig::standard().with_initial_backoff(std::time::Duration::from_millis(1)))
        }

        fn platform_with(&self, retry: RetryConfig) -> AwsPlatform {
            let config = SdkConfig::builder()
                .behavior_version(BehaviorVersion::latest())
                .region(Region::new("eu-west-1"))
                .credentials_provider(SharedCredentialsProvider::new(Credentials::new("a", "b", None, None, "tests")))
                .retry_config(retry)
                .http_client(SharedHttpClient::new(self.clone()));
            AwsPlatform::new(&config.build())
        }
    }

    impl HttpClient for Answers {
        fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
            SharedHttpConnector::new(self.clone())
        }
    }

    impl HttpConnector for Answers {
        fn call(&self, _: HttpRequest) -> HttpConnectorFuture {
            self.1.fetch_add(1, Ordering::Relaxed);
            let mut left = self.0.lock().expect("no panic");
            let (status, body) = if left.len() > 1 { left.pop() } else { left.first().cloned() }.expect("an answer");
            let status = status.try_into().expect("a status");
            // As from a connection: the body isn't there yet.
            let body = SdkBody::from_body_1_x(http_body_util::Full::new(hyper::body::Bytes::from(body)));
            HttpConnectorFuture::ready(Ok(HttpResponse::new(status, body)))
        }
    }

    #[tokio::test]
    async fn reads_the_answer_of_the_next_attempt() {
        for torn in [&TAGS[..TAGS.len() / 2], "<", "nothing of AWS's", ""] {
            let answers = Answers::new([(200, torn.as_bytes()), (200, TAGS.as_bytes())]);
            let tags = answers.platform().tags(&[ARN.to_owned()]).await;
            let tags = tags.unwrap_or_else(|error| panic!("{torn:?} is not asked for again: {error}"));
            assert_eq!(tags[ARN].len(), 2);
            assert_eq!(answers.asked(), 2);
        }
    }

    #[tokio::test]
    async fn no_part_of_an_answer_is_taken_for_the_whole() {
        let whole = TAGS.trim_end();
        for end in 0..whole.len() {
            let answers = Answers::new([(200, &whole.as_bytes()[..end])]);
            // The SDK has a quota of repetitions for all clients of a process.
            let tags = answers.platform_with(RetryConfig::disabled()).tags(&[ARN.to_owned()]).await;
            let error = tags.expect_err("a part is not read");
            assert_eq!(error.kind, ErrorKind::Unavailable, "{error} of {end} bytes");
        }
    }

    #[tokio::test]
    async fn an_error_whose_text_ends_early_is_neither_permanent_nor_taken_for_another() {
        let torn = &NOT_FOUND[..NOT_FOUND.len() - 20];
        let answers = Answers::new([(400, torn.as_bytes()), (400, NOT_FOUND.as_bytes())]);
        assert_eq!(answers.platform().load_balancer("n").await.map(|of| of.is_none()), Ok::<_, AwsError>(true));
        assert_eq!(answers.asked(), 2);

        let answers = Answers::new([(400, torn.as_bytes())]);
        let error = answers.platform().load_balancer("n").await.expect_err("no attempt has an answer");
        assert_eq!(error.kind, ErrorKind::Unavailable, "{error}");
        assert!(error.message.contains("ends early"), "{error}");
    }

    #[tokio::test]
    async fn an_error_that_can_be_read_is_not_repeated() {
        let answers = Answers::new([(400, NOT_FOUND.as_bytes())]);
        assert!(answers.platform().load_balancer("n").await.expect("an answer").is_none());
        assert_eq!(answers.asked(), 1);
    }

    #[test]
    fn a_page_of_a_proxy_is_whole() {
        let mut page =
            HttpResponse::new(404.try_into().expect("a status"), SdkBody::from("<!doctype html><title>Not found"));
        page.headers_mut().insert("content-type", "text/html; charset=utf-8");
        assert!(!ends_early(&page));
    }

    #[test]
    fn knows_where_an_answer_ends() {
        let of = |body: &str| ends_early(&HttpResponse::new(200.try_into().expect("a status"), SdkBody::from(body)));
        for whole in [
            "",
            "{}",
            "{\"a\":{}} \n",
            "<?xml version=\"1.0\"?>\n<a b=\"c\"><d/></a>\n",
            "<!-- d --><a></a >",
            "<a/>",
            "<a />",
            "Bad Gateway",
        ] {
            assert!(!of(whole), "{whole:?}");
        }
        for part in
            ["{", "{\"a\":\"}\"", "<", "<?xml", "<?xml ?>", "<a", "<a>", "<a><b></b>", "<a><b/>", "<a></a", "<ab></b>"]
        {
            assert!(of(part), "{part:?}");
        }
    }
}
