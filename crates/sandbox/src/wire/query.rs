//! The query protocol: requests as forms, responses and errors as XML.

use std::collections::BTreeMap;

use quick_xml::escape::escape;
use quick_xml::se::{SeError, Serializer};
use serde::Serialize;
use serde_json::Value;

use super::{ErrorResponse, HttpResponse, respond};
use crate::api::Service;

/// A service with the query protocol.
#[derive(Debug)]
pub(super) struct Api {
    pub(super) service: Service,
    /// API version, which identifies the service in a request.
    pub(super) version: &'static str,
    /// XML namespace.
    pub(super) namespace: &'static str,
}

/// The services with the query protocol.
pub(super) const APIS: [Api; 2] = [
    Api {
        service: Service::Elb,
        version: "2015-12-01",
        namespace: "http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/",
    },
    Api { service: Service::Sts, version: "2011-06-15", namespace: "https://sts.amazonaws.com/doc/2011-06-15/" },
];

/// Returns the XML namespace of a service.
pub(super) fn namespace(service: Service) -> &'static str {
    APIS.iter().find(|api| api.service == service).map_or("", |api| api.namespace)
}

const CONTENT_TYPE: &str = "text/xml";

/// Maximum depth of a member's name. The deepest of the modelled requests is
/// `DefaultActions.member.N.ForwardConfig.TargetGroups.member.N.Weight`.
const MAX_DEPTH: usize = 8;

/// Parses a form into the tree that its dotted names describe: `A.member.1.B=x` is
/// `{"A": {"member": [{"B": "x"}]}}`.
pub(super) fn parse_form(form: &[u8]) -> Result<Value, ErrorResponse> {
    if std::str::from_utf8(form).is_err() {
        return Err(malformed("it is not UTF-8"));
    }
    let mut root = Node::default();
    for (name, value) in form_urlencoded::parse(form) {
        let path: Vec<&str> = name.split('.').collect();
        if path.len() > MAX_DEPTH || path.contains(&"") {
            return Err(malformed(&format!("{name:?} is not the name of a member")));
        }
        let node = path.iter().fold(&mut root, |node, part| node.children.entry((*part).to_owned()).or_default());
        node.value = Some(value.into_owned());
    }
    root.into_value("the form")
}

/// Returns AWS's error for a form that can't be parsed.
pub(super) fn malformed(reason: &str) -> ErrorResponse {
    ErrorResponse::new("MalformedQueryString", format!("The query string cannot be read: {reason}."))
}

#[derive(Default)]
struct Node {
    value: Option<String>,
    children: BTreeMap<String, Node>,
}

impl Node {
    fn into_value(self, name: &str) -> Result<Value, ErrorResponse> {
        match (self.value, self.children.is_empty()) {
            (Some(value), true) => Ok(Value::String(value)),
            (Some(_), false) => Err(malformed(&format!("{name:?} has both a value and members"))),
            (None, _) => {
                let children = self.children.into_iter().map(|(name, node)| Ok((node.into_value(&name)?, name)));
                let children: Vec<(Value, String)> = children.collect::<Result<_, ErrorResponse>>()?;
                let numbers = children.iter().map(|(_, name)| name.parse::<u32>()).collect::<Result<Vec<_>, _>>();
                Ok(match numbers {
                    Ok(numbers) if !numbers.is_empty() => sorted_list(numbers, children),
                    _ => Value::Object(children.into_iter().map(|(value, name)| (name, value)).collect()),
                })
            }
        }
    }
}

/// Returns the items of a list, sorted by their numbers. Clients begin at 1 and may skip numbers.
fn sorted_list(numbers: Vec<u32>, children: Vec<(Value, String)>) -> Value {
    let mut items: Vec<(u32, Value)> = numbers.into_iter().zip(children.into_iter().map(|(value, _)| value)).collect();
    items.sort_by_key(|(number, _)| *number);
    Value::Array(items.into_iter().map(|(_, value)| value).collect())
}

pub(super) fn success(
    namespace: &str,
    operation: &str,
    response: &impl Serialize,
    request_id: &str,
) -> Result<HttpResponse, SeError> {
    let mut xml = format!("<{operation}Response xmlns=\"{namespace}\">");
    let root = format!("{operation}Result");
    response.serialize(Serializer::with_root(&mut xml, Some(&root))?)?;
    xml.push_str(&format!(
        "<ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata></{operation}Response>"
    ));
    Ok(respond(200, CONTENT_TYPE, well_formed(xml)))
}

pub(super) fn error(namespace: &str, error: &ErrorResponse, request_id: &str) -> HttpResponse {
    let kind = if error.status < 500 { "Sender" } else { "Receiver" };
    let (code, message) = (escape(error.code.as_str()), escape(error.message.as_str()));
    let xml = format!(
        "<ErrorResponse xmlns=\"{namespace}\"><Error><Type>{kind}</Type><Code>{code}</Code><Message>{message}</Message>\
         </Error><RequestId>{request_id}</RequestId></ErrorResponse>"
    );
    respond(error.status, CONTENT_TYPE, well_formed(xml))
}

