use crate::api::ApiError;
use crate::api::ecs::*;
use crate::world::Settings;
use crate::world::tests::Fixture;

fn fixture() -> Fixture {
    Fixture::new(Settings::default(), 1)
}

fn cluster() -> Option<String> {
    Some("c".to_owned())
}

fn describe_services(fixture: &mut Fixture, names: &[&str]) -> Result<DescribeServicesOutput, ApiError> {
    let services = names.iter().map(|name| (*name).to_owned()).collect();
    match fixture.ecs(Request::DescribeServices(DescribeServicesInput {
        cluster: cluster(),
        services,
        ..Default::default()
    }))? {
        Response::DescribeServices(output) => Ok(output),
        other => panic!("{other:?}"),
    }
}

fn describe_tasks(fixture: &mut Fixture, tasks: Vec<String>) -> Result<TasksOutput, ApiError> {
    match fixture.ecs(Request::DescribeTasks(DescribeTasksInput { cluster: cluster(), tasks }))? {
        Response::DescribeTasks(output) => Ok(output),
        other => panic!("{other:?}"),
    }
}

fn list(fixture: &mut Fixture, input: ListTasksInput) -> Result<ListTasksOutput, ApiError> {
    match fixture.ecs(Request::ListTasks(ListTasksInput { cluster: cluster(), ..input }))? {
        Response::ListTasks(output) => Ok(output),
        other => panic!("{other:?}"),
    }
}

fn run(fixture: &mut Fixture, count: i32) -> Vec<Task> {
    let input = RunTaskInput {
        cluster: cluster(),
        task_definition: "jitsi:1".to_owned(),
        count: Some(count),
        ..RunTaskInput::default()
    };
    match fixture.ecs(Request::RunTask(input)).unwrap() {
        Response::RunTask(output) => output.tasks,
        other => panic!("{other:?}"),
    }
}

fn delete(fixture: &mut Fixture, force: bool) -> Result<Response, ApiError> {
    let service = "jvb".to_owned();
    fixture.ecs(Request::DeleteService(DeleteServiceInput { cluster: cluster(), service, force }))
}

#[test]
fn a_deleted_service_is_draining_then_inactive_then_missing() {
    let mut fixture = fixture();
    fixture.scale(1);
    fixture.advance(60);
    assert_eq!(delete(&mut fixture, false).unwrap_err().code, "InvalidParameterException");
    delete(&mut fixture, true).unwrap();
    let status = |fixture: &mut Fixture| {
        let output = describe_services(fixture, &["jvb"]).unwrap();
        match output.services.first() {
            Some(service) => service.status.clone(),
            None => output.failures[0].reason.clone(),
        }
    };
    assert_eq!(status(&mut fixture), "DRAINING");
    fixture.advance(100);
    assert_eq!(status(&mut fixture), "INACTIVE");
    let (service, desired_count) = ("jvb".to_owned(), Some(1));
    let update = UpdateServiceInput { cluster: cluster(), service, desired_count, ..UpdateServiceInput::default() };
    assert_eq!(fixture.ecs(Request::UpdateService(update)).unwrap_err().code, "ServiceNotActiveException");
    fixture.advance(3600);
    assert_eq!(status(&mut fixture), "MISSING");
}

#[test]
fn a_second_service_of_the_same_name_is_inactive_for_its_full_time() {
    let mut fixture = fixture();
    delete(&mut fixture, false).unwrap();
    fixture.advance(1800);
    let second = CreateServiceInput {
        cluster: cluster(),
        service_name: "jvb".to_owned(),
        task_definition: "jitsi".to_owned(),
        ..CreateServiceInput::default()
    };
    fixture.ecs(Request::CreateService(second)).unwrap();
    delete(&mut fixture, false).unwrap();
    fixture.advance(3000);
    let services = describe_services(&mut fixture, &["jvb"]).unwrap().services;
    assert_eq!(services.first().map(|service| service.status.as_str()), Some("INACTIVE"));
    fixture.advance(700);
    assert!(describe_services(&mut fixture, &["jvb"]).unwrap().services.is_empty());
}

