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
    match fixture.ecs(Request::DescribeServices(DescribeServicesInput { cluster: cluster(), services }))? {
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
        let input = DescribeServicesInput { cluster: Some(cluster.to_owned()), services: vec!["s".to_owned()] };
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
            let container = ContainerDefinition {
                name: "jvb".to_owned(),
                image: "jvb".to_owned(),
                ..ContainerDefinition::default()
            };
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
