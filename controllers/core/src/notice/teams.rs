//! A notice as an Adaptive Card in the envelope that Workflows webhooks of Microsoft Teams take. All of it is `TextRun`,
//! which has no markup.

use super::document::{Document, shown};
use serde_json::{Value, json};

/// Longest title, in characters.
const TITLE: usize = 200;

pub(super) fn message(document: &Document) -> Value {
    let title = json!({ "type": "TextRun", "text": shown(&document.summary, TITLE), "size": "Medium", "weight": "Bolder" });
    let mut body = vec![paragraph(&[title])];
    body.extend(document.facts().iter().map(|(label, words)| {
        paragraph(&[
            json!({ "type": "TextRun", "text": format!("{label}: "), "weight": "Bolder" }),
            json!({ "type": "TextRun", "text": words }),
        ])
    }));
    body.push(paragraph(&[json!({ "type": "TextRun", "text": document.command, "fontType": "Monospace" })]));
    json!({
        "type": "message",
        "attachments": [{
            "contentType": "application/vnd.microsoft.card.adaptive",
            "content": {
                "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                "type": "AdaptiveCard",
                "version": "1.4",
                "body": body,
            },
        }],
    })
}

fn paragraph(inlines: &[Value]) -> Value {
    json!({ "type": "RichTextBlock", "inlines": inlines })
}
