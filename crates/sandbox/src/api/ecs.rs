//! Requests and responses of Amazon ECS, API version 2014-11-13 (JSON 1.1).

use serde::{Deserialize, Serialize};

use jiff::Timestamp;

pub use super::LowercaseTag as Tag;
use super::{Empty, operations};

operations! {
    CreateCluster(CreateClusterInput) -> ClusterOutput;
    DescribeClusters(DescribeClustersInput) -> DescribeClustersOutput;
    ListClusters(ListClustersInput) -> ListClustersOutput;
    DeleteCluster(ClusterInput) -> ClusterOutput, requires "cluster";
    RegisterTaskDefinition(RegisterTaskDefinitionInput) -> TaskDefinitionOutput, requires "family" "containerDefinitions";
    DescribeTaskDefinition(DescribeTaskDefinitionInput) -> TaskDefinitionOutput, requires "taskDefinition";
    ListTaskDefinitions(ListTaskDefinitionsInput) -> ListTaskDefinitionsOutput;
    CreateService(CreateServiceInput) -> ServiceOutput, requires "serviceName";
    UpdateService(UpdateServiceInput) -> ServiceOutput, requires "service";
    DescribeServices(DescribeServicesInput) -> DescribeServicesOutput, requires "services";
    ListServices(ListServicesInput) -> ListServicesOutput;
    DeleteService(DeleteServiceInput) -> ServiceOutput, requires "service";
    RunTask(RunTaskInput) -> TasksOutput, requires "taskDefinition";
    StopTask(StopTaskInput) -> TaskOutput, requires "task";
    ListTasks(ListTasksInput) -> ListTasksOutput;
    DescribeTasks(DescribeTasksInput) -> TasksOutput, requires "tasks";
    TagResource(TagResourceInput) -> Empty, requires "resourceArn" "tags";
    UntagResource(UntagResourceInput) -> Empty, requires "resourceArn" "tagKeys";
    ListTagsForResource(ResourceInput) -> TagsOutput, requires "resourceArn";
}

/// Request of `CreateCluster`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct CreateClusterInput {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster_name: Option<String>,
    pub tags: Vec<Tag>,
}

/// Request that names a cluster.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct ClusterInput {
    pub cluster: String,
}

/// Response with one cluster.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct ClusterOutput {
    pub cluster: Cluster,
}

/// A cluster.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct Cluster {
    pub cluster_arn: String,
    pub cluster_name: String,
    pub status: String,
    pub running_tasks_count: i32,
    pub pending_tasks_count: i32,
    pub active_services_count: i32,
    pub registered_container_instances_count: i32,
}

/// Request of `DescribeClusters`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct DescribeClustersInput {
    pub clusters: Vec<String>,
}

/// Response of `DescribeClusters`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct DescribeClustersOutput {
    pub clusters: Vec<Cluster>,
    pub failures: Vec<Failure>,
}

/// A resource that a request could not describe.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct Failure {
    pub arn: String,
    pub reason: String,
}

/// Request of `ListClusters`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct ListClustersInput {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_results: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
}

/// Response of `ListClusters`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct ListClustersOutput {
    pub cluster_arns: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
}

/// Request of `RegisterTaskDefinition`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct RegisterTaskDefinitionInput {
    pub family: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network_mode: Option<String>,
    pub requires_compatibilities: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<String>,
    pub container_definitions: Vec<ContainerDefinition>,
}

/// A container of a task definition.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct ContainerDefinition {
    pub name: String,
    pub image: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<String>,
    pub environment: Vec<KeyValuePair>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<Secret>,
    pub port_mappings: Vec<PortMapping>,
}

/// A variable of a container's environment whose value is in Secrets Manager or in Parameter Store.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct Secret {
    pub name: String,
    pub value_from: String,
}

/// A port on which a container listens.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct PortMapping {
    pub container_port: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// Request of `DescribeTaskDefinition`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct DescribeTaskDefinitionInput {
    pub task_definition: String,
}

/// Response with one task definition.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct TaskDefinitionOutput {
    pub task_definition: TaskDefinition,
}

/// A task definition.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct TaskDefinition {
    pub task_definition_arn: String,
    pub family: String,
    pub revision: i32,
    pub status: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network_mode: Option<String>,
    pub requires_compatibilities: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<String>,
    pub container_definitions: Vec<ContainerDefinition>,
}

/// Request of `CreateService`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct CreateServiceInput {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    pub service_name: String,
    pub task_definition: String,
    pub desired_count: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub launch_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network_configuration: Option<NetworkConfiguration>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deployment_configuration: Option<DeploymentConfiguration>,
    pub tags: Vec<Tag>,
}

/// Configuration of a service's deployments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct DeploymentConfiguration {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deployment_circuit_breaker: Option<DeploymentCircuitBreaker>,
}

/// What happens to a deployment whose tasks fail to start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct DeploymentCircuitBreaker {
    pub enable: bool,
    pub rollback: bool,
}

/// Network configuration of tasks.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct NetworkConfiguration {
    pub awsvpc_configuration: AwsVpcConfiguration,
}

/// Network configuration of tasks in the `awsvpc` network mode.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct AwsVpcConfiguration {
    pub subnets: Vec<String>,
    pub security_groups: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assign_public_ip: Option<String>,
}

/// Request of `UpdateService`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct UpdateServiceInput {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    pub service: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub desired_count: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task_definition: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deployment_configuration: Option<DeploymentConfiguration>,
    pub force_new_deployment: bool,
}

/// Request of `DescribeServices`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct DescribeServicesInput {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub include: Vec<String>,
    pub services: Vec<String>,
}

