use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

use super::Pool;

#[test]
fn an_item_returns_to_the_pool_when_its_user_panics() {
    let pool = Pool::new(vec![7]);
    for _ in 0..2 {
        let user = catch_unwind(AssertUnwindSafe(|| {
            let mut pooled = pool.acquire();
            assert_ne!(pooled.get_mut(), Some(&mut 7), "this user panics");
        }));
        assert!(user.is_err());
    }
    assert_eq!(pool.acquire().get_mut(), Some(&mut 7));
}

#[test]
fn acquire_waits_until_an_item_is_returned() {
    let pool = Pool::new(vec![0]);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| (0..100).for_each(|_| *pool.acquire().get_mut().unwrap() += 1));
        }
    });
    assert_eq!(pool.acquire().get_mut(), Some(&mut 800));
}
