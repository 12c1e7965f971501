//! The documents that come from the declarations.

use std::fmt::Write as _;

use super::settings::Documented;
use super::{apps, documented_sections};

/// Where a line of a comment in the example file is broken.
const COMMENT_COLUMNS: usize = 100;

/// `docs/configuration.md`: every setting.
pub fn reference_markdown() -> String {
    let mut text = String::from(INTRODUCTION);
    for section in documented_sections() {
        markdown_section(&mut text, &format!("[{}]", section.name), &section);
    }
    for section in apps::documented() {
        markdown_section(&mut text, &format!("[[{}]]", section.name), &section);
    }
    text
}

/// `courant.example.toml`: every setting with its default, commented out.
pub fn example_toml() -> String {
    let mut text = String::from(EXAMPLE_INTRODUCTION);
    for section in documented_sections() {
        text.push('\n');
        comment(&mut text, "##", &section.about);
        let _ = writeln!(text, "[{}]", section.name);
        example_settings(&mut text, &section);
    }
    for section in apps::documented() {
        text.push('\n');
        comment(&mut text, "##", &section.about);
        let _ = writeln!(text, "# [[{}]]", section.name);
        example_settings(&mut text, &section);
    }
    text
}

const INTRODUCTION: &str = "\
<!-- Generated from crates/gateway/src/config by `courant docs configuration > docs/configuration.md`. -->

# Configuration

`courant serve` needs none: it listens on 127.0.0.1 with a development application. Settings come from a TOML file
(`--config courant.toml`, or `COURANT_CONFIG`) and from the environment, which wins. `courant check-config` tells everything that
is wrong, with its line, and what is allowed; the server does not start before it is right.

- Times are texts such as `\"250ms\"`, `\"10s\"`, `\"5min\"`, `\"24h\"`. Sizes are bytes, or texts such as `\"64KiB\"`, `\"1MiB\"`.
- In a variable, the elements of a list are separated by commas, and `[]` is the empty list. An empty variable counts as not set.
- An unknown setting, table or `COURANT_` variable is an error. Variables that Kubernetes makes for services (`COURANT_PORT_...`,
  `COURANT_SERVICE_HOST`) are left alone.
- The development application (id `1001`, key `courant-key`, secret `courant-secret`) is there while no other is, and only while every
  address of `server.listen` is a loopback one.
- Secrets can come from files: `secret_file`, or `COURANT_APP_SECRET_FILE`.

`courant.example.toml` holds every setting with its default.
";

const EXAMPLE_INTRODUCTION: &str = "\
# Every setting of Courant with its default. Remove the '#' before what you change.
# docs/configuration.md says the same, with what is allowed and the names of the variables.
# Generated from crates/gateway/src/config by `courant docs example > courant.example.toml`.
";

fn markdown_section(text: &mut String, title: &str, section: &Documented) {
    let _ = write!(text, "\n## `{title}`\n\n{}\n\n", section.about);
    text.push_str("| setting | default | allowed | what it does |\n|---|---|---|---|\n");
    for setting in &section.settings {
        let variable = match section.environment_prefix {
            "" => String::new(),
            prefix => format!("<br>`{}`", setting.variable(prefix)),
        };
        let _ = writeln!(
            text,
            "| `{}`{variable} | `{}` | {} | {} |",
            setting.name,
            cell(&setting.default),
            cell(&setting.allowed),
            cell(&setting.about)
        );
    }
}

/// A text inside a table's cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

fn example_settings(text: &mut String, section: &Documented) {
    for setting in &section.settings {
        text.push('\n');
        comment(text, "#", &setting.about);
        let _ = writeln!(text, "# {} = {}", setting.name, setting.example);
    }
}

/// A paragraph as a comment, broken at words.
fn comment(text: &mut String, mark: &str, paragraph: &str) {
    let mut columns = 0;
    for word in paragraph.split_whitespace() {
        if columns == 0 || columns + 1 + word.chars().count() > COMMENT_COLUMNS {
            if columns > 0 {
                text.push('\n');
            }
            text.push_str(mark);
            columns = mark.len();
        }
        text.push(' ');
        text.push_str(word);
        columns += 1 + word.chars().count();
    }
    text.push('\n');
}
