//! Pieces to a tree. Nesting is bounded, so that nothing that walks the tree needs a bound of its own.

use serde_json::Value;

use crate::functions::Function;
use crate::lex::{Kind, Piece, Token};
use crate::{MAX_DEPTH, Position, TemplateError};

/// A part of a template that is rendered.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Node {
    /// As it stands.
    Text(String),
    /// `{{ pipeline }}`
    Print(Pipeline),
    /// `{{ $x := pipeline }}`, or `=` when not declared here.
    Assign { name: String, declare: bool, value: Pipeline },
    /// `{{ if }}` and `{{ with }}`, which also moves the dot.
    Branch { condition: Header, moves_dot: bool, then: Vec<Node>, otherwise: Vec<Node> },
    /// `{{ range }}`
    Range { list: Header, body: Vec<Node>, otherwise: Vec<Node> },
}

/// What stands behind a block's keyword: a pipeline, and the variables that take its value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Header {
    pub(crate) variables: Vec<String>,
    pub(crate) value: Pipeline,
}

/// Commands, each of which gets the value of the one before it as its last argument.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Pipeline {
    pub(crate) commands: Vec<Command>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Command {
    pub(crate) at: Position,
    pub(crate) function: Option<Function>,
    /// Arguments of the function, or the one value.
    pub(crate) operands: Vec<Operand>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Operand {
    pub(crate) at: Position,
    pub(crate) kind: OperandKind,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum OperandKind {
    Field(Vec<String>),
    Variable(String, Vec<String>),
    Literal(Value),
    Group(Pipeline),
}

/// Builds the tree.
pub(crate) fn parse(pieces: &[Piece<'_>]) -> Result<Vec<Node>, TemplateError> {
    let mut parser = Parser { pieces: pieces.iter() };
    match parser.list(0)? {
        (nodes, Stop::Source) => Ok(nodes),
        (_, Stop::End(at)) => Err(TemplateError::new(at, "this end belongs to no block")),
        (_, Stop::Else(at, _)) => Err(TemplateError::new(at, "this else belongs to no block")),
    }
}

/// What ended a list of nodes.
enum Stop<'p> {
    Source,
    End(Position),
    /// With the tokens behind `else`.
    Else(Position, &'p [Token]),
}

struct Parser<'p, 's> {
    pieces: std::slice::Iter<'p, Piece<'s>>,
}

impl<'p> Parser<'p, '_> {
    fn list(&mut self, depth: usize) -> Result<(Vec<Node>, Stop<'p>), TemplateError> {
        let mut nodes = Vec::new();
        while let Some(piece) = self.pieces.next() {
            let (tokens, at) = match piece {
                Piece::Text("") => continue,
                Piece::Text(text) => {
                    nodes.push(Node::Text((*text).to_owned()));
                    continue;
                }
                Piece::Action(tokens, at) => (tokens.as_slice(), *at),
            };
            match keyword(tokens) {
                Some(("end", [])) => return Ok((nodes, Stop::End(at))),
                Some(("end", _)) => return Err(TemplateError::new(at, "nothing may follow end")),
                Some(("else", rest)) => return Ok((nodes, Stop::Else(at, rest))),
                Some((word @ ("if" | "with" | "range"), rest)) => nodes.push(self.block(word, rest, at, depth)?),
                Some((word @ ("define" | "template" | "block" | "break" | "continue"), _)) => {
                    return Err(TemplateError::new(at, format!("{word} is not supported in definitions of policies")));
                }
                _ => nodes.push(simple(tokens, at, depth)?),
            }
        }
        Ok((nodes, Stop::Source))
    }

    fn block(&mut self, word: &str, tokens: &[Token], at: Position, depth: usize) -> Result<Node, TemplateError> {
        let depth = deeper(depth, at)?;
        let header = header(tokens, at, depth, word == "range")?;
        let (body, stop) = self.list(depth)?;
        let otherwise = match stop {
            Stop::End(_) => Vec::new(),
            Stop::Source => return Err(TemplateError::new(at, format!("this {word} has no end"))),
            Stop::Else(_, []) => match self.list(depth)? {
                (nodes, Stop::End(_)) => nodes,
                (_, Stop::Source) => return Err(TemplateError::new(at, format!("this {word} has no end"))),
                (_, Stop::Else(at, _)) => return Err(TemplateError::new(at, "nothing but end may follow an else")),
            },
            // The end of the inner block is that of the outer one as well.
            Stop::Else(at, rest) => match keyword(rest) {
                Some((inner, rest)) if inner == word && word != "range" => vec![self.block(inner, rest, at, depth)?],
                _ => return Err(TemplateError::new(at, format!("else must stand alone, or be else {word}"))),
            },
        };
        Ok(if word == "range" {
            Node::Range { list: header, body, otherwise }
        } else {
            Node::Branch { condition: header, moves_dot: word == "with", then: body, otherwise }
        })
    }
}

fn keyword(tokens: &[Token]) -> Option<(&str, &[Token])> {
    match tokens.split_first()? {
        (Token { kind: Kind::Word(word), .. }, rest) => Some((word, rest)),
        _ => None,
    }
}

fn deeper(depth: usize, at: Position) -> Result<usize, TemplateError> {
    let depth = depth.saturating_add(1);
    if depth > MAX_DEPTH {
        return Err(TemplateError::new(at, format!("nested deeper than {MAX_DEPTH}")));
    }
    Ok(depth)
}

/// An action that opens no block.
fn simple(tokens: &[Token], at: Position, depth: usize) -> Result<Node, TemplateError> {
    let (variables, rest) = variables(tokens, at, 1)?;
    match (variables, rest) {
        (Some((mut names, declare)), rest) => {
            let value = Tokens { rest, at }.pipeline(depth, false)?;
            Ok(Node::Assign { name: names.pop().unwrap_or_default(), declare, value })
        }
        (None, rest) => Ok(Node::Print(Tokens { rest, at }.pipeline(depth, false)?)),
    }
}

fn header(tokens: &[Token], at: Position, depth: usize, range: bool) -> Result<Header, TemplateError> {
    let (variables, rest) = variables(tokens, at, if range { 2 } else { 1 })?;
    let variables = match variables {
        Some((_, false)) => return Err(TemplateError::new(at, "a block declares its variables with :=")),
        Some((names, true)) => names,
        None => Vec::new(),
    };
    Ok(Header { variables, value: Tokens { rest, at }.pipeline(depth, false)? })
}

/// Names in front of `:=` or `=`, whether they are declared here, and what follows.
type Variables<'t> = (Option<(Vec<String>, bool)>, &'t [Token]);

fn variables(tokens: &[Token], at: Position, most: usize) -> Result<Variables<'_>, TemplateError> {
    let found = tokens.iter().position(|token| matches!(token.kind, Kind::Declare | Kind::Assign));
    let Some((before, [sign, rest @ ..])) = found.and_then(|found| tokens.split_at_checked(found)) else {
        return Ok((None, tokens));
    };
    let mut names = Vec::new();
    for (position, token) in before.iter().enumerate() {
        match &token.kind {
            Kind::Variable(name, path) if position % 2 == 0 && path.is_empty() && !name.is_empty() => {
                names.push(name.clone());
            }
            Kind::Comma if position % 2 == 1 => {}
            _ => return Err(TemplateError::new(token.at, "only variables can be assigned to")),
        }
    }
    if names.is_empty() || names.len() > most || before.len() % 2 == 0 {
        return Err(TemplateError::new(at, "the wrong number of variables"));
    }
    Ok((Some((names, sign.kind == Kind::Declare)), rest))
}

