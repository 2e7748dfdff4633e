//! Agents: conversations in which tools are called, step by step.

use super::conversation::{Conversation, Tool, Wire};
use super::{ANALYST, App, CODER, SUPPORT, SampleCall, TRAVEL};
use crate::random::Draw;

/// What an agent does: a task, then a tool a step with what it returns, then perhaps another task.
struct Agent {
    app: App,
    wire: Wire,
    model: &'static str,
    system: &'static str,
    tools: &'static [Tool],
    tasks: &'static [Task],
}

type Task = (&'static str, &'static [(&'static str, &'static str)]);

const CODING_TOOLS: &[Tool] = &[
    ("read_file", "Reads a file of the project.", "path"),
    ("search_code", "Finds a pattern in the project.", "pattern"),
    ("edit_file", "Replaces text in a file.", "path"),
    ("run_tests", "Runs the tests whose names match.", "filter"),
];

const CODING_SYSTEM: &str = "You are a coding agent. You work in the user's repository with the tools you are \
    given. Read before you write, keep changes small, and run the tests after every change. Follow the style of \
    the code around. Say what you did in a few sentences; do not repeat whole files. Never touch generated files \
    or lock files. If a test fails, find the cause before you change anything else. Prefer the standard library.";

const AGENTS: &[Agent] = &[
    Agent {
        app: CODER,
        wire: Wire::Anthropic,
        model: "claude-sonnet-4-5",
        system: CODING_SYSTEM,
        tools: CODING_TOOLS,
        tasks: &[
            (
                "The parser panics on an empty input. Find out why and fix it.",
                &[
                    ("search_code", "src/parser.rs:41: let first = tokens[0];\nsrc/lib.rs:12: parse(input)"),
                    (
                        "read_file",
                        "40  fn parse(tokens: &[Token]) -> Ast {\n41      let first = tokens[0];\n42      match first.kind {",
                    ),
                    ("edit_file", "Replaced 1 occurrence in src/parser.rs."),
                    (
                        "run_tests",
                        "running 48 tests\n................................................\ntest result: ok. 48 passed",
                    ),
                ],
            ),
            (
                "Now add a test for it, please.",
                &[
                    ("edit_file", "Replaced 1 occurrence in src/parser.rs."),
                    (
                        "run_tests",
                        "running 49 tests\n.................................................\ntest result: ok. 49 passed",
                    ),
                ],
            ),
        ],
    },
    Agent {
        app: CODER,
        wire: Wire::Responses,
        model: "gpt-5",
        system: CODING_SYSTEM,
        tools: CODING_TOOLS,
        tasks: &[(
            "Rename `fetch_all` to `list` everywhere.",
            &[
                ("search_code", "src/store.rs:88\nsrc/api.rs:14\nsrc/api.rs:90\ntests/store.rs:7"),
                ("edit_file", "Replaced 4 occurrences in 3 files."),
                ("run_tests", "error[E0599]: no method named `fetch_all` found for struct `Cache`"),
                ("edit_file", "Replaced 1 occurrence in src/cache.rs."),
                ("run_tests", "test result: ok. 131 passed; 0 failed"),
            ],
        )],
    },
    Agent {
        app: SUPPORT,
        wire: Wire::Chat,
        model: "gpt-4o",
        system: "你是一家网上书店的客服助手。请先查询订单，再回答客户的问题。",
        tools: &[
            ("lookup_order", "查询订单的状态。", "order_id"),
            ("refund", "为订单办理退款。", "order_id"),
        ],
        tasks: &[
            (
                "我的订单 20251103 还没有收到，可以帮我查一下吗？",
                &[("lookup_order", "{\"状态\": \"运输中\", \"预计送达\": \"明天\"}")],
            ),
            ("我不想等了，请给我退款。", &[("refund", "{\"退款\": \"已受理\", \"金额\": 58.5}")]),
        ],
    },
    Agent {
        app: TRAVEL,
        wire: Wire::Gemini,
        model: "gemini-2.5-flash",
        system: "あなたは旅行の計画を手伝うアシスタントです。",
        tools: &[
            ("get_weather", "都市の天気を調べます。", "city"),
            ("search_hotels", "ホテルを探します。", "city"),
        ],
        tasks: &[
            ("来週の京都の天気を調べてください。", &[("get_weather", "晴れ時々曇り、最高気温18度")]),
            (
                "駅の近くのホテルを探してください。",
                &[("search_hotels", "京都駅前ホテル（1泊12,000円）、七条旅館（1泊9,500円）")],
            ),
        ],
    },
    Agent {
        app: ANALYST,
        wire: Wire::Chat,
        model: "gpt-5-mini",
        system: "You answer questions about the company's data with SQL on a read-only database.",
        tools: &[
            ("run_sql", "Runs a query on the data warehouse.", "query"),
            ("plot", "Draws a chart.", "title"),
        ],
        tasks: &[(
            "Which five customers grew most this quarter?",
            &[
                (
                    "run_sql",
                    "customer,growth\nNorthwind,0.42\nContoso,0.31\nFabrikam,0.28\nLitware,0.21\nProseware,0.19",
                ),
                ("plot", "chart-81.png"),
            ],
        )],
    },
    Agent {
        app: SUPPORT,
        wire: Wire::Anthropic,
        model: "claude-haiku-4-5",
        system: "당신은 온라인 쇼핑몰의 상담원입니다. 주문을 조회한 뒤 정중하게 답하세요.",
        tools: &[("lookup_order", "주문 상태를 조회합니다.", "order_id")],
        tasks: &[(
            "주문번호 8812의 배송 상태를 알려 주세요.",
            &[("lookup_order", "배송 중, 내일 도착 예정")],
        )],
    },
    Agent {
        app: TRAVEL,
        wire: Wire::Gemini,
        model: "gemini-2.5-pro",
        system: "You plan trips. Check the weather before you recommend anything.",
        tools: &[
            ("get_weather", "Tells the weather in a city.", "city"),
            ("search_flights", "Finds flights.", "route"),
        ],
        tasks: &[(
            "Plan a weekend in Lisbon for two.",
            &[("get_weather", "Sunny, 21 degrees"), ("search_flights", "TP 571 at 07:40, LH 1172 at 12:15")],
        )],
    },
];

/// One agent at work.
pub(super) fn agent(draw: &mut Draw) -> (App, Vec<SampleCall>) {
    let agent = &AGENTS[draw.below(AGENTS.len())];
    let mut conversation = Conversation::new(agent.wire, agent.model, agent.system, agent.tools);
    for (task, steps) in agent.tasks {
        conversation.say(task);
        for (tool, result) in *steps {
            let called = conversation.send(Some(tool), draw);
            conversation.results(&called, result);
        }
        conversation.send(None, draw);
    }
    (agent.app, conversation.finish())
}
