//! The program: reads the command line and the settings, runs the command, ends with a code.

use std::process::ExitCode;

use clap::Parser as _;
use pgfeed::{
    app::{
        build,
        cli::{Cli, Command},
        database, dev, doctor,
        faults::faults,
        fitness::Unfit,
        ready, serve, tail, token, types,
    },
    settings::Settings,
    telemetry,
};

// It gives back what clients had who left, by a thread of its own: glibc's allocator kept 480 MB
// after 10,000 of them, and mimalloc all it had until somebody else came (`make bench`, idle).
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// The settings are wrong (`EX_CONFIG` of sysexits.h).
const EX_CONFIG: u8 = 78;

/// The image sets it for the gateway; what listens nowhere needs no key for it.
const LISTEN: &str = "PGFEED__SERVER__LISTEN";

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let is_for_database = cli.command.is_for_database();
    let environment = std::env::vars_os().filter(|(name, _)| !is_for_database || name != LISTEN);
    let loaded = match Settings::load(cli.config.as_deref(), environment, &faults) {
        Ok(loaded) => loaded,
        Err(error) => return fail(&error.into(), EX_CONFIG),
    };
    let settings = loaded.settings;
    if let Err(error) = telemetry::start(&settings.telemetry.level, settings.telemetry.format) {
        return fail(&error.into(), EX_CONFIG);
    }
    for warning in loaded.warnings {
        tracing::warn!(warning, "A setting was taken with a remark.");
    }
    match Box::pin(run(cli.command, settings)).await {
        Ok(code) => code,
        Err(error) => match error.downcast_ref::<Unfit>() {
            Some(unfit) => fail(&unfit.of(&loaded.origins).into(), EX_CONFIG),
            None => fail(&error, 1),
        },
    }
}

async fn run(command: Command, settings: Settings) -> anyhow::Result<ExitCode> {
    match command {
        Command::Dev => dev::run(settings).await?,
        Command::Config => print(&settings.to_toml_redacted()),
        Command::Serve => {
            let target = build::target(&settings)?;
            serve::run(settings, target, greet).await?;
        }
        Command::Install { grant_to } => {
            database::install(&build::target(&settings)?, grant_to.as_deref()).await?;
        }
        Command::Watch { tables } => database::watch(&build::target(&settings)?, &tables).await?,
        Command::Unwatch { tables } => {
            database::unwatch(&build::target(&settings)?, &tables).await?;
        }
        Command::Status => {
            let is_well = database::status(&build::target(&settings)?).await?;
            return Ok(if is_well { ExitCode::SUCCESS } else { ExitCode::from(1) });
        }
        Command::Ready => ready::run(&settings).await?,
        Command::Doctor { url } => {
            let target = build::target(&settings)?;
            let is_well = doctor::run(&settings, &target, url.as_deref()).await;
            return Ok(if is_well { ExitCode::SUCCESS } else { ExitCode::from(1) });
        }
        Command::Token { sub: subject, role: roles, ttl: ttl_seconds, claim: claims } => {
            token::mint(&settings, token::Wanted { subject, roles, ttl_seconds, claims })?;
        }
        Command::Explain { table, token, key } => {
            let target = build::target(&settings)?;
            token::explain(&settings, &target, &table, token.as_deref(), &key).await?;
        }
        Command::Types { table, exact, out } => {
            types::run(&build::target(&settings)?, &table, exact, out.as_deref()).await?;
        }
        Command::Tail { tables } => {
            let target = build::target(&settings)?;
            tail::run(&settings, target, tables).await?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

#[expect(clippy::print_stdout, reason = "the command's output")]
fn greet(address: std::net::SocketAddr, is_reached: bool) {
    println!("pgfeed is ready on http://{address}/");
    if !is_reached {
        println!("The database is not reached yet; clients are refused until it is.");
    }
}

#[expect(clippy::print_stdout, reason = "the command's output")]
fn print(text: &str) {
    print!("{text}");
}

/// Tells an error with its causes, once.
#[expect(clippy::print_stderr, reason = "the last word of a command that failed")]
fn fail(error: &anyhow::Error, code: u8) -> ExitCode {
    eprintln!("pgfeed: {error:#}");
    ExitCode::from(code)
}
