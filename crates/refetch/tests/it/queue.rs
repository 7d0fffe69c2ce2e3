//! The loop over a queue: how soon one host is asked again, and what is tried again.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use snowguard_db::refetch::{Counts, NewTask, RefetchQueue};
use snowguard_fod::Verdict;
use snowguard_refetch::{Gate, HostLimits, Job, Notice, Work, Worked};
use snowguard_testkit::web::{Fault, Web};

use crate::fetched::flat;
use crate::support::Place;

/// What was told on the way.
#[derive(Default)]
struct Told {
    /// By the path of the first address.
    ended: BTreeMap<String, Verdict>,
    later: Vec<(String, SignedDuration)>,
    counts: Option<Counts>,
}

/// Works all off, eight at once.
fn work(place: &Place, jobs: &[Job], tries: u32, longest_pause: SignedDuration) -> Told {
    let queue = place.scratch.path().join("queue.db");
    let queue = RefetchQueue::open(queue.to_str().unwrap()).unwrap();
    for job in jobs {
        let payload = serde_json::to_vec(job).unwrap();
        let task = NewTask {
            key: &job.key(),
            host: &job.host(),
            payload: &payload,
        };
        queue.add("one", &[task], Timestamp::now()).unwrap();
    }
    let work = Work {
        queue: &queue,
        verifier: place.verifier(None, None),
        worker: "one",
        at_once: 8,
        tries,
        pause: SignedDuration::from_millis(10),
        longest_pause,
        stop: &AtomicBool::new(false),
    };
    let mut told = Told::default();
    let path = |job: &Job| format!("/{}", job.urls[0].rsplit('/').next().unwrap());
    let worked = work.run(&mut |notice| match notice {
        Notice::Ended { job, outcome } => {
            told.ended.insert(path(job), outcome.verdict);
        }
        Notice::Later { job, pause, .. } => told.later.push((path(job), pause)),
        Notice::Counts(counts) => told.counts = Some(counts),
    });
    assert_eq!(worked.unwrap(), Worked::Done);
    told
}

#[test]
fn one_host_is_asked_no_sooner_and_by_no_more_than_it_may_be() {
    const PACE: Duration = Duration::from_millis(15);
    let (web, mut place) = (Web::start().unwrap(), Place::private());
    place.gate = Gate::new(HostLimits {
        at_once: 2,
        pace: PACE,
    });
    let arrivals = Arc::new(Mutex::new(Vec::new()));
    let (running, most) = (AtomicUsize::new(0), Arc::new(AtomicUsize::new(0)));
    let (seen, highest) = (Arc::clone(&arrivals), Arc::clone(&most));
    web.answer_with(move |_| {
        seen.lock().unwrap().push(Instant::now());
        let now = running.fetch_add(1, Ordering::SeqCst) + 1;
        highest.fetch_max(now, Ordering::SeqCst);
        std::thread::sleep(3 * PACE);
        running.fetch_sub(1, Ordering::SeqCst);
        None
    });
    let jobs: Vec<Job> = (0..8)
        .map(|n| {
            web.put(&format!("/{n}"), "right");
            flat(&[web.url(&format!("/{n}"))], b"right")
        })
        .collect();
    let begin = Instant::now();
    let told = work(&place, &jobs, 1, SignedDuration::ZERO);
    assert!(told.ended.values().all(|verdict| *verdict == Verdict::Ok));
    let mut arrivals = arrivals.lock().unwrap().clone();
    arrivals.sort();
    assert_eq!(arrivals.len(), jobs.len());
    // A slow machine makes them later, and nothing may make them sooner.
    for (before, arrival) in (0_u32..).zip(arrivals) {
        assert!(arrival - begin >= before * PACE, "{before}");
    }
    assert!(most.load(Ordering::SeqCst) <= 2);
}

#[test]
fn what_may_pass_is_tried_again_with_longer_pauses_and_nothing_else_is() {
    let (web, place) = (Web::start().unwrap(), Place::private());
    web.put("/busy", "right");
    let unavailable = || Fault::Status(503, Vec::new());
    web.fail("/busy", [unavailable(), unavailable()]);
    web.fail_always("/down", unavailable());
    web.fail_always("/no", Fault::Status(403, Vec::new()));
    web.put("/wrong", "wrong");
    let paths = ["/busy", "/down", "/gone", "/no", "/wrong"];
    let jobs = paths.map(|path| flat(&[web.url(path)], b"right"));
    let told = work(&place, &jobs, 4, SignedDuration::from_millis(25));
    let ended: Vec<String> = told
        .ended
        .iter()
        .map(|(path, verdict)| format!("{path} {verdict}"))
        .collect();
    insta::assert_snapshot!(ended.join("\n"), @r"
    /busy ok
    /down transient
    /gone gone
    /no failed
    /wrong mismatch
    ");
    let pauses = |path: &str| -> Vec<i128> {
        let of_it = told.later.iter().filter(|(of, _)| of == path);
        of_it.map(|(_, pause)| pause.as_millis()).collect()
    };
    assert_eq!(pauses("/busy"), [10, 20]);
    // Doubled, up to the longest.
    assert_eq!(pauses("/down"), [10, 20, 25]);
    assert_eq!(told.later.len(), 5);
    let mut asked: BTreeMap<String, usize> = BTreeMap::new();
    for seen in web.seen() {
        *asked.entry(seen.path).or_default() += 1;
    }
    assert_eq!(paths.map(|path| asked[path]), [3, 4, 1, 1, 1], "{asked:?}");
    // What is left is told on the way, to its end.
    let counts = told.counts.unwrap();
    assert_eq!((counts.waiting, counts.running, counts.done), (0, 0, 5));
}
