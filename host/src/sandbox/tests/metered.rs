//! Limits of a plugin's own, and counting what it uses.

use std::time::Duration;

use super::*;

const LOOP: &str = "(loop $again (br $again)) (unreachable)";

fn meter(fuel: Option<u64>, time: Option<Duration>) -> Arc<Meter> {
    Arc::new(Meter::new(Quota { fuel, time, patience: None }))
}

#[test]
fn one_component_runs_under_different_limits_at_once() {
    let plugin = sandbox().load(&Guest::adjustment().decide(LOOP).build()).unwrap();
    for fuel_base in [1_000_000, 2_000_000] {
        let bounded = plugin.with(Limits { fuel_base, fuel_per_combination: 0, ..Limits::default() }, None);
        assert!(Arc::ptr_eq(&plugin.code, &bounded.code));
        let failure = bounded.open("{}", &september(), &[]).unwrap().decide(&[]).unwrap_err();
        assert!(matches!(failure, RuleFailure::OutOfFuel { call: "decide", limit, .. } if limit == fuel_base), "{failure}");
    }
}

#[test]
fn a_smaller_memory_than_the_sandboxs_is_enforced_and_a_larger_one_is_cut_to_it() {
    let bomb = "(loop $again (drop (memory.grow (i32.const 16))) (br $again)) (unreachable)";
    let plugin = sandbox().load(&Guest::adjustment().decide(bomb).build()).unwrap();
    for (asked, given) in [(8 << 20, 8 << 20), (1 << 30, 64 << 20)] {
        let bounded = plugin.with(Limits { memory_bytes: asked, ..Limits::default() }, None);
        assert_eq!(bounded.limits().memory_bytes, given);
        let failure = bounded.open("{}", &september(), &[]).unwrap().decide(&[]).unwrap_err();
        assert!(matches!(failure, RuleFailure::Memory { call: "decide", limit, .. } if limit == given), "{failure}");
    }
    let tiny = plugin.with(Limits { memory_bytes: 1 << 16, ..Limits::default() }, None);
    let failure = tiny.configure("{}", &september()).unwrap_err();
    assert!(matches!(failure, ConfigureError::Failed(RuleFailure::Memory { call: "start", .. })), "{failure}");
}

#[test]
fn a_meter_counts_calls_items_fuel_memory_and_the_nearest_miss_the_same_each_time() {
    let plugin = sandbox().load(&Guest::adjustment().build()).unwrap();
    let count = || {
        let meter = meter(None, None);
        let plugin = plugin.with(Limits::default(), Some(Arc::clone(&meter)));
        let mut rater = plugin.open("{}", &september(), &[]).unwrap();
        rater.decide(&[text(&["a", "b"], &[0, 1])]).unwrap();
        rater.apply(&[0, 1, 0], &[RuleMoney::Narrow { scale: 2, units: vec![1, 2, 3] }]).unwrap();
        rater.apply(&[0], &[RuleMoney::Narrow { scale: 2, units: vec![1] }]).unwrap();
        meter.usage()
    };
    let usage = count();
    let seen: Vec<_> = usage.calls.iter().map(|call| (call.call, call.calls, call.items)).collect();
    assert_eq!(seen, [("start", 1, 0), ("open", 1, 0), ("decide", 1, 2), ("apply", 2, 4)]);
    assert_eq!(usage.fuel, usage.calls.iter().map(|call| call.fuel).sum::<u64>());
    assert!(usage.call("decide").unwrap().fuel > 0 && usage.longest() > Duration::ZERO);
    assert_eq!(usage.memory_bytes, 2 << 16);
    let fuel = |usage: &Usage| usage.calls.iter().map(|call| (call.fuel, call.tightest_ppm)).collect::<Vec<_>>();
    assert_eq!(fuel(&count()), fuel(&usage));
}

#[test]
fn the_tightest_call_is_told_by_its_share_of_its_budget() {
    let meter = meter(None, None);
    let plugin = sandbox().load(&Guest::adjustment().decide(LOOP).build()).unwrap();
    let plugin = plugin.with(Limits { fuel_base: 1_000_000, ..Limits::default() }, Some(Arc::clone(&meter)));
    plugin.open("{}", &september(), &[]).unwrap().decide(&[]).unwrap_err();
    let usage = meter.usage();
    let tightest = usage.tightest().unwrap();
    assert_eq!((tightest.call, tightest.tightest_ppm), ("decide", 1_000_000));
}

#[test]
fn a_quota_of_fuel_is_shared_by_every_call_and_used_to_the_last_instruction() {
    let plugin = sandbox().load(&Guest::adjustment().build()).unwrap();
    let run = |quota| {
        let meter = meter(quota, None);
        let plugin = plugin.with(Limits::default(), Some(Arc::clone(&meter)));
        (plugin.open("{}", &september(), &[]).and_then(|mut rater| rater.decide(&[])).map(|decisions| decisions.len()), meter.usage().fuel)
    };
    let (answer, fuel) = run(None);
    assert_eq!(answer, Ok(1));
    assert_eq!(run(Some(fuel)), (Ok(1), fuel));
    let (answer, _) = run(Some(fuel - 1));
    assert_eq!(answer, Err(RuleFailure::QuotaFuel { limit: fuel - 1 }));
    assert!(answer.unwrap_err().to_string().starts_with(&format!("the tenant's quota of {} instructions is used up", fuel - 1)));
    assert_eq!(run(Some(0)), (Err(RuleFailure::QuotaFuel { limit: 0 }), 0));
}

