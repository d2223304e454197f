//! Where output goes and in which form.

use crate::exit::Failure;
use crate::page::Page;
use clap::ValueEnum;
use serde::Serialize;
use std::io::{IsTerminal, Write};
use std::process::ExitCode;

/// Form of the output.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// For people.
    #[default]
    Text,
    /// For people, with more.
    Wide,
    /// One JSON document.
    Json,
    /// One YAML document.
    Yaml,
}

/// Standard output and error of this process.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terminal {
    colours: bool,
    chatty: bool,
}

impl Terminal {
    /// Colours when standard output is a terminal that takes them and NO_COLOR is not set (no-color.org).
    pub(crate) fn of_this_process() -> Self {
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self {
            colours: wanted && !dumb && std::io::stdout().is_terminal(),
            chatty: std::io::stderr().is_terminal(),
        }
    }

    /// An empty page for this terminal.
    pub(crate) fn page(self) -> Page {
        Page::new(self.colours)
    }

    /// Writes to standard output. A reader that went away, as `head` does, is no error.
    pub(crate) fn print(text: &str) {
        let _ = std::io::stdout().write_all(text.as_bytes());
    }

    /// Writes one line to standard error.
    pub(crate) fn complain(words: &str) {
        let _ = writeln!(std::io::stderr(), "error: {}", crate::words::clean(words));
    }

    /// Tells a person who is waiting what goes on; scripts do not see it.
    pub(crate) fn tell(self, words: &str) {
        if self.chatty {
            let _ = writeln!(std::io::stderr(), "{}", crate::words::clean(words));
        }
    }

    /// Prints `value` as JSON or YAML, or else what `text` writes; `text` is told whether more is wanted.
    pub(crate) fn show<T: Serialize>(
        self,
        form: Form,
        value: &T,
        text: impl FnOnce(&mut Page, bool),
    ) -> Result<(), Failure> {
        let unwritable =
            |words: String| Failure::NotAsWanted(format!("the result cannot be written: {words}"));
        let written = match form {
            Form::Json => serde_json::to_string_pretty(value).map_err(|e| unwritable(e.to_string()))? + "\n",
            Form::Yaml => serde_saphyr::to_string(value).map_err(|e| unwritable(e.to_string()))?,
            Form::Text | Form::Wide => {
                let mut page = self.page();
                text(&mut page, form == Form::Wide);
                page.finish()
            }
        };
        Self::print(&written);
        Ok(())
    }
}

/// `kubectl keywright version`.
pub(crate) fn version(form: Form, terminal: Terminal) -> Result<ExitCode, Failure> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Version {
        version: &'static str,
        api: String,
    }
    let version = Version {
        version: env!("CARGO_PKG_VERSION"),
        api: format!("{}/{}", keywright_crds::GROUP, keywright_crds::VERSION),
    };
    terminal.show(form, &version, |page, _| {
        page.line(&format!("kubectl keywright {}", version.version), crate::page::Tone::Plain);
        page.line(&format!("speaks {}", version.api), crate::page::Tone::Plain);
    })?;
    Ok(ExitCode::SUCCESS)
}
