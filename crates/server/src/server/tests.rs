use std::net::SocketAddr;

use super::public_authority;

#[test]
fn people_get_a_host_that_other_machines_reach() {
    let at = |text: &str| text.parse::<SocketAddr>().unwrap();
    let named = ["models.example.org".to_owned(), "models".to_owned()];
    assert_eq!(public_authority(at("0.0.0.0:7600"), &named), "models.example.org:7600");
    assert_eq!(public_authority(at("127.0.0.1:7600"), &[]), "127.0.0.1:7600");
    assert_eq!(public_authority(at("10.1.2.3:80"), &[]), "10.1.2.3:80");
    for every in ["0.0.0.0:7600", "[::]:7600"] {
        let chosen = public_authority(at(every), &[]);
        assert!(!chosen.starts_with("0.0.0.0") && !chosen.starts_with("[::]") && chosen.ends_with(":7600"), "{chosen}");
    }
}
