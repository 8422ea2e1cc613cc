//! A template's source as pieces: text as it stands, and actions as tokens.

use serde_json::Value;

use crate::{Position, TemplateError};

/// A part of a template.
#[derive(Debug, PartialEq)]
pub(crate) enum Piece<'s> {
    /// Text between actions, trimmed as their markers ask.
    Text(&'s str),
    /// What stands between `{{` and `}}`; never empty.
    Action(Vec<Token>, Position),
}

/// A token of an action.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) at: Position,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Kind {
    /// `.x.y`, or the dot alone.
    Field(Vec<String>),
    /// `$x.y`; the name is empty for `$` itself.
    Variable(String, Vec<String>),
    /// A keyword or the name of a function.
    Word(String),
    /// A constant.
    Literal(Value),
    /// `|`
    Pipe,
    /// `(`
    Open,
    /// `)`
    Close,
    /// `:=`
    Declare,
    /// `=`
    Assign,
    /// `,`
    Comma,
}

/// Cuts the source into pieces.
pub(crate) fn lex(source: &str) -> Result<Vec<Piece<'_>>, TemplateError> {
    let mut cursor = Cursor { rest: source, at: Position { line: 1, column: 1 } };
    let mut pieces = Vec::new();
    let mut trim = false;
    loop {
        let text = cursor.take_to("{{");
        let text = if trim { text.trim_start_matches(is_space) } else { text };
        if cursor.rest.is_empty() {
            pieces.push(Piece::Text(text));
            return Ok(pieces);
        }
        let at = cursor.at;
        cursor.skip(2);
        let trims_before = cursor.rest.strip_prefix('-').is_some_and(|after| after.starts_with(is_space));
        pieces.push(Piece::Text(if trims_before { text.trim_end_matches(is_space) } else { text }));
        if trims_before {
            cursor.skip(1);
        }
        cursor.skip_space();
        trim = if cursor.rest.starts_with("/*") {
            comment(&mut cursor, at)?
        } else {
            let (tokens, trims_after) = action(&mut cursor, at)?;
            pieces.push(Piece::Action(tokens, at));
            trims_after
        };
    }
}

/// Skips a comment. Says whether the text after it is trimmed.
fn comment(cursor: &mut Cursor<'_>, at: Position) -> Result<bool, TemplateError> {
    cursor.take_to("*/");
    if cursor.rest.is_empty() {
        return Err(TemplateError::new(at, "the comment has no end"));
    }
    cursor.skip(2);
    end_of_action(cursor).ok_or_else(|| TemplateError::new(at, "a comment must be alone in its action"))
}

/// Reads the tokens of an action. Says whether the text after it is trimmed.
fn action(cursor: &mut Cursor<'_>, at: Position) -> Result<(Vec<Token>, bool), TemplateError> {
    let mut tokens = Vec::new();
    loop {
        if let Some(trims) = end_of_action(cursor) {
            if tokens.is_empty() {
                return Err(TemplateError::new(at, "the action is empty"));
            }
            return Ok((tokens, trims));
        }
        cursor.skip_space();
        let at = cursor.at;
        tokens.push(Token { kind: token(cursor)?, at });
    }
}

/// Skips the end of an action, if there is one here.
fn end_of_action(cursor: &mut Cursor<'_>) -> Option<bool> {
    let after_space = cursor.rest.trim_start();
    let spaced = after_space.len() < cursor.rest.len();
    let (trims, marker) = if after_space.starts_with("}}") {
        (false, 2)
    } else if spaced && after_space.starts_with("-}}") {
        (true, 3)
    } else {
        return None;
    };
    cursor.skip_space();
    cursor.skip(marker);
    Some(trims)
}

fn token(cursor: &mut Cursor<'_>) -> Result<Kind, TemplateError> {
    let at = cursor.at;
    let Some(first) = cursor.rest.chars().next() else { return Err(TemplateError::new(at, "the action has no end")) };
    match first {
        '.' => {
            let path = cursor.path();
            if path.is_empty() {
                cursor.skip(1);
            }
            Ok(Kind::Field(path))
        }
        '$' => {
            cursor.skip(1);
            let name = cursor.word().to_owned();
            Ok(Kind::Variable(name, cursor.path()))
        }
        '|' => Ok(cursor.symbol(1, Kind::Pipe)),
        '(' => Ok(cursor.symbol(1, Kind::Open)),
        ')' => Ok(cursor.symbol(1, Kind::Close)),
        ',' => Ok(cursor.symbol(1, Kind::Comma)),
        '=' => Ok(cursor.symbol(1, Kind::Assign)),
        ':' if cursor.rest.starts_with(":=") => Ok(cursor.symbol(2, Kind::Declare)),
        '"' => quoted(cursor),
        '`' => raw(cursor),
        '0'..='9' | '+' | '-' => number(cursor),
        _ if is_word(first) => Ok(match cursor.word() {
            "true" => Kind::Literal(Value::Bool(true)),
            "false" => Kind::Literal(Value::Bool(false)),
            "nil" => Kind::Literal(Value::Null),
            word => Kind::Word(word.to_owned()),
        }),
        other => Err(TemplateError::new(at, format!("{other:?} has no meaning in an action"))),
    }
}

