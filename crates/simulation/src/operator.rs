//! The people beside the watcher: who scale, run terraform, and do things by hand.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::stage::{Actor, Stage};
use jvb_watcher_sandbox::api::{ApiError, Request, Response, Tag, ecs, elb, eventbridge, sqs};
use jvb_watcher_sandbox::world::TaskView;

/// How often terraform asks whether a balancer is active.
const ACTIVE_LOOK: Duration = Duration::from_secs(10);

/// After that terraform gives up.
const ACTIVE_LIMIT: Duration = Duration::from_secs(10 * 60);

/// What there is behind a balancer: a name, a protocol and a port for each target group and its listener.
const GROUPS: [(&str, &str, &str); 2] = [("jvb-udp", "UDP", "10000"), ("jvb-tcp-tg", "TCP", "4443")];

/// The operator of one project's platform.
#[derive(Clone)]
pub struct Operator {
    stage: Arc<Stage>,
    project: String,
}

impl Operator {
    /// The operator of this project.
    pub fn new(stage: Arc<Stage>, project: &str) -> Self {
        Self { stage, project: project.to_owned() }
    }

    fn call(&self, request: Request) -> Result<Response, ApiError> {
        self.stage.perform(Actor::Operator, &request)
    }

    fn elb(&self, request: elb::Request) -> Result<elb::Response, ApiError> {
        match self.call(Request::Elb(request))? {
            Response::Elb(response) => Ok(response),
            other => unreachable!("ELB answered {other:?}"),
        }
    }

    fn ecs(&self, request: ecs::Request) -> Result<(), ApiError> {
        self.call(Request::Ecs(request)).map(drop)
    }

    fn cluster(&self) -> Option<String> {
        Some(format!("{}-cluster", self.project))
    }

    fn service(&self) -> String {
        format!("{}-service", self.project)
    }

    fn balancer_name(&self) -> String {
        format!("{}-jvb-nlb", self.project)
    }

    // ---- scaling ----

    /// Sets the desired count.
    pub fn scale(&self, desired: i32) -> Result<(), ApiError> {
        self.ecs(ecs::Request::UpdateService(ecs::UpdateServiceInput {
            cluster: self.cluster(),
            service: self.service(),
            desired_count: Some(desired),
            ..Default::default()
        }))
    }

    /// As the platform's script does it: terraform, the balancer active, the desired count. What fails is run again, once.
    pub async fn scale_up(&self, desired: i32, pace: Duration) {
        for _ in 0..2 {
            match self.terraform_apply(pace).await {
                Ok(()) => break,
                Err(error) => {
                    self.stage.note(|| format!("terraform fails: {error}"));
                    self.stage.with(|inner, _| inner.tally.moment("terraform failed, and was run again"));
                }
            }
            tokio::time::sleep(Duration::from_secs(30)).await;
        }
        let _ = self.scale(desired);
    }

    /// Makes what is missing, in terraform's order, and puts the tags back to what it knows.
    pub async fn terraform_apply(&self, pace: Duration) -> Result<(), ApiError> {
        tokio::time::sleep(pace).await;
        let before = (self.balancer()?, self.groups()?);
        tokio::time::sleep(pace).await;
        // Groups and balancer don't depend on each other; the listeners need both.
        let mut group_arns = Vec::new();
        for (suffix, protocol, port) in GROUPS {
            let name = format!("{}-{suffix}", self.project);
            let arn = match before.1.get(&name) {
                Some(arn) => {
                    self.reset_tags(arn)?;
                    arn.clone()
                }
                None => self.create_group(&name, protocol, port)?,
            };
            group_arns.push(arn);
            tokio::time::sleep(pace / 4).await;
        }
        let balancer = match before.0 {
            Some((arn, _)) => {
                self.reset_tags(&arn)?;
                arn
            }
            None => self.create_balancer()?,
        };
        self.until_active(&balancer).await?;
        tokio::time::sleep(pace / 4).await;
        let listeners = self.elb(elb::Request::DescribeListeners(elb::DescribeListenersInput {
            load_balancer_arn: Some(balancer.clone()),
            ..Default::default()
        }))?;
        let elb::Response::DescribeListeners(listeners) = listeners else { unreachable!("another answer") };
        for ((_, protocol, port), group) in GROUPS.into_iter().zip(&group_arns) {
            if !listeners.listeners.member.iter().any(|listener| listener.port.to_string() == port) {
                self.create_listener(&balancer, group, protocol, port)?;
            }
        }
        Ok(())
    }

