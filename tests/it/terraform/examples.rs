//! The complete example, in plans on mocks of the provider: the platform's configuration leaves the load balancer alone, the
//! calls' creates it as often as needed, and several platforms do not collide.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use serde_json::{Value, json};

use super::{Change, Plan, plans};
use crate::platform::{Platform, REGION};

/// A terraform test that plans the platform, a second one in another region, and a second one in the same region.
const PLATFORMS: &str = r#"
mock_provider "aws" {
  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }
  mock_data "aws_region" {
    defaults = { region = "eu-west-1" }
  }
  mock_data "aws_caller_identity" {
    defaults = { account_id = "111122223333" }
  }
}

mock_provider "aws" {
  alias = "second_region"

  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }
  mock_data "aws_region" {
    defaults = { region = "us-east-1" }
  }
  mock_data "aws_caller_identity" {
    defaults = { account_id = "111122223333" }
  }
}

variables {
  zone       = "example.org"
  domain     = "meet.example.org"
  lambda_zip = "main.tf" # must exist
}

run "platform" {
  command = plan
}

run "second_region" {
  command = plan
  providers = {
    aws = aws.second_region
  }
  variables {
    region = "us-east-1"
    domain = "america.example.org"
  }
}

run "second_project" {
  command = plan
  variables {
    project_name = "town-hall"
    domain       = "town-hall.example.org"
  }
}
"#;

/// A terraform test that plans and creates the load balancer, and plans it once more after its deletion. A mock of the
/// provider can't find a resource missing, but terraform replaces a resource as it creates a missing one.
const CALLS: &str = r#"
mock_provider "aws" {
  mock_resource "aws_lb" {
    defaults = {
      arn      = "arn:aws:elasticloadbalancing:eu-west-1:111122223333:loadbalancer/net/jitsi-jvb-nlb/0a1b2c3d4e5f6071"
      dns_name = "jitsi-jvb-nlb-0a1b2c3d4e5f6071.elb.eu-west-1.amazonaws.com"
    }
  }
}

override_data {
  target = data.terraform_remote_state.platform
  values = {
    outputs = {
      region                 = "eu-west-1"
      project_name           = "jitsi"
      vpc_id                 = "vpc-1"
      subnet_id              = "subnet-1"
      task_security_group_id = "sg-tasks"
      ports                  = { web = 8000, media = 10000, health = 8080 }
      domain                 = "meet.example.org"
      zone_id                = "Z0123456789ABCDEFGHIJ"
      certificate_arn        = "arn:aws:acm:eu-west-1:111122223333:certificate/0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9"
    }
  }
}

variables {
  platform_state = "main.tf" # must exist
}

run "before" {
  command = plan

  # So that a plan shows which group a listener forwards to.
  override_resource {
    target          = module.jvb_nlb.aws_lb_target_group.jvb_udp
    override_during = plan
    values          = { arn = "arn:aws:elasticloadbalancing:eu-west-1:111122223333:targetgroup/jitsi-jvb-udp/1a2b3c4d5e6f7081" }
  }

  override_resource {
    target          = module.jvb_nlb.aws_lb_target_group.web
    override_during = plan
    values          = { arn = "arn:aws:elasticloadbalancing:eu-west-1:111122223333:targetgroup/jitsi-jvb-web/2a3b4c5d6e7f8091" }
  }
}

run "first_evening" {
}

run "next_evening" {
  command = plan
  plan_options {
    replace = [
      module.jvb_nlb.aws_lb.jvb,
      module.jvb_nlb.aws_lb_target_group.jvb_udp,
      module.jvb_nlb.aws_lb_target_group.web,
      module.jvb_nlb.aws_lb_listener.jvb_udp,
      module.jvb_nlb.aws_lb_listener.https,
    ]
  }
}
"#;

static PLATFORM: LazyLock<BTreeMap<String, Plan>> = LazyLock::new(|| plans("examples/complete/platform", PLATFORMS));

static CALLS_PLANS: LazyLock<BTreeMap<String, Plan>> = LazyLock::new(|| plans("examples/complete/calls", CALLS));

