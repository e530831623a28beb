//! `mp`: the site with one process per connection. See `mp --help`.

use std::process::ExitCode;

fn main() -> ExitCode {
    stampede::start::main("mp", stampede::site::Site::new)
}
