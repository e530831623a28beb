//! The floor of an event loop: the least that an HTTP/1.1 server can do. The yardstick for others.
//!
//! One thread, edge-triggered epoll(7), one recv(2) and one send(2) per request. Its response and
//! its command line are in `floors/mod.rs`.

#[cfg(target_os = "linux")]
mod floors;

#[cfg(not(target_os = "linux"))]
fn main() {
    eprintln!("the floor needs epoll(7), which this system does not have");
}

#[cfg(target_os = "linux")]
fn main() -> std::io::Result<()> {
    floor::main()
}

#[cfg(target_os = "linux")]
mod floor {
    use super::floors::{self, Floor, Progress, check, close, would_block};
    use std::io;
    use std::os::fd::AsRawFd;

    const READ_BYTES: usize = 64 * 1024;
    const EVENTS: usize = 256;
    const PEER_CLOSED: i32 = libc::EPOLLRDHUP | libc::EPOLLHUP | libc::EPOLLERR;

    struct Loop {
        floor: Floor,
        /// Indexed by descriptor.
        connections: Vec<Progress>,
        input: Vec<u8>,
    }

    pub fn main() -> io::Result<()> {
        let (floor, connections) = (Floor::new(true)?, vec![Progress::default(); 1024]);
        let input = vec![0; floors::input_bytes(READ_BYTES)];
        Loop { floor, connections, input }.run()
    }

    fn watch(epoll: i32, fd: i32, events: i32) -> io::Result<i32> {
        let mut event = libc::epoll_event { events: events as u32, u64: fd as u64 };
        // SAFETY: the event lives during the call.
        check(unsafe { libc::epoll_ctl(epoll, libc::EPOLL_CTL_ADD, fd, &mut event) })
    }

    impl Loop {
        fn run(&mut self) -> io::Result<()> {
            // SAFETY: takes no pointer.
            let epoll = check(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
            let listener = self.floor.listener.as_raw_fd();
            watch(epoll, listener, libc::EPOLLIN)?;
            let mut events = [libc::epoll_event { events: 0, u64: 0 }; EVENTS];
            loop {
                let (list, room) = (events.as_mut_ptr(), EVENTS as i32);
                // SAFETY: the list has that much room. It only fails when it is interrupted.
                let count = unsafe { libc::epoll_wait(epoll, list, room, -1) }.max(0);
                for event in &events[..count as usize] {
                    let fd = event.u64 as i32;
                    if fd == listener {
                        self.accept(epoll)?;
                    } else if !self.serve(fd, event.events as i32 & PEER_CLOSED != 0) {
                        close(fd);
                    }
                }
            }
        }

        /// One a turn: the listener is watched by level and reported again if there are more, while
        /// an accept that finds nothing costs as much as a dozen waits.
        fn accept(&mut self, epoll: i32) -> io::Result<()> {
            let Some(fd) = floors::accept(&self.floor, libc::SOCK_NONBLOCK) else { return Ok(()) };
            if fd as usize >= self.connections.len() {
                self.connections.resize(2 * fd as usize, Progress::default());
            }
            self.connections[fd as usize] = Progress::default();
            // The request is often there already; a connection that is done needs no watching.
            if !self.serve(fd, false) {
                close(fd);
                return Ok(());
            }
            let both = libc::EPOLLIN | libc::EPOLLOUT | libc::EPOLLRDHUP | libc::EPOLLET;
            watch(epoll, fd, both).map(drop)
        }

        /// Sends what is pending, then reads and answers; false: the connection must be closed.
        fn serve(&mut self, fd: i32, peer_closed: bool) -> bool {
            let connection = &mut self.connections[fd as usize];
            let mut drained = false;
            loop {
                match connection.send(&self.floor, fd) {
                    Some(0) if self.floor.close && connection.answered => return false,
                    Some(0) if drained => return true,
                    Some(0) => {}
                    Some(_) => return true, // an edge comes when there is room again
                    None => return false,
                }
                match connection.recv(&self.floor, fd, &mut self.input) {
                    0 => return false,
                    // A short read has emptied the socket, unless its end is yet to be read.
                    count @ 1.. => drained = (count as usize) < READ_BYTES && !peer_closed,
                    _ => return would_block(),
                }
            }
        }
    }
}
