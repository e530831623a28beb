//! The example `udp_echo`, on a thread of its own.

#[path = "../examples/udp_echo.rs"]
#[allow(dead_code)]
mod udp_echo;

use std::net::{SocketAddr, UdpSocket};
use std::thread;
use std::time::Duration;

/// Serves until the test binary ends.
fn server() -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    thread::spawn(move || udp_echo::serve(socket).unwrap());
    address
}

fn client(server: SocketAddr) -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(server).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    socket
}

fn receive(client: &UdpSocket) -> Vec<u8> {
    let mut buffer = vec![0; 65_536];
    let count = client.recv(&mut buffer).expect("an echo");
    buffer.truncate(count);
    buffer
}

#[test]
fn datagrams_of_any_size_come_back_whole() {
    let client = client(server());
    for len in [0, 1, 1_472, 1_473, 9_000, 65_507] {
        let sent: Vec<u8> = (0..len).map(|index| index as u8).collect();
        client.send(&sent).unwrap();
        assert_eq!(receive(&client), sent);
    }
}

#[test]
fn each_client_gets_its_own() {
    let server = server();
    let clients: Vec<_> = (0..20).map(|_| client(server)).collect();
    for round in 0..10_u8 {
        for (number, client) in clients.iter().enumerate() {
            client.send(&[number as u8, round]).unwrap();
        }
        for (number, client) in clients.iter().enumerate() {
            assert_eq!(receive(client), [number as u8, round]);
        }
    }
}

/// More than a turn's budget wait when it begins.
#[test]
fn a_burst_beyond_the_budget_is_served_without_another_event() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let client = client(socket.local_addr().unwrap());
    let burst = 3 * udp_echo::BUDGET;
    for number in 0..burst {
        client.send(&(number as u32).to_be_bytes()).unwrap();
    }
    thread::spawn(move || udp_echo::serve(socket).unwrap());
    for number in 0..burst {
        assert_eq!(receive(&client), (number as u32).to_be_bytes());
    }
}

/// Its sender's port is closed by then: the next one is served all the same.
#[test]
fn an_echo_to_a_closed_port_does_no_harm() {
    let server = server();
    let gone = client(server);
    gone.send(b"farewell").unwrap();
    drop(gone);
    let client = client(server);
    client.send(b"hello").unwrap();
    assert_eq!(receive(&client), b"hello");
}
