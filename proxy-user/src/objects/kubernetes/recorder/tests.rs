//! What is told when.

use std::time::Duration;

use tokio::time::Instant;

use super::schedule::Schedule;
use crate::complaint::{Complaint, Reason};
use crate::model::ServiceRef;

fn no_room(service: &str, text: &str) -> Complaint {
    Complaint::about_service(&ServiceRef::new("default", service), Reason::TableFull, text)
}

/// Tells all that is due within `time`; how many that were.
fn tell(schedule: &mut Schedule, now: &mut Instant, time: Duration) -> usize {
    let end = *now + time;
    let mut told = 0;
    while let Some((at, complaint)) = schedule.next().map(|(at, it)| (at, it.clone()))
        && at <= end
    {
        *now = (*now).max(at);
        schedule.done(&complaint, true, *now);
        told += 1;
    }
    *now = end;
    told
}

const MINUTE: Duration = Duration::from_mins(1);

#[test]
fn what_lasts_is_told_once_and_again_before_its_event_expires() {
    let mut now = Instant::now();
    let mut schedule = Schedule::new(now);
    schedule.set(vec![no_room("web", "")], now);
    assert_eq!(tell(&mut schedule, &mut now, Duration::ZERO), 1);
    assert_eq!(tell(&mut schedule, &mut now, 49 * MINUTE), 0);
    assert_eq!(tell(&mut schedule, &mut now, 10 * MINUTE), 1);
}

#[test]
fn what_comes_and_goes_is_told_once() {
    let mut now = Instant::now();
    let mut schedule = Schedule::new(now);
    let mut told = 0;
    for _ in 0..10 {
        schedule.set(vec![no_room("web", "")], now);
        told += tell(&mut schedule, &mut now, MINUTE);
        schedule.set(vec![], now);
        told += tell(&mut schedule, &mut now, MINUTE);
    }
    assert_eq!(told, 1);
}

#[test]
fn what_is_no_more_is_not_told() {
    let mut now = Instant::now();
    let mut schedule = Schedule::new(now);
    schedule.set(vec![no_room("web", "")], now);
    schedule.set(vec![], now);
    assert_eq!(tell(&mut schedule, &mut now, MINUTE), 0);
}

#[test]
fn a_text_that_keeps_changing_is_told_a_few_times() {
    let mut now = Instant::now();
    let mut schedule = Schedule::new(now);
    let mut told = 0;
    for room in 0..40 {
        schedule.set(vec![no_room("web", &format!("room for {room}"))], now);
        told += tell(&mut schedule, &mut now, MINUTE);
    }
    assert_eq!(told, 5);
}

#[test]
fn of_many_25_are_told_at_once_and_6_a_minute() {
    let mut now = Instant::now();
    let mut schedule = Schedule::new(now);
    schedule.set((0..100).map(|number| no_room(&number.to_string(), "")).collect(), now);
    assert_eq!(tell(&mut schedule, &mut now, Duration::ZERO), 25);
    assert_eq!(tell(&mut schedule, &mut now, MINUTE), 6);
    assert_eq!(tell(&mut schedule, &mut now, MINUTE), 6);
}

#[test]
fn what_is_not_taken_is_told_again_soon() {
    let mut now = Instant::now();
    let mut schedule = Schedule::new(now);
    let web = no_room("web", "");
    schedule.set(vec![web.clone()], now);
    schedule.done(&web, false, now);
    assert_eq!(tell(&mut schedule, &mut now, MINUTE / 4), 0);
    assert_eq!(tell(&mut schedule, &mut now, MINUTE / 4), 1);
}

#[test]
fn what_every_node_says_is_spread_over_some_seconds() {
    let now = Instant::now();
    let mut schedule = Schedule::new(now);
    let web = ServiceRef::new("default", "web");
    schedule.set(vec![Complaint::about_service(&web, Reason::FrontendConflict, "")], now);
    let (at, _) = schedule.next().unwrap();
    assert!(at > now && at <= now + Duration::from_secs(15));
}
