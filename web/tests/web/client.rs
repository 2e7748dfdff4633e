//! A running web role and a client for it.

use std::time::Duration;

use reqwest::{Client, Method, Response, redirect};
use serde_json::Value;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use verbatim_core::model::{ExchangeId, ExchangeRecord};
use verbatim_testkit::ExchangeBuilder;
use verbatim_web::{GatewayFigures, Ports, Web, WebConfig};

use crate::support::World;

/// A running web role. It stops when this is dropped.
pub struct Site {
    pub world: World,
    pub base: String,
    client: Client,
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

impl Site {
    /// With everything there, and no password.
    pub async fn new() -> Self {
        Self::with(|_, _| {}).await
    }

    /// With configuration or ports changed.
    pub async fn with(change: impl FnOnce(&mut WebConfig, &mut Ports)) -> Self {
        let world = World::default();
        let mut config = WebConfig::new("127.0.0.1:0".parse().unwrap(), [7; 32]);
        let mut ports = world.ports(GatewayFigures::default());
        change(&mut config, &mut ports);
        let web = Web::bind(config, ports).await.unwrap();
        let base = format!("http://{}", web.local_addr());
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        tasks.spawn(web.run(stop.clone()));
        let client = Client::builder()
            .redirect(redirect::Policy::none())
            .timeout(Duration::from_secs(20))
            .build()
            .unwrap();
        Self { world, base, client, stop, tasks }
    }

    pub async fn send(&self, method: Method, path: &str, headers: &[(&str, &str)], body: &str) -> Response {
        let mut request = self.client.request(method, format!("{}{path}", self.base)).body(body.to_owned());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send().await.unwrap()
    }

    pub async fn get(&self, path: &str) -> Response {
        self.send(Method::GET, path, &[], "").await
    }

    pub async fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Response {
        self.send(Method::GET, path, headers, "").await
    }

    pub async fn json(&self, path: &str) -> Value {
        let response = self.get(path).await;
        assert_eq!(response.status(), 200, "{path}");
        response.json().await.unwrap()
    }

    pub async fn page(&self, path: &str) -> String {
        let response = self.get(path).await;
        assert_eq!(response.status(), 200, "{path}");
        response.text().await.unwrap()
    }

    /// Tells it to stop, and waits until it has.
    pub async fn stopped(&mut self) {
        self.stop.cancel();
        self.tasks.join_next().await.unwrap().unwrap();
    }

    pub fn add(&self, builder: ExchangeBuilder) -> ExchangeId {
        let record: ExchangeRecord = builder.build();
        let id = record.exchange.id;
        self.world.add(record);
        id
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// A chat with this question and answer.
pub fn chat(asked: &str, answered: &str) -> ExchangeBuilder {
    let request = serde_json::json!({"model": "gpt-4o", "messages": [{"role": "user", "content": asked}]});
    let response = serde_json::json!({"id": "chatcmpl-1", "object": "chat.completion", "model": "gpt-4o",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": answered}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 20, "total_tokens": 30}});
    ExchangeBuilder::minted()
        .with(|exchange| {
            exchange.asked_preview = asked.chars().take(200).collect();
            exchange.answered_preview = answered.chars().take(200).collect();
            exchange.caller.app = Some("tests".to_owned());
            exchange.cost_micros = Some(410);
        })
        .request(request.to_string())
        .response(response.to_string())
}