#[test]
fn the_verdict_of_a_quota_does_not_depend_on_which_calls_ran_at_once() {
    let plugin = sandbox().load(&Guest::adjustment().build()).unwrap();
    let all = |quota| {
        let meter = meter(quota, None);
        let plugin = plugin.with(Limits::default(), Some(Arc::clone(&meter)));
        let failed: usize = std::thread::scope(|scope| {
            let workers: Vec<_> =
                (0..4).map(|_| scope.spawn(|| (0..20).filter(|_| plugin.configure("{}", &september()).is_err()).count())).collect();
            workers.into_iter().map(|worker| worker.join().unwrap()).sum()
        });
        (failed, meter.usage().fuel)
    };
    let (failed, fuel) = all(None);
    assert_eq!(failed, 0);
    for _ in 0..10 {
        assert_eq!(all(Some(fuel)), (0, fuel));
        assert!(all(Some(fuel - 1)).0 > 0);
    }
}

#[test]
fn a_quota_of_time_stops_a_call_that_its_own_deadline_would_let_run() {
    let meter = meter(None, Some(Duration::from_secs(1)));
    let plugin = sandbox().load(&Guest::adjustment().decide(LOOP).build()).unwrap();
    let plugin = plugin.with(Limits { fuel_base: u64::MAX / 4, ..Limits::default() }, Some(meter));
    let failure = plugin.open("{}", &september(), &[]).unwrap().decide(&[]).unwrap_err();
    assert_eq!(failure, RuleFailure::QuotaTime { limit: Duration::from_secs(1) });
    assert!(failure.to_string().contains("1000 ms"), "{failure}");
    assert_eq!(plugin.configure("{}", &september()), Err(ConfigureError::Failed(RuleFailure::QuotaTime { limit: Duration::from_secs(1) })));
}

const MINUTE: Duration = Duration::from_secs(60);

/// Of a tenth of a second for a call, whatever it is given, and a minute for all of them.
fn patient(stops: bool) -> Patience {
    Patience { call: Duration::from_millis(100), item: Duration::ZERO, total: MINUTE, stops }
}

fn tried(patience: Patience) -> (Arc<Meter>, Arc<Plugin>) {
    let meter = Arc::new(Meter::new(Quota { patience: Some(patience), ..Quota::default() }));
    let plugin = sandbox().load(&Guest::adjustment().decide(LOOP).build()).unwrap();
    let limits = Limits { fuel_base: u64::MAX / 4, deadline: Duration::from_secs(1), ..Limits::default() };
    (Arc::clone(&meter), plugin.with(limits, Some(meter)))
}

#[test]
fn a_call_that_tries_our_patience_is_stopped_and_those_after_it_are_not_begun() {
    let (meter, plugin) = tried(patient(true));
    let mut rater = plugin.open("{}", &september(), &[]).unwrap();
    assert!(meter.is_at_ease());
    assert_eq!(rater.decide(&[]), Err(RuleFailure::Patience));
    assert!(meter.is_exhausted() && !meter.is_at_ease());
    let used = meter.usage().time;
    assert!(used >= Duration::from_millis(100) && used < Duration::from_secs(1), "{used:?}");
    assert_eq!(plugin.configure("{}", &september()), Err(ConfigureError::Failed(RuleFailure::Patience)));
}

#[test]
fn there_is_more_patience_with_a_call_that_is_given_more() {
    let (meter, plugin) = tried(Patience { item: MINUTE, ..patient(true) });
    let failure = plugin.open("{}", &september(), &[]).unwrap().decide(&[text(&["a"], &[0])]).unwrap_err();
    assert!(matches!(failure, RuleFailure::Deadline { call: "decide", .. }), "{failure}");
    assert!(!meter.is_exhausted());
}

#[test]
fn patience_ends_with_all_calls_together() {
    let (meter, plugin) = tried(Patience { total: Duration::ZERO, ..patient(true) });
    assert_eq!(plugin.configure("{}", &september()), Err(ConfigureError::Failed(RuleFailure::Patience)));
    assert!(meter.is_exhausted());
}

#[test]
fn patience_that_stops_nothing_is_noticed() {
    let (meter, plugin) = tried(patient(false));
    let failure = plugin.open("{}", &september(), &[]).unwrap().decide(&[]).unwrap_err();
    assert!(matches!(failure, RuleFailure::Deadline { call: "decide", .. }), "{failure}");
    assert!(!meter.is_exhausted() && !meter.is_at_ease());
}
