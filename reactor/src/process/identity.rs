//! As whom a process runs: names to numbers, and giving up one identity for a lesser one.
//!
//! The order matters (setuid(2), credentials(7)): supplementary groups and group first, for without
//! the user's privilege neither can be changed. All three user ids, real, effective and saved,
//! change at once; of one that is kept a process could come back.

use std::ffi::CString;
use std::io;
use std::mem::MaybeUninit;
use std::ptr;

use crate::sys::check;

/// Room for an entry's texts: sysconf(3) suggests 1 KiB; a group with many members needs more.
const ENTRY_BYTES: usize = 256 * 1024;

/// The number of a user and that of its group, by name (`getpwnam_r(3)`); `None`: there is no such
/// user.
///
/// # Errors
/// The system's user database cannot be read.
pub fn user_by_name(name: &str) -> io::Result<Option<(u32, u32)>> {
    let name = CString::new(name)?;
    let mut texts = vec![0; ENTRY_BYTES];
    let (mut entry, mut found) = (MaybeUninit::<libc::passwd>::uninit(), ptr::null_mut());
    let (to, texts_len) = (texts.as_mut_ptr(), texts.len());
    // SAFETY: the name ends in NUL, `texts` has the length it is said to have, and all places live
    // through the call.
    let error = unsafe {
        libc::getpwnam_r(name.as_ptr(), entry.as_mut_ptr(), to, texts_len, &raw mut found)
    };
    match (error, found.is_null()) {
        // SAFETY: the call has found an entry, and written it to `entry`.
        (0, false) => Ok(Some(unsafe { ((*found).pw_uid, (*found).pw_gid) })),
        (0, true) => Ok(None),
        _ => not_found_or(error),
    }
}

/// The number of a group, by name (`getgrnam_r(3)`); `None`: there is no such group.
///
/// # Errors
/// The system's group database cannot be read.
pub fn group_by_name(name: &str) -> io::Result<Option<u32>> {
    let name = CString::new(name)?;
    let mut texts = vec![0; ENTRY_BYTES];
    let (mut entry, mut found) = (MaybeUninit::<libc::group>::uninit(), ptr::null_mut());
    let (to, texts_len) = (texts.as_mut_ptr(), texts.len());
    // SAFETY: as in `user_by_name`.
    let error = unsafe {
        libc::getgrnam_r(name.as_ptr(), entry.as_mut_ptr(), to, texts_len, &raw mut found)
    };
    match (error, found.is_null()) {
        // SAFETY: the call has found an entry, and written it to `entry`.
        (0, false) => Ok(Some(unsafe { (*found).gr_gid })),
        (0, true) => Ok(None),
        _ => not_found_or(error),
    }
}

/// Some systems say that there is no such entry by one of these (getpwnam(3), ERRORS).
fn not_found_or<T>(error: libc::c_int) -> io::Result<Option<T>> {
    match error {
        libc::ENOENT | libc::ESRCH => Ok(None),
        _ => Err(io::Error::from_raw_os_error(error)),
    }
}

/// The effective user and group.
pub fn identity() -> (u32, u32) {
    // SAFETY: calls without arguments that cannot fail.
    unsafe { (libc::geteuid(), libc::getegid()) }
}

/// Becomes this user in this group, with no other groups, for good: checks that there is no way
/// back. Nothing is changed if the process is that already. For a process of one thread.
///
/// # Errors
/// No privilege to do so; or the privilege remains afterwards, and the process should end.
pub fn become_user(user: u32, group: u32) -> io::Result<()> {
    if identity() != (user, group) || user == 0 {
        // SAFETY: one group is read from a valid place.
        check(unsafe { libc::setgroups(1, &raw const group) })?;
        set_ids(user, group)?;
    }
    let undone = |result: libc::c_int| result == 0;
    // SAFETY: calls without pointers.
    let back = unsafe { user != 0 && (undone(libc::setuid(0)) || undone(libc::seteuid(0))) };
    if back || identity() != (user, group) {
        return Err(io::Error::other("the process could still become root again"));
    }
    Ok(())
}

#[cfg(any(target_os = "linux", target_os = "freebsd"))]
fn set_ids(user: u32, group: u32) -> io::Result<()> {
    // SAFETY: calls without pointers.
    unsafe {
        check(libc::setresgid(group, group, group))?;
        check(libc::setresuid(user, user, user))?;
    }
    Ok(())
}

/// With root's privilege these set all three.
#[cfg(not(any(target_os = "linux", target_os = "freebsd")))]
fn set_ids(user: u32, group: u32) -> io::Result<()> {
    // SAFETY: calls without pointers.
    unsafe {
        check(libc::setgid(group))?;
        check(libc::setuid(user))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_and_unknown_ones_are_not() {
        assert_eq!(user_by_name("root").unwrap(), Some((0, 0)));
        assert_eq!(user_by_name("nobody-of-that-name").unwrap(), None);
        assert_eq!(group_by_name("nobody-of-that-name").unwrap(), None);
        assert!(user_by_name("a\0b").is_err());
    }
}
