use super::*;

fn peer(last: u8) -> Holder {
    Holder::peer(IpAddr::from([192, 0, 2, last]))
}

#[test]
fn no_holder_takes_more_than_its_share_and_all_together_no_more_than_the_total() {
    let quota = Quota::new(10, 6);
    let first = quota.acquire(peer(1), 6).unwrap();
    assert_eq!(quota.acquire(peer(1), 1).err(), Some(Exceeded::Share));
    let mut second = quota.acquire(peer(2), 3).unwrap();
    assert_eq!(second.grow(2), Err(Exceeded::Total));
    assert_eq!(second.grow(1), Ok(()));
    assert_eq!(quota.acquire(peer(3), 1).err(), Some(Exceeded::Total));
    drop(first);
    assert!(quota.acquire(peer(1), 6).is_ok());
    drop(second);
    assert!(quota.used().by_holder.is_empty() && quota.used().total == 0, "what was dropped is given back");
}

#[test]
fn an_ipv6_network_is_one_holder_and_an_ipv4_address_is_one_in_both_forms() {
    let holder = |address: &str| Holder::peer(address.parse().unwrap());
    assert_eq!(holder("2001:db8::1"), holder("2001:db8::ffff:2"));
    assert_ne!(holder("2001:db8::1"), holder("2001:db8:0:1::1"));
    assert_eq!(holder("::ffff:192.0.2.1"), holder("192.0.2.1"));
    assert_ne!(holder("::1"), holder("::2"));
}
