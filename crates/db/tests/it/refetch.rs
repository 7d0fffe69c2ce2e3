//! The queue of what is fetched again, on both engines.

use jiff::{SignedDuration, Timestamp};
use snowguard_db::refetch::{Counts, End, NewTask, RefetchQueue, Step, Task};
use snowguard_testkit::database::Scratch;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).unwrap()
}

/// One exchange of a worker.
fn step(
    queue: &RefetchQueue,
    worker: &str,
    (want, now): (usize, i64),
    ended: &[(Task, End)],
    busy: &[&str],
) -> Vec<Task> {
    let busy: Vec<String> = busy.iter().map(|host| (*host).to_owned()).collect();
    let taken = queue.step(&Step {
        worker,
        ended,
        running: &[],
        want,
        busy: &busy,
        now: at(now),
        longest_pause: SignedDuration::from_secs(600),
        lease: SignedDuration::from_secs(60),
    });
    taken.unwrap()
}

fn keys(tasks: &[Task]) -> Vec<&str> {
    let mut keys: Vec<&str> = tasks.iter().map(|task| &*task.key).collect();
    keys.sort_unstable();
    keys
}

fn add(queue: &RefetchQueue, tasks: &[(&str, &str)]) -> u64 {
    let tasks: Vec<NewTask<'_>> = tasks
        .iter()
        .map(|(key, host)| NewTask {
            key,
            host,
            payload: key.as_bytes(),
        })
        .collect();
    let added = queue.add("one", &tasks, at(0)).unwrap();
    for other in ["two", "three"] {
        assert_eq!(queue.add(other, &tasks, at(0)).unwrap(), 0);
    }
    added
}

fn done(task: &Task, verdict: &str) -> (Task, End) {
    let end = End::Done {
        verdict: verdict.into(),
        result: task.key.clone().into_bytes(),
    };
    (task.clone(), end)
}

fn results(queue: &RefetchQueue) -> Vec<String> {
    let all = queue.results().unwrap().into_iter();
    all.map(|done| format!("{}={}", done.key, String::from_utf8_lossy(&done.result)))
        .collect()
}

/// Runs a body on both engines.
fn on_both(body: impl Fn(&RefetchQueue)) {
    let (file, server) = (Scratch::sqlite().unwrap(), Scratch::postgres().unwrap());
    for scratch in [&file, &server] {
        body(
            &RefetchQueue::open(scratch.name())
                .unwrap()
                .with_times_of_callers(),
        );
        // It is there already.
        RefetchQueue::open(scratch.name()).unwrap();
    }
}

#[test]
fn a_task_is_done_once() {
    on_both(|queue| {
        assert_eq!(add(queue, &[("a", "x"), ("b", "x"), ("c", "y")]), 3);
        assert_eq!(add(queue, &[("a", "x"), ("d", "y")]), 1);
        let first = step(queue, "one", (2, 0), &[], &[]);
        assert_eq!(keys(&first), ["a", "b"]);
        assert_eq!(first[0].payload, first[0].key.as_bytes());
        let second = step(queue, "two", (9, 1), &[], &["x"]);
        assert_eq!(keys(&second), ["c", "d"]);
        let ended = [done(&first[0], "ok"), done(&first[1], "gone")];
        assert!(step(queue, "one", (9, 2), &ended, &[]).is_empty());
        let counts = Counts {
            waiting: 0,
            running: 2,
            done: 2,
        };
        assert_eq!(queue.counts("one").unwrap(), counts);
        // Whoever does not have it says nothing about it.
        step(queue, "one", (0, 3), &[done(&second[0], "ok")], &[]);
        assert_eq!(queue.counts("one").unwrap(), counts);
        assert_eq!(results(queue), ["a=a", "b=b"]);
        // What is gone is looked at again, and nothing else.
        let all: Vec<String> = ["a", "b", "c"].map(str::to_owned).into();
        assert_eq!(queue.again(&all, &["gone", "mismatch"], at(4)).unwrap(), 1);
        assert_eq!(keys(&step(queue, "one", (9, 4), &[], &[])), ["b"]);
        assert_eq!(queue.again(&all, &[], at(4)).unwrap(), 1);
    });
}

#[test]
fn what_a_worker_leaves_is_taken_by_another() {
    on_both(|queue| {
        add(queue, &[("a", "x"), ("b", "x")]);
        let lost = step(queue, "one", (2, 0), &[], &[]);
        assert!(step(queue, "two", (2, 59), &[], &[]).is_empty());
        let taken = step(queue, "two", (2, 60), &[], &[]);
        assert_eq!(keys(&taken), ["a", "b"]);
        assert!(taken.iter().all(|task| task.attempt == 2 && task.lost == 1));
        // The first one comes back too late.
        step(queue, "one", (0, 61), &[done(&lost[0], "ok")], &[]);
        assert!(results(queue).is_empty());
        let ended = [
            (taken[0].clone(), End::Later(SignedDuration::from_secs(38))),
            (taken[1].clone(), End::Released),
        ];
        let again = step(queue, "two", (2, 62), &ended, &[]);
        assert_eq!(keys(&again), [&*taken[1].key]);
        assert_eq!(again[0].attempt, 2);
        assert!(step(queue, "two", (2, 99), &[], &[]).is_empty());
        assert_eq!(step(queue, "two", (2, 100), &[], &[])[0].attempt, 3);
        assert_eq!(queue.take_back_all(at(101)).unwrap(), 2);
        // Nobody is there any more who wants anything.
        assert!(step(queue, "three", (9, 101), &[], &[]).is_empty());
        assert_eq!(add(queue, &[("a", "x"), ("b", "x")]), 0);
        let last = step(queue, "three", (9, 101), &[], &[]);
        assert!(last.iter().all(|task| task.lost == 2), "{last:?}");
        assert_eq!(last.len(), 2);
        // Begun anew, nothing is held against it.
        step(queue, "three", (0, 102), &[done(&last[0], "failed")], &[]);
        let all: Vec<String> = ["a", "b"].map(str::to_owned).into();
        assert_eq!(queue.again(&all, &["failed"], at(103)).unwrap(), 1);
        assert_eq!(step(queue, "three", (9, 103), &[], &[])[0].lost, 0);
    });
}