#[test]
fn errors_have_awss_codes() {
    let mut fixture = fixture();
    let unknown_cluster = DescribeTasksInput { cluster: Some("d".to_owned()), tasks: vec!["a".repeat(32)] };
    assert_eq!(fixture.ecs(Request::DescribeTasks(unknown_cluster)).unwrap_err().code, "ClusterNotFoundException");
    let unknown = UpdateServiceInput { cluster: cluster(), service: "x".to_owned(), ..UpdateServiceInput::default() };
    assert_eq!(fixture.ecs(Request::UpdateService(unknown)).unwrap_err().code, "ServiceNotFoundException");
    let of_unknown = ListTasksInput { service_name: Some("x".to_owned()), ..ListTasksInput::default() };
    assert_eq!(list(&mut fixture, of_unknown).unwrap_err().code, "ServiceNotFoundException");
    for tasks in [
        vec![],
        vec!["a".repeat(32); 101],
        vec!["short".to_owned()],
        vec![format!("arn:aws:ecs:r:1:task/d/{}", "a".repeat(32))],
    ] {
        assert_eq!(describe_tasks(&mut fixture, tasks).unwrap_err().code, "InvalidParameterException");
    }
    assert_eq!(describe_services(&mut fixture, &["a"; 11]).unwrap_err().code, "InvalidParameterException");
    let definition = DescribeTaskDefinitionInput { task_definition: "jitsi:2".to_owned() };
    assert_eq!(fixture.ecs(Request::DescribeTaskDefinition(definition)).unwrap_err().code, "ClientException");
}

#[test]
fn tasks_are_described_by_id_and_arn_and_unknown_ones_are_missing() {
    let mut fixture = fixture();
    let task = run(&mut fixture, 1).remove(0);
    assert_eq!((task.group.as_str(), task.last_status.as_str()), ("family:jitsi", "PROVISIONING"));
    let id = task.task_arn.rsplit('/').next().unwrap().to_owned();
    let short = format!("arn:aws:ecs:eu-west-1:111122223333:task/{id}");
    let output = describe_tasks(&mut fixture, vec![id, task.task_arn.clone(), short, "a".repeat(32)]).unwrap();
    assert_eq!(output.tasks, [task.clone(), task.clone(), task]);
    assert_eq!(output.failures[0].reason, "MISSING");
    assert!(output.failures[0].arn.ends_with(&format!(":task/c/{}", "a".repeat(32))));
}

#[test]
fn list_tasks_filters_by_desired_status_running_by_default() {
    let mut fixture = fixture();
    let task = run(&mut fixture, 2).remove(0);
    fixture.scale(1);
    fixture.advance(60);
    let (cluster, reason) = (cluster(), Some("enough".to_owned()));
    let Ok(Response::StopTask(output)) =
        fixture.ecs(Request::StopTask(StopTaskInput { cluster, task: task.task_arn.clone(), reason }))
    else {
        panic!()
    };
    assert_eq!(
        (output.task.stop_code.as_deref(), output.task.stopped_reason.as_deref()),
        (Some("UserInitiated"), Some("enough"))
    );
    assert_eq!((output.task.desired_status.as_str(), output.task.last_status.as_str()), ("STOPPED", "RUNNING"));
    assert_eq!(list(&mut fixture, ListTasksInput::default()).unwrap().task_arns.len(), 2);
    let stopped = ListTasksInput { desired_status: Some("STOPPED".to_owned()), ..ListTasksInput::default() };
    assert_eq!(list(&mut fixture, stopped).unwrap().task_arns, [task.task_arn]);
    let of_service = ListTasksInput { service_name: Some("jvb".to_owned()), ..ListTasksInput::default() };
    assert_eq!(list(&mut fixture, of_service).unwrap().task_arns.len(), 1);
    let of_family = ListTasksInput { family: Some("jitsi".to_owned()), ..ListTasksInput::default() };
    assert_eq!(list(&mut fixture, of_family).unwrap().task_arns.len(), 2);
}

#[test]
fn pages_have_at_most_100_items() {
    let mut fixture = fixture();
    fixture.scale(250);
    fixture.advance(5);
    let (mut next_token, mut pages) = (None, Vec::new());
    loop {
        let output =
            list(&mut fixture, ListTasksInput { next_token: next_token.take(), ..ListTasksInput::default() }).unwrap();
        pages.push(output.task_arns.len());
        next_token = output.next_token;
        if next_token.is_none() {
            break;
        }
    }
    assert_eq!(pages, [100, 100, 50]);
    let bad = ListTasksInput { next_token: Some("x".to_owned()), ..ListTasksInput::default() };
    assert_eq!(list(&mut fixture, bad).unwrap_err().code, "InvalidParameterException");
}

