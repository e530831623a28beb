//! The user a process runs as: looking up users and groups, and dropping privileges.
//!
//! The order matters (setuid(2), credentials(7)): supplementary groups and group first, for without
//! the user's privilege neither can be changed. All three user IDs, real, effective and saved,
//! change at once; a process could return to any that is left.

use std::ffi::{CStr, CString, c_char, c_int};
use std::io;
use std::mem::MaybeUninit;
use std::ptr;

use crate::sys::check;

/// Room for an entry's strings: sysconf(3) suggests 1 KiB; a group with many members needs more.
const ENTRY_BYTES: usize = 256 * 1024;
/// More groups than a user has: Linux allows 65,536, others 16 or 1,024.
const GROUPS_MAX: usize = 65_536;

/// A user, as the system's database has it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct User {
    /// Its UID.
    pub number: u32,
    /// Its groups, the primary one first.
    pub groups: Vec<u32>,
}

/// A user by name (`getpwnam_r(3)`); `None`: there is no such user.
///
/// # Errors
/// The system's user database cannot be read.
pub fn user_by_name(name: &str) -> io::Result<Option<User>> {
    let name = CString::new(name)?;
    // SAFETY: the name ends in NUL, and the rest is as `user` promises.
    user(|entry, texts, len, found| unsafe {
        libc::getpwnam_r(name.as_ptr(), entry, texts, len, found)
    })
}

/// A user by UID (`getpwuid_r(3)`); `None`: there is no such user.
///
/// # Errors
/// The system's user database cannot be read.
pub fn user_by_number(number: u32) -> io::Result<Option<User>> {
    // SAFETY: all is as `user` promises.
    user(|entry, texts, len, found| unsafe { libc::getpwuid_r(number, entry, texts, len, found) })
}

/// Finds a user by a call that gets valid pointers to an entry, to a buffer for strings, and to the
/// result.
fn user(
    call: impl Fn(*mut libc::passwd, *mut c_char, usize, *mut *mut libc::passwd) -> c_int,
) -> io::Result<Option<User>> {
    let mut texts = vec![0; ENTRY_BYTES];
    let (mut entry, mut found) = (MaybeUninit::<libc::passwd>::uninit(), ptr::null_mut());
    let error = call(entry.as_mut_ptr(), texts.as_mut_ptr(), texts.len(), &raw mut found);
    if error != 0 {
        return not_found_or(error);
    }
    if found.is_null() {
        return Ok(None);
    }
    // SAFETY: the call has found an entry, and written it to `entry`; its name is in `texts`.
    let (number, group, name) =
        unsafe { ((*found).pw_uid, (*found).pw_gid, CStr::from_ptr((*found).pw_name)) };
    Ok(Some(User { number, groups: groups_of(name, group)? }))
}

/// The groups of a user, `group` first (`getgrouplist(3)`).
#[allow(clippy::unnecessary_cast, reason = "Apple's numbers are signed here")]
fn groups_of(name: &CStr, group: u32) -> io::Result<Vec<u32>> {
    let mut groups = vec![group as _; GROUPS_MAX];
    let mut count = GROUPS_MAX as c_int;
    // SAFETY: the name ends in NUL, and there is room for `count` numbers.
    let result = unsafe {
        libc::getgrouplist(name.as_ptr(), group as _, groups.as_mut_ptr(), &raw mut count)
    };
    if result == -1 {
        return Err(io::Error::other("the user is in too many groups"));
    }
    groups.truncate(count as usize);
    Ok(groups.into_iter().map(|group| group as u32).collect())
}

/// The GID of a group, by name (`getgrnam_r(3)`); `None`: there is no such group.
///
/// # Errors
/// The system's group database cannot be read.
pub fn group_by_name(name: &str) -> io::Result<Option<u32>> {
    let name = CString::new(name)?;
    let mut texts = vec![0; ENTRY_BYTES];
    let (mut entry, mut found) = (MaybeUninit::<libc::group>::uninit(), ptr::null_mut());
    let (to, texts_len) = (texts.as_mut_ptr(), texts.len());
    // SAFETY: the name ends in NUL, `texts` has the length passed, and all pointers are valid
    // during the call.
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

/// Some systems report a missing entry by one of these (getpwnam(3), ERRORS).
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

/// Becomes this user, permanently, with these groups (the first is the primary one) and no others,
/// and checks that there is no way back. Nothing is changed if the process is that user already.
/// For a process of one thread.
///
/// # Errors
/// Not privileged to do so; or the privilege remains afterwards, and the process should end.
pub fn become_user(user: u32, groups: &[u32]) -> io::Result<()> {
    let &[group, ..] = groups else { return Err(io::ErrorKind::InvalidInput.into()) };
    if identity() != (user, group) || user == 0 {
        // The type of the length differs from system to system.
        // SAFETY: that many groups are read from a valid pointer.
        check(unsafe { libc::setgroups(groups.len() as _, groups.as_ptr()) })?;
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
        let root = user_by_name("root").unwrap().unwrap();
        assert_eq!((root.number, root.groups[0]), (0, 0));
        assert_eq!(user_by_number(0).unwrap(), Some(root));
        assert_eq!(user_by_number(u32::MAX - 7).unwrap(), None);
        assert_eq!(user_by_name("nobody-of-that-name").unwrap(), None);
        assert_eq!(group_by_name("nobody-of-that-name").unwrap(), None);
        assert!(user_by_name("a\0b").is_err());
    }
}
