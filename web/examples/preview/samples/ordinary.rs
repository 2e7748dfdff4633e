//! What most of a day is made of.

use verbatim_core::model::{Dialect, ExchangeId, Outcome, Provenance, ProviderDialect, Timestamp};
use verbatim_testkit::ExchangeBuilder;

struct Sample {
    model: &'static str,
    app: &'static str,
    asked: &'static str,
    answered: &'static str,
    dialect: Dialect,
    provider: &'static str,
}

const SAMPLES: [Sample; 7] = [
    Sample {
        model: "gpt-4o-mini",
        app: "travel-bot",
        asked: "明天上海的天气怎么样？要带伞吗",
        answered: "明天上海多云转小雨，气温 11 到 16 度，建议带伞。",
        dialect: Dialect::OpenaiChat,
        provider: "openai",
    },
    Sample {
        model: "claude-sonnet-4-5",
        app: "ops-agent",
        asked: "Summarise the last deploy and list what failed",
        answered: "The deploy of 17:40 rolled out to 3 of 5 regions before the health check in eu-west failed.",
        dialect: Dialect::Anthropic,
        provider: "anthropic",
    },
    Sample {
        model: "gpt-4o-mini",
        app: "travel-bot",
        asked: "北京天气预报，未来七天",
        answered: "未来七天北京以晴为主，周四有小雪。",
        dialect: Dialect::OpenaiChat,
        provider: "openai",
    },
    Sample {
        model: "claude-sonnet-4-5",
        app: "claude-code",
        asked: "[tool result] cargo test: 3 failed",
        answered: "I'll look at the first failure: the framer drops the last byte when a frame ends at a buffer's end.",
        dialect: Dialect::Anthropic,
        provider: "anthropic",
    },
    Sample {
        model: "gemini-2.5-flash",
        app: "notebook",
        asked: "Explain the difference between keyset and offset pagination",
        answered: "Keyset pagination remembers the last row, offset pagination counts rows to skip.",
        dialect: Dialect::Gemini,
        provider: "gemini",
    },
    Sample {
        model: "text-embedding-3-small",
        app: "indexer",
        asked: "How content-defined chunking finds its boundaries",
        answered: "",
        dialect: Dialect::OpenaiOther,
        provider: "openai",
    },
    Sample {
        model: "deepseek-reasoner",
        app: "notebook",
        asked: "Prove that the square root of 2 is irrational",
        answered: "Suppose √2 = p/q in lowest terms. Then p² = 2q², so p is even…",
        dialect: Dialect::OpenaiChat,
        provider: "deepseek",
    },
];

/// A row of dice that always falls the same.
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

fn dialect_of(dialect: Dialect) -> ProviderDialect {
    match dialect {
        Dialect::Anthropic => ProviderDialect::Anthropic,
        Dialect::Gemini => ProviderDialect::Gemini,
        _ => ProviderDialect::Openai,
    }
}

/// One of many calls, begun then.
pub(super) fn ordinary(at: Timestamp, dice: &mut Dice, number: u64) -> ExchangeBuilder {
    let sample = &SAMPLES[usize::try_from(dice.roll(7)).unwrap_or(0)];
    let fate = dice.roll(100);
    let (first, rest, input, output) =
        (dice.roll(900_000) + 60_000, dice.roll(9_000_000), dice.roll(30_000) + 40, dice.roll(900) + 3);
    let mut id = *ExchangeId::lowest_at(at).as_bytes();
    id[8..].copy_from_slice(&(number | (0b10 << 62)).to_be_bytes());
    let id = ExchangeId::try_from(id.as_slice()).unwrap_or_else(|_| ExchangeId::mint());
    ExchangeBuilder::new(id).with(|exchange| {
        exchange.began_at = at;
        exchange.caller.app = Some(sample.app.to_owned());
        exchange.provider = sample.provider.to_owned();
        exchange.provider_dialect = dialect_of(sample.dialect);
        exchange.dialect = sample.dialect;
        exchange.model_asked = Some(sample.model.to_owned());
        exchange.model_served = Some(sample.model.to_owned());
        exchange.asked_preview = sample.asked.to_owned();
        exchange.answered_preview = sample.answered.to_owned();
        exchange.first_byte_us = Some(first);
        exchange.first_token_us = Some(first + 2_000);
        exchange.duration_us = Some(first + rest);
        exchange.usage.input_tokens = Some(input);
        exchange.usage.output_tokens = Some(output);
        exchange.usage.total_tokens = Some(input + output);
        exchange.usage.cache_read_tokens = Some(input * dice.roll(90) / 100);
        exchange.usage.provenance = Some(Provenance::Provider);
        exchange.cost_micros = Some(input / 3 + output * 2);
        exchange.request_bytes = input * 5;
        exchange.response_bytes = output * 40;
        if fate < 3 {
            exchange.outcome = Outcome::UpstreamError;
            exchange.status = Some(429);
            exchange.error =
                Some("rate_limit_exceeded: Rate limit reached for requests, retry after 1 s".to_owned());
            exchange.cost_micros = None;
            exchange.usage.output_tokens = None;
        } else if fate < 5 {
            exchange.outcome = Outcome::ClientAborted;
            exchange.usage.provenance = Some(Provenance::Estimated);
        }
    })
}