#[test]
fn a_worker_gets_what_it_wants_and_nothing_else() {
    on_both(|queue| {
        let task = |key| NewTask {
            key,
            host: "x",
            payload: b"",
        };
        queue.add("one", &[task("a"), task("b")], at(0)).unwrap();
        queue.add("two", &[task("b"), task("c")], at(0)).unwrap();
        let taken = step(queue, "two", (9, 1), &[], &[]);
        assert_eq!(keys(&taken), ["b", "c"]);
        let counts = queue.counts("one").unwrap();
        assert_eq!((counts.waiting, counts.running), (1, 1));
        queue.leave("one").unwrap();
        assert!(step(queue, "one", (9, 2), &[], &[]).is_empty());
        assert_eq!(queue.counts("one").unwrap(), Counts::default());
    });
}

#[test]
fn what_is_old_is_done_again_and_what_came_before_is_known() {
    on_both(|queue| {
        add(queue, &[("a", "x"), ("b", "x")]);
        let taken = step(queue, "one", (2, 0), &[], &[]);
        assert!(taken.iter().all(|task| task.before.is_none()));
        let ended = [done(&taken[0], "ok"), done(&taken[1], "gone")];
        step(queue, "one", (0, 10), &ended, &[]);
        let all: Vec<String> = ["a", "b"].map(str::to_owned).into();
        let age = SignedDuration::from_secs(100);
        assert_eq!(queue.outdated(&all[..1], age, at(110)).unwrap(), 0);
        assert_eq!(queue.outdated(&all[..1], age, at(111)).unwrap(), 1);
        assert_eq!(queue.again(&all, &[], at(111)).unwrap(), 1);
        let mut taken = step(queue, "one", (2, 111), &[], &[]);
        taken.sort_by(|a, b| a.key.cmp(&b.key));
        assert_eq!(taken[0].before.as_deref(), Some(&b"a"[..]));
        assert_eq!(taken[1].before, None);
        // What was well stays known, however often it is not well since.
        step(queue, "one", (0, 112), &[done(&taken[0], "mismatch")], &[]);
        assert_eq!(queue.again(&all, &["mismatch"], at(113)).unwrap(), 1);
        let taken = step(queue, "one", (2, 113), &[], &[]);
        assert_eq!(taken[0].before.as_deref(), Some(&b"a"[..]));
    });
}

#[test]
fn a_clock_that_is_set_back_delays_nothing() {
    on_both(|queue| {
        add(queue, &[("a", "x")]);
        let taken = step(queue, "one", (1, 7200), &[], &[]);
        let later = End::Later(SignedDuration::from_secs(60));
        step(queue, "one", (0, 7200), &[(taken[0].clone(), later)], &[]);
        assert!(step(queue, "one", (1, 7259), &[], &[]).is_empty());
        assert_eq!(step(queue, "one", (1, 3600), &[], &[]).len(), 1);
    });
}

#[test]
fn a_worker_whose_clock_is_ahead_takes_nothing_from_others() {
    let server = Scratch::postgres().unwrap();
    let queue = RefetchQueue::open(server.name()).unwrap();
    add(&queue, &[("a", "x"), ("b", "x")]);
    // Both of these times are years ahead, and years apart.
    let first = step(&queue, "one", (1, 500_000_000), &[], &[]);
    assert_eq!(keys(&first), ["a"]);
    let second = step(&queue, "two", (2, 900_000_000), &[], &[]);
    assert_eq!(keys(&second), ["b"]);
    step(&queue, "one", (0, 0), &[done(&first[0], "ok")], &[]);
    let finished = queue.results().unwrap()[0].finished;
    assert!(
        finished < at(500_000_000) - SignedDuration::from_hours(24),
        "{finished}"
    );
}

#[test]
fn several_workers_have_no_task_together() {
    on_both(|queue| {
        let names: Vec<String> = (0..200).map(|n| format!("task-{n}")).collect();
        let tasks: Vec<(&str, &str)> = names.iter().map(|name| (&**name, "x")).collect();
        add(queue, &tasks);
        std::thread::scope(|scope| {
            for worker in ["one", "two", "three"] {
                scope.spawn(move || {
                    let mut ended = Vec::new();
                    loop {
                        let taken = step(queue, worker, (7, 1), &ended, &[]);
                        if taken.is_empty() && ended.is_empty() {
                            break;
                        }
                        ended = taken.iter().map(|task| done(task, "ok")).collect();
                    }
                });
            }
        });
        assert_eq!(queue.counts("two").unwrap().done, 200);
        assert!(
            queue
                .attempts()
                .unwrap()
                .iter()
                .all(|(_, count)| *count == 1)
        );
    });
}

#[test]
fn a_queue_is_no_tracker() {
    let scratch = Scratch::sqlite().unwrap();
    snowguard_db::Database::open(scratch.name()).unwrap();
    assert!(RefetchQueue::open(scratch.name()).is_err());
}
