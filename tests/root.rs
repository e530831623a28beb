//! The root's path is looked up again: another directory in its place is served, by every model.

mod common;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

#[cfg(target_os = "linux")]
use common::server::has_master;
use common::server::models;
use common::{Server, until};

/// A directory with a page that names it, and one that no other release has.
fn release(folder: &Path, name: &str) {
    fs::create_dir(folder.join(name)).expect("a directory");
    fs::write(folder.join(name).join("page"), name).expect("a file");
    fs::write(folder.join(name).join(format!("only-{name}")), name).expect("a file");
}

/// Two releases, of which `current` leads to the first.
fn releases() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a directory");
    for name in ["r0", "r1"] {
        release(folder.path(), name);
    }
    switch(folder.path(), "r0");
    folder
}

/// Makes `current` lead to a release, at once.
fn switch(folder: &Path, name: &str) {
    symlink(name, folder.join("next")).expect("a link");
    fs::rename(folder.join("next"), folder.join("current")).expect("the link in its place");
}

fn start(mut command: Command, root: &Path, arguments: &[&str]) -> Server {
    command.args(["--listen", "127.0.0.1:0", "--root"]).arg(root).args(arguments);
    Server::spawn(command)
}

fn text(server: &Server, target: &str) -> String {
    server.get(target).text().to_owned()
}

#[test]
fn a_link_that_is_switched_is_followed() {
    for (model, command) in models() {
        let folder = releases();
        let server = start(command, &folder.path().join("current"), &["--cache-ttl", "50ms"]);
        assert_eq!(text(&server, "/page"), "r0", "{model}");
        switch(folder.path(), "r1");
        until("the new root", || text(&server, "/page") == "r1");
        until("the old root's end", || server.get("/only-r0").status == 404);
        until("all of the new root", || server.get("/only-r1").status == 200);
    }
}

#[test]
fn a_directory_that_is_removed_and_made_again_is_served() {
    for (model, command) in models() {
        let folder = tempfile::tempdir().expect("a directory");
        release(folder.path(), "dist");
        let dist = folder.path().join("dist");
        let server = start(command, &dist, &["--cache-ttl", "50ms"]);
        assert_eq!(text(&server, "/page"), "dist", "{model}");
        fs::remove_dir_all(&dist).expect("removing it");
        until("a line about it", || {
            server.get("/page");
            server.stderr().contains("serving what is left")
        });
        fs::create_dir(&dist).expect("making it again");
        fs::write(dist.join("page"), "again").expect("a file");
        until("the new directory", || text(&server, "/page") == "again");
        let said = server.stderr();
        assert_eq!(said.matches("serving what is left").count(), 1, "{model}: {said}");
    }
}

#[test]
fn hup_looks_at_once_and_ends_the_caches() {
    for (model, command) in models() {
        let folder = releases();
        let server = start(command, &folder.path().join("current"), &["--cache-ttl", "1h"]);
        assert_eq!(text(&server, "/page"), "r0", "{model}");
        switch(folder.path(), "r1");
        assert_eq!(text(&server, "/page"), "r0", "{model}");
        server.signal(libc::SIGHUP);
        until("the new root", || text(&server, "/page") == "r1");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_sandbox_keeps_the_old_root_in_one_line_and_renewed_workers_have_the_new_one() {
    if let Err(error) = reactor::process::Landlock::new() {
        println!("SKIPPED: no Landlock ({error})");
        return;
    }
    for (model, command) in models() {
        let folder = releases();
        let arguments = ["--cache-ttl", "50ms", "--sandbox"];
        let server = start(command, &folder.path().join("current"), &arguments);
        assert_eq!(text(&server, "/page"), "r0", "{model}");
        switch(folder.path(), "r1");
        let line = "is another directory now";
        until("a line about it", || {
            assert_eq!(text(&server, "/page"), "r0", "{model}");
            server.stderr().contains(line)
        });
        if has_master(model) {
            server.signal(libc::SIGHUP);
            until("renewed workers", || text(&server, "/page") == "r1");
        }
        assert_eq!(server.stderr().matches(line).count(), 1, "{model}: {}", server.stderr());
    }
}
