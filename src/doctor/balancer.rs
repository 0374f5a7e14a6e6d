//! The load balancer, as far as it is there: it comes and goes.

use super::{Check, Sight};
use crate::aws::event_source::DeletionProtection;
use jvb_watcher_rules::model::{LoadBalancer, LoadBalancerKind, TargetType};
use jvb_watcher_rules::plan::OwnerTag;

pub fn checks(sight: &Sight<'_>) -> Vec<Check> {
    const CHECK: &str = "load balancer";
    let name = sight.load_balancer_name;
    let balancer = match &sight.load_balancer {
        Err(error) => return vec![Check::call_failed(CHECK, error)],
        Ok(None) => return vec![Check::ok(CHECK, format!("{name} isn't there now, and needn't be"))],
        Ok(Some(balancer)) => balancer,
    };
    let kind = match &balancer.kind {
        LoadBalancerKind::Network => Check::ok(CHECK, format!("{name} is there, and a network one")),
        LoadBalancerKind::Other(kind) => Check::failed(
            CHECK,
            format!("{name} is of type {kind}, not network: it is left alone"),
            "Check --load-balancer: it must name the network load balancer of the JVB.",
        ),
    };
    let protection = sight.deletion_protection.as_ref().map(|protection| match protection {
        // The watcher never asks for it.
        Err(error) => Check::not_checked("deletion protection", error),
        Ok(DeletionProtection::Off) => Check::ok("deletion protection", "off: it can be torn down"),
        Ok(DeletionProtection::On) => Check::failed(
            "deletion protection",
            format!("on: {name} can't be torn down"),
            "Switch deletion_protection.enabled off.",
        ),
    });
    let checks = [kind, owner(balancer, sight.owner_tag)].into_iter().chain(protection);
    checks.chain([groups(balancer)]).collect()
}

fn owner(balancer: &LoadBalancer, OwnerTag { key, value }: &OwnerTag) -> Check {
    const CHECK: &str = "owner tag";
    let seen = match balancer.tags.get(key) {
        Some(tag) if tag == value => return Check::ok(CHECK, format!("{key}={value}: the watcher may tear it down")),
        Some(other) => format!("{key} is {other:?}, not {value:?}"),
        None => format!("there is no tag {key}={value}"),
    };
    Check::failed(
        CHECK,
        format!("{seen}: it won't be torn down"),
        "Add the tag, or set --owner-tag to the tag that it has.",
    )
}

fn groups(balancer: &LoadBalancer) -> Check {
    const CHECK: &str = "target groups";
    let is_ip = |kind: &TargetType| matches!(kind, TargetType::Ip { .. });
    let advice = "Give the load balancer listeners with target groups of type ip: Fargate tasks have addresses only.";
    if let Some(group) = balancer.target_groups.iter().find(|group| !is_ip(&group.target_type)) {
        return Check::failed(CHECK, format!("{} isn't of type ip", group.name), advice);
    }
    match balancer.target_groups.len() {
        0 => Check::failed(CHECK, "there is none behind it", advice),
        count => Check::ok(CHECK, format!("{count}, of type ip")),
    }
}
