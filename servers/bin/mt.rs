//! `mt`: the site with one thread per connection. See `mt --help`.

use std::process::ExitCode;

fn main() -> ExitCode {
    stampede::start::main("mt", stampede::site::Site::new)
}
