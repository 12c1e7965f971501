//! The `courant` binary: the command line, and what each command runs.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use courant_gateway::config::{self, Config};
use courant_gateway::{documents, run};

/// The open, self-hosted real-time backend.
#[derive(Parser)]
#[command(name = "courant", version, about, propagate_version = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the server. Without a configuration it listens on 127.0.0.1:6001 with a development application.
    Serve(ConfigPath),
    /// Check a configuration without running anything; exits with 1 and all problems if it can't be used.
    CheckConfig(ConfigPath),
    /// Print a page of the reference documentation, generated from the tables in this binary.
    Docs {
        /// Which page.
        #[arg(value_enum)]
        page: documents::Page,
    },
    /// Measure a server that speaks the Pusher protocol.
    Bench(Box<courant_bench::BenchArgs>),
}

#[derive(clap::Args)]
struct ConfigPath {
    /// The configuration file (TOML). Every setting can also be given as COURANT_SECTION_KEY.
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl ConfigPath {
    fn load(self) -> anyhow::Result<Config> {
        let (from_environment, variables) = config::process_environment();
        let path = self.config.or(from_environment);
        Ok(Config::load(path.as_deref(), variables)?)
    }
}

fn main() -> ExitCode {
    match command(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("courant: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn command(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Serve(path) => serve(path.load()?),
        Command::CheckConfig(path) => {
            let config = path.load()?;
            println!("the configuration is valid: {} application(s)", config.apps.iter().len());
            Ok(())
        }
        Command::Docs { page } => {
            print!("{}", documents::render(page));
            Ok(())
        }
        Command::Bench(arguments) => courant_bench::run(*arguments),
    }
}

fn serve(config: Config) -> anyhow::Result<()> {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    if let Some(threads) = config.server.worker_threads {
        runtime.worker_threads(threads);
    }
    let runtime = runtime.enable_all().thread_name("courant").build().context("can't start the runtime")?;
    let served = runtime.block_on(run::run(config));
    // What is still blocking (a name being looked up, for instance) is not worth waiting for.
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    served
}
