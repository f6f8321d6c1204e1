//! What an SQL statement names, for messages. PostgreSQL alone judges a statement; this only points at its
//! words, so whatever it does not understand it leaves out.

use std::ops::Range;

/// An `INSERT INTO table (columns)` of a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Insert {
    /// The table, quoted where that is needed, as `to_regclass` takes it.
    pub table: String,
    /// The columns it lists, as the catalogue has them; none where it lists none.
    pub columns: Vec<String>,
    /// Where table and columns stand, in characters.
    span: Range<usize>,
}

impl Insert {
    /// Whether a character of the statement, counted from 1 as PostgreSQL does, is within this one.
    pub fn has(&self, position: u32) -> bool {
        usize::try_from(position).is_ok_and(|at| self.span.contains(&at.saturating_sub(1)))
    }
}

/// See the fields.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// What may be a table: each name after FROM, JOIN and INTO, once. Only the catalogue knows which are.
    pub tables: Vec<String>,
    /// The inserts.
    pub inserts: Vec<Insert>,
}

/// What a statement names.
pub fn names(sql: &str) -> Names {
    let tokens = tokens(sql);
    let mut names = Names::default();
    for at in 0..tokens.len() {
        if !["from", "join", "into"].iter().any(|keyword| tokens[at].is(keyword)) {
            continue;
        }
        let Some((table, next)) = dotted(&tokens, at + 1) else { continue };
        if tokens[at].is("into") && at > 0 && tokens[at - 1].is("insert") {
            let (columns, end) = columns(&tokens, next);
            let span = tokens[at + 1].at..tokens.get(end).map_or(usize::MAX, |token| token.at);
            names.inserts.push(Insert { table: table.clone(), columns, span });
        }
        if !names.tables.contains(&table) {
            names.tables.push(table);
        }
    }
    names
}

/// The name at a character of the statement, counted from 1: its last part and the line it is in.
pub fn name_at(sql: &str, position: u32) -> Option<(String, usize)> {
    let start = usize::try_from(position).ok()?.checked_sub(1)?;
    let tokens = tokens(sql);
    let first = tokens.iter().position(|token| token.at == start)?;
    let mut last = first;
    while tokens.get(last + 1).is_some_and(|t| t.is_mark('.'))
        && tokens.get(last + 2).is_some_and(|t| t.word().is_some())
    {
        last += 2;
    }
    Some((tokens[last].word()?.to_owned(), line_of(sql, position)))
}

/// The line of a character, both counted from 1.
pub fn line_of(sql: &str, position: u32) -> usize {
    let before = usize::try_from(position).unwrap_or(usize::MAX).saturating_sub(1);
    1 + sql.chars().take(before).filter(|c| *c == '\n').count()
}

/// A name as it must be written: as it is if PostgreSQL would read it so, else in quotes.
pub fn quoted(name: &str) -> String {
    let plain = name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if plain && !name.starts_with(|c: char| c.is_ascii_digit()) && !name.is_empty() {
        name.to_owned()
    } else {
        format!("\"{}\"", name.replace('"', "\"\""))
    }
}

/// Whether a text has a name as a word of its own.
pub fn has_word(text: &str, name: &str) -> bool {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == name)
}

/// A name as the catalogue has it, from one that may be written in quotes.
pub fn unquoted(written: &str) -> String {
    match written.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(name) => name.replace("\"\"", "\""),
        None => written.to_owned(),
    }
}

/// A piece of the statement and the character it begins at.
struct Token {
    at: usize,
    kind: Kind,
}

enum Kind {
    /// A word, in the case that PostgreSQL reads it in, and whether it stood in quotes.
    Word(String, bool),
    /// Anything else that is no space, comment or string.
    Mark(char),
}

impl Token {
    fn word(&self) -> Option<&str> {
        match &self.kind {
            Kind::Word(word, _) => Some(word),
            Kind::Mark(_) => None,
        }
    }

    fn is(&self, keyword: &str) -> bool {
        matches!(&self.kind, Kind::Word(word, false) if word == keyword)
    }

    fn is_mark(&self, mark: char) -> bool {
        matches!(self.kind, Kind::Mark(m) if m == mark)
    }
}

/// A name of parts with dots between, from a token on, and where it ends.
fn dotted(tokens: &[Token], from: usize) -> Option<(String, usize)> {
    let mut name = quoted(tokens.get(from)?.word()?);
    let mut next = from + 1;
    while tokens.get(next).is_some_and(|t| t.is_mark('.')) {
        let part = tokens.get(next + 1)?.word()?;
        name = format!("{name}.{}", quoted(part));
        next += 2;
    }
    Some((name, next))
}

