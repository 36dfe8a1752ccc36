use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

use super::Pool;

#[test]
fn what_was_lent_to_a_caller_that_panicked_is_there_for_the_next() {
    let pool = Pool::new(vec![7]);
    for _ in 0..2 {
        let caller = catch_unwind(AssertUnwindSafe(|| {
            let lent = pool.lend();
            assert_ne!(lent.thing, Some(7), "whatever goes wrong in a call");
        }));
        assert!(caller.is_err());
    }
    assert_eq!(pool.lend().thing, Some(7));
}

#[test]
fn whoever_finds_nothing_waits_until_something_is_back() {
    let pool = Pool::new(vec![0]);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| (0..100).for_each(|_| *pool.lend().thing.as_mut().unwrap() += 1));
        }
    });
    assert_eq!(pool.lend().thing, Some(800));
}
