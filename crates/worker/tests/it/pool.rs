use std::thread;
use std::time::Duration;

use perennial_worker::{Error, PoolLimits, WorkerPool};

use crate::{LONG, call, is_alive, spec, wait_until, words};

fn pool(workers_max: usize) -> WorkerPool {
    WorkerPool::new(spec(), PoolLimits { workers_max, idle_max: LONG })
}

#[test]
fn an_idle_worker_is_used_again_by_its_tenant_alone() {
    let pool = pool(4);
    let mut lease = pool.lease("a", LONG).unwrap();
    let first = lease.pid();
    call(&mut lease, &["calls"]).unwrap();
    drop(lease);
    let mut again = pool.lease("a", LONG).unwrap();
    assert_eq!(again.pid(), first);
    assert_eq!(call(&mut again, &["calls"]).unwrap().control::<u32>().unwrap(), 2);
    drop(again);
    assert_ne!(pool.lease("b", LONG).unwrap().pid(), first);
    assert_eq!(pool.workers(), 2);
}

#[test]
fn the_number_of_workers_is_bounded() {
    let pool = pool(1);
    let lease = pool.lease("a", LONG).unwrap();
    let error = pool.lease("b", Duration::ZERO).unwrap_err();
    assert!(matches!(error, Error::Busy { workers: 1, .. }), "{error}");
    thread::scope(|scope| {
        let waiting = scope.spawn(|| pool.lease("b", LONG).unwrap().pid());
        let first = lease.pid();
        drop(lease);
        assert_ne!(waiting.join().unwrap(), first, "another tenant gets another worker");
    });
    assert_eq!(pool.workers(), 1);
}

#[test]
fn a_worker_that_died_is_replaced() {
    let pool = pool(1);
    let mut lease = pool.lease("a", LONG).unwrap();
    call(&mut lease, &["abort"]).unwrap_err();
    drop(lease);
    assert_eq!(pool.workers(), 0);
    let mut lease = pool.lease("a", LONG).unwrap();
    call(&mut lease, &["calls"]).unwrap();
    let (first, stopper) = (lease.pid(), lease.stopper());
    drop(lease);
    // It dies while it is idle.
    stopper.stop();
    let mut lease = pool.lease("a", LONG).unwrap();
    assert_ne!(lease.pid(), first);
    call(&mut lease, &["calls"]).unwrap();
}

#[test]
fn a_start_that_fails_takes_no_place() {
    let failing = perennial_worker::WorkerSpec { role: "refusing".to_owned(), ..spec() };
    let pool = WorkerPool::new(failing, PoolLimits { workers_max: 1, idle_max: LONG });
    for _ in 0..2 {
        let error = pool.lease("a", Duration::ZERO).unwrap_err();
        assert!(matches!(error, Error::Start { .. }), "{error}");
    }
    assert_eq!(pool.workers(), 0);
}

#[test]
fn idle_workers_end_in_time_and_with_their_pool() {
    let pool = WorkerPool::new(spec(), PoolLimits { workers_max: 2, idle_max: Duration::from_millis(50) });
    let lease = pool.lease("a", LONG).unwrap();
    let pid = lease.pid();
    drop(lease);
    wait_until("the idle worker has ended", || !is_alive(pid));
    wait_until("it is not counted", || pool.workers() == 0);

    let kept = self::pool(2);
    let (leased, idle) = (kept.lease("a", LONG).unwrap(), kept.lease("b", LONG).unwrap());
    let (leased_pid, idle_pid) = (leased.pid(), idle.pid());
    drop(idle);
    drop(kept);
    assert!(!is_alive(idle_pid));
    assert!(is_alive(leased_pid), "a lease outlives its pool");
    drop(leased);
    assert!(!is_alive(leased_pid));
}

#[test]
fn leases_run_at_the_same_time() {
    let pool = pool(3);
    thread::scope(|scope| {
        for tenant in ["a", "b", "c"] {
            let pool = &pool;
            scope.spawn(move || {
                let mut lease = pool.lease(tenant, LONG).unwrap();
                for _ in 0..20 {
                    lease.call(&words(&["echo"]).with_payload(vec![1; 100_000]), LONG).unwrap();
                }
            });
        }
    });
}
