//! Properties that hold after any sequence of requests and incidents.

use std::collections::BTreeSet;

use super::*;

/// A request, an incident or a pause.
#[derive(Clone, Debug)]
enum Action {
    Wait(u64),
    Scale(i32),
    Crash,
    Notice,
    Fail,
    Deploy,
    Stop(usize),
    Run,
}

fn actions() -> impl Strategy<Value = Vec<Action>> {
    let action = prop_oneof![
        4 => (0..90_u64).prop_map(Action::Wait),
        2 => (0..5_i32).prop_map(Action::Scale),
        1 => Just(Action::Crash),
        1 => Just(Action::Notice),
        1 => Just(Action::Fail),
        1 => Just(Action::Deploy),
        1 => (0..9_usize).prop_map(Action::Stop),
        1 => Just(Action::Run),
    ];
    proptest::collection::vec(action, 1..40)
}

fn perform(fixture: &mut Fixture, action: &Action) {
    let service = "jvb".to_owned();
    // Some actions fail, such as a crash when no task runs; the properties hold all the same.
    match action {
        Action::Wait(seconds) => fixture.advance(*seconds),
        Action::Scale(desired) => fixture.scale(*desired),
        Action::Crash => drop(fixture.inject(Incident::CrashTask { service, task: None, exit_code: 1 })),
        Action::Notice => drop(fixture.inject(Incident::SpotNotice { service, task: None })),
        Action::Fail => drop(fixture.inject(Incident::FailToStart { n: 1 })),
        Action::Deploy => {
            let input = ecs_api::UpdateServiceInput {
                cluster: Some("c".to_owned()),
                service,
                force_new_deployment: true,
                ..ecs_api::UpdateServiceInput::default()
            };
            fixture.ecs(ecs_api::Request::UpdateService(input)).unwrap();
        }
        Action::Stop(index) => {
            if let Some(task) = fixture.world.tasks().get(*index) {
                let (cluster, task) = (Some("c".to_owned()), task.id.clone());
                fixture
                    .ecs(ecs_api::Request::StopTask(ecs_api::StopTaskInput { cluster, task, reason: None }))
                    .unwrap();
            }
        }
        Action::Run => {
            let input = ecs_api::RunTaskInput {
                cluster: Some("c".to_owned()),
                task_definition: "jitsi".to_owned(),
                group: Some("service:jvb".to_owned()),
                ..ecs_api::RunTaskInput::default()
            };
            fixture.ecs(ecs_api::Request::RunTask(input)).unwrap();
        }
    }
}

fn unreliable_events() -> Settings {
    let mut settings = Settings::default();
    settings.events.duplicated = 0.3;
    settings.events.lost = 0.1;
    settings.events.reordered = 0.3;
    settings
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn the_same_seed_and_actions_give_the_same_world(actions in actions(), seed in 0..1000_u64) {
        let run = || {
            let mut fixture = Fixture::new(unreliable_events(), seed);
            for action in &actions {
                perform(&mut fixture, action);
            }
            format!("{:?}", fixture.world)
        };
        prop_assert_eq!(run(), run());
    }

    #[test]
    fn the_number_of_steps_changes_nothing(actions in actions()) {
        let mut few_steps = Fixture::new(Settings::default(), 1);
        let mut many_steps = Fixture::new(Settings::default(), 1);
        for action in &actions {
            perform(&mut few_steps, action);
            if let Action::Wait(seconds) = action {
                (0..*seconds).for_each(|_| many_steps.advance(1));
            } else {
                perform(&mut many_steps, action);
            }
        }
        prop_assert_eq!(format!("{:?}", few_steps.world), format!("{:?}", many_steps.world));
    }

    #[test]
    fn versions_rise_by_one_and_each_address_belongs_to_one_task(actions in actions()) {
        let mut fixture = Fixture::new(Settings::default(), 7);
        let mut versions: BTreeMap<String, i64> = BTreeMap::new();
        for action in &actions {
            perform(&mut fixture, action);
            let unstopped = fixture.world.tasks().into_iter().filter(|task| task.last_status != "STOPPED");
            let mut assigned = BTreeSet::new();
            for address in unstopped.filter_map(|task| task.address) {
                prop_assert!(assigned.insert(address), "{address} belongs to two tasks");
            }
            for event in fixture.events() {
                let task = event["detail"]["taskArn"].as_str().unwrap().to_owned();
                let version = event["detail"]["version"].as_i64().unwrap();
                let last = versions.insert(task, version).unwrap_or(0);
                prop_assert_eq!(version, last + 1);
            }
        }
    }

    #[test]
    fn a_service_converges_to_its_desired_count(actions in actions()) {
        let mut fixture = Fixture::new(unreliable_events(), 3);
        for action in &actions {
            perform(&mut fixture, action);
        }
        fixture.advance(900);
        let (desired, running, pending) = fixture.counts();
        prop_assert_eq!((running, pending), (desired, 0));
        let of_service = |task: &TaskView| task.last_status == "RUNNING" && task.desired_status == "RUNNING";
        prop_assert!(fixture.world.tasks().into_iter().filter(of_service).count() >= usize::try_from(running).unwrap());
    }
}
