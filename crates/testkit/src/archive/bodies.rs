//! Bodies come back byte for byte.

use verbatim_core::model::{ChunkTime, Integrity, Leg, Outcome, Timeline};
use verbatim_core::ports::Archive;

use super::committing::infos;
use super::{MakeArchiveWorld, noise, store};
use crate::ExchangeBuilder;
use crate::traffic::{Words, call, conversation};

async fn assert_bodies(archive: &dyn Archive, records: &[verbatim_core::model::ExchangeRecord]) {
    for record in records {
        let id = record.exchange.id;
        for body in &record.bodies {
            let found = archive.body(id, body.info.leg).await.unwrap().expect("the leg is stored");
            assert_eq!(found.info, body.info);
            assert!(found.bytes == body.bytes, "{id} {} came back changed", body.info.leg);
            assert_eq!(found.timeline, body.timeline);
        }
        assert_eq!(archive.get(id).await.unwrap().unwrap().1.legs, infos(record));
    }
}

/// From none to more than any limit in between.
pub async fn bodies_of_every_size_read_back(world: MakeArchiveWorld) {
    let world = world();
    let archive = world.open().await;
    let mut records = Vec::new();
    for (seed, size) in
        [0, 1, 4095, 4096, 31 << 10, 32 << 10, 33 << 10, 200_000, 5 << 20, 20 << 20].into_iter().enumerate()
    {
        let record = ExchangeBuilder::minted()
            .request(noise(seed as u64, size))
            .response(vec![b'z'; size])
            .body(Leg::UpstreamRequest, noise(seed as u64, size), Timeline::default())
            .build();
        records.push(record);
        store(&*archive, vec![records[seed].clone()]).await;
    }
    assert_bodies(&*archive, &records).await;
    world.close().await;
}

/// As many as their bodies allow, and never none.
pub async fn whole_records_are_read_together_within_a_bound(world: MakeArchiveWorld) {
    let world = world();
    let archive = world.open().await;
    let sizes = [1_000, 300, 0, 2_000, 5_000];
    let build = |(seed, size)| {
        ExchangeBuilder::minted().request(noise(seed, size)).response(vec![b'z'; size]).build()
    };
    let records: Vec<_> = (0..).zip(sizes).map(build).collect();
    store(&*archive, records.clone()).await;
    let nobody = verbatim_core::model::ExchangeId::mint();
    let mut ids: Vec<_> = records.iter().map(|record| record.exchange.id).collect();
    ids.insert(1, nobody);
    let read = async |ids: &[_], bytes| -> Vec<_> {
        let found = archive.read_many(ids, bytes).await.unwrap();
        found.into_iter().map(|found| found.unwrap()).collect()
    };
    let all = read(&ids, u64::MAX).await;
    assert_eq!(all.len(), ids.len());
    assert!(all[1].is_none());
    for (found, record) in all.iter().flatten().zip(&records) {
        assert_eq!(found.exchange.id, record.exchange.id);
        assert_eq!(found.heads.legs, infos(record));
        assert_eq!(found.bodies, record.bodies);
    }
    assert_eq!(read(&ids, 2_600).await.len(), 4, "the fourth record no longer fits");
    assert_eq!(read(&ids[5..], 1).await.len(), 1, "the first is read however large it is");
    assert_eq!(read(&[nobody], 1).await.len(), 1);
    assert_eq!(read(&[], 1).await.len(), 0);
    world.close().await;
}

/// However they are packed.
pub async fn small_bodies_committed_together_read_back(world: MakeArchiveWorld) {
    let world = world();
    let archive = world.open().await;
    let mut words = Words::new(2);
    let mut records = Vec::new();
    for n in 0..300 {
        let size = 200 + words.number(6000) as usize;
        let mut record = call(&mut words, size);
        record.exchange.caller.project =
            [None, Some("one".to_owned()), Some("two".to_owned())][n % 3].clone();
        records.push(record);
    }
    for batch in records.chunks(100) {
        store(&*archive, batch.to_vec()).await;
    }
    assert_bodies(&*archive, &records).await;
    world.close().await;
}

/// Neither an error nor an empty body.
pub async fn a_leg_that_is_not_stored_is_none(world: MakeArchiveWorld) {
    let world = world();
    let archive = world.open().await;
    let record = ExchangeBuilder::minted().request("x").build();
    store(&*archive, vec![record.clone()]).await;
    assert!(archive.body(record.exchange.id, Leg::ClientResponse).await.unwrap().is_none());
    assert!(
        archive.body(verbatim_core::model::ExchangeId::mint(), Leg::ClientRequest).await.unwrap().is_none()
    );
    world.close().await;
}

/// Of a long stream.
pub async fn a_timeline_reads_back(world: MakeArchiveWorld) {
    let world = world();
    let archive = world.open().await;
    let chunks = (0..20_000).map(|n| ChunkTime { offset: n * 37, at_us: n * n }).collect();
    let record =
        ExchangeBuilder::minted().body(Leg::ClientResponse, noise(1, 740_000), Timeline { chunks }).build();
    store(&*archive, vec![record.clone()]).await;
    assert_bodies(&*archive, &[record]).await;
    world.close().await;
}

/// With the wire's length and hash beside what is stored.
pub async fn what_is_stored_of_a_body_with_losses_reads_back(world: MakeArchiveWorld) {
    let world = world();
    let archive = world.open().await;
    let mut record = ExchangeBuilder::minted()
        .with(|exchange| {
            exchange.integrity = Integrity::Partial;
            exchange.outcome = Outcome::Completed;
            exchange.lost_bytes = 100;
        })
        .response("what is left")
        .build();
    let info = &mut record.bodies[0].info;
    (info.length, info.lost, info.hash) = (112, 100, Some([9; 32]));
    let mut unseen = ExchangeBuilder::minted().response("nobody saw the whole").build();
    unseen.bodies[0].info.hash = None;
    for record in [&mut record, &mut unseen] {
        record.heads.legs = infos(record);
    }
    store(&*archive, vec![record.clone(), unseen.clone()]).await;
    assert_bodies(&*archive, &[record, unseen]).await;
    world.close().await;
}

/// Each call sends again what the one before sent.
pub async fn a_conversation_reads_back(world: MakeArchiveWorld) {
    let world = world();
    let archive = world.open().await;
    let records = conversation(30, 1);
    for batch in records.chunks(4) {
        store(&*archive, batch.to_vec()).await;
    }
    assert_bodies(&*archive, &records).await;
    world.close().await;
}

/// The same bytes, apart.
pub async fn bodies_of_two_tenants_read_back(world: MakeArchiveWorld) {
    let world = world();
    let archive = world.open().await;
    let of = |project: &str| {
        ExchangeBuilder::minted()
            .with(|exchange| exchange.caller.project = Some(project.to_owned()))
            .request(noise(1, 100_000))
            .build()
    };
    let records = [of("one"), of("two"), of("one")];
    store(&*archive, records.to_vec()).await;
    assert_bodies(&*archive, &records).await;
    world.close().await;
}

/// As durable as their records.
pub async fn bodies_survive_a_kill(world: MakeArchiveWorld) {
    let world = world();
    let archive = world.open().await;
    let records: Vec<_> = (0..20)
        .map(|n| ExchangeBuilder::minted().request(noise(n, 3000)).response(noise(n % 3, 50_000)).build())
        .collect();
    store(&*archive, records.clone()).await;
    drop(archive);
    world.kill().await;
    let archive = world.open().await;
    assert_bodies(&*archive, &records).await;
    world.close().await;
}