    async fn until_active(&self, arn: &str) -> Result<(), ApiError> {
        let mut waited = Duration::ZERO;
        loop {
            match self.balancer()? {
                Some((found, state)) if found == arn && state == "active" => return Ok(()),
                Some((found, state)) if found == arn && state != "failed" && waited < ACTIVE_LIMIT => {}
                _ => return Err(ApiError::new("Terraform", "the balancer did not become active")),
            }
            tokio::time::sleep(ACTIVE_LOOK).await;
            waited += ACTIVE_LOOK;
        }
    }

    /// Terraform takes away the tags that it doesn't know. It writes only where there are any.
    fn reset_tags(&self, arn: &str) -> Result<(), ApiError> {
        let input = elb::DescribeTagsInput { resource_arns: [arn.to_owned()].into_iter().collect() };
        let elb::Response::DescribeTags(output) = self.elb(elb::Request::DescribeTags(input))? else {
            unreachable!("another answer")
        };
        let tags = output.tag_descriptions.member.into_iter().flat_map(|of| of.tags.member);
        let unknown: Vec<_> = tags.map(|tag| tag.key).filter(|key| key != "Lifecycle").collect();
        if unknown.is_empty() {
            return Ok(());
        }
        let input = elb::RemoveTagsInput {
            resource_arns: [arn.to_owned()].into_iter().collect(),
            tag_keys: unknown.into_iter().collect(),
        };
        self.elb(elb::Request::RemoveTags(input)).map(drop)
    }

    /// As the platform's script scales down: count, a minute, terraform destroys.
    pub async fn scale_down_with_terraform(&self) {
        let _ = self.scale(0);
        tokio::time::sleep(Duration::from_secs(60)).await;
        let _ = self.delete_balancer();
        for _ in 0..20 {
            if self.delete_groups().is_ok() {
                break;
            }
            tokio::time::sleep(Duration::from_secs(5)).await;
        }
    }

    // ---- by hand ----

