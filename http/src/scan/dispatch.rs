//! Which scanner: decided once, when a [`Head`](crate::Head) is created, and used once per head.
//!
//! A function may use a set of instructions only when it is compiled for it, and a function that is
//! not cannot be inlined into one that is and back out again. So the whole of a [`Task`] is
//! compiled once for each scanner, and entered through a function that has its instructions.

#![allow(unsafe_code, reason = "a function for some processors only is called")]

use std::fmt;

use super::block::Scanner;
use super::portable::{self, Portable};

#[cfg(target_arch = "aarch64")]
use super::neon::{self, Neon};
#[cfg(target_arch = "x86_64")]
use super::{
    avx2::{self, Avx2},
    avx512::{self, Avx512},
    sse2::{self, Sse2},
};

/// The sets of instructions that there are scanners for.
#[derive(Copy, Clone, Debug)]
pub(crate) enum Isa {
    #[cfg(target_arch = "x86_64")]
    Avx512(Avx512),
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
    #[cfg(target_arch = "x86_64")]
    Sse2(Sse2),
    #[cfg(target_arch = "aarch64")]
    Neon(Neon),
    #[allow(dead_code, reason = "for processors without a scanner of their own, and for the tests")]
    Portable(Portable),
}

/// Something to do with a scanner. `run` must be `#[inline(always)]`.
pub(crate) trait Task {
    type Output;

    fn run<S: Scanner>(self, scanner: S) -> Self::Output;
}

/// The same, to be compiled once and called often: with bytes, a result, and the rules.
pub(crate) trait Program {
    type Product;
    type Rules;
    type Output;

    fn run<S: Scanner>(
        scanner: S,
        bytes: &[u8],
        product: &mut Self::Product,
        rules: &Self::Rules,
    ) -> Self::Output;
}

/// A program compiled for one scanner.
pub(super) type Function<P> = unsafe fn(
    &[u8],
    &mut <P as Program>::Product,
    &<P as Program>::Rules,
) -> <P as Program>::Output;

/// A program compiled for the detected scanner. Calling it costs as much as any call through a
/// function pointer.
pub(crate) struct Compiled<P: Program>(Function<P>);

impl<P: Program> Compiled<P> {
    #[inline(always)]
    pub(crate) fn run(
        &self,
        bytes: &[u8],
        product: &mut P::Product,
        rules: &P::Rules,
    ) -> P::Output {
        // SAFETY: created by `Isa::compiled`, from a scanner that exists.
        unsafe { (self.0)(bytes, product, rules) }
    }
}

impl<P: Program> Copy for Compiled<P> {}

impl<P: Program> Clone for Compiled<P> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<P: Program> fmt::Debug for Compiled<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Compiled")
    }
}

impl Isa {
    /// The best that this processor has.
    pub(crate) fn detect() -> Isa {
        #[cfg(target_arch = "x86_64")]
        {
            let avx512 = Avx512::detect().map(Isa::Avx512);
            let best = avx512.or_else(|| Avx2::detect().map(Isa::Avx2));
            best.unwrap_or(Isa::Sse2(Sse2::new()))
        }
        #[cfg(target_arch = "aarch64")]
        return Isa::Neon(Neon::new());
        #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
        Isa::Portable(Portable)
    }

    /// All that this processor has.
    #[cfg(test)]
    pub(crate) fn all() -> Vec<Isa> {
        let mut all = vec![Isa::Portable(Portable)];
        #[cfg(target_arch = "x86_64")]
        {
            all.push(Isa::Sse2(Sse2::new()));
            all.extend(Avx2::detect().map(Isa::Avx2));
            all.extend(Avx512::detect().map(Isa::Avx512));
        }
        #[cfg(target_arch = "aarch64")]
        all.push(Isa::Neon(Neon::new()));
        all
    }

    /// `P` for this scanner.
    pub(crate) fn compiled<P: Program>(self) -> Compiled<P> {
        Compiled(match self {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512(_) => avx512::run::<P>,
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2(_) => avx2::run::<P>,
            #[cfg(target_arch = "x86_64")]
            Isa::Sse2(_) => sse2::run::<P>,
            #[cfg(target_arch = "aarch64")]
            Isa::Neon(_) => neon::run::<P>,
            Isa::Portable(_) => portable::run::<P>,
        })
    }

    /// Runs `task` with this scanner.
    #[cfg(test)]
    pub(crate) fn run<T: Task>(self, task: T) -> T::Output {
        match self {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512(scanner) => scanner.enter(task),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2(scanner) => scanner.enter(task),
            #[cfg(target_arch = "x86_64")]
            Isa::Sse2(scanner) => scanner.enter(task),
            #[cfg(target_arch = "aarch64")]
            Isa::Neon(scanner) => scanner.enter(task),
            Isa::Portable(scanner) => scanner.enter(task),
        }
    }
}

/// For what the whole target has.
#[inline(never)]
pub(super) fn enter<S: Scanner, T: Task>(scanner: S, task: T) -> T::Output {
    task.run(scanner)
}
