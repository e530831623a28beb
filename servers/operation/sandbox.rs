//! A server that may do nothing but serve (`--sandbox`, Linux): whoever takes it over by a flaw of its
//! code is left with what it needs itself.
//!
//! ```text
//!  prepare()  rules from the options: as the user that it is started as, once
//!     │
//!     ▼       privileges are given up
//!  enter()    before there are threads:    SPED, AMPED   the whole process
//!                                          SYMPED        each worker; the master stays outside,
//!                                                        for it starts the successor (USR2)
//! ```
//!
//! | what | for what |
//! |---|---|
//! | the root directory | reading |
//! | the log's directory | making and appending: HUP makes a new file |
//! | directories of Unix sockets and the pid file | removing them in the end (not SYMPED's workers) |
//! | everything else in the file system | nothing: neither reading, nor running programs |
//! | TCP | accepting from the listeners that there are; no bind, no connect |
//! | signals and abstract sockets of others | nothing |
//!
//! And nothing it runs gains privileges (no_new_privs). Older kernels know less: what they lack is said
//! in one line, and the rest holds.
//!
//! Directories are known by what they are, not by their names: one that is put in the place of another
//! is not allowed. As the site has its root open for as long as it runs, and the workers share one
//! set of rules, all of them serve the same.
//!
//! *Not* guaranteed: that a directory's other files are safe from being removed or appended to: give
//! log, sockets and pid file directories of their own.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use reactor::process::{Access, Landlock, no_new_privileges};

use crate::options::{ListenAddr, LogFormat, LogTarget, Options};

/// What a server is left with.
pub struct Sandbox {
    /// `None`: the kernel knows none.
    rules: Option<Landlock>,
}

/// Who goes in.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Who {
    /// The whole server.
    Process,
    /// Worker processes, whose master cleans up.
    Workers,
}

impl Sandbox {
    /// Rules for a server with these options, if they ask for any. Says what the kernel lacks.
    ///
    /// # Errors
    /// A directory that is to be allowed cannot be looked at.
    pub fn prepare(name: &str, options: &Options, who: Who) -> io::Result<Option<Sandbox>> {
        if !options.operation.sandbox {
            return Ok(None);
        }
        let rules = match Landlock::new() {
            Ok(rules) => rules,
            Err(error) if error.kind() == io::ErrorKind::Unsupported => {
                eprintln!(
                    "{name}: --sandbox: this kernel has no Landlock ({error}): files and network \
                     stay open to the server; that nothing gains privileges holds"
                );
                return Ok(Some(Sandbox { rules: None }));
            }
            Err(error) => return Err(failed("Landlock", &error)),
        };
        if let Some(what) = rules.missing() {
            eprintln!("{name}: --sandbox: this kernel cannot deny {what}; the rest holds");
        }
        for (path, access) in needs(options, who) {
            match rules.allow(&path, access) {
                // Whoever needs it says so.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(failed(&path.display().to_string(), &error)),
                Ok(()) => {}
            }
        }
        if who == Who::Process {
            eprintln!("{name}: --sandbox: no upgrade (SIGUSR2): {NO_PROGRAMS}");
        }
        Ok(Some(Sandbox { rules: Some(rules) }))
    }

    /// Goes in, for good. To be called while there is one thread.
    ///
    /// # Errors
    /// The system refuses.
    pub fn enter(&self) -> io::Result<()> {
        no_new_privileges().map_err(|error| failed("no_new_privs", &error))?;
        match &self.rules {
            Some(rules) => rules.enter().map_err(|error| failed("Landlock", &error)),
            None => Ok(()),
        }
    }

    /// Why no program can be started from inside, if none can.
    pub fn forbids_programs(&self) -> Option<&'static str> {
        self.rules.as_ref().map(|_| NO_PROGRAMS)
    }
}

const NO_PROGRAMS: &str = "from inside the sandbox no program can be started";

fn failed(what: &str, error: &io::Error) -> io::Error {
    let text = format!("--sandbox: {what}: {error}; leave the option out, or mend that");
    io::Error::new(error.kind(), text)
}

/// What a server needs of the file system once it serves.
fn needs(options: &Options, who: Who) -> Vec<(PathBuf, Access)> {
    let mut needs = Vec::new();
    needs.extend(options.root.iter().map(|root| (root.clone(), Access::READ)));
    if let (LogTarget::File(path), true) =
        (&options.log.target, options.log.format != LogFormat::Off)
    {
        needs.push(needs_of_log(path));
    }
    if who == Who::Process {
        let sockets = options.listen.iter().filter_map(|addr| match addr {
            ListenAddr::Unix(path) => Some(path),
            ListenAddr::Tcp(_) | ListenAddr::Fd(_) => None,
        });
        let made = sockets.chain(&options.operation.pid_file);
        needs.extend(made.map(|path| (directory(path), Access::REMOVE)));
    }
    needs
}

/// A log file may be opened again, or made anew beside the one that was moved away. Its name may be a
/// link, or that of a pipe or a terminal, which nobody makes anew.
fn needs_of_log(path: &Path) -> (PathBuf, Access) {
    let real = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    match fs::metadata(&real) {
        Ok(found) if !found.is_file() => (real, Access::WRITE),
        _ => (directory(&real), Access::WRITE | Access::MAKE),
    }
}

/// The directory that a file is in.
fn directory(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_needs_its_root_and_the_directories_of_what_it_makes() {
        let folder = tempfile::tempdir().unwrap();
        let mut options = Options { root: Some("/srv/www".into()), ..Options::default() };
        let read = ("/srv/www".into(), Access::READ);
        assert_eq!(needs(&options, Who::Workers), needs(&options, Who::Process));
        options.log.format = LogFormat::Common;
        options.log.target = LogTarget::File(folder.path().join("log"));
        options.listen = vec![ListenAddr::Fd(3), ListenAddr::Unix("socket".into())];
        options.operation.pid_file = Some("/run/stampede/pid".into());
        let log = (folder.path().to_owned(), Access::WRITE | Access::MAKE);
        assert_eq!(needs(&options, Who::Workers), [read.clone(), log.clone()]);
        let (here, run) = (PathBuf::from("."), PathBuf::from("/run/stampede"));
        let all = [read, log, (here, Access::REMOVE), (run, Access::REMOVE)];
        assert_eq!(needs(&options, Who::Process), all);
    }

    #[test]
    fn a_logs_link_leads_to_its_directory_and_a_device_is_alone() {
        let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (log, file) = (folder.path().join("log"), other.path().join("file"));
        fs::write(&file, "").unwrap();
        std::os::unix::fs::symlink(&file, &log).unwrap();
        let real = fs::canonicalize(other.path()).unwrap();
        assert_eq!(needs_of_log(&log), (real, Access::WRITE | Access::MAKE));
        assert_eq!(needs_of_log(Path::new("/dev/null")), ("/dev/null".into(), Access::WRITE));
    }
}
