//! Confining the serving process (`--sandbox`, Linux): an attacker who takes over the server
//! through a bug gets no more access than serving needs.
//!
//! ```text
//!  prepare()  rules from the options: once, as the user that started the server
//!     │
//!     ▼       privileges are dropped
//!  enter()    before there are threads:    SPED, AMPED   the whole process
//!                                          SYMPED        each worker; the master stays outside,
//!                                                        for it starts the successor (USR2)
//! ```
//!
//! | what | allowed |
//! |---|---|
//! | the root directory | reading |
//! | the log's directory | creating and appending: HUP creates a new file |
//! | directories of Unix sockets and the pid file | removal on exit (not for SYMPED's workers) |
//! | everything else in the file system | nothing: neither reading nor executing |
//! | TCP | accepting from existing listeners; no bind, no connect |
//! | signals and abstract sockets of other processes | nothing |
//!
//! No program it runs can gain privileges (no_new_privs). Older kernels can deny less: what they
//! lack is reported in one line, and the rest is enforced.
//!
//! Rules apply to directories, not to their names: a directory moved into the place of another is
//! not allowed. A server goes on with the root that it had then, and says so; a new worker process
//! has rules of its own, and the root that the name stands for when it starts.
//!
//! *Not* guaranteed: protection of other files in these directories against removal or appending:
//! give log, sockets and pid file directories of their own.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use reactor::process::{Access, Landlock, no_new_privileges};

use crate::options::{ListenAddr, LogFormat, LogTarget, Options};
use crate::report::report;

/// A server's remaining rights.
pub struct Sandbox {
    /// `None`: the kernel has no Landlock.
    rules: Option<Landlock>,
}

/// What is confined.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Who {
    /// The whole server.
    Process,
    /// Worker processes, whose master cleans up.
    Workers,
}

impl Sandbox {
    /// Rules for a server with these options, if enabled. Reports what the kernel lacks.
    ///
    /// # Errors
    /// A directory to allow cannot be opened.
    pub fn prepare(options: &Options, who: Who) -> io::Result<Option<Sandbox>> {
        if !options.operation.sandbox {
            return Ok(None);
        }
        let rules = match Landlock::new() {
            Ok(rules) => rules,
            Err(error) if error.kind() == io::ErrorKind::Unsupported => {
                report!(
                    "--sandbox: Landlock is not available ({error}): file system and network \
                     are not confined; no_new_privs is set"
                );
                return Ok(Some(Sandbox { rules: None }));
            }
            Err(error) => return Err(failed("Landlock", &error)),
        };
        if let Some(what) = rules.missing() {
            report!("--sandbox: this kernel cannot deny {what}; the rest is enforced");
        }
        allow(&rules, options, who)?;
        if who == Who::Process {
            report!("--sandbox: upgrades (SIGUSR2) are disabled: {NO_PROGRAMS}");
        }
        Ok(Some(Sandbox { rules: Some(rules) }))
    }

    /// The same for a new worker, with the directories that the names stand for now.
    ///
    /// # Errors
    /// As for [`Sandbox::prepare`].
    pub fn renewed(&self, options: &Options) -> io::Result<Sandbox> {
        if self.rules.is_none() {
            return Ok(Sandbox { rules: None });
        }
        let rules = Landlock::new().map_err(|error| failed("Landlock", &error))?;
        allow(&rules, options, Who::Workers)?;
        Ok(Sandbox { rules: Some(rules) })
    }

    /// Enters the sandbox permanently. To be called while there is one thread.
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

    /// Why programs cannot be started from inside, if so.
    pub fn forbids_programs(&self) -> Option<&'static str> {
        self.rules.as_ref().map(|_| NO_PROGRAMS)
    }
}

fn allow(rules: &Landlock, options: &Options, who: Who) -> io::Result<()> {
    for (path, access) in needs(options, who) {
        match rules.allow(&path, access) {
            // The code that needs it reports it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed(&path.display().to_string(), &error)),
            Ok(()) => {}
        }
    }
    Ok(())
}

const NO_PROGRAMS: &str = "no program can be started inside the sandbox";

fn failed(what: &str, error: &io::Error) -> io::Error {
    let text = format!("--sandbox: {what}: {error}; fix that, or omit --sandbox");
    io::Error::new(error.kind(), text)
}

/// What a server needs from the file system once it serves.
fn needs(options: &Options, who: Who) -> Vec<(PathBuf, Access)> {
    let mut needs = Vec::new();
    needs.extend(options.content.root.iter().map(|root| (root.clone(), Access::READ)));
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

/// A log file may be reopened, or recreated after it was moved away. Its name may be a link, or
/// that of a pipe or a terminal, which are never recreated.
fn needs_of_log(path: &Path) -> (PathBuf, Access) {
    let real = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    match fs::metadata(&real) {
        Ok(found) if !found.is_file() => (real, Access::WRITE),
        _ => (directory(&real), Access::WRITE | Access::MAKE),
    }
}

/// The directory of a file.
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
    fn a_server_needs_its_root_and_the_directories_of_the_files_it_creates() {
        let folder = tempfile::tempdir().unwrap();
        let mut options = Options::default();
        options.content.root = Some("/srv/www".into());
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
    fn a_log_link_is_resolved_to_its_directory_and_a_device_stands_alone() {
        let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (log, file) = (folder.path().join("log"), other.path().join("file"));
        fs::write(&file, "").unwrap();
        std::os::unix::fs::symlink(&file, &log).unwrap();
        let real = fs::canonicalize(other.path()).unwrap();
        assert_eq!(needs_of_log(&log), (real, Access::WRITE | Access::MAKE));
        assert_eq!(needs_of_log(Path::new("/dev/null")), ("/dev/null".into(), Access::WRITE));
    }
}
