//! The adapter of [`Diagnostics`]: STS, CloudWatch, EventBridge, ECS, Elastic Load Balancing and SQS.

use aws_config::SdkConfig;
use aws_sdk_cloudwatch::Client as CloudWatch;
use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_ecs::Client as Ecs;
use aws_sdk_elasticloadbalancingv2::Client as Elb;
use aws_sdk_elasticloadbalancingv2::types::{LoadBalancerAttribute, TargetDescription};
use aws_sdk_eventbridge::Client as EventBridge;
use aws_sdk_eventbridge::types::Target;
use aws_sdk_sqs::Client as Sqs;
use aws_sdk_sts::Client as Sts;

use super::call::{Call, none_if_not_found};
use super::platform::convert;
use super::usage::all_flows;
use crate::aws::AwsError;
use crate::aws::diagnostics::{
    Caller, DeletionProtection, Diagnostics, PermissionProbe, RuleTarget, TargetInput, TaskNetwork,
};
use crate::aws::operation::ApiOperation;

/// An address of TEST-NET-1, which is reserved for documentation (RFC 5737): no target has it.
const UNUSED_ADDRESS: &str = "192.0.2.1";

/// A load balancer, as in the dimensions of its metrics, with an id that AWS never assigns.
const UNUSED_LOAD_BALANCER: &str = "net/jvb-watcher-doctor/0000000000000000";

/// A task id that ECS never assigns.
const UNUSED_TASK_ID: &str = "00000000000000000000000000000000";

/// A task definition that doesn't exist: revisions count from 1.
const UNUSED_TASK_DEFINITION: &str = "jvb-watcher-doctor:0";

/// A receipt handle that SQS never assigns.
const INVALID_RECEIPT_HANDLE: &str = "jvb-watcher-doctor";

/// The load balancer attribute for deletion protection (see LoadBalancerAttribute in the Elastic Load Balancing API
/// reference).
const DELETION_PROTECTION: &str = "deletion_protection.enabled";

/// The reads and permission probes of `doctor`, through the SDK.
pub struct AwsDiagnostics {
    cloudwatch: CloudWatch,
    ecs: Ecs,
    elb: Elb,
    events: EventBridge,
    sqs: Sqs,
    sts: Sts,
}

impl AwsDiagnostics {
    /// Creates the clients.
    pub fn new(config: &SdkConfig) -> Self {
        Self {
            cloudwatch: CloudWatch::new(config),
            ecs: Ecs::new(config),
            elb: Elb::new(config),
            events: EventBridge::new(config),
            sqs: Sqs::new(config),
            sts: Sts::new(config),
        }
    }
}

impl Diagnostics for AwsDiagnostics {
    async fn caller(&self) -> Result<Caller, AwsError> {
        let call = Call::new(ApiOperation::GetCallerIdentity, "the credentials");
        let output = self.sts.get_caller_identity().send().await.map_err(|error| call.failed(error))?;
        match (output.arn, output.account) {
            (Some(arn), Some(account)) => Ok(Caller { arn, account }),
            _ => Err(call.incomplete("Arn or Account")),
        }
    }

    async fn rule_targets(&self, rule: &str) -> Result<Vec<RuleTarget>, AwsError> {
        let call = Call::new(ApiOperation::ListTargetsByRule, rule);
        let mut targets = Vec::new();
        let mut token = None;
        loop {
            let request = self.events.list_targets_by_rule().rule(rule).set_next_token(token);
            let output = request.send().await.map_err(|error| call.failed(error))?;
            targets.extend(output.targets().iter().map(rule_target));
            token = output.next_token;
            if token.is_none() {
                return Ok(targets);
            }
        }
    }

    async fn task_network(&self, cluster: &str, service: &str) -> Result<Option<TaskNetwork>, AwsError> {
        let call = Call::new(ApiOperation::DescribeServices, service);
        let output = match self.ecs.describe_services().cluster(cluster).services(service).send().await {
            Ok(output) => output,
            Err(error) => return none_if_not_found(call.failed(error)),
        };
        let found = output.services().iter().find(|service| !convert::is_deleted(service));
        Ok(found.map(|service| {
            // A service has this configuration if, and only if, its tasks use awsvpc (see networkConfiguration of
            // CreateService in the ECS API reference).
            let network = service.network_configuration().and_then(|network| network.awsvpc_configuration());
            if network.is_some() { TaskNetwork::Awsvpc } else { TaskNetwork::Other }
        }))
    }