/// The columns in parentheses that follow an insert's table, and where they end.
fn columns(tokens: &[Token], from: usize) -> (Vec<String>, usize) {
    let mut next = from;
    if tokens.get(next).is_some_and(|t| t.is("as")) {
        next += 2;
    }
    if !tokens.get(next).is_some_and(|t| t.is_mark('(')) {
        return (Vec::new(), next);
    }
    let (mut columns, mut depth, mut is_first) = (Vec::new(), 0, false);
    for (at, token) in tokens.iter().enumerate().skip(next) {
        match &token.kind {
            Kind::Word(word, false)
                if is_first && ["select", "with", "values"].contains(&word.as_str()) =>
            {
                return (Vec::new(), at);
            }
            Kind::Word(word, _) if is_first => {
                columns.push(word.clone());
                is_first = false;
            }
            Kind::Mark('(' | '[') => {
                depth += 1;
                is_first = depth == 1;
            }
            Kind::Mark(')' | ']') => {
                depth -= 1;
                if depth == 0 {
                    return (columns, at + 1);
                }
            }
            Kind::Mark(',') if depth == 1 => is_first = true,
            Kind::Word(..) | Kind::Mark(_) => {}
        }
    }
    (columns, tokens.len())
}

/// Words and marks, without comments and strings (PostgreSQL docs, 4.1 Lexical Structure).
fn tokens(sql: &str) -> Vec<Token> {
    let text: Vec<char> = sql.chars().collect();
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(c) = text.get(at).copied() {
        let rest = &text[at..];
        let is_word = |c: &char| c.is_alphanumeric() || *c == '_' || *c == '$';
        let length = match (c, rest.get(1)) {
            ('-', Some('-')) => rest.iter().position(|c| *c == '\n').unwrap_or(rest.len()),
            ('/', Some('*')) => comment(rest),
            ('\'', _) => string(rest, at > 0 && matches!(text[at - 1], 'e' | 'E')),
            ('"', _) => {
                let (name, length) = quoted_name(rest);
                tokens.push(Token { at, kind: Kind::Word(name, true) });
                length
            }
            ('$', _) if dollars(rest).is_some() => dollars(rest).unwrap_or(1),
            _ if c.is_alphabetic() || c == '_' => {
                let word: String = rest.iter().take_while(|c| is_word(c)).collect();
                let length = word.chars().count();
                tokens.push(Token { at, kind: Kind::Word(word.to_lowercase(), false) });
                length
            }
            _ if c.is_whitespace() => 1,
            _ => {
                tokens.push(Token { at, kind: Kind::Mark(c) });
                1
            }
        };
        at += length.max(1);
    }
    tokens
}

/// How long a comment is that begins here; such comments nest.
fn comment(rest: &[char]) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        match (rest[at], rest.get(at + 1)) {
            ('/', Some('*')) => (depth, at) = (depth + 1, at + 2),
            ('*', Some('/')) => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

/// How long a string is that begins here; a doubled quote needs no care, it is two strings.
fn string(rest: &[char], escapes: bool) -> usize {
    let mut at = 1;
    while at < rest.len() && rest[at] != '\'' {
        at += if escapes && rest[at] == '\\' { 2 } else { 1 };
    }
    at + 1
}

/// A name in quotes, and its length in the text.
fn quoted_name(rest: &[char]) -> (String, usize) {
    let (mut name, mut at) = (String::new(), 1);
    while at < rest.len() {
        match (rest[at], rest.get(at + 1)) {
            ('"', Some('"')) => at += 1,
            ('"', _) => break,
            _ => {}
        }
        name.push(rest[at]);
        at += 1;
    }
    (name, at + 1)
}

/// How long a string in dollar quotes is, if one begins here.
fn dollars(rest: &[char]) -> Option<usize> {
    let tag = 1 + rest[1..].iter().position(|c| !(c.is_alphanumeric() || *c == '_'))?;
    if rest[tag] != '$' || rest[1].is_numeric() {
        return None;
    }
    let mark = &rest[..=tag];
    let end = rest[tag + 1..].windows(mark.len()).position(|window| window == mark);
    Some(end.map_or(rest.len(), |end| tag + 1 + end + mark.len()))
}

#[cfg(test)]
mod tests;
