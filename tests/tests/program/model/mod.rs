//! A reference model, written straight from what Services promise, judges the shared decisions on plain tables and the
//! loaded programs, on random Services and random packets.

mod loaded;
mod plain;
mod reference;
mod story;

use proptest::test_runner::{Config, TestRunner};

use self::loaded::Loaded;
use self::plain::Plain;
use self::reference::Reference;
use self::story::{Story, story};

/// Where a packet goes through.
trait Subject {
    /// Begins anew on a node with these Services.
    fn begin(story: &Story) -> Self;
    /// What becomes of a packet at a hook.
    fn pass(&mut self, hook: &'static str, packet: story::Packet) -> Outcome;
}

/// What becomes of a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Outcome {
    /// It goes on as it was.
    Untouched,
    /// It goes on between other ends.
    Translated(story::Ends),
    /// Its sender is told that nobody serves it.
    Refused,
    /// It is gone.
    Dropped,
}

fn judge<S: Subject>(cases: u32) {
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    TestRunner::new(config)
        .run(&story(), |story| {
            let mut subject = S::begin(&story);
            let mut reference = Reference::new(&story);
            for step in &story.steps {
                let Some((hook, packet)) = reference.stage(step) else { continue };
                let outcome = subject.pass(hook, packet);
                if let Err(complaint) = reference.judge(packet, outcome) {
                    panic!("{hook} {packet:?} -> {outcome:?}: {complaint}");
                }
            }
            Ok(())
        })
        .unwrap();
}

#[test]
fn the_shared_decisions_keep_what_services_promise() {
    judge::<Plain>(500);
}

#[test]
fn the_loaded_programs_keep_what_services_promise() {
    judge::<Loaded>(40);
}
