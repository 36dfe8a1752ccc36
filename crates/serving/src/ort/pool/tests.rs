use std::panic::{AssertUnwindSafe, catch_unwind};

use super::Pool;

#[tokio::test]
async fn an_item_returns_to_the_pool_when_its_user_panics() {
    let pool = Pool::new(vec![7]);
    for _ in 0..2 {
        let mut pooled = pool.acquire().await.unwrap();
        let user = catch_unwind(AssertUnwindSafe(move || {
            assert_ne!(pooled.get_mut(), Some(&mut 7), "this user panics");
        }));
        assert!(user.is_err());
    }
    assert_eq!(pool.acquire().await.unwrap().get_mut(), Some(&mut 7));
}

#[tokio::test]
async fn acquire_waits_until_an_item_is_returned() {
    let pool = Pool::new(vec![0]);
    let users = (0..8).map(|_| async {
        for _ in 0..100 {
            let mut pooled = pool.acquire().await.unwrap();
            // Others run while the item is in use.
            tokio::task::yield_now().await;
            *pooled.get_mut().unwrap() += 1;
        }
    });
    futures::future::join_all(users).await;
    assert_eq!(pool.acquire().await.unwrap().get_mut(), Some(&mut 800));
}