/// Replaces characters that XML 1.0 doesn't allow, not even escaped. Requests can contain them, and responses echo them.
fn well_formed(xml: String) -> String {
    let is_char =
        |c: char| !matches!(c, '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}');
    if xml.chars().all(is_char) { xml } else { xml.replace(|c| !is_char(c), "\u{fffd}") }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::api::elb::{
        DescribeTagsOutput, LoadBalancer, LoadBalancersOutput, Response, TagDescription, TargetGroup,
    };
    use crate::api::{Empty, Tag};

    const ELB: &str = "http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/";

    async fn text(response: HttpResponse) -> String {
        let body = response.into_body().collect().await.expect("a body").to_bytes();
        String::from_utf8(body.to_vec()).expect("UTF-8")
    }

    #[test]
    fn dotted_names_form_a_tree() {
        let form = "Name=n&Tags.member.2.Key=b&Tags.member.1.Key=a&Tags.member.1.Value=x%26y+z&Tags.member.10.Key=c";
        let tags = json!({ "member": [{ "Key": "a", "Value": "x&y z" }, { "Key": "b" }, { "Key": "c" }] });
        assert_eq!(parse_form(form.as_bytes()).expect("a form"), json!({ "Name": "n", "Tags": tags }));
        assert_eq!(parse_form(b"").expect("a form"), json!({}));
    }

    #[test]
    fn invalid_names_are_refused() {
        for form in ["a=1&a.b=2", "a..b=1", ".=1", "=1", &format!("a{}=1", ".a".repeat(100_000))] {
            assert_eq!(parse_form(form.as_bytes()).expect_err("an invalid form").code, "MalformedQueryString");
        }
        assert_eq!(parse_form(b"a=\xff").expect_err("an invalid form").code, "MalformedQueryString");
    }

    #[tokio::test]
    async fn lists_are_wrapped_in_member_and_absent_members_are_omitted() {
        let group = TargetGroup { target_group_arn: "t".into(), port: Some(10000), ..TargetGroup::default() };
        let load_balancer = LoadBalancer { load_balancer_name: "a<b".into(), ..LoadBalancer::default() };
        let load_balancers =
            LoadBalancersOutput { load_balancers: [load_balancer].into_iter().collect(), next_marker: None };
        let xml =
            text(success(ELB, "CreateLoadBalancer", &Response::CreateLoadBalancer(load_balancers), "id").expect("XML"))
                .await;
        for part in [
            "<CreateLoadBalancerResponse xmlns=\"http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/\">",
            "<CreateLoadBalancerResult><LoadBalancers><member><LoadBalancerArn",
            "<LoadBalancerName>a&lt;b</LoadBalancerName>",
            "<AvailabilityZones/>",
            "</CreateLoadBalancerResult><ResponseMetadata><RequestId>id</RequestId></ResponseMetadata>",
        ] {
            assert!(xml.contains(part), "{part} is not in {xml}");
        }
        assert!(!xml.contains("NextMarker"), "{xml}");
        let groups = crate::api::elb::TargetGroupsOutput {
            target_groups: [group].into_iter().collect(),
            next_marker: Some("m".into()),
        };
        let xml = text(success(ELB, "DescribeTargetGroups", &groups, "id").expect("XML")).await;
        assert!(xml.contains("<Port>10000</Port>") && xml.contains("<NextMarker>m</NextMarker>"), "{xml}");
    }

    #[tokio::test]
    async fn a_response_without_members_has_an_empty_result() {
        let xml = text(success(ELB, "AddTags", &Response::AddTags(Empty {}), "id").expect("XML")).await;
        assert!(xml.contains("<AddTagsResult/>"), "{xml}");
    }

    #[tokio::test]
    async fn errors_are_escaped_and_name_the_party_at_fault() {
        let mut error_response = ErrorResponse::new("ValidationError", "<&>");
        let xml = text(error(ELB, &error_response, "id")).await;
        assert!(
            xml.contains("<Type>Sender</Type><Code>ValidationError</Code><Message>&lt;&amp;&gt;</Message>"),
            "{xml}"
        );
        error_response.status = 503;
        assert!(text(error(ELB, &error_response, "id")).await.contains("<Type>Receiver</Type>"));
    }

    #[tokio::test]
    async fn characters_that_xml_does_not_allow_are_replaced() {
        let error_response = ErrorResponse::new("ValidationError", "a\u{1}b\u{ffff}c\td");
        assert!(text(error(ELB, &error_response, "id")).await.contains("<Message>a\u{fffd}b\u{fffd}c\td</Message>"));
        let load_balancer = LoadBalancer { load_balancer_name: "a\0b".into(), ..LoadBalancer::default() };
        let load_balancers =
            LoadBalancersOutput { load_balancers: [load_balancer].into_iter().collect(), next_marker: None };
        let xml = text(success(ELB, "DescribeLoadBalancers", &load_balancers, "id").expect("XML")).await;
        assert!(xml.contains("<LoadBalancerName>a\u{fffd}b</LoadBalancerName>"), "{xml}");
    }

    proptest! {
        #[test]
        fn no_form_makes_the_parser_panic(form in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse_form(&form);
        }

        #[test]
        fn text_survives_serialization_as_xml(key in "[ -~\u{a0}-\u{2fff}]{1,20}", value in "[ -~\u{a0}-\u{2fff}]{0,20}") {
            let tags = TagDescription { resource_arn: "a".into(), tags: [Tag { key, value }].into_iter().collect() };
            let output = DescribeTagsOutput { tag_descriptions: [tags].into_iter().collect() };
            let mut xml = String::new();
            output.serialize(Serializer::with_root(&mut xml, Some("R")).expect("a root")).expect("XML");
            let escaped = |text: &str| quick_xml::escape::unescape(text).expect("well-formed").into_owned();
            let between = |start: &str, end: &str| {
                xml.split_once(start).and_then(|(_, rest)| rest.split_once(end)).map(|(text, _)| escaped(text))
            };
            let tag = &output.tag_descriptions.member[0].tags.member[0];
            prop_assert_eq!(between("<Key>", "</Key>"), Some(tag.key.clone()));
            if !tag.value.is_empty() {
                prop_assert_eq!(between("<Value>", "</Value>"), Some(tag.value.clone()));
            }
        }
    }
}