fn quoted(cursor: &mut Cursor<'_>) -> Result<Kind, TemplateError> {
    let at = cursor.at;
    cursor.skip(1);
    let mut text = String::new();
    loop {
        let character = match cursor.next() {
            None | Some('\n') => return Err(TemplateError::new(at, "the text in quotes has no end")),
            Some('"') => return Ok(Kind::Literal(Value::String(text))),
            Some('\\') => escape(cursor).ok_or_else(|| TemplateError::new(at, "the text holds an unknown escape"))?,
            Some(character) => character,
        };
        text.push(character);
    }
}

/// What follows a backslash, as in Go.
fn escape(cursor: &mut Cursor<'_>) -> Option<char> {
    let digits = match cursor.next()? {
        'n' => return Some('\n'),
        't' => return Some('\t'),
        'r' => return Some('\r'),
        'a' => return Some('\u{7}'),
        'b' => return Some('\u{8}'),
        'f' => return Some('\u{c}'),
        'v' => return Some('\u{b}'),
        same @ ('\\' | '"' | '\'') => return Some(same),
        'x' => 2,
        'u' => 4,
        'U' => 8,
        _ => return None,
    };
    let text = cursor.rest.get(..digits).filter(|text| text.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
    let code = u32::from_str_radix(text, 16).ok()?;
    cursor.skip(digits);
    // Two digits are a byte in Go, which is a character of its own only below 0x80.
    char::from_u32(code).filter(|_| digits > 2 || code < 0x80)
}

fn raw(cursor: &mut Cursor<'_>) -> Result<Kind, TemplateError> {
    let at = cursor.at;
    cursor.skip(1);
    let text = cursor.take_to("`").to_owned();
    if cursor.rest.is_empty() {
        return Err(TemplateError::new(at, "the text in backquotes has no end"));
    }
    cursor.skip(1);
    Ok(Kind::Literal(Value::String(text)))
}

fn number(cursor: &mut Cursor<'_>) -> Result<Kind, TemplateError> {
    let at = cursor.at;
    let belongs = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '+' | '-');
    let length = cursor.rest.find(|c| !belongs(c)).unwrap_or(cursor.rest.len());
    // A trim marker may follow at once, but only behind a space.
    let text = cursor.rest.get(..length).unwrap_or_default();
    let plain = text.strip_prefix(['+', '-']).unwrap_or(text).bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let whole = text.parse::<i64>().ok().map(Value::from);
    let parsed = whole.or_else(|| text.parse::<f64>().ok().and_then(serde_json::Number::from_f64).map(Value::Number));
    match parsed.filter(|_| plain) {
        Some(value) => {
            cursor.skip(length);
            Ok(Kind::Literal(value))
        }
        None => Err(TemplateError::new(at, "this is no decimal number")),
    }
}

fn is_space(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\r' | '\n')
}

fn is_word(character: char) -> bool {
    character == '_' || character.is_alphanumeric()
}

/// What is left of the source, and where it begins.
struct Cursor<'s> {
    rest: &'s str,
    at: Position,
}

impl<'s> Cursor<'s> {
    fn next(&mut self) -> Option<char> {
        let character = self.rest.chars().next()?;
        self.skip(character.len_utf8());
        Some(character)
    }

    /// Goes on by so many bytes, which end between two characters.
    fn skip(&mut self, bytes: usize) {
        let (skipped, rest) = self.rest.split_at_checked(bytes).unwrap_or((self.rest, ""));
        self.rest = rest;
        for character in skipped.chars() {
            if character == '\n' {
                self.at = Position { line: self.at.line.saturating_add(1), column: 1 };
            } else {
                self.at.column = self.at.column.saturating_add(1);
            }
        }
    }

    fn skip_space(&mut self) {
        self.skip(self.rest.len().saturating_sub(self.rest.trim_start().len()));
    }

    fn symbol(&mut self, bytes: usize, kind: Kind) -> Kind {
        self.skip(bytes);
        kind
    }

    /// Takes what stands before `end`, or everything.
    fn take_to(&mut self, end: &str) -> &'s str {
        let length = self.rest.find(end).unwrap_or(self.rest.len());
        let (taken, _) = self.rest.split_at_checked(length).unwrap_or((self.rest, ""));
        self.skip(length);
        taken
    }

    fn word(&mut self) -> &'s str {
        let length = self.rest.find(|c| !is_word(c)).unwrap_or(self.rest.len());
        let (word, _) = self.rest.split_at_checked(length).unwrap_or((self.rest, ""));
        self.skip(length);
        word
    }

    /// Takes `.x.y`; nothing when no name follows the dot.
    fn path(&mut self) -> Vec<String> {
        let mut path = Vec::new();
        while self.rest.strip_prefix('.').is_some_and(|after| after.starts_with(is_word)) {
            self.skip(1);
            path.push(self.word().to_owned());
        }
        path
    }
}
