//! Watch events on their way: lines that are complete, in their order, or only the newest of each object.

use hyper::body::Bytes;
use serde_json::Value;

/// Events that are held back.
#[derive(Debug, Default)]
pub(super) struct Held {
    begun: Vec<u8>,
    lines: Vec<(Option<String>, Bytes)>,
}

impl Held {
    /// Takes what arrived. `coalesce`: an event makes all earlier ones about its object disappear, so that nobody ever
    /// hears of what came between; a deletion and a new object of the same name become the new object alone.
    pub(super) fn read(&mut self, data: &[u8], coalesce: bool) {
        self.begun.extend_from_slice(data);
        while let Some(end) = self.begun.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.begun.drain(..=end).collect();
            let about = coalesce.then(|| about(&line)).flatten();
            if about.is_some() {
                self.lines.retain(|(other, _)| *other != about);
            }
            self.lines.push((about, line.into()));
        }
    }

    /// All lines, to be passed on.
    pub(super) fn take(&mut self) -> Vec<Bytes> {
        std::mem::take(&mut self.lines).into_iter().map(|(_, line)| line).collect()
    }
}

/// Namespace and name of the object of an event; nothing of bookmarks and errors.
fn about(line: &[u8]) -> Option<String> {
    let event: Value = serde_json::from_slice(line).ok()?;
    matches!(event["type"].as_str()?, "ADDED" | "MODIFIED" | "DELETED").then_some(())?;
    let metadata = &event["object"]["metadata"];
    Some(format!("{}/{}", metadata["namespace"].as_str().unwrap_or(""), metadata["name"].as_str()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(type_: &str, name: &str) -> Vec<u8> {
        let object = serde_json::json!({ "metadata": { "namespace": "n", "name": name } });
        format!("{}\n", serde_json::json!({ "type": type_, "object": object })).into_bytes()
    }

    fn types(coalesce: bool) -> Vec<String> {
        let mut held = Held::default();
        let all = [event("DELETED", "a"), event("MODIFIED", "b"), event("ADDED", "a")].concat();
        let (first, rest) = all.split_at(20);
        held.read(first, coalesce);
        held.read(rest, coalesce);
        let read = |line: &Bytes| serde_json::from_slice::<Value>(line).unwrap()["type"].to_string();
        held.take().iter().map(read).collect()
    }

    #[test]
    fn events_keep_their_order_or_the_newest_alone_is_left() {
        assert_eq!(types(false), ["\"DELETED\"", "\"MODIFIED\"", "\"ADDED\""]);
        assert_eq!(types(true), ["\"MODIFIED\"", "\"ADDED\""]);
    }
}
