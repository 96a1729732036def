//! `fanout` with clients across a link: what a delivery costs a server whose clients are elsewhere.

use std::mem;

use anyhow::Result;

use super::{ALL, Bench, fanout};
use crate::link::Link;
use crate::swarm::Swarm;
use crate::tell;

pub(super) async fn run(bench: &mut Bench) -> Result<()> {
    let link = match Link::make() {
        Ok(link) => link,
        Err(why) => return tell(&format!("Link is skipped: {why:#}")),
    };
    let elsewhere = Swarm::within(link.clients());
    let here = mem::replace(&mut bench.swarm, elsewhere);
    bench.setup.link = Some(link);
    let done = fanout::run_as("link", bench, &ALL[..3]).await;
    bench.swarm = here;
    bench.setup.link = None;
    done
}