/// Returns what the calls' configuration creates, for the stand-in for terraform, with the names of another project, in its
/// own region and account.
pub fn calls_of(platform: &Platform) -> Value {
    let changes = CALLS_PLANS["before"].changes();
    let of_kind =
        |kind: &'static str| changes.iter().filter(move |change| change.kind == kind).map(|change| change.after);
    let listener_of = |group: &str| {
        let forwards = |listener: &&Value| {
            let target = listener["default_action"][0]["target_group_arn"].as_str().unwrap_or_default();
            target.split('/').nth(1) == Some(group)
        };
        let listener = of_kind("aws_lb_listener").find(forwards).expect("a listener forwards to the group");
        let mut planned = json!({ "protocol": listener["protocol"], "port": listener["port"] });
        if !listener["certificate_arn"].is_null() {
            planned["certificate"] = listener["certificate_arn"].clone();
            planned["policy"] = listener["ssl_policy"].clone();
        }
        planned
    };
    let groups = of_kind("aws_lb_target_group").map(|group| {
        let check = &group["health_check"][0];
        json!({
            "name": group["name"],
            "protocol": group["protocol"],
            "port": group["port"],
            "listener": listener_of(group["name"].as_str().expect("a group has a name")),
            "attributes": { "deregistration_delay.timeout_seconds": group["deregistration_delay"] },
            "health_check": {
                "HealthCheckProtocol": check["protocol"],
                "HealthCheckPath": check["path"],
                "HealthCheckPort": check["port"],
            },
        })
    });
    let record = of_kind("aws_route53_record").next().expect("the plan has a record")["name"].clone();
    let planned = json!({ "groups": groups.collect::<Vec<_>>(), "record": record }).to_string();
    let planned = planned
        .replace("\"jitsi-", &format!("\"{}-", platform.project))
        .replace(":eu-west-1:111122223333:", &format!(":{REGION}:{:012}:", platform.account));
    serde_json::from_str(&planned).expect("it is JSON")
}

/// The types of resources whose names belong to the account, not to a region.
const ACCOUNT_WIDE: [&str; 2] = ["aws_iam_role", "aws_cloudwatch_dashboard"];

/// Returns the names of the resources that AWS finds by a name.
fn names(plan: &Plan, is_included: impl Fn(&Change<'_>) -> bool) -> BTreeSet<(String, String)> {
    let named = |change: &Change<'_>| {
        // The name of an inline policy belongs to its role.
        let name = ["name", "family", "function_name", "alarm_name", "dashboard_name", "domain_name"]
            .into_iter()
            .find_map(|attribute| change.after[attribute].as_str())?;
        (change.kind != "aws_iam_role_policy").then(|| (change.kind.to_owned(), name.to_owned()))
    };
    plan.changes().iter().filter(|change| is_included(change)).filter_map(named).collect()
}

#[test]
fn an_apply_of_the_platform_leaves_the_load_balancer_alone() {
    let plan = &PLATFORM["platform"];
    let changes = plan.changes();
    assert!(changes.iter().any(|change| change.kind == "aws_ecs_service"), "the plan is not the platform's");
    for change in &changes {
        assert!(!change.kind.starts_with("aws_lb"), "{} belongs to the load balancer", change.address);
        let name = change.after["name"].as_str();
        assert_ne!((change.kind, name), ("aws_route53_record", Some("meet.example.org")), "{}", change.address);
    }
}

#[test]
fn platforms_in_two_regions_share_no_name_that_belongs_to_the_account() {
    let account_wide = |change: &Change<'_>| ACCOUNT_WIDE.contains(&change.kind);
    let [first, second] = ["platform", "second_region"].map(|run| names(&PLATFORM[run], account_wide));
    assert!(first.len() >= 3, "{first:?}");
    assert_eq!(first.intersection(&second).collect::<Vec<_>>(), Vec::<&(String, String)>::new());
}

#[test]
fn two_platforms_in_a_region_share_no_name() {
    let [first, second] = ["platform", "second_project"].map(|run| names(&PLATFORM[run], |_| true));
    assert!(first.len() >= 15, "{first:?}");
    assert_eq!(first.intersection(&second).collect::<Vec<_>>(), Vec::<&(String, String)>::new());
}

#[test]
fn after_the_watchers_deletion_the_calls_are_created_again() {
    let mut found: BTreeMap<Vec<&str>, BTreeSet<&str>> = BTreeMap::new();
    let changes = CALLS_PLANS["next_evening"].changes();
    for change in &changes {
        found.entry(change.actions.clone()).or_default().insert(change.kind);
    }
    let expected = [
        (vec!["delete", "create"], vec!["aws_lb", "aws_lb_listener", "aws_lb_target_group"]),
        // It exists, and gets the name of the next load balancer.
        (vec!["update"], vec!["aws_route53_record"]),
        // It exists, too: it costs nothing.
        (
            vec!["no-op"],
            vec!["aws_security_group", "aws_vpc_security_group_egress_rule", "aws_vpc_security_group_ingress_rule"],
        ),
    ];
    let expected: BTreeMap<_, BTreeSet<_>> =
        expected.into_iter().map(|(actions, kinds)| (actions, kinds.into_iter().collect())).collect();
    assert_eq!(found, expected);
}
