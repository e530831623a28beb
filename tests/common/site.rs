//! A directory with everything that can trip a file server, and a server over it.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use super::{Response, Server, os, request, until};

/// A file beside the root that must not be served.
pub const SECRET: &str = "root:x:0:0 the secret outside";

/// A site with everything that may go wrong in it, and a secret beside it.
pub struct Site {
    folder: tempfile::TempDir,
    pub server: Server,
}

impl Site {
    /// Starts a server over it.
    pub fn start(arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a directory");
        let root = folder.path().join("root");
        fill(folder.path(), &root);
        let server =
            Server::start(&[&["--root", root.to_str().expect("UTF-8")], arguments].concat());
        Site { folder, server }
    }

    /// The directory that is served.
    pub fn root(&self) -> PathBuf {
        self.folder.path().join("root")
    }

    /// A GET with these fields.
    pub fn ask(&self, target: &str, fields: &[&str]) -> Response {
        self.server.exchange(&request("GET", target, fields))
    }

    /// Waits until a file's tag is strong: a file that was changed a moment ago has a weak one,
    /// because it might change again within the resolution of its timestamps.
    pub fn strong_tag(&self, target: &str) -> String {
        let tag = || self.ask(target, &[]).field("ETag").expect("an ETag").to_owned();
        until("a strong tag", || !tag().starts_with("W/"));
        tag()
    }
}

fn fill(folder: &Path, root: &Path) {
    let write = |name: &str, text: &str| fs::write(root.join(name), text).expect("a file");
    fs::create_dir_all(root.join("inner/deep")).expect("directories");
    fs::create_dir_all(root.join("empty")).expect("directories");
    fs::write(folder.join("secret"), SECRET).expect("a file");
    write("index.html", "<p>the index</p>");
    write("page.html", "0123456789abcdefghijklmnopqrstuvwxyz");
    write("style.css", "a{}");
    write("style.css.gz", "gzip of it");
    write("style.css.br", "brotli of it");
    write("with space & ümlaut.txt", "named");
    write("inner/index.html", "inner index");
    write("inner/deep/file", "deep");
    write(".hidden", SECRET);
    fs::create_dir(root.join(".git")).expect("a directory");
    write(".git/config", SECRET);
    symlink("page.html", root.join("link-inside")).expect("a link");
    symlink("../secret", root.join("link-out")).expect("a link");
    symlink(folder.join("secret"), root.join("link-absolute")).expect("a link");
    symlink(root.join("page.html"), root.join("link-absolute-inside")).expect("a link");
    symlink("..", root.join("inner/up")).expect("a link");
    symlink("../..", root.join("inner/up-and-out")).expect("a link");
    symlink("loop", root.join("loop")).expect("a link");
    symlink("/proc/self/environ", root.join("link-proc")).expect("a link");
    os::make_fifo(&root.join("fifo"));
}