/// Tokens of an expression.
struct Tokens<'t> {
    rest: &'t [Token],
    at: Position,
}

impl Tokens<'_> {
    /// Up to the end, or inside a group up to and with its parenthesis.
    fn pipeline(&mut self, depth: usize, group: bool) -> Result<Pipeline, TemplateError> {
        let mut commands = Vec::new();
        loop {
            commands.push(self.command(depth, commands.is_empty())?);
            let Some((token, rest)) = self.rest.split_first() else {
                return if group {
                    Err(TemplateError::new(self.at, "a parenthesis is missing"))
                } else {
                    Ok(Pipeline { commands })
                };
            };
            self.rest = rest;
            match token.kind {
                Kind::Pipe => self.at = token.at,
                Kind::Close if group => return Ok(Pipeline { commands }),
                _ => return Err(TemplateError::new(token.at, "this is not expected here")),
            }
        }
    }

    fn command(&mut self, depth: usize, first: bool) -> Result<Command, TemplateError> {
        let mut command = Command { at: self.at, function: None, operands: Vec::new() };
        let mut begun = false;
        while let Some((token, rest)) = self.rest.split_first() {
            let kind = match &token.kind {
                Kind::Pipe | Kind::Close => break,
                Kind::Word(name) if !begun => {
                    command.at = token.at;
                    command.function = Some(Function::named(name, token.at)?);
                    (begun, self.rest) = (true, rest);
                    continue;
                }
                // A function without arguments, which none of ours is.
                Kind::Word(name) => {
                    return Err(TemplateError::new(token.at, format!("the call of {name} needs parentheses here")));
                }
                Kind::Field(path) => OperandKind::Field(path.clone()),
                Kind::Variable(name, path) => OperandKind::Variable(name.clone(), path.clone()),
                Kind::Literal(value) => OperandKind::Literal(value.clone()),
                Kind::Open => {
                    let mut inner = Tokens { rest, at: token.at };
                    let group = inner.pipeline(deeper(depth, token.at)?, true)?;
                    command.operands.push(Operand { at: token.at, kind: OperandKind::Group(group) });
                    (begun, self.rest) = (true, inner.rest);
                    continue;
                }
                Kind::Declare | Kind::Assign | Kind::Comma => {
                    return Err(TemplateError::new(token.at, "this is not expected here"));
                }
            };
            command.operands.push(Operand { at: token.at, kind });
            (begun, self.rest) = (true, rest);
        }
        match (command.function, command.operands.len()) {
            (Some(_), _) => Ok(command),
            (None, 0) => Err(TemplateError::new(self.at, "a value is missing")),
            (None, 1) if first => Ok(command),
            (None, _) => Err(TemplateError::new(command.at, "only a function takes arguments")),
        }
    }
}
