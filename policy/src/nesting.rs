//! How deep a source nests.
//!
//! The compiler takes twice the time for each level at which a list, set or object stands in another one, so a line of text
//! would keep it busy for ever, in every process that reads policies. Only the text can be judged before it is compiled.

/// Brackets `[` and `{` that may stand in each other, bodies of rules and comprehensions among them.
pub(crate) const DEEPEST: usize = 8;

/// Line and column, from 1, of the first bracket that nests deeper than [`DEEPEST`]. Brackets in strings and comments are
/// none.
pub(crate) fn too_deep(rego: &str) -> Option<(u32, u32)> {
    let (mut line, mut column, mut depth) = (1, 0, 0_usize);
    let mut within = Within::Code;
    for c in rego.chars() {
        column += 1;
        within = match (within, c) {
            (Within::Code, '"') | (Within::Escape, _) => Within::Text,
            (Within::Code, '`') => Within::RawText,
            (Within::Code, '#') => Within::Comment,
            (Within::Code, '[' | '{') => {
                depth += 1;
                if depth > DEEPEST {
                    return Some((line, column));
                }
                Within::Code
            }
            (Within::Code, ']' | '}') => {
                depth = depth.saturating_sub(1);
                Within::Code
            }
            (Within::Text, '\\') => Within::Escape,
            // A text ends with its line at the latest, whatever the compiler says to it.
            (Within::Text, '"' | '\n') | (Within::RawText, '`') | (Within::Comment, '\n') => Within::Code,
            (same, _) => same,
        };
        if c == '\n' {
            (line, column) = (line + 1, 0);
        }
    }
    None
}

#[derive(Clone, Copy)]
enum Within {
    Code,
    /// Between `"` and `"`.
    Text,
    /// After a backslash in it.
    Escape,
    /// Between backquotes, over lines too.
    RawText,
    /// From `#` to the end of the line.
    Comment,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_count_where_they_are_brackets() {
        let deep = |open: &str| open.repeat(DEEPEST);
        for (source, wanted) in [
            (String::new(), None),
            (deep("["), None),
            (format!("{}[", deep("{")), Some((1, 9))),
            (format!("x\n  {}[", deep("[")), Some((2, 11))),
            ("[]".repeat(100), None),
            (format!("\"{}{}\"", deep("["), deep("[")), None),
            (format!("\"\\\"{}{}\"", deep("["), deep("[")), None),
            (format!("`{}\n{}`", deep("["), deep("[")), None),
            (format!("# {}{}", deep("["), deep("[")), None),
            (format!("# \"\n{}[", deep("[")), Some((2, 9))),
            (format!("\"#\" {}[", deep("[")), Some((1, 13))),
            (format!("{}{}{}", deep("["), deep("]"), deep("[")), None),
            (format!("]]]]{}[", deep("[")), Some((1, 13))),
        ] {
            assert_eq!(too_deep(&source), wanted, "{source}");
        }
    }
}
