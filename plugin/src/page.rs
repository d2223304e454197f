//! Text for people: headings, labelled rows, tables; colours only where they will be seen as colours.

use crate::words::clean;

/// Columns that a label takes.
const LABEL: usize = 14;

/// How something is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    /// As it should be.
    Good,
    /// Worth a look.
    Warn,
    /// Wrong.
    Bad,
    /// Less important.
    Dim,
    /// As is.
    Plain,
}

/// A page that is being written.
#[derive(Debug)]
pub(crate) struct Page {
    text: String,
    colours: bool,
}

impl Page {
    /// An empty page.
    pub(crate) fn new(colours: bool) -> Self {
        Self { text: String::new(), colours }
    }

    /// The text so far.
    pub(crate) fn finish(self) -> String {
        self.text
    }

    /// A line at the left edge; an empty line goes before it unless it is the first.
    pub(crate) fn heading(&mut self, words: &str) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        let words = clean(words);
        let words = if self.colours { format!("\u{1b}[1m{words}\u{1b}[0m") } else { words };
        self.push(&words);
    }

    /// A label and what it says.
    pub(crate) fn row(&mut self, label: &str, value: &str) {
        self.row_toned(label, value, Tone::Plain);
    }

    /// The same in a tone.
    pub(crate) fn row_toned(&mut self, label: &str, value: &str, tone: Tone) {
        let value = self.toned(value, tone);
        self.push(&format!("  {label:LABEL$}{value}"));
    }

    /// A row for each value, the label on the first; nothing when there is none.
    pub(crate) fn rows(&mut self, label: &str, values: &[String]) {
        for (position, value) in values.iter().enumerate() {
            self.row(if position == 0 { label } else { "" }, value);
        }
    }

    /// A row unless there is nothing to say.
    pub(crate) fn row_if(&mut self, label: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.row(label, value);
        }
    }

    /// A line as it is, in a tone.
    pub(crate) fn line(&mut self, words: &str, tone: Tone) {
        let words = self.toned(words, tone);
        self.push(&words);
    }

    /// A table: the first row is its head; columns are as wide as they need to be.
    pub(crate) fn table(&mut self, rows: &[Vec<String>]) {
        let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
        let cleaned: Vec<Vec<String>> =
            rows.iter().map(|row| row.iter().map(|cell| clean(cell)).collect()).collect();
        let width = |column: usize| {
            cleaned
                .iter()
                .filter_map(|row| row.get(column))
                .map(|cell| cell.chars().count())
                .max()
                .unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        for row in &cleaned {
            let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
            let line = cells.collect::<Vec<_>>().join("   ");
            self.push(&line);
        }
    }

    fn toned(&self, words: &str, tone: Tone) -> String {
        let words = clean(words);
        let code = match tone {
            Tone::Good => "32",
            Tone::Warn => "33",
            Tone::Bad => "31",
            Tone::Dim => "2",
            Tone::Plain => return words,
        };
        if self.colours { format!("\u{1b}[{code}m{words}\u{1b}[0m") } else { words }
    }

    fn push(&mut self, line: &str) {
        self.text.push_str(line.trim_end());
        self.text.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_without_colours_is_plain_text() {
        let mut page = Page::new(false);
        page.heading("Certificate web");
        page.row("Secret", "web-tls");
        page.rows("Names", &["DNS a".into(), "DNS b".into()]);
        page.row_toned("Key", "does not fit", Tone::Bad);
        page.heading("Events");
        page.line("none", Tone::Dim);
        let wanted = "Certificate web\n  Secret        web-tls\n  Names         DNS a\n                DNS b\n  \
                      Key           does not fit\n\nEvents\nnone\n";
        assert_eq!(page.finish(), wanted);
    }

    #[test]
    fn colours_wrap_the_words_and_foreign_escapes_never_pass() {
        let mut page = Page::new(true);
        page.line("fine\u{1b}[0m", Tone::Good);
        assert_eq!(page.finish(), "\u{1b}[32mfine\\u{1b}[0m\u{1b}[0m\n");
    }

    #[test]
    fn a_table_aligns_its_columns() {
        let mut page = Page::new(false);
        page.table(&[vec!["NAME".into(), "READY".into()], vec!["a-long-name".into(), "True".into()]]);
        assert_eq!(page.finish(), "NAME          READY\na-long-name   True\n");
    }
}
