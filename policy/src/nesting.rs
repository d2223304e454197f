//! How deep a source nests.
//!
//! The compiler takes twice the time for each level at which a list, set or object stands in another one, so a line of text
//! would keep it busy for ever, in every process that reads policies. It also follows brackets and chains of operators
//! by calling itself, and a stack that overflows ends the process. Only the text can be judged before it is compiled.

/// Brackets `[` and `{` that may stand in each other, bodies of rules and comprehensions among them.
const BRACKETS: usize = 8;

/// Parentheses that may stand in each other: what the compiler takes of those that are no call.
const PARENTHESES: usize = 32;

/// Operators in one expression, with those that it stands in. More would need more registers than a rule has.
const OPERATORS: usize = 192;

/// What nests too deep, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooDeep {
    /// Line, from 1.
    pub(crate) line: u32,
    /// Column, from 1.
    pub(crate) column: u32,
    what: What,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Brackets,
    Parentheses,
    Operators,
}

impl std::fmt::Display for TooDeep {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.what {
            What::Brackets => write!(
                to,
                "more than {BRACKETS} brackets `[` and `{{` in each other; name the inner ones by rules of their own, or put them into data"
            ),
            What::Parentheses => write!(
                to,
                "more than {PARENTHESES} parentheses in each other; name the inner ones by rules of their own"
            ),
            What::Operators => write!(
                to,
                "more than {OPERATORS} operators in one expression; name parts of it by rules of their own, or put what it is made of into data"
            ),
        }
    }
}

/// The first place that nests too deep. What stands in strings and comments does not count.
pub(crate) fn too_deep(rego: &str) -> Option<TooDeep> {
    let mut scan = Scan::new();
    let mut within = Within::Code;
    let mut word = String::new();
    // The line break at the end ends the last word.
    for c in rego.chars().chain(['\n']) {
        let in_word = within == Within::Code && (c.is_alphanumeric() || c == '_');
        if in_word {
            word.push(c);
        } else if !word.is_empty() {
            let deep = scan.word(&word);
            word.clear();
            if deep.is_some() {
                return deep;
            }
        }
        scan.column += 1;
        within = match (within, c) {
            (Within::Code, '"') | (Within::Escape, _) => Within::Text,
            (Within::Code, '`') => Within::RawText,
            (Within::Code, '#') => Within::Comment,
            (Within::Text, '\\') => Within::Escape,
            // A text ends with its line at the latest, whatever the compiler says to it.
            (Within::Text, '"' | '\n') | (Within::RawText, '`') | (Within::Comment, '\n') => Within::Code,
            (same, _) => same,
        };
        match (within, c) {
            // The quote that begins a text, and the one that ends it.
            (Within::Text | Within::RawText | Within::Code, '"' | '`') => scan.operand(),
            (Within::Code, _) if !in_word => {
                let deep = scan.sign(c);
                if deep.is_some() {
                    return deep;
                }
            }
            _ => {}
        }
        if c == '\n' {
            (scan.line, scan.column) = (scan.line + 1, 0);
        }
    }
    None
}

#[derive(Clone, Copy, PartialEq, Eq)]
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

struct Scan {
    line: u32,
    column: u32,
    /// The brackets that are open, each with the operators of the expression that it stands in.
    open: Vec<(char, usize)>,
    /// Operators of the present expression.
    operators: usize,
    /// The sign before, if it was an operator.
    operator: Option<char>,
    /// A line ended since anything but blanks was seen.
    broken: bool,
}

impl Scan {
    fn new() -> Self {
        Self { line: 1, column: 0, open: Vec::new(), operators: 0, operator: None, broken: false }
    }

    fn word(&mut self, word: &str) -> Option<TooDeep> {
        if word == "in" {
            return self.another(' ');
        }
        self.operand();
        None
    }

    /// Something that operators stand between. In a line after a whole expression it begins the next one.
    fn operand(&mut self) {
        if self.broken && self.operator.is_none() {
            self.operators = 0;
        }
        (self.broken, self.operator) = (false, None);
    }

    fn sign(&mut self, c: char) -> Option<TooDeep> {
        match c {
            '\n' => self.broken = true,
            ',' | ';' => (self.operators, self.operator, self.broken) = (0, None, false),
            '[' | '{' | '(' => {
                (self.broken, self.operator) = (false, None);
                self.open.push((c, std::mem::take(&mut self.operators)));
                let count = |which: &[char]| self.open.iter().filter(|(one, _)| which.contains(one)).count();
                if count(&['[', '{']) > BRACKETS {
                    return Some(self.here(What::Brackets));
                }
                if count(&['(']) > PARENTHESES {
                    return Some(self.here(What::Parentheses));
                }
            }
            ']' | '}' | ')' => {
                self.operators = self.open.pop().map_or(0, |(_, operators)| operators);
                (self.broken, self.operator) = (false, None);
            }
            '+' | '-' | '*' | '/' | '%' | '|' | '&' | '=' | '<' | '>' | '!' | ':' => return self.another(c),
            _ => {}
        }
        None
    }

    /// An operator; of two signs, as `==`, the first counts. Of `-` each may be one, as `--1`.
    fn another(&mut self, c: char) -> Option<TooDeep> {
        self.broken = false;
        let goes_on = c == '=' && self.operator.is_some();
        self.operator = Some(c);
        if goes_on {
            return None;
        }
        self.operators += 1;
        let all = self.operators + self.open.iter().map(|(_, operators)| operators).sum::<usize>();
        (all > OPERATORS).then(|| self.here(What::Operators))
    }

    fn here(&self, what: What) -> TooDeep {
        TooDeep { line: self.line, column: self.column, what }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_count_where_they_are_brackets() {
        let deep = |open: &str| open.repeat(BRACKETS);
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
            (format!("{}(", "(".repeat(PARENTHESES)), Some((1, 33))),
            ("f(".repeat(PARENTHESES), None),
            ("f()".repeat(100), None),
        ] {
            assert_eq!(too_deep(&source).map(|deep| (deep.line, deep.column)), wanted, "{source}");
        }
    }

    #[test]
    fn operators_count_within_one_expression() {
        for (source, deep) in [
            ("1+\n".repeat(OPERATORS), false),
            ("1+\n".repeat(OPERATORS + 1), true),
            ("1\n+ ".repeat(OPERATORS + 1), true),
            ("1 in\n".repeat(OPERATORS + 1), true),
            ("1\nin ".repeat(OPERATORS + 1), true),
            ("-".repeat(OPERATORS + 1), true),
            ("\"+\" + # +\n".repeat(OPERATORS), false),
            ("f(1, 2)+\n".repeat(OPERATORS + 1), true),
            ("f\n(1)+".repeat(OPERATORS + 1), true),
            // Those of the expression that it stands in count as well.
            (format!("{}({}1)", "1+".repeat(OPERATORS / 2), "1+".repeat(OPERATORS / 2)), false),
            (format!("{}({}1)", "1+".repeat(OPERATORS / 2), "1+".repeat(OPERATORS / 2 + 1)), true),
            // Many expressions of a few operators each.
            ("a := b + c\n".repeat(1000), false),
            ("a := b + c; ".repeat(1000), false),
            (format!("[{}]", "-1, ".repeat(1000)), false),
            ("x == 1\n".repeat(OPERATORS + 1), false),
            ("allow if {\n  1 <= 2\n  \"a\" != \"b\"\n}\n".repeat(1000), false),
        ] {
            assert_eq!(too_deep(&source).is_some(), deep, "{source}");
        }
    }
}
