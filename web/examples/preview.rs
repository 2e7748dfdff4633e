//! Serves the web role on sample data, to look at its pages: `cargo run -p verbatim-web --example preview`.

#[path = "../tests/support/mod.rs"]
#[expect(
    dead_code,
    clippy::unwrap_used,
    unreachable_pub,
    reason = "shared with the tests, which use all of it"
)]
mod support;

#[path = "preview/samples/mod.rs"]
mod samples;

use std::time::Duration;

use support::World;
use tokio_util::sync::CancellationToken;
use verbatim_web::{GatewayFigures, Web, WebConfig};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let listen = arguments.next().unwrap_or_else(|| "127.0.0.1:8091".to_owned()).parse()?;
    let kind = arguments.next().unwrap_or_default();
    let world = World::default();
    let mut config = WebConfig::new(listen, [7; 32]);
    match kind.as_str() {
        "empty" => {}
        "locked" => config.password = "sesame".to_owned(),
        _ => samples::fill(&world),
    }
    let figures = GatewayFigures {
        queue_bytes: 18_000,
        queue_limit_bytes: 64 << 20,
        spool_limit_bytes: 1 << 30,
        open_exchanges: 1,
        spool_bytes: 0,
        lost_bytes: if kind == "losing" { 81_234 } else { 0 },
        unrecorded_exchanges: if kind == "losing" { 3 } else { 0 },
    };
    let web = Web::bind(config, world.ports(figures)).await?;
    #[expect(clippy::print_stdout, reason = "this is how it says where to look")]
    {
        println!("http://{}", web.local_addr());
    }
    let stop = CancellationToken::new();
    let traffic = samples::traffic(world);
    tokio::select! {
        () = web.run(stop.clone()) => {}
        () = traffic, if kind.is_empty() => {}
        () = tokio::time::sleep(Duration::from_secs(86_400)) => {}
    }
    Ok(())
}
