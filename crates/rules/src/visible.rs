//! Text from outside, made harmless to look at: events, headers, names and errors may hold what steers a terminal,
//! turns the text around it, or cannot be seen.

use std::fmt::Write as _;

/// Whether a character is not one that people can see as what it is.
fn is_odd(letter: char) -> bool {
    match letter {
        // Marks and overrides of direction, joiners, spaces without width, tags.
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' => true,
        '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' => true,
        '\u{e0000}'..='\u{e007f}' => true,
        letter => letter.is_control(),
    }
}

/// Writes every odd character as an escape, line feeds and tabs too unless they are to be `kept`.
pub fn visible(text: &str, kept: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '\n' | '\t' if kept => out.push(letter),
            letter if is_odd(letter) => out.extend(letter.escape_default()),
            letter => out.push(letter),
        }
    }
    out
}

/// The same JSON, with its odd characters as JSON writes them where it need not.
pub fn json(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        if is_odd(letter) && letter != '\n' {
            for unit in letter.encode_utf16(&mut [0; 2]) {
                // Writing into a text does not fail.
                let _ = write!(out, "\\u{unit:04x}");
            }
        } else {
            out.push(letter);
        }
    }
    out
}

/// A line of a log: colours and the end of the line stay.
pub fn line(text: &str) -> String {
    let (line, end) = match text.strip_suffix('\n') {
        Some(line) => (line, "\n"),
        None => (text, ""),
    };
    let mut parts = line.split("\u{1b}[");
    let mut out = visible(parts.next().unwrap_or_default(), false);
    for part in parts {
        let digits = part.find(|c: char| !c.is_ascii_digit() && c != ';').unwrap_or(part.len());
        let is_colour = part[digits..].starts_with('m');
        out += if is_colour { "\u{1b}[" } else { "\\u{1b}[" };
        out += &visible(part, false);
    }
    out + end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_outside_cannot_steer_the_terminal() {
        assert_eq!(visible("a\u{1b}[31m\u{7}\nb", false), "a\\u{1b}[31m\\u{7}\\nb");
        assert_eq!(visible("a\n\tb\r", true), "a\n\tb\\r");
        assert_eq!(
            visible("\u{9b}\u{202e}\u{200b}é\u{e0041}", true),
            "\\u{9b}\\u{202e}\\u{200b}é\\u{e0041}"
        );
    }

    #[test]
    fn json_stays_what_it_says() {
        let value = serde_json::json!({ "a": "\u{1b}\u{9b}\u{202e}\n\u{e0041}é" });
        let text = json(&format!("{value:#}\n"));
        assert!(!text.chars().any(|c| is_odd(c) && c != '\n'), "{text}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).ok(), Some(value));
    }

    #[test]
    fn a_line_of_the_log_keeps_its_colours_and_is_one_line() {
        let colours = "\u{1b}[2m12:00\u{1b}[0m \u{1b}[1;33m WARN\u{1b}[0m a";
        assert_eq!(line(&format!("{colours}\n")), format!("{colours}\n"));
        assert_eq!(
            line("a\nINFO b\u{1b}[2J\u{1b}]0;x\u{7}\n"),
            "a\\nINFO b\\u{1b}[2J\\u{1b}]0;x\\u{7}\n"
        );
    }
}
