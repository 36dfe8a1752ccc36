use super::*;

fn ip(last: u8) -> IpAddr {
    IpAddr::from([192, 0, 2, last])
}

fn is_evicted(seat: &Seat) -> bool {
    seat.evicted.is_cancelled()
}

#[test]
fn a_further_connection_takes_the_place_of_an_idle_one_of_the_peer_with_the_most() {
    let connections = Connections::new(4);
    let alone = connections.enter(ip(1)).unwrap();
    let many: Vec<Seat> = (0..3).map(|_| connections.enter(ip(2)).unwrap()).collect();
    let _busy = many[0].activity().clone().begin();
    let further = connections.enter(ip(3)).unwrap();
    assert!(!further.is_reserved());
    assert_eq!(many.iter().map(is_evicted).collect::<Vec<_>>(), [false, true, false], "the first is in use");
    assert!(!is_evicted(&alone));
}

#[test]
fn connections_in_use_keep_their_places_and_leave_room_for_probes() {
    let connections = Connections::new(2);
    let seats: Vec<Seat> = (0..2).map(|_| connections.enter(ip(1)).unwrap()).collect();
    let busy: Vec<_> = seats.iter().map(|seat| seat.activity().clone().begin()).collect();
    let mut reserved: Vec<Seat> = (0..CONNECTIONS_RESERVED).map(|_| connections.enter(ip(2)).unwrap()).collect();
    assert!(reserved.iter().all(Seat::is_reserved) && !seats.iter().any(is_evicted));
    assert!(connections.enter(ip(3)).is_none());
    reserved.pop();
    assert!(connections.enter(ip(3)).is_some_and(|seat| seat.is_reserved()));
    drop(busy);
    assert!(connections.enter(ip(3)).is_some_and(|seat| !seat.is_reserved()), "one of the two is idle now");
}

#[test]
fn a_connection_that_ends_gives_its_place_back() {
    let connections = Connections::new(1);
    drop(connections.enter(ip(1)));
    let next = connections.enter(ip(2)).unwrap();
    assert!(!next.is_reserved() && !is_evicted(&next));
}
