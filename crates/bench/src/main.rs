//! The load generator alone, for work on it: `cargo run --release -p courant-bench -- fanout`.

use clap::Parser;

#[derive(Debug, Parser)]
#[command(name = "courant-bench", version, about)]
struct Cli {
    #[command(flatten)]
    bench: courant_bench::BenchArgs,
}

fn main() -> anyhow::Result<()> {
    courant_bench::run(Cli::parse().bench)
}