#[test]
fn a_new_deployment_replaces_the_old_one_without_a_gap() {
    let mut fixture = fixture();
    fixture.scale(2);
    fixture.advance(60);
    let (service, force_new_deployment) = ("jvb".to_owned(), true);
    let update =
        UpdateServiceInput { cluster: cluster(), service, force_new_deployment, ..UpdateServiceInput::default() };
    fixture.ecs(Request::UpdateService(update)).unwrap();
    let mut maximum = 0;
    for _ in 0..180 {
        fixture.advance(1);
        let (_, running, _) = fixture.counts();
        assert!(running >= 2);
        maximum = maximum.max(running);
    }
    assert_eq!((maximum, fixture.counts()), (4, (2, 2, 0)));
    let service = describe_services(&mut fixture, &["jvb"]).unwrap().services.remove(0);
    assert_eq!(service.deployments.len(), 1);
    assert_eq!(service.deployments[0].rollout_state, "COMPLETED");
}

#[test]
fn a_cluster_is_deleted_only_when_empty() {
    let mut fixture = fixture();
    let input = || Request::DeleteCluster(ClusterInput { cluster: "c".to_owned() });
    assert_eq!(fixture.ecs(input()).unwrap_err().code, "ClusterContainsServicesException");
    delete(&mut fixture, false).unwrap();
    fixture.advance(10);
    fixture.ecs(input()).unwrap();
    assert_eq!(describe_services(&mut fixture, &["jvb"]).unwrap_err().code, "ClusterNotFoundException");
}

#[test]
fn tags_are_stored() {
    let mut fixture = fixture();
    let resource_arn = "arn:aws:ecs:eu-west-1:111122223333:service/c/jvb".to_owned();
    let tags = vec![Tag { key: "a".to_owned(), value: "1".to_owned() }];
    fixture
        .ecs(Request::TagResource(TagResourceInput { resource_arn: resource_arn.clone(), tags: tags.clone() }))
        .unwrap();
    let Ok(Response::ListTagsForResource(output)) =
        fixture.ecs(Request::ListTagsForResource(ResourceInput { resource_arn }))
    else {
        panic!()
    };
    assert_eq!(output.tags, tags);
    let unknown = ResourceInput { resource_arn: "arn:aws:ecs:eu-west-1:111122223333:service/c/x".to_owned() };
    assert_eq!(fixture.ecs(Request::ListTagsForResource(unknown)).unwrap_err().code, "ResourceNotFoundException");
}

#[test]
fn a_missing_service_is_reported_by_awss_arn() {
    let mut fixture = fixture();
    let long = "arn:aws:ecs:eu-west-1:111122223333:service/c/gone";
    let output = describe_services(&mut fixture, &["gone", long]).unwrap();
    let arns: Vec<_> = output.failures.iter().map(|failure| failure.arn.as_str()).collect();
    assert_eq!(arns, ["arn:aws:ecs:eu-west-1:111122223333:service/gone", long]);
}

#[test]
fn an_arn_of_another_clusters_service_is_refused() {
    let mut fixture = fixture();
    let here = "arn:aws:ecs:eu-west-1:111122223333:service/c/jvb";
    assert_eq!(describe_services(&mut fixture, &[here]).unwrap().services.len(), 1);
    let elsewhere = "arn:aws:ecs:eu-west-1:111122223333:service/d/jvb";
    let error = describe_services(&mut fixture, &[elsewhere]).unwrap_err();
    assert!(error.code == "InvalidParameterException" && error.message.contains("Your cluster is c"), "{error}");
    let of_service = ListTasksInput { service_name: Some(elsewhere.to_owned()), ..ListTasksInput::default() };
    assert_eq!(list(&mut fixture, of_service).unwrap_err().code, "InvalidParameterException");
}

