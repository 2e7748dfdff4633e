//! PostgreSQL down, killed, and no longer letting anybody in.

use crate::api::until;
use crate::ground::{Ground, calls};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn postgresql_down_for_a_while_delays_records_and_loses_none() {
    let ground = Ground::new("best_effort").await;
    let load = ground.begin("postgres-down", calls(1_200, 20_000));
    load.reached(1, 4).await;
    ground.engines.postgres.stop();
    load.reached(3, 4).await;
    ground.engines.postgres.restart();
    ground.all_is_there(&load.finish().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn postgresql_killed_again_and_again_under_load_archives_every_call_once() {
    const KILLS: usize = 5;
    let ground = Ground::new("required").await;
    let load = ground.begin("postgres-killed", calls(1_200, 20_000));
    for kill in 1..=KILLS {
        load.reached(kill, KILLS + 1).await;
        // Whatever is between its commit and the acknowledgement of its ends comes again.
        ground.engines.postgres.kill();
        ground.engines.postgres.restart();
    }
    ground.all_is_there(&load.finish().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_password_of_postgresql_changed_under_load_delays_records_and_loses_none_once_it_is_mended() {
    let mut ground = Ground::without_recorders("best_effort", &[]).await;
    let (port, database) = (ground.engines.postgres.port(), ground.engines.database.clone());
    let alter = |engines: &crate::engines::Engines, sql: &str| engines.postgres.sql("postgres", sql);
    alter(&ground.engines, "CREATE ROLE recorders LOGIN SUPERUSER PASSWORD 'f1rst'");
    let url = format!("postgres://recorders:f1rst@127.0.0.1:{port}/{database}");
    ground.engines.set("VERBATIM_POSTGRES__URL", &url);
    ground.recorders.iter_mut().for_each(|place| place.start(&ground.engines));
    let load = ground.begin("password", calls(1_200, 20_000));
    load.reached(1, 4).await;
    alter(&ground.engines, "ALTER ROLE recorders PASSWORD 's3cond'");
    ground.engines.postgres.end_sessions(&database);
    for recorder in &ground.recorders {
        until(&recorder.readyz(), "a recorder to say that it is not let in", |status, body| {
            let problem = body["problems"][0].as_str().unwrap_or_default();
            status == 503 && problem.contains("refuses our credentials") && !problem.contains("f1rst")
        })
        .await;
    }
    load.reached(3, 4).await;
    alter(&ground.engines, "ALTER ROLE recorders PASSWORD 'f1rst'");
    for recorder in &ground.recorders {
        until(&recorder.readyz(), "a recorder to be ready again", |status, _| status == 200).await;
    }
    ground.all_is_there(&load.finish().await).await;
    // The same processes as at first.
    ground.recorders.iter_mut().for_each(crate::place::Place::stop);
}
