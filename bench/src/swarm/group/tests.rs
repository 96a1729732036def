use super::*;
use std::net::{Ipv4Addr, SocketAddr};

fn spec() -> Spec {
    Spec {
        address: SocketAddr::from((Ipv4Addr::LOCALHOST, 1)),
        sources: Ipv4Addr::new(127, 0, 0, 0),
        path: "/".to_owned(),
        subscribed: 0,
        subscribe: None,
        keep_cursors: true,
        at_once: 1,
        receive_buffer: None,
    }
}

fn window(first: u32, count: u32) -> Window {
    let mut window = Window::default();
    window.first[0] = first;
    window.count[0] = count;
    window
}

fn armed(first: u32, count: u32) -> (Group, Vec<Socket>) {
    let mut group = Group::new(spec(), 0);
    let mut sockets = vec![Socket::new(1, 0)];
    group.members.push(0);
    group.arm(window(first, count), &mut sockets);
    (group, sockets)
}

fn send(group: &mut Group, socket: &mut Socket, number: u32) -> Meaning {
    let mark = Mark { lane: 0, number, sent_us: 10 };
    group.on_message(socket, format!("{{\"mark\":\"{}\"}}", mark.text()).as_bytes(), 20)
}

#[test]
fn a_window_is_complete_with_its_last_change() {
    let (mut group, mut sockets) = armed(5, 2);
    assert_eq!(send(&mut group, &mut sockets[0], 5), Meaning::Change);
    assert_eq!(send(&mut group, &mut sockets[0], 6), Meaning::WindowComplete);
    let seen = group.collect();
    assert!(seen.complete);
    assert_eq!((seen.deliveries, seen.lost, seen.repeated), (2, 0, 0));
    assert_eq!(seen.receipts[0], [(20, 20), (20, 20)]);
}

#[test]
fn a_change_left_out_is_lost() {
    let (mut group, mut sockets) = armed(0, 4);
    for number in [0, 3] {
        send(&mut group, &mut sockets[0], number);
    }
    assert_eq!(group.collect().lost, 2);
}

#[test]
fn a_change_that_comes_again_is_repeated() {
    let (mut group, mut sockets) = armed(0, 3);
    for number in [0, 1, 0] {
        send(&mut group, &mut sockets[0], number);
    }
    let seen = group.collect();
    assert_eq!((seen.repeated, seen.complete), (1, false));
}

#[test]
fn what_was_missed_before_a_window_is_lost() {
    let (mut group, mut sockets) = armed(0, 2);
    send(&mut group, &mut sockets[0], 0);
    group.arm(window(2, 2), &mut sockets);
    assert_eq!(group.collect().lost, 1);
}

#[test]
fn a_socket_keeps_its_last_cursor() {
    let (mut group, mut sockets) = armed(0, 1);
    let told = br#"{"type":"cursor","cursor":"h.7.x"}"#;
    assert_eq!(group.on_message(&mut sockets[0], told, 1), Meaning::Other);
    assert_eq!(sockets[0].cursor, "h.7.x");
}
