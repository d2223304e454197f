//! A notice as Slack's incoming webhooks take it. Text of strangers is `plain_text`, which has no markup, mentions or links.

use super::document::{Document, shown};
use serde_json::{Value, json};

/// Slack's bound for a header.
const HEADER: usize = 140;

/// `text` is what a notification shows, `blocks` what the channel does.
pub(super) fn message(document: &Document) -> Value {
    let summary = shown(&document.summary, HEADER);
    let mut blocks = vec![json!({ "type": "header", "text": plain(&summary) })];
    let section = |text: Value| json!({ "type": "section", "text": text });
    blocks.extend(document.facts().iter().map(|(label, words)| section(plain(&format!("{label}: {words}")))));
    let command = format!("```{}```", escaped(&document.command));
    blocks.push(section(json!({ "type": "mrkdwn", "text": command, "verbatim": true })));
    json!({ "text": escaped(&summary), "mrkdwn": false, "unfurl_links": false, "blocks": blocks })
}

fn plain(text: &str) -> Value {
    json!({ "type": "plain_text", "text": text, "emoji": false })
}

/// The three characters that begin something in Slack's text.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
