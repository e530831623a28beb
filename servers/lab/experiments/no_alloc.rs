//! *no-alloc*: a pool of buffers beside the allocator.

use std::hint::black_box;
use std::time::Instant;

use reactor::BufferPool;
use reactor::buffer::Class;

use crate::lab::bench::Bench;
use crate::lab::experiment::Experiment;
use crate::lab::findings::{Axis, Findings, Plot, Table, Verdict};
use crate::lab::problem::Problem;
use crate::lab::stats::{median, median_of};

pub static NO_ALLOC: Experiment = Experiment {
    id: "no-alloc",
    claim: "Avoiding dynamic allocation pays.",
    source: "the folklore on fast servers; Nginx's pools",
    method: "A thread takes 64 buffers, writes a line into each and gives them back, in another \
             order, again and again: from the reactor's pool, and from the allocator (malloc through \
             Vec). Time for each, and the slowest hundredth of the rounds. It pays if the pool takes \
             at most 0.8 of the allocator's time at every size.",
    run,
};

const SIZES: [usize; 3] = [512, 4 * 1024, 64 * 1024];
const BUFFERS: usize = 64;
const ROUNDS: usize = 2_000;

/// Nanoseconds for each buffer, and of the slowest hundredth of the rounds.
type Cost = (f64, f64);

fn run(bench: &mut Bench<'_>) -> Result<Findings, Problem> {
    let mut subjects = Vec::new();
    for size in SIZES {
        subjects.extend([(size, "pool"), (size, "allocator")]);
    }
    let results = bench.interleaved(&subjects, |bench, (size, kind)| {
        bench.check()?;
        let cost = if *kind == "pool" { pool(*size)? } else { allocator(*size) };
        bench.keep(vec![
            ("bytes", (*size as f64).into()),
            ("kind", (*kind).into()),
            ("ns", cost.0.into()),
            ("tail_ns", cost.1.into()),
        ]);
        Ok(cost)
    })?;
    let mut table = Table::new(
        "Taking a buffer and giving it back, ns",
        &["bytes", "pool", "tail", "allocator", "tail"],
    );
    let (mut pools, mut others) = (Vec::new(), Vec::new());
    for (index, size) in SIZES.iter().enumerate() {
        let of = |side: usize| {
            let rounds: &[Cost] = &results[2 * index + side];
            (median_of(rounds, |cost| cost.0), median_of(rounds, |cost| cost.1))
        };
        let (pool, other) = (of(0), of(1));
        let cells = [pool.0, pool.1, other.0, other.1].map(|ns| format!("{ns:.1}"));
        table.row(std::iter::once(size.to_string()).chain(cells));
        pools.push(pool.0);
        others.push(other.0);
    }
    let worst = pools.iter().zip(&others).map(|(a, b)| a / b).fold(0.0, f64::max);
    let because = format!(
        "A buffer of {} bytes took {:.1} ns from the pool and {:.1} ns from the allocator; at worst \
         the pool took {worst:.2} of the allocator's time. A request takes some microseconds.",
        SIZES[1], pools[1], others[1]
    );
    Ok(Findings::new(Verdict::from_bool(worst <= 0.8), because).table(table).plot(Plot::bars(
        "Taking a buffer and giving it back",
        Axis::logarithmic("ns"),
        &SIZES.map(|size| format!("{size} bytes")),
        vec![("pool", pools), ("allocator", others)],
    )))
}

fn pool(size: usize) -> Result<Cost, Problem> {
    let pool = BufferPool::new(&[Class { size, count: BUFFERS }])?;
    let mut held = Vec::with_capacity(BUFFERS);
    Ok(measure(|| {
        for _ in 0..BUFFERS {
            if let Some(mut buffer) = pool.take(0) {
                buffer.spare_mut()[..16].copy_from_slice(black_box(b"GET / HTTP/1.1\r\n"));
                held.push(buffer);
            }
        }
        give_back(&mut held);
    }))
}

fn allocator(size: usize) -> Cost {
    let mut held: Vec<Vec<u8>> = Vec::with_capacity(BUFFERS);
    measure(|| {
        for _ in 0..BUFFERS {
            let mut buffer = Vec::with_capacity(black_box(size));
            buffer.extend_from_slice(black_box(b"GET / HTTP/1.1\r\n"));
            held.push(buffer);
        }
        give_back(&mut held);
    })
}

/// Every second one first: no allocator sees a stack's order in a server.
fn give_back<T>(held: &mut Vec<T>) {
    for index in (0..held.len() / 2).rev() {
        black_box(held.swap_remove(2 * index));
    }
    held.clear();
}

fn measure(mut round: impl FnMut()) -> Cost {
    let mut each = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        let begin = Instant::now();
        round();
        each.push(begin.elapsed().as_nanos() as f64 / BUFFERS as f64);
    }
    each.sort_by(f64::total_cmp);
    (median(&each), each[ROUNDS - ROUNDS / 100])
}