#[test]
fn creating_an_existing_cluster_changes_nothing() {
    let mut fixture = fixture();
    let create = |name: &str, value: &str| {
        let tags = vec![Tag { key: "a".to_owned(), value: value.to_owned() }];
        Request::CreateCluster(CreateClusterInput { cluster_name: Some(name.to_owned()), tags })
    };
    fixture.ecs(create("d", "1")).unwrap();
    fixture.ecs(create("d", "2")).unwrap();
    let resource_arn = "arn:aws:ecs:eu-west-1:111122223333:cluster/d".to_owned();
    let Ok(Response::ListTagsForResource(output)) =
        fixture.ecs(Request::ListTagsForResource(ResourceInput { resource_arn }))
    else {
        panic!()
    };
    assert_eq!(output.tags[0].value, "1");
}

#[test]
fn an_inactive_cluster_and_an_unknown_one_have_different_errors() {
    let mut fixture = fixture();
    let create = CreateClusterInput { cluster_name: Some("d".to_owned()), tags: Vec::new() };
    fixture.ecs(Request::CreateCluster(create)).unwrap();
    fixture.ecs(Request::DeleteCluster(ClusterInput { cluster: "d".to_owned() })).unwrap();
    let mut error = |cluster: &str| {
        let input = DescribeServicesInput {
            cluster: Some(cluster.to_owned()),
            services: vec!["s".to_owned()],
            ..Default::default()
        };
        fixture.ecs(Request::DescribeServices(input)).unwrap_err()
    };
    let errors = ["d", "none"].map(|cluster| (error(cluster).code, error(cluster).message));
    assert_eq!(errors[0], ("ClusterNotFoundException", "The referenced cluster was inactive.".to_owned()));
    assert_eq!(errors[1], ("ClusterNotFoundException", "Cluster not found.".to_owned()));
}