    /// The balancer's ARN and state.
    pub fn balancer(&self) -> Result<Option<(String, String)>, ApiError> {
        let input = elb::DescribeLoadBalancersInput {
            names: [self.balancer_name()].into_iter().collect(),
            ..Default::default()
        };
        match self.elb(elb::Request::DescribeLoadBalancers(input)) {
            Ok(elb::Response::DescribeLoadBalancers(output)) => {
                let found = output.load_balancers.member.into_iter().next();
                Ok(found.map(|balancer| (balancer.load_balancer_arn, balancer.state.code)))
            }
            Ok(other) => unreachable!("another answer: {other:?}"),
            Err(error) if error.code == "LoadBalancerNotFound" => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The project's groups: ARNs by name.
    pub fn groups(&self) -> Result<BTreeMap<String, String>, ApiError> {
        let elb::Response::DescribeTargetGroups(output) =
            self.elb(elb::Request::DescribeTargetGroups(elb::DescribeTargetGroupsInput::default()))?
        else {
            unreachable!("another answer")
        };
        let groups = output.target_groups.member.into_iter();
        let ours = groups.filter(|group| group.target_group_name.starts_with(&format!("{}-", self.project)));
        Ok(ours.map(|group| (group.target_group_name, group.target_group_arn)).collect())
    }

    /// Makes the balancer, without anything behind it.
    pub fn create_balancer(&self) -> Result<String, ApiError> {
        let output = self.elb(elb::Request::CreateLoadBalancer(elb::CreateLoadBalancerInput {
            name: self.balancer_name(),
            r#type: Some("network".to_owned()),
            subnets: ["subnet-0a1b2c3d4e5f60718".to_owned()].into_iter().collect(),
            tags: [Tag { key: "Lifecycle".to_owned(), value: "on-demand".to_owned() }].into_iter().collect(),
            ..Default::default()
        }))?;
        let elb::Response::CreateLoadBalancer(output) = output else { unreachable!("another answer") };
        Ok(output.load_balancers.member.into_iter().next().map(|made| made.load_balancer_arn).unwrap_or_default())
    }

    fn create_group(&self, name: &str, protocol: &str, port: &str) -> Result<String, ApiError> {
        let output = self.elb(elb::Request::CreateTargetGroup(elb::CreateTargetGroupInput {
            name: name.to_owned(),
            protocol: Some(protocol.to_owned()),
            port: Some(port.to_owned()),
            vpc_id: Some("vpc-0a1b2c3d4e5f60718".to_owned()),
            target_type: Some("ip".to_owned()),
            health_check_protocol: Some("TCP".to_owned()),
            health_check_port: Some("8080".to_owned()),
            ..Default::default()
        }))?;
        let elb::Response::CreateTargetGroup(output) = output else { unreachable!("another answer") };
        Ok(output.target_groups.member.into_iter().next().map(|made| made.target_group_arn).unwrap_or_default())
    }

    fn create_listener(&self, balancer: &str, group: &str, protocol: &str, port: &str) -> Result<(), ApiError> {
        let action = elb::Action {
            r#type: "forward".to_owned(),
            target_group_arn: Some(group.to_owned()),
            ..Default::default()
        };
        let input = elb::CreateListenerInput {
            load_balancer_arn: balancer.to_owned(),
            protocol: Some(protocol.to_owned()),
            port: Some(port.to_owned()),
            default_actions: [action].into_iter().collect(),
            ..Default::default()
        };
        self.elb(elb::Request::CreateListener(input)).map(drop)
    }

    /// Deletes the balancer.
    pub fn delete_balancer(&self) -> Result<(), ApiError> {
        let Some((load_balancer_arn, _)) = self.balancer()? else { return Ok(()) };
        self.elb(elb::Request::DeleteLoadBalancer(elb::LoadBalancerInput { load_balancer_arn })).map(drop)
    }

    fn delete_groups(&self) -> Result<(), ApiError> {
        for target_group_arn in self.groups()?.into_values() {
            self.elb(elb::Request::DeleteTargetGroup(elb::TargetGroupInput { target_group_arn }))?;
        }
        Ok(())
    }

    /// Deletes the balancer and makes another of the same name, with the same groups behind it.
    pub fn replace_balancer(&self) -> Result<(), ApiError> {
        self.delete_balancer()?;
        let groups = self.groups()?;
        let balancer = self.create_balancer()?;
        for (suffix, protocol, port) in GROUPS {
            let name = format!("{}-{suffix}", self.project);
            let group = match groups.get(&name) {
                Some(group) => group.clone(),
                None => self.create_group(&name, protocol, port)?,
            };
            self.create_listener(&balancer, &group, protocol, port)?;
        }
        Ok(())
    }

    /// Holds the balancer until then; or lets go of it.
    pub fn hold(&self, until: Option<Timestamp>) -> Result<(), ApiError> {
        let Some((arn, _)) = self.balancer()? else { return Ok(()) };
        let (resource_arns, key) = ([arn].into_iter().collect(), "jvb-watcher:hold-until".to_owned());
        let request = match until {
            // By the tag alone, whoever holds already.
            Some(until) => {
                let tags = [Tag { key, value: until.to_string() }].into_iter().collect();
                elb::Request::AddTags(elb::AddTagsInput { resource_arns, tags })
            }
            // As `hold --release` does it.
            None => {
                let others = ["held-by", "idle-since", "load-balancer"].map(|name| format!("jvb-watcher:{name}"));
                let tag_keys = std::iter::once(key).chain(others).collect();
                elb::Request::RemoveTags(elb::RemoveTagsInput { resource_arns, tag_keys })
            }
        };
        self.elb(request).map(drop)
    }

    /// Takes the owner tag away, or gives it back.
    pub fn own(&self, owned: bool) -> Result<(), ApiError> {
        let Some((arn, _)) = self.balancer()? else { return Ok(()) };
        let (resource_arns, key) = ([arn].into_iter().collect(), "Lifecycle".to_owned());
        let request = if owned {
            let tags = [Tag { key, value: "on-demand".to_owned() }].into_iter().collect();
            elb::Request::AddTags(elb::AddTagsInput { resource_arns, tags })
        } else {
            elb::Request::RemoveTags(elb::RemoveTagsInput { resource_arns, tag_keys: [key].into_iter().collect() })
        };
        self.elb(request).map(drop)
    }

    /// Protects the balancer against deletion, or no longer.
    pub fn protect(&self, protected: bool) -> Result<(), ApiError> {
        let Some((load_balancer_arn, _)) = self.balancer()? else { return Ok(()) };
        let attribute = elb::Attribute { key: "deletion_protection.enabled".to_owned(), value: protected.to_string() };
        let attributes = [attribute].into_iter().collect();
        let input = elb::ModifyLoadBalancerAttributesInput { load_balancer_arn, attributes };
        self.elb(elb::Request::ModifyLoadBalancerAttributes(input)).map(drop)
    }

    /// Registers an address in every group, or deregisters it.
    pub fn target(&self, ip: &str, registered: bool) -> Result<(), ApiError> {
        for target_group_arn in self.groups()?.into_values() {
            let target = elb::TargetDescription { id: ip.to_owned(), ..Default::default() };
            let input = elb::TargetsInput { target_group_arn, targets: [target].into_iter().collect() };
            self.elb(match registered {
                true => elb::Request::RegisterTargets(input),
                false => elb::Request::DeregisterTargets(input),
            })?;
        }
        Ok(())
    }

    /// A task of nobody's service serves behind the balancer for a while, at an address that may have been another's.
    pub async fn visit(&self, time: Duration) -> Result<(), ApiError> {
        let group = format!("family:{}-visitor", self.project);
        self.ecs(ecs::Request::RunTask(ecs::RunTaskInput {
            cluster: self.cluster(),
            task_definition: format!("{}-jvb", jvb_watcher_sandbox::platform::PROJECT),
            group: Some(group.clone()),
            launch_type: Some("FARGATE".to_owned()),
            network_configuration: Some(network()),
            ..Default::default()
        }))?;
        tokio::time::sleep(Duration::from_secs(90)).await;
        let is_visitor = |task: &TaskView| task.group == group && task.last_status == "RUNNING";
        let visitors: Vec<_> = self.stage.with(|inner, _| inner.world.tasks()).into_iter().filter(is_visitor).collect();
        for address in visitors.iter().filter_map(|task| task.address) {
            self.target(&address.to_string(), true)?;
        }
        tokio::time::sleep(time).await;
        for task in visitors {
            if let Some(address) = task.address {
                let _ = self.target(&address.to_string(), false);
            }
            let input = ecs::StopTaskInput { cluster: self.cluster(), task: task.id, ..Default::default() };
            self.ecs(ecs::Request::StopTask(input))?;
        }
        Ok(())
    }

    /// Deletes a balancer that AWS couldn't set up.
    pub fn delete_failed_balancer(&self) -> Result<(), ApiError> {
        let name = self.balancer_name();
        let balancers = self.stage.with(|inner, _| inner.world.load_balancers());
        match balancers.iter().any(|balancer| balancer.name == name && balancer.state == "failed") {
            true => self.delete_balancer(),
            false => Ok(()),
        }
    }

    /// Deletes the service, tasks and all.
    pub fn delete_service(&self) -> Result<(), ApiError> {
        let input = ecs::DeleteServiceInput { cluster: self.cluster(), service: self.service(), force: true };
        self.ecs(ecs::Request::DeleteService(input))
    }

    /// Makes the service anew.
    pub fn create_service(&self) -> Result<(), ApiError> {
        self.ecs(ecs::Request::CreateService(ecs::CreateServiceInput {
            cluster: self.cluster(),
            service_name: self.service(),
            task_definition: format!("{}-jvb", jvb_watcher_sandbox::platform::PROJECT),
            desired_count: 0,
            launch_type: Some("FARGATE".to_owned()),
            network_configuration: Some(network()),
            ..Default::default()
        }))
    }

    /// Makes the cluster.
    pub fn create_cluster(&self) -> Result<(), ApiError> {
        let input = ecs::CreateClusterInput { cluster_name: self.cluster(), ..Default::default() };
        self.ecs(ecs::Request::CreateCluster(input))
    }

    /// Makes the balancer with all that is behind it, at once.
    pub fn create_all(&self) -> Result<(), ApiError> {
        let balancer = self.create_balancer()?;
        for (suffix, protocol, port) in GROUPS {
            let group = self.create_group(&format!("{}-{suffix}", self.project), protocol, port)?;
            self.create_listener(&balancer, &group, protocol, port)?;
        }
        Ok(())
    }

    /// Switches the rule on or off.
    pub fn rule(&self, enabled: bool) -> Result<(), ApiError> {
        let input = eventbridge::RuleInput { name: format!("{}-jvb-watcher", self.project), ..Default::default() };
        let request = match enabled {
            true => eventbridge::Request::EnableRule(input),
            false => eventbridge::Request::DisableRule(input),
        };
        self.call(Request::EventBridge(request)).map(drop)
    }

    /// Sends a message of its own.
    pub fn send(&self, queue_url: &str, body: String) -> Result<(), ApiError> {
        let input = sqs::SendMessageInput { queue_url: queue_url.to_owned(), message_body: body, ..Default::default() };
        self.call(Request::Sqs(sqs::Request::SendMessage(input))).map(drop)
    }

    /// How many messages that nobody can read are in a queue.
    pub fn malformed_in(&self, queue_url: &str) -> usize {
        let input = sqs::ReceiveMessageInput {
            queue_url: queue_url.to_owned(),
            max_number_of_messages: Some(10),
            ..Default::default()
        };
        let mut count = 0;
        // Received messages are hidden, so each comes once.
        while let Ok(Response::Sqs(sqs::Response::ReceiveMessage(output))) =
            self.call(Request::Sqs(sqs::Request::ReceiveMessage(input.clone())))
        {
            let messages = output.messages.unwrap_or_default();
            if messages.is_empty() {
                break;
            }
            count += messages.iter().filter(|message| serde_json::from_str::<Value>(&message.body).is_err()).count();
        }
        count
    }

    /// An event of another service's task.
    pub fn foreign_event() -> String {
        json!({
            "version": "0", "id": "0b1c2d3e-0000-4000-8000-000000000000", "source": "aws.ecs",
            "detail-type": "ECS Task State Change", "time": "2026-11-20T00:00:00Z",
            "detail": { "group": "service:another", "taskArn": "arn:aws:ecs:eu-west-1:111122223333:task/other/0123456789abcdef0123456789abcdef",
                        "clusterArn": "arn:aws:ecs:eu-west-1:111122223333:cluster/other", "lastStatus": "RUNNING",
                        "desiredStatus": "RUNNING", "version": 3 },
        })
        .to_string()
    }
}

/// The network that every task here is in.
fn network() -> ecs::NetworkConfiguration {
    let subnets = vec!["subnet-0a1b2c3d4e5f60718".to_owned()];
    ecs::NetworkConfiguration { awsvpc_configuration: ecs::AwsVpcConfiguration { subnets, ..Default::default() } }
}
