//! Threads: how many a link may use, and the link, in; the link run on that many, out.
//!
//! One thread means the caller's own. It becomes a pool by itself, once, so that parallel loops run as
//! plain loops on it: handing each of them to another thread and waiting took a quarter of the time
//! of a small link, measured. This module must not know what it runs.

use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::{Error, ErrorKind, Errors};

thread_local! {
    /// This thread as a pool of its own; none if it belongs to another already.
    static ALONE: Option<ThreadPool> =
        ThreadPoolBuilder::new().num_threads(1).use_current_thread().build().ok();
}

/// Runs `work` on `count` threads; `None` leaves the choice to the machine.
///
/// Errors: those of `work`, and `Io` if the threads can't be had.
pub fn with<R: Send>(
    count: Option<usize>,
    work: impl FnOnce() -> Result<R, Errors> + Send,
) -> Result<R, Errors> {
    match count {
        None => work(),
        Some(1) if ALONE.with(Option::is_some) => work(),
        Some(count) => match ThreadPoolBuilder::new().num_threads(count).build() {
            Ok(pool) => pool.install(work),
            Err(error) => Err(Error::new(ErrorKind::Io, error.to_string()).into()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_gets_the_threads_it_asks_for() {
        let seen = |count| with(Some(count), || Ok(rayon::current_num_threads())).unwrap();
        // On threads of their own: the first that works alone does so for good.
        for order in [[1, 3, 1], [3, 1, 2]] {
            std::thread::scope(|scope| {
                scope.spawn(move || assert_eq!(order.map(seen), order));
            });
        }
    }

    #[test]
    fn one_thread_is_the_callers() {
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let own = std::thread::current().id();
                let (left, right) =
                    with(Some(1), || Ok(rayon::join(id, id))).expect("no error in it");
                assert_eq!((left, right), (own, own));
            });
        });
    }

    fn id() -> std::thread::ThreadId {
        std::thread::current().id()
    }
}
