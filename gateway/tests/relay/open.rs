//! A relay that the network reaches.

use verbatim_core::model::{Outcome, ProviderDialect};
use verbatim_gateway::{BaseUrl, GatewayConfig, Provider, Secret};

use crate::support::{Connection, Rig, get, post};

const CHAT: &str = r#"{"model":"m","messages":[{"role":"user","content":"hello"}]}"#;

fn listen_to_all(config: &mut GatewayConfig) {
    config.listen = ([0, 0, 0, 0], 0).into();
}

#[tokio::test]
async fn it_leads_to_no_local_provider_that_is_only_built_in() {
    let open = Rig::with(|config| {
        listen_to_all(config);
        config.providers.retain(|provider| provider.name != "ollama");
    })
    .await;
    for headers in [&[][..], &[("authorization", "Bearer of-the-caller")]] {
        let answer = post(open.address, "/ollama/api/chat", headers, CHAT.as_bytes()).await;
        assert_eq!(answer.status, 403);
        let message = answer.json()["error"].as_str().unwrap().to_owned();
        assert!(message.contains("[[providers]] with name = \"ollama\""), "{message}");
    }
    assert_eq!(open.records(2).await[0].outcome(), Outcome::Refused);
    // One that is configured is meant to be reached, wherever it is.
    let configured = Rig::with(listen_to_all).await;
    assert_eq!(post(configured.address, "/ollama/api/chat", &[], CHAT.as_bytes()).await.status, 200);
}

#[tokio::test]
async fn it_lends_no_stored_key_to_a_page_that_reads_it_by_a_name_of_its_own() {
    let rig = Rig::with(|config| {
        listen_to_all(config);
        config.default_key = true;
        config.public_host = Some("relay.example.com".to_owned());
        let base = config.providers[0].base_url.to_string();
        config.providers[0] = Provider {
            api_key: Some(Secret::new("stored".to_owned())),
            ..Provider::new("openai", ProviderDialect::Openai, BaseUrl::parse(&base).unwrap())
        };
    })
    .await;
    let browser = ("user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0");
    let program = ("user-agent", "OpenAI/Python 1.99.1");
    for (host, agent, status) in [
        ("rebound.example", browser, 401),
        ("relay.example.com", browser, 200),
        ("llm.prod.example", program, 200),
    ] {
        let answer = get(rig.address, "/v1/models", &[("host", host), agent]).await;
        assert_eq!(answer.status, status, "{host}");
    }
}

#[tokio::test]
async fn a_body_in_another_transfer_coding_is_refused_in_the_callers_language() {
    let rig = Rig::start().await;
    for (path, place) in [("/v1/chat/completions", "type"), ("/v1/messages", "message")] {
        let mut connection = Connection::open(rig.address).await;
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: gzip, chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
        );
        connection.send(request).await;
        let answer = connection.receive("POST").await;
        assert_eq!(answer.status, 501, "{path}");
        assert!(answer.json()["error"][place].is_string(), "{path}");
    }
    assert_eq!(rig.records(2).await[0].outcome(), Outcome::Refused);
    assert!(rig.mock.ledger().entries().is_empty(), "nothing was forwarded");
}
