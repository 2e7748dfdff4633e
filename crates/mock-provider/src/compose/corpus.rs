//! The sentences that answers are put together from.

use super::language::Language;

/// What an answer in one language is made of. `{}` stands for what was asked about.
pub(super) struct Corpus {
    pub(super) openings: &'static [&'static str],
    pub(super) sentences: &'static [&'static str],
    pub(super) thoughts: &'static [&'static str],
    pub(super) after_tool: &'static [&'static str],
    /// What parts two sentences.
    pub(super) space: &'static str,
}

pub(super) fn corpus(language: Language) -> &'static Corpus {
    match language {
        Language::English => &ENGLISH,
        Language::Chinese => &CHINESE,
        Language::Japanese => &JAPANESE,
        Language::Korean => &KOREAN,
    }
}

static ENGLISH: Corpus = Corpus {
    openings: &[
        "Here is a short answer about {}.",
        "Good question. Let us look at {} step by step.",
        "In brief, {} comes down to three things.",
        "There are a few ways to think about {}.",
        "Let me summarise what matters for {}.",
    ],
    sentences: &[
        "The most common mistake is to optimise before measuring anything.",
        "Start with the smallest example that shows the behaviour, and change one thing at a time.",
        "A queue with a bound tells you early that the consumer is too slow.",
        "In practice the network is the slowest part, so keep connections open and reuse them.",
        "Write the test first: it documents what you expect and fails for the right reason.",
        "Ownership is moved unless the type is `Copy`, which is why the compiler complains here.",
        "An index helps reads but costs every write, so add it only where a query needs it.",
        "Retries should back off exponentially and carry a little jitter.",
        "If the cache is cold, the first request pays for everyone after it.",
        "Keep the interface narrow and the implementation can change behind it.",
        "The documentation mentions this in passing, but it is easy to overlook.",
        "Log the identifier of the request, so that two systems can be compared later.",
        "For most teams the simpler option is good enough for the first year.",
        "Finally, check the edge cases: an empty input, a very large one, and a slow reader.",
    ],
    thoughts: &[
        "The user asks about {}. I should first recall the basics, then give an example.",
        "Let me think about {} carefully before I answer; there are two readings of the question.",
        "To answer this I need to weigh simplicity against speed in the case of {}.",
    ],
    after_tool: &[
        "According to the result, here is what I found:",
        "Thanks, the tool returned the following:",
        "I looked that up for you:",
    ],
    space: " ",
};

static CHINESE: Corpus = Corpus {
    openings: &[
        "关于{}，简单来说可以这样理解。",
        "这是一个很好的问题，我们来一步一步分析{}。",
        "{}的关键主要有三点。",
        "下面总结一下{}的要点。",
    ],
    sentences: &[
        "首先要明确需求，再选择合适的技术方案。",
        "最常见的错误是在没有测量之前就开始优化。",
        "数据库索引可以加快查询，但会增加写入的成本。",
        "建议先写一个最小的例子，每次只改动一处。",
        "有界队列可以及早发现消费者处理太慢的问题。",
        "重试时应当使用指数退避，并加入随机抖动。",
        "缓存未命中时，第一次请求的延迟会比较高。",
        "日志中应该记录请求编号，方便之后对照排查。",
        "对于大多数团队来说，简单的方案已经足够。",
        "最后不要忘记检查边界情况，例如空输入和超大输入。",
        "人工智能模型的回答需要结合实际情况进行验证。",
        "文档里提到过这一点，但是很容易被忽略。",
    ],
    thoughts: &[
        "用户想了解{}，我应该先介绍基本概念，再举一个例子。",
        "需要仔细考虑{}的不同含义，然后给出清晰的回答。",
    ],
    after_tool: &["根据查询结果：", "工具返回了以下内容：", "我已经帮你查到了："],
    space: "",
};

static JAPANESE: Corpus = Corpus {
    openings: &[
        "{}について、簡単に説明します。",
        "良い質問ですね。{}を順番に見ていきましょう。",
        "{}のポイントは大きく三つあります。",
    ],
    sentences: &[
        "まず、要件をはっきりさせることが大切です。",
        "測定する前に最適化するのは、よくある間違いです。",
        "索引は検索を速くしますが、書き込みのコストが増えます。",
        "小さな例から始めて、一度に一か所だけ変更してください。",
        "再試行には指数バックオフとゆらぎを入れるのが安全です。",
        "キャッシュが空のときは、最初のリクエストが遅くなります。",
        "ログにはリクエストの識別子を残しておくと便利です。",
        "多くのチームにとっては、単純な方法で十分です。",
        "最後に、空の入力や非常に大きな入力も確認しましょう。",
        "東京の開発チームでも同じ方法が使われています。",
    ],
    thoughts: &[
        "ユーザーは{}について知りたいようだ。まず基本を説明し、次に例を示そう。",
        "{}には二つの解釈があるので、慎重に考える必要がある。",
    ],
    after_tool: &["調べた結果は次のとおりです。", "ツールから次の結果が返ってきました。"],
    space: "",
};

static KOREAN: Corpus = Corpus {
    openings: &[
        "{}에 대해 간단히 설명해 드리겠습니다.",
        "좋은 질문입니다. {}부터 차례대로 살펴보겠습니다.",
        "{}의 핵심은 세 가지입니다.",
    ],
    sentences: &[
        "먼저 요구 사항을 분명히 하는 것이 중요합니다.",
        "측정하기 전에 최적화하는 것은 흔한 실수입니다.",
        "색인은 조회를 빠르게 하지만 쓰기 비용을 늘립니다.",
        "가장 작은 예제에서 시작해 한 번에 한 가지만 바꾸세요.",
        "재시도에는 지수 백오프와 약간의 무작위성이 필요합니다.",
        "캐시가 비어 있으면 첫 번째 요청이 느려집니다.",
        "로그에 요청 식별자를 남기면 나중에 비교하기 쉽습니다.",
        "대부분의 팀에는 단순한 방법으로 충분합니다.",
        "마지막으로 빈 입력과 아주 큰 입력을 확인하세요.",
        "서울의 개발자들도 같은 방법을 사용합니다.",
    ],
    thoughts: &[
        "사용자가 {}에 대해 묻고 있다. 먼저 기본 개념을 설명하고 예를 들어야겠다.",
        "{}에는 두 가지 해석이 있으므로 신중하게 답해야 한다.",
    ],
    after_tool: &["조회 결과는 다음과 같습니다.", "도구가 다음 내용을 반환했습니다."],
    space: " ",
};