/// Response of `DescribeServices`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct DescribeServicesOutput {
    pub services: Vec<Service>,
    pub failures: Vec<Failure>,
}

/// Response with one service.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct ServiceOutput {
    pub service: Service,
}

/// A service.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct Service {
    pub service_arn: String,
    pub service_name: String,
    pub cluster_arn: String,
    pub status: String,
    pub desired_count: i32,
    pub running_count: i32,
    pub pending_count: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub launch_type: Option<String>,
    pub task_definition: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network_configuration: Option<NetworkConfiguration>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deployment_configuration: Option<DeploymentConfiguration>,
    pub deployments: Vec<Deployment>,
    pub events: Vec<ServiceEvent>,
    /// The load balancers that ECS itself registers tasks with: none is modelled.
    pub load_balancers: Vec<Empty>,
    pub scheduling_strategy: String,
    #[serde(skip_serializing_if = "Option::is_none", with = "crate::api::time::optional_seconds")]
    pub created_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<Tag>,
}

/// A deployment of a service.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct Deployment {
    pub id: String,
    pub status: String,
    pub task_definition: String,
    pub desired_count: i32,
    pub running_count: i32,
    pub pending_count: i32,
    pub failed_tasks: i32,
    pub rollout_state: String,
    pub rollout_state_reason: String,
    #[serde(skip_serializing_if = "Option::is_none", with = "crate::api::time::optional_seconds")]
    pub created_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none", with = "crate::api::time::optional_seconds")]
    pub updated_at: Option<Timestamp>,
}

/// A message of a service's scheduler.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct ServiceEvent {
    pub id: String,
    #[serde(skip_serializing_if = "Option::is_none", with = "crate::api::time::optional_seconds")]
    pub created_at: Option<Timestamp>,
    pub message: String,
}

/// Request of `ListServices`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct ListServicesInput {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_results: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
}

/// Response of `ListServices`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct ListServicesOutput {
    pub service_arns: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
}

/// Request of `DeleteService`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct DeleteServiceInput {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    pub service: String,
    pub force: bool,
}

/// Request of `RunTask`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct RunTaskInput {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    pub task_definition: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub launch_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network_configuration: Option<NetworkConfiguration>,
    pub tags: Vec<Tag>,
}

/// Request of `StopTask`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct StopTaskInput {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    pub task: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Response with one task.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct TaskOutput {
    pub task: Task,
}

/// Response with several tasks.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct TasksOutput {
    pub tasks: Vec<Task>,
    pub failures: Vec<Failure>,
}

/// Request of `ListTasks`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct ListTasksInput {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub family: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub desired_status: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_results: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
}

/// Response of `ListTasks`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct ListTasksOutput {
    pub task_arns: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
}

/// Request of `DescribeTasks`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct DescribeTasksInput {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    pub tasks: Vec<String>,
}

/// A task, as the API describes it. Its form in events differs slightly (`world/ecs/event.rs`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct Task {
    pub task_arn: String,
    pub cluster_arn: String,
    pub task_definition_arn: String,
    pub group: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_by: Option<String>,
    pub launch_type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capacity_provider_name: Option<String>,
    pub last_status: String,
    pub desired_status: String,
    pub version: i64,
    pub availability_zone: String,
    pub cpu: String,
    pub memory: String,
    pub platform_version: String,
    pub attachments: Vec<Attachment>,
    pub containers: Vec<Container>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stopped_reason: Option<String>,
    pub health_status: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connectivity: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", with = "crate::api::time::optional_seconds")]
    pub connectivity_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none", with = "crate::api::time::optional_seconds")]
    pub created_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none", with = "crate::api::time::optional_seconds")]
    pub pull_started_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none", with = "crate::api::time::optional_seconds")]
    pub pull_stopped_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none", with = "crate::api::time::optional_seconds")]
    pub started_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none", with = "crate::api::time::optional_seconds")]
    pub stopping_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none", with = "crate::api::time::optional_seconds")]
    pub execution_stopped_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none", with = "crate::api::time::optional_seconds")]
    pub stopped_at: Option<Timestamp>,
}

/// An attachment of a task: its elastic network interface.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct Attachment {
    pub id: String,
    #[serde(rename = "type")]
    pub r#type: String,
    pub status: String,
    pub details: Vec<KeyValuePair>,
}

/// A detail of an attachment, or a variable of a container's environment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct KeyValuePair {
    pub name: String,
    pub value: String,
}

/// A container of a task.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct Container {
    pub container_arn: String,
    pub task_arn: String,
    pub name: String,
    pub image: String,
    pub last_status: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    pub network_interfaces: Vec<NetworkInterface>,
    pub cpu: String,
    pub memory: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runtime_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health_status: Option<String>,
}

/// A container's network interface.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct NetworkInterface {
    pub attachment_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub private_ipv4_address: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ipv6_address: Option<String>,
}

/// Request of `TagResource`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct TagResourceInput {
    pub resource_arn: String,
    pub tags: Vec<Tag>,
}

/// Request of `UntagResource`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct UntagResourceInput {
    pub resource_arn: String,
    pub tag_keys: Vec<String>,
}

/// Request that names a resource.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct ResourceInput {
    pub resource_arn: String,
}

/// Response with a resource's tags.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct TagsOutput {
    pub tags: Vec<Tag>,
}

/// Request of `ListTaskDefinitions`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct ListTaskDefinitionsInput {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub family_prefix: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_results: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
}

/// Response of `ListTaskDefinitions`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs, reason = "AWS's API reference documents the members")]
pub struct ListTaskDefinitionsOutput {
    pub task_definition_arns: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
}
