//! A time limit for work in process: work in, its result out, or nothing when it takes too long.
//!
//! A thread can't be killed, so the work is done by a helper of the calling thread; one that does not
//! answer in time is left behind and never asked again. It must not know what the work is.

use std::cell::RefCell;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use crate::run::{Patience, waited};

type Job = Box<dyn FnOnce() + Send>;

thread_local! {
    /// This thread's helper: it ends when this thread does.
    static HELPER: RefCell<Option<Sender<Job>>> = const { RefCell::new(None) };
}

/// Does `work`; none if that takes longer than `limit`, or if it panics.
pub(super) fn within<R: Send + 'static>(
    limit: Duration,
    work: impl FnOnce() -> R + Send + 'static,
) -> Option<R> {
    let (answer, result) = mpsc::sync_channel(1);
    let begun = Arc::new(OnceLock::new());
    let begin = Arc::clone(&begun);
    hand_over(Box::new(move || {
        let _ = begin.set(Begun::here());
        // Nobody listens any more: it was too late.
        let _ = answer.send(work());
    }));
    let result = patient(&result, limit, &begun);
    if result.is_none() {
        HELPER.take();
    }
    result
}

/// The answer, if it comes in time.
fn patient<R>(result: &Receiver<R>, limit: Duration, begun: &OnceLock<Begun>) -> Option<R> {
    let patience = Patience::new(limit);
    let mut left = limit;
    loop {
        match result.recv_timeout(left) {
            Ok(result) => return Some(result),
            Err(RecvTimeoutError::Timeout) if !left.is_zero() => {
                // The helper that hasn't begun waits, too.
                left = patience.left(begun.get().map_or(Duration::MAX, Begun::starved));
            }
            Err(_) => return None,
        }
    }
}

/// Where work is done, and how long that thread had waited for a processor before.
struct Begun {
    task: PathBuf,
    before: Duration,
}

impl Begun {
    /// By this thread.
    fn here() -> Self {
        let task = fs::read_link("/proc/thread-self").unwrap_or_default();
        let task = Path::new("/proc").join(task);
        Self { before: waited(&task), task }
    }

    /// How long the work waited for a processor.
    fn starved(&self) -> Duration {
        waited(&self.task).saturating_sub(self.before)
    }
}

/// Gives `job` to the helper, which is made when there is none.
fn hand_over(job: Job) {
    HELPER.with_borrow_mut(|helper| {
        let job = match helper {
            Some(sender) => match sender.send(job) {
                Ok(()) => return,
                // It died of a panic.
                Err(mpsc::SendError(job)) => job,
            },
            None => job,
        };
        let (sender, jobs) = mpsc::channel::<Job>();
        let _ = sender.send(job);
        thread::spawn(move || jobs.into_iter().for_each(|job| job()));
        *helper = Some(sender);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn work_is_done_by_one_helper() {
        let id = || within(LONG, || thread::current().id());
        assert_eq!(id(), id());
        assert_ne!(id(), Some(thread::current().id()));
    }

    #[test]
    fn what_never_ends_is_left_behind() {
        let (release, held) = mpsc::channel::<()>();
        assert_eq!(within(Duration::from_millis(20), move || held.recv().is_ok()), None);
        assert_eq!(within(LONG, || 5), Some(5));
        drop(release);
    }

    #[test]
    fn a_panic_is_no_answer_and_the_next_work_is_done() {
        let quiet = || std::panic::resume_unwind(Box::new("planted"));
        assert_eq!(within::<u8>(LONG, quiet), None);
        assert_eq!(within(LONG, || 6), Some(6));
    }
}
