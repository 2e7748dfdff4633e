//! The words themselves, English and Chinese side by side.

macro_rules! catalogue {
    ($($name:ident: $english:literal, $chinese:literal;)+) => {
        /// Every word that a page says.
        pub(crate) struct Text {
            $(pub(crate) $name: &'static str,)+
        }

        /// English.
        pub(crate) static EN: Text = Text { $($name: $english,)+ };

        /// 简体中文.
        pub(crate) static ZH: Text = Text { $($name: $chinese,)+ };

        #[cfg(test)]
        const ALL: &[(&str, &str, &str)] = &[$((stringify!($name), $english, $chinese),)+];
    };
}

catalogue! {
    lang: "en", "zh-CN";

    // Navigation and chrome.
    overview: "Overview", "总览";
    exchanges: "Exchanges", "调用记录";
    api: "API", "接口文档";
    skip: "Skip to content", "跳到正文";
    help: "Keys and query language", "快捷键与查询语法";
    language: "Language", "语言";
    theme: "Theme", "主题";
    theme_auto: "System", "跟随系统";
    theme_light: "Light", "浅色";
    theme_dark: "Dark", "深色";
    log_out: "Log out", "退出登录";
    close: "Close", "关闭";
    copy: "Copy", "复制";
    copied: "Copied", "已复制";
    archived_now: "archived up to now", "已归档至当前";
    archived_to: "archived up to", "已归档至";
    ago: "ago", "前";
    bytes_lost: "bytes lost", "字节丢失";
    call_unrecorded: "call not recorded", "次调用未记录";
    calls_unrecorded: "calls not recorded", "次调用未记录";
    none_lost: "0 bytes lost", "未丢失任何字节";
    not_known: "not known", "未知";

    // Login.
    log_in: "Log in", "登录";
    password: "Password", "密码";
    wrong_password: "That is not the password.", "密码不正确。";
    too_many: "Too many wrong passwords. Try again in", "密码错误次数过多，请稍后再试：";
    seconds: "s", "秒";

    // Finding.
    find: "Find", "查找";
    find_hint: "words, \"phrases\", field:value", "关键词、\"短语\"、字段:值";
    filters: "Filters", "筛选";
    figures: "Figures", "统计数字";
    range: "Time range", "时间范围";
    last_hour: "Last hour", "最近 1 小时";
    last_day: "Last 24 h", "最近 24 小时";
    last_week: "Last 7 days", "最近 7 天";
    last_month: "Last 30 days", "最近 30 天";
    all_time: "All time", "全部时间";
    live: "Live", "实时";
    live_on: "Live: new exchanges appear by themselves", "实时：新的调用会自动出现";
    new_above: "new", "条新记录";
    export: "Export", "导出";
    quick_all: "All", "全部";
    quick_failed: "Failed", "失败";
    quick_slow: "Over 10 s", "超过 10 秒";
    quick_costly: "Over $0.10", "超过 $0.10";
    quick_tools: "With tools", "含工具调用";
    quick_streamed: "Streamed", "流式";
    query_wrong: "This query can't be read", "无法理解该查询";
    words_passed_over: "Word search is not available right now: the words are passed over, the filters hold.", "全文搜索暂不可用：已忽略关键词，筛选条件仍然有效。";
    scan_day: "in:all without a time looks through the last 24 hours: add after: to look further back.", "in:all 未指定时间时只查最近 24 小时：可用 after: 指定更早的时间。";
    scan_limited: "Looked through as many bodies as one go allows: load more to look further back.", "本次已查到上限：点击加载更多可继续往前查。";
    all_words: "All words must be there; there is no OR, AND or NOT, and a sign alone is a word, too.", "所有关键词须全部出现；没有 OR、AND、NOT 运算符，单独的符号也会当作关键词。";
    nothing_found: "Nothing matches", "没有匹配的记录";
    nothing_found_hint: "Fewer words, a longer time range, or in:all to look through whole bodies.", "可以减少关键词、放宽时间范围，或用 in:all 搜索完整内容。";
    load_more: "Load more", "加载更多";
    found: "found", "条结果";
    end_of_list: "That is all.", "已显示全部。";
    unavailable: "The archive can't be asked right now", "归档暂时无法访问";
    calls_in_range: "all calls in this time", "该时段内的全部调用";
    calls_of_all: "all calls", "全部调用";
    calls_found: "all that was found", "全部结果";
    calls_newest: "of the newest found", "仅统计最新的结果";
    newest: "newest", "条最新结果";
    newest_of: "newest of", "条最新结果，共";

    // Columns.
    col_time: "Time", "时间";
    col_model: "Model", "模型";
    col_text: "Asked and answered", "提问与回答";
    col_tokens: "Tokens, cost", "Token 与费用";
    col_duration: "Duration", "耗时";
    estimated: "estimated", "估算值";
    streaming: "streaming", "进行中";
    running: "running", "进行中";
    completed: "completed", "成功";
    upstream_error: "upstream error", "上游错误";
    client_aborted: "client aborted", "客户端中断";
    upstream_aborted: "upstream aborted", "上游中断";
    timed_out: "timed out", "超时";
    refused: "refused", "已拒绝";
    interrupted: "interrupted", "被中断";
    incomplete: "incomplete", "不完整";
    partial: "bytes lost", "有字节丢失";
    damaged: "damaged", "已损坏";

    // What the relay itself says of a call that was not over: word for word in English, as it is recorded.
    caller_left: "the caller left before the call was over", "调用方在调用结束前断开";
    caller_left_sending: "the caller left while it was sending", "调用方在发送请求时断开";
    gateway_shut_down: "the gateway shut down before the call was over", "网关在调用结束前关闭";
    gateway_stopped: "the gateway stopped before the call was over", "网关在调用结束前停止运行";

    // Figures.
    call: "call", "次调用";
    call_count: "calls", "次调用";
    calls: "calls", "调用次数";
    success_rate: "completed", "成功率";
    average: "average", "平均耗时";
    median: "median", "中位数";
    p95: "p95", "p95";
    first_token: "first token, median", "首个 Token，中位数";
    first_token_of: "First token", "首个 Token";
    cost_of: "Cost", "费用";
    tokens_in: "tokens in", "输入 Token";
    tokens_out: "tokens out", "输出 Token";
    cached: "cached", "来自缓存";
    cost: "cost", "费用";
    tokens: "Tokens", "Token";
    tokens_of: "tokens", "Token";
    calls_over_time: "Calls", "调用";
    failed: "failed", "失败";
    duration_over_time: "Duration", "耗时";
    tokens_over_time: "Tokens", "Token";
    cost_over_time: "Cost", "费用";
    input: "in", "输入";
    output: "out", "输出";
    by_model: "By model", "按模型统计";
    no_calls: "No calls in this time.", "该时段内没有调用。";
    latest_failures: "Latest failures", "最近的失败";
    no_failures: "No failures in this time.", "该时段内没有失败。";
    all_failures: "All failures", "查看全部失败";
    unknown_model: "no model", "无模型";

    // Pipeline.
    pipeline: "Recording", "记录管线";
    queue: "Queue", "队列";
    spool: "Spool", "磁盘缓冲";
    log: "Capture log", "捕获日志";
    log_pending: "waiting for the archive", "等待归档";
    archive: "Archive", "归档";
    search_index: "Search index", "搜索索引";
    index_waiting: "waiting to be indexed", "等待索引";
    documents: "documents", "个文档";
    not_set_up: "not set up", "未启用";
    lost: "Lost", "丢失";
    lost_none: "nothing", "无";
    lost_alarm: "Bytes were lost: some exchanges are not whole.", "有字节丢失：部分记录不完整。";
    unrecorded_alarm: "Calls were not recorded.", "有调用未被记录。";
    records: "records", "条记录";
    on_disk: "on disk", "占用磁盘";
    of_captured: "of what was captured", "占捕获量的";

    // Detail.
    pick_one: "Pick an exchange to read it here.", "选择一条记录，在此查看。";
    still_running: "This call is under way. It opens here once it is archived.", "该调用正在进行，归档后会在此显示。";
    no_page: "There is no such page", "没有这个页面";
    no_page_hint: "The address may be mistyped.", "地址可能有误。";
    no_such: "There is no such exchange", "没有这条记录";
    no_such_hint: "It may not be archived yet, or its time of keeping is over.", "它可能尚未归档，或已超过保留期限。";
    back_to_list: "Back to the list", "返回列表";
    conversation: "Conversation", "对话";
    views: "Views", "视图";
    raw: "Raw", "原始数据";
    headers: "Headers", "标头";
    timeline: "Timeline", "时间线";
    session: "session", "会话";
    key: "key", "密钥";
    system: "System", "系统";
    developer: "Developer", "开发者";
    user: "User", "用户";
    assistant: "Assistant", "助手";
    tool: "Tool", "工具";
    tool_call: "tool call", "调用工具";
    tool_result: "tool result", "工具结果";
    tool_failed: "tool failed", "工具出错";
    by_provider: "run by the provider", "由提供商执行";
    reasoning: "Reasoning", "推理过程";
    reasoning_hidden: "Reasoning that the provider keeps to itself", "提供商未公开的推理过程";
    refusal: "Refusal", "拒绝回答";
    answer_error: "Error", "错误";
    choice: "Choice", "候选";
    tool_offered: "tool offered", "个可用工具";
    tools_offered: "tools offered", "个可用工具";
    parameters: "Parameters", "参数";
    earlier_messages: "earlier messages", "条更早的消息";
    more_parts: "more parts: see the raw request", "个更多部分：请查看原始请求";
    show_rest: "Show more", "继续显示";
    of_left: "left", "未显示";
    image: "Image", "图片";
    audio: "Audio", "音频";
    video: "Video", "视频";
    file: "File", "文件";
    show_it: "Show", "显示";
    remote_not_loaded: "not loaded from its address", "未从其地址加载";
    block: "Block", "数据块";
    nothing_said: "Nothing to read here.", "没有可显示的内容。";
    not_recorded: "The bodies of this call were not recorded, as its caller wished.", "应调用方要求，未记录该调用的正文。";
    no_answer: "There was no answer.", "没有收到回答。";
    notes: "Notes", "备注";
    from_provider: "from the provider", "由提供商提供";
    reasoning_tokens: "reasoning", "推理";
    cache_written: "written to cache", "写入缓存";
    prices_of: "prices of", "价格表";
    cost_stated: "stated by the provider", "由提供商给出";
    relay: "Relay", "中继";
    added: "added", "额外耗时";
    all_equal: "bytes equal on both sides", "两侧字节一致";
    trace: "Trace", "链路追踪";
    path: "Path", "路径";
    client: "Client", "客户端";
    request_id: "Provider's id", "提供商请求 ID";
    finish: "Finish reason", "结束原因";
    dialect: "Dialect", "协议";
    provider: "Provider", "提供商";
    tags: "Tags", "标签";
    call_again: "Call again", "再次调用";
    call_again_hint: "Secrets are placeholders: set them in your environment.", "密钥为占位符：请在环境变量中设置。";
    body_apart: "The body is long: download it next to the script first.", "正文较长：请先将其下载到脚本所在目录。";

    // Raw legs.
    client_request: "Client's request", "客户端请求";
    upstream_request: "Request to the provider", "发往提供商的请求";
    upstream_response: "Provider's answer", "提供商的响应";
    client_response: "Answer to the client", "返回客户端的响应";
    same_as: "same bytes as", "与此字节相同：";
    not_stored: "not stored", "未保存";
    empty_body: "empty", "空";
    download: "Download", "下载";
    download_decoded: "Download decoded", "下载解码后内容";
    binary: "Binary: the first bytes", "二进制：开头的字节";
    leg_lost: "bytes of this leg were lost", "字节在此方向丢失";
    unreadable: "The stored bytes can't be read", "无法读取已保存的字节";

    // Headers.
    request: "Request", "请求";
    response: "Response", "响应";
    trailers: "Trailers", "尾部字段";
    attempts: "Attempts", "尝试";
    facts: "Facts", "其他信息";
    no_response: "No answer came.", "没有收到响应。";

    // Timeline.
    chunk: "chunk", "个数据块";
    chunks: "chunks", "个数据块";
    longest_gap: "longest gap", "最长间隔";
    no_timeline: "No chunk was recorded.", "没有记录任何数据块。";
    first_shown: "the first 200 are listed", "仅列出前 200 个";
    as_it_came: "As it came", "回放";
    play: "Play", "播放";
    pause: "Pause", "暂停";
    position: "Position", "位置";
    speed: "Speed", "速度";
    player_keys: "← → chunk by chunk, space plays", "← → 逐块移动，空格键播放";
    player_grouped: "There are too many chunks to show each by itself: some come together.", "数据块过多，部分数据块合并显示。";
    player_cut: "The text is longer than what is played: see the conversation for the rest.", "文本过长，仅回放前面部分：其余请查看对话。";
    at: "At", "时刻";
    size: "Size", "大小";
    gap: "Gap", "间隔";
    offset: "Offset", "偏移";

    // Empty.
    empty_title: "Nothing has been relayed yet", "还没有任何调用";
    empty_text: "Point a client at the relay and make a call: it shows up here by itself.", "将客户端指向中继地址并发起调用，记录会自动出现在这里。";
    empty_key: "Your own API key goes along; it is passed on, and only a hash of it is recorded.", "使用您自己的 API 密钥即可：密钥会原样转发，记录中只保存其哈希。";
    empty_run: "Or let Verbatim set the addresses for a program:", "也可以让 Verbatim 为程序设置好地址：";

    // Help.
    help_keys: "Keys", "快捷键";
    key_find: "to the query box", "跳到查询框";
    key_move: "next and previous", "下一条、上一条";
    key_open: "open", "打开";
    key_close: "close, back", "关闭、返回";
    key_tabs: "switch tabs", "切换标签页";
    key_live: "live on and off", "开关实时";
    key_help: "this help", "显示此帮助";
    help_query: "Query language", "查询语法";
    help_words: "words, all of which must be there; Chinese, Japanese and Korean by two characters or more", "关键词须全部出现；中日韩文字两个字即可";
    help_phrase: "a phrase", "短语";
    help_exclude: "must not be there", "排除";
    help_filter: "filters; * stands for anything", "筛选条件；* 代表任意内容";
    help_compare: "compare, or give a range", "比较或给出范围";
    help_time: "time: 30m, 2h, 7d, today, 2026-11-20", "时间：30m、2h、7d、today、2026-11-20";
    help_has: "what it has", "包含的内容";
    help_all: "look through whole bodies, slowly", "搜索完整内容（较慢）";

    // Docs.
    docs_title: "API", "接口文档";
    docs_try: "Try it", "试一试";
    docs_send: "Send", "发送";
    docs_reference: "Reference", "参考";
    docs_download: "OpenAPI document", "OpenAPI 文档";
    docs_parameters: "Parameters", "参数";
    docs_responses: "Responses", "响应";
    docs_schemas: "Schemas", "数据结构";
    docs_loading: "Loading the API's description…", "正在加载接口描述……";
    docs_language: "The description below is in English.", "以下为英文。";
    no_script: "This page needs JavaScript.", "此页面需要 JavaScript。";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_is_there_in_both_languages() {
        for (name, english, chinese) in ALL {
            assert!(!english.is_empty() && !chinese.is_empty(), "{name}");
            assert_eq!(english.trim(), *english, "{name}");
            assert_eq!(chinese.trim(), *chinese, "{name}");
        }
        assert_eq!(EN.lang, "en");
        assert_eq!(ZH.lang, "zh-CN");
    }
}
