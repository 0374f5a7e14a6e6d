//! What holds whatever is called, and whatever happens.

use std::collections::BTreeSet;

use super::*;

/// One thing that somebody does.
#[derive(Clone, Debug)]
enum Deed {
    Wait(u64),
    Scale(i32),
    Crash,
    Notice,
    Fail,
    Deploy,
    Stop(usize),
    Run,
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let deed = prop_oneof![
        4 => (0..90_u64).prop_map(Deed::Wait),
        2 => (0..5_i32).prop_map(Deed::Scale),
        1 => Just(Deed::Crash),
        1 => Just(Deed::Notice),
        1 => Just(Deed::Fail),
        1 => Just(Deed::Deploy),
        1 => (0..9_usize).prop_map(Deed::Stop),
        1 => Just(Deed::Run),
    ];
    proptest::collection::vec(deed, 1..40)
}

fn perform(stage: &mut Stage, deed: &Deed) {
    let service = "jvb".to_owned();
    // Crashing a task where none runs fails, and so do some of the others; that is part of it.
    match deed {
        Deed::Wait(seconds) => stage.pass(*seconds),
        Deed::Scale(desired) => stage.scale(*desired),
        Deed::Crash => drop(stage.inject(Incident::CrashTask { service, task: None, exit_code: 1 })),
        Deed::Notice => drop(stage.inject(Incident::SpotNotice { service, task: None })),
        Deed::Fail => drop(stage.inject(Incident::FailToStart { n: 1 })),
        Deed::Deploy => {
            let input = ecs_api::UpdateServiceInput {
                cluster: Some("c".to_owned()),
                service,
                force_new_deployment: true,
                ..ecs_api::UpdateServiceInput::default()
            };
            stage.ecs(ecs_api::Request::UpdateService(input)).unwrap();
        }
        Deed::Stop(index) => {
            if let Some(task) = stage.world.tasks().get(*index) {
                let (cluster, task) = (Some("c".to_owned()), task.id.clone());
                stage.ecs(ecs_api::Request::StopTask(ecs_api::StopTaskInput { cluster, task, reason: None })).unwrap();
            }
        }
        Deed::Run => {
            let input = ecs_api::RunTaskInput {
                cluster: Some("c".to_owned()),
                task_definition: "jitsi".to_owned(),
                group: Some("service:jvb".to_owned()),
                ..ecs_api::RunTaskInput::default()
            };
            stage.ecs(ecs_api::Request::RunTask(input)).unwrap();
        }
    }
}

fn hostile() -> Settings {
    let mut settings = Settings::default();
    settings.events.duplicated = 0.3;
    settings.events.lost = 0.1;
    settings.events.reordered = 0.3;
    settings
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn the_same_seed_and_calls_give_the_same_world(deeds in deeds(), seed in 0..1000_u64) {
        let run = || {
            let mut stage = Stage::new(hostile(), seed);
            for deed in &deeds {
                perform(&mut stage, deed);
            }
            format!("{:?}", stage.world)
        };
        prop_assert_eq!(run(), run());
    }

    #[test]
    fn how_often_somebody_looks_changes_nothing(deeds in deeds()) {
        let mut rarely = Stage::new(Settings::default(), 1);
        let mut often = Stage::new(Settings::default(), 1);
        for deed in &deeds {
            perform(&mut rarely, deed);
            if let Deed::Wait(seconds) = deed {
                (0..*seconds).for_each(|_| often.pass(1));
            } else {
                perform(&mut often, deed);
            }
        }
        prop_assert_eq!(format!("{:?}", rarely.world), format!("{:?}", often.world));
    }

    #[test]
    fn versions_rise_by_one_and_addresses_have_one_holder(deeds in deeds()) {
        let mut stage = Stage::new(Settings::default(), 7);
        let mut versions: BTreeMap<String, i64> = BTreeMap::new();
        for deed in &deeds {
            perform(&mut stage, deed);
            let living = stage.world.tasks().into_iter().filter(|task| task.last_status != "STOPPED");
            let mut held = BTreeSet::new();
            for address in living.filter_map(|task| task.address) {
                prop_assert!(held.insert(address), "{address} is held twice");
            }
            for event in stage.events() {
                let task = event["detail"]["taskArn"].as_str().unwrap().to_owned();
                let version = event["detail"]["version"].as_i64().unwrap();
                let last = versions.insert(task, version).unwrap_or(0);
                prop_assert_eq!(version, last + 1);
            }
        }
    }

    #[test]
    fn left_alone_a_service_comes_to_its_desired_count(deeds in deeds()) {
        let mut stage = Stage::new(hostile(), 3);
        for deed in &deeds {
            perform(&mut stage, deed);
        }
        stage.pass(900);
        let (desired, running, pending) = stage.counts();
        prop_assert_eq!((running, pending), (desired, 0));
        let of_service = |task: &TaskView| task.last_status == "RUNNING" && task.desired_status == "RUNNING";
        prop_assert!(stage.world.tasks().into_iter().filter(of_service).count() >= usize::try_from(running).unwrap());
    }
}
