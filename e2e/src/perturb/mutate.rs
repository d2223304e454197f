//! Mutations that a schema allows, and some just outside of it.

use super::random::Random;
use serde_json::{Map, Value, json};

/// Texts of which each is right for some fields and wrong for most.
const TEXTS: [&str; 22] = [
    "a.example.test",
    "*.wild.example.test",
    "under_score.test",
    "-bad-",
    "",
    "UPPER.example.test",
    "192.0.2.7",
    "2001:db8::1",
    "10.0.0.0/8",
    "300.1.2.3",
    "spiffe://example.test/a",
    "https://example.test/x?y",
    "mailbox@example.test",
    ".example.test",
    "5m",
    "1h30m",
    "720h",
    "9000h",
    "900000h",
    "1s",
    "ÄÖ ü",
    "a string that is longer than the sixty-four characters which a common name may have",
];

/// A merge patch for one field of a schema, at any depth.
pub(super) fn mutation(schema: &Value, random: &mut Random) -> Value {
    let Some(properties) = schema["properties"].as_object() else { return value(schema, random) };
    let names: Vec<&String> = properties.keys().collect();
    let Some(name) = random.pick(&names) else { return json!({}) };
    let field = &properties[name.as_str()];
    let required =
        schema["required"].as_array().is_some_and(|all| all.iter().any(|field| field == name.as_str()));
    let new = match field["properties"].is_object() {
        true if random.chance(85) => mutation(field, random),
        _ if !required && random.chance(25) => Value::Null,
        _ => value(field, random),
    };
    json!({ name.as_str(): new })
}

/// Any value of a schema's type, sometimes just outside its bounds.
fn value(schema: &Value, random: &mut Random) -> Value {
    if let Some(choices) = schema["enum"].as_array() {
        return random.pick(choices).cloned().unwrap_or(Value::Null);
    }
    match schema["type"].as_str() {
        Some("boolean") => json!(random.chance(50)),
        Some("integer") => {
            let bound = |name: &str, otherwise: i64| schema[name].as_i64().unwrap_or(otherwise);
            let (least, most) = (bound("minimum", 0), bound("maximum", 10_000));
            let usual = [256, 384, 2048, 3072, 44, 87];
            let choices = [least, most, least - 1, most + 1, usual[random.below(usual.len())]];
            json!(choices[random.below(choices.len())])
        }
        Some("array") => (0..random.below(4)).map(|_| value(&schema["items"], random)).collect(),
        Some("object") => {
            let mut all = Map::new();
            for (name, field) in schema["properties"].as_object().into_iter().flatten() {
                if random.chance(50) {
                    all.insert(name.clone(), value(field, random));
                }
            }
            if schema["additionalProperties"].is_object() {
                all.insert(
                    TEXTS[random.below(TEXTS.len())].to_owned(),
                    value(&schema["additionalProperties"], random),
                );
            }
            Value::Object(all)
        }
        _ => pick_text(random),
    }
}

fn pick_text(random: &mut Random) -> Value {
    json!(TEXTS[random.below(TEXTS.len())])
}