#[test]
fn task_definitions_are_listed_by_family_and_revision() {
    let mut fixture = fixture();
    for family in ["a", "jitsi"] {
        for _ in 0..9 {
            let (name, image) = ("jvb".to_owned(), "jvb".to_owned());
            let container = ContainerDefinition { name, image, ..ContainerDefinition::default() };
            let input = RegisterTaskDefinitionInput {
                family: family.to_owned(),
                container_definitions: vec![container],
                ..RegisterTaskDefinitionInput::default()
            };
            fixture.ecs(Request::RegisterTaskDefinition(input)).unwrap();
        }
    }
    let mut list = |family_prefix: Option<&str>| {
        let input = ListTaskDefinitionsInput {
            family_prefix: family_prefix.map(str::to_owned),
            ..ListTaskDefinitionsInput::default()
        };
        match fixture.ecs(Request::ListTaskDefinitions(input)).unwrap() {
            Response::ListTaskDefinitions(output) => output.task_definition_arns,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(list(None).len(), 19);
    let of_family = list(Some("jitsi"));
    assert!(of_family[8].ends_with(":task-definition/jitsi:9") && of_family[9].ends_with("/jitsi:10"), "{of_family:?}");
}

/// Sends all events of ECS to the queue.
fn with_all_events(mut fixture: Fixture) -> Fixture {
    let rule = crate::api::eventbridge::PutRuleInput {
        name: "tasks".to_owned(),
        event_pattern: Some(r#"{"source": ["aws.ecs"]}"#.to_owned()),
        ..Default::default()
    };
    fixture.call(crate::api::Request::EventBridge(crate::api::eventbridge::Request::PutRule(rule))).unwrap();
    fixture
}

/// Returns the names of the events about the service, with their reasons.
fn service_events(fixture: &mut Fixture) -> Vec<(String, Option<String>)> {
    let text = |value: &serde_json::Value| value.as_str().map(str::to_owned);
    let events = fixture.events();
    let of_service = events.iter().filter(|event| event["detail-type"] != "ECS Task State Change");
    of_service.map(|event| (text(&event["detail"]["eventName"]).unwrap(), text(&event["detail"]["reason"]))).collect()
}

fn names(events: &[(String, Option<String>)]) -> Vec<&str> {
    events.iter().map(|(name, _)| name.as_str()).collect()
}

fn messages(service: &Service) -> Vec<&str> {
    service.events.iter().map(|event| event.message.as_str()).collect()
}

fn service(fixture: &mut Fixture) -> Service {
    describe_services(fixture, &["jvb"]).unwrap().services.remove(0)
}

fn update(fixture: &mut Fixture, breaker: DeploymentCircuitBreaker, force_new_deployment: bool) {
    let configuration = DeploymentConfiguration { deployment_circuit_breaker: Some(breaker) };
    let input = UpdateServiceInput {
        cluster: cluster(),
        service: "jvb".to_owned(),
        deployment_configuration: Some(configuration),
        force_new_deployment,
        ..UpdateServiceInput::default()
    };
    fixture.ecs(Request::UpdateService(input)).unwrap();
}

#[test]
fn a_service_reports_its_tasks_and_its_steady_state() {
    let mut fixture = with_all_events(fixture());
    fixture.scale(1);
    fixture.advance(60);
    let task = fixture.world.tasks()[0].id.clone();
    let described = service(&mut fixture);
    let id = described.deployments[0].id.clone();
    assert_eq!(
        messages(&described),
        [
            "(service jvb) has reached a steady state.".to_owned(),
            format!("(service jvb) (deployment {id}) deployment completed."),
            format!("(service jvb) has started 1 tasks: (task {task})."),
        ]
    );
    let deployment = &described.deployments[0];
    assert_eq!(deployment.rollout_state_reason, format!("ECS deployment {id} completed."));
    let events = service_events(&mut fixture);
    assert_eq!(
        names(&events),
        ["SERVICE_DEPLOYMENT_IN_PROGRESS", "SERVICE_DEPLOYMENT_COMPLETED", "SERVICE_STEADY_STATE"]
    );
    fixture.scale(0);
    fixture.advance(120);
    assert_eq!(names(&service_events(&mut fixture)), ["SERVICE_STEADY_STATE"], "the deployment stays completed");
    let described = service(&mut fixture);
    assert_eq!(messages(&described)[1], format!("(service jvb) has stopped 1 running tasks: (task {task})."));
}

#[test]
fn events_about_a_service_have_awss_form() {
    let mut fixture = with_all_events(fixture());
    fixture.inject(crate::world::Incident::NoCapacity { n: 1 }).unwrap();
    fixture.scale(1);
    fixture.advance(60);
    let events = fixture.events();
    let find = |name: &str| events.iter().find(|event| event["detail"]["eventName"] == name).unwrap();
    let placement = find("SERVICE_TASK_PLACEMENT_FAILURE");
    assert_eq!(placement["detail-type"], "ECS Service Action");
    assert_eq!(placement["resources"][0], "arn:aws:ecs:eu-west-1:111122223333:service/c/jvb");
    assert_eq!(
        placement["detail"],
        serde_json::json!({
            "eventType": "ERROR",
            "eventName": "SERVICE_TASK_PLACEMENT_FAILURE",
            "clusterArn": "arn:aws:ecs:eu-west-1:111122223333:cluster/c",
            "capacityProviderArns": ["arn:aws:ecs:eu-west-1:111122223333:capacity-provider/FARGATE"],
            "reason": "RESOURCE:FARGATE",
            "createdAt": "2026-11-20T18:00:05.000Z",
        })
    );
    let deployment = find("SERVICE_DEPLOYMENT_IN_PROGRESS");
    assert_eq!(deployment["detail-type"], "ECS Deployment State Change");
    let id = service(&mut fixture).deployments[0].id.clone();
    assert_eq!(
        deployment["detail"],
        serde_json::json!({
            "eventType": "INFO",
            "eventName": "SERVICE_DEPLOYMENT_IN_PROGRESS",
            "deploymentId": id,
            "updatedAt": "2026-11-20T18:00:00Z",
            "reason": format!("ECS deployment {id} in progress."),
        })
    );
}

#[test]
fn a_task_that_cannot_be_placed_is_tried_again() {
    let mut fixture = with_all_events(fixture());
    fixture.inject(crate::world::Incident::NoCapacity { n: 2 }).unwrap();
    fixture.scale(1);
    fixture.advance(40);
    assert_eq!(fixture.counts(), (1, 0, 0));
    let described = service(&mut fixture);
    assert!(messages(&described)[0].starts_with("(service jvb) was unable to place a task. Reason: Capacity"));
    assert_eq!(described.deployments[0].failed_tasks, 2);
    fixture.advance(80);
    assert_eq!(fixture.counts(), (1, 1, 0));
    assert_eq!(service(&mut fixture).deployments[0].failed_tasks, 0, "a task that runs resets the number");
    let placement_failures = service_events(&mut fixture);
    assert_eq!(placement_failures.iter().filter(|(name, _)| name == "SERVICE_TASK_PLACEMENT_FAILURE").count(), 2);
}

#[test]
fn tasks_that_fail_to_start_are_reported_once_until_one_starts() {
    let mut fixture = with_all_events(fixture());
    fixture.inject(crate::world::Incident::FailToStart { n: 5 }).unwrap();
    fixture.scale(1);
    fixture.advance(600);
    let events = service_events(&mut fixture);
    assert_eq!(
        names(&events),
        [
            "SERVICE_DEPLOYMENT_IN_PROGRESS",
            "SERVICE_TASK_START_IMPAIRED",
            "SERVICE_DEPLOYMENT_COMPLETED",
            "SERVICE_STEADY_STATE"
        ]
    );
    let text = "(service jvb) is unable to consistently start tasks successfully.";
    assert!(messages(&service(&mut fixture)).contains(&text));
}

#[test]
fn the_circuit_breaker_ends_a_deployment_whose_tasks_fail_to_start() {
    let mut fixture = with_all_events(fixture());
    update(&mut fixture, DeploymentCircuitBreaker { enable: true, rollback: false }, false);
    fixture.inject(crate::world::Incident::FailToStart { n: 100 }).unwrap();
    fixture.scale(1);
    fixture.advance(600);
    let described = service(&mut fixture);
    let deployment = &described.deployments[0];
    assert_eq!((deployment.rollout_state.as_str(), deployment.failed_tasks), ("FAILED", 3));
    assert_eq!(deployment.rollout_state_reason, "ECS deployment circuit breaker: tasks failed to start.");
    assert_eq!(fixture.world.tasks().len(), 3, "a failed deployment launches no more tasks");
    let events = service_events(&mut fixture);
    let reason = Some("ECS deployment circuit breaker: task failed to start.".to_owned());
    assert_eq!(events.last().unwrap(), &("SERVICE_DEPLOYMENT_FAILED".to_owned(), reason));
}

#[test]
fn a_failed_deployment_rolls_back_to_the_last_one_that_completed() {
    let mut fixture = with_all_events(fixture());
    fixture.scale(1);
    fixture.advance(60);
    let before = service(&mut fixture).deployments[0].clone();
    fixture.inject(crate::world::Incident::FailToStart { n: 3 }).unwrap();
    update(&mut fixture, DeploymentCircuitBreaker { enable: true, rollback: true }, true);
    fixture.advance(600);
    let after = service(&mut fixture).deployments.remove(0);
    assert_ne!(after.id, before.id);
    assert_eq!((after.rollout_state.as_str(), after.task_definition), ("COMPLETED", before.task_definition));
    let names: Vec<_> = service_events(&mut fixture).into_iter().map(|(name, _)| name).collect();
    let failed = names.iter().position(|name| name == "SERVICE_DEPLOYMENT_FAILED").expect("the first one fails");
    assert_eq!(names[failed + 1..][..2], ["SERVICE_DEPLOYMENT_IN_PROGRESS", "SERVICE_DEPLOYMENT_COMPLETED"]);
}

#[test]
fn a_task_definition_is_described_with_its_environment() {
    let mut fixture = fixture();
    let environment = vec![KeyValuePair { name: "JVB_ADVERTISE_IPS".to_owned(), value: "192.0.2.1".to_owned() }];
    let secrets = vec![Secret { name: "JVB_AUTH_PASSWORD".to_owned(), value_from: "arn:aws:ssm:p".to_owned() }];
    let container = ContainerDefinition {
        name: "jvb".to_owned(),
        image: "jvb".to_owned(),
        environment,
        secrets,
        ..ContainerDefinition::default()
    };
    let input = RegisterTaskDefinitionInput {
        family: "pinned".to_owned(),
        container_definitions: vec![container.clone()],
        ..RegisterTaskDefinitionInput::default()
    };
    fixture.ecs(Request::RegisterTaskDefinition(input)).unwrap();
    let describe = DescribeTaskDefinitionInput { task_definition: "pinned".to_owned() };
    let Ok(Response::DescribeTaskDefinition(output)) = fixture.ecs(Request::DescribeTaskDefinition(describe)) else {
        panic!()
    };
    assert_eq!(output.task_definition.container_definitions, [container]);
}