    async fn deletion_protection(&self, load_balancer_arn: &str) -> Result<DeletionProtection, AwsError> {
        let call = Call::new(ApiOperation::DescribeLoadBalancerAttributes, load_balancer_arn);
        let request = self.elb.describe_load_balancer_attributes().load_balancer_arn(load_balancer_arn);
        let output = request.send().await.map_err(|error| call.failed(error))?;
        let is_on = |attribute: &LoadBalancerAttribute| {
            attribute.key() == Some(DELETION_PROTECTION) && attribute.value() == Some("true")
        };
        Ok(if output.attributes().iter().any(is_on) { DeletionProtection::On } else { DeletionProtection::Off })
    }

    async fn probe(&self, probe: &PermissionProbe) -> Result<(), AwsError> {
        let call = |resource| Call::new(probe.operation(), resource);
        let target = || TargetDescription::builder().id(UNUSED_ADDRESS).build();
        match probe {
            PermissionProbe::DeleteMessage { queue_url } => {
                let request = self.sqs.delete_message().queue_url(queue_url).receipt_handle(INVALID_RECEIPT_HANDLE);
                request.send().await.map(drop).map_err(|error| call(queue_url).failed(error))
            }
            PermissionProbe::ChangeMessageVisibility { queue_url } => {
                let request = self.sqs.change_message_visibility().queue_url(queue_url);
                let request = request.receipt_handle(INVALID_RECEIPT_HANDLE).visibility_timeout(0);
                request.send().await.map(drop).map_err(|error| call(queue_url).failed(error))
            }
            PermissionProbe::ListTasks { cluster, service } => {
                let request = self.ecs.list_tasks().cluster(cluster).service_name(service);
                request.send().await.map(drop).map_err(|error| call(service).failed(error))
            }
            PermissionProbe::DescribeTasks { cluster } => {
                let request = self.ecs.describe_tasks().cluster(cluster).tasks(UNUSED_TASK_ID);
                request.send().await.map(drop).map_err(|error| call(cluster).failed(error))
            }
            PermissionProbe::DescribeTaskDefinition => {
                let request = self.ecs.describe_task_definition().task_definition(UNUSED_TASK_DEFINITION);
                request.send().await.map(drop).map_err(|error| call(UNUSED_TASK_DEFINITION).failed(error))
            }
            PermissionProbe::GetMetricData => {
                // A minute of the past: any will do.
                let (start, end) = (DateTime::from_secs(0), DateTime::from_secs(60));
                let request = self.cloudwatch.get_metric_data().metric_data_queries(all_flows(UNUSED_LOAD_BALANCER));
                let request = request.start_time(start).end_time(end);
                request.send().await.map(drop).map_err(|error| call("*").failed(error))
            }
            PermissionProbe::DescribeLoadBalancers { name } => {
                let request = self.elb.describe_load_balancers().names(name);
                request.send().await.map(drop).map_err(|error| call(name).failed(error))
            }
            PermissionProbe::DescribeTargetGroups => {
                let request = self.elb.describe_target_groups();
                request.send().await.map(drop).map_err(|error| call("*").failed(error))
            }
            PermissionProbe::DescribeTargetHealth { target_group_arn: arn } => {
                let request = self.elb.describe_target_health().target_group_arn(arn);
                request.send().await.map(drop).map_err(|error| call(arn).failed(error))
            }
            PermissionProbe::DescribeTags { target_group_arn: arn } => {
                let request = self.elb.describe_tags().resource_arns(arn);
                request.send().await.map(drop).map_err(|error| call(arn).failed(error))
            }
            PermissionProbe::RegisterTargets { target_group_arn: arn } => {
                let request = self.elb.register_targets().target_group_arn(arn).targets(target());
                request.send().await.map(drop).map_err(|error| call(arn).failed(error))
            }
            PermissionProbe::DeregisterTargets { target_group_arn: arn } => {
                let request = self.elb.deregister_targets().target_group_arn(arn).targets(target());
                request.send().await.map(drop).map_err(|error| call(arn).failed(error))
            }
        }
    }
}

fn rule_target(target: &Target) -> RuleTarget {
    let transformed = target.input.is_some() || target.input_path.is_some() || target.input_transformer.is_some();
    let input = if transformed { TargetInput::Transformed } else { TargetInput::MatchedEvent };
    RuleTarget { arn: target.arn.clone(), input }
}
