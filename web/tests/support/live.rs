use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use tokio::sync::broadcast;
use tokio_stream::wrappers::BroadcastStream;
use verbatim_core::model::{Exchange, ExchangeId};
use verbatim_core::ports::{Live, LiveMessage, Message, MessageKind};
use verbatim_proto::v1;

/// Passes on what a test lets pass.
pub struct MemoryLive(broadcast::Sender<LiveMessage>);

impl Default for MemoryLive {
    fn default() -> Self {
        Self(broadcast::channel(1024).0)
    }
}

impl MemoryLive {
    /// How many look on.
    pub fn onlookers(&self) -> usize {
        self.0.receiver_count()
    }

    /// A call begins.
    pub fn start(&self, exchange: &Exchange, body: impl Into<Bytes>) {
        let data = body.into();
        let start = v1::Start {
            began_unix_us: exchange.began_at.as_unix_us(),
            method: exchange.method.clone(),
            path: exchange.path.clone(),
            version: "HTTP/1.1".into(),
            caller: Some(v1::Caller { app: exchange.caller.app.clone(), ..v1::Caller::default() }),
            provider: exchange.provider.clone(),
            provider_dialect: u32::from(exchange.provider_dialect.number()),
            session: exchange.session.clone(),
            model_asked: exchange.model_asked.clone(),
            stream_asked: Some(true),
            request: Some(v1::Piece { leg: 1, offset: 0, data, ..v1::Piece::default() }),
            ..v1::Start::default()
        };
        self.pass(exchange.id, MessageKind::Start, v1::envelope::Message::Start(start));
    }

    /// It ends.
    pub fn end(&self, id: ExchangeId) {
        self.pass(id, MessageKind::End, v1::envelope::Message::End(v1::End::default()));
    }

    /// Messages went by unseen.
    pub fn miss(&self, count: u64) {
        let _ = self.0.send(LiveMessage::Missed(count));
    }

    fn pass(&self, exchange: ExchangeId, kind: MessageKind, message: v1::envelope::Message) {
        let payload = verbatim_proto::encode(exchange, "gateway-test", message);
        let message = Message { kind, gateway: "gateway-test".to_owned(), exchange, payload };
        let _ = self.0.send(LiveMessage::Passed(message));
    }
}

impl Live for MemoryLive {
    fn subscribe(&self) -> BoxStream<'static, LiveMessage> {
        let stream = BroadcastStream::new(self.0.subscribe());
        stream.map(|message| message.unwrap_or(LiveMessage::Missed(1))).boxed()
    }
}
