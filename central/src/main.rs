//! The program `selvedge-central`: reads its configuration, serves until it is told to stop. It
//! must never hold a rule.

use std::process::ExitCode;

use selvedge_central::config::{Asked, Config};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("selvedge-central: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    let environment = |name: &str| std::env::var(name).ok();
    let config = match Config::from(std::env::args().skip(1), &environment)? {
        Asked::Serve(config) => config,
        Asked::Print(text) => {
            println!("{text}");
            return Ok(());
        }
    };
    let filter = EnvFilter::try_from_env("SELVEDGE_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("no runtime: {error}"))?
        .block_on(serve(*config))
}

async fn serve(config: Config) -> Result<(), String> {
    let mut interrupt = signal(SignalKind::interrupt()).map_err(|error| error.to_string())?;
    let mut terminate = signal(SignalKind::terminate()).map_err(|error| error.to_string())?;
    let running = selvedge_central::start(config).await?;
    tracing::info!(address = %running.address, "listening");
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    tracing::info!("stopping");
    running.stop().await;
    Ok(())
}
